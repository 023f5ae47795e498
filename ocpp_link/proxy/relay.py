"""A Local Controller: stations below, an existing CSMS above, one upstream connection for each station.

Rules: 2.x part 4 chapter 6, applied to 1.6 too. Same identity, same path, same offered subprotocols, same credentials;
everything is relayed byte for byte, except what the `Interceptor` answers or changes. Calls of our own carry ids that
never collide, and their answers go nowhere else. When either end is lost, the other is closed: so the station notices,
and queues; or a `Standin` answers the station until the CSMS is back.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ocpp_link import frames
from ocpp_link.boot import Registration
from ocpp_link.clock import Clock
from ocpp_link.dialect import Fault, Version
from ocpp_link.errors import ConnectionLost, NotAllowedYetError, OcppError
from ocpp_link.outbox import Priority
from ocpp_link.proxy.hop import Hop, HopCall, Reply
from ocpp_link.proxy.interceptor import Answer, Change, Interceptor, Later, Pass, Refuse, Standin, Verdict
from ocpp_link.proxy.judge import Judge, answer_text, payload_of, refusal_text
from ocpp_link.proxy.own_calls import OwnCall, own_call
from ocpp_link.proxy.side import Side
from ocpp_link.wire import WebSocket
from ocpp_link.wirelog import Tap

logger = logging.getLogger(__name__)

UPSTREAM_LOST = 1001

LINGER_S = 5.0
"""So long a CSMS that is being told something may take to answer after the station has gone [s]."""

CSMS_LOST = "CSMS lost"
"""Why a station is closed whose CSMS went."""


class RelayedStation:
    """A station whose messages are relayed; our own calls go between them.

    Parameters
    ----------
    identity, version
        As in the handshake.
    down
        The open connection to the station.
    clock
        Where time comes from.
    interceptor
        Who decides.
    call_timeout_s
        How long an end may take to answer [s].
    standin
        Who answers the station when the CSMS is lost; without one, the station is closed then.
    tap, upstream_tap
        Get every text to and from the station, and the CSMS.
    """

    def __init__(  # noqa: PLR0913 - everything that meets in one station
        self,
        *,
        identity: str,
        version: Version,
        down: WebSocket,
        clock: Clock,
        interceptor: Interceptor,
        call_timeout_s: float = 30.0,
        standin: Standin | None = None,
        tap: Tap | None = None,
        upstream_tap: Tap | None = None,
    ) -> None:
        self.id = identity
        self.version: Version = version
        self.clock = clock
        self._interceptor = interceptor
        self._judge = Judge(self, interceptor)
        self._standin = standin
        self._call_timeout_s = call_timeout_s
        self._down = Side(self, down, self._from_station, tap=tap)
        self._upstream_tap = upstream_tap
        self._to_station = Hop(self._down.write, clock=clock, timeout_s=call_timeout_s)
        self._up: Side | None = None  # with the hop to it: both or neither
        self._to_csms: Hop | None = None
        self._ended = False
        self._registration = Registration()
        self._booting = False
        self._answering: set[asyncio.Task[None]] = set()
        self.lingering: asyncio.Task[None] | None = None
        """After the end: waits for the CSMS's last answer."""

    @property
    def may_be_asked(self) -> bool:
        """Whether the station takes calls of ours: its boot is not under way, pending or rejected."""
        return self.connected and not self._booting and self._registration.status in (None, "Accepted")

    @property
    def connected(self) -> bool:
        """Whether the station is there, and somebody to answer it."""
        return not self._ended

    @property
    def upstream_connected(self) -> bool:
        """Whether the CSMS is there."""
        return self._up is not None

    def open(self, up: WebSocket | None, early: Sequence[bytes] = ()) -> None:
        """Begin to relay.

        Parameters
        ----------
        up
            The open connection to the CSMS; without one, there has to be a stand-in.
        early
            What the CSMS said before the station's handshake was over.
        """
        if up is not None:
            self._take(up)
        self._interceptor.on_connect(self)
        if self._standin is not None:
            self._standin.started(self)
        if up is not None:
            self._take_early(up, early)

    def attach(self, up: WebSocket, early: Sequence[bytes] = ()) -> None:
        """Take a new connection to the CSMS into use; ``early`` is what it said before."""
        if self._ended:
            up.close(UPSTREAM_LOST, "station lost")
            return
        self._take(up)
        self._interceptor.on_upstream(self, connected=True)
        self._take_early(up, early)

    def _take(self, up: WebSocket) -> None:
        self._up = Side(self, up, self._from_csms, tap=self._upstream_tap)
        self._to_csms = Hop(self._up.write, clock=self.clock, timeout_s=self._call_timeout_s)

    def _take_early(self, up: WebSocket, early: Sequence[bytes]) -> None:
        for text in early:
            up.owner.text_received(text)
        if not up.is_open:
            self.lose_upstream()  # it hung up before anybody listened

    def lose_upstream(self, *, unanswered: Callable[[], None] | None = None) -> None:
        """Do without the CSMS: what it was asked and has not answered goes to the stand-in, or everything ends.

        Parameters
        ----------
        unanswered
            Deals with the call that showed it, before those that waited behind it.
        """
        side, hop = self._up, self._to_csms
        if self._standin is None:
            self.end(UPSTREAM_LOST, CSMS_LOST)
        elif side is not None and hop is not None:
            self._up = self._to_csms = None
            self._standin.upstream_lost(self)
            self._interceptor.on_upstream(self, connected=False)
            if unanswered is not None:
                unanswered()
            hop.end()
            side.socket.close(UPSTREAM_LOST, "not answering")

    async def call(
        self,
        action: str,
        payload: dict[str, Any],
        *,
        timeout_s: float | None = None,
        priority: Priority = Priority.NORMAL,
    ) -> dict[str, Any]:
        """Ask the station something of our own; the CSMS does not notice.

        Raises
        ------
        InvalidRequest, CallRejected, InvalidResponse, CallTimeout, ConnectionLost
        NotAllowedYetError
            The station's boot is under way, pending or rejected, and this has to wait; nothing was sent.
        """
        if self._booting or not self._registration.may_send(action):
            raise NotAllowedYetError(f"{self.id}: its boot is not accepted, {action} has to wait")
        asked = OwnCall(action=action, payload=payload, priority=priority, timeout_s=timeout_s)
        return await self._own_call(self._to_station, asked)

    async def call_csms(self, action: str, payload: dict[str, Any], *, check: bool = True) -> dict[str, Any]:
        """Tell the CSMS something in the station's name, for example ReportChargingProfiles of held profiles.

        Parameters
        ----------
        action, payload
            The message.
        check
            Whether the schema is checked before; what stations said goes on as they said it.

        Raises
        ------
        InvalidRequest, CallRejected, InvalidResponse, CallTimeout, ConnectionLost
        """
        asked = OwnCall(action=action, payload=payload, priority=Priority.NORMAL, check=check)
        return await self._own_call(self._to_csms, asked)

    def end(self, code: int, reason: str) -> None:
        """Close both ends."""
        if self._ended:
            return
        self._ended = True
        telling = None if self._standin is None else self._standin.ended()
        self._to_station.end()
        for task in self._answering:
            task.cancel()
        self._down.socket.close(code, reason)
        if telling is None or self._up is None:
            self._end_upstream(code, reason)
        else:
            self.lingering = asyncio.create_task(self._linger(telling, code, reason))
        self._interceptor.on_disconnect(self, reason)

    def _end_upstream(self, code: int, reason: str) -> None:
        if self._to_csms is not None:
            self._to_csms.end()
        if self._up is not None:
            self._up.socket.close(code, reason)

    async def _linger(self, telling: asyncio.Task[None], code: int, reason: str) -> None:
        """Let the CSMS answer what it is being told, or it would be told it again."""
        patience = asyncio.create_task(self.clock.sleep_until(self.clock.now_s() + LINGER_S))
        await asyncio.wait((telling, patience), return_when=asyncio.FIRST_COMPLETED)
        patience.cancel()
        telling.cancel()
        self._end_upstream(code, reason)

    async def _own_call(self, hop: Hop | None, call: OwnCall) -> dict[str, Any]:
        if self._ended or hop is None:
            raise ConnectionLost(f"{self.id} is not connected")
        gone = lambda: self._ended or hop not in (self._to_station, self._to_csms)  # noqa: E731
        return await own_call(hop, call, version=self.version, gone=gone)

    # From the station.

    def _from_station(self, text: bytes) -> None:
        call = frames.parse(text)
        if not isinstance(call, frames.Call):
            self._pass_on(call, text, backward=self._to_station, other=self._up)
            return
        if call.action == "BootNotification":
            self._booting = True
        verdict, read = self._judge.of_station(call)
        match verdict:
            case Pass():
                self._ask_csms(call, text, read)
            case Change(payload):
                self._ask_csms(call._replace(payload=payload), None, read)
            case _:
                self._answer_here(self._down, call, verdict)

    def _ask_csms(self, call: frames.Call, text: bytes | None, read: dict[str, Any] | None) -> None:
        """Relay a station's call, or have it answered in the CSMS's place; ``text`` is how it came, if it goes so."""
        answer = self._standin.answer(call) if self._standin is not None else None
        if answer is not None:
            self._down.write(answer)
            self._csms_answered(call, read, frames.parse(answer))
        elif self._to_csms is not None:
            onward = call if self._standin is None else self._standin.for_csms(call)

            def answered(reply: Reply, reply_text: bytes) -> None:
                self._down.write(reply_text)
                self._csms_answered(call, read, reply)

            self._to_csms.push(
                HopCall(
                    message_id=call.message_id,
                    text=text if text is not None and onward is call else frames.serialise(onward),
                    priority=Priority.INTERACTIVE,
                    answered=answered,
                    given_up=lambda: self._not_answered(call, read),
                )
            )

    def _not_answered(self, call: frames.Call, read: dict[str, Any] | None) -> None:
        logger.info("%s: the CSMS has not answered %s", self.id, call.action)
        if self._ended:
            return
        if self._standin is None:
            self._csms_answered(call, read, None)
        elif self._to_csms is None:
            self._ask_csms(call, None, read)
        else:  # a CSMS that answers nothing is as good as lost
            self.lose_upstream(unanswered=lambda: self._ask_csms(call, None, read))

    def _csms_answered(
        self, call: frames.Call, read: dict[str, Any] | None, reply: frames.Frame | frames.BadFrame | None
    ) -> None:
        payload = payload_of(reply)
        if call.action == "BootNotification":
            self._booting = False
            if payload is not None:
                self._registration = self._registration.booted(str(payload.get("status")))
        self._judge.csms_replied(call, read, payload)

    # From the CSMS.

    def _from_csms(self, text: bytes) -> None:
        call = frames.parse(text)
        if not isinstance(call, frames.Call):
            if not self._judge.drops(call, text):
                self._pass_on(call, text, backward=self._to_csms, other=self._down)
            return
        asker = self._up
        if asker is None or self._ended:
            return
        ours = call if self._standin is None else self._standin.for_station(call)
        verdict = self._judge.of_csms(ours, text)
        match verdict:
            case Pass():
                self._ask_station(ours, text if ours is call else None, asker)
            case Change(payload):
                self._ask_station(ours._replace(payload=payload), None, asker)
            case _:
                self._answer_here(asker, ours, verdict)

    def _ask_station(self, call: frames.Call, text: bytes | None, asker: Side) -> None:
        """Relay a call of the CSMS; ``text`` is how it came, if it goes so."""

        def answered(reply: Reply, reply_text: bytes) -> None:
            asker.write(reply_text)
            self._judge.station_replied(call, payload_of(reply))

        def given_up() -> None:
            logger.info("%s: the station has not answered %s", self.id, call.action)
            self._judge.station_replied(call, None)

        self._to_station.push(
            HopCall(
                message_id=call.message_id,
                text=frames.serialise(call) if text is None else text,
                priority=Priority.INTERACTIVE,
                answered=answered,
                given_up=given_up,
            )
        )

    # Private methods.

    def _pass_on(
        self, frame: frames.Frame | frames.BadFrame, text: bytes, *, backward: Hop | None, other: Side | None
    ) -> None:
        """Take what is no call: an answer goes to whoever asked, anything else to the other end as it is."""
        if (
            isinstance(frame, frames.CallResult | frames.CallError)
            and backward is not None
            and backward.take_reply(frame, text)
        ):
            return
        if other is not None:
            other.write(text)

    def _answer_here(self, asker: Side, call: frames.Call, verdict: Verdict) -> None:
        match verdict:
            case Answer(payload):
                asker.write(answer_text(self.version, call, payload))
            case Refuse():
                asker.write(refusal_text(self.version, call, verdict))
            case Later(payload):
                task = asyncio.create_task(self._answer_later(asker, call, payload))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)

    async def _answer_later(self, asker: Side, call: frames.Call, payload: Awaitable[dict[str, Any]]) -> None:
        verdict: Verdict
        try:
            verdict = Answer(await payload)
        except OcppError as error:
            logger.warning("%s: %s not answered: %s", self.id, call.action, error)
            verdict = Refuse(Fault.INTERNAL, "could not be found out")
        self._answer_here(asker, call, verdict)

    def side_closing(self, side: Side) -> None:
        """Deal with the end of a side; of one that was given up before, nobody hears."""
        if side is self._down:
            self.end(UPSTREAM_LOST, "station lost")
        elif side is self._up:
            self.lose_upstream()

    def reads(self, side: Side) -> bool:
        """Tell whether what a side says still counts."""
        return (side is self._down and not self._ended) or side is self._up

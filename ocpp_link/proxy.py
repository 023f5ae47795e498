"""A Local Controller: stations below, an existing CSMS above, one upstream connection for each station.

Rules: 2.x part 4 chapter 6, applied to 1.6 too. Same identity, same path, same offered subprotocols, same credentials;
everything is relayed byte for byte, except what the `Interceptor` answers or changes. Calls of our own carry ids that
never collide, and their answers go nowhere else. When either end is lost, the other is closed: so the station notices,
and queues; or a `Standin` answers the station until the CSMS is back.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ocpp_link import frames, schemas
from ocpp_link.clock import Clock
from ocpp_link.dialect import Version, error_code
from ocpp_link.errors import (
    CallRejected,
    CallTimeout,
    ConnectionLost,
    InvalidRequest,
    InvalidResponse,
    OcppError,
)
from ocpp_link.hop import Hop, HopCall, Reply
from ocpp_link.interceptor import Answer, Change, Interceptor, Pass, Standin, Verdict
from ocpp_link.outbox import Priority
from ocpp_link.protocol import new_message_id
from ocpp_link.wire import WebSocket

logger = logging.getLogger(__name__)

UPSTREAM_LOST = 1001


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
    """

    def __init__(
        self,
        *,
        identity: str,
        version: Version,
        down: WebSocket,
        clock: Clock,
        interceptor: Interceptor,
        call_timeout_s: float = 30.0,
        standin: Standin | None = None,
    ) -> None:
        self.id = identity
        self.version: Version = version
        self.clock = clock
        self._interceptor = interceptor
        self._standin = standin
        self._call_timeout_s = call_timeout_s
        self._down = _Side(self, down, self._from_station)
        self._to_station = Hop(self._down.write, clock=clock, timeout_s=call_timeout_s)
        self._up: _Side | None = None  # with the hop to it: both or neither
        self._to_csms: Hop | None = None
        self._ended = False

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
        self._take_early(up, early)

    def _take(self, up: WebSocket) -> None:
        self._up = _Side(self, up, self._from_csms)
        self._to_csms = Hop(self._up.write, clock=self.clock, timeout_s=self._call_timeout_s)

    def _take_early(self, up: WebSocket, early: Sequence[bytes]) -> None:
        for text in early:
            up.owner.text_received(text)
        if not up.is_open:
            self.lose_upstream()  # it hung up before anybody listened

    def lose_upstream(self) -> None:
        """Do without the CSMS: what it was asked and has not answered goes to the stand-in, or everything ends."""
        side, hop = self._up, self._to_csms
        if self._standin is None:
            self.end(UPSTREAM_LOST, "CSMS lost")
        elif side is not None and hop is not None:
            self._up = self._to_csms = None
            self._standin.upstream_lost(self)
            hop.end()
            side.socket.close(UPSTREAM_LOST, "not answering")

    async def call(
        self, action: str, payload: dict[str, Any], *, priority: Priority = Priority.NORMAL
    ) -> dict[str, Any]:
        """Ask the station something of our own; the CSMS does not notice.

        Raises
        ------
        InvalidRequest, CallRejected, InvalidResponse, CallTimeout, ConnectionLost
        """
        return await self._own_call(self._to_station, action, payload, priority)

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
        return await self._own_call(self._to_csms, action, payload, Priority.NORMAL, check=check)

    def end(self, code: int, reason: str) -> None:
        """Close both ends."""
        if self._ended:
            return
        self._ended = True
        if self._standin is not None:
            self._standin.ended()
        for hop in (self._to_station, self._to_csms):
            if hop is not None:
                hop.end()
        for side in (self._down, self._up):
            if side is not None:
                side.socket.close(code, reason)
        self._interceptor.on_disconnect(self, reason)

    async def _own_call(
        self, hop: Hop | None, action: str, payload: dict[str, Any], priority: Priority, *, check: bool = True
    ) -> dict[str, Any]:
        if self._ended or hop is None:
            raise ConnectionLost(f"{self.id} is not connected")
        fault = schemas.first_fault(self.version, action, payload, response=False) if check else None
        if fault is not None:
            raise InvalidRequest(f"{action}: {fault.description}")
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        message_id = new_message_id()

        def answered(reply: Reply, _text: bytes) -> None:
            if answer.done():
                return
            outcome = self._read_answer(action, reply)
            if isinstance(outcome, OcppError):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

        def given_up() -> None:
            if not answer.done():
                gone = self._ended or hop not in (self._to_station, self._to_csms)
                lost = ConnectionLost(f"{self.id} is gone") if gone else CallTimeout(f"no answer to {action}")
                answer.set_exception(lost)

        text = frames.serialise(frames.Call(message_id, action, payload))
        call = HopCall(message_id=message_id, text=text, priority=priority, answered=answered, given_up=given_up)
        hop.push(call)
        return await answer

    def _read_answer(self, action: str, reply: Reply) -> dict[str, Any] | OcppError:
        if isinstance(reply, frames.CallError):
            return CallRejected(reply.code, reply.description, reply.details)
        fault = schemas.first_fault(self.version, action, reply.payload, response=True)
        return reply.payload if fault is None else InvalidResponse(f"{action}: {fault.description}")

    def _from_station(self, text: bytes) -> None:
        call = frames.parse(text)
        if not isinstance(call, frames.Call):
            self._pass_on(call, text, backward=self._to_station, other=self._up)
            return
        match self._judge(self._interceptor.on_station_call, call):
            case Answer(payload):
                self._down.write(self._answer(call, payload))
            case Change(payload):
                self._ask_csms(call._replace(payload=payload), None)
            case Pass():
                self._ask_csms(call, text)

    def _ask_csms(self, call: frames.Call, text: bytes | None) -> None:
        """Relay a station's call, or have it answered in the CSMS's place; ``text`` is how it came, if it goes so."""
        answer = self._standin.answer(call) if self._standin is not None else None
        if answer is not None:
            self._down.write(answer)
        elif self._to_csms is not None:
            onward = call if self._standin is None else self._standin.for_csms(call)
            as_it_came = text if onward is call else None
            self._to_csms.push(self._relayed(onward, as_it_came, self._down, lambda: self._not_answered(call)))

    def _not_answered(self, call: frames.Call) -> None:
        logger.info("%s: no answer to %s", self.id, call.action)
        if self._to_csms is None and not self._ended:
            self._ask_csms(call, None)

    def _from_csms(self, text: bytes) -> None:
        call = frames.parse(text)
        if not isinstance(call, frames.Call):
            self._pass_on(call, text, backward=self._to_csms, other=self._down)
            return
        asker = self._up
        if asker is None:
            return
        ours = call if self._standin is None else self._standin.for_station(call)
        as_it_came = text if ours is call else None
        match self._judge(self._interceptor.on_csms_call, ours):
            case Answer(payload):
                asker.write(self._answer(ours, payload))
                return
            case Change(payload):
                ours, as_it_came = ours._replace(payload=payload), None
        missed = lambda: logger.info("%s: no answer to %s", self.id, ours.action)  # noqa: E731
        self._to_station.push(self._relayed(ours, as_it_came, asker, missed))

    def _pass_on(
        self, frame: frames.Frame | frames.BadFrame, text: bytes, *, backward: Hop | None, other: "_Side | None"
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

    @staticmethod
    def _relayed(call: frames.Call, text: bytes | None, asker: "_Side", given_up: Callable[[], None]) -> HopCall:
        return HopCall(
            message_id=call.message_id,
            text=frames.serialise(call) if text is None else text,
            priority=Priority.INTERACTIVE,
            answered=lambda _reply, reply_text: asker.write(reply_text),
            given_up=given_up,
        )

    def _judge(self, judge: Callable[["RelayedStation", str, dict[str, Any]], Verdict], frame: frames.Call) -> Verdict:
        """Ask the interceptor about a valid call; what breaks its schema is for the other end to judge."""
        try:
            if not schemas.is_valid_request(self.version, frame.action, frame.payload):
                return Pass()
            return judge(self, frame.action, frame.payload)
        except FileNotFoundError:
            return Pass()  # an action that this version does not have
        except Exception:
            logger.exception("%s: interceptor failed on %s", self.id, frame.action)
            return Pass()

    def _answer(self, frame: frames.Call, payload: dict[str, Any]) -> bytes:
        fault = schemas.first_fault(self.version, frame.action, payload, response=True)
        if fault is None:
            return frames.serialise(frames.CallResult(frame.message_id, payload))
        logger.error("%s: answer to %s breaks its schema: %s", self.id, frame.action, fault.description)
        code = error_code(self.version, fault.fault)
        return frames.serialise(frames.CallError(frame.message_id, code, "the answer would have broken its schema", {}))

    def side_closing(self, side: "_Side") -> None:
        """Deal with the end of a side; of one that was given up before, nobody hears."""
        if side is self._down:
            self.end(UPSTREAM_LOST, "station lost")
        elif side is self._up:
            self.lose_upstream()

    def reads(self, side: "_Side") -> bool:
        """Tell whether what a side says still counts."""
        return not self._ended and (side is self._down or side is self._up)


class _Side:
    """Owner of one of a relay's two sockets."""

    def __init__(self, relay: RelayedStation, socket: WebSocket, take: Callable[[bytes], None]) -> None:
        self._relay = relay
        self._take = take
        self.socket = socket
        socket.owner = self

    def write(self, text: bytes) -> None:
        """Write a text; lost if this end is closing."""
        if self.socket.send_text(text):
            self._relay.clock.frame_sent()

    def handshake_received(self, message: object) -> None:
        """Nothing: the handshake is over."""

    def text_received(self, text: bytes) -> None:
        """Relay a text."""
        if self._relay.reads(self):
            self._take(text)
        self._relay.clock.frame_done()

    def pong_received(self) -> None:
        """Nothing."""

    def closing(self) -> None:
        """Let the relay know."""
        self._relay.side_closing(self)

    def closed(self, code: int, reason: str) -> None:
        """Nothing: ``closing`` came before."""


class ProxyDoor:
    """The stations that are relayed now; the newest connection of a station wins."""

    def __init__(self) -> None:
        self._stations: dict[str, RelayedStation] = {}

    @property
    def stations(self) -> Mapping[str, RelayedStation]:
        """Relayed stations by id."""
        return MappingProxyType({key: each for key, each in self._stations.items() if each.connected})

    def admit(self, station: RelayedStation, up: WebSocket | None, early: Sequence[bytes]) -> None:
        """Begin to relay a station; an older connection of it is closed."""
        older = self._stations.get(station.id)
        self._stations[station.id] = station
        if older is not None:
            older.end(1008, "superseded")
        station.open(up, early)

    def end_all(self) -> None:
        """Close every relayed connection."""
        for station in list(self._stations.values()):
            station.end(UPSTREAM_LOST, "local controller stops")

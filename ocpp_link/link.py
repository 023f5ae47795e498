"""One live OCPP connection: a `Protocol` between a `WebSocket` and a handler.

Rule 1: the reader never waits for a handler: see `desk`.
Rule 2: a handler may call back: answers are taken by the reader, not by the task.
Rule 3: every frame read is counted done exactly once (see `clock`): with its handler's answer, or at once.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Hashable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from ssl import cert_time_to_seconds
from typing import Any

from ocpp_link import events, outbox, protocol
from ocpp_link.clock import Clock
from ocpp_link.desk import Desk
from ocpp_link.dialect import Version
from ocpp_link.errors import ConnectionLost, OcppError, Superseded
from ocpp_link.inbox import Inbox
from ocpp_link.limits import TokenBucket
from ocpp_link.link_handler import LinkHandler
from ocpp_link.waiter import Waiter
from ocpp_link.wire import WebSocket
from ocpp_link.wirelog import Direction, Tap, shown

logger = logging.getLogger(__name__)

MESSAGE_BURST = 50.0
"""Messages at once that no rate limit minds: a station that comes back tells what it missed."""


class Link:
    """A connection to a peer, from handshake to end.

    Parameters
    ----------
    identity
        The station's id, at either end.
    machine
        The sans-I/O half.
    socket
        The WebSocket, open; the link becomes its owner.
    clock
        Where time comes from.
    handler
        Who answers the peer.
    messages_per_s
        A peer that sends more than this is read more slowly; ``None``: no limit.
    tap
        Gets every text that is read or written.
    """

    def __init__(
        self,
        *,
        identity: str,
        machine: protocol.Protocol,
        socket: WebSocket,
        clock: Clock,
        handler: LinkHandler,
        messages_per_s: float | None = None,
        tap: Tap | None = None,
    ) -> None:
        self.id = identity
        self.clock = clock
        self.mends: Counter[str] = Counter()
        """How often each repair was needed on this connection."""
        self._bucket = TokenBucket(messages_per_s, burst=MESSAGE_BURST) if messages_per_s is not None else None
        self._tap = tap
        self._machine = machine
        self._socket = socket
        self._handler = handler
        self._waiting: dict[str, Waiter] = {}
        self._inbox = Inbox()
        self._desk = Desk(self, machine, handler, self._inbox)
        self._watcher: asyncio.Task[None] | None = None
        self._watched_s: float | None = None
        self._ended = False
        self._closing_token: AbstractContextManager[None] | None = None
        self._closed = asyncio.Event()  # the socket is gone
        self._finished = asyncio.Event()  # and the handler knows

    @property
    def version(self) -> Version:
        """The OCPP version of this connection."""
        return self._machine.version

    @property
    def connected(self) -> bool:
        """Whether calls can be made."""
        return not self._ended

    @property
    def peer_address(self) -> str:
        """The peer's network address."""
        return self._socket.peer_address

    @property
    def peer_certificate_ends(self) -> datetime | None:
        """Until when the certificate is good that the peer showed; ``None`` where it showed none."""
        shown = self._socket.tls.getpeercert() if self._socket.tls is not None else None
        return datetime.fromtimestamp(cert_time_to_seconds(str(shown["notAfter"])), UTC) if shown else None

    def open(self, *, after: "Link | None" = None) -> None:
        """Take over the socket; the handler hears of it once ``after`` (an older link) has finished."""
        self._socket.owner = self
        self._do_busy(lambda: self._open(after))

    async def call(
        self,
        action: str,
        payload: dict[str, Any],
        *,
        timeout_s: float | None = None,
        priority: outbox.Priority = outbox.Priority.NORMAL,
        ttl_s: float | None = None,
        coalesce: Hashable | None = None,
    ) -> dict[str, Any]:
        """Ask the peer and return the payload of its answer, which passed the schema.

        The parameters are those of `ocpp_link.station.Station.call`.

        Raises
        ------
        InvalidRequest, CallRejected, InvalidResponse, CallTimeout, CallExpired, ConnectionLost
        """
        if self._ended:
            raise ConnectionLost(f"{self.id} is not connected")
        now_s = self.clock.now_s()
        message_id, found = self._machine.call(
            action, payload, now_s=now_s, timeout_s=timeout_s, priority=priority, ttl_s=ttl_s, coalesce=coalesce
        )
        waiter = Waiter(asyncio.get_running_loop().create_future())
        self._waiting[message_id] = waiter
        self._act_on(found)
        self._pump()
        try:
            return await waiter.future
        finally:
            waiter.resumed()
            if self._waiting.pop(message_id, None) is not None and not self._ended:
                self._machine.forget(message_id, self.clock.now_s())
                self._pump()

    def send(self, action: str, payload: dict[str, Any]) -> None:
        """Send a message that nobody answers (2.1 only)."""
        if self._ended:
            raise ConnectionLost(f"{self.id} is not connected")
        self._machine.send(action, payload)
        self._pump()

    def write_raw(self, text: bytes) -> None:
        """Write a text as it is, past every rule: what emulators need to be rude.

        Raises
        ------
        ConnectionLost
            If the connection has ended.
        """
        if self._ended or not self._socket.send_text(text):
            raise ConnectionLost(f"{self.id} is not connected")
        self.clock.frame_sent()

    async def close(self, *, code: int = 1000, reason: str = "") -> None:
        """End the connection in good order and wait until it is gone."""
        self._end(ConnectionLost(f"closed by us: {reason or code}"), reason or "closed by us")
        self._socket.close(code, reason)
        await self._closed.wait()

    async def drop(self) -> None:
        """Break the connection off without a closing handshake, as a failing network does."""
        self._end(ConnectionLost("dropped by us"), "dropped by us")
        self._socket.drop()
        await self._closed.wait()

    def supersede(self) -> None:
        """Give way to a newer connection of the same station; returns at once."""
        self._end(Superseded(f"{self.id} connected again"), "superseded")
        self._socket.close(1008, "superseded")

    def stop_pings(self) -> None:
        """Ping the peer no more."""
        self._socket.stop_pings()

    async def wait_finished(self) -> None:
        """Return when the socket is gone and the handler has been told."""
        await self._closed.wait()
        await self._finished.wait()

    # Called by the WebSocket.

    def handshake_received(self, message: object) -> None:
        """Nothing: the handshake is over when a link begins."""

    def text_received(self, text: bytes) -> None:
        """Feed the machine and act on what it found."""
        if self._ended:
            self.clock.frame_done()
            return
        if self._tap is not None or logger.isEnabledFor(logging.DEBUG):
            self._tell("in", text)
        now_s = self.clock.now_s()
        if self._bucket is not None:
            wait_s = self._bucket.wait_s(now_s)
            if wait_s > 0.0:
                self._socket.pause_reading(wait_s)
        found = self._machine.receive(text, now_s)
        first = found[0]
        # Alone: what was mended or repeated comes with an event before it.
        if type(first) is events.CallReceived:
            held = self._desk.admit(first)
            self.write()  # a call of the peer moves no deadline of ours
        else:
            held = self._act_on(found)
            self._pump()
        if not held:
            self.clock.frame_done()

    def closing(self) -> None:
        """Hold simulated time until the end of the connection has been dealt with."""
        if self._closing_token is None and not self._closed.is_set():
            self._closing_token = self.clock.busy()
            self._closing_token.__enter__()

    def closed(self, code: int, reason: str) -> None:
        """Take the end of the socket."""
        text = f"connection closed ({code}{' ' + reason if reason else ''})"
        self._end(ConnectionLost(text), text)
        self._closed.set()
        if self._closing_token is not None:
            self._closing_token.__exit__(None, None, None)
            self._closing_token = None

    # Called by the desk.

    def write(self) -> None:
        """Write what the machine wants to send."""
        for text in self._machine.texts_to_send():
            if self._socket.send_text(text):
                if self._tap is not None or logger.isEnabledFor(logging.DEBUG):
                    self._tell("out", text)
                self.clock.frame_sent()

    def report(self, event: events.Event) -> None:
        """Tell the handler what was found."""
        if isinstance(event, events.Mended):
            self.mends.update(event.mends)
        try:
            self._handler.on_event(self, event)
        except Exception:
            logger.exception("%s: on_event failed", self.id)

    # Private methods.

    def _act_on(self, found: list[events.Event]) -> bool:
        """Act on events; True if one of them keeps its frame for a handler."""
        held = False
        for event in found:
            match event:
                case events.CallReceived():
                    held = self._desk.admit(event)
                case events.SendReceived():
                    held = True
                    self._desk.admit_send(event)
                case events.CallAnswered():
                    self._wake(event.message_id, event.payload)
                case events.CallFailed():
                    self._wake(event.message_id, event.error)
                case _:
                    self.report(event)
        return held

    def _wake(self, message_id: str, result: dict[str, Any] | OcppError) -> None:
        waiter = self._waiting.pop(message_id, None)
        if waiter is not None:
            waiter.wake(self.clock, result)

    def _tell(self, direction: Direction, text: bytes) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s %s %s", "<" if direction == "in" else ">", self.id, shown(text))
        if self._tap is not None:
            try:
                self._tap(self.id, direction, text)
            except Exception:
                logger.exception("%s: the tap failed", self.id)

    def _pump(self) -> None:
        """Write what the machine wants to send, and watch its deadlines."""
        self.write()
        due_s = self._machine.next_deadline_s()
        if due_s == self._watched_s:
            return
        self._watched_s = due_s
        if self._watcher is not None:
            self._watcher.cancel()
        self._watcher = None if due_s is None else asyncio.create_task(self._watch(due_s))

    async def _watch(self, due_s: float) -> None:
        await self.clock.sleep_until(due_s)
        self._watcher = self._watched_s = None
        self._act_on(self._machine.tick(self.clock.now_s()))
        self._pump()

    def _do_busy(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Queue work during which simulated time stands still."""
        token = self.clock.busy()
        token.__enter__()

        async def run() -> None:
            try:
                await work()
            finally:
                token.__exit__(None, None, None)

        self._inbox.push(run)

    async def _open(self, after: "Link | None") -> None:
        if after is not None:
            await after.wait_finished()
        try:
            await self._handler.on_connect(self)
        except Exception:
            logger.exception("%s: on_connect failed", self.id)

    async def _close(self, reason: str) -> None:
        try:
            await self._handler.on_disconnect(self, reason)
        except Exception:
            logger.exception("%s: on_disconnect failed", self.id)
        finally:
            self._inbox.close()
            self._finished.set()

    def _end(self, error: ConnectionLost, reason: str) -> None:
        if self._ended:
            return
        self._ended = True
        self._act_on(self._machine.close(error))
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None
        self._desk.close()
        self._do_busy(lambda: self._close(reason))

"""One direction of a relayed connection: calls go one at a time, answers find their way back (2.x part 4 chapter 6).

Rule 1: the one-call-in-flight rule holds on each hop, for relayed calls and our own together.
Rule 2: a relayed text is written byte for byte as it came.
"""

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from ocpp_link import frames
from ocpp_link.clock import Clock
from ocpp_link.outbox import Priority

Reply = frames.CallResult | frames.CallError
_REMEMBERED_TIMEOUTS = 32


@dataclass(slots=True, kw_only=True)
class HopCall:
    """A call on its way over a hop."""

    message_id: str
    text: bytes
    priority: Priority
    answered: Callable[[Reply, bytes], None]
    """Takes the answer, read and as it came."""
    given_up: Callable[[], None]
    """Told when no answer came in time."""
    timeout_s: float | None = None
    """How long to wait for an answer [s]; the hop's default if absent."""


class Hop:
    """The calls towards one end.

    Parameters
    ----------
    write
        Writes a text to that end.
    clock
        Where time comes from.
    timeout_s
        How long to wait for an answer before the next call goes out [s].
    """

    def __init__(self, write: Callable[[bytes], None], *, clock: Clock, timeout_s: float) -> None:
        self._write = write
        self._clock = clock
        self._timeout_s = timeout_s
        self._pending: HopCall | None = None
        self._queue: list[tuple[int, int, HopCall]] = []
        self._pushed = 0
        self._late: OrderedDict[str, HopCall] = OrderedDict()
        self._watcher: asyncio.Task[None] | None = None

    def push(self, call: HopCall) -> None:
        """Send a call, or queue it behind the one in flight."""
        self._pushed += 1
        heapq.heappush(self._queue, (call.priority, self._pushed, call))
        self._next()

    def take_reply(self, reply: Reply, text: bytes) -> bool:
        """Hand an answer to whoever asked; False if nobody did."""
        call = self._pending
        if call is None or call.message_id != reply.message_id:
            late = self._late.pop(reply.message_id, None)
            if late is not None:
                late.answered(reply, text)
            return late is not None
        self._clear()
        call.answered(reply, text)
        self._next()
        return True

    def end(self) -> None:
        """Give up everything: that end is gone."""
        waiting = [call for _, _, call in sorted(self._queue, key=lambda item: item[:2])]
        if self._pending is not None:
            waiting.insert(0, self._pending)
        self._queue.clear()
        self._clear()
        for call in waiting:
            call.given_up()

    def _next(self) -> None:
        if self._pending is None and self._queue:
            _, _, self._pending = heapq.heappop(self._queue)
            timeout_s = self._timeout_s if self._pending.timeout_s is None else self._pending.timeout_s
            self._watcher = asyncio.create_task(self._watch(self._clock.now_s() + timeout_s))
            self._write(self._pending.text)

    def _clear(self) -> None:
        self._pending = None
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None

    async def _watch(self, due_s: float) -> None:
        await self._clock.sleep_until(due_s)
        call, self._pending, self._watcher = self._pending, None, None
        if call is not None:
            self._late[call.message_id] = call
            if len(self._late) > _REMEMBERED_TIMEOUTS:
                self._late.popitem(last=False)
            call.given_up()
        self._next()

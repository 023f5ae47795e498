"""The queue of our own calls: one at a time goes out, by priority, the newest of equals that replace each other.

Rule 1: nothing here reads a clock or knows a connection; `protocol` pops when the slot is free.
Rule 2: a call that leaves the queue unsent is returned to the caller of the method, never lost in silence.
"""

import heapq
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

REMEMBERED_TIMEOUTS = 32
"""Calls that ran into their deadline, kept to recognise their late answers."""


class Priority(IntEnum):
    """Order of our own queued calls; answers to the peer always go first."""

    SAFETY = 0
    INTERACTIVE = 1
    NORMAL = 2
    BULK = 3


@dataclass(slots=True, kw_only=True)
class OurCall:
    """A call of ours, from queue to answer."""

    message_id: str
    action: str
    payload: dict[str, Any]
    text: bytes
    timeout_s: float
    priority: Priority
    expires_s: float | None
    """While queued: when the call is dropped unsent [s]."""
    coalesce: Hashable | None
    """Queued calls with the same key replace each other."""
    deadline_s: float = 0.0
    """In flight: when the answer is given up [s]."""
    dropped: bool = False


class Outbox:
    """Calls that wait for the connection's one slot."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, OurCall]] = []
        self._pushed = 0  # ever: the tie-breaker that keeps equals first in, first out
        self._by_key: dict[Hashable, OurCall] = {}

    def push(self, call: OurCall) -> OurCall | None:
        """Queue a call; return the one that it replaces."""
        self._pushed += 1
        heapq.heappush(self._heap, (call.priority, self._pushed, call))
        if call.coalesce is None:
            return None
        older = self._by_key.get(call.coalesce)
        self._by_key[call.coalesce] = call
        if older is not None:
            older.dropped = True
        return older

    def pop(self) -> OurCall | None:
        """Return the call that goes out next."""
        while self._heap:
            _, _, call = heapq.heappop(self._heap)
            if not call.dropped:
                self._forget_key(call)
                return call
        return None

    def drop(self, message_id: str) -> None:
        """Forget a call whose caller no longer waits."""
        for call in self._waiting():
            if call.message_id == message_id:
                self._drop(call)

    def drop_expired(self, now_s: float) -> list[OurCall]:
        """Drop and return the calls that waited too long."""
        expired = [call for call in self._waiting() if call.expires_s is not None and call.expires_s <= now_s]
        for call in expired:
            self._drop(call)
        return expired

    def next_expiry_s(self) -> float | None:
        """Return when the next call expires [s]; ``None`` if none does."""
        return min((call.expires_s for call in self._waiting() if call.expires_s is not None), default=None)

    def drain(self) -> list[OurCall]:
        """Empty the queue and return what was in it, in order."""
        waiting = self._waiting()
        self._heap.clear()
        self._by_key.clear()
        return waiting

    def __bool__(self) -> bool:
        return bool(self._heap)

    def _waiting(self) -> list[OurCall]:
        return [call for _, _, call in sorted(self._heap, key=lambda item: item[:2]) if not call.dropped]

    def _drop(self, call: OurCall) -> None:
        call.dropped = True
        self._forget_key(call)

    def _forget_key(self, call: OurCall) -> None:
        if call.coalesce is not None and self._by_key.get(call.coalesce) is call:
            del self._by_key[call.coalesce]


class GivenUp:
    """Calls that ran into their deadline: their answers may still come."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: OrderedDict[str, OurCall] = OrderedDict()

    def remember(self, call: OurCall) -> None:
        """Keep a call, and forget the oldest where that is one too many."""
        self._calls[call.message_id] = call
        if len(self._calls) > REMEMBERED_TIMEOUTS:
            self._calls.popitem(last=False)

    def take(self, message_id: str) -> OurCall | None:
        """Return the call that an answer belongs to, once."""
        return self._calls.pop(message_id, None)

"""Time that never waits and never runs ahead: the lock-stepped clock of a simulated world.

Rules kept here
---------------
1. Time moves to the next due event only when no frame is in flight, no busy token is held and the event loop has
   nothing ready. Due events are released one at a time, in the order (time, priority, party, sequence), and the world
   comes to rest between two of them. So a run depends on its seed alone, not on the machine, its load or the sockets.
2. A party's sequence counts its own sleeps: it does not depend on what other parties did before.
3. Frames are counted by whoever sends and whoever has dealt with them; the clock knows nothing else of the wire.
4. Wall time is used for two things only: to hold back when ``speed`` says so, and to name what is stuck.

What the clock must not know: stations, messages, controllers. A party that reacts to several frames of one instant and
whose reaction depends on their order sleeps until now first (``await clock.sleep_until(clock.now_s())`` returns when
the world is at rest), sorts what arrived, and then reacts: the order of arrival over several sockets is the kernel's.
"""

import asyncio
import heapq
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Protocol

from loadmgr.errors import LoadManagerError
from loadmgr.model.units import require_utc

_QUIET_PASSES = 2
"""Passes of an event loop whose ready queue can be seen, all of them empty, before the world counts as at rest."""

_QUIET_PASSES_BLIND = 12
"""The same where the queue cannot be seen (uvloop): longer than any chain of wake-ups between two counted facts."""


class ClockStalledError(LoadManagerError):
    """Something stayed in flight without progress: a frame nobody settled or a token nobody gave back."""


class _Sleeper(Protocol):
    """What is due: woken once, unless it was cancelled before."""

    def wake(self) -> None: ...

    def cancelled(self) -> bool: ...


class _Task:
    """A coroutine that sleeps."""

    __slots__ = ("future",)

    def __init__(self, future: asyncio.Future[None]) -> None:
        self.future = future

    def wake(self) -> None:
        self.future.set_result(None)

    def cancelled(self) -> bool:
        return self.future.done()


class Timer:
    """A function to be called at an instant; ``cancel`` takes it back."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def wake(self) -> None:
        """Call the function, unless the timer was cancelled."""
        call, self._call = self._call, None
        if call is not None:
            call()

    def cancel(self) -> None:
        """Take the timer back; harmless when it has fired."""
        self._call = None

    def cancelled(self) -> bool:
        """Return whether there is nothing left to call."""
        return self._call is None


class _BusyToken:
    """Held while a party works on something that the clock cannot see."""

    __slots__ = ("_held", "_party")

    def __init__(self, party: "PartyClock") -> None:
        self._party = party
        self._held = False

    def __enter__(self) -> None:
        self._held = True
        self._party.tokens += 1
        self._party.world.count_busy(1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._held:
            self._held = False
            self._party.tokens -= 1
            self._party.world.count_busy(-1)


class PartyClock:
    """The clock as one party sees it; the link's ``Clock`` protocol.

    Parameters
    ----------
    world : VirtualClock
    name : str
        Sorts events of the same instant and priority; unique in the world.
    priority : int
        Lower comes first among events of the same instant.
    """

    __slots__ = ("done", "name", "priority", "sent", "sequence", "tokens", "world")

    def __init__(self, world: "VirtualClock", name: str, priority: int) -> None:
        self.world = world
        self.name = name
        self.priority = priority
        self.sequence = 0
        self.tokens = 0
        self.sent = 0
        self.done = 0

    def now(self) -> datetime:
        """Return the simulated instant."""
        return self.world.now()

    def now_s(self) -> float:
        """Return simulated seconds since the start."""
        return self.world.now_s()

    async def sleep_until(self, when_s: float) -> None:
        """Return when the simulated time is ``when_s`` and the world is at rest, never in the same step."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.world.schedule(self, when_s, _Task(future))
        await future

    def call_at(self, when_s: float, call: Callable[[], None]) -> Timer:
        """Call a plain function when the simulated time is ``when_s``: cheaper than a task that sleeps."""
        timer = Timer(call)
        self.world.schedule(self, when_s, timer)
        return timer

    def busy(self) -> AbstractContextManager[None]:
        """Return a token that holds time while it is held."""
        return _BusyToken(self)

    def frame_sent(self) -> None:
        """Count a frame that this party has put on the wire."""
        self.sent += 1
        self.world.count_frames(1)

    def frame_done(self) -> None:
        """Count a frame that this party has received and dealt with, or that will never arrive."""
        self.done += 1
        self.world.count_frames(-1)


class VirtualClock:
    """Simulated time, moved by the parties' rest.

    Parameters
    ----------
    start : datetime
        Simulated instant of second 0, with zone.
    speed : float, optional
        Simulated seconds per wall second at most; ``None`` is as fast as the machine allows.
    stall_s : float
        Wall seconds without progress after which the run fails and names what is stuck.

    Examples
    --------
    >>> import asyncio
    >>> from datetime import UTC, datetime
    >>> async def world() -> list[str]:
    ...     clock, heard = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC)), []
    ...     clock.party("b").call_at(60.0, lambda: heard.append("b"))
    ...     clock.party("a").call_at(60.0, lambda: heard.append("a"))
    ...     await clock.run()
    ...     return heard + [clock.now().isoformat()]
    >>> asyncio.run(world())
    ['a', 'b', '2026-01-01T00:01:00+00:00']
    """

    def __init__(self, start: datetime, *, speed: float | None = None, stall_s: float = 30.0) -> None:
        if speed is not None and not speed > 0.0:
            raise ValueError(f"speed must be above 0, got {speed}")
        self.start = require_utc(start, name="start")
        self.speed = speed
        self.events_released = 0
        self._stall_s = stall_s
        self._now_s = 0.0
        self._heap: list[tuple[float, int, str, int, _Sleeper]] = []
        self._parties: dict[str, PartyClock] = {}
        self._frames = 0
        self._busy = 0
        self._progress = 0  # changes with every frame, token and event: what the stall watch compares
        self._passes = 0
        self._polling = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._finished: asyncio.Future[None] | None = None
        self._until_s = math.inf
        self._wall_from = (0.0, 0.0)  # wall and simulated seconds from which `speed` counts

    def party(self, name: str, *, priority: int = 0) -> PartyClock:
        """Return the clock of a new party.

        Raises
        ------
        ValueError
            If the name is taken: two parties under one name would make the order of events ambiguous.
        """
        if name in self._parties:
            raise ValueError(f"name of a party must be unique, got {name!r} twice")
        self._parties[name] = PartyClock(self, name, priority)
        return self._parties[name]

    def now(self) -> datetime:
        """Return the simulated instant."""
        return self.start + timedelta(seconds=self._now_s)

    def now_s(self) -> float:
        """Return simulated seconds since the start."""
        return self._now_s

    def seconds(self, when: datetime) -> float:
        """Return an instant as simulated seconds since the start."""
        return (when - self.start).total_seconds()

    def schedule(self, party: PartyClock, when_s: float, sleeper: _Sleeper) -> None:
        """Put a sleeper on the heap; what is overdue is due now, and time never goes back."""
        if math.isnan(when_s):
            raise ValueError("when_s must be a number, got nan")
        party.sequence += 1
        heapq.heappush(self._heap, (max(when_s, self._now_s), party.priority, party.name, party.sequence, sleeper))
        self._kick()

    def count_frames(self, change: int) -> None:
        """Count frames on their way."""
        self._frames += change
        self._progress += 1
        if self._frames <= 0:
            self._kick()

    def count_busy(self, change: int) -> None:
        """Count held tokens."""
        self._busy += change
        self._progress += 1
        if self._busy <= 0:
            self._kick()

    async def run(self, *, until: datetime | None = None) -> None:
        """Let time pass until nothing is due any more, or until an instant; what is due at that instant waits.

        Raises
        ------
        ClockStalledError
            If frames or tokens stay outstanding without progress.
        """
        if self._finished is not None:
            raise RuntimeError("the clock runs already")
        self._until_s = math.inf if until is None else self.seconds(require_utc(until, name="until"))
        self._loop = asyncio.get_running_loop()
        self._finished = self._loop.create_future()
        self._wall_from = (self._loop.time(), self._now_s)
        watch = asyncio.create_task(self._watch())
        try:
            self._kick()
            await self._finished
        finally:
            watch.cancel()
            self._finished = None

    def stop(self) -> None:
        """Make ``run`` return at the next rest of the loop, whatever is still due."""
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)

    def _kick(self) -> None:
        self._passes = 0
        if self._finished is not None and not self._polling and self._loop is not None:
            self._polling = True
            self._loop.call_soon(self._poll)

    def _poll(self) -> None:
        """Look whether the world rests; if it does for long enough, release one event."""
        loop = self._loop
        self._polling = False
        if loop is None or self._finished is None or self._finished.done() or self._frames > 0 or self._busy > 0:
            return  # whoever settles the last frame or token kicks again
        ready = getattr(loop, "_ready", None)
        if ready:
            self._passes = 0
        else:
            self._passes += 1
        if self._passes < (_QUIET_PASSES_BLIND if ready is None else _QUIET_PASSES):
            self._polling = True
            loop.call_soon(self._poll)
            return
        self._passes = 0
        self._release(loop)

    def _release(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._heap and self._heap[0][4].cancelled():
            heapq.heappop(self._heap)
        due_s = self._heap[0][0] if self._heap else math.inf
        if not self._heap or due_s >= self._until_s:
            if self._until_s < math.inf:
                self._now_s = max(self._now_s, self._until_s)
            self.stop()
            return
        if self.speed is not None:
            wall_s = self._wall_from[0] + (due_s - self._wall_from[1]) / self.speed
            if wall_s > loop.time():
                self._polling = True
                loop.call_at(wall_s, self._poll)
                return
        self._now_s = due_s
        self.events_released += 1
        self._progress += 1
        sleeper = heapq.heappop(self._heap)[4]
        try:
            sleeper.wake()
        except Exception as error:  # a failing timer ends the run, where a failing task has its own owner
            if self._finished is not None:
                self._finished.set_exception(error)
            return
        self._kick()

    async def _watch(self) -> None:
        """Fail the run when frames or tokens are outstanding and nothing has happened for a while."""
        seen = -1
        while True:
            await asyncio.sleep(self._stall_s)
            if seen == self._progress and (self._frames > 0 or self._busy > 0) and self._finished is not None:
                if not self._finished.done():
                    self._finished.set_exception(ClockStalledError(self._outstanding()))
                return
            seen = self._progress

    def _outstanding(self) -> str:
        parties = [
            f"{p.name}: sent {p.sent}, settled {p.done}, busy {p.tokens}"
            for p in sorted(self._parties.values(), key=lambda p: p.name)
            if p.sent or p.done or p.tokens
        ]
        return (
            f"simulated time stands still at {self.now().isoformat()}: {self._frames} frames in flight, "
            f"{self._busy} busy tokens held, nothing moved for {self._stall_s:g} s ({'; '.join(parties)})"
        )

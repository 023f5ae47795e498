"""A lock-stepped clock for the tests: time jumps to the next sleeper only when no frame is in flight."""

import asyncio
import heapq
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta

START = datetime(2024, 1, 17, 12, tzinfo=UTC)


class LockstepClock:
    """Virtual time that both ends of every socket share."""

    def __init__(self) -> None:
        self.sent = 0
        self.done = 0
        self.tokens = 0
        self._now_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime:
        return START + timedelta(seconds=self._now_s)

    def now_s(self) -> float:
        return self._now_s

    async def sleep_until(self, when_s: float) -> None:
        if when_s <= self._now_s:
            return
        self._count += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (when_s, self._count, future))
        await future

    def busy(self) -> AbstractContextManager[None]:
        return self._busy()

    @contextmanager
    def _busy(self) -> Iterator[None]:
        self.tokens += 1
        try:
            yield
        finally:
            self.tokens -= 1

    def frame_sent(self) -> None:
        self.sent += 1

    def frame_done(self) -> None:
        self.done += 1

    @property
    def balanced(self) -> bool:
        return self.sent == self.done and self.tokens == 0

    async def settled(self) -> None:
        """Return when nothing is in flight."""
        for _ in range(2000):
            if self.balanced:
                return
            await asyncio.sleep(0.001)
        raise AssertionError(f"{self.sent} frames sent, {self.done} done, {self.tokens} tokens held")

    async def run(self) -> None:
        """Advance for ever; cancel to stop."""
        while True:
            if not await self._quiet():
                await asyncio.sleep(0.0005)
                continue
            while self._sleepers and self._sleepers[0][2].done():
                heapq.heappop(self._sleepers)
            if self._sleepers:
                self._now_s, _, future = heapq.heappop(self._sleepers)
                future.set_result(None)

    async def _quiet(self) -> bool:
        """Tell whether nothing is in flight, and nothing was for some turns: tasks that were woken have run."""
        for _ in range(5):
            if not self.balanced:
                return False
            await asyncio.sleep(0)
        return self.balanced and bool(self._sleepers)

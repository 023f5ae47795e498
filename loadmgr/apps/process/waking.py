"""When a loop goes on: as soon as somebody wakes it, or at an instant that it set itself."""

import asyncio
from datetime import datetime, timedelta

from ocpp_link.clock import Clock


class Waking:
    """What a loop waits for.

    Parameters
    ----------
    clock : Clock
        By which instants come.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._woken = asyncio.Event()
        self._due: asyncio.Task[None] | None = None

    def now(self) -> None:
        """Let the loop go on."""
        self._woken.set()

    def at(self, when: datetime) -> None:
        """Let the loop go on at an instant, instead of the one that was set before."""
        self.forget()
        in_s = max(0.0, (when - self._clock.now()) / timedelta(seconds=1))
        self._due = asyncio.create_task(self._later(self._clock.now_s() + in_s))

    def forget(self) -> None:
        """Forget the instant that was set."""
        if self._due is not None:
            self._due.cancel()

    async def wait(self) -> None:
        """Wait until the loop is to go on."""
        await self._woken.wait()

    def done(self) -> None:
        """Note that the loop goes on: whoever wakes it from now on wakes it again."""
        self._woken.clear()

    async def _later(self, when_s: float) -> None:
        await self._clock.sleep_until(when_s)
        self._woken.set()

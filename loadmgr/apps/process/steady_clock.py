"""Real time that is never set back: what happens when somebody, or NTP, sets the clock of the machine.

Rules
-----
1. Seconds for waiting come from the monotonic clock, so that no jump makes anything wait.
2. The time of day goes on by the monotonic clock too, and follows the machine's by at most half a percent: a lease of
   two hours is wrong by 36 s at most, within what station clocks are trusted anyway.
3. A jump ahead is taken over at once, and told: what stations hold by the old time is not known any more.
4. A jump back is never taken over: it is approached at the half percent. A journal and a lease never see time go back.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta

log = logging.getLogger(__name__)

JUMP_S = 10.0
"""A difference beyond this was no drift: somebody set the clock [s]."""

SLEW_RATIO = 0.005
"""So much faster or slower than the machine's seconds may the time of day go."""


class SteadyClock:
    """Real time for the controller process.

    Parameters
    ----------
    not_before : datetime, optional
        The time starts here where the machine's clock is behind: the end of a journal.
    on_jump : callable, optional
        Called with the seconds of a jump ahead, once for each.
    wall, monotonic : callable
        The machine's clocks.
    """

    def __init__(
        self,
        *,
        not_before: datetime | None = None,
        on_jump: Callable[[float], None] | None = None,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self.now_s = monotonic
        self.on_jump = on_jump
        self.behind_s = 0.0
        """How far the machine's clock is behind this one [s]; above 10 somebody has set it back."""
        self._at_s = monotonic()
        self._time = wall() if not_before is None else max(wall(), not_before)

    def now(self) -> datetime:
        """Return the time of day in UTC; never less than before."""
        at_s = self.now_s()
        elapsed_s = at_s - self._at_s
        steady = self._time + timedelta(seconds=elapsed_s)
        ahead_s = (self._wall() - steady).total_seconds()
        self._note_behind(-ahead_s)
        if ahead_s > JUMP_S:
            self._at_s, self._time = at_s, steady + timedelta(seconds=ahead_s)
            log.warning("the clock of this machine was set forward by %.0f s", ahead_s)
            if self.on_jump is not None:
                self.on_jump(ahead_s)
            return self._time
        most_s = SLEW_RATIO * elapsed_s
        self._at_s, self._time = at_s, steady + timedelta(seconds=max(-most_s, min(most_s, ahead_s)))
        return self._time

    def _note_behind(self, behind_s: float) -> None:
        if behind_s > JUMP_S >= self.behind_s:
            log.warning(
                "the clock of this machine is %.0f s behind the controller's, which never goes back: it is approached "
                "by %g %%",
                behind_s,
                100.0 * SLEW_RATIO,
            )
        self.behind_s = behind_s

    async def sleep_until(self, when_s: float) -> None:
        """Return at ``when_s`` [s]."""
        await asyncio.sleep(max(0.0, when_s - self.now_s()))

    def busy(self) -> AbstractContextManager[None]:
        """Return a token without effect: real time stands still for nobody."""
        return nullcontext()

    def frame_sent(self) -> None:
        """Nothing."""

    def frame_done(self) -> None:
        """Nothing."""

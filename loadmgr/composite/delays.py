"""Random delays of OCPP 2.1: drawn once, applied to the starts of the periods.

Rules
-----
1. Every period but the first is postponed by a whole number of seconds between 0 and ``randomizedDelay``; duration,
   start and recurrence stay (K01.FR.92 to K01.FR.94). Draws are made once for a transaction, so an answer is
   reproducible, and serve every occurrence of a recurring schedule.
2. A period whose delayed start is not before that of its successor, or not before the end, is skipped and its
   predecessor runs on (K01.FR.97, errata).
3. Without a transaction there is no delay (K08.FR.06).
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from loadmgr.model.profile import ChargingSchedule

if TYPE_CHECKING:
    import numpy as np

DrawDelays = Callable[[ChargingSchedule], tuple[int, ...]]
"""Draws the delays [s] of a schedule's periods; the first is 0."""


def no_delays(schedule: ChargingSchedule) -> tuple[int, ...]:
    """Return no delay for every period."""
    return (0,) * len(schedule.periods)


def uniform_delays(rng: "np.random.Generator") -> DrawDelays:
    """Return a function that draws uniformly from 0 to the schedule's randomized delay."""

    def draw(schedule: ChargingSchedule) -> tuple[int, ...]:
        highest = schedule.randomized_delay_s or 0
        return (0, *(int(rng.integers(0, highest + 1)) for _ in schedule.periods[1:]))

    return draw


def delayed_starts(starts: Sequence[int], delays: Sequence[int], length_s: int) -> tuple[list[int], list[int]]:
    """Return the delayed starts of the periods that remain, and which ones remain.

    Examples
    --------
    >>> delayed_starts([0, 300, 600, 900], [0, 753, 123, 87], 1 << 62)
    ([0, 723, 987], [0, 2, 3])
    """
    kept: list[tuple[int, int]] = []
    successor = length_s
    for place in range(len(starts) - 1, -1, -1):
        delay = delays[place] if 0 < place < len(delays) else 0
        begin = starts[place] + delay
        if begin < successor:
            kept.append((begin, place))
            successor = begin
    kept.reverse()
    return [begin for begin, _ in kept], [place for _, place in kept]

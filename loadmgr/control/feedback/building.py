"""The load of a building from its meter: what is left when the vehicles are taken off, bounded, never guessed.

Rules
-----
1. The reading is the sum of the building and the vehicles, so building = reading - vehicles. What a vehicle draws is
   known where its own reading is of the same time and no limit changed in between; else it lies between nothing and
   the highest current that it may take. That makes an interval for the building.
2. The estimate moves only as far as the interval forces it: up at once, because less headroom is the safe side; down
   only to what it was at most during the last minutes. So a difference of unlike timestamps never makes headroom.
3. Never below 0: generation behind the meter is no headroom.
4. A stale or missing meter leaves the site file's worst case, at once; or what was last seen, if that was more.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from loadmgr.model.topology import PhaseAmps

HOLD_S = 180
"""An estimate falls only below what was the highest for so long [s]: loads of a building come back within minutes."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What vehicles draw at least and at most on each phase [A]."""

    low_a: PhaseAmps
    high_a: PhaseAmps


@dataclass(slots=True, kw_only=True)
class BuildingEstimate:
    """The estimate of one side load.

    Parameters
    ----------
    load_a : (L1, L2, L3), optional
        The estimate [A]; ``None`` before the first reading.
    at : datetime, optional
        When its meter was last read.
    highs, loads : deque
        Upper bounds, and estimates, of the last minutes, by time.
    """

    load_a: PhaseAmps | None = None
    at: datetime | None = None
    highs: deque[tuple[datetime, PhaseAmps]] = field(default_factory=deque)
    loads: deque[tuple[datetime, PhaseAmps]] = field(default_factory=deque)


def after_reading(estimate: BuildingEstimate, reading_a: PhaseAmps, vehicles: Bounds, *, at: datetime) -> None:
    """Fold a reading of the meter into the estimate."""
    low = _minus(reading_a, vehicles.high_a)
    high = _minus(reading_a, vehicles.low_a)
    estimate.highs.append((at, high))
    while estimate.highs[0][0] < at - timedelta(seconds=HOLD_S):
        estimate.highs.popleft()
    ceiling = _each(max, *(h for _, h in estimate.highs))
    before = high if estimate.load_a is None else estimate.load_a
    estimate.load_a = _each(max, low, _each(min, before, ceiling))
    estimate.at = at
    estimate.loads.append((at, estimate.load_a))
    while estimate.loads[0][0] < at - timedelta(seconds=HOLD_S):
        estimate.loads.popleft()


def explained(estimate: BuildingEstimate, *, since: datetime) -> None:
    """Take back what was put down to the building since an instant: a vehicle was found to draw more than it may.

    From now on that vehicle counts with all that it can draw, so the next reading leaves the building its own share.
    """
    before = [load for at, load in estimate.loads if at <= since]
    if estimate.load_a is None or not before:
        return
    estimate.load_a = _each(min, estimate.load_a, before[-1])
    estimate.loads = deque((at, load) for at, load in estimate.loads if at <= since)


def load_now_a(
    estimate: BuildingEstimate, worst_case_a: PhaseAmps, *, now: datetime, stale_after_s: float
) -> tuple[PhaseAmps, bool]:
    """Return the load to reckon with now [A], and whether the meter is fresh enough to say so."""
    if estimate.load_a is None or estimate.at is None:
        return worst_case_a, False
    if (now - estimate.at).total_seconds() > stale_after_s:
        return _each(max, worst_case_a, estimate.load_a), False
    return estimate.load_a, True


def _minus(a: PhaseAmps, b: PhaseAmps) -> PhaseAmps:
    return (max(0.0, a[0] - b[0]), max(0.0, a[1] - b[1]), max(0.0, a[2] - b[2]))


def _each(choose: Callable[[Iterable[float]], float], *values: PhaseAmps) -> PhaseAmps:
    return (choose([v[0] for v in values]), choose([v[1] for v in values]), choose([v[2] for v in values]))

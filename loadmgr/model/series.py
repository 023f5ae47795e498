"""Time: step functions over instants, and the grid of steps that a plan is made on."""

import bisect
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from loadmgr.model.units import SECONDS_PER_HOUR, require_utc


@dataclass(frozen=True, slots=True)
class StepFunction:
    """A value that changes at instants and holds until the next one.

    Parameters
    ----------
    times : tuple of datetime
        Instants at which a value starts to hold, strictly increasing, with zone.
    values : tuple of float
        One value for each instant; its unit is that of the name it is stored under.
    end : datetime, optional
        Where the last value ends to hold; ``None`` means that it holds for ever.

    Notes
    -----
    Intervals are half open: ``values[i]`` holds on ``[times[i], times[i + 1])``. Before the first instant and from
    ``end`` on the function has no value (``None``), never a guessed one.
    """

    times: tuple[datetime, ...]
    values: tuple[float, ...]
    end: datetime | None = None

    def __post_init__(self) -> None:
        if len(self.times) != len(self.values):
            raise ValueError(f"values must match times: {len(self.values)} values for {len(self.times)} times")
        times = tuple(require_utc(t, name="times") for t in self.times)
        for before, after in itertools.pairwise(times):
            if after <= before:
                raise ValueError(f"times must increase strictly: {after.isoformat()} follows {before.isoformat()}")
        object.__setattr__(self, "times", times)
        if self.end is not None:
            end = require_utc(self.end, name="end")
            if times and end <= times[-1]:
                raise ValueError(f"end must lie after the last time {times[-1].isoformat()}, got {end.isoformat()}")
            object.__setattr__(self, "end", end)

    def at(self, when: datetime) -> float | None:
        """Return the value in force at ``when``, or ``None`` where the function has none."""
        if self.end is not None and when >= self.end:
            return None
        index = bisect.bisect_right(self.times, when) - 1
        return self.values[index] if index >= 0 else None

    def mean(self, start: datetime, end: datetime) -> float | None:
        """Return the mean over ``[start, end)`` weighted by time, or ``None`` if a part of it has no value."""
        if end <= start:
            raise ValueError(f"end must lie after start {start.isoformat()}, got {end.isoformat()}")
        if not self.times or start < self.times[0] or (self.end is not None and end > self.end):
            return None
        first = bisect.bisect_right(self.times, start) - 1
        total, at = 0.0, start
        for index in range(first, len(self.times)):
            until = min(self.times[index + 1] if index + 1 < len(self.times) else end, end)
            total += self.values[index] * (until - at).total_seconds()
            at = until
            if at >= end:
                break
        return total / (end - start).total_seconds()


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """The steps of a plan: a start and the length of each step, fine now and coarse later.

    Parameters
    ----------
    start : datetime
        Where the first step begins, with zone.
    durations_s : tuple of int
        Length of each step [s], each above 0.
    """

    start: datetime
    durations_s: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", require_utc(self.start, name="start"))
        if not self.durations_s:
            raise ValueError("durations_s must hold at least one step")
        for index, duration_s in enumerate(self.durations_s):
            if duration_s <= 0:
                raise ValueError(f"durations_s[{index}] must be above 0, got {duration_s}")

    @classmethod
    def uniform(cls, start: datetime, *, step_s: int, steps: int) -> "TimeGrid":
        """Return a grid of ``steps`` equal steps of ``step_s`` seconds."""
        return cls(start, (step_s,) * steps)

    @classmethod
    def of_blocks(cls, start: datetime, blocks: Iterable[tuple[int, int]]) -> "TimeGrid":
        """Return a grid of blocks ``(count, step_s)``, such as ``[(12, 300), (12, 900), (20, 3600)]``."""
        return cls(start, tuple(step_s for count, step_s in blocks for _ in range(count)))

    def __len__(self) -> int:
        return len(self.durations_s)

    @property
    def offsets_s(self) -> tuple[int, ...]:
        """Start of each step [s] after the grid's start, and the end of the last: one more than there are steps."""
        return _offsets_s(self.durations_s)

    @property
    def times(self) -> tuple[datetime, ...]:
        """Start of each step, and the end of the last."""
        return _times(self.start, self.durations_s)

    @property
    def end(self) -> datetime:
        """Where the last step ends."""
        return self.start + timedelta(seconds=sum(self.durations_s))

    @property
    def hours(self) -> tuple[float, ...]:
        """Length of each step [h]."""
        return tuple(s / SECONDS_PER_HOUR for s in self.durations_s)

    def index(self, when: datetime) -> int | None:
        """Return the step that holds ``when``, or ``None`` outside the grid."""
        offset_s = (when - self.start).total_seconds()
        offsets = self.offsets_s
        if offset_s < 0 or offset_s >= offsets[-1]:
            return None
        return bisect.bisect_right(offsets, offset_s) - 1

    def sample(self, series: StepFunction, *, outside: float | None = None) -> list[float]:
        """Return the mean of ``series`` over each step.

        Parameters
        ----------
        series : StepFunction
        outside : float, optional
            What to use where the series has no value.

        Raises
        ------
        ValueError
            If the series leaves a step without a value and ``outside`` is not given.
        """
        out, times = [], self.times
        for start, end in itertools.pairwise(times):
            mean = series.mean(start, end)
            if mean is None:
                mean = outside
            if mean is None:
                raise ValueError(f"series has no value on the whole of [{start.isoformat()}, {end.isoformat()})")
            out.append(mean)
        return out


@lru_cache(maxsize=64)
def _offsets_s(durations_s: tuple[int, ...]) -> tuple[int, ...]:
    """Return where steps begin; every EVSE of a plan asks, and plans share few grids."""
    return (0, *itertools.accumulate(durations_s))


@lru_cache(maxsize=64)
def _times(start: datetime, durations_s: tuple[int, ...]) -> tuple[datetime, ...]:
    return tuple(start + timedelta(seconds=s) for s in _offsets_s(durations_s))

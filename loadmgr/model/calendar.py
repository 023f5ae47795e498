"""Local clock time: windows of the week, and series that repeat by weekday and clock.

Rules kept here
---------------
1. Everything that leaves this module is an instant in UTC. Local time is looked at, never computed with.
2. Month and weekday are those of the instant itself, also in a window that crosses midnight: Monday to Friday
   22:00-06:00 holds on Monday from 00:00 to 06:00, and not on Saturday at 01:00.
3. A holiday counts as a Sunday, in every window that knows of it.
4. On the day when clocks go back, an hour that is shown twice is in its window twice; on the day when they go forward,
   the hour that is skipped is in no window.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from loadmgr.model.series import StepFunction
from loadmgr.model.units import require_utc

SECONDS_PER_DAY = 86_400

SUNDAY = 6

LEAP_YEAR = 2024
"""A year that has every date, for questions about all years."""

ALL_MONTHS = frozenset(range(1, 13))
ALL_WEEKDAYS = frozenset(range(7))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockWindow:
    """A part of the year by month, weekday and local clock.

    Parameters
    ----------
    months : frozenset of int
        1 is January.
    weekdays : frozenset of int
        0 is Monday, as in ``datetime.weekday``.
    start_s, end_s : int
        Seconds after local midnight; ``end_s`` at or before ``start_s`` means across midnight.
    season : ((month, day), (month, day)), optional
        First and last day of the year, both included; the last may lie before the first, across New Year.
    holidays : frozenset of date
        Local days that count as Sundays.

    Examples
    --------
    >>> evening = ClockWindow(weekdays=frozenset(range(5)), start_s=17 * 3600, end_s=21 * 3600)
    >>> evening.holds(datetime(2024, 7, 5, 20, 59, tzinfo=ZoneInfo("Europe/Berlin")))
    True
    """

    months: frozenset[int] = ALL_MONTHS
    weekdays: frozenset[int] = ALL_WEEKDAYS
    start_s: int = 0
    end_s: int = SECONDS_PER_DAY
    season: tuple[tuple[int, int], tuple[int, int]] | None = None
    holidays: frozenset[date] = frozenset()

    def __post_init__(self) -> None:
        if not self.months or not self.months <= ALL_MONTHS:
            raise ValueError(f"months must be some of 1..12, got {sorted(self.months)}")
        if not self.weekdays or not self.weekdays <= ALL_WEEKDAYS:
            raise ValueError(f"weekdays must be some of 0..6, got {sorted(self.weekdays)}")
        if not 0 <= self.start_s < SECONDS_PER_DAY:
            raise ValueError(f"start_s must lie in 0..86399, got {self.start_s}")
        if not 0 <= self.end_s <= SECONDS_PER_DAY:
            raise ValueError(f"end_s must lie in 0..86400, got {self.end_s}")
        for month, day in self.season or ():
            try:
                date(LEAP_YEAR, month, day)
            except ValueError as error:
                raise ValueError(f"season must be of days of the year, got {month}-{day}") from error

    @property
    def spans_s(self) -> tuple[tuple[int, int], ...]:
        """The spans of a day [s after midnight] that the window covers: one, or two when it crosses midnight."""
        if self.start_s < self.end_s:
            return ((self.start_s, self.end_s),)
        return tuple(span for span in ((0, self.end_s), (self.start_s, SECONDS_PER_DAY)) if span[0] < span[1])

    def holds(self, local: datetime) -> bool:
        """Return whether a moment of local time lies in the window."""
        weekday = SUNDAY if self.holidays and local.date() in self.holidays else local.weekday()
        if weekday not in self.weekdays or not self.holds_day(local.month, local.day):
            return False
        second = local.hour * 3600 + local.minute * 60 + local.second
        return any(start <= second < end for start, end in self.spans_s)

    def holds_day(self, month: int, day: int) -> bool:
        """Return whether a day of the year lies in the window's months and season."""
        if month not in self.months:
            return False
        if self.season is None:
            return True
        first, last = self.season
        within = first <= (month, day), (month, day) <= last
        return all(within) if first <= last else any(within)

    def overlaps(self, other: "ClockWindow") -> bool:
        """Return whether some moment of some year lies in both windows."""
        return bool(
            self.weekdays & other.weekdays
            and self.months & other.months
            and (
                self.season is other.season is None
                or any(self.holds_day(*day) and other.holds_day(*day) for day in days_of_year())
            )
            and any(
                max(a_start, b_start) < min(a_end, b_end)
                for a_start, a_end in self.spans_s
                for b_start, b_end in other.spans_s
            )
        )


def days_of_year() -> Iterator[tuple[int, int]]:
    """Yield month and day of every day that a year may have."""
    for number in range(366):
        day = date(LEAP_YEAR, 1, 1) + timedelta(days=number)
        yield day.month, day.day


def uncovered(windows: Iterable[ClockWindow]) -> tuple[int, int, int, int] | None:
    """Return the first ``(month, day, weekday, second)`` that lies in none of the windows, or ``None``."""
    listed = tuple(windows)
    checked: set[tuple[ClockWindow, ...]] = set()
    for month, day in days_of_year():
        held = tuple(window for window in listed if window.holds_day(month, day))
        if held in checked:
            continue
        checked.add(held)
        for weekday in range(7):
            reached = 0
            for start, end in sorted(span for w in held if weekday in w.weekdays for span in w.spans_s):
                if start > reached:
                    break
                reached = max(reached, end)
            if reached < SECONDS_PER_DAY:
                return month, day, weekday, reached
    return None


def local_pieces(zone: ZoneInfo, start: datetime, end: datetime, *, marks_s: Iterable[int]) -> Iterator[datetime]:
    """Yield ``start`` and every later instant before ``end`` at which the local clock passes a mark.

    Parameters
    ----------
    zone : ZoneInfo
    start, end : datetime
        The span, in UTC.
    marks_s : iterable of int
        Seconds after local midnight; midnight itself and every change of the clocks are always marks.
    """
    marks = sorted({0, *(mark % SECONDS_PER_DAY for mark in marks_s)})
    found = {start}
    day, last = start.astimezone(zone).date(), end.astimezone(zone).date()
    while day <= last:
        midnight = datetime.combine(day, time())
        for mark in marks:
            clock = midnight + timedelta(seconds=mark)
            # Both readings of a clock that is shown twice; a clock that is skipped adds a harmless extra piece.
            for fold in (0, 1):
                found.add(clock.replace(tzinfo=zone, fold=fold).astimezone(UTC))
        change = _clock_change(zone, midnight)
        if change is not None:
            found.add(change)
        day += timedelta(days=1)
    return iter(sorted(at for at in found if start <= at < end))


def _clock_change(zone: ZoneInfo, midnight: datetime) -> datetime | None:
    """Return the instant within a local day at which the offset from UTC changes, or ``None``."""
    low = midnight.replace(tzinfo=zone).astimezone(UTC)
    high = (midnight + timedelta(days=1)).replace(tzinfo=zone).astimezone(UTC)
    before = low.astimezone(zone).utcoffset()
    if before == high.astimezone(zone).utcoffset():
        return None
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def local_days(zone: ZoneInfo, start: datetime, end: datetime) -> dict[str, float]:
    """Return how many local days of each month, such as ``2019-06``, lie in ``[start, end)``; parts of a day count.

    Examples
    --------
    >>> zone = ZoneInfo("Europe/Berlin")  # 31 March 2024 has 23 hours
    >>> local_days(zone, datetime(2024, 3, 30, 23, tzinfo=UTC), datetime(2024, 4, 1, 10, tzinfo=UTC))
    {'2024-03': 1.0, '2024-04': 0.5}
    """
    out: dict[str, float] = {}
    day = start.astimezone(zone).date()
    while True:
        first, after = (
            datetime.combine(d, time(), tzinfo=zone).astimezone(UTC) for d in (day, day + timedelta(days=1))
        )
        if first >= end:
            return out
        share = (min(after, end) - max(first, start)) / (after - first)
        month = day.strftime("%Y-%m")
        out[month] = out.get(month, 0.0) + share
        day += timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCycle:
    """A series of whole weeks that repeats for ever, by weekday and local clock.

    Real prices of one year and real sessions of another meet here: Tuesday 18:00 stays Tuesday 18:00. With 52 weeks the
    season stays as well.

    Parameters
    ----------
    time_zone : str
        Zone whose clock is meant.
    first_day : date
        Local day on which ``values`` begins.
    step_s : int
        Length of each value on the clock [s]; divides a day.
    values : tuple of float
        As many as whole weeks have steps.
    """

    time_zone: str
    first_day: date
    step_s: int
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.step_s <= 0 or SECONDS_PER_DAY % self.step_s:
            raise ValueError(f"step_s must divide a day, got {self.step_s}")
        per_week = 7 * SECONDS_PER_DAY // self.step_s
        if not self.values or len(self.values) % per_week:
            raise ValueError(f"values must cover whole weeks of {per_week} steps, got {len(self.values)}")

    def at(self, when: datetime) -> float:
        """Return the value in force at an instant."""
        return self._at_local(require_utc(when, name="when").astimezone(ZoneInfo(self.time_zone)))

    def _at_local(self, local: datetime) -> float:
        second = local.hour * 3600 + local.minute * 60 + local.second
        step = (local.date() - self.first_day).days * (SECONDS_PER_DAY // self.step_s) + second // self.step_s
        return self.values[step % len(self.values)]

    def series(self, start: datetime, end: datetime) -> StepFunction:
        """Return the values over ``[start, end)`` as a step function of instants."""
        zone = ZoneInfo(self.time_zone)
        start, end = require_utc(start, name="start"), require_utc(end, name="end")
        # Offsets from UTC are whole quarters of an hour, so a clock step can only begin at a multiple of this.
        pace_s = math.gcd(self.step_s, 900)
        at = start - timedelta(seconds=start.timestamp() % pace_s)
        times = []
        while at < end:
            times.append(max(at, start))
            at += timedelta(seconds=pace_s)
        values = [self._at_local(at.astimezone(zone)) for at in times]
        kept = [0, *(i for i in range(1, len(times)) if values[i] != values[i - 1])]
        return StepFunction(tuple(times[i] for i in kept), tuple(values[i] for i in kept), end)

"""Prices per kWh: fixed, by the local clock, by a series; each may rise or fall with the energy of the month.

Rules kept here
---------------
1. Time of use is looked up on the local clock of the tariff's own zone.
2. Periods of a time-of-use rate never overlap and leave no gap: an order of precedence would be guessed.
3. A tier counts the energy that a month has taken at this rate, in this period; the counter starts anew each month.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from loadmgr.model.calendar import ClockWindow, LocalCycle, local_pieces, uncovered
from loadmgr.model.series import StepFunction

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A price that holds for what exceeds ``above`` in a month: kWh for energy, kW for demand."""

    above: float
    price: float


def require_tiers(tiers: Sequence[Tier], *, name: str) -> None:
    """Raise unless tiers begin above 0, one after the other."""
    bounds = [0.0, *(tier.above for tier in tiers)]
    for below, above in itertools.pairwise(bounds):
        if above <= below:
            raise ValueError(f"tiers of {name} must begin above 0 and rise, got {above:g} after {below:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedRate:
    """One price at every hour, up to the first tier."""

    price_per_kwh: float
    tiers: tuple[Tier, ...] = ()

    def __post_init__(self) -> None:
        require_tiers(self.tiers, name="a fixed rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePeriod:
    """A price up to the first tier, and the windows of the local clock in which it holds."""

    name: str
    price_per_kwh: float
    windows: tuple[ClockWindow, ...]
    tiers: tuple[Tier, ...] = ()

    def __post_init__(self) -> None:
        if not self.windows:
            raise ValueError(f"windows of rate period {self.name} must hold at least one window")
        require_tiers(self.tiers, name=f"rate period {self.name}")

    def holds(self, local: datetime) -> bool:
        """Return whether a moment of local time lies in the period."""
        return any(window.holds(local) for window in self.windows)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeOfUseRate:
    """Prices by period of the local clock.

    Parameters
    ----------
    periods : tuple of RatePeriod
        Periods that do not overlap.
    otherwise : str
        Name of the rest of the time.
    otherwise_per_kwh : float, optional
        Price of the rest; needed unless the periods leave no gap.
    """

    periods: tuple[RatePeriod, ...]
    otherwise: str = "otherwise"
    otherwise_per_kwh: float | None = None

    def __post_init__(self) -> None:
        names = [period.name for period in self.periods]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"names of periods must be unique, {twice[0]} occurs twice")
        windows = [window for period in self.periods for window in period.windows]
        if len({window.holidays for window in windows}) > 1:
            raise ValueError("holidays must be the same in every window of a rate")
        for period, later in itertools.combinations(self.periods, 2):
            if any(a.overlaps(b) for a in period.windows for b in later.windows):
                raise ValueError(f"periods must not overlap: {period.name} and {later.name} do")
        gap = uncovered(windows)
        if self.otherwise_per_kwh is None and gap is not None:
            month, day, weekday, second = gap
            clock = f"{second // 3600:02}:{second // 60 % 60:02}"
            since = f"{day} {_MONTHS[month - 1]}"
            raise ValueError(f"otherwise_per_kwh is needed: no period covers {_DAYS[weekday]} {clock}, as from {since}")

    @property
    def marks_s(self) -> tuple[int, ...]:
        """Seconds after local midnight at which a period begins or ends."""
        return tuple(second for p in self.periods for w in p.windows for second in (w.start_s, w.end_s))

    def lookup(self, local: datetime) -> tuple[str, float]:
        """Return the name and the price of the period that holds at a moment of local time."""
        for period in self.periods:
            if period.holds(local):
                return period.name, period.price_per_kwh
        if self.otherwise_per_kwh is None:
            raise AssertionError("periods leave a gap, which the constructor refuses")
        return self.otherwise, self.otherwise_per_kwh


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicRate:
    """Prices as a series of instants, such as a day-ahead market, or a series that repeats by weekday and clock."""

    price_per_kwh: StepFunction | LocalCycle


Rate = FixedRate | TimeOfUseRate | DynamicRate


def rate_series(rate: Rate, *, zone: ZoneInfo, start: datetime, end: datetime) -> StepFunction:
    """Return the price per kWh of a rate over ``[start, end)``, up to the first tier, as a step function."""
    match rate:
        case FixedRate():
            return StepFunction((start,), (rate.price_per_kwh,), end)
        case TimeOfUseRate():
            times = tuple(local_pieces(zone, start, end, marks_s=rate.marks_s))
            return StepFunction(times, tuple(rate.lookup(t.astimezone(zone))[1] for t in times), end)
        case DynamicRate():
            held = rate.price_per_kwh
            return held.series(start, end) if isinstance(held, LocalCycle) else held


def label_at(name: str, rate: Rate, local: datetime) -> str:
    """Return how a bill calls the part of a rate that holds at a moment: its name, with the period's."""
    return f"{name} {rate.lookup(local)[0]}" if isinstance(rate, TimeOfUseRate) else name


def tiers_of(name: str, rate: Rate) -> dict[str, tuple[float, tuple[Tier, ...]]]:
    """Return first price and tiers of those parts of a rate that have tiers, by label."""
    match rate:
        case FixedRate(tiers=tiers) if tiers:
            return {name: (rate.price_per_kwh, tiers)}
        case TimeOfUseRate():
            return {f"{name} {p.name}": (p.price_per_kwh, p.tiers) for p in rate.periods if p.tiers}
        case _:
            return {}

"""Demand charges over a grid: the clock windows that count, the memory of peaks, and what a peak costs.

A demand charge takes the highest mean load of fixed clock windows of the month, never of a rolling window: a plan that
limits a rolling window is too strict, and one that limits the mean of its own steps is too lax.
"""

import bisect
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from loadmgr.model.charges import DemandCharge, LineKind
from loadmgr.model.series import TimeGrid
from loadmgr.model.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from loadmgr.model.tariff import Tariff

Peaks = Mapping[tuple[str, str], float]
"""Highest window mean so far [W] by name of the demand charge and month, such as ``("capacity", "2019-06")``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandWindow:
    """A clock window of a demand charge, as far as a grid covers it.

    Parameters
    ----------
    price_per_kw : float
        Of one more kW above ``floor_w``, taxes included, up to the first tier.
    floor_w : float
        What is billed anyway [W]: the month's peak so far, its minimum or its ratchet. A mean below costs nothing.
    window_s : int
        Length of the whole window [s]; the part that the grid does not cover adds nothing here.
    step_hours : tuple of (int, float)
        Steps of the grid that lie in the window, and how long [h].
    """

    charge: str
    month: str
    start: datetime
    window_s: int
    price_per_kw: float
    floor_w: float
    step_hours: tuple[tuple[int, float], ...]

    def mean_w(self, load_w: Sequence[float], *, before_wh: float = 0.0) -> float:
        """Return the mean load of the window [W], with the energy that it held before the grid began."""
        energy_wh = math.fsum(load_w[step] * hours for step, hours in self.step_hours)
        return (before_wh + energy_wh) * SECONDS_PER_HOUR / self.window_s


def month_of(when: datetime, zone: ZoneInfo) -> str:
    """Return the local month of an instant, such as ``2019-06``."""
    return when.astimezone(zone).strftime("%Y-%m")


def demand_windows(tariff: "Tariff", grid: TimeGrid, *, before: Peaks | None = None) -> tuple[DemandWindow, ...]:
    """Return every clock window in which load counts for a demand charge, charge by charge, in order of time.

    Parameters
    ----------
    tariff : Tariff
    grid : TimeGrid
    before : mapping, optional
        The memory of peaks so far.
    """
    zone, times = tariff.zone, grid.times
    factor = tariff.factor(LineKind.DEMAND)
    out = []
    for charge in tariff.demand:
        floors: dict[str, float] = {}
        for start, end in _clock_windows(zone, grid.start, grid.end, window_s=charge.window_s):
            if not _counts(charge, start, zone):
                continue
            month = month_of(start, zone)
            if month not in floors:
                floors[month] = billed_w(charge, month, before or {})
            out.append(
                DemandWindow(
                    charge=charge.name,
                    month=month,
                    start=start,
                    window_s=charge.window_s,
                    price_per_kw=charge.price_in(month) * factor,
                    floor_w=floors[month],
                    step_hours=tuple(_shares(times, start, end)),
                )
            )
    return tuple(out)


def _counts(charge: DemandCharge, start: datetime, zone: ZoneInfo) -> bool:
    if charge.coincident and start not in charge.coincident:
        return False
    return not charge.when or any(window.holds(start.astimezone(zone)) for window in charge.when)


def _clock_windows(
    zone: ZoneInfo, start: datetime, end: datetime, *, window_s: int
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the windows of the local clock that meet ``[start, end)``, the first and last in full."""
    at = start
    while at < end:
        offset = at.astimezone(zone).utcoffset() or timedelta(0)
        into_s = (at.timestamp() + offset.total_seconds()) % window_s
        begin = at - timedelta(seconds=into_s)
        at = begin + timedelta(seconds=window_s)
        yield begin, at


def _shares(times: Sequence[datetime], start: datetime, end: datetime) -> Iterator[tuple[int, float]]:
    """Yield each step that lies in ``[start, end)`` with the hours of it that do."""
    for step in range(max(0, bisect.bisect_right(times, start) - 1), len(times) - 1):
        if times[step] >= end:
            return
        overlap = min(times[step + 1], end) - max(times[step], start)
        yield step, overlap.total_seconds() / SECONDS_PER_HOUR


def peaks_w(
    tariff: "Tariff", grid: TimeGrid, load_w: Sequence[float], *, before: Peaks | None = None
) -> dict[tuple[str, str], float]:
    """Return the memory of monthly peaks after a load.

    Parameters
    ----------
    tariff : Tariff
    grid : TimeGrid
    load_w : sequence of float
        Net load of the site on each step [W]; export is below 0 and makes no peak.
    before : mapping, optional
        The memory so far.
    """
    require_steps(grid, load_w)
    memory = dict(before or {})
    for window in demand_windows(tariff, grid):
        key = (window.charge, window.month)
        memory[key] = max(memory.get(key, 0.0), window.mean_w(load_w))
    return memory


def billed_w(charge: DemandCharge, month: str, peaks: Peaks) -> float:
    """Return the load that a month is billed for [W]: its peak, its minimum or what earlier peaks leave behind."""
    return max(peaks.get((charge.name, month), 0.0), charge.minimum_kw * 1000.0, ratchet_w(charge, month, peaks))


def ratchet_w(charge: DemandCharge, month: str, peaks: Peaks) -> float:
    """Return the least that a month is billed for because of earlier peaks [W]."""
    if charge.ratchet is None:
        return 0.0
    now, remembered = _months_since_zero(month), charge.ratchet.of_months
    earlier = [
        peak_w
        for (name, past), peak_w in peaks.items()
        if name == charge.name
        and 0 < now - _months_since_zero(past) <= charge.ratchet.months
        and (not remembered or int(past[-2:]) in remembered)
    ]
    return charge.ratchet.ratio * max(earlier, default=0.0)


def demand_cost(charge: DemandCharge, month: str, billed_kw: float) -> float:
    """Return what a month costs that is billed for ``billed_kw``, before levies and tax."""
    shares = tier_shares(billed_kw, used=0.0, bounds=[tier.above for tier in charge.tiers])
    each = (charge.price_in(month), *(tier.price for tier in charge.tiers))
    return math.fsum(share * price for share, price in zip(shares, each, strict=True))


def _months_since_zero(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:])


def tier_shares(total: float, *, used: float, bounds: Sequence[float]) -> list[float]:
    """Return how much of ``total``, counted on from ``used``, falls into each tier.

    Examples
    --------
    >>> tier_shares(50.0, used=80.0, bounds=(100.0, 120.0))
    [20.0, 20.0, 10.0]
    """
    edges = [0.0, *bounds, math.inf]
    return [max(0.0, min(used + total, above) - max(used, below)) for below, above in itertools.pairwise(edges)]


def require_steps(grid: TimeGrid, load_w: Sequence[float]) -> None:
    """Raise unless there is one load for each step of the grid."""
    if len(load_w) != len(grid):
        raise ValueError(f"load_w must hold {len(grid)} values, one for each step of the grid, got {len(load_w)}")

"""The peaks of the running month that a tariff charges for, kept from the readings of the grid connection's meter.

Rules
-----
1. What counts is the mean of imported power over a window of the clock; a reading holds until the next one, but not
   longer than the meter may be silent.
2. The memory is the highest such mean of the month, by charge; a new month starts at nothing.
3. A plan may go up to that peak for nothing: what is above it costs the charge's price.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from loadmgr.allocation import DemandCharge
from loadmgr.model.series import TimeGrid
from loadmgr.model.tariff import Tariff, demand_windows, month_of
from loadmgr.model.units import SECONDS_PER_HOUR


@dataclass(slots=True, kw_only=True)
class PeakMemory:
    """Peaks of the month, and the window that runs.

    Parameters
    ----------
    peaks_w : dict
        Highest mean so far [W] by charge and month.
    at : datetime, optional
        When the meter was last read.
    power_w : float
        Imported power at that reading [W].
    running_wh : dict
        Energy of the running window [Wh] by length of the window [s] and its start.
    """

    peaks_w: dict[tuple[str, str], float] = field(default_factory=dict)
    at: datetime | None = None
    power_w: float = 0.0
    running_wh: dict[int, tuple[datetime, float]] = field(default_factory=dict)


def fold_power(memory: PeakMemory, tariff: Tariff, power_w: float, *, at: datetime, silent_s: float) -> None:
    """Fold a reading of the grid connection's power [W] into the memory."""
    if memory.at is not None and at > memory.at:
        until = min(at, memory.at + timedelta(seconds=silent_s))
        for window_s in sorted({charge.window_s for charge in tariff.demand}):
            for start, end in _pieces(memory.at, until, window_s):
                _add(memory, tariff, window_s, energy_wh=_energy_wh(memory.power_w, start, end), start=start)
    memory.at = at if memory.at is None else max(at, memory.at)
    memory.power_w = max(0.0, power_w)


def _energy_wh(power_w: float, start: datetime, end: datetime) -> float:
    return power_w * (end - start).total_seconds() / SECONDS_PER_HOUR


def window_start(when: datetime, window_s: int) -> datetime:
    """Return the start of the window of the clock that holds an instant."""
    return datetime.fromtimestamp(when.timestamp() // window_s * window_s, tz=UTC)


def _pieces(start: datetime, end: datetime, window_s: int) -> Iterator[tuple[datetime, datetime]]:
    at = start
    while at < end:
        until = min(end, window_start(at, window_s) + timedelta(seconds=window_s))
        yield at, until
        at = until


def _add(memory: PeakMemory, tariff: Tariff, window_s: int, *, energy_wh: float, start: datetime) -> None:
    begin = window_start(start, window_s)
    known = memory.running_wh.get(window_s)
    total_wh = energy_wh + (known[1] if known is not None and known[0] == begin else 0.0)
    memory.running_wh[window_s] = (begin, total_wh)
    mean_w = total_wh * SECONDS_PER_HOUR / window_s
    for charge in tariff.demand:
        local = begin.astimezone(tariff.zone)
        if charge.window_s != window_s or (charge.when and not any(w.holds(local) for w in charge.when)):
            continue
        key = (charge.name, month_of(begin, tariff.zone))
        memory.peaks_w[key] = max(memory.peaks_w.get(key, 0.0), mean_w)


def demand_charges(memory: PeakMemory, tariff: Tariff, grid: TimeGrid) -> list[DemandCharge]:
    """Return the demand charges of a tariff for a plan, with the peak that is paid already."""
    out = []
    windows = demand_windows(tariff, grid)
    for charge in tariff.demand:
        mine = [w for w in windows if w.charge == charge.name]
        if not mine:
            continue
        applies = np.zeros(len(grid), dtype=bool)
        for window in mine:
            applies[[step for step, _ in window.step_hours]] = True
        running = memory.running_wh.get(charge.window_s)
        begun = running is not None and running[0] == window_start(grid.start, charge.window_s)
        out.append(
            DemandCharge(
                price_per_kw=mine[0].price_per_kw,
                window_s=charge.window_s,
                applies=applies,
                peak_so_far_w=memory.peaks_w.get((charge.name, mine[0].month), 0.0),
                running_energy_wh=running[1] if running is not None and begun else 0.0,
            )
        )
    return out

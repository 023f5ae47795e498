"""What came of a simulated world: energy, promises, money, peaks and excursions.

Rules kept here
---------------
1. Energy is what meters booked in slots, exact at the bounds of each slot.
2. Charging costs what the bill of the whole connection has more than the bill of the same site without vehicles. The
   same vehicles charged without control are billed in the same way.
3. A promise is an energy by an instant, said by the driver, no more than the vehicle could have had by then. A driver
   who leaves before lets it lapse; one still there when the world ends has not been judged.
"""

import math
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Any

from loadmgr.model.bill import bill
from loadmgr.model.series import TimeGrid
from loadmgr.model.tariff import Tariff
from loadmgr.sim.arrivals import Visit, uncontrolled_wh
from loadmgr.sim.ledger import Excursion, LimitFigures, limit_figures
from loadmgr.sim.world_plan import WorldPlan

SLOT_S = 900
"""Length of the slots in which energy is booked [s]."""

PROMISE_TOLERANCE_RATIO = 0.01
"""A promise is kept when no more than this share of it is missing, the accuracy of a meter,"""

PROMISE_TOLERANCE_WH = 250.0
"""or no more than this [Wh]: a minute or two of charging, which the last step of a station may leave out."""


def slot_marks_s(seconds: float) -> list[float]:
    """Return the bounds of the slots of a span [s], the last one shorter where it does not fit."""
    marks = [float(mark) for mark in range(0, math.ceil(seconds), SLOT_S)]
    return [*marks, float(seconds)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """How a visit went.

    Parameters
    ----------
    energy_wh : float
        What the vehicle took, up to its departure or to the end of the world [Wh].
    energy_by_promise_wh : float
        What it had taken when the promise fell due [Wh].
    over : bool
        Whether it has left.
    """

    visit: Visit
    energy_wh: float
    energy_by_promise_wh: float
    over: bool

    @property
    def promise(self) -> str | None:
        """``kept``, ``broken``, ``lapsed`` (left early), ``open`` (still there), or ``None`` where nothing was said."""
        promised_wh = self.visit.promised_wh
        if promised_wh is None:
            return None
        if not self.over:
            return "open"
        if self.visit.left_early:
            return "lapsed"
        missing_wh = promised_wh - self.energy_by_promise_wh
        return "kept" if missing_wh <= max(promised_wh * PROMISE_TOLERANCE_RATIO, PROMISE_TOLERANCE_WH) else "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a world.

    Parameters
    ----------
    elapsed_s : float
        How long it lasted [s].
    marks_s : tuple of float
        Bounds of the slots [s after the start].
    charged_wh : tuple of float
        What all vehicles took in each slot [Wh].
    battery_wh : tuple of float
        What stationary batteries took in each slot [Wh], + charges; empty where nobody commands any.
    """

    plan: WorldPlan
    elapsed_s: float
    marks_s: tuple[float, ...]
    charged_wh: tuple[float, ...]
    stays: tuple[Stay, ...]
    excursions: tuple[Excursion, ...] = field(repr=False)
    battery_wh: tuple[float, ...] = ()

    @property
    def grid(self) -> TimeGrid:
        """The slots as a grid."""
        pairs = pairwise(self.marks_s)
        return TimeGrid(self.plan.start, tuple(round(end - start) for start, end in pairs))

    @property
    def charging_w(self) -> tuple[float, ...]:
        """Mean power of all vehicles in each slot [W]."""
        return tuple(_mean_w(wh, hours) for wh, hours in zip(self.charged_wh, self.grid.hours, strict=True))

    @property
    def battery_w(self) -> tuple[float, ...]:
        """Mean power of stationary batteries in each slot [W], + charges."""
        taken_wh = self.battery_wh or (0.0,) * len(self.charged_wh)
        return tuple(_mean_w(wh, hours) for wh, hours in zip(taken_wh, self.grid.hours, strict=True))

    @property
    def controlled_w(self) -> tuple[float, ...]:
        """Mean power of vehicles and stationary batteries in each slot [W]."""
        return tuple(a + b for a, b in zip(self.charging_w, self.battery_w, strict=True))

    @property
    def uncontrolled_w(self) -> tuple[float, ...]:
        """Mean power of the same vehicles in each slot if nobody controlled them [W]."""
        drawn = uncontrolled_wh(self.plan.arrivals.visits, voltage_v=self.plan.site.voltage_v, marks_s=self.marks_s)
        return tuple(_mean_w(wh, hours) for wh, hours in zip(drawn, self.grid.hours, strict=True))

    @property
    def background_w(self) -> tuple[float, ...]:
        """Mean power of everything else in each slot [W], import positive."""
        return background_w(self.plan, self.grid)

    @property
    def limits(self) -> LimitFigures:
        """Figures about the limits of circuits."""
        return limit_figures(self.excursions, reaction_time_s=self.plan.site.timing.reaction_time_s)

    @property
    def peak_w(self) -> float:
        """Highest mean of a slot at the grid connection [W]."""
        return max(a + b for a, b in zip(self.controlled_w, self.background_w, strict=True))

    def cost(self, tariff: Tariff, charging_w: tuple[float, ...]) -> float:
        """Return what charging adds to the site's bill [the tariff's currency]."""
        grid, background_w = self.grid, self.background_w
        total_w = [a + b for a, b in zip(charging_w, background_w, strict=True)]
        return bill(tariff, grid, total_w).total - bill(tariff, grid, background_w).total

    def report(self, tariff: Tariff) -> "WorldReport":
        """Return the part of a report that the world knows; what links and solvers did is not in it."""
        return WorldReport(
            values=self._figures(tariff),
            sessions=self.session_rows(),
            excursions=[excursion.row() for excursion in self.excursions],
        )

    def _figures(self, tariff: Tariff) -> dict[str, Any]:
        site, limits = self.plan.site, self.limits
        versions = [self.plan.version_of(station).value for station in site.stations]
        promises = [stay.promise for stay in self.stays]
        uncontrolled_w = self.uncontrolled_w
        return {
            "site": site.name,
            "stations": len(site.stations),
            "versions": {version: versions.count(version) for version in sorted(set(versions))},
            "simulated_seconds": self.elapsed_s,
            "sessions": len(self.stays),
            "sessions_refused": len(self.plan.arrivals.refused),
            "energy_requested_wh": round(math.fsum(stay.visit.asked_wh for stay in self.stays), 3),
            "energy_delivered_wh": round(math.fsum(stay.energy_wh for stay in self.stays), 3),
            "promises_total": promises.count("kept") + promises.count("broken"),
            "promises_kept": promises.count("kept"),
            "promises_lapsed": promises.count("lapsed"),
            "cost": round(self.cost(tariff, self.controlled_w), 4),
            "cost_uncontrolled": round(self.cost(tariff, uncontrolled_w), 4),
            "energy_uncontrolled_wh": round(
                math.fsum(w * h for w, h in zip(uncontrolled_w, self.grid.hours, strict=True)), 3
            ),
            "currency": tariff.currency,
            "peak_w": round(self.peak_w, 3),
            "peak_uncontrolled_w": round(max(a + b for a, b in zip(uncontrolled_w, self.background_w, strict=True)), 3),
            "seconds_above_limit": round(limits.seconds_above_limit, 3),
            "seconds_above_limit_raw": round(limits.seconds_above_limit_raw, 3),
            "worst_overload_a": round(limits.worst_overload_a, 3),
            "worst_overload_ratio": round(limits.worst_overload_ratio, 4),
        }

    def session_rows(self) -> list[dict[str, Any]]:
        """Return one row for each session, in order of arrival."""
        start = self.plan.start
        return [
            {
                "session_id": stay.visit.session_id,
                "evse": stay.visit.evse.id,
                "arrival": (start + timedelta(seconds=stay.visit.arrival_s)).isoformat(),
                "departure": (start + timedelta(seconds=stay.visit.departure_s)).isoformat(),
                "energy_requested_wh": round(stay.visit.asked_wh, 3),
                "energy_delivered_wh": round(stay.energy_wh, 3),
                "promise": stay.promise,
            }
            for stay in sorted(self.stays, key=lambda s: (s.visit.arrival_s, s.visit.session_id))
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldReport:
    """Figures, and a row for each session and each excursion: plain values, ready for JSON."""

    values: dict[str, Any]
    sessions: list[dict[str, Any]]
    excursions: list[dict[str, Any]]

    def figures(self) -> dict[str, Any]:
        """Return the figures, in SI units and the tariff's currency."""
        return dict(self.values)


def background_w(plan: WorldPlan, grid: TimeGrid) -> tuple[float, ...]:
    """Return the mean power of everything but vehicles in each step of a grid [W], import positive."""
    volts = plan.site.voltage_v
    loads = [series for load in plan.background for series in load.current_a]
    return tuple(
        volts * math.fsum(series.mean(start, end) or 0.0 for series in loads) for start, end in pairwise(grid.times)
    )


def _mean_w(energy_wh: float, hours: float) -> float:
    return energy_wh / hours if hours > 0.0 else 0.0

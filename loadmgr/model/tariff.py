"""What energy costs: one definition that serves the plan and the bill.

Rules kept here
---------------
1. Prices are before tax; plan and bill add surcharges, levies and tax in the same way, so that the cost of a plan is
   the bill of its load: prices times energy, plus energy blocks, plus demand, plus fees.
2. ``prices`` are those up to the first tier; what later tiers add or take off is in ``energy_blocks``.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from loadmgr.model.calendar import local_pieces
from loadmgr.model.carbon import Carbon
from loadmgr.model.charges import DemandCharge, FixedFee, Levy, LineKind, Ratchet, Surcharge
from loadmgr.model.demand import (
    DemandWindow,
    Peaks,
    billed_w,
    demand_cost,
    demand_windows,
    month_of,
    peaks_w,
    ratchet_w,
    require_steps,
    tier_shares,
)
from loadmgr.model.rates import (
    DynamicRate,
    FixedRate,
    Rate,
    RatePeriod,
    Tier,
    TimeOfUseRate,
    label_at,
    rate_series,
    tiers_of,
)
from loadmgr.model.series import TimeGrid
from loadmgr.model.units import SECONDS_PER_HOUR

__all__ = [
    "DemandCharge",
    "DemandWindow",
    "DynamicRate",
    "EnergyBlocks",
    "FixedFee",
    "FixedRate",
    "Levy",
    "LineKind",
    "Peaks",
    "Ratchet",
    "Rate",
    "RatePeriod",
    "Surcharge",
    "Tariff",
    "Tier",
    "TimeOfUseRate",
    "UsedEnergy",
    "billed_w",
    "demand_cost",
    "demand_windows",
    "energy_blocks",
    "export_prices",
    "label_at",
    "month_of",
    "peaks_w",
    "prices",
    "ratchet_w",
    "rate_series",
    "require_steps",
    "tier_shares",
    "tiers_of",
    "used_kwh",
]

UsedEnergy = Mapping[tuple[str, str], float]
"""Energy so far [kWh] by label of a tiered rate and month, such as ``("energy peak", "2019-06")``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What a site pays and is paid.

    Parameters
    ----------
    time_zone : str
        Zone on whose clock windows, days and months are meant.
    energy : FixedRate, TimeOfUseRate or DynamicRate
        Price of imported energy.
    surcharges : tuple of Surcharge
        Added to the energy rate.
    fees : tuple of FixedFee
    levies : tuple of Levy
        Shares of some kinds of line, before tax.
    tax_ratio : float
        Tax on everything but export, levies included, such as 0.19.
    export : Rate, optional
        What exported energy earns, untaxed; ``None`` means nothing.
    carbon : Carbon, optional
        What plans count beside money; it is on no bill.
    """

    time_zone: str
    currency: str = "EUR"
    energy: Rate
    surcharges: tuple[Surcharge, ...] = ()
    tax_ratio: float = 0.0
    export: Rate | None = None
    demand: tuple[DemandCharge, ...] = ()
    fees: tuple[FixedFee, ...] = ()
    levies: tuple[Levy, ...] = ()
    carbon: Carbon | None = None

    def __post_init__(self) -> None:
        if self.tax_ratio < 0.0:
            raise ValueError(f"tax_ratio must be 0 or above, got {self.tax_ratio}")
        if self.export is not None and tiers_of("export", self.export):
            raise ValueError("export must not have tiers")
        named = {
            "surcharges": [s.name for s in self.surcharges],
            "demand": [d.name for d in self.demand],
            "fees": [f.name for f in self.fees],
            "levies": [levy.name for levy in self.levies],
        }
        for kind, names in named.items():
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"names of {kind} must be unique, {twice[0]} occurs twice")

    @property
    def zone(self) -> ZoneInfo:
        """The zone on whose clock the tariff runs."""
        return ZoneInfo(self.time_zone)

    @property
    def components(self) -> tuple[tuple[LineKind, str, Rate], ...]:
        """The named parts of the price of imported energy, the energy rate first."""
        extra = ((LineKind.SURCHARGE, s.name, s.rate) for s in self.surcharges)
        return ((LineKind.ENERGY, "energy", self.energy), *extra)

    def factor(self, kind: LineKind) -> float:
        """Return what one unit of currency of a kind of line becomes with levies and tax."""
        levied = math.fsum(levy.ratio for levy in self.levies if kind in levy.on)
        return (1.0 + levied) * (1.0 + self.tax_ratio)


def prices(tariff: Tariff, grid: TimeGrid) -> list[float]:
    """Return the price of imported energy on each step, surcharges, levies and tax included [currency per kWh].

    Raises
    ------
    ValueError
        If a dynamic rate has no price for a part of the grid.
    """
    parts = []
    for kind, name, rate in tariff.components:
        factor = tariff.factor(kind)
        parts.append([price * factor for price in _sample(rate, tariff.zone, grid, name=name)])
    return [math.fsum(step) for step in zip(*parts, strict=True)]


def export_prices(tariff: Tariff, grid: TimeGrid) -> list[float]:
    """Return what exported energy earns on each step [currency per kWh]."""
    if tariff.export is None:
        return [0.0] * len(grid)
    return _sample(tariff.export, tariff.zone, grid, name="export")


def _sample(rate: Rate, zone: ZoneInfo, grid: TimeGrid, *, name: str) -> list[float]:
    try:
        return grid.sample(rate_series(rate, zone=zone, start=grid.start, end=grid.end))
    except ValueError as fault:
        raise ValueError(f"no price for {name}: {fault}") from fault


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyBlocks:
    """What the tiers of one part of a rate add, in one month, to the prices up to the first tier.

    Parameters
    ----------
    step_hours : tuple of (int, float)
        Steps of the grid that lie in the part and month, and how long [h].
    widths_kwh : tuple of float
        How much more energy fits into each tier, from the one that the month has reached; the last is infinite.
    extra_per_kwh : tuple of float
        What a kWh in each of them costs beyond the first tier's price, taxes included.
    """

    label: str
    month: str
    step_hours: tuple[tuple[int, float], ...]
    widths_kwh: tuple[float, ...]
    extra_per_kwh: tuple[float, ...]

    def energy_kwh(self, load_w: Sequence[float]) -> float:
        """Return the energy that a load imports in the part and month."""
        return math.fsum(max(load_w[step], 0.0) * hours for step, hours in self.step_hours) / 1000.0

    def cost(self, load_w: Sequence[float]) -> float:
        """Return what the tiers add for a load."""
        left_kwh, out = self.energy_kwh(load_w), []
        for width_kwh, extra in zip(self.widths_kwh, self.extra_per_kwh, strict=True):
            out.append(min(left_kwh, width_kwh) * extra)
            left_kwh = max(0.0, left_kwh - width_kwh)
        return math.fsum(out)


def energy_blocks(tariff: Tariff, grid: TimeGrid, *, used: UsedEnergy | None = None) -> tuple[EnergyBlocks, ...]:
    """Return the tiers that a load on the grid may reach, by part of the tariff and month.

    Parameters
    ----------
    tariff : Tariff
    grid : TimeGrid
    used : mapping, optional
        Energy that the running month took before the grid.
    """
    out = []
    for kind, name, rate in tariff.components:
        tiered = tiers_of(name, rate)
        hours = _label_hours(name, rate, tariff.zone, grid) if tiered else {}
        for (label, month), steps in hours.items():
            if label not in tiered:
                continue
            first, tiers = tiered[label]
            before = (used or {}).get((label, month), 0.0)
            bounds = [tier.above for tier in tiers]
            open_ends = [
                *(max(0.0, b - max(before, a)) for a, b in zip([0.0, *bounds], bounds, strict=False)),
                math.inf,
            ]
            extras = [0.0, *((tier.price - first) * tariff.factor(kind) for tier in tiers)]
            out.append(
                EnergyBlocks(
                    label=label,
                    month=month,
                    step_hours=tuple(sorted(steps.items())),
                    widths_kwh=tuple(open_ends),
                    extra_per_kwh=tuple(extras),
                )
            )
    return tuple(out)


def used_kwh(
    tariff: Tariff, grid: TimeGrid, load_w: Sequence[float], *, before: UsedEnergy | None = None
) -> dict[tuple[str, str], float]:
    """Return the memory of the energy of tiered rates after a load [kWh], by label and month."""
    require_steps(grid, load_w)
    memory = dict(before or {})
    for blocks in energy_blocks(tariff, grid):
        key = (blocks.label, blocks.month)
        memory[key] = memory.get(key, 0.0) + blocks.energy_kwh(load_w)
    return memory


def _label_hours(name: str, rate: Rate, zone: ZoneInfo, grid: TimeGrid) -> dict[tuple[str, str], dict[int, float]]:
    """Return how long each step lies in each labelled part of a rate and each month [h]."""
    marks = rate.marks_s if isinstance(rate, TimeOfUseRate) else ()
    times = grid.times
    cuts = sorted({*times, *local_pieces(zone, grid.start, grid.end, marks_s=marks)})
    out: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    step = 0
    for start, end in itertools.pairwise(cuts):
        if start >= times[step + 1]:
            step += 1
        held = out[label_at(name, rate, start.astimezone(zone)), month_of(start, zone)]
        held[step] = held.get(step, 0.0) + (end - start).total_seconds() / SECONDS_PER_HOUR
    return out

"""What the certificate's assumptions cost: current that is kept free, and what it could have carried in a month.

Rules
-----
1. A cost in A is of the grid connection, on the phase where most is kept.
2. Energy is all that this current could carry in a month, and money what it would save at most: charged in the cheapest
   quarter of the hours instead of at the mean price. Whether vehicles would ask for it nobody knows beforehand.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from loadmgr.control.safety.certificate import counts_with_fail_safe
from loadmgr.control.safety.windows import DAY_S, SLOTS, guard_s, window_current_a
from loadmgr.control.sending.profiles import fallback_a
from loadmgr.model.failsafe import FailSafeStrategy
from loadmgr.model.series import TimeGrid
from loadmgr.model.tariff import Tariff, prices
from loadmgr.model.topology import Evse, Phase, Site, Trust

WEEKS = 4
MONTH_H = 730.5


@dataclass(frozen=True, slots=True, kw_only=True)
class AssumptionCost:
    """What one assumption keeps free.

    Parameters
    ----------
    what : str
    current_a : float
        On the worst phase of the grid connection [A].
    energy_wh : float
        What that could carry in a month, all phases together [Wh].
    money : float, optional
        What it could save in a month at most, in the site's currency; ``None`` without prices.
    """

    what: str
    current_a: float
    energy_wh: float
    money: float | None


def assumption_costs(
    site: Site, tariff: Tariff | None, *, now: datetime, side_means_a: Mapping[str, tuple[float, ...]] | None = None
) -> tuple[AssumptionCost, ...]:
    """Return what each assumption costs; those that cost nothing are left out.

    Parameters
    ----------
    tariff : Tariff, optional
    now : datetime
        Prices of the four weeks from then on are looked at.
    side_means_a : mapping, optional
        Mean of side loads on L1, L2, L3 [A] by id, where a profile is known.
    """
    spread = None if tariff is None else _spread_per_kwh(tariff, now)
    found = [_cost(site, what, amps, spread) for what, amps in _kept_free(site, side_means_a or {})]
    return tuple(c for c in found if c.current_a > 0.0)


def _kept_free(site: Site, side_means_a: Mapping[str, tuple[float, ...]]) -> Iterable[tuple[str, list[float]]]:
    rated, limit = site.root.rated_a, site.root.limit_a
    margins = [0.0 if r is None or a is None else r - a for r, a in zip(rated, limit, strict=True)]
    yield "margin below the fuse", margins
    if site.failsafe.strategy is FailSafeStrategy.TIME_DIVISION:
        share = min(1.0, guard_s(site) * SLOTS / DAY_S)
        yield "guards between windows, for clocks that are off", _sum_a(site, lambda e: share * window_current_a(e))
    else:
        yield "fallback of every EVSE, for vehicles that plug in", _sum_a(site, lambda e: fallback_a(site, e))
        yield "of that: stations that are not known to take 0 A", _sum_a(site, lambda e: _unpaused_a(site, e))
    yield "stations that are not known to hold their fail-safe", _sum_a(site, lambda e: _unproven_a(site, e))
    side = [0.0, 0.0, 0.0]
    for circuit in site.circuits:
        for load in circuit.side_loads:
            if load.id in side_means_a:
                side = [
                    s + max(0.0, w - m) for s, w, m in zip(side, load.worst_case_a, side_means_a[load.id], strict=True)
                ]
    yield "side loads at their worst instead of as they mostly are", side


def _unpaused_a(site: Site, evse: Evse) -> float:
    return 0.0 if site.station_by_id[evse.station].zero_ok is Trust.YES else fallback_a(site, evse)


def _unproven_a(site: Site, evse: Evse) -> float:
    return 0.0 if counts_with_fail_safe(site, evse) else max(0.0, evse.max_a - fallback_a(site, evse))


def _sum_a(site: Site, current_a: Callable[[Evse], float]) -> list[float]:
    return [math.fsum(current_a(e) for e in site.evses if phase in e.phases) for phase in Phase]


def _cost(site: Site, what: str, amps: list[float], spread_per_kwh: float | None) -> AssumptionCost:
    energy_wh = math.fsum(amps) * site.voltage_v * MONTH_H
    money = None if spread_per_kwh is None else energy_wh / 1000.0 / 4.0 * spread_per_kwh
    return AssumptionCost(what=what, current_a=max(amps), energy_wh=energy_wh, money=money)


def _spread_per_kwh(tariff: Tariff, now: datetime) -> float | None:
    """Return by how much the cheapest quarter of the hours is below the mean [currency per kWh]."""
    start = now.replace(minute=0, second=0, microsecond=0)
    try:
        hourly = sorted(prices(tariff, TimeGrid(start, (3600,) * (WEEKS * 7 * 24))))
    except ValueError:
        return None  # a tariff that ends before
    cheap = hourly[: len(hourly) // 4]
    return math.fsum(hourly) / len(hourly) - math.fsum(cheap) / len(cheap)

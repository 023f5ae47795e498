"""A site's circuits and power cabinets as the allocation wants them: one tree, limits in A and W."""

import math
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from loadmgr.allocation import BatteryAt, CircuitLimits
from loadmgr.allocation.problem import NOMINAL_VOLTAGE_V
from loadmgr.model.equipment import Battery, Cabinet
from loadmgr.model.ids import EvseId
from loadmgr.model.topology import Circuit, PhaseLimits, Site

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]


def feed_of_evse(site: Site) -> dict[EvseId, str]:
    """Return the label of what feeds each EVSE: its circuit, or its cabinet."""
    feeds = {evse.id: str(evse.circuit) for evse in site.evses}
    for cabinet in site.cabinets:
        feeds |= dict.fromkeys(cabinet.evses, _label(cabinet))
    return feeds


def with_cabinets(
    site: Site,
    circuits: Iterable[CircuitLimits],
    *,
    fixed_a: Mapping[str, Floats] | None = None,
    scarce: Collection[str] = (),
) -> list[CircuitLimits]:
    """Return circuits with the cabinets below them.

    Parameters
    ----------
    fixed_a : mapping, optional
        Loads that nobody controls, by label of the feed [A].
    scarce : collection of str
        Labels of feeds that tend to be full.

    Notes
    -----
    A cabinet cannot give more than it has, so what is assumed of its outlets never counts as an overload of it.
    """
    out = list(circuits)
    for cabinet in site.cabinets:
        outlets = [site.evse_by_id[evse] for evse in cabinet.evses]
        # The best outlet's efficiency: from a worse one less comes out, and nothing overloads the cabinet.
        limit_w = cabinet.max_w / max(evse.efficiency_ratio for evse in outlets)
        load_a = (fixed_a or {}).get(_label(cabinet), np.zeros(3))
        limit_w = max(limit_w, float(load_a.sum()) * NOMINAL_VOLTAGE_V)
        label = _label(cabinet)
        feed = outlets[0].circuit
        out.append(CircuitLimits(id=label, parent=feed, limit_w=limit_w, side_load_a=load_a, scarce=label in scarce))
    return out


def cabinet_room_a(site: Site, evse: EvseId, drawn_a: Mapping[EvseId, float]) -> float | None:
    """Return what the cabinet of an outlet leaves it beside the other outlets [A per phase]; ``None`` without one.

    Parameters
    ----------
    drawn_a : mapping
        Draw of every EVSE [A per phase].
    """
    cabinet = next((c for c in site.cabinets if evse in c.evses), None)
    if cabinet is None:
        return None
    outlets = [site.evse_by_id[other] for other in cabinet.evses]
    limit_w = cabinet.max_w / max(outlet.efficiency_ratio for outlet in outlets)
    others_w = math.fsum(
        drawn_a.get(outlet.id, 0.0) * len(outlet.phases) * site.voltage_v for outlet in outlets if outlet.id != evse
    )
    return max(0.0, limit_w - others_w) / (len(site.evse_by_id[evse].phases) * site.voltage_v)


def phase_limits_a(site: Site, circuit: Circuit, limit_a: PhaseLimits, side_load_a: Floats) -> Floats | None:
    """Return the limits per phase; a phase without one gets what everything below could draw at most."""
    if all(limit is None for limit in limit_a):
        return None
    most_a = sum(e.max_a for e in site.evses_under(circuit.id)) + side_load_a
    return np.array([most_a[i] if limit is None else limit for i, limit in enumerate(limit_a)])


def battery_at(battery: Battery) -> BatteryAt:
    """Return a stationary battery as it stands in the site file."""
    return BatteryAt(
        id=battery.id,
        circuit=battery.circuit,
        max_charge_w=battery.max_charge_w,
        max_discharge_w=battery.max_discharge_w,
        stored_wh=battery.stored_wh,
        capacity_wh=battery.capacity_wh,
        min_wh=battery.reserve_wh,
        charge_efficiency_ratio=battery.one_way_ratio,
        discharge_efficiency_ratio=battery.one_way_ratio,
    )


def _label(cabinet: Cabinet) -> str:
    return f"cabinet {cabinet.id}"

"""What a station says that cannot be: numbers that are none, and current out of a vehicle that cannot feed back."""

import math
from dataclasses import replace

from loadmgr.control.alarm import Severity
from loadmgr.control.observation import EvseReading
from loadmgr.control.safety.assumption import vehicle_phases
from loadmgr.control.state import EvseRecord, SiteState

TELLING_A = 3.0
"""Only a vehicle that draws at least this shows which phases it uses, and which way its meter counts [A]."""


def backwards_a(state: SiteState, record: EvseRecord, seen: EvseReading) -> float:
    """Return the highest current below 0 of an EVSE that cannot feed back [A]: turned around, it is what flows."""
    evse = record.evse
    if evse.discharge_a > 0.0:
        return 0.0
    values = [a for a in (*(seen.currents_a or ()), seen.current_a) if a is not None]
    if not values and seen.power_w is not None:
        values = [seen.power_w / (state.site.voltage_v * len(vehicle_phases(record)))]
    back_a = max(0.0, *(-a for a in values)) if values else 0.0
    if back_a <= TELLING_A:
        state.alarms.clear("measures backwards", evse.id, at=seen.at)
        return back_a
    state.alarms.raise_alarm(
        "measures backwards",
        evse.id,
        at=seen.at,
        severity=Severity.WARNING,
        cause=f"{evse.id} reports {back_a:.1f} A that flow back, and is not installed for that; it counts as drawn",
        advice="turn the current transformers of its meter around, or say `discharge` in the site file",
    )
    return back_a


def of_numbers(seen: EvseReading) -> EvseReading:
    """Return a reading without what is no number."""
    wrong: dict[str, None] = {name: None for name in _ALONE if not _is_number(getattr(seen, name))}
    for name in ("currents_a", "powers_w", "export_currents_a"):
        if not all(_is_number(a) for a in getattr(seen, name) or ()):
            wrong[name] = None
    return replace(seen, **wrong) if wrong else seen  # type: ignore[arg-type]


_ALONE = ("current_a", "power_w", "energy_wh", "state_of_charge_ratio", "offered_a", "export_w", "exported_wh")


def _is_number(value: float | None) -> bool:
    return value is None or math.isfinite(value)

"""Meter values of OCPP 1.6 and 2.x to readings: units to SI, phases to L1, L2, L3, junk left out.

Rules
-----
1. One reading for each element of ``meterValue``; only the last one of a message can be what flows now.
2. Live contexts are Sample.Periodic, Sample.Clock and Trigger. Values at the begin and end of a transaction feed the
   ledger. Interruption.Begin means that nothing flows from there on.
3. Stations send numbers as text, with a comma, with blanks, empty, or as NaN; what is no finite number is left out.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from loadmgr.bridge.fields import parse_time
from loadmgr.errors import InputError

LIVE_CONTEXTS = frozenset({"Sample.Periodic", "Sample.Clock", "Trigger", "Interruption.Begin", "Interruption.End"})
_SCALE = {"kwh": 1000.0, "kw": 1000.0, "mwh": 1_000_000.0, "mw": 1_000_000.0}
_PHASES = {"L1": 0, "L2": 1, "L3": 2, "L1-N": 0, "L2-N": 1, "L3-N": 2}


@dataclass(slots=True, kw_only=True)
class Sampled:
    """What one element of ``meterValue`` says, in SI units."""

    measured_at: datetime | None = None
    live: bool = True
    begin_wh: float | None = None
    end_wh: float | None = None
    energy_wh: float | None = None
    energy_by_phase_wh: dict[int, float] = field(default_factory=dict)
    power_w: float | None = None
    power_by_phase_w: dict[int, float] = field(default_factory=dict)
    current_a: float | None = None
    current_by_phase_a: dict[int, float] = field(default_factory=dict)
    offered_a: float | None = None
    state_of_charge_ratio: float | None = None

    @property
    def says_something(self) -> bool:
        """Whether anything was understood."""
        values = (self.energy_wh, self.power_w, self.current_a, self.offered_a, self.state_of_charge_ratio)
        by_phase = self.energy_by_phase_wh or self.power_by_phase_w or self.current_by_phase_a
        return bool(by_phase) or any(v is not None for v in values)

    @property
    def currents_a(self) -> tuple[float | None, float | None, float | None] | None:
        """Currents on the station's own phases [A]."""
        if not self.current_by_phase_a:
            return None
        by_phase = self.current_by_phase_a
        return (by_phase.get(0), by_phase.get(1), by_phase.get(2))

    @property
    def total_power_w(self) -> float | None:
        """Power over all phases [W]."""
        return self.power_w if self.power_w is not None or not self.power_by_phase_w else _sum(self.power_by_phase_w)

    @property
    def total_energy_wh(self) -> float | None:
        """The register over all phases [Wh]."""
        if self.energy_wh is not None or not self.energy_by_phase_wh:
            return self.energy_wh
        return _sum(self.energy_by_phase_wh)


def _sum(by_phase: dict[int, float]) -> float:
    return math.fsum(by_phase.values())


def sampled(elements: object) -> list[Sampled]:
    """Return what the elements of ``meterValue`` say, in their order; elements that say nothing are left out."""
    out = [_element(e) for e in elements] if isinstance(elements, list) else []
    return [s for s in out if s.says_something]


def timestamp(text: object) -> datetime | None:
    """Return a time that a station wrote, or ``None`` where it cannot be read."""
    if not isinstance(text, str):
        return None
    try:
        return parse_time(text, place="timestamp")
    except (InputError, OverflowError):
        return None


def number(value: object) -> float | None:
    """Return a finite number from what a station wrote, or ``None``."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value.strip().replace(",", ".")) if isinstance(value, str) else float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _element(element: object) -> Sampled:
    out = Sampled()
    if not isinstance(element, Mapping):
        return out
    out.measured_at = timestamp(element.get("timestamp"))
    values = element.get("sampledValue")
    contexts = set()
    for value in values if isinstance(values, list) else ():
        if isinstance(value, Mapping):
            contexts.add(_take(out, value))
    contexts.discard(None)
    out.live = bool(contexts & LIVE_CONTEXTS)
    if "Interruption.Begin" in contexts:
        out.current_a, out.power_w = 0.0, 0.0
        out.current_by_phase_a, out.power_by_phase_w = {}, {}
    return out


def _take(out: Sampled, value: Mapping[str, Any]) -> str | None:
    """Put one sampled value in its place; return its context, or ``None`` where it says nothing that is needed."""
    if value.get("location") not in (None, "Outlet"):
        return None
    found = number(value.get("value"))
    if found is None:
        return None
    context = str(value.get("context") or "Sample.Periodic")
    measurand = str(value.get("measurand") or "Energy.Active.Import.Register")
    phase_text = value.get("phase")
    phase = None if phase_text in (None, "N") else _PHASES.get(str(phase_text))
    if phase_text not in (None, "N") and phase is None:
        return None  # between two phases: a voltage, or nothing that can be used
    return context if _put(out, measurand, _in_si(found, value), phase=phase, context=context) else None


def _put(out: Sampled, measurand: str, found: float, *, phase: int | None, context: str) -> bool:
    match measurand:
        case "Energy.Active.Import.Register":
            _put_energy(out, found, phase=phase, context=context)
        case "Power.Active.Import":
            if phase is None:
                out.power_w = found
            else:
                out.power_by_phase_w[phase] = found
        case "Current.Import":
            if phase is None:
                out.current_a = found
            else:
                out.current_by_phase_a[phase] = found
        case "Current.Offered":
            out.offered_a = found
        case "SoC":
            out.state_of_charge_ratio = min(1.0, max(0.0, found / 100.0))
        case _:
            return False
    return True


def _put_energy(out: Sampled, found: float, *, phase: int | None, context: str) -> None:
    if phase is not None:
        out.energy_by_phase_wh[phase] = found
        return
    out.energy_wh = found
    if context == "Transaction.Begin":
        out.begin_wh = found
    elif context == "Transaction.End":
        out.end_wh = found


def _in_si(found: float, value: Mapping[str, Any]) -> float:
    """Return a value in W, Wh, A or %; a unit that is missing is the usual one of its measurand."""
    unit, multiplier = value.get("unit"), 0
    measure = value.get("unitOfMeasure")
    if isinstance(measure, Mapping):
        unit = measure.get("unit", unit)
        given = measure.get("multiplier", 0)
        multiplier = given if isinstance(given, int) and abs(given) <= 12 else 0
    return found * _SCALE.get(str(unit or "").strip().lower(), 1.0) * 10.0**multiplier


def register_at(samples: Iterable[Sampled], *, end: bool) -> float | None:
    """Return the register at the begin or end of a transaction, where a message says it [Wh]."""
    for sample in samples:
        found = sample.end_wh if end else sample.begin_wh
        if found is not None:
            return found
    return None

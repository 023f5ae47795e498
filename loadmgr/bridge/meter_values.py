"""From the link's readings to what the controller folds: one `Sampled` for each element of ``meterValue``.

Rules
-----
1. Only the last element of a message can be what flows now.
2. Live contexts are Sample.Periodic, Sample.Clock and Trigger. Values at the begin and end of a transaction feed the
   ledger. Interruption.Begin means that nothing flows from there on.
3. What is measured elsewhere than at the outlet is not what the vehicle gets.

How stations write numbers, units, phases and times is the business of `ocpp_link.meter`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from ocpp_link.meter import LIVE_CONTEXTS, Reading, normalise

_LIVE = LIVE_CONTEXTS | {"Interruption.Begin", "Interruption.End"}
_PHASES = {"L1": 0, "L2": 1, "L3": 2}


@dataclass(slots=True, kw_only=True)
class Sampled:
    """What one element of ``meterValue`` says, in SI units."""

    measured_at: datetime | None = None
    live: bool = False
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
    export_by_phase_a: dict[int, float] = field(default_factory=dict)
    export_w: float | None = None
    exported_wh: float | None = None

    @property
    def export_currents_a(self) -> tuple[float | None, float | None, float | None] | None:
        """Currents that are fed back, on the station's own phases [A]."""
        by_phase = self.export_by_phase_a
        return (by_phase.get(0), by_phase.get(1), by_phase.get(2)) if by_phase else None

    @property
    def currents_a(self) -> tuple[float | None, float | None, float | None] | None:
        """Currents on the station's own phases [A]."""
        if not self.current_by_phase_a:
            return None
        by_phase = self.current_by_phase_a
        return (by_phase.get(0), by_phase.get(1), by_phase.get(2))

    @property
    def powers_w(self) -> tuple[float | None, float | None, float | None] | None:
        """Powers on the station's own phases [W]."""
        if not self.power_by_phase_w:
            return None
        by_phase = self.power_by_phase_w
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


def sampled(elements: object, *, received_at: datetime) -> list[Sampled]:
    """Return what the elements of ``meterValue`` say, in their order; elements that say nothing are left out."""
    if not isinstance(elements, list):
        return []
    each = (_element(normalise([element], received_at=received_at).readings) for element in elements)
    return [found for found in each if found is not None]


def _element(readings: tuple[Reading, ...]) -> Sampled | None:
    out = Sampled()
    contexts = {r.context for r in readings if r.location == "Outlet" and _take(out, r)}
    if not contexts:
        return None
    out.measured_at, out.live = readings[0].station_time, not contexts.isdisjoint(_LIVE)
    if "Interruption.Begin" in contexts:
        out.current_a, out.power_w = 0.0, 0.0
        out.current_by_phase_a, out.power_by_phase_w = {}, {}
    return out


def _take(out: Sampled, reading: Reading) -> bool:
    """Put a reading in its place; return whether it has one."""
    value, phase = reading.value, reading.phase
    match reading.measurand:
        case "Current.Import":
            if phase is None:
                out.current_a = value
            else:
                out.current_by_phase_a[_PHASES[phase]] = value
        case "Power.Active.Import":
            if phase is None:
                out.power_w = value
            else:
                out.power_by_phase_w[_PHASES[phase]] = value
        case "Energy.Active.Import.Register":
            _take_energy(out, reading)
        case "Current.Offered":
            out.offered_a = value
        case "SoC":
            out.state_of_charge_ratio = min(1.0, max(0.0, value))
        case _:
            return _take_export(out, reading)
    return True


def _take_export(out: Sampled, reading: Reading) -> bool:
    """Put what is said of feeding back in its place; a sum over phases is told, or made of its parts."""
    value, phase = reading.value, reading.phase
    match reading.measurand:
        case "Current.Export":
            for index in range(3) if phase is None else (_PHASES[phase],):
                out.export_by_phase_a[index] = value
        case "Power.Active.Export":
            out.export_w = value if phase is None else (out.export_w or 0.0) + value
        case "Energy.Active.Export.Register" if phase is None:
            out.exported_wh = value
        case _:
            return False
    return True


def _take_energy(out: Sampled, reading: Reading) -> None:
    if reading.phase is not None:
        out.energy_by_phase_wh[_PHASES[reading.phase]] = reading.value
        return
    out.energy_wh = reading.value
    if reading.context == "Transaction.Begin":
        out.begin_wh = reading.value
    elif reading.context == "Transaction.End":
        out.end_wh = reading.value


def register_at(samples: Iterable[Sampled], *, end: bool) -> float | None:
    """Return the register at the begin or end of a transaction, where a message says it [Wh]."""
    for sample in samples:
        found = sample.end_wh if end else sample.begin_wh
        if found is not None:
            return found
    return None

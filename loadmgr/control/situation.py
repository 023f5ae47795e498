"""What holds at an instant: limits in force, side loads, and what has to be assumed of every EVSE."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from loadmgr.control.alarm import Severity
from loadmgr.control.feedback.building import load_now_a
from loadmgr.control.outside.limits import limits_now
from loadmgr.control.planning.battery import assumed_w, commanded
from loadmgr.control.safety.assumption import Assumed
from loadmgr.control.safety.circuits import Limits
from loadmgr.control.safety.reserve import assumed_now
from loadmgr.control.state import SiteState
from loadmgr.model.ids import CircuitId, EvseId
from loadmgr.model.topology import PhaseAmps


@dataclass(frozen=True, slots=True, kw_only=True)
class SideLoads:
    """Side loads of every circuit, those that hang on it itself [A].

    Parameters
    ----------
    measured_a : dict
        What the meter says now, or the worst case where none does.
    reckoned_a : dict
        The worst case, or what the meter says where that is more: what plans and pushes reckon with.
    """

    measured_a: dict[CircuitId, PhaseAmps]
    reckoned_a: dict[CircuitId, PhaseAmps]


def side_loads_now(state: SiteState, now: datetime) -> SideLoads:
    """Return the side loads of every circuit; a stale meter raises an alarm and leaves the worst case."""
    stale_after = {m.id: m.stale_after_s for m in state.site.meters}
    measured: dict[CircuitId, PhaseAmps] = {}
    reckoned: dict[CircuitId, PhaseAmps] = {}
    for circuit in state.site.circuits:
        at_meter, at_worst = np.zeros(3), np.zeros(3)
        for load in circuit.side_loads:
            now_a = load.worst_case_a
            estimate = state.buildings.get((circuit.id, load.id))
            if load.meter is not None and estimate is not None:
                now_a, fresh = load_now_a(
                    estimate, load.worst_case_a, now=now, stale_after_s=stale_after.get(load.meter, 0.0)
                )
                if not fresh:
                    _alarm_stale(state, load.meter, now)
            at_meter += np.array(now_a)
            at_worst += np.maximum(now_a, load.worst_case_a)
        if circuit.side_loads:
            measured[circuit.id] = (float(at_meter[0]), float(at_meter[1]), float(at_meter[2]))
            reckoned[circuit.id] = (float(at_worst[0]), float(at_worst[1]), float(at_worst[2]))
    return SideLoads(measured_a=measured, reckoned_a=reckoned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What holds at an instant: limits, side loads, and what has to be assumed of every EVSE and battery."""

    limits: dict[CircuitId, Limits]
    side_loads: SideLoads
    assumed: dict[EvseId, Assumed]
    batteries_w: dict[str, float] = field(default_factory=dict)

    def with_batteries_a(self, batteries_a: Mapping[CircuitId, PhaseAmps]) -> dict[CircuitId, PhaseAmps]:
        """Return what plans and pushes reckon with beside EVSEs on each circuit, with the draw of batteries [A]."""
        out = dict(self.side_loads.reckoned_a)
        for circuit, load in batteries_a.items():
            own = out.get(circuit, (0.0, 0.0, 0.0))
            out[circuit] = (own[0] + load[0], own[1] + load[1], own[2] + load[2])
        return out


def look(state: SiteState, now: datetime) -> Situation:
    """Return what holds now."""
    return Situation(
        limits=limits_now(state, now),
        side_loads=side_loads_now(state, now),
        assumed=assumed_now(state, now),
        batteries_w={battery.id: assumed_w(state, battery, now) for battery, _, _ in commanded(state)},
    )


def _alarm_stale(state: SiteState, meter: str, now: datetime) -> None:
    state.alarms.raise_alarm(
        "stale meter",
        meter,
        at=now,
        severity=Severity.WARNING,
        cause=f"meter {meter} gives no fresh readings; its side load counts with its worst case",
        advice="look at the meter and the way to it",
    )

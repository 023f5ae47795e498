"""The rows of a site's network over the steps of a run, with what is not charging taken off."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from loadmgr.allocation import ChargingRequest, CircuitLimits, build_problem
from loadmgr.allocation.constraints import NetworkRows, network_rows
from loadmgr.control.planning.network import battery_at
from loadmgr.model.ids import CircuitId
from loadmgr.model.series import StepFunction, TimeGrid
from loadmgr.model.topology import Circuit, Evse, Site
from loadmgr.sim.crowd import FloatArray
from loadmgr.sim.strategies import own_coefficients
from loadmgr.sim.world_plan import Background, WorldPlan


def with_cabinet_circuits(site: Site) -> Site:
    """Return a site in which every power cabinet is a circuit of its own, between its outlets and what feeds them.

    A cabinet's power counts at its infeed, with the losses of its best outlet.
    """
    if not site.cabinets:
        return site
    circuits, feed_of = list(site.circuits), {evse.id: evse.circuit for evse in site.evses}
    for cabinet in site.cabinets:
        outlets = [site.evse_by_id[name] for name in cabinet.evses]
        limit_w = cabinet.max_w / max(evse.efficiency_ratio for evse in outlets)
        circuit = Circuit(id=CircuitId(f"cabinet {cabinet.id}"), parent=outlets[0].circuit, limit_w=limit_w)
        circuits.append(circuit)
        feed_of |= dict.fromkeys(cabinet.evses, circuit.id)
    evses = tuple(replace(evse, circuit=feed_of[evse.id]) for evse in site.evses)
    return replace(site, circuits=tuple(circuits), evses=evses, cabinets=())


class SlotNetwork:
    """What vehicles may draw on each row in each step.

    Parameters
    ----------
    plan : WorldPlan
    grid : TimeGrid
        The steps of the run.

    Attributes
    ----------
    rows : NetworkRows
        One row for each limited phase or power of a circuit; coefficients follow the vehicles that stand there.
    side_load_a : dict
        By circuit the highest current of what hangs there beside EVSEs [A], ``(3, n_step)``.
    """

    def __init__(self, plan: WorldPlan, grid: TimeGrid) -> None:
        self.site = plan.site
        self.side_load_a = {
            circuit.id: _highest_a([b for b in plan.background if b.circuit == circuit.id], grid)
            for circuit in plan.site.circuits
        }
        requests = [
            ChargingRequest(
                id=evse.id,
                circuit=evse.circuit,
                phases=tuple(phase + 1 for phase in evse.phases),
                voltage_v=plan.site.voltage_v,
                max_a=evse.max_a,
                min_a=min(evse.min_a, evse.max_a),
            )
            for evse in plan.site.evses
        ]
        # Rows do not change in time: one step of the problem gives them, what they leave is worked out here.
        once = TimeGrid.uniform(grid.start, step_s=grid.durations_s[0], steps=1)
        at_rest = {circuit: np.zeros((3, 1)) for circuit in self.side_load_a}
        batteries = [battery_at(battery) for battery in plan.site.batteries]
        problem = build_problem(once, circuits=self.circuits(at_rest), requests=requests, batteries=batteries)
        self.rows: NetworkRows = own_coefficients(network_rows(problem))
        self.room: FloatArray = self._room(len(grid))
        self._whole = self.rows.coefficient.copy()

    def _room(self, steps: int) -> FloatArray:
        """Return what the limit of each row leaves beside what else hangs below its circuit, ``(n_step, n_row)``."""
        site = self.site
        below = {circuit.id: np.zeros((3, steps)) for circuit in site.circuits}
        for circuit in site.circuits:
            for above in site.path(circuit.id):
                below[above.id] += self.side_load_a[circuit.id]
        room = np.empty((steps, self.rows.n_rows))
        for row, name in enumerate(self.rows.names):
            side_a = below[site.circuits[name.circuit].id]
            used = side_a.sum(axis=0) * site.voltage_v if name.phase is None else side_a[name.phase - 1]
            room[:, row] = np.maximum(self.rows.room[row, 0] - used, 0.0)
        return room

    def circuits(self, side_load_a: dict[CircuitId, FloatArray]) -> list[CircuitLimits]:
        """Return the circuits for an allocation with these side loads."""
        return [
            CircuitLimits(
                id=circuit.id,
                parent=circuit.parent,
                limit_a=_limits_a(circuit, self.site, side_load_a[circuit.id]),
                limit_w=circuit.limit_w,
                side_load_a=side_load_a[circuit.id],
            )
            for circuit in self.site.circuits
        ]

    def stand(self, row: int, evse: Evse, phases_used: int) -> None:
        """Let the rows know on how many of its EVSE's phases a vehicle draws."""
        entries = slice(int(self.rows.starts[row]), int(self.rows.starts[row + 1]))
        used = {int(phase) + 1 for phase in evse.phases[:phases_used]}
        for entry in range(entries.start, entries.stop):
            name = self.rows.names[int(self.rows.row[entry])]
            whole = self._whole[entry]
            if name.kind == "phase":
                self.rows.coefficient[entry] = whole if name.phase in used else 0.0
            else:
                self.rows.coefficient[entry] = whole * len(used) / len(evse.phases)

    def loads(self, current_a: FloatArray, battery_w: FloatArray) -> FloatArray:
        """Return what currents of the EVSEs and powers of the batteries add to each row."""
        rows = self.rows
        weights = rows.coefficient * current_a[rows.evse]
        loads = np.bincount(rows.row, weights=weights, minlength=rows.n_rows)
        return np.asarray(loads + rows.battery_per_kw @ battery_w / 1000.0 if battery_w.size else loads)


def _limits_a(circuit: Circuit, site: Site, side_load_a: FloatArray) -> FloatArray | None:
    """Return the limits of a circuit per phase; a phase without one gets a bound that nothing can reach."""
    if all(limit is None for limit in circuit.limit_a):
        return None
    beyond_a = math.fsum(e.max_a for e in site.evses) + sum(float(np.abs(side).max()) for side in (side_load_a,)) + 1e4
    return np.array([beyond_a if limit is None else limit for limit in circuit.limit_a])


def _highest_a(loads: Sequence[Background], grid: TimeGrid) -> FloatArray:
    """Return the highest sum of loads on each phase in each step [A], ``(3, n_step)``."""
    out = np.zeros((3, len(grid)))
    for load in loads:
        for phase, series in enumerate(load.current_a):
            out[phase] += _highest(series, grid)
    return out


def _highest(series: StepFunction, grid: TimeGrid) -> FloatArray:
    """Return the highest value of a step function within each step; 0 where it has none."""
    times = grid.times
    out = np.zeros(len(grid))
    at = 0
    for step, (start, end) in enumerate(pairwise(times)):
        while at + 1 < len(series.times) and series.times[at + 1] <= start:
            at += 1
        values = []
        index = at
        while index < len(series.times) and series.times[index] < end:
            if series.end is None or start < series.end:
                values.append(series.values[index])
            index += 1
        out[step] = max(values, default=0.0)
    return out

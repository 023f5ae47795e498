"""The independent check: nothing that has not passed it is ever sent.

Rules of this file:

1. It shares no code with the rows of the program or the water-filling: it walks the tree by itself and adds up phasors.
2. It takes the setpoints as they will be sent and answers with faults, never with a corrected plan.
"""

import cmath
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadmgr.allocation.arrays import BoolArray, FloatArray
from loadmgr.allocation.problem import NOMINAL_VOLTAGE_V, AllocationProblem
from loadmgr.model.units import CURRENT_TOLERANCE_A, POWER_TOLERANCE_W

ComplexArray = NDArray[np.complex128]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One broken rule: what, where, by how much."""

    text: str
    step: int
    excess: float


def check(problem: AllocationProblem, current_a: FloatArray, *, battery_w: FloatArray | None = None) -> list[Fault]:
    """Return every limit that these currents would break.

    Parameters
    ----------
    problem : AllocationProblem
    current_a : (n_evse, n_step)
        Setpoints [A per phase]; below 0 feeds back.
    battery_w : (n_battery, n_step), optional
        Power of the stationary batteries.

    Notes
    -----
    A circuit whose side loads alone are above its limit passes only if no EVSE below adds to it.
    """
    if current_a.shape != (problem.n_evses, problem.n_steps):
        raise ValueError(f"current_a must have shape {(problem.n_evses, problem.n_steps)}, got {current_a.shape}")
    if not np.isfinite(current_a).all():
        return [Fault(text="current_a holds a value that is not a number", step=0, excess=math.inf)]
    faults = _evse_faults(problem, current_a)
    paths = [_path(problem, index) for index in range(len(problem.circuits.ids))]
    feeds = np.array([[index in path for path in paths] for index in range(len(paths))], dtype=bool)
    flows = (np.maximum(current_a, 0.0), np.maximum(-current_a, 0.0) if (current_a < 0.0).any() else None)
    phasors = bool(problem.evses.line_to_line.any()) or any(r is not None for r in problem.circuits.transformer_ratio)
    for index, circuit_id in enumerate(problem.circuits.ids):
        members = feeds[index, problem.evses.circuit]
        below = np.flatnonzero(feeds[index]).tolist()
        load = _load(problem, index, flows, members=members, battery_w=battery_w, paths=paths)
        side_a = problem.circuits.side_load_a[below].sum(axis=0)
        mixed = phasors and _is_mixed(problem, index, members, below)
        if mixed:
            faults += _phasor_faults(problem, index, current_a, battery_w)
        faults += _circuit_faults(problem, index, circuit_id, (load, side_a), arithmetic=not mixed)
        if not mixed:
            faults += _lasting_faults(problem, index, current_a, (load, side_a), members=members)
        if problem.circuits.neutral_limit_a[index] is not None or problem.circuits.unbalance_a[index] is not None:
            faults += _between_phases(problem, index, np.where(members[:, None], current_a, 0.0), side_a)
    return faults


def _path(problem: AllocationProblem, start: int) -> list[int]:
    path: list[int] = []
    at: int | None = start
    while at is not None:
        path.append(at)
        at = problem.circuits.parents[at]
    return path


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Load:
    """What EVSEs and batteries below a circuit take (per phase and in W), and what they feed back, apart."""

    in_a: FloatArray
    in_w: FloatArray
    out_a: FloatArray
    out_w: FloatArray


def _load(
    problem: AllocationProblem,
    index: int,
    flows: tuple[FloatArray, FloatArray | None],
    *,
    members: BoolArray,
    battery_w: FloatArray | None,
    paths: list[list[int]],
) -> _Load:
    taken, fed = flows
    on_phase = problem.evses.on_phase[members].T.astype(np.float64)
    w_per_a = problem.evses.w_per_a[members]
    in_a, in_w = on_phase @ taken[members], w_per_a @ taken[members]
    out_a, out_w = np.zeros_like(in_a), np.zeros_like(in_w)
    if fed is not None:
        out_a, out_w = on_phase @ fed[members], w_per_a @ fed[members]
    for battery, power_w in zip(
        problem.batteries, [] if battery_w is None else battery_w, strict=battery_w is not None
    ):
        if index in paths[battery.circuit]:
            into, out = np.maximum(power_w, 0.0), np.maximum(-power_w, 0.0)
            in_a, in_w = in_a + into / (3.0 * NOMINAL_VOLTAGE_V), in_w + into
            out_a, out_w = out_a + out / (3.0 * NOMINAL_VOLTAGE_V), out_w + out
    return _Load(in_a=in_a, in_w=in_w, out_a=out_a, out_w=out_w)


def _is_mixed(problem: AllocationProblem, index: int, members: BoolArray, below: list[int]) -> bool:
    ratios = problem.circuits.transformer_ratio
    return bool(problem.evses.line_to_line[members].any()) or any(ratios[at] is not None for at in below)


def _phasor_faults(
    problem: AllocationProblem, index: int, current_a: FloatArray, battery_w: FloatArray | None
) -> list[Fault]:
    """Add the line currents up as phasors, level by level from the circuit down, and compare their lengths.

    Batteries that feed back may stop at any moment: the lines must bear the loads without them, them without the loads,
    and both.
    """
    star_a = np.zeros((2, len(problem.circuits.ids), problem.n_steps))
    for battery, power_w in zip(
        problem.batteries, () if battery_w is None else battery_w, strict=battery_w is not None
    ):
        star_a[:, battery.circuit] += np.maximum([power_w, -power_w], 0.0) / (3.0 * NOMINAL_VOLTAGE_V)
    total, sides = _line_currents(problem, index, current_a, star_a[0])
    with_fed, _ = _line_currents(problem, index, np.zeros_like(current_a), star_a[1])
    fed = with_fed - sides
    faults = []
    for line in range(3):
        # A side load above its limit is not the EVSEs' doing; the polygon then touches that circle from outside.
        limit_a = problem.circuits.limit_a[index, line]
        allowed = np.maximum(limit_a, np.abs(sides[line]) * 1.004)
        applies = problem.circuits.limit_a_applies[index, line]
        flows = [np.abs(total[line]), np.abs(total[line] - fed[line])]
        flows.append(np.where(np.abs(fed[line]) > CURRENT_TOLERANCE_A, np.abs(fed[line]), 0.0))
        excess = np.max([flow - allowed for flow in flows], axis=0)
        for step in np.flatnonzero((excess > CURRENT_TOLERANCE_A) & applies):
            text = f"circuit {problem.circuits.ids[index]} is {excess[step]:.3f} A above its limit on line {line + 1}"
            faults.append(Fault(text=text, step=int(step), excess=float(excess[step])))
    return faults


def _line_currents(
    problem: AllocationProblem, index: int, current_a: FloatArray, star_a: FloatArray
) -> tuple[ComplexArray, ComplexArray]:
    """Return the phasors in the three lines that feed a circuit: of everything, and of side loads alone.

    ``star_a`` is what else hangs on each circuit, on all three phases alike, ``(n_circuit, n_step)``.
    """
    turn = [cmath.rect(1.0, math.radians(angle)) for angle in (0.0, -120.0, 120.0)]
    sides = np.array([turn[k] * problem.circuits.side_load_a[index, k] for k in range(3)])
    total = sides + np.array([turn[k] * star_a[index] for k in range(3)])
    for evse in np.flatnonzero(problem.evses.circuit == index):
        phases = [int(k) for k in np.flatnonzero(problem.evses.on_phase[evse])]
        if problem.evses.line_to_line[evse]:
            across = turn[phases[0]] - turn[phases[1]]
            total[phases[0]] += current_a[evse] * across / abs(across)
            total[phases[1]] -= current_a[evse] * across / abs(across)
        else:
            for k in phases:
                total[k] += current_a[evse] * turn[k]
    for child, parent in enumerate(problem.circuits.parents):
        if parent == index:
            child_total, child_sides = _line_currents(problem, child, current_a, star_a)
            total, sides = total + child_total, sides + child_sides
    ratio = problem.circuits.transformer_ratio[index]
    if ratio is not None:
        total = np.array([(total[k] - total[k - 1]) / ratio for k in range(3)])
        sides = np.array([(sides[k] - sides[k - 1]) / ratio for k in range(3)])
    return total, sides


def _between_phases(problem: AllocationProblem, index: int, current_a: FloatArray, side_a: FloatArray) -> list[Fault]:
    """Check the neutral and the unbalance of a circuit."""
    on_phase, to_neutral = problem.evses.on_phase, ~problem.evses.line_to_line
    phase_a = np.array([current_a[on_phase[:, k]].sum(axis=0) for k in range(3)])
    star_a = np.array([current_a[on_phase[:, k] & to_neutral].sum(axis=0) for k in range(3)])
    name = problem.circuits.ids[index]
    faults = []
    neutral_limit_a, unbalance_a = problem.circuits.neutral_limit_a[index], problem.circuits.unbalance_a[index]
    if neutral_limit_a is not None:
        turn = np.exp(1j * np.radians([0.0, -120.0, 120.0]))[:, None]
        allowed = np.maximum(neutral_limit_a, np.abs((turn * side_a).sum(axis=0)) * 1.004)
        excess = np.abs((turn * (star_a + side_a)).sum(axis=0)) - allowed
        for step in np.flatnonzero(excess > CURRENT_TOLERANCE_A):
            text = f"circuit {name} is {excess[step]:.3f} A above its limit in the neutral"
            faults.append(Fault(text=text, step=int(step), excess=float(excess[step])))
    if unbalance_a is not None:
        for one in range(3):
            for other in range(3):
                side = side_a[one] - side_a[other]
                excess = phase_a[one] - phase_a[other] + side - np.maximum(unbalance_a, side)
                for step in np.flatnonzero(excess > CURRENT_TOLERANCE_A):
                    text = f"circuit {name}: L{one + 1} is {excess[step]:.3f} A too far above L{other + 1}"
                    faults.append(Fault(text=text, step=int(step), excess=float(excess[step])))
    return faults


def _evse_faults(problem: AllocationProblem, current_a: FloatArray) -> list[Fault]:
    evses = problem.evses
    over = current_a - evses.max_a
    under = -evses.discharge_max_a - current_a
    faults = []
    for excess, word in ((over, "above its maximum"), (under, "below its lower bound")):
        broken = excess > CURRENT_TOLERANCE_A
        for evse, step in np.argwhere(broken) if broken.any() else ():
            text = f"EVSE {evses.ids[evse]} is {excess[evse, step]:.3f} A {word}"
            faults.append(Fault(text=text, step=int(step), excess=float(excess[evse, step])))
    return faults


def _circuit_faults(
    problem: AllocationProblem, index: int, circuit_id: str, flows: tuple[_Load, FloatArray], *, arithmetic: bool
) -> list[Fault]:
    load, side_a = flows
    circuits = problem.circuits
    faults = []
    if arithmetic:
        excess_a = _excess((load.in_a, load.out_a), side_a, circuits.limit_a[index], CURRENT_TOLERANCE_A)
        excess_a *= circuits.limit_a_applies[index]
        for phase, step in np.argwhere(excess_a) if excess_a.any() else ():
            text = f"circuit {circuit_id} is {excess_a[phase, step]:.3f} A above its limit on L{phase + 1}"
            faults.append(Fault(text=text, step=int(step), excess=float(excess_a[phase, step])))
    if not circuits.limit_w_applies[index].any():
        return faults
    side_w = side_a.sum(axis=0) * NOMINAL_VOLTAGE_V
    flow = (load.in_w, load.out_w)
    excess = _excess(flow, side_w, circuits.limit_w[index], POWER_TOLERANCE_W) * circuits.limit_w_applies[index]
    for step in np.flatnonzero(excess):
        text = f"circuit {circuit_id} is {excess[step]:.1f} W above its limit"
        faults.append(Fault(text=text, step=int(step), excess=float(excess[step])))
    return faults


def _lasting_faults(
    problem: AllocationProblem,
    index: int,
    current_a: FloatArray,
    flows: tuple[_Load, FloatArray],
    *,
    members: BoolArray,
) -> list[Fault]:
    """Check the limits that have to hold with nobody in control: who comes next may draw what is kept for him.

    Whoever has no more than that makes nothing worse.
    """
    circuits, evses = problem.circuits, problem.evses
    if not (evses.kept_a[members] > 0.0).any():
        return []
    load, side_a = flows
    kept_a = evses.kept_a[members, None]
    missing_a = np.maximum(kept_a - np.maximum(current_a[members], 0.0), 0.0)
    beyond_a = np.maximum(current_a[members] - kept_a, 0.0)
    on_phase = evses.on_phase[members].astype(np.float64)
    name, faults = circuits.ids[index], []
    total_w = load.in_w + side_a.sum(axis=0) * NOMINAL_VOLTAGE_V + evses.w_per_a[members] @ missing_a
    rows = [
        (load.in_a[k] + side_a[k] + on_phase[:, k] @ missing_a, on_phase[:, k] @ beyond_a, circuits.lasting_a[index, k])
        for k in range(3)
    ]
    rows.append((total_w, evses.w_per_a[members] @ beyond_a, circuits.lasting_w[index]))
    applies = [*circuits.lasting_a_applies[index], circuits.lasting_w_applies[index]]
    for place, (total, beyond, limit) in enumerate(rows):
        unit, tolerance = ("W", POWER_TOLERANCE_W) if place == 3 else ("A", CURRENT_TOLERANCE_A)
        excess = np.minimum(total - limit, beyond)
        for step in np.flatnonzero((excess > tolerance) & bool(applies[place])):
            text = f"circuit {name} would be {excess[step]:.3f} {unit} above its limit with the next vehicles"
            faults.append(Fault(text=text, step=int(step), excess=float(excess[step])))
    return faults


def _excess(flow: tuple[FloatArray, FloatArray], side: FloatArray, limit: FloatArray, tolerance: float) -> FloatArray:
    """Return by how much a flow breaks its limit in either direction, 0 where it does not.

    What is fed back is no relief for what is drawn, nor the other way round: either may stop at any moment.
    """
    taken, fed = flow
    forward = np.where(taken > tolerance, taken + np.minimum(side - limit, 0.0), 0.0)
    backward = np.where(fed > tolerance, fed - np.minimum(side, 0.0) - limit, 0.0)
    worst = np.maximum(forward, backward)
    return np.asarray(np.where(worst > tolerance, worst, 0.0))

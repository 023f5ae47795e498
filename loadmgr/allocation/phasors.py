"""Rows where currents do not simply add up: between phases, in the neutral, across a transformer.

Rules of this file:

1. A line current is a sum of phasors, one per EVSE. Where all of them point the same way the sum is arithmetic and one
   row is exact. Else the circle ``|sum| <= limit`` is replaced by a polygon inside it, over the angles that can occur:
   never unsafe, and less than 0.4 % (``1 - cos 5 degrees``) too careful. Lee et al. 2021 (doi:10.1109/TSG.2021.3074437)
   describe the constraint as a second-order cone; rows keep the program linear.
2. Loads have unity power factor. Phase L1 is at 0 degrees, L2 at -120, L3 at +120.
3. Vehicles that feed back are not planned below such rows: phasors of opposite signs would relieve each other on paper.
   A stationary battery is: alike on all phases it lies within 60 degrees of any load, and then loads and battery
   together are never more than the greater of the two, so each has rows of its own.
"""

import cmath
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from loadmgr.allocation.arrays import BoolArray, FloatArray
from loadmgr.allocation.problem import NOMINAL_VOLTAGE_V, AllocationProblem

ComplexArray = NDArray[np.complex128]
RowKind = Literal["phase", "power", "neutral", "unbalance"]

CHORD_RAD = math.radians(10.0)
"""Widest chord of the polygon: 0.4 % too careful at its middle."""

UNIT = np.exp(1j * np.radians([0.0, -120.0, 120.0]))
"""Phasor of 1 A in each phase of a star."""

_SAME_ANGLE_RAD = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExtraRow:
    """One more row: what it limits, its coefficient for each EVSE and battery (per kW), and what may flow in each step.

    ``room_back`` is what batteries may feed back; side loads do not add to it, feed-in does. On a row that lasts, an
    EVSE counts with what lies above its ``kept_a`` alone: that much is taken from the room already.
    """

    kind: RowKind
    circuit: int
    phase: int | None
    direction: int
    coefficient: FloatArray
    room: FloatArray
    applies: BoolArray
    battery: FloatArray
    room_back: FloatArray
    lasting: bool = False


def needs_phasors(problem: AllocationProblem) -> list[int]:
    """Return the circuits that carry something other than star loads."""
    circuits = problem.circuits
    carries: set[int] = set()
    chains = circuits.ancestry()
    for evse in np.flatnonzero(problem.evses.line_to_line):
        carries.update(chains[int(problem.evses.circuit[evse])])
    for index, ratio in enumerate(circuits.transformer_ratio):
        if ratio is not None:
            carries.update(chains[index])
    return sorted(carries)


def extra_rows(problem: AllocationProblem, side_a: FloatArray) -> list[ExtraRow]:
    """Return rows of phasor sums, of the neutral and of unbalance.

    Parameters
    ----------
    problem : AllocationProblem
    side_a : (n_circuit, 3, n_step)
        Side loads of each circuit with everything that it feeds [A].
    """
    circuits = problem.circuits
    rows: list[ExtraRow] = []
    for circuit in needs_phasors(problem):
        loads, sides, batteries = line_phasors(problem, circuit)
        for phase in range(3):
            applies = circuits.limit_a_applies[circuit, phase]
            if applies.any():
                limit = (circuits.limit_a[circuit, phase], applies)
                phasors = (loads[:, phase], sides[phase], batteries[:, phase])
                rows += _polygon("phase", circuit, phase + 1, limit=limit, phasors=phasors)
    for circuit, limit_a in enumerate(circuits.neutral_limit_a):
        if limit_a is not None:
            loads = np.where(problem.evses.on_phase & ~problem.evses.line_to_line[:, None], UNIT, 0.0).sum(axis=1)
            loads[np.abs(loads) < 1e-9] = 0.0
            sides = (UNIT[:, None] * side_a[circuit]).sum(axis=0)
            limit = (np.full(problem.n_steps, limit_a), np.ones(problem.n_steps, dtype=bool))
            loads = np.where(_below(problem, circuit), loads, 0.0)
            none = np.zeros(len(problem.batteries), dtype=np.complex128)
            rows += _polygon("neutral", circuit, None, limit=limit, phasors=(loads, sides, none))
    for circuit, unbalance_a in enumerate(circuits.unbalance_a):
        if unbalance_a is not None:
            rows += _unbalance(problem, circuit, unbalance_a, below=_below(problem, circuit), side_a=side_a[circuit])
    return rows


def line_phasors(problem: AllocationProblem, circuit: int) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    """Return what adds up in each line of a circuit, as phasors.

    Returns
    -------
    tuple
        Of 1 A of each EVSE, ``(n_evse, 3)``, of all side loads, ``(3, n_step)``, and of 1 kW into each battery,
        ``(n_battery, 3)``.

    Notes
    -----
    Across a delta-wye transformer, line A carries the windings of phases a and c: ``(I_a - I_c) / ratio``.
    """
    evses, circuits = problem.evses, problem.circuits
    loads = np.zeros((problem.n_evses, 3), dtype=np.complex128)
    sides = np.zeros((3, problem.n_steps), dtype=np.complex128)
    batteries = np.zeros((len(problem.batteries), 3), dtype=np.complex128)
    for at, chain in enumerate(circuits.ancestry()):
        if circuit not in chain:
            continue
        transform = np.eye(3, dtype=np.complex128)
        for passed in chain[: chain.index(circuit) + 1]:
            ratio = circuits.transformer_ratio[passed]
            if ratio is not None:
                transform = (np.eye(3) - np.roll(np.eye(3), -1, axis=1)) / ratio @ transform
        mine = np.flatnonzero(evses.circuit == at)
        loads[mine] = np.array([_own_phasor(problem, int(i)) for i in mine]).reshape(-1, 3) @ transform.T
        for place, battery in enumerate(problem.batteries):
            if battery.circuit == at:
                batteries[place] = transform @ UNIT * 1000.0 / (3.0 * NOMINAL_VOLTAGE_V)
        sides += transform @ (UNIT[:, None] * circuits.side_load_a[at])
    loads[np.abs(loads) < 1e-12] = 0.0
    return loads, sides, batteries


def _own_phasor(problem: AllocationProblem, evse: int) -> ComplexArray:
    on_phase = problem.evses.on_phase[evse]
    if not problem.evses.line_to_line[evse]:
        return np.where(on_phase, UNIT, 0.0)
    first, second = np.flatnonzero(on_phase)
    across = UNIT[first] - UNIT[second]
    out = np.zeros(3, dtype=np.complex128)
    out[first], out[second] = across / abs(across), -across / abs(across)
    return out


def _polygon(
    kind: RowKind,
    circuit: int,
    phase: int | None,
    *,
    limit: tuple[FloatArray, BoolArray],
    phasors: tuple[ComplexArray, ComplexArray, ComplexArray],
) -> Iterator[ExtraRow]:
    """Yield the rows of ``|loads @ current + sides + batteries @ power| <= limit``."""
    limit_a, applies = limit
    loads, sides, batteries = phasors
    points = [*loads[np.abs(loads) > 0.0], *sides[np.abs(sides) > 1e-9], *batteries[np.abs(batteries) > 0.0]]
    angles = np.unique(np.round(np.angle(points), 9)) if points else np.zeros(1)
    start, width = _wedge(angles)
    count = max(1, math.ceil(width / CHORD_RAD - _SAME_ANGLE_RAD))
    chord = width / count
    for direction in range(count):
        turn = cmath.exp(-1j * (start + (direction + 0.5) * chord))
        yield ExtraRow(
            kind=kind,
            circuit=circuit,
            phase=phase,
            direction=direction,
            coefficient=np.real(loads * turn),
            room=limit_a * math.cos(chord / 2.0) - np.real(sides * turn),
            applies=applies,
            # A battery that relieves a side of the polygon may stop doing so.
            battery=np.maximum(np.real(batteries * turn), 0.0),
            room_back=np.maximum(limit_a * math.cos(chord / 2.0) + np.minimum(np.real(sides * turn), 0.0), 0.0),
        )


def _wedge(angles: FloatArray) -> tuple[float, float]:
    """Return start and width of the narrowest wedge that holds all angles and every sum of them [rad]."""
    if len(angles) == 1:
        return float(angles[0]), 0.0
    gaps = np.diff(np.concatenate([angles, [angles[0] + 2.0 * math.pi]]))
    widest = int(np.argmax(gaps))
    width = 2.0 * math.pi - float(gaps[widest])
    # From half a circle on, sums may point anywhere.
    if width >= math.pi - _SAME_ANGLE_RAD:
        return 0.0, 2.0 * math.pi
    return float(angles[(widest + 1) % len(angles)]), width


def _unbalance(
    problem: AllocationProblem, circuit: int, unbalance_a: float, *, below: BoolArray, side_a: FloatArray
) -> Iterator[ExtraRow]:
    """Yield ``phase - other phase <= unbalance`` for each ordered pair (VDE-AR-N 4100: 4.6 kVA, 20 A)."""
    on_phase = problem.evses.on_phase.astype(np.float64) * below[:, None]
    for phase in range(3):
        for other in range(3):
            if phase != other:
                yield ExtraRow(
                    kind="unbalance",
                    circuit=circuit,
                    phase=phase + 1,
                    direction=other + 1,
                    coefficient=on_phase[:, phase] - on_phase[:, other],
                    room=unbalance_a - (side_a[phase] - side_a[other]),
                    applies=np.ones(problem.n_steps, dtype=bool),
                    battery=np.zeros(len(problem.batteries)),
                    room_back=np.zeros(problem.n_steps),
                )


def _below(problem: AllocationProblem, circuit: int) -> BoolArray:
    """Return which EVSEs hang below a circuit, ``(n_evse,)``."""
    feeds = np.array([circuit in chain for chain in problem.circuits.ancestry()], dtype=bool)
    return np.asarray(feeds[problem.evses.circuit])

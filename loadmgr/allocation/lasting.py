"""Rows of the limits that have to hold with nobody in control: vehicles may come in the place of others unheard.

Rules of this file:

1. On such a row an EVSE counts with the greater of its current and what is kept for whoever comes next. What is kept is
   taken from the room, and only the current above it adds to the row: up to there it is free.
2. Where side loads and what is kept are above a limit already, nobody may have more than what is kept for him.
3. Only star loads: phasors of vehicles that may come would relieve each other on paper.
"""

from collections.abc import Iterator

import numpy as np

from loadmgr.allocation.arrays import BoolArray, FloatArray
from loadmgr.allocation.phasors import ExtraRow, needs_phasors
from loadmgr.allocation.problem import NOMINAL_VOLTAGE_V, PHASES, AllocationProblem


def lasting_rows(problem: AllocationProblem, side_a: FloatArray) -> list[ExtraRow]:
    """Return one row for each limit that lasts and that somebody below has current kept for.

    Parameters
    ----------
    problem : AllocationProblem
    side_a : (n_circuit, 3, n_step)
        Side loads of each circuit with everything that it feeds [A].
    """
    if not problem.evses.kept_a.any():
        return []
    mixed = set(needs_phasors(problem))
    chains = problem.circuits.ancestry()
    rows: list[ExtraRow] = []
    for circuit in range(len(problem.circuits.ids)):
        below = np.array([circuit in chains[at] for at in problem.evses.circuit])
        if circuit in mixed or not (below & (problem.evses.kept_a > 0.0)).any():
            continue
        batteries = np.array([circuit in chains[battery.circuit] for battery in problem.batteries], dtype=bool)
        rows += _of_circuit(problem, circuit, side_a[circuit], below=below, batteries=batteries)
    return rows


def _of_circuit(
    problem: AllocationProblem, circuit: int, side_a: FloatArray, *, below: BoolArray, batteries: BoolArray
) -> Iterator[ExtraRow]:
    circuits, evses = problem.circuits, problem.evses
    for phase in np.flatnonzero(circuits.lasting_a_applies[circuit]).tolist():
        coefficient = np.where(below & evses.on_phase[:, phase], 1.0, 0.0)
        room = circuits.lasting_a[circuit, phase] - side_a[phase]
        yield _row(problem, circuit, phase + 1, coefficient=coefficient, room=room, below=batteries)
    if circuits.lasting_w_applies[circuit]:
        coefficient = np.where(below, evses.w_per_a, 0.0)
        room = circuits.lasting_w[circuit] - side_a.sum(axis=0) * NOMINAL_VOLTAGE_V
        yield _row(problem, circuit, None, coefficient=coefficient, room=room, below=batteries)


def _row(
    problem: AllocationProblem,
    circuit: int,
    phase: int | None,
    *,
    coefficient: FloatArray,
    room: FloatArray,
    below: BoolArray,
) -> ExtraRow:
    return ExtraRow(
        kind="power" if phase is None else "phase",
        circuit=circuit,
        phase=phase,
        direction=0,
        coefficient=coefficient,
        room=room - float(coefficient @ problem.evses.kept_a),
        applies=np.ones(problem.n_steps, dtype=bool),
        battery=np.where(below, 1000.0 / (1.0 if phase is None else PHASES * NOMINAL_VOLTAGE_V), 0.0),
        room_back=np.zeros(problem.n_steps),
        lasting=True,
    )

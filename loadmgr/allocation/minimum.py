"""The minimum current on the steps that are really sent: 0 or at least the minimum, in the program itself.

Rules of this file:

1. Only the first steps: a later step is planned again before it is sent.
2. Relax, repair, re-solve: values between 0 and the minimum are fixed on if they are nearer to the minimum and all
   that are on fit together, else off; the program is solved again from its basis. The last round fixes all off.
3. On small sites the first steps are whole station steps from a mixed-integer program instead.
4. A session that needs less than its minimum would give in a step is left alone: quantising lets it finish.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from loadmgr.allocation.arrays import BoolArray, FloatArray, IntArray
from loadmgr.allocation.constraints import NetworkRows
from loadmgr.allocation.problem import AllocationProblem
from loadmgr.allocation.program import Program
from loadmgr.allocation.quantise import GRAIN_A, floor_to_steps
from loadmgr.allocation.solve import Solution
from loadmgr.errors import SolverError
from loadmgr.model.units import CURRENT_TOLERANCE_A

ROUNDS = 3

SolveMixed = Callable[[Program, IntArray, Mapping[int, FloatArray]], Solution | None]
"""Solves a program some of whose columns are whole (kinds), or take one of a few values (choices by column)."""


class Session(Protocol):
    """Solves one program after the other."""

    def solve(self, program: Program) -> Solution:
        """Solve a program; raise ``SolverError`` if there is no optimum."""


_DIGITS = 6
"""Currents are compared to so many digits."""

_CONTINUOUS, _INTEGER, _SEMI_INTEGER = 0, 1, 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Command:
    """The columns of the steps that are sent: their place, EVSE, step, minimum, and whether they must stay on."""

    column: IntArray
    evse: IntArray
    step: IntArray
    min_a: FloatArray
    stays_on: BoolArray


def _command(problem: AllocationProblem, program: Program, steps: int) -> _Command:
    evses = problem.evses
    early = program.step < steps
    min_a = evses.min_a[program.evse]
    wh_per_a = problem.wh_per_a[program.evse, program.step]
    finishing = evses.need_wh[program.evse, -1] < min_a * wh_per_a
    column = np.flatnonzero(early & (min_a > 0.0) & ~finishing)
    evse, step = program.evse[column], program.step[column]
    offset_s = np.array(problem.grid.offsets_s)[step]
    is_on = evses.has_previous & (evses.previous_a[:, 0] > 0.0)
    stays_on = (evses.keep_on_s[evse] > offset_s) | (is_on & ~evses.pause_ok)[evse]
    reachable = program.upper[column] >= evses.min_a[evse] - GRAIN_A
    return _Command(
        column=column,
        evse=evse,
        step=step,
        min_a=evses.min_a[evse],
        stays_on=stays_on & reachable & (evses.taper_wh[evse] <= 0.0),
    )


def is_whole(problem: AllocationProblem, program: Program, solution: Solution, *, steps: int) -> bool:
    """Return whether the first steps are setpoints as they stand."""
    planned_a = np.zeros((problem.n_evses, problem.n_steps))
    planned_a[program.evse, program.step] = solution.values[: len(program.evse)]
    command = _command(problem, program, steps)
    if (solution.values[command.column[command.stays_on]] < command.min_a[command.stays_on] - GRAIN_A).any():
        return False
    planned_a = planned_a[:, :steps]
    return bool((np.abs(planned_a - floor_to_steps(problem, planned_a)) <= CURRENT_TOLERANCE_A).all())


def repair(
    session: Session,
    problem: AllocationProblem,
    rows: NetworkRows,
    program: Program,
    *,
    solution: Solution,
    steps: int,
) -> tuple[Solution, int]:
    """Return a solution without currents between 0 and the minimum in the first steps, and how many rounds it took."""
    command = _command(problem, program, steps)
    hopeless = program.upper[command.column] < command.min_a - GRAIN_A
    fixed_on = np.zeros(len(command.column), dtype=bool)
    fixed_off = np.zeros(len(command.column), dtype=bool)
    for done in range(ROUNDS):
        # Rounded: two solves of one program differ in the last digits, and an even value must not fall either way.
        value_a = np.round(solution.values[command.column], _DIGITS)
        below = value_a < command.min_a - GRAIN_A
        must = command.stays_on & (done == 0)
        between = below & ((value_a > CURRENT_TOLERANCE_A) | must)
        if not between.any():
            return solution, done
        likely = between & ((value_a >= command.min_a / 2.0) | command.stays_on)
        wish = (likely | must) & ~hopeless & (done < ROUNDS - 1)
        fixed_on |= _admitted(problem, rows, command, fixed_on=fixed_on, wish=wish, value_a=value_a)
        fixed_off |= between & ~fixed_on
        try:
            solution = session.solve(_fixed(program, command, fixed_on=fixed_on, fixed_off=fixed_off))
        except SolverError:
            # What fits rows and needs may still not fit a taper or a limit between phases: 0 A always does.
            fixed_off |= fixed_on
            fixed_on[:] = False
            solution = session.solve(_fixed(program, command, fixed_on=fixed_on, fixed_off=fixed_off))
    return solution, ROUNDS


def _fixed(program: Program, command: _Command, *, fixed_on: BoolArray, fixed_off: BoolArray) -> Program:
    lower, upper = program.lower.copy(), program.upper.copy()
    on = command.column[fixed_on]
    lower[on] = command.min_a[fixed_on]
    upper[on] = np.maximum(upper[on], lower[on])
    upper[command.column[fixed_off]] = 0.0
    return replace(program, lower=lower, upper=upper)


def _admitted(
    problem: AllocationProblem,
    rows: NetworkRows,
    command: _Command,
    *,
    fixed_on: BoolArray,
    wish: BoolArray,
    value_a: FloatArray,
) -> BoolArray:
    """Return which of the wishes can be on, so that all minimums fit rows and needs together.

    What must stay on comes first, its earliest steps before later ones: a session that needs less than it must stay on
    for goes on now and not off now and on later. Of the others the largest current comes first.
    """
    room = rows.free_room
    left_wh = problem.evses.need_wh[:, -1].copy()
    wh_per_a = problem.wh_per_a
    admitted = np.zeros(len(wish), dtype=bool)
    wished = np.flatnonzero(wish)
    first = np.lexsort((-value_a[wish], np.where(command.stays_on, command.step, 0)[wish], ~command.stays_on[wish]))
    order = np.concatenate([np.flatnonzero(fixed_on), wished[first]])
    for place in order:
        evse, step, min_a = command.evse[place], command.step[place], command.min_a[place]
        span = slice(rows.starts[evse], rows.starts[evse + 1])
        more = rows.added(span, 0.0, min_a)
        energy_wh = wh_per_a[evse, step] * min_a
        fits = energy_wh <= left_wh[evse] and bool((more <= room[rows.row[span], step]).all())
        if fixed_on[place] or fits:
            admitted[place] = True
            room[rows.row[span], step] -= more
            left_wh[evse] -= energy_wh
    return admitted


def mixed_solution(problem: AllocationProblem, program: Program, *, steps: int, solve: SolveMixed) -> Solution | None:
    """Return the best solution whose first steps are whole station steps, or ``None`` if none was found in the budget.

    Notes
    -----
    A current is ``n * step_a`` with ``n`` 0 or at least ``min_a / step_a`` (a semi-integer column); an EVSE with a list
    of pilots takes one of them or 0.
    """
    evses = problem.evses
    command = _command(problem, program, steps)
    column = command.column
    whole = np.array([evses.pilots_a[evse] is None for evse in command.evse], dtype=bool)
    unit = np.ones(program.n_columns)
    unit[column[whole]] = evses.step_a[command.evse[whole]]
    kind = np.full(program.n_columns, _CONTINUOUS, dtype=np.int64)
    kind[column] = np.where(whole, np.where(command.stays_on, _INTEGER, _SEMI_INTEGER), _CONTINUOUS)
    lower, upper = program.lower / unit, program.upper / unit
    grain = GRAIN_A / unit[column[whole]]
    lower[column[whole]] = np.ceil(command.min_a[whole] / unit[column[whole]] - grain)
    upper[column[whole]] = np.floor(upper[column[whole]] + grain)
    never = column[upper[column] < lower[column]]
    lower[never] = upper[never] = 0.0
    kind[never] = _CONTINUOUS
    scaled = replace(
        program,
        cost=program.cost * unit,
        value=program.value * np.repeat(unit, np.diff(program.start)),
        lower=lower,
        upper=upper,
    )
    choices = {}
    for place in np.flatnonzero(~whole):
        pilots_a = np.array(evses.pilots_a[command.evse[place]])
        reach = (pilots_a >= command.min_a[place]) & (pilots_a <= upper[column[place]] + GRAIN_A)
        choices[int(column[place])] = pilots_a[reach]
    solution = solve(scaled, kind, choices)
    if solution is None:
        return None
    whole_column, values = column[whole], solution.values.copy()
    values[whole_column] = np.round(values[whole_column])
    off_whole = np.abs(values - solution.values)
    values *= unit
    value_a = values[column]
    between = (value_a > CURRENT_TOLERANCE_A) & (value_a < command.min_a - GRAIN_A)
    if (off_whole > 1e-5).any() or between.any():
        return None
    return replace(solution, values=values)

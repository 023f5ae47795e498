"""The same program through PuLP: for any solver that a user owns, and for files that other tools read.

PuLP 3.3 (Python 3.11) and PuLP 4 (Python 3.12 and later) differ in how expressions are made and answers are read; this
module is the only place that knows. PuLP is never called without a named solver: its default is not there in PuLP 4.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from loadmgr.allocation.arrays import FloatArray, IntArray
from loadmgr.allocation.constraints import network_rows
from loadmgr.allocation.objective import weights
from loadmgr.allocation.options import AllocationOptions
from loadmgr.allocation.problem import AllocationProblem
from loadmgr.allocation.program import Program, build_program
from loadmgr.allocation.solve import Solution
from loadmgr.errors import SolverError

_INTEGER, _SEMI_INTEGER = 1, 3


class PulpSession:
    """Solves programs with a PuLP solver; every solve is a cold one."""

    def __init__(self, solver: str, *, time_limit_s: float) -> None:
        self._solver = solver
        self._time_limit_s = time_limit_s

    def solve(self, program: Program) -> Solution:
        """Solve a program.

        Raises
        ------
        SolverError
            If the solver is not there, fails, or ends without a proven optimum.
        """
        solution = solve_with_pulp(program, self._solver, time_limit_s=self._time_limit_s)
        if solution is None:
            raise SolverError(f"{self._solver} ended without an optimum")
        return solution


def write_program(problem: AllocationProblem, path: Path, *, options: AllocationOptions | None = None) -> None:
    """Write the program of a problem to a ``.lp`` or ``.mps`` file, with names of EVSEs, circuits and steps.

    Raises
    ------
    ValueError
        If the file's suffix is neither.
    """
    if path.suffix not in (".lp", ".mps"):
        raise ValueError(f"path must end in .lp or .mps, got {path.name}")
    program = build_program(problem, network_rows(problem), weights(problem), options=options)
    column_names, row_names = names(problem, program)
    model, _, _ = _model(program, column_names=column_names, row_names=row_names)
    writer = model.writeLP if path.suffix == ".lp" else model.writeMPS
    writer(str(path))


def names(problem: AllocationProblem, program: Program) -> tuple[list[str], list[str]]:
    """Return a name for each column and row, in the words of the site."""
    evses = [_word(label) for label in problem.evses.ids]
    if len(set(evses)) != len(evses):
        evses = [f"{label}_{index}" for index, label in enumerate(evses)]
    columns = [f"{kind}_{k}" for kind, span in program.spans.items() for k in range(span.stop - span.start)]
    for place, (evse, step) in enumerate(zip(program.evse.tolist(), program.step.tolist(), strict=True)):
        columns[place] = f"current_{evses[evse]}_t{step}"
    first = program.spans["shortfall"].start
    for place, (evse, part) in enumerate(zip(program.shortfall_evse, program.shortfall_place, strict=True)):
        columns[first + place] = f"short_{evses[evse]}_{part}"
    row_names = [f"row_{k}" for k in range(program.n_rows)]
    for evse, row in enumerate(program.places.energy.tolist()):
        row_names[row] = f"energy_{evses[evse]}"
    circuit = [f"{_word(label)}_{index}" for index, label in enumerate(problem.circuits.ids)]
    rows = network_rows(problem)
    for index, step in np.argwhere(program.places.network >= 0):
        name = rows.names[index]
        where = (
            f"{name.kind}{name.phase or ''}_{name.direction}" if name.direction else f"{name.kind}{name.phase or ''}"
        )
        row_names[program.places.network[index, step]] = f"{circuit[name.circuit]}_{where}_t{step}"
    for charge, peak_rows in enumerate(program.places.peaks):
        for window, row in enumerate(peak_rows.tolist()):
            if row >= 0:
                row_names[row] = f"peak{charge}_w{window}"
    return columns, row_names


def solve_with_pulp(
    program: Program,
    solver: str,
    *,
    time_limit_s: float,
    kind: IntArray | None = None,
    choices: Mapping[int, FloatArray] | None = None,
) -> Solution | None:
    """Solve a program with a PuLP solver by name; ``None`` if there is no solution at the end of the time limit.

    A mixed-integer incumbent at the time limit is a solution, and PuLP calls it optimal: whether it is whole is for the
    caller to check. Without integers only an optimum counts.

    Raises
    ------
    SolverError
        If the solver is not there or fails.
    """
    import pulp

    model, variables, constraints = _model(program, kind=kind)
    for column, values in (choices or {}).items():
        _add_choice(model, variables[column], values, column)
    try:
        chosen = pulp.getSolver(solver, msg=False, timeLimit=time_limit_s)
        outcome = model.solve(chosen)
    # PuLP raises its own error, and lets through whatever a solver's own interface raises.
    except Exception as error:
        raise SolverError(f"PuLP's {solver} failed: {error}") from error
    if not _has_solution(model, outcome, whole=kind is not None):
        return None
    values = np.array([0.0 if v.varValue is None else v.varValue for v in variables])
    duals = np.array([_number(getattr(c, "pi", None)) for c in constraints])
    reduced = np.array([_number(getattr(v, "dj", None)) for v in variables])
    return Solution(
        values=values,
        row_duals=duals,
        column_duals=reduced,
        objective=float(program.cost @ values),
        iterations=0,
        warm=False,
    )


def _has_solution(model: Any, outcome: Any, *, whole: bool) -> bool:
    """Read the answer's standing: PuLP 4 returns statistics, PuLP 3 keeps ``sol_status``."""
    if hasattr(outcome, "has_solution"):
        return bool(outcome.has_solution) and (whole or int(outcome.status) == 1)
    optimal, feasible = 1, 2
    return model.sol_status == optimal or (whole and model.sol_status == feasible)


def _model(
    program: Program,
    *,
    kind: IntArray | None = None,
    column_names: list[str] | None = None,
    row_names: list[str] | None = None,
) -> tuple[Any, list[Any], list[Any]]:
    """Return the PuLP problem, its variables in column order and its constraints in row order."""
    import pulp

    model = pulp.LpProblem("allocation", pulp.LpMinimize)
    columns = column_names or [f"x{k}" for k in range(program.n_columns)]
    kinds = np.zeros(program.n_columns, dtype=np.int64) if kind is None else kind
    variables = []
    for name, low, high, what in zip(columns, program.lower, program.upper, kinds, strict=True):
        word = pulp.LpContinuous if what == 0 else pulp.LpInteger
        start = 0.0 if what == _SEMI_INTEGER else _bound(low)
        variables.append(model.add_variable(name, start, _bound(high), word))
    model.setObjective(_expression(zip(variables, program.cost.tolist(), strict=True)))
    by_row: list[list[tuple[Any, float]]] = [[] for _ in range(program.n_rows)]
    for column, variable in enumerate(variables):
        for k in range(program.start[column], program.start[column + 1]):
            by_row[program.index[k]].append((variable, float(program.value[k])))
    names_of_rows = row_names or [f"r{k}" for k in range(program.n_rows)]
    constraints = []
    for name, pairs, low, high in zip(names_of_rows, by_row, program.row_lower, program.row_upper, strict=True):
        constraints.append(_constraint(model, name, pairs, low=_bound(low), high=_bound(high)))
    for place in np.flatnonzero(kinds == _SEMI_INTEGER).tolist():
        _add_off(model, variables[place], (program.lower[place], program.upper[place]), place)
    return model, variables, constraints


def _constraint(model: Any, name: str, pairs: list[tuple[Any, float]], *, low: float | None, high: float | None) -> Any:
    """Add a row; no row of the program has two different sides, so one constraint holds it."""
    if not pairs or (low is None and high is None):
        return None
    expression = _expression(pairs)
    if low is not None and high is not None:
        model += (expression == low), name
    elif high is not None:
        model += (expression <= high), name
    else:
        model += (expression >= low), name
    return model.get_constraint_by_name(name)


def _add_off(model: Any, variable: Any, bounds: tuple[float, float], column: int) -> None:
    """Let a column be 0 or within its bounds: PuLP has no semi-continuous columns."""
    switch = model.add_variable(f"on_{column}", 0, 1, "Integer")
    model += (variable - bounds[1] * switch <= 0), f"most_{column}"
    model += (variable - bounds[0] * switch >= 0), f"least_{column}"


def _add_choice(model: Any, variable: Any, values: FloatArray, column: int) -> None:
    """Tie a column to 0 or one of these values."""
    import pulp

    picks = [model.add_variable(f"pick_{column}_{k}", 0, 1, "Integer") for k in range(len(values))]
    level = pulp.lpSum([float(value) * pick for value, pick in zip(values, picks, strict=True)])
    model += (variable - level == 0), f"level_{column}"
    model += (pulp.lpSum(picks) <= 1), f"one_of_{column}"


def _expression(pairs: Any) -> Any:
    import pulp

    make = getattr(pulp.LpAffineExpression, "from_list", pulp.LpAffineExpression)
    return make(list(pairs))


def _bound(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _number(value: float | None) -> float:
    return 0.0 if value is None else float(value)


def _word(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", label)

"""The solver: HiGHS with the program's arrays in one call, kept and re-solved from its basis.

Rules of this file:

1. Serial dual simplex, presolve off: it is the only path that honours a basis, and on these programs it is also the
   fastest. No cost perturbation: the objective's own tie-breaks do its work, and two of them in each other's way cost
   up to five times the iterations (measured).
2. Budgets are iterations, never seconds: the same program gives the same answer on any machine.
3. Foreign faults become ``SolverError`` here; nobody above sees the solver's words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from loadmgr.allocation.arrays import FloatArray, IntArray
from loadmgr.allocation.program import Program
from loadmgr.errors import SolverError

if TYPE_CHECKING:
    import highspy

_COLUMN_WISE, _MINIMISE = 1, 1


DUAL_TOLERANCES = (1e-10, 1e-9, 1e-7)
"""Tried from the sharpest on, which costs no more iterations: the tie-breaks of a thousand EVSEs are told apart at the
first (measured: at the last some 40 of 41 000 currents differ between a warm and a cold solve, at the second one
command in 15 000 re-plans of a small site). The others are for programs whose weights span too much (5 of 300 rich
sites).
"""

AT_BOUND = 1e-7
"""A basic value this close to its bound is at it: the vertex is degenerate there."""

MIXED_GAP = 1e-4
"""The mixed-integer program stops when it is proven this close to its best."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Basis:
    """Status of each column and row, in HiGHS' numbers."""

    columns: IntArray
    rows: IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """What the solver answered: values of columns, duals of rows and columns, objective and effort."""

    values: FloatArray
    row_duals: FloatArray
    column_duals: FloatArray
    objective: float
    iterations: int
    warm: bool


class HighsSession:
    """A HiGHS instance that keeps its program and basis from one solve to the next."""

    def __init__(self, *, iteration_limit: int) -> None:
        # Imported on first use: it costs a fifth of a second that `loadmgr --help` need not pay.
        import highspy

        # Any: the package's type stubs lack some of its methods (changeRowsBounds).
        self._highs: Any = highspy.Highs()
        self._program: Program | None = None
        options: dict[str, bool | int | float | str] = {
            "output_flag": False,
            "threads": 1,
            "presolve": "off",
            "solver": "simplex",
            "simplex_strategy": 1,
            "dual_simplex_cost_perturbation_multiplier": 0.0,
            "dual_feasibility_tolerance": DUAL_TOLERANCES[0],
            "simplex_iteration_limit": iteration_limit,
        }
        for name, value in options.items():
            if self._highs.setOptionValue(name, value) != highspy.HighsStatus.kOk:
                raise SolverError(f"the solver does not know its option {name}={value}")

    def solve(self, program: Program, *, start: Basis | None = None) -> Solution:
        """Solve a program: from where the solver stands if the matrix is the same, else from ``start`` if given.

        Raises
        ------
        SolverError
            If the program is refused or ends without an optimum; the basis is then forgotten.
        """
        try:
            warm = self._load(program) or self._begin(start)
            try:
                return self._run(warm=warm)
            except SolverError:
                if not warm:
                    raise
            # A basis from elsewhere may be singular beyond the solver's own repair; from the start it needs none.
            self._highs.clearSolver()
            return self._run(warm=False)
        except SolverError:
            self._program = None
            raise

    def _load(self, program: Program) -> bool:
        before = self._program
        self._program = program
        if before is not None and same_matrix(before, program):
            self._update(before, program)
            return True
        kind = np.zeros(program.n_columns, dtype=np.int64)
        self._checked(_pass(self._highs, program, kind), "takes the program")
        return False

    def _begin(self, start: Basis | None) -> bool:
        if start is None:
            return False
        import highspy

        status = [
            getattr(highspy.HighsBasisStatus, name) for name in ("kLower", "kBasic", "kUpper", "kZero", "kNonbasic")
        ]
        basis = highspy.HighsBasis()
        basis.col_status = [status[number] for number in start.columns.tolist()]
        basis.row_status = [status[number] for number in start.rows.tolist()]
        basis.valid = True
        return bool(self._highs.setBasis(basis) == highspy.HighsStatus.kOk)

    def is_degenerate(self, row: int) -> bool:
        """Return whether a unit more on this row's side would at once push some basic column or row over its bound.

        The row's dual then holds in one direction only.
        """
        highs, program = self._highs, self._program
        assert program is not None
        basic = np.array(highs.getBasicVariables()[1])
        change = np.array(highs.getBasisInverseCol(row)[1])
        solution = highs.getSolution()
        values = np.concatenate([np.array(solution.col_value), np.array(solution.row_value)])
        low = np.concatenate([program.lower, program.row_lower])
        high = np.concatenate([program.upper, program.row_upper])
        place = np.where(basic >= 0, basic, program.n_columns - basic - 1)
        at_bound = np.minimum(values[place] - low[place], high[place] - values[place]) < AT_BOUND
        return bool((at_bound & (np.abs(change) > AT_BOUND)).any())

    def duals_of(self, cost: FloatArray) -> FloatArray:
        """Return what part these costs alone have in the row duals of the last solve.

        Duals are linear in the costs as long as the basis stays, so money and energy can be told apart.
        """
        basic = np.array(self._highs.getBasicVariables()[1])
        of_basic = np.where(basic >= 0, cost[np.maximum(basic, 0)], 0.0)
        return np.array(self._highs.getBasisTransposeSolve(of_basic)[1])

    def basis(self) -> Basis:
        """Return where the solver stands."""
        basis = self._highs.getBasis()
        return Basis(
            columns=np.array([int(status) for status in basis.col_status], dtype=np.int64),
            rows=np.array([int(status) for status in basis.row_status], dtype=np.int64),
        )

    def _update(self, before: Program, program: Program) -> None:
        """Send what differs from the program that the solver holds."""
        highs = self._highs
        bounds = np.flatnonzero((before.lower != program.lower) | (before.upper != program.upper)).astype(np.int32)
        if bounds.size:
            done = highs.changeColsBounds(len(bounds), bounds, program.lower[bounds], program.upper[bounds])
            self._checked(done, "takes new bounds")
        sides = (before.row_lower != program.row_lower) | (before.row_upper != program.row_upper)
        rows = np.flatnonzero(sides).astype(np.int32)
        if rows.size:
            done = highs.changeRowsBounds(len(rows), rows, program.row_lower[rows], program.row_upper[rows])
            self._checked(done, "takes new rows")
        costs = np.flatnonzero(before.cost != program.cost).astype(np.int32)
        if costs.size:
            self._checked(highs.changeColsCost(len(costs), costs, program.cost[costs]), "takes new costs")

    def _run(self, *, warm: bool) -> Solution:
        import highspy

        highs = self._highs
        solved = (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kModelEmpty)
        unset = highspy.HighsModelStatus.kNotset
        lost = (unset, highspy.HighsModelStatus.kUnknown, highspy.HighsModelStatus.kSolveError)
        run_status, status = highs.run(), highs.getModelStatus()
        for tolerance in DUAL_TOLERANCES[1:]:
            if status not in lost:
                break
            highs.clearSolver()
            highs.setOptionValue("dual_feasibility_tolerance", tolerance)
            run_status, status = highs.run(), highs.getModelStatus()
        highs.setOptionValue("dual_feasibility_tolerance", DUAL_TOLERANCES[0])
        if run_status == highspy.HighsStatus.kError or status not in solved:
            raise SolverError(f"the solver ended without an optimum: {highs.modelStatusToString(status)}")
        solution = highs.getSolution()
        values = np.array(solution.col_value)
        if not np.isfinite(values).all():
            raise SolverError("the solver answered with values that are not numbers")
        info = highs.getInfo()
        return Solution(
            values=values,
            row_duals=np.array(solution.row_dual),
            column_duals=np.array(solution.col_dual),
            objective=info.objective_function_value,
            iterations=max(int(info.simplex_iteration_count), 0),
            warm=warm,
        )

    def _checked(self, status: "highspy.HighsStatus", what: str) -> None:
        import highspy

        if status == highspy.HighsStatus.kError:
            raise SolverError(f"the solver no longer {what}")


def solve_mixed(program: Program, kind: IntArray, *, choices: Mapping[int, FloatArray], nodes: int) -> Solution | None:
    """Solve a program some of whose columns are whole, semi-continuous, or take one of a few values or 0.

    Parameters
    ----------
    program : Program
    kind : (n_column,) int
        HiGHS' kind of each column.
    choices : mapping of column to values
    nodes : int
        Budget of the tree search.

    Returns
    -------
    Solution or None
        ``None`` if nothing was found in budget. An incumbent at its end is a solution: the caller checks that it is
        whole.
    """
    import highspy

    highs: Any = highspy.Highs()
    for name, value in {"output_flag": False, "threads": 1, "mip_max_nodes": nodes, "mip_rel_gap": MIXED_GAP}.items():
        highs.setOptionValue(name, value)
    _pass(highs, program, kind)
    for column, values in choices.items():
        _add_choice(highs, column, values)
    highs.run()
    info = highs.getInfo()
    if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        return None
    values = np.array(highs.getSolution().col_value)[: program.n_columns]
    if not np.isfinite(values).all():
        return None
    empty = np.zeros(0)
    iterations = max(int(info.simplex_iteration_count), 0)
    return Solution(
        values=values,
        row_duals=empty,
        column_duals=empty,
        objective=info.objective_function_value,
        iterations=iterations,
        warm=False,
    )


def _add_choice(highs: Any, column: int, values: FloatArray) -> None:
    """Tie a column to 0 or one of these values: a binary for each, at most one of them set."""
    import highspy

    first, count = highs.getNumCol(), len(values)
    for _ in range(count):
        highs.addCol(0.0, 0.0, 1.0, 0, [], [])
    places = np.arange(first, first + count, dtype=np.int32)
    highs.changeColsIntegrality(count, places, np.full(count, highspy.HighsVarType.kInteger))
    index = np.concatenate([[column], places]).astype(np.int32)
    highs.addRow(0.0, 0.0, count + 1, index, np.concatenate([[1.0], -values]))
    highs.addRow(-highspy.kHighsInf, 1.0, count, places, np.ones(count))


def _pass(highs: Any, program: Program, kind: IntArray) -> Any:
    return highs.passModel(
        program.n_columns,
        program.n_rows,
        len(program.index),
        _COLUMN_WISE,
        _MINIMISE,
        0.0,
        program.cost,
        program.lower,
        program.upper,
        program.row_lower,
        program.row_upper,
        program.start,
        program.index,
        program.value,
        kind,
    )


def same_matrix(one: Program, other: Program) -> bool:
    """Return whether two programs differ in bounds and costs alone."""
    return (
        np.array_equal(one.start, other.start)
        and np.array_equal(one.index, other.index)
        and np.array_equal(one.value, other.value)
    )

"""Carry a basis from one program to the next when sessions come and go and the window moves.

Rules of this file:

1. Columns and rows are recognised by what they mean (session, circuit, phase, instant), never by their number.
2. A basis is only where the search starts: the optimum is unique, so the answer does not depend on it.
"""

from dataclasses import dataclass

import numpy as np

from loadmgr.allocation.arrays import IntArray
from loadmgr.allocation.columns import NO_ROW
from loadmgr.allocation.constraints import NetworkRows
from loadmgr.allocation.problem import AllocationProblem
from loadmgr.allocation.program import Program
from loadmgr.allocation.solve import Basis

LOWER, BASIC = 0, 1
"""HiGHS' numbers for a column at its lower bound and for one in the basis."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stage:
    """A problem, its rows and its program: what a basis belongs to."""

    problem: AllocationProblem
    rows: NetworkRows
    program: Program


def same_shape(one: Stage, other_problem: AllocationProblem, other_rows: NetworkRows) -> bool:
    """Return whether sessions, steps and circuits are the same, so that only numbers may have moved."""
    problem = one.problem
    return (
        problem.grid == other_problem.grid
        and problem.evses.session_ids == other_problem.evses.session_ids
        and problem.evses.ids == other_problem.evses.ids
        and problem.circuits.ids == other_problem.circuits.ids
        and one.rows.names == other_rows.names
        and len(problem.money.demand_charges) == len(other_problem.money.demand_charges)
    )


def carry(before: Stage, basis: Basis, now: Stage) -> Basis:
    """Return a basis of the new program that follows the old one where they mean the same."""
    session = _places(before.problem.evses.session_ids, now.problem.evses.session_ids)
    step = _steps(before.problem, now.problem)
    columns = np.full(now.program.n_columns, LOWER, dtype=np.int64)
    rows = np.full(now.program.n_rows, BASIC, dtype=np.int64)

    was = np.full((before.problem.n_evses + 1, before.problem.n_steps + 1), LOWER, dtype=np.int64)
    was[before.program.evse, before.program.step] = basis.columns[: len(before.program.evse)]
    columns[: len(now.program.evse)] = was[session[now.program.evse], step[now.program.step]]
    _carry_shortfall(before, basis, now, session=session, columns=columns)
    rows[now.program.places.energy] = np.concatenate([basis.rows[before.program.places.energy], [BASIC]])[session]
    for name, span in now.program.spans.items():
        old_span = before.program.spans.get(name)
        alike = old_span is not None and old_span.stop - old_span.start == span.stop - span.start
        if old_span is not None and alike and name not in ("current", "shortfall", "beyond"):
            columns[span] = basis.columns[old_span]
    _carry_beyond(before, basis, now, places=(session, step), columns=columns, rows=rows)
    name_place = {name: place for place, name in enumerate(before.rows.names)}
    names = np.array([name_place.get(name, len(name_place)) for name in now.rows.names], dtype=np.int64)
    old = np.full((before.rows.n_rows + 1, before.problem.n_steps + 1), BASIC, dtype=np.int64)
    kept = before.program.places.network != NO_ROW
    old[:-1, :-1][kept] = basis.rows[before.program.places.network[kept]]
    kept = now.program.places.network != NO_ROW
    rows[now.program.places.network[kept]] = old[names[:, None], step[None, :]][kept]
    return _balanced(columns, rows)


def _places(before: tuple[str, ...], now: tuple[str, ...]) -> IntArray:
    """Return the old place of each label; one past the end where it is new."""
    place = {label: index for index, label in enumerate(before)}
    return np.array([place.get(label, len(before)) for label in now], dtype=np.int64)


def _steps(before: AllocationProblem, now: AllocationProblem) -> IntArray:
    """Return the old step that held the start of each new one; one past the end where there was none."""
    shift_s = int((now.grid.start - before.grid.start).total_seconds())
    offsets_s = np.array(before.grid.offsets_s)
    starts_s = np.array(now.grid.offsets_s[:-1]) + shift_s
    place = np.searchsorted(offsets_s, starts_s, side="right") - 1
    return np.where((starts_s >= 0) & (starts_s < offsets_s[-1]), place, len(before.grid))


def _carry_shortfall(before: Stage, basis: Basis, now: Stage, *, session: IntArray, columns: IntArray) -> None:
    first_old, first_new = len(before.program.evse), len(now.program.evse)
    width = int(max(before.program.shortfall_place.max(initial=0), now.program.shortfall_place.max(initial=0))) + 1
    was = np.full((before.problem.n_evses + 1, width), LOWER, dtype=np.int64)
    count = len(before.program.shortfall_evse)
    old = basis.columns[first_old : first_old + count]
    was[before.program.shortfall_evse, before.program.shortfall_place] = old
    place = session[now.program.shortfall_evse], now.program.shortfall_place
    columns[first_new : first_new + len(now.program.shortfall_evse)] = was[place]


def _carry_beyond(
    before: Stage, basis: Basis, now: Stage, *, places: tuple[IntArray, IntArray], columns: IntArray, rows: IntArray
) -> None:
    """Carry the columns of current beyond what is kept for the next vehicle, and the rows that tie them."""
    if "beyond" not in now.program.spans or "beyond" not in before.program.spans:
        return
    session, step = places
    shape = (before.problem.n_evses + 1, before.problem.n_steps + 1)
    was, kept = np.full(shape, LOWER, dtype=np.int64), np.full(shape, BASIC, dtype=np.int64)
    old, new = before.program.places.beyond, now.program.places.beyond
    was[:-1, :-1][old != NO_ROW] = basis.columns[before.program.spans["beyond"]]
    kept[:-1, :-1][old != NO_ROW] = basis.rows[old[old != NO_ROW]]
    evse, at = np.nonzero(new != NO_ROW)
    columns[now.program.spans["beyond"]] = was[session[evse], step[at]]
    rows[new[evse, at]] = kept[session[evse], step[at]]


def _balanced(columns: IntArray, rows: IntArray) -> Basis:
    """Return the basis with as many basic as there are rows: slack rows leave or enter last to first."""
    surplus = int((columns == BASIC).sum() + (rows == BASIC).sum()) - len(rows)
    if surplus > 0:
        slack = np.flatnonzero(rows == BASIC)[::-1][:surplus]
        rows[slack] = LOWER
        rest = surplus - len(slack)
        if rest > 0:
            columns[np.flatnonzero(columns == BASIC)[::-1][:rest]] = LOWER
    elif surplus < 0:
        rows[np.flatnonzero(rows != BASIC)[:-surplus]] = BASIC
    return Basis(columns=columns, rows=rows)

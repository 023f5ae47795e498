"""What every allocation keeps, whatever the site."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings

from loadmgr.allocation import (
    POLICIES,
    AllocationOptions,
    AllocationProblem,
    Allocator,
    CircuitLimits,
    allocate,
    build_problem,
    check,
)
from loadmgr.allocation.constraints import network_rows
from loadmgr.allocation.fill import fill
from loadmgr.model.series import TimeGrid
from tests.allocation_sites import problems


@settings(max_examples=80, deadline=None)
@given(problems())
def test_the_answer_passes_the_check_and_comes_from_the_program(problem: AllocationProblem) -> None:
    """On a sound site the program answers, within every limit, quantised, 0 or at least the minimum."""
    allocation = allocate(problem)

    current_a, evses = allocation.current_a, problem.evses
    assert "program" == allocation.method, allocation.alarms
    assert [] == check(problem, current_a)
    on = current_a > 0.0
    assert (current_a[on] >= np.broadcast_to(evses.min_a[:, None], current_a.shape)[on] - 1e-9).all()
    for index, pilots_a in enumerate(evses.pilots_a):
        steps = current_a[index] / evses.step_a[index]
        on_grid = (
            np.abs(steps - np.round(steps)) < 1e-6 if pilots_a is None else np.isin(current_a[index], (0, *pilots_a))
        )
        assert on_grid.all()


@settings(max_examples=80, deadline=None)
@given(problems())
def test_the_plan_breaks_no_row_before_quantising(problem: AllocationProblem) -> None:
    """The continuous plan exceeds no row by more than 1e-6 A."""
    allocation = allocate(problem)

    rows = network_rows(problem)
    load = np.zeros((rows.n_rows, problem.n_steps))
    np.add.at(load, rows.row, rows.coefficient[:, None] * allocation.planned_a[rows.evse])
    watts = np.array([name.kind == "power" for name in rows.names])[:, None]
    assert (load <= rows.room + np.where(watts, 1e-3, 1e-6))[rows.applies].all()


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=25, deadline=None)
@given(problem=problems())
def test_filling_keeps_limits_and_leaves_no_usable_headroom(problem: AllocationProblem, policy: str) -> None:
    """No row is exceeded, and no waiting vehicle could be raised, or switched on, within what is left."""
    rows = network_rows(problem)
    current_a = fill(problem, rows, policy=policy)

    assert [] == check(problem, current_a)
    load = np.zeros((rows.n_rows, problem.n_steps))
    np.add.at(load, rows.row, rows.coefficient[:, None] * current_a[rows.evse])
    room = np.where(rows.applies, rows.room, 1e12) - load
    evses = problem.evses
    done_wh = np.cumsum(current_a * problem.wh_per_a, axis=1)
    for evse in range(problem.n_evses):
        entries = slice(rows.starts[evse], rows.starts[evse + 1])
        spare_a = (room[rows.row[entries]] / rows.coefficient[entries][:, None]).min(axis=0, initial=1e12)
        for step in range(problem.n_steps):
            now_a, cap_a = current_a[evse, step], evses.max_a[evse, step]
            if (
                done_wh[evse, step] >= evses.need_wh[evse, -1] - 0.01
                or now_a >= cap_a - 1e-6
                or cap_a < evses.min_a[evse]
            ):
                continue
            least_a = 1e-5 if now_a > 0.0 else evses.min_a[evse]
            assert spare_a[step] < least_a, (evse, step, now_a, cap_a, spare_a[step])


@settings(max_examples=40, deadline=None)
@given(problems())
def test_a_warm_solve_commands_what_a_cold_one_does(problem: AllocationProblem) -> None:
    """An allocator that has solved before gives the same setpoints as a fresh one."""
    allocator = Allocator(AllocationOptions())
    allocator.allocate(problem)

    warm, cold = allocator.allocate(problem), allocate(problem)

    assert warm.statistics.warm
    assert cold.current_a.tolist() == warm.current_a.tolist()


def test_a_site_without_any_vehicle_gets_an_empty_allocation() -> None:
    grid = TimeGrid.uniform(datetime(2026, 1, 1, tzinfo=UTC), step_s=900, steps=8)
    problem = build_problem(grid, circuits=[CircuitLimits(id="main", limit_a=63.0)], requests=[])

    allocation = allocate(problem, options=AllocationOptions())

    assert (0, 8) == allocation.current_a.shape

"""From a plan to setpoints, where what is left of a row lies a hair below a station step."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.allocation import (
    Allocation,
    AllocationOptions,
    AllocationProblem,
    ChargingRequest,
    CircuitLimits,
    allocate,
    build_problem,
    check,
)
from loadmgr.allocation.constraints import network_rows
from loadmgr.allocation.fill import fill
from loadmgr.allocation.quantise import quantise
from loadmgr.model.series import TimeGrid
from tests.allocation_sites import START

GRID = TimeGrid.uniform(START, step_s=900, steps=4)


def _site(count: int, *, limit_a: float, pilots_a: tuple[float, ...] | None = None) -> AllocationProblem:
    requests = [ChargingRequest(id=f"E{i}", circuit="main", pilots_a=pilots_a) for i in range(count)]
    return build_problem(GRID, circuits=[CircuitLimits(id="main", limit_a=limit_a)], requests=requests)


def _filled(problem: AllocationProblem) -> Allocation:
    return allocate(problem, options=AllocationOptions(method="fill"))


def test_ten_currents_a_hair_below_a_step_do_not_together_break_their_limit() -> None:
    """Each rounds to 8 A, which is 7.5e-6 A too much for all: one of them goes without a step, not all without all."""
    allocation = _filled(_site(10, limit_a=79.9999925))

    assert () == allocation.alarms
    assert [79.0] * 4 == allocation.current_a.sum(axis=0).tolist()


def test_a_limit_a_hair_below_the_only_pilot_value_pauses_without_an_alarm_of_the_check() -> None:
    allocation = _filled(_site(1, limit_a=5.999999, pilots_a=(6.0,)))

    assert () == allocation.alarms
    assert 0.0 == allocation.current_a.max()


@pytest.mark.parametrize(
    "options",
    [AllocationOptions(method="fill"), AllocationOptions(milp_evses=0), AllocationOptions()],
    ids=["fill", "repair", "mixed"],
)
def test_a_maximum_a_hair_below_the_minimum_is_not_rounded_up_beyond_what_the_check_bears(
    options: AllocationOptions,
) -> None:
    requests = [ChargingRequest(id="E0", circuit="main", max_a=5.999999), ChargingRequest(id="E1", circuit="main")]
    problem = build_problem(GRID, circuits=[CircuitLimits(id="main", limit_a=32.0)], requests=requests)

    allocation = allocate(problem, options=options)

    assert ["limits_cross"] == [alarm.kind for alarm in allocation.alarms]
    assert [0.0, 32.0] == allocation.current_a[:, 0].tolist()


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 12), st.integers(6, 30), st.floats(0.0, 3e-5))
def test_setpoints_of_alike_vehicles_use_their_limit_but_for_a_step(count: int, share_a: int, below_a: float) -> None:
    problem = _site(count, limit_a=count * share_a - below_a)
    rows = network_rows(problem)

    setpoints_a = quantise(problem, rows, fill(problem, rows), bound_a=problem.evses.max_a)

    assert [] == check(problem, setpoints_a)
    if share_a > 6:  # of those at their minimum, one has to pause
        assert setpoints_a.sum(axis=0).min() >= count * share_a - 1.0 - 1e-6

"""Who goes on, who waits and who goes short: policies, turns, and minimum times on."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from loadmgr.allocation import (
    AllocationOptions,
    ChargingRequest,
    CircuitLimits,
    allocate,
    build_money,
    build_problem,
    check,
)
from loadmgr.model.series import TimeGrid
from tests.allocation_sites import START

GRID = TimeGrid.uniform(START, step_s=900, steps=8)


@pytest.mark.parametrize("policy", ["equal_share", "max_min_energy", "proportional"])
def test_fair_policies_leave_alike_sessions_alike(policy: Any) -> None:
    """Two sessions that differ in nothing are short by about the same."""
    problem = build_problem(
        GRID,
        circuits=[CircuitLimits(id="main", limit_a=20.0)],
        requests=[
            ChargingRequest(id=f"E{i}", circuit="main", phases=(1,), wanted_wh=8_000.0, step_a=0.1) for i in range(2)
        ],
    )

    allocation = allocate(problem, options=AllocationOptions(policy=policy))

    assert allocation.energy_wh.max() - allocation.energy_wh.min() <= 2_100.0
    assert allocation.energy_wh.sum() > 9_000.0


def test_where_not_all_can_have_what_they_want_least_missing_lets_the_most_leave_with_it() -> None:
    """Two small needs and a large one on too little: only the large one is short; equal shares leave two short."""
    wanted_wh = [3_000.0, 4_000.0, 7_000.0]
    problem = build_problem(
        GRID,
        circuits=[CircuitLimits(id="main", limit_a=20.0)],
        requests=[
            ChargingRequest(id=f"E{i}", circuit="main", phases=(1,), wanted_wh=wh, min_a=0.0, step_a=0.1)
            for i, wh in enumerate(wanted_wh)
        ],
    )

    alike, most = (
        allocate(problem, options=AllocationOptions(policy=policy)) for policy in ("equal_share", "least_missing")
    )
    filled = allocate(problem, options=AllocationOptions(policy="least_missing", method="fill"))

    assert (alike.energy_wh < np.array(wanted_wh) - 100.0).sum() == 2
    for allocation in (most, filled):
        assert allocation.energy_wh[:2] == pytest.approx(wanted_wh[:2], abs=50.0)
        assert allocation.energy_wh.sum() == pytest.approx(alike.energy_wh.sum(), rel=0.01)


def test_more_vehicles_than_minimums_take_turns_and_none_starves() -> None:
    """Five vehicles of 6 A on 13 A: two at a time, and everyone is served within the grid."""
    grid = TimeGrid.uniform(START, step_s=300, steps=24)
    problem = build_problem(
        grid,
        circuits=[CircuitLimits(id="main", limit_a=13.0)],
        requests=[ChargingRequest(id=f"E{i}", circuit="main", phases=(1,), wanted_wh=None) for i in range(5)],
    )

    filled = allocate(problem, options=AllocationOptions(method="fill"))

    on = filled.current_a > 0.0
    assert on.sum(axis=0).max() == 2
    assert on.sum(axis=1).min() >= 6
    switches = (on[:, 1:] != on[:, :-1]).sum(axis=1)
    assert switches.max() <= 10


@pytest.mark.parametrize("scarce", [False, True])
@pytest.mark.parametrize("wanted_wh", [350.0, 610.0, 1_000.0])
def test_who_needs_less_than_its_minimum_on_time_gives_goes_on_now_and_not_later(
    wanted_wh: float, scarce: bool
) -> None:
    """Off now and on later, at each plan anew, it would be switched for ever and never finish."""
    problem = build_problem(
        TimeGrid.uniform(START, step_s=300, steps=24),
        circuits=[CircuitLimits(id="main", limit_a=32.0, scarce=scarce)],
        requests=[
            ChargingRequest(
                id="E0",
                circuit="main",
                max_a=8.0,
                wanted_wh=wanted_wh,
                departure=START + timedelta(hours=10),
                keep_on_s=600.0,
            )
        ],
        money=build_money(TimeGrid.uniform(START, step_s=300, steps=24), import_price_per_kwh=0.3),
    )

    allocation = allocate(problem, options=AllocationOptions(milp_evses=0))

    assert allocation.method == "program"
    assert allocation.current_a[0, 0] >= 6.0
    assert check(problem, allocation.current_a) == []

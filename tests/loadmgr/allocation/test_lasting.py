"""Limits that have to hold with nobody in control: what is kept for vehicles that may take the place of others."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loadmgr.allocation import (
    AllocationOptions,
    AllocationProblem,
    Allocator,
    ChargingRequest,
    CircuitLimits,
    allocate,
    build_problem,
    check,
)
from loadmgr.allocation.arrays import FloatArray
from loadmgr.allocation.constraints import network_rows
from loadmgr.allocation.objective import weights
from loadmgr.allocation.program import build_program
from loadmgr.allocation.solve import HighsSession
from loadmgr.model.series import TimeGrid
from tests.allocation_sites import START, random_problem

WRONG = ("check_failed", "solver_failed")


def with_next(problem: AllocationProblem, *, seed: int) -> AllocationProblem:
    """Return a problem with current kept for the next vehicle at some EVSEs; the limits of the first step last."""
    kept_a = np.random.default_rng(seed).choice([0.0, 6.0, 6.0, 8.0, 4.0], size=problem.n_evses)
    circuits = problem.circuits
    lasting = replace(
        circuits,
        lasting_a=circuits.limit_a[:, :, 0].copy(),
        lasting_a_applies=circuits.limit_a_applies[:, :, 0].copy(),
        lasting_w=circuits.limit_w[:, 0].copy(),
        lasting_w_applies=circuits.limit_w_applies[:, 0].copy(),
    )
    return replace(problem, circuits=lasting, evses=replace(problem.evses, kept_a=kept_a))


def some_site(seed: int, *, rich: bool = False) -> AllocationProblem:
    rng = np.random.default_rng(seed)
    tight = float(rng.choice([0.2, 0.4, 0.8]))
    problem = random_problem(
        rng, evses=int(rng.integers(1, 10)), steps=int(rng.integers(4, 12)), tight=tight, rich=rich
    )
    return with_next(problem, seed=seed)


def excess_with_next(problem: AllocationProblem, current_a: FloatArray) -> float:
    """Return by how much vehicles that take the place of others would exceed a limit, beyond what is kept [A]."""
    circuits, evses, worst = problem.circuits, problem.evses, 0.0
    for index in range(len(circuits.ids)):
        below = [index in chain for chain in (circuits.ancestry()[at] for at in evses.circuit)]
        sides = [index in chain for chain in circuits.ancestry()]
        for phase in np.flatnonzero(circuits.lasting_a_applies[index]):
            on = below & evses.on_phase[:, phase]
            side_a = circuits.side_load_a[sides, phase].sum(axis=0)
            most_a = np.maximum(current_a, evses.kept_a[:, None])[on].sum(axis=0) + side_a
            kept_a = evses.kept_a[on].sum() + side_a
            over = most_a - np.maximum(circuits.lasting_a[index, phase], kept_a)
            worst = max(worst, float(over.max(initial=0.0)))
    return worst


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_no_plan_takes_what_is_kept_for_the_next_vehicle(seed: int, rich: bool) -> None:
    problem = some_site(seed, rich=rich)
    allocation = allocate(problem)
    assert not [a for a in allocation.alarms if a.kind in WRONG]
    assert [] == check(problem, allocation.current_a, battery_w=allocation.battery_w)
    if not rich:
        assert "program" == allocation.method
        assert excess_with_next(problem, allocation.current_a) <= 1e-3


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["equal_share", "first_come", "proportional", "least_missing"]))
def test_nor_does_the_filled_answer(seed: int, policy: str) -> None:
    problem = some_site(seed)
    options = AllocationOptions(method="fill", policy=policy)  # type: ignore[arg-type]
    allocation = allocate(problem, options=options)
    assert not [a for a in allocation.alarms if a.kind in WRONG]
    assert excess_with_next(problem, allocation.current_a) <= 1e-3


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_warm_commands_equal_cold_ones(seed: int) -> None:
    problem = some_site(seed)
    kept = Allocator()
    kept.allocate(problem)
    wider = replace(problem, circuits=replace(problem.circuits, lasting_a=problem.circuits.lasting_a + 2.0))
    for now in (problem, wider):
        assert np.array_equal(allocate(now).current_a[:, :4], kept.allocate(now).current_a[:, :4])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_nothing_kept_is_no_limit_and_more_kept_is_never_better(seed: int) -> None:
    problem = some_site(seed)

    def worth(kept_a: FloatArray) -> float:
        one = replace(problem, evses=replace(problem.evses, kept_a=kept_a))
        program = build_program(one, network_rows(one), weights(one))
        return HighsSession(iteration_limit=100_000).solve(program).objective

    kept_a = problem.evses.kept_a
    plain = replace(
        problem,
        circuits=replace(
            problem.circuits,
            lasting_a_applies=np.zeros_like(problem.circuits.lasting_a_applies),
            lasting_w_applies=np.zeros_like(problem.circuits.lasting_w_applies),
        ),
    )
    program = build_program(plain, network_rows(plain), weights(plain))
    free = HighsSession(iteration_limit=100_000).solve(program).objective
    assert free == pytest.approx(worth(np.zeros_like(kept_a)), rel=1e-7, abs=1e-6)
    assert worth(kept_a) >= free - 1e-6 * max(1.0, abs(free))


def two_on_32_a(limit_a: float = 32.0, **first: float) -> AllocationProblem:
    """Return two alike vehicles on a limit that lasts, with 6 A kept for who comes after the first."""
    grid = TimeGrid.uniform(START, step_s=900, steps=4)
    gone = START + timedelta(hours=1)
    one = ChargingRequest(id="A", circuit="main", departure=gone, wanted_wh=first.get("wanted_wh", 0.0), kept_a=6.0)
    other = ChargingRequest(id="B", circuit="main", departure=gone, wanted_wh=60_000.0)
    main = CircuitLimits(id="main", limit_a=limit_a, lasting_a=(32.0, 32.0, 32.0))
    return build_problem(grid, circuits=[main], requests=[one, other])


@pytest.mark.parametrize("method", ["program", "fill"])
def test_what_is_kept_for_who_comes_after_a_full_vehicle_is_not_given_to_others(method: str) -> None:
    given_a = allocate(two_on_32_a(), options=AllocationOptions(method=method)).current_a  # type: ignore[arg-type]
    assert [0.0, 26.0] == given_a[:, 0].tolist()


def test_up_to_what_is_kept_a_vehicle_costs_the_others_nothing() -> None:
    problem = two_on_32_a(wanted_wh=4_140.0)  # an hour of 6 A on three phases
    given_a = allocate(problem).current_a
    assert [26.0] * 4 == given_a[1].tolist()
    assert 4_140.0 == pytest.approx(given_a[0].sum() * 690.0 / 4.0)


def test_a_limit_of_now_holds_what_is_drawn_and_not_what_could_come() -> None:
    given_a = allocate(two_on_32_a(limit_a=20.0)).current_a
    assert [0.0, 20.0] == given_a[:, 0].tolist()


@example(0)
@given(st.integers(0, 3))
def test_the_check_finds_a_plan_that_takes_what_is_kept(step: int) -> None:
    problem = two_on_32_a()
    current_a = np.array([[0.0] * 4, [26.0] * 4])
    assert [] == check(problem, current_a)
    current_a[1, step] = 28.0
    faults = check(problem, current_a)
    assert {step} == {fault.step for fault in faults}
    assert "circuit main would be 2.000 A above its limit with the next vehicles" == faults[0].text


def test_where_what_is_kept_is_too_much_already_nobody_gets_more_than_that() -> None:
    problem = two_on_32_a(wanted_wh=30_000.0)
    problem = replace(problem, evses=replace(problem.evses, kept_a=np.array([20.0, 20.0])))
    given_a = allocate(problem).current_a
    assert (given_a <= 20.0).all()
    assert 32.0 == given_a[:, 0].sum()

"""Why: duals agree with finite differences, degenerate ones say so, and sentences name what binds."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from loadmgr.allocation import (
    AllocationProblem,
    ChargingRequest,
    CircuitLimits,
    allocate,
    build_money,
    build_problem,
    explain,
)
from loadmgr.allocation.columns import NO_ROW
from loadmgr.allocation.constraints import network_rows
from loadmgr.allocation.explain import marginal_values
from loadmgr.allocation.objective import weights
from loadmgr.allocation.program import build_program
from loadmgr.allocation.solve import HighsSession
from loadmgr.model.series import TimeGrid
from tests.allocation_sites import START, random_problem


def _objective(program: object, row: int, more: float) -> float:
    upper = program.row_upper.copy()
    upper[row] += more
    solution = HighsSession(iteration_limit=100_000).solve(replace(program, row_upper=upper))
    return solution.objective / program.weights.unit


def test_marginal_values_agree_with_finite_differences_unless_they_say_they_are_one_sided() -> None:
    """Every value lies between what one unit less costs and one unit more gains; sharp ones equal both."""
    sharp = 0
    for seed in range(12):
        problem = random_problem(np.random.default_rng(seed), evses=7, steps=8, tight=0.3)
        rows = network_rows(problem)
        program = build_program(problem, rows, weights(problem))
        value = marginal_values(problem, rows, program)
        for row, step in np.argwhere(value.rows > 1e-6)[:4]:
            place = int(program.places.network[row, step])
            assert place != NO_ROW
            delta = 1e-3 if program.row_upper[place] < 1_000.0 else 0.1
            if program.row_upper[place] <= delta:
                continue
            here = _objective(program, place, 0.0)
            gain = (here - _objective(program, place, delta)) / delta
            cost = (_objective(program, place, -delta) - here) / delta
            tolerance = 1e-3 * max(cost, 1e-3)
            assert gain - tolerance <= value.rows[row, step] <= cost + tolerance
            if not value.one_sided[row, step]:
                assert gain == pytest.approx(cost, rel=1e-3)
                sharp += 1
    assert sharp >= 5


def _garage(prices: np.ndarray) -> AllocationProblem:
    grid = TimeGrid.uniform(START, step_s=3600, steps=8)
    requests = [
        ChargingRequest(id=label, circuit="riser B", phases=(3,), departure=START + timedelta(hours=h), wanted_wh=w)
        for label, h, w in (("B1", 8.0, 14_000.0), ("B3", 4.0, 30_000.0), ("B6", 4.0, 30_000.0))
    ]
    return build_problem(
        grid,
        circuits=[CircuitLimits(id="main", limit_a=63.0), CircuitLimits(id="riser B", parent="main", limit_a=32.0)],
        requests=requests,
        money=build_money(grid, import_price_per_kwh=prices),
    )


def test_a_full_circuit_is_named_with_phase_sharers_and_what_comes_later() -> None:
    """The driver of B1 waits because B3 and B6 leave earlier and the riser is full on L3."""
    problem = _garage(np.full(8, 0.3))

    first = explain(problem, allocate(problem), "B1")[0]

    assert first.reasons[0].kind == "circuit"
    assert ("riser B", 3) == (first.reasons[0].circuit, first.reasons[0].phase)
    assert "riser B is full on L3, shared with" in first.sentence
    assert "kWh per hour for those who go short" in first.sentence
    assert " A from 2" in first.sentence


def test_a_dear_hour_is_named_with_its_price() -> None:
    """Alone on a site, a session waits for the cheap hours and says so."""
    grid = TimeGrid.uniform(START, step_s=3600, steps=4)
    problem = build_problem(
        grid,
        circuits=[CircuitLimits(id="main", limit_a=63.0)],
        requests=[ChargingRequest(id="A1", circuit="main", phases=(1,), wanted_wh=7_000.0)],
        money=build_money(grid, import_price_per_kwh=np.array([0.42, 0.42, 0.18, 0.18])),
    )

    now, _, then, _ = explain(problem, allocate(problem), "A1")

    assert "0 A: energy costs 0.42 EUR/kWh now and is better at another time; 30 A from 20:00" == now.sentence
    assert "served" == then.reasons[0].kind


def test_money_is_named_where_a_limit_costs_money_and_nobody_goes_short() -> None:
    """A riser that is full in the cheap hours makes energy dearer: its worth is the price difference."""
    grid = TimeGrid.uniform(START, step_s=3600, steps=4)
    problem = build_problem(
        grid,
        circuits=[CircuitLimits(id="main", limit_a=20.0)],
        requests=[
            ChargingRequest(id=f"A{i}", circuit="main", phases=(1,), max_a=16.0, wanted_wh=6_000.0, step_a=0.1)
            for i in range(2)
        ],
        money=build_money(grid, import_price_per_kwh=np.array([0.18, 0.18, 0.42, 0.42])),
    )
    allocation = allocate(problem)

    reasons = [r for label in ("A0", "A1") for r in explain(problem, allocation, label)[0].reasons]

    worth = [r.price_per_h for r in reasons if r.kind == "circuit"]
    assert worth
    assert max(worth) == pytest.approx(0.24 * 0.23, rel=0.05)


def test_an_unknown_evse_is_refused_by_name() -> None:
    """The message lists what there is."""
    problem = _garage(np.full(8, 0.3))

    with pytest.raises(ValueError, match="must be one of B1, B3, B6"):
        explain(problem, allocate(problem), "B9")

"""Why: duals agree with finite differences, degenerate ones say so, and sentences name what binds."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

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
    what_would_help,
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
    assert "kWh an hour to those who go short" in first.sentence
    assert " earlier)" in first.sentence
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

    assert "0 A: energy costs 0.42 EUR/kWh now and 0.18 at 20:00; 30 A from 20:00" == now.sentence
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


GRID = TimeGrid.uniform(START, step_s=3600, steps=4)


def _said(
    request: dict[str, Any], *, circuit: dict[str, Any] | None = None, others: tuple[dict[str, Any], ...] = ()
) -> list[str]:
    """Return the sentences of ``A1`` on one circuit, alone but for others named ``O0`` and up."""
    every = [{"id": "A1", "phases": (1,), **request}]
    every += [{"id": f"O{k}", "phases": (1,), **other} for k, other in enumerate(others)]
    problem = build_problem(
        GRID,
        circuits=[CircuitLimits(id="main", **(circuit or {"limit_a": 63.0}))],
        requests=[ChargingRequest(**{"circuit": "main", **item}) for item in every],
        money=build_money(GRID, import_price_per_kwh=0.3),
    )
    return [item.sentence for item in explain(problem, allocate(problem), "A1")]


def test_before_and_after_its_stay_a_vehicle_is_expected_and_has_left() -> None:
    """Nobody is told that nothing is plugged in while the car has not come, has left, or has what it wanted."""
    said = _said({"wanted_wh": 6_000.0, "arrival": START + timedelta(hours=1), "departure": START + timedelta(hours=3)})

    assert "0 A: its vehicle is expected at 19:00" == said[0]
    assert said[1].startswith("27 A: ") or said[1].startswith("26 A: ")
    assert "0 A: it has what it asked for" == said[2]
    assert "0 A: its vehicle has left with what it asked for" == said[3]


def test_who_leaves_short_is_told_by_how_much() -> None:
    """A need that its own maximum cannot meet in an hour ends short, and the sentence says it."""
    said = _said({"wanted_wh": 10_000.0, "max_a": 16.0, "departure": START + timedelta(hours=1)})

    assert "16 A: vehicle and EVSE take no more than 16 A; 0 A from 19:00" == said[0]
    assert "0 A: its vehicle has left, 6.3 kWh short of what it asked for" == said[1]


def test_a_need_that_is_met_already_is_called_met() -> None:
    """Plugged in and full is not "held back"."""
    assert "0 A: it has what it asked for" == _said({"wanted_wh": 0.0})[0]


def test_no_current_allowed_and_too_little_allowed_are_told_apart() -> None:
    """A bound of 0 A is somebody's limit; a bound below the minimum is a minimum that cannot be had."""
    closed, crossed = _said({"wanted_wh": 5_000.0, "max_a": 0.0}), _said({"wanted_wh": 5_000.0, "max_a": 5.0})

    assert "allow no current now" in closed[0]
    assert "no more than 5 A are allowed, and it needs at least 6 A to charge at all" in crossed[0]


def test_minimum_times_are_named() -> None:
    """What must stay off says so."""
    assert "stays off for its minimum time" in _said({"wanted_wh": 5_000.0, "keep_off_s": 1_800.0})[0]


def test_other_loads_above_the_limit_are_named_with_circuit_and_phase() -> None:
    """A driver learns that it is the building, not another car."""
    said = _said({"wanted_wh": 5_000.0}, circuit={"limit_a": 20.0, "side_load_a": (25.0, 0.0, 0.0)})

    assert "other loads alone are above the limit of main on L1, so nothing is left for vehicles" in said[0]


def test_each_kind_of_limit_has_its_own_words() -> None:
    """Power is counted in kW, the neutral and the unbalance are not called "full on" a phase."""
    many = {"wanted_wh": 60_000.0}
    power = _said(many, circuit={"limit_w": 4_600.0})
    neutral = _said(many, circuit={"limit_a": 63.0, "neutral_limit_a": 16.0})
    unbalance = _said(many, circuit={"limit_a": 63.0, "unbalance_a": 20.0})

    assert "main is at its limit of power; one more kW there brings 1.00 kWh an hour to those who go short" in power[0]
    assert "the neutral of main is full; one more ampere there brings 0.23 kWh an hour" in neutral[0]
    assert "L1 of main may not rise further above L" in unbalance[0]


def test_a_higher_class_is_named_as_having_priority() -> None:
    """The other's class is the reason, not its departure."""
    said = _said({"wanted_wh": 20_000.0}, circuit={"limit_a": 32.0}, others=({"wanted_wh": 60_000.0, "priority": 2},))

    assert "shared with O0 (O0 has priority)" in said[0]


def test_a_vehicle_that_feeds_back_says_so() -> None:
    """Below 0 A the question is another one."""
    price = np.array([0.9, 0.1, 0.1, 0.1])
    problem = build_problem(
        GRID,
        circuits=[CircuitLimits(id="main", limit_a=63.0)],
        requests=[
            ChargingRequest(id="A1", circuit="main", wanted_wh=6_000.0, discharge_max_a=16.0, discharge_room_wh=9_000.0)
        ],
        money=build_money(GRID, import_price_per_kwh=price, export_price_per_kwh=0.8, site_load_w=0.0),
    )

    first = explain(problem, allocate(problem), "A1")[0]

    assert first.current_a < 0.0
    assert "feeds back" in first.sentence


def test_money_and_energy_of_an_ampere_add_up_and_energy_is_exact() -> None:
    """Where somebody goes short, one more ampere brings exactly the Wh that the program then delivers more."""
    checked = 0
    for seed in range(8):
        problem = random_problem(np.random.default_rng(seed), evses=7, steps=8, tight=0.3)
        rows = network_rows(problem)
        program = build_program(problem, rows, weights(problem))
        value = marginal_values(problem, rows, program)
        span = program.spans["shortfall"]
        for row, step in np.argwhere((value.short_wh > 1.0) & ~value.one_sided)[:3]:
            upper = program.row_upper.copy()
            delta = 1e-3 if rows.names[row].kind == "phase" else 0.1
            upper[int(program.places.network[row, step])] += delta
            session = HighsSession(iteration_limit=100_000)
            before = session.solve(program).values[span].sum()
            after = session.solve(replace(program, row_upper=upper)).values[span].sum()

            assert (before - after) / delta * 1000.0 == pytest.approx(value.short_wh[row, step], rel=1e-3)
            checked += 1
    assert checked >= 5


def test_what_would_help_is_tried_before_it_is_told() -> None:
    """Who goes short learns how much longer or whose energy would do; who is served learns nothing."""
    problem = build_problem(
        GRID,
        circuits=[CircuitLimits(id="main", limit_a=32.0)],
        requests=[
            ChargingRequest(
                id="A1", circuit="main", phases=(1,), wanted_wh=7_000.0, departure=START + timedelta(hours=1)
            ),
            ChargingRequest(
                id="A2", circuit="main", phases=(1,), wanted_wh=6_000.0, departure=START + timedelta(hours=1)
            ),
            ChargingRequest(id="A3", circuit="main", phases=(2,), wanted_wh=6_000.0),
        ],
    )

    short = {"A1", "A2"}
    helps = {label: what_would_help(problem, label) for label in problem.evses.ids}

    assert () == helps["A3"]
    kinds = {remedy.kind for label in short for remedy in helps[label]}
    assert {"stay", "priority"} <= kinds
    assert any("longer would do" in remedy.text for label in short for remedy in helps[label])


def test_a_remedy_of_an_unknown_evse_is_refused_by_name() -> None:
    """The message lists what there is."""
    with pytest.raises(ValueError, match="must be one of B1, B3, B6"):
        what_would_help(_garage(np.full(8, 0.3)), "B9")

"""A solver that is kept gives the same commands as a fresh one, whatever moved in between."""

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loadmgr.allocation import AllocationOptions, AllocationProblem, Allocator, allocate, explain
from loadmgr.model.series import TimeGrid
from tests.allocation_sites import START, random_problem


def _cut(problem: AllocationProblem, *, steps: slice, evses: list[int]) -> AllocationProblem:
    """Return the part of a problem over some of its steps and EVSEs."""
    count = problem.n_steps
    start = START + timedelta(seconds=900 * steps.start)
    grid = TimeGrid.uniform(start, step_s=900, steps=len(range(count)[steps]))

    def over_steps(record: Any) -> Any:
        arrays = {f.name: getattr(record, f.name) for f in fields(record) if f.init}
        return replace(
            record,
            **{
                name: value[..., steps]
                for name, value in arrays.items()
                if isinstance(value, np.ndarray) and value.shape[-1:] == (count,) and name != "on_phase"
            },
        )

    def rows(value: Any) -> Any:
        return value[evses] if isinstance(value, np.ndarray) else tuple(value[i] for i in evses)

    some = {f.name: rows(getattr(problem.evses, f.name)) for f in fields(problem.evses) if f.init}
    for name in ("max_a", "presence_ratio", "previous_a", "discharge_max_a"):
        some[name] = some[name][:, steps]
    shift_s = 900.0 * steps.start
    some["arrival_s"], some["departure_s"] = some["arrival_s"] - shift_s, some["departure_s"] - shift_s
    return replace(
        problem,
        grid=grid,
        circuits=over_steps(problem.circuits),
        money=over_steps(problem.money),
        evses=replace(problem.evses, **some),
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_warm_commands_equal_cold_ones_while_the_window_moves_and_sessions_change(seed: int) -> None:
    """Three re-plans, each with one step less in front and other sessions, command for an hour what a cold one does.

    What lies beyond is planned again before it is sent. There, two plans that differ by less than the solver's
    tolerance (some 1e-11 of the objective) may both come out.
    """
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, evses=14, steps=18, tight=float(rng.choice([0.1, 0.3, 0.6])))
    options = AllocationOptions(milp_evses=0)
    allocator = Allocator(options)
    for move in range(3):
        chosen = sorted(rng.choice(14, size=10, replace=False).tolist())
        part = _cut(problem, steps=slice(move, 15 + move), evses=chosen)

        warm, cold = allocator.allocate(part), allocate(part, options=options)

        assert cold.current_a[:, :4].tolist() == warm.current_a[:, :4].tolist()
        assert cold.method == warm.method


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
@example(851818)
def test_the_order_in_which_evses_are_listed_changes_nothing(seed: int) -> None:
    """The same site with its EVSEs shuffled gets the same setpoints, EVSE by EVSE."""
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, evses=10, steps=12, tight=float(rng.choice([0.1, 0.3, 0.6])))
    order = rng.permutation(10).tolist()
    shuffled = _cut(problem, steps=slice(0, 12), evses=order)
    options = AllocationOptions(milp_evses=0)

    straight, other = allocate(problem, options=options), allocate(shuffled, options=options)

    assert straight.current_a[order, :4].tolist() == other.current_a[:, :4].tolist()


def _shuffled(rng: np.random.Generator, problem: AllocationProblem) -> tuple[AllocationProblem, list[int], list[int]]:
    """Return a problem with EVSEs, circuits and batteries listed in another order, and those of EVSEs and batteries."""
    evses, circuits, batteries = (
        rng.permutation(n).tolist() for n in (problem.n_evses, len(problem.circuits.ids), len(problem.batteries))
    )

    def rows(record: Any, order: list[int]) -> dict[str, Any]:
        values = {f.name: getattr(record, f.name) for f in fields(record) if f.init}
        return {
            name: value[order] if isinstance(value, np.ndarray) else tuple(value[k] for k in order)
            for name, value in values.items()
        }

    of_circuits, of_evses = rows(problem.circuits, circuits), rows(problem.evses, evses)
    of_circuits["parents"] = tuple(None if p is None else circuits.index(p) for p in of_circuits["parents"])
    of_evses["circuit"] = np.array([circuits.index(c) for c in of_evses["circuit"]], dtype=np.int64)
    listed = [problem.batteries[k] for k in batteries]
    other = replace(
        problem,
        circuits=replace(problem.circuits, **of_circuits),
        evses=replace(problem.evses, **of_evses),
        batteries=tuple(replace(b, circuit=circuits.index(b.circuit)) for b in listed),
    )
    return other, evses, batteries


def _with_second_battery(problem: AllocationProblem) -> AllocationProblem:
    """Return a problem with a battery of the same kind on its first circuit."""
    more = tuple(replace(b, id="another battery", circuit=0) for b in problem.batteries)
    return replace(problem, batteries=problem.batteries + more)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["program", "fill"]), st.sampled_from([0, 20]))
def test_the_whole_answer_follows_the_listing_of_evses_circuits_and_batteries(
    seed: int, method: Any, milp_evses: int
) -> None:
    """Setpoints, plan, shortfall, batteries and alarms are the same to the last bit, whatever stands first."""
    rng = np.random.default_rng(seed)
    tight = float(rng.choice([0.1, 0.3, 0.6]))
    problem = _with_second_battery(random_problem(rng, evses=8, steps=8, tight=tight, rich=True))
    other, evses, batteries = _shuffled(rng, problem)
    options = AllocationOptions(method=method, milp_evses=milp_evses)

    straight, shuffled = allocate(problem, options=options), allocate(other, options=options)

    assert other.evses.ids == shuffled.evse_ids
    for name in ("current_a", "planned_a", "energy_wh", "shortfall_wh"):
        assert getattr(straight, name)[evses].tolist() == getattr(shuffled, name).tolist()
    assert straight.battery_w[batteries].tolist() == shuffled.battery_w.tolist()
    assert straight.alarms == shuffled.alarms
    assert straight.statistics == shuffled.statistics


def test_a_warm_allocator_and_the_explanations_do_not_see_the_listing() -> None:
    """A basis carried over from another order of listing, and duals with their sentences, are the same."""
    warmed = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        problem = random_problem(rng, evses=9, steps=10, tight=0.2)
        other, evses, _ = _shuffled(rng, problem)
        allocator = Allocator(AllocationOptions(milp_evses=0))
        straight, shuffled = allocator.allocate(problem), allocator.allocate(other)

        assert straight.current_a[evses].tolist() == shuffled.current_a.tolist()
        warmed += shuffled.statistics.warm
        for label in problem.evses.ids[:3]:
            assert explain(problem, straight, label) == explain(other, shuffled, label)
    assert 4 == warmed


@pytest.mark.parametrize(("seed", "move"), [(1575, 2)])
def test_currents_that_are_even_to_the_last_digit_are_repaired_alike(seed: int, move: int) -> None:
    """Two vehicles planned at the very same current below their minimum: who goes on does not hang on rounding."""
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, evses=14, steps=18, tight=float(rng.choice([0.1, 0.3, 0.6])))
    options = AllocationOptions(milp_evses=0)
    allocator = Allocator(options)
    for at in range(move + 1):
        chosen = sorted(rng.choice(14, size=10, replace=False).tolist())
        part = _cut(problem, steps=slice(at, 15 + at), evses=chosen)
        warm = allocator.allocate(part)

    assert allocate(part, options=options).current_a.tolist() == warm.current_a.tolist()

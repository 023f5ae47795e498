"""A solver that is kept gives the same commands as a fresh one, whatever moved in between."""

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.allocation import AllocationOptions, AllocationProblem, Allocator, allocate
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
    """Three re-plans, each with one step less in front and other sessions, command what a cold solve does."""
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, evses=14, steps=18, tight=float(rng.choice([0.1, 0.3, 0.6])))
    options = AllocationOptions(milp_evses=0)
    allocator = Allocator(options)
    for move in range(3):
        chosen = sorted(rng.choice(14, size=10, replace=False).tolist())
        part = _cut(problem, steps=slice(move, 15 + move), evses=chosen)

        warm, cold = allocator.allocate(part), allocate(part, options=options)

        assert cold.current_a.tolist() == warm.current_a.tolist()
        assert cold.method == warm.method


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_in_which_evses_are_listed_changes_nothing(seed: int) -> None:
    """The same site with its EVSEs shuffled gets the same setpoints, EVSE by EVSE."""
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, evses=10, steps=12, tight=float(rng.choice([0.1, 0.3, 0.6])))
    order = rng.permutation(10).tolist()
    shuffled = _cut(problem, steps=slice(0, 12), evses=order)
    options = AllocationOptions(milp_evses=0)

    straight, other = allocate(problem, options=options), allocate(shuffled, options=options)

    assert straight.current_a[order, :4].tolist() == other.current_a[:, :4].tolist()

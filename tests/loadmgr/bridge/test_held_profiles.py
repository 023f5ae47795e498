"""Held profiles of a CSMS and limits of ours, combined by minimum."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmgr.bridge.held_profiles import Step, combined_by_minimum
from loadmgr.composite.answer import CompositeSchedule
from loadmgr.model.profile import RateUnit

NOW = datetime(2024, 1, 17, 12, tzinfo=UTC)

STEPS = st.lists(
    st.tuples(st.integers(1, 99), st.one_of(st.none(), st.floats(0.0, 32.0))),
    max_size=6,
    unique_by=lambda each: each[0],
).map(lambda rest: [(0, 16.0), *sorted(rest, key=lambda each: each[0])])


def value(steps: Any, when_s: int) -> float:
    found = [limit for start_s, limit in steps if start_s <= when_s][-1]
    return float("inf") if found is None else found


@given(STEPS, STEPS)
def test_the_combination_is_the_lower_of_both_at_every_second(ours: list[Step], theirs: list[Step]) -> None:
    rows = [(start_s, limit, 3) for start_s, limit in theirs]
    schedule = CompositeSchedule(1, NOW, 100, RateUnit.A, rows)

    combined = combined_by_minimum(ours, schedule)

    assert [min(value(ours, s), value(theirs, s)) for s in range(100)] == [value(combined, s) for s in range(100)]
    assert all(first[1] != second[1] for first, second in itertools.pairwise(combined))


@pytest.mark.parametrize("ours", [[], [(5, 1.0)], [(0, 1.0), (0, 2.0)]])
def test_steps_that_are_none_are_refused(ours: list[Step]) -> None:
    with pytest.raises(ValueError, match="ours must begin at 0"):
        combined_by_minimum(ours, CompositeSchedule(1, NOW, 100, RateUnit.A, [(0, None, 3)]))

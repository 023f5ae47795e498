"""The grid of a plan: fine now, coarse later, a day ahead, on the clock."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.control.planning.formulate import plan_grid
from loadmgr.control.settings import ControlSettings

DAY = datetime(2026, 3, 1, tzinfo=UTC)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 86_399))
def test_every_step_but_the_first_begins_on_the_clock_and_the_day_ahead_is_covered(second: int) -> None:
    """A quarter of an hour begins on one, an hour on the hour; from 24 to 26 h, in at most 52 steps."""
    grid = plan_grid(DAY + timedelta(seconds=second), ControlSettings())

    total_h = sum(grid.durations_s) / 3600.0
    assert 24.0 <= total_h <= 26.0
    assert 44 <= len(grid) <= 52
    assert 60 <= grid.durations_s[0] < 360
    for start, duration_s in zip(grid.times[1:], grid.durations_s[1:], strict=False):
        assert duration_s in (300, 900, 3600)
        assert int(start.timestamp()) % duration_s == 0
    assert list(grid.durations_s[1:]) == sorted(grid.durations_s[1:])


@pytest.mark.parametrize(
    ("changed", "steps"),
    [({"far_steps": 0}, {300, 900}), ({"coarse_steps": 0}, {300, 3600}), ({"coarse_steps": 0, "far_steps": 0}, {300})],
)
def test_a_stage_of_no_steps_is_left_out(changed: dict[str, int], steps: set[int]) -> None:
    """The finer steps then go on until the next stage can begin on the clock."""
    grid = plan_grid(DAY + timedelta(minutes=7), replace(ControlSettings(), **changed))

    assert steps == set(grid.durations_s[1:])

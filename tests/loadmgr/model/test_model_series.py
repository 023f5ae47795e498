"""Step functions and time grids."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmgr.model.series import StepFunction, TimeGrid

START = datetime(2024, 3, 1, tzinfo=UTC)


def _at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@st.composite
def step_functions(draw: st.DrawFn) -> StepFunction:
    offsets = sorted(draw(st.sets(st.integers(0, 5000), min_size=1, max_size=8)))
    values = draw(st.lists(st.floats(-100.0, 100.0), min_size=len(offsets), max_size=len(offsets)))
    end = draw(st.none() | st.integers(offsets[-1] + 1, 9000))
    return StepFunction(tuple(map(_at, offsets)), tuple(values), None if end is None else _at(end))


@st.composite
def grids(draw: st.DrawFn) -> TimeGrid:
    return TimeGrid(
        _at(draw(st.integers(0, 3000))), tuple(draw(st.lists(st.integers(1, 700), min_size=1, max_size=10)))
    )


def test_a_value_holds_from_its_instant_until_the_next() -> None:
    series = StepFunction((_at(0), _at(60)), (1.0, 2.0), _at(120))
    assert [series.at(_at(s)) for s in (-1, 0, 59, 60, 119, 120)] == [None, 1.0, 1.0, 2.0, 2.0, None]


def test_the_last_value_holds_for_ever_without_an_end() -> None:
    assert StepFunction((_at(0),), (7.0,)).at(_at(10**8)) == 7.0


def test_the_mean_is_weighted_by_time() -> None:
    series = StepFunction((_at(0), _at(60)), (1.0, 4.0))
    assert series.mean(_at(30), _at(90)) == pytest.approx(2.5)


def test_a_mean_over_a_part_without_value_is_none() -> None:
    series = StepFunction((_at(0),), (1.0,), _at(60))
    assert series.mean(_at(-1), _at(10)) is None
    assert series.mean(_at(10), _at(61)) is None


@given(step_functions(), st.integers(0, 8000), st.integers(1, 2000))
def test_the_mean_is_that_of_the_value_at_every_second(series: StepFunction, first: int, length: int) -> None:
    mean = series.mean(_at(first), _at(first + length))
    values = [series.at(_at(first + s)) for s in range(length)]
    if None in values:
        assert mean is None
    else:
        assert mean == pytest.approx(sum(v for v in values if v is not None) / length, abs=1e-6)


@pytest.mark.parametrize(
    ("times", "values", "end", "said"),
    [
        ((0, 60), (1.0,), None, "values must match times"),
        ((60, 0), (1.0, 2.0), None, "times must increase strictly"),
        ((0, 0), (1.0, 2.0), None, "times must increase strictly"),
        ((0, 60), (1.0, 2.0), 60, "end must lie after the last time"),
    ],
)
def test_a_series_out_of_order_is_refused(
    times: tuple[int, ...], values: tuple[float, ...], end: int | None, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        StepFunction(tuple(map(_at, times)), values, None if end is None else _at(end))


@given(grids())
def test_the_steps_of_a_grid_meet_without_gap(grid: TimeGrid) -> None:
    times = grid.times
    assert times[0] == grid.start
    assert times[-1] == grid.end
    assert [(b - a).total_seconds() for a, b in itertools.pairwise(times)] == list(grid.durations_s)
    assert sum(grid.hours) * 3600.0 == pytest.approx(sum(grid.durations_s))


@given(grids(), st.integers(-100, 12_000))
def test_the_index_of_an_instant_is_the_step_that_holds_it(grid: TimeGrid, second: int) -> None:
    when = _at(second)
    index = grid.index(when)
    if index is None:
        assert not grid.start <= when < grid.end
    else:
        assert grid.times[index] <= when < grid.times[index + 1]


@given(grids(), step_functions())
def test_samples_keep_the_integral(grid: TimeGrid, series: StepFunction) -> None:
    whole = series.mean(grid.start, grid.end)
    if whole is None:
        with pytest.raises(ValueError, match="no value"):
            grid.sample(series)
    else:
        sampled = sum(v * s for v, s in zip(grid.sample(series), grid.durations_s, strict=True))
        assert sampled == pytest.approx(whole * sum(grid.durations_s), rel=1e-9, abs=1e-6)


def test_blocks_make_a_grid_that_is_fine_now_and_coarse_later() -> None:
    assert TimeGrid.of_blocks(START, [(2, 60), (1, 900)]).durations_s == (60, 60, 900)
    assert TimeGrid.uniform(START, step_s=900, steps=3).durations_s == (900, 900, 900)


def test_what_lies_outside_a_series_is_filled_only_on_request() -> None:
    grid = TimeGrid.uniform(START, step_s=60, steps=2)
    series = StepFunction((_at(60),), (5.0,))
    assert grid.sample(series, outside=0.0) == [0.0, 5.0]
    with pytest.raises(ValueError, match="series has no value"):
        grid.sample(series)


@pytest.mark.parametrize("durations", [(), (0,), (60, -1)])
def test_a_grid_without_steps_or_with_an_empty_step_is_refused(durations: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="durations_s"):
        TimeGrid(START, durations)

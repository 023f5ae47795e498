"""Series from CSV files: gaps and slips named by row and column, and weeks that repeat by the local clock."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.errors import InputError
from loadmgr.site_file.series_csv import SeriesTable, as_cycle, as_step_function, read_series

BERLIN = ZoneInfo("Europe/Berlin")


def _write(folder: Path, *lines: str) -> Path:
    path = folder / "series.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _table(start: datetime, end: datetime, *, step_s: int = 3600) -> SeriesTable:
    """Return a table whose values count the steps."""
    count = int((end - start).total_seconds()) // step_s
    times = tuple(start.astimezone(UTC) + timedelta(seconds=step_s * n) for n in range(count))
    return SeriesTable(Path("series.csv"), times, step_s, {"ratio": tuple(map(float, range(count)))})


def _midnight(*day: int) -> datetime:
    return datetime(*day, tzinfo=BERLIN).astimezone(UTC)  # type: ignore[misc,arg-type]


def test_a_series_ends_one_step_after_its_last_row(tmp_path: Path) -> None:
    path = _write(tmp_path, "start,price_per_kwh", "2024-07-01T00:00+02:00,0.1", "2024-07-01T00:15+02:00,-0.2")
    table = read_series(path, ["price_per_kwh", "price_per_mwh"])
    series = as_step_function(table, table.columns["price_per_kwh"])
    assert (table.step_s, series.end) == (900, datetime(2024, 6, 30, 22, 30, tzinfo=UTC))
    assert series.at(datetime(2024, 6, 30, 22, 20, tzinfo=UTC)) == -0.2
    assert series.at(datetime(2024, 6, 30, 22, 30, tzinfo=UTC)) is None


HEAD = "start,price_per_kwh"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ["when,price_per_kwh", "x,1"],
            "row 1: columns must be start and price_per_kwh or price_per_mwh, got when, price",
        ),
        (["start,price", "x,1"], "row 1: columns must be start and price_per_kwh or price_per_mwh, got start, price"),
        ([HEAD, "2024-07-01T00:00,1"], "row 2, column start: '2024-07-01T00:00' is not a time with zone"),
        ([HEAD, "2024-07-01T00Z,-"], "row 2, column price_per_kwh: '-' is not a number"),
        ([HEAD, "2024-07-01T00Z,nan"], "row 2, column price_per_kwh: 'nan' is not a finite number"),
        ([HEAD, "2024-07-01T00Z,1"], "needs at least two rows, got 1"),
        ([HEAD, "2024-07-01T00Z,1", "2024-07-01T00Z,1"], "row 3, column start: .* occurs twice or goes back"),
        (
            [HEAD, "2024-07-01T00Z,1", "2024-07-01T01Z,1", "2024-07-01T03Z,1"],
            "row 4, column start: 2024-07-01T03:00:00.* follows after 2:00:00, not 1:00:00",
        ),
        (
            # The hour that is shown twice, without saying which: the second is a row that occurs twice.
            [HEAD, "2024-10-27T02:00+01:00,1", "2024-10-27T03:00+01:00,1", "2024-10-27T03:00+01:00,1"],
            "row 4, column start: .* occurs twice",
        ),
    ],
)
def test_a_bad_series_is_named_by_file_row_and_column(lines: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"series\.csv: {said}"):
        read_series(_write(tmp_path, *lines), ["price_per_kwh", "price_per_mwh"])


def test_all_columns_must_be_there_where_all_are_needed(tmp_path: Path) -> None:
    path = _write(tmp_path, "start,l1_a,l2_a", "2024-07-01T00Z,1,2")
    with pytest.raises(InputError, match="columns must be start, l1_a, l2_a, l3_a, got start, l1_a, l2_a"):
        read_series(path, ["l1_a", "l2_a", "l3_a"], every=True)


def test_a_file_that_is_not_text_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    path.write_bytes(b"start,price_per_kwh\n\xff\xfe,1\n")
    with pytest.raises(InputError, match=r"series\.csv: cannot be read"):
        read_series(path, ["price_per_kwh"])


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (_midnight(2024, 7, 1), _midnight(2024, 7, 7)),
        (_midnight(2024, 7, 1) + timedelta(hours=1), _midnight(2024, 7, 8) + timedelta(hours=1)),
    ],
)
def test_what_is_not_whole_weeks_from_midnight_does_not_repeat(start: datetime, end: datetime) -> None:
    table = _table(start, end)
    with pytest.raises(InputError, match="whole weeks from midnight to midnight in Europe/Berlin"):
        as_cycle(table, table.columns["ratio"], time_zone="Europe/Berlin")


def test_an_ordinary_week_repeats_as_it_is() -> None:
    table = _table(_midnight(2024, 7, 1), _midnight(2024, 7, 8))
    cycle = as_cycle(table, table.columns["ratio"], time_zone="Europe/Berlin")
    assert cycle.first_day == date(2024, 7, 1)
    assert cycle.values == tuple(map(float, range(168)))


def test_the_hour_that_is_shown_twice_counts_with_its_mean() -> None:
    table = _table(_midnight(2024, 10, 21), _midnight(2024, 10, 28))
    cycle = as_cycle(table, table.columns["ratio"], time_zone="Europe/Berlin")
    sunday = cycle.values[6 * 24 :]
    assert sunday[:5] == (144.0, 145.0, 146.5, 148.0, 149.0)
    assert len(cycle.values) == 168


def test_the_hour_that_clocks_skip_takes_the_value_before() -> None:
    table = _table(_midnight(2024, 3, 25), _midnight(2024, 4, 1))
    cycle = as_cycle(table, table.columns["ratio"], time_zone="Europe/Berlin")
    sunday = cycle.values[6 * 24 :]
    assert sunday[:5] == (144.0, 145.0, 145.0, 146.0, 147.0)
    assert len(cycle.values) == 168


@given(st.integers(0, 51), st.sampled_from([900, 1800, 3600]))
@settings(max_examples=25, deadline=None)
def test_a_year_that_repeats_gives_back_its_own_values(week: int, step_s: int) -> None:
    table = _table(_midnight(2018, 1, 1), _midnight(2018, 12, 31), step_s=step_s)
    cycle = as_cycle(table, table.columns["ratio"], time_zone="Europe/Berlin")
    series = as_step_function(table, table.columns["ratio"])
    start = datetime(2018, 1, 3, 18, tzinfo=BERLIN) + timedelta(weeks=week)
    assert cycle.at(start) == series.at(start.astimezone(UTC))
    later = start + timedelta(weeks=52)
    assert cycle.at(later) == cycle.at(start)

"""Mending a series: what is done is named, and what could be done in two ways is refused."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadmgr.errors import InputError
from loadmgr.site_file.series_repair import MendedSeries, mend_series

HEAD = "start,price_per_kwh"


def _mend(folder: Path, *lines: str, time_zone: str | None = None) -> MendedSeries:
    path = folder / "series.csv"
    path.write_text("\n".join([HEAD, *lines]) + "\n", encoding="utf-8")
    return mend_series(path, time_zone=time_zone)


def _said(folder: Path, mended: MendedSeries) -> list[str]:
    return [line.removeprefix(f"{folder / 'series.csv'}: ") for line in mended.mends]


def _hours(day: int, *, without: tuple[int, ...] = (), first: float = 0.0) -> list[str]:
    return [f"2024-07-{day:02}T{hour:02}:00Z,{first + hour:g}" for hour in range(24) if hour not in without]


def test_a_good_series_is_left_as_it_is(tmp_path: Path) -> None:
    mended = _mend(tmp_path, *_hours(1))
    assert mended.mends == ()
    assert mended.times[:2] == (datetime(2024, 7, 1, 0, tzinfo=UTC), datetime(2024, 7, 1, 1, tzinfo=UTC))
    assert mended.rows == tuple((float(hour),) for hour in range(24))


def test_a_gap_takes_the_day_before_or_else_the_hour_before(tmp_path: Path) -> None:
    mended = _mend(tmp_path, *_hours(1, without=(5,)), *_hours(2, without=(7, 8), first=100.0))
    by_hour = {when: value for when, (value,) in zip(mended.times, mended.rows, strict=True)}
    assert len(by_hour) == 48
    assert by_hour[datetime(2024, 7, 1, 5, tzinfo=UTC)] == 4.0
    assert by_hour[datetime(2024, 7, 2, 7, tzinfo=UTC)] == 7.0
    assert _said(tmp_path, mended)[-1] == (
        "row 32, column start: 2024-07-02T08:00:00+00:00 is missing before it: as 2024-07-01T08:00:00+00:00"
    )
    assert len(mended.mends) == 3


def test_an_empty_cell_is_a_missing_row(tmp_path: Path) -> None:
    lines = _hours(1)
    lines[3] = "2024-07-01T03:00Z,"
    mended = _mend(tmp_path, *lines)
    assert mended.rows[3] == (2.0,)
    assert _said(tmp_path, mended)[0] == "row 5, column price_per_kwh: is empty: taken as missing"


def test_a_row_that_occurs_twice_counts_once_and_rows_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    lines = _hours(1)
    mended = _mend(tmp_path, *lines[:2], lines[1], lines[3], lines[2], *lines[4:])
    assert mended.rows == tuple((float(hour),) for hour in range(24))
    assert _said(tmp_path, mended) == [
        "row 4, column start: the same as row 3: counted once",
        "row 6, column start: 2024-07-01T02:00Z comes after a later one: put in order",
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([*_hours(1), "2024-07-01T01:00Z,7"], "row 26, column start: .* is also in row 3, with other numbers"),
        ([*_hours(1), *_hours(3)], "row 26, column start: 1 day, 0:00:00 are missing before it, too long"),
        ([*_hours(1), "2024-07-02T00:20Z,7"], "row 26, column start: .* follows after 1:20:00, not 1:00:00"),
        ([*_hours(1), "2024-07-02T00:00,7"], "row 26, column start: '2024-07-02T00:00' has no zone: give it with"),
        ([*_hours(1), "2024-07-02T00:00Z,dear"], "row 26, column price_per_kwh: 'dear' is not a number"),
        ([*_hours(1), "soon,1"], "row 26, column start: 'soon' is not a time"),
        (["2024-07-02T00:00Z,1"], "needs at least two rows, got 1"),
    ],
)  # fmt: skip
def test_what_could_be_mended_in_two_ways_is_refused(lines: list[str], said: str, tmp_path: Path) -> None:
    if "too long" in said:
        lines = [line for line in lines if not line.startswith("2024-07-03T00")]
        said = said.replace("1 day, 0:00:00", "1 day, 1:00:00")
    with pytest.raises(InputError, match=rf"series\.csv: {said}"):
        _mend(tmp_path, *lines)


def _local_day(day: str, hours: list[int]) -> list[str]:
    return [f"{day} {hour:02}:00,{number}" for number, hour in enumerate(hours)]


def test_local_hours_of_the_day_on_which_clocks_go_back_are_all_there(tmp_path: Path) -> None:
    mended = _mend(tmp_path, *_local_day("2024-10-27", [0, 1, 2, 2, *range(3, 24)]), time_zone="Europe/Berlin")
    assert mended.rows == tuple((float(n),) for n in range(25))
    assert mended.mends == ()
    assert mended.times[0] == datetime(2024, 10, 26, 22, tzinfo=UTC)


def test_the_hour_that_clocks_skip_is_dropped_and_the_one_shown_twice_filled(tmp_path: Path) -> None:
    spring = _mend(tmp_path, *_local_day("2024-03-31", list(range(24))), time_zone="Europe/Berlin")
    assert len(spring.rows) == 23
    assert _said(tmp_path, spring) == [
        "row 4, column start: 2024-03-31 02:00 is skipped by the clock of Europe/Berlin: dropped"
    ]
    autumn = _mend(tmp_path, *_local_day("2024-10-27", list(range(24))), time_zone="Europe/Berlin")
    assert len(autumn.rows) == 25
    assert autumn.rows[2:4] == ((2.0,), (2.0,))
    assert _said(tmp_path, autumn)[0].startswith("row 5, column start: 2024-10-27T01:00:00+00:00 is missing")

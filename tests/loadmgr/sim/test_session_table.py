"""Session tables: what a good row gives, and every bad row named."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadmgr.errors import InputError
from loadmgr.model.ids import EvseId
from loadmgr.sim.session_table import read_sessions, read_table, write_table

HEADING = "session_id,evse,arrival,departure,estimated_departure,energy_requested_wh,energy_delivered_wh,max_a,phases"
ROW = "s1,A1,2019-06-03T18:00+02:00,2019-06-04T06:00+02:00,2019-06-04T07:00+02:00,12000,11500,16,3"


def _read(folder: Path, *lines: str) -> list[str]:
    """Return the lines of the error that reading these lines raises."""
    with pytest.raises(InputError) as raised:
        _sessions(folder, *lines)
    return [line.removeprefix(f"{folder / 'week.csv'}: ") for line in str(raised.value).splitlines()]


def _sessions(folder: Path, *lines: str):  # type: ignore[no-untyped-def]
    path = folder / "week.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_sessions(path)


def test_a_full_row_gives_every_field_in_utc(tmp_path: Path) -> None:
    (session,) = _sessions(tmp_path, HEADING, ROW)
    assert (session.session_id, session.evse, session.max_a, session.phases) == ("s1", "A1", 16.0, 3)
    assert (session.energy_requested_wh, session.energy_delivered_wh) == (12_000.0, 11_500.0)
    assert session.arrival == datetime(2019, 6, 3, 16, tzinfo=UTC)
    assert session.departure == datetime(2019, 6, 4, 4, tzinfo=UTC)
    assert session.estimated_departure == datetime(2019, 6, 4, 5, tzinfo=UTC)


def test_empty_cells_and_missing_columns_are_none(tmp_path: Path) -> None:
    (full,) = _sessions(tmp_path, HEADING, "s1,,2019-06-03T18:00Z,2019-06-03T19:00Z,,0,,,")
    (short,) = _sessions(
        tmp_path, "session_id,arrival,departure,energy_requested_wh", "s1,2019-06-03T18:00Z,2019-06-03T19:00Z,0"
    )
    assert full == short
    assert (full.evse, full.estimated_departure, full.energy_delivered_wh, full.max_a, full.phases) == (None,) * 5


def test_sessions_come_in_order_of_arrival_and_then_of_the_file(tmp_path: Path) -> None:
    rows = [
        f"{name},,2019-06-03T{hour}:00Z,2019-06-03T20:00Z,,1,,,"
        for name, hour in (("c", "12"), ("a", "09"), ("b", "09"))
    ]
    assert [s.session_id for s in _sessions(tmp_path, HEADING, *rows)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("s1,,2019-06-03 18:00,2019-06-03T19:00Z,,1,,,", "column arrival: '2019-06-03 18:00' is not a time with zone"),
        ("s1,,yesterday,2019-06-03T19:00Z,,1,,,", "column arrival: 'yesterday' is not a time with zone"),
        ("s1,,2019-06-03T18:00Z,,,1,,,", "column departure: '' is not a time with zone"),
        ("s1,,2019-06-03T18:00Z,2019-06-03T18:00Z,,1,,,", "column departure: 2019-06-03T18:00Z does not lie after"),
        ("s1,,2019-06-03T18:00Z,2019-06-03T19:00Z,soon,1,,,", "column estimated_departure: 'soon' is not a time"),
        ("s1,,2019-06-03T18:00Z,2019-06-03T19:00Z,,-1,,,", "column energy_requested_wh: -1 must be 0 or above"),
        ("s1,,2019-06-03T18:00Z,2019-06-03T19:00Z,,nan,,,", "column energy_requested_wh: nan must be 0 or above"),
        ("s1,,2019-06-03T18:00Z,2019-06-03T19:00Z,,12kWh,,,", "column energy_requested_wh: '12kWh' is not a number"),
        ("s1,,2019-06-03T18:00Z,2019-06-03T19:00Z,,,,,", "column energy_requested_wh: is empty"),
        ("s1,,2019-06-03T18:00Z,2019-06-03T19:00Z,,1,,,4", "column phases: 4 is not 1, 2 or 3"),
        (",,2019-06-03T18:00Z,2019-06-03T19:00Z,,1,,,", "column session_id: is empty"),
        ("s1,,2019-06-03T18:00Z,2019-06-03T19:00Z,,1,,,3,9", "column phases: the row has more cells than the heading"),
        ("s1,,2019-06-03T18:00Z", "column departure: '' is not a time with zone"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_with_file_row_and_column(row: str, said: str, tmp_path: Path) -> None:
    (line,) = _read(tmp_path, HEADING, row)
    assert line.startswith(f"row 2, {said}")


def test_every_bad_row_is_named_and_the_good_ones_are_not(tmp_path: Path) -> None:
    lines = _read(tmp_path, HEADING, ROW, ROW.replace("s1", "s2").replace("12000", "much"), ROW, ROW.replace("s1", ""))
    assert lines == [
        "row 3, column energy_requested_wh: 'much' is not a number",
        "row 4, column session_id: s1 is also in row 2",
        "row 5, column session_id: is empty",
    ]


def test_many_bad_rows_are_counted(tmp_path: Path) -> None:
    lines = _read(tmp_path, HEADING, *["x"] * 50)
    assert len(lines) == 21
    assert lines[-1] == "30 more bad rows"


def test_a_missing_or_an_unknown_column_is_named(tmp_path: Path) -> None:
    (missing,) = _read(tmp_path, "session_id,arrival,departure", "s,1,2")
    (unknown,) = _read(tmp_path, HEADING + ",colour", ROW + ",red")
    assert missing.startswith("row 1: column energy_requested_wh is missing; columns are session_id,")
    assert unknown.startswith("row 1: unknown column colour; columns are session_id,")


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"week.csv: cannot be read: No such file"):
        read_sessions(tmp_path / "week.csv")
    (tmp_path / "week.csv").write_bytes(HEADING.encode() + b"\n\xff\xfe")
    with pytest.raises(InputError, match=r"week.csv: cannot be read: 'utf-8' codec"):
        read_sessions(tmp_path / "week.csv")


def test_a_table_keeps_its_good_rows_and_names_the_bad_ones(tmp_path: Path) -> None:
    path = tmp_path / "week.csv"
    path.write_text("\n".join([HEADING, ROW, ROW, ROW.replace("s1,A1", "s2,A2")]) + "\n", encoding="utf-8")
    table = read_table(path)
    assert [s.session_id for s in table.sessions] == ["s1", "s2"]
    assert table.faults == (f"{path}: row 3, column session_id: s1 is also in row 2",)


def test_a_vehicle_cannot_come_to_a_place_that_is_taken(tmp_path: Path) -> None:
    later = ROW.replace("s1", "s2").replace("18:00", "20:00")
    assert _read(tmp_path, HEADING, later, ROW) == [
        "row 2, column arrival: EVSE A1 is taken until 2019-06-04T04:00:00+00:00 by row 3"
    ]


def test_an_evse_that_the_site_lacks_is_named(tmp_path: Path) -> None:
    path = tmp_path / "week.csv"
    path.write_text(f"{HEADING}\n{ROW}\n", encoding="utf-8")
    table = read_table(path, evses=[EvseId("B1"), EvseId("B2")])
    assert table.faults == (f"{path}: row 2, column evse: A1 is not an EVSE of the site, which has B1, B2",)
    assert table.summary == "1 bad row of 1 left out: 1 in column evse"


def test_a_table_that_was_written_is_read_back(tmp_path: Path) -> None:
    sessions = _sessions(tmp_path, HEADING, ROW, "s2,,2019-06-03T18:00Z,2019-06-03T19:00Z,,0,,,")
    for name in ("out.csv", "out.parquet"):
        write_table(tmp_path / name, sessions)
        assert read_sessions(tmp_path / name) == sessions

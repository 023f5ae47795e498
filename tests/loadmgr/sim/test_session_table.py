"""Session tables: what a good row gives, and every bad row named."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadmgr.errors import InputError
from loadmgr.model.ids import EvseId
from loadmgr.model.session import DischargeTerms, EnergyNeed
from loadmgr.sim.session_table import SessionTable, read_sessions, read_table, write_table

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


def test_a_row_says_what_must_be_there_early_and_what_may_be_fed_back(tmp_path: Path) -> None:
    heading = "session_id,arrival,departure,energy_requested_wh,energy_must_wh,must_by,discharge_a,discharge_wh"
    row = "s1,2019-06-03T18:00Z,2019-06-04T06:00Z,9000,4000,2019-06-03T20:00Z,16,12000"
    (session,) = _sessions(tmp_path, heading, row)
    due = datetime(2019, 6, 3, 20, tzinfo=UTC)
    assert session.need == EnergyNeed(must_wh=4_000.0, wanted_wh=9_000.0, must_by=due)
    assert session.discharge == DischargeTerms(max_a=16.0, room_wh=12_000.0)
    write_table(tmp_path / "again.csv", [session])
    assert read_sessions(tmp_path / "again.csv") == (session,)
    told = [
        _read(tmp_path, heading, row.replace(old, new))[0]
        for old, new in (("4000", "9001"), ("03T20:00", "03T17:00"), (",4000,", ",,"))
    ]
    assert told == [
        "row 2, column energy_must_wh: 9001 is more than the 9000 in energy_requested_wh",
        "row 2, column must_by: 2019-06-03T17:00Z does not lie after the arrival 2019-06-03T18:00Z",
        "row 2, column must_by: 2019-06-03T20:00Z is when nothing is due: fill in energy_must_wh",
    ]


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
        ("s1,,2019-06-03T18:00Z,2019-06-03T19:00Z,,nan,,,", "column energy_requested_wh: nan must be 0 or above and"),
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
        "3 bad rows of 4: 2 in column session_id, 1 in column energy_requested_wh",
    ]


def test_many_bad_rows_are_counted(tmp_path: Path) -> None:
    lines = _read(tmp_path, HEADING, *["x"] * 50)
    assert len(lines) == 21
    assert lines[-1] == "50 bad rows of 50: 50 in column arrival"


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


def _mended(folder: Path, *lines: str) -> SessionTable:
    path = folder / "week.csv"
    path.write_text("\n".join([HEADING, *lines]) + "\n", encoding="utf-8")
    return read_table(path, repair=True, time_zone="Europe/Berlin")


def test_a_time_without_a_zone_is_mended_by_the_clock_of_the_site(tmp_path: Path) -> None:
    table = _mended(tmp_path, ROW.replace("2019-06-03T18:00+02:00", "2019-06-03 18:00"))
    assert table.sessions == _sessions(tmp_path, HEADING, ROW)
    assert table.mends == (
        f"{tmp_path / 'week.csv'}: row 2, column arrival: '2019-06-03 18:00' has no zone: "
        "read on the clock of Europe/Berlin",
    )
    assert table.summary == "1 row mended: 1 in column arrival"


@pytest.mark.parametrize(
    ("local", "said"),
    [
        (
            "2019-10-27T02:30",
            "2019-10-27T02:30:00 is shown twice by the clock of Europe/Berlin",
        ),
        ("2019-03-31T02:30", "2019-03-31T02:30:00 is skipped by the clock of Europe/Berlin"),
    ],
)
def test_a_time_that_clocks_show_twice_or_skip_is_not_guessed(local: str, said: str, tmp_path: Path) -> None:
    table = _mended(tmp_path, f"s1,,{local},2019-10-28T12:00,,1,,,")
    assert not table.sessions
    assert not table.mended
    assert table.faults == (f"{tmp_path / 'week.csv'}: row 2, column arrival: {said}: write it with its zone",)


def test_a_row_that_occurs_twice_counts_once_and_one_that_contradicts_is_left_out(tmp_path: Path) -> None:
    table = _mended(tmp_path, ROW, ROW, ROW.replace("12000", "9000"))
    assert len(table.sessions) == 1
    assert [(note.row, note.text) for note in table.mended] == [(3, "the same as row 2: counted once")]
    assert [(note.row, note.text) for note in table.refusals] == [(4, "s1 is also in row 2")]
    assert table.summary.splitlines() == [
        "1 row mended: 1 in column session_id",
        "1 bad row of 2 left out: 1 in column session_id",
    ]


def test_a_vehicle_has_left_when_the_next_one_comes_to_its_place(tmp_path: Path) -> None:
    later = ROW.replace("s1", "s2").replace("18:00", "20:00")
    table = _mended(tmp_path, later, ROW, later.replace("s2", "s3"))
    assert [(s.session_id, s.departure.hour) for s in table.sessions] == [("s1", 18), ("s2", 4)]
    assert [(note.row, note.column, note.text) for note in table.mended] == [
        (
            3,
            "departure",
            "2019-06-04T04:00:00+00:00 cut to 2019-06-03T18:00:00+00:00, when the vehicle of row 2 comes to EVSE A1",
        )
    ]
    assert [note.row for note in table.refusals] == [4], "two vehicles that come at one instant leave a choice"


@pytest.mark.parametrize("row", [ROW.replace("12000", "-1"), ROW.replace("2019-06-04T06", "2019-06-03T06")])
def test_what_could_mean_anything_is_left_out_and_not_mended(row: str, tmp_path: Path) -> None:
    table = _mended(tmp_path, row)
    assert (len(table.sessions), len(table.refusals), table.mended) == (0, 1, ())

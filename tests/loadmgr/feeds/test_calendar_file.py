"""A calendar of departures."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loadmgr.errors import InputError
from loadmgr.feeds.calendar_file import CalendarFile
from loadmgr.model.ids import EvseId

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HEADING = "evse,id_token,arrival,departure,energy_requested_wh,must_wh,priority\n"


def at(hours: float) -> str:
    return (NOON + timedelta(hours=hours)).isoformat()


def written(path: Path, *rows: str, heading: str = HEADING) -> Path:
    path.write_text(heading + "".join(f"{row}\n" for row in rows))
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    return path


def read(path: Path) -> CalendarFile:
    calendar = CalendarFile(path, name_of=str.upper)
    assert calendar.changed()
    return calendar


def test_a_vehicle_is_on_the_stay_whose_departure_comes_next(tmp_path: Path) -> None:
    path = written(tmp_path / "c.csv", f"D1,,,{at(20)},50000,20000,2", f"D1,,,{at(4)},,,", f"D2,,,{at(1)},,,")
    calendar = read(path)

    first = calendar.stay_of(EvseId("D1"), None, started=NOON)
    second = calendar.stay_of(EvseId("D1"), "BUS7", started=NOON + timedelta(hours=5))

    assert first is not None
    assert (first.departure, first.need, first.priority) == (NOON + timedelta(hours=4), None, None)
    assert second is not None
    assert second.need is not None
    assert (50_000.0, 20_000.0, 2) == (second.need.wanted_wh, second.need.must_wh, second.priority)
    assert calendar.stay_of(EvseId("D1"), None, started=NOON + timedelta(hours=21)) is None
    assert calendar.stay_of(EvseId("D3"), None, started=NOON) is None


def test_a_token_is_looked_for_by_the_name_that_it_has_inside(tmp_path: Path) -> None:
    calendar = read(written(tmp_path / "c.csv", f",bus7,,{at(4)},,,"))

    assert calendar.stay_of(EvseId("D1"), "BUS7", started=NOON) is not None
    assert calendar.stay_of(EvseId("D1"), "bus7", started=NOON) is None
    assert calendar.stay_of(EvseId("D1"), None, started=NOON) is None


def test_who_comes_long_before_the_arrival_is_on_another_stay(tmp_path: Path) -> None:
    calendar = read(written(tmp_path / "c.csv", f"D1,,{at(8)},{at(12)},,,"))

    assert calendar.stay_of(EvseId("D1"), None, started=NOON) is None
    assert calendar.stay_of(EvseId("D1"), None, started=NOON + timedelta(hours=7)) is not None


def test_it_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    path = written(tmp_path / "c.csv", f"D1,,,{at(4)},,,")
    calendar = read(path)
    assert not calendar.changed()

    written(path, f"D1,,,{at(6)},,,")

    assert calendar.changed()
    stay = calendar.stay_of(EvseId("D1"), None, started=NOON)
    assert stay is not None
    assert stay.departure == NOON + timedelta(hours=6)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            "D1,,,2026-03-02T12:00,,,",
            "row 2, column departure: '2026-03-02T12:00' is not a time; write it with",
        ),
        ("D1,,,0001-01-01T00:00+14:00,,,", "row 2, column departure: '0001-01-01T00:00+14:00' is not a time"),
        ("D1,,,,,,", "row 2, column departure: is empty"),
        (f",,,{at(1)},,,", "row 2, column evse: neither an evse nor an id_token"),
        (f"D1,,{at(2)},{at(1)},,,", "row 2, column arrival"),
        (f"D1,,,{at(1)},-3,,", "row 2, column energy_requested_wh: '-3' is not an energy"),
        (f"D1,,,{at(1)},nan,,", "row 2, column energy_requested_wh: 'nan' is not an energy"),
        (f"D1,,,{at(1)},3,5,", "row 2, column must_wh: 5 is more than energy_requested_wh, 3"),
        (f"D1,,,{at(1)},,5,", "row 2, column must_wh: is a part of energy_requested_wh, which is empty"),
        (f"D1,,,{at(1)},,,high", "row 2, column priority: 'high' is not a whole number"),
        (f"D1,,,{at(1)},,,,9", "row 2, column departure: more cells than the heading has columns"),
    ],
)
def test_a_bad_row_is_named_and_what_was_read_before_stays(row: str, words: str, tmp_path: Path) -> None:
    path = written(tmp_path / "c.csv", f"D1,,,{at(4)},,,")
    calendar = read(path)
    written(path, row)

    with pytest.raises(InputError) as refused:
        calendar.changed()

    assert words in str(refused.value)
    assert calendar.stay_of(EvseId("D1"), None, started=NOON) is not None
    assert not calendar.changed()


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ("evse,leaves\n", "unknown column 'leaves'"),
        ("evse,arrival\n", "the columns departure and evse or id_token are needed"),
        ("departure\n", "the columns departure and evse or id_token are needed"),
    ],
)
def test_a_heading_that_lacks_what_is_needed_is_refused(heading: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        CalendarFile(written(tmp_path / "c.csv", heading=heading)).changed()


def test_what_is_no_csv_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no CSV"):
        CalendarFile(written(tmp_path / "c.csv", "D" * 200_000)).changed()


def test_a_file_that_is_gone_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        CalendarFile(tmp_path / "none.csv").changed()

"""``loadmgr data`` as a stranger meets it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from loadmgr.apps import cli
from loadmgr.sim.session_table import read_sessions
from loadmgr.site_file.series_csv import as_cycle, read_series


def data(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["data", *arguments], catch_exceptions=False, env={"COLUMNS": "100"})


def test_drawn_sessions_are_a_session_table(tmp_path: Path) -> None:
    out = tmp_path / "april.csv"
    ended = data("sessions", "apartment", "--evses", "14", "--days", "7", "--out", str(out))
    sessions = read_sessions(out)
    assert f"{len(sessions)} sessions" in ended.stdout
    assert len(sessions) > 10


def test_bad_rows_of_a_foreign_table_are_named_and_counted(tmp_path: Path) -> None:
    table, out = tmp_path / "elaad.csv", tmp_path / "plain.csv"
    table.write_text(
        "TransactionId;ChargePoint;UTCTransactionStart;UTCTransactionStop;TotalEnergy;MaxPower\n"
        "1;a;03/01/2019 17:05;04/01/2019 07:45;7,35;3,65\n2;a;03/01/2019 17:05;04/01/2019 07:45;much;3,65\n"
    )
    ended = data("convert", str(table), "--out", str(out), "--on-bad-rows", "skip")
    assert 0 == ended.exit_code
    assert ended.stderr.splitlines() == [
        f"{table}: row 3, column TotalEnergy: 'much' is not a number",
        "1 bad row of 2 left out: 1 in column TotalEnergy",
    ]
    assert len(read_sessions(out)) == 1


@pytest.mark.parametrize(
    ("arguments", "columns"),
    [
        (("load", "h25", "--yearly-kwh", "40000"), ("l1_a", "l2_a", "l3_a")),
        (("solar", "--latitude", "48"), ("ratio",)),
    ],
)
def test_profiles_are_what_a_site_file_reads(
    arguments: tuple[str, ...], columns: tuple[str, ...], tmp_path: Path
) -> None:
    out = tmp_path / "profile.csv"
    assert 0 == data(*arguments, "--days", "14", "--out", str(out)).exit_code
    table = read_series(out, columns, every=True)
    cycle = as_cycle(table, table.columns[columns[0]], time_zone="Europe/Berlin")
    assert len(cycle.values) == 14 * 96


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sessions", "depot"), "a depot needs its timetable"),
        (("sessions", "hub", "--timezone", "Mars"), "no time zone"),
        (("sessions", "hub", "--start", "soon"), "no date"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    ended = data(*arguments, "--out", str(tmp_path / "out.csv"))
    assert 2 == ended.exit_code
    assert said in ended.stderr


def test_a_mended_series_is_what_a_site_file_reads(tmp_path: Path) -> None:
    table, out = tmp_path / "day_ahead.csv", tmp_path / "prices.csv"
    table.write_text("start,price_per_mwh\n2024-07-01 00:00,81.5\n2024-07-01 01:00,79\n2024-07-01 03:00,-4.25\n")
    ended = data("series", str(table), "--out", str(out), "--timezone", "Europe/Berlin")
    assert ended.stderr.splitlines() == [
        f"{table}: row 4, column start: 2024-07-01T00:00:00+00:00 is missing before it: as 2024-06-30T23:00:00+00:00"
    ]
    assert ended.stdout.replace("\n", "") == f"{out}: 4 rows, 1 mended"
    assert (81.5, 79.0, 79.0, -4.25) == read_series(out, ["price_per_mwh"]).columns["price_per_mwh"]


def test_rows_are_mended_as_asked_and_counted(tmp_path: Path) -> None:
    table, out = tmp_path / "list.csv", tmp_path / "plain.csv"
    table.write_text(
        "session_id,arrival,departure,energy_requested_wh\n"
        "a,2026-03-02T18:00,2026-03-03T06:00Z,9000\nb,2026-03-02T18:00,soon,9000\n"
    )
    asked = ("convert", str(table), "--out", str(out), "--on-bad-rows", "repair", "--timezone", "Europe/Berlin")
    ended = data(*asked)
    assert ended.stderr.splitlines() == [
        f"{table}: row 2, column arrival: '2026-03-02T18:00' has no zone: read on the clock of Europe/Berlin",
        f"{table}: row 3, column departure: 'soon' is not a time with zone, such as 2019-06-04T12:00+02:00",
        "1 row mended: 1 in column arrival",
        "1 bad row of 2 left out: 1 in column departure",
    ]
    assert len(read_sessions(out)) == 1

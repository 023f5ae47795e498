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

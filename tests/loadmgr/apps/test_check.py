"""``loadmgr check`` and ``loadmgr schema`` as typed: what is printed and the exit status."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from loadmgr.apps.commands import check_cli
from loadmgr.errors import InputError
from loadmgr.site_file import find_site, json_schema

app = typer.Typer()
app.command("check")(check_cli.check)
app.command("schema")(check_cli.schema)

SITE = """\
schema: loadmgr/v1
site: {name: Shed, timezone: UTC}
circuits: [{id: main, fuse: 35A, evses: [A]}]
evses: [{id: A, max: 16A}]
tariff: {energy: {price: 0.30/kWh}}
"""


def _check(*args: str | Path) -> tuple[int, list[str]]:
    done = CliRunner().invoke(app, ["check", *map(str, args)], catch_exceptions=False)
    return done.exit_code, done.stdout.splitlines()


@pytest.mark.parametrize("name", ["garage", "workplace", "home", "depot", "hub"])
def test_a_sample_is_good(name: str) -> None:
    code, lines = _check(name)
    assert code == 0
    assert lines[0].startswith("good: ")
    assert lines[1].startswith("proven: with the controller dead")


def test_faults_are_printed_one_a_line_and_counted_with_exit_status_1(tmp_path: Path) -> None:
    path = tmp_path / "shed.yaml"
    path.write_text(SITE.replace("fuse", "fuze").replace("0.30/kWh", "0.30"), encoding="utf-8")
    assert _check(path) == (
        1,
        [
            f"{path}:3:23: unknown key fuze; did you mean fuse?",
            f"{path}:5:26: price: 0.3 is not a price per kWh; write 0.3/kWh",
            "2 faults: the site would not start",
        ],
    )


def test_json_holds_the_same_faults_for_a_program(tmp_path: Path) -> None:
    path = tmp_path / "shed.yaml"
    path.write_text(SITE.replace("35A", "35"), encoding="utf-8")
    code, lines = _check(path, "--json")
    assert code == 1
    assert json.loads("\n".join(lines)) == {
        "site": str(path),
        "good": False,
        "faults": [{"line": 3, "column": 29, "text": "fuse: 35 has no unit", "advice": "write 35A, 35mA or 35kA"}],
        "warnings": [],
    }
    path.write_text(SITE, encoding="utf-8")
    code, lines = _check(path, "--json")
    assert (code, json.loads("\n".join(lines))["good"]) == (0, True)


def test_a_good_site_says_on_what_its_proof_rests(tmp_path: Path) -> None:
    path = tmp_path / "shed.yaml"
    path.write_text(SITE, encoding="utf-8")
    code, lines = _check(path)
    assert (0, "good: Shed, 1 EVSE on 1 circuit behind 35 A per phase") == (code, lines[0])
    assert lines[1].startswith("proven: ")
    assert "  - the profiles of 0 of 1 stations (as the site file says) survive a power loss" in lines


def test_sessions_that_the_demo_could_not_read_are_faults(tmp_path: Path) -> None:
    path = tmp_path / "shed.yaml"
    path.write_text(SITE + "demo: {sessions: week.csv, start: 2019-06-03 12:00}\n", encoding="utf-8")
    heading = "session_id,evse,arrival,departure,energy_requested_wh"
    week = tmp_path / "week.csv"
    week.write_text(f"{heading}\ns,A,2019-06-03T12:00,2019-06-03T13:00Z,1\n", encoding="utf-8")
    code, lines = _check(path)
    assert code == 1
    assert lines[0].startswith(f"{week}: row 2, column arrival: ")
    week.write_text(f"{heading}\ns,B,2019-06-03T12:00Z,2019-06-03T13:00Z,1\n", encoding="utf-8")
    assert _check(path) == (
        1,
        [f"{week}: column evse: there is no EVSE B at Shed", "1 fault: the site would not start"],
    )


def test_a_file_that_is_not_there_is_bad_input_and_not_a_fault() -> None:
    with pytest.raises(InputError, match="there is no site file"):
        _check("nowhere.yaml")


def test_the_schema_is_printed_as_json() -> None:
    done = CliRunner().invoke(app, ["schema"])
    assert done.exit_code == 0
    assert json.loads(done.stdout) == json_schema()


def test_what_check_passes_by_name_is_what_it_passes_by_path() -> None:
    assert _check("garage") == _check(find_site("garage"))

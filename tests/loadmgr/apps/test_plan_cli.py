"""``loadmgr plan`` as a stranger meets it."""

import json
import subprocess
import sys
from pathlib import Path

from loadmgr.site_file import sample_folder

WEEK = sample_folder() / "data" / "garage_week.csv"
TUESDAY = "2019-06-04T18:00+02:00"


def plan(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadmgr", "plan", "garage", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_plan_is_a_table_of_setpoints_and_expected_energy() -> None:
    ended = plan("--sessions", str(WEEK), "--at", TUESDAY)

    assert 0 == ended.returncode
    for wanted in ("EVSE", "energy kWh", "riser_a", "B6/jpl-018"):
        assert wanted in ended.stdout


def test_a_plan_is_json_with_the_same_sessions() -> None:
    document = json.loads(plan("--sessions", str(WEEK), "--at", TUESDAY, "--json").stdout)

    sessions = {evse["session"] for evse in document["evses"]}
    assert "jpl-018" in sessions
    assert all(len(document["times"]) == len(evse["current_a"]) for evse in document["evses"])


def test_an_explanation_beside_json_is_part_of_the_document() -> None:
    document = json.loads(plan("--sessions", str(WEEK), "--json", "--explain", "B7").stdout)

    explanation = document["explanation"]
    assert "B7" == explanation["evse"]
    assert len(document["times"]) == len(explanation["steps"])
    assert explanation["what_would_help"]


def test_a_time_without_zone_says_what_would_be_right() -> None:
    ended = plan("--sessions", str(WEEK), "--at", "2019-06-04T18:00")

    assert 2 == ended.returncode
    assert "2019-06-04T18:00:00+00:00" in ended.stderr


def test_a_row_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    table = tmp_path / "week.csv"
    table.write_text(WEEK.read_text().replace("2019-06-03T15:07:48+02:00", "yesterday", 1))

    ended = plan("--sessions", str(table))

    assert 2 == ended.returncode
    assert f"{table}: row 2, column arrival" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_evse_without_session_cannot_be_explained() -> None:
    ended = plan("--sessions", str(WEEK), "--at", TUESDAY, "--explain", "Z9")

    assert 2 == ended.returncode
    assert "Z9 has no session in this plan" in ended.stderr


def test_a_wish_that_cannot_be_is_one_line_with_the_allowed_range(tmp_path: Path) -> None:
    """A need of 1e30 Wh is somebody's slip: said with value and range, without a traceback."""
    table = tmp_path / "week.csv"
    header = WEEK.read_text().splitlines()[0]
    row = {"session_id": "a", "evse": "A1", "arrival": "2019-06-04T12:00+02:00", "departure": "2019-06-04T18:00+02:00"}
    row["energy_requested_wh"] = "1e30"
    table.write_text(f"{header}\n{','.join(row.get(name, '') for name in header.split(','))}\n")

    ended = plan("--sessions", str(table))

    assert 2 == ended.returncode
    assert "wanted_wh of A1 must lie in [0, 1e+09], got 1e+30" in ended.stderr
    assert "Traceback" not in ended.stderr

"""``loadmgr simulate`` and ``loadmgr size`` as a stranger meets them."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from loadmgr.apps import cli
from loadmgr.errors import InputError
from loadmgr.site_file import sample_folder

WEEK = sample_folder() / "data" / "garage_week.csv"
DAY = ("--start", "2019-06-04", "--until", "2019-06-05")
DAYS = ("--start", "2019-06-04", "--until", "2019-06-07")
TWO = ("--strategy", "first_come", "--strategy", "least_laxity")


def loadmgr(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False, env={"COLUMNS": "100"})


def spoilt(folder: Path, *, rows: int) -> Path:
    """Return a session table of which the first rows have no arrival."""
    lines = WEEK.read_text().splitlines()
    bad = [re.sub(r"2019-06-\d\dT[^,]*", "soon", line, count=1) for line in lines[1 : rows + 1]]
    table = folder / "week.csv"
    table.write_text("\n".join([lines[0], *bad, *lines[rows + 1 :]]) + "\n")
    return table


def test_a_table_sets_strategies_side_by_side() -> None:
    ended = loadmgr("simulate", "garage", *DAY, "--strategy", "uncontrolled", *TWO)

    assert 0 == ended.exit_code
    rows = {line.split()[0]: line for line in ended.stdout.splitlines() if line.strip()}
    assert "never" in rows["first"]
    assert "never" in rows["least"]
    assert re.search(r"[\d,]+ s\s*$", rows["uncontrolled"])
    assert "cost EUR" in ended.stdout


def test_the_number_of_workers_changes_nothing() -> None:
    alone = json.loads(loadmgr("simulate", "garage", *DAY, *TWO, "--json").stdout)
    together = json.loads(loadmgr("simulate", "garage", *DAY, *TWO, "--json", "--workers", "2").stdout)

    assert ["first_come", "least_laxity"] == list(together["strategies"])
    assert alone == together


def test_csv_and_json_hold_the_same_figures(tmp_path: Path) -> None:
    out = tmp_path / "figures.csv"
    document = json.loads(loadmgr("simulate", "garage", *DAY, *TWO, "--json", "--csv", str(out)).stdout)
    frame = pd.read_csv(out, index_col="strategy")

    costs = {name: figures["cost"] for name, figures in document["strategies"].items()}
    assert costs == pytest.approx(frame["cost"].to_dict())


def test_the_load_is_drawn(tmp_path: Path) -> None:
    out = tmp_path / "load.png"
    loadmgr("simulate", "garage", *DAY, "--strategy", "first_come", "--plot", str(out))

    assert out.read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(find_spec("pyarrow") is not None, reason="pyarrow is installed")
def test_parquet_without_pyarrow_says_what_to_install_before_anything_runs(tmp_path: Path) -> None:
    ended = loadmgr("simulate", "garage", "--parquet", str(tmp_path / "out.parquet"))

    assert 2 == ended.exit_code
    assert "loadmgr[parquet]" in ended.stderr


def test_parquet_holds_a_row_for_each_strategy(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    out = tmp_path / "figures.parquet"
    loadmgr("simulate", "garage", *DAY, *TWO, "--parquet", str(out))

    assert ["first_come", "least_laxity"] == list(pd.read_parquet(out).index)


def test_bad_rows_stop_unless_they_are_to_be_left_out(tmp_path: Path) -> None:
    table = spoilt(tmp_path, rows=7)
    asked = ("simulate", "garage", "--sessions", str(table), *DAY, "--strategy", "first_come", "--json")

    with pytest.raises(InputError, match="row 2, column arrival: 'soon' is not a time"):
        loadmgr(*asked)
    ended = loadmgr(*asked, "--on-bad-rows", "skip")
    lines = ended.stderr.splitlines()
    assert 0 == ended.exit_code
    assert 7 == len(json.loads(ended.stdout)["bad_rows"])
    assert lines[-1].startswith("7 bad rows of 76 left out: ")
    assert f"{table}: row 6, column arrival" in lines[-2]


def test_where_no_row_is_good_each_is_named_although_bad_rows_are_left_out(tmp_path: Path) -> None:
    table = tmp_path / "bad.csv"
    heading = "session_id,evse,arrival,departure,energy_requested_wh\n"
    stay = "2019-06-04T12:00Z,2019-06-04T18:00Z,9000\n"
    table.write_text(heading + f"s1,Z9,{stay}s2,Z8,{stay}", encoding="utf-8")

    with pytest.raises(InputError, match=r"row 2, column evse: Z9 is not(.|\n)*2 bad rows of 2: 2 in column evse"):
        loadmgr("simulate", "garage", "--sessions", str(table), "--on-bad-rows", "skip")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("simulate", "garage", "--strategy", "magic"), "magic is no strategy"),
        (("simulate", "garage", "--start", "2019-06-04T18:00"), "has no zone"),
        (("simulate", "garage", "--start", "noon"), "'noon' is no time"),
        (("simulate", "garage", "--plot", "load.xyz"), "must end with .png"),
        (("simulate", "garage", "--csv", "no/such/folder/out.csv"), "is not a folder"),
        (("size", "garage", "--strategy", "uncontrolled"), "looks at no limit"),
        (("size", "garage", "--promise", "much"), "'much' is no share"),
        (("size", "garage", "--promise", "120%"), "at most at 100%"),
    ],
)
def test_wrong_usage_is_said_in_words(arguments: tuple[str, ...], said: str) -> None:
    ended = loadmgr(*arguments)

    assert 2 == ended.exit_code
    assert said in " ".join(ended.stderr.replace("│", " ").split())


def test_a_span_without_sessions_is_refused() -> None:
    with pytest.raises(InputError, match="no session arrives from 2020-01-01"):
        loadmgr("simulate", "garage", "--start", "2020-01-01", "--until", "2020-01-02")


def test_the_smallest_size_is_named_with_its_interval() -> None:
    document = json.loads(loadmgr("size", "garage", *DAYS, "--promise", "90%", "--json").stdout)

    tried = {size["fuse_a"]: size for size in document["tried"]}
    chosen = tried[document["chosen_a"]]
    assert chosen["judged"] > 20
    assert chosen["low_ratio"] < chosen["kept_ratio"] <= chosen["high_ratio"]
    assert chosen["kept_ratio"] >= 0.9
    assert all(size["kept_ratio"] < 0.9 for fuse_a, size in tried.items() if fuse_a < document["chosen_a"])
    said = loadmgr("size", "garage", *DAYS, "--promise", "90%").stdout
    assert f"{document['chosen_a']:g} A per phase keep" in said


def test_no_size_that_is_enough_is_exit_status_1() -> None:
    ended = loadmgr("size", "garage", *DAYS, "--fuse", "6", "--fuse", "7")

    assert 1 == ended.exit_code
    assert "None of these sizes" in ended.stdout


def test_a_span_in_which_no_promise_falls_due_cannot_size_anything() -> None:
    with pytest.raises(InputError, match="no promise falls due"):
        loadmgr("size", "garage", *DAY)


def test_a_size_over_several_seeds_has_a_wider_interval_and_a_shadow_price() -> None:
    asked = ("size", "garage", "--draw", "apartment", "--days", "3", "--fuse", "40", "--fuse", "63", "--promise", "50%")
    document = json.loads(loadmgr(*asked, "--seeds", "2", "--json").stdout)

    assert 40.0 == document["chosen_a"]
    assert document["shadow_energy_per_a_year_wh"] >= 0.0
    assert "Shadow price of the fuse" in loadmgr(*asked).stdout


def test_drawn_sessions_and_a_table_do_not_go_together() -> None:
    ended = loadmgr("size", "garage", "--draw", "apartment", "--sessions", str(WEEK))

    assert 2 == ended.exit_code
    assert "drawn sessions have no table" in ended.stderr


def test_fairness_and_carbon_stand_beside_the_cost(tmp_path: Path) -> None:
    out = tmp_path / "figures.csv"
    ended = loadmgr("simulate", "garage", *DAY, *TWO, "--carbon", "380", "--csv", str(out))
    row = pd.read_csv(out, index_col="strategy").loc["least_laxity"]

    assert "CO2 kg" in ended.stdout
    assert 0.0 < row["fairness_ratio"] <= 1.0
    assert row["carbon_g"] == pytest.approx(row["energy_delivered_wh"] * 0.38, rel=1e-4)
    assert row["cost_energy"] + row["cost_surcharge"] + row["cost_tax"] == pytest.approx(row["cost"], abs=1e-3)

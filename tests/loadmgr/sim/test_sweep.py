"""Sweeps over a site: every combination once, remembered over a crash, forgotten when a file has changed."""

from datetime import date
from pathlib import Path
from shutil import copytree

import pandas as pd
import pytest

from loadmgr.errors import InputError
from loadmgr.sim.study import run_study
from loadmgr.sim.sweep import site_study, with_evses
from loadmgr.site_file import load_site, sample_folder

DAY = {"start": date(2019, 6, 4), "days": 1}


def test_every_combination_is_a_row_with_its_choices() -> None:
    frame = run_study(
        site_study("garage", strategies=["first_come"], tariffs=["garage", "home"], fuses_a=[25.0, None], **DAY),  # type: ignore[arg-type]
        workers=1,
    )
    assert frame.groupby(["tariff", "fuse_a"], dropna=False).size().tolist() == [1] * 4
    assert frame["cost"].nunique() > 2
    smaller, bigger = frame[frame["fuse_a"] == 25.0], frame[frame["fuse_a"].isna()]
    assert smaller["energy_delivered_wh"].max() < bigger["energy_delivered_wh"].min()


def test_more_evses_than_the_site_has_are_copies_on_the_same_circuits() -> None:
    site = with_evses(load_site("garage").site, 20)
    assert len(site.evses) == len(site.stations) == 20
    assert site.evses[14].circuit == site.evses[0].circuit
    assert site.evses[14].id == "A1-2"
    assert [evse.id for evse in with_evses(site, 3).evses] == ["A1", "A2", "A3"]


def test_outlets_of_a_cabinet_are_not_copied() -> None:
    with pytest.raises(InputError, match="outlets of power cabinets cannot be copied: at most 12 EVSEs"):
        with_evses(load_site("depot").site, 13)
    assert [len(c.evses) for c in with_evses(load_site("depot").site, 5).cabinets] == [4, 1]


def test_drawn_sessions_differ_by_seed_and_grow_with_the_site() -> None:
    study = site_study(
        "garage", sessions=["draw:apartment"], evses=[7, 28], seeds=[1, 2], start=date(2026, 3, 2), days=3
    )
    frame = run_study(study, workers=1).set_index(["evses", "seed"])
    assert frame["sessions"].groupby("evses").sum().is_monotonic_increasing
    assert frame["energy_requested_wh"].nunique() == 4


def test_a_results_file_never_answers_for_a_site_that_has_changed(tmp_path: Path) -> None:
    copytree(sample_folder(), tmp_path / "sites")
    site, results = tmp_path / "sites" / "garage.yaml", tmp_path / "results.jsonl"

    def run() -> pd.DataFrame:
        return run_study(site_study(str(site), **DAY), results=results, workers=1)  # type: ignore[arg-type]

    first, again = run(), run()
    assert len(results.read_text().splitlines()) == 1
    pd.testing.assert_frame_equal(first, again)
    site.write_text(site.read_text().replace("tax: 19%", "tax: 7%"))
    assert run()["cost"][0] < first["cost"][0]
    assert len(results.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sessions": ["draw:workplace"]}, "sessions that are drawn need start and days"),
        ({"sessions": ["draw:moon"], **DAY}, "sessions draw:moon: can be drawn for workplace, apartment, hub"),
        ({"tariffs": ["garaje"]}, "there is no site file garaje"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused_before_anything_runs(options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        site_study("garage", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("strategy", ["least_laxity", "program", "optimum"])
def test_a_day_on_which_nobody_came_is_a_case_like_any_other(strategy: str) -> None:
    study = site_study(
        "garage", strategies=[strategy], sessions=["draw:apartment"], start=date(2026, 3, 2), days=1, seeds=[89]
    )
    (row,) = run_study(study, workers=1).to_dict("records")
    assert (0, 0.0, 0.0) == (row["sessions"], row["energy_delivered_wh"], row["cost"])

"""Studies: every case once, wherever it runs, and again after a crash."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from loadmgr.errors import InputError
from loadmgr.sim.study import Study, case_key, run_study
from tests.loadmgr.sim.sim_yard import failing_figures, yard_figures

CHOICES = {"strategy": ["first_come", "least_laxity"], "fuse_a": [40.0, 80.0], "seed": [1, 2]}
STUDY = Study(simulate=yard_figures, choices=CHOICES)


def test_one_row_for_each_combination_in_the_order_of_the_choices():
    frame = run_study(STUDY, workers=1)

    assert len(frame) == 8
    assert list(frame.columns[:3]) == ["strategy", "fuse_a", "seed"]
    assert frame["seed"].tolist() == [1, 2] * 4
    assert frame.groupby("fuse_a")["peak_w"].max()[40.0] <= 40.0 * 690.0 + 1e-6


def test_the_answer_does_not_depend_on_where_it_ran():
    here = run_study(STUDY, workers=1)
    processes = run_study(STUDY, workers=2)
    with ThreadPoolExecutor(3) as executor:
        threads = run_study(STUDY, executor=executor)

    pd.testing.assert_frame_equal(here, processes)
    pd.testing.assert_frame_equal(here, threads)


def test_a_study_that_was_cut_off_goes_on_where_it_stopped(tmp_path: Path):
    results = tmp_path / "results.jsonl"
    whole = run_study(STUDY, workers=1, results=results)
    lines = results.read_text().splitlines(keepends=True)
    results.write_text("".join(lines[:5]) + lines[5][:20])
    told: list[tuple[int, int]] = []
    again = run_study(STUDY, workers=1, results=results, progress=lambda done, of: told.append((done, of)))

    pd.testing.assert_frame_equal(whole, again)
    assert told == [(5, 8), (6, 8), (7, 8), (8, 8)]
    finished = run_study(Study(simulate=failing_figures, choices=CHOICES), workers=1, results=results)
    pd.testing.assert_frame_equal(whole, finished)


def test_a_file_that_is_no_result_is_refused_by_line(tmp_path: Path):
    results = tmp_path / "results.jsonl"
    results.write_text('{"key": "a", "figures": {}}\nnonsense\n')

    with pytest.raises(InputError, match="line 2: not a result"):
        run_study(STUDY, workers=1, results=results)


def test_a_case_has_one_name_in_whatever_order_its_choices_stand():
    assert case_key({"a": 1, "b": 2.0}) == case_key({"b": 2.0, "a": 1})
    assert case_key({"a": 1}) != case_key({"a": 2})


@pytest.mark.parametrize("choices", [{}, {"seed": []}])
def test_a_study_needs_choices(choices: dict[str, list[int]]):
    with pytest.raises(ValueError, match="choices"):
        Study(simulate=yard_figures, choices=choices)

"""Studies at scale: two workers against one, the memory of a site-year, and a thousand cases that leave none behind.

On a quiet machine: ``pytest -n0 -s tests/benchmarks/test_sim_scale.py``; some six minutes.
"""

import multiprocessing
import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ProcessPoolExecutor, wait
from datetime import date

import pytest

from loadmgr.sim.study import Study, run_study
from loadmgr.sim.sweep import site_study

MEGABYTE_KB = 1024


@pytest.mark.timeout(1200)
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor")
def test_two_workers_are_nearly_twice_as_fast():
    """Cases of a second or two each; processes that have loaded what they need, as in a study of hours."""
    took_s = {count: min(_swept_s(count) for _ in range(2)) for count in (1, 2)}
    ratio = took_s[1] / took_s[2]
    print(f"sweep of 24 cases: {took_s[1]:.1f} s with one worker, {took_s[2]:.1f} s with two: {ratio:.2f} times")
    assert ratio >= 1.8


def _study(strategy: str, *, days: int, seeds: int) -> Study:
    return site_study(
        "garage",
        strategies=[strategy],
        sessions=["draw:apartment"],
        start=date(2026, 3, 2),
        days=days,
        seeds=range(seeds),
    )


def _swept_s(workers: int) -> float:
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        wait([pool.submit(_warm_up) for _ in range(4 * workers)])
        began = time.perf_counter()
        assert 24 == len(run_study(_study("program", days=7, seeds=24), executor=pool))
        return time.perf_counter() - began


def _warm_up() -> None:
    run_study(_study("program", days=1, seeds=1), workers=1)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("strategy", ["least_laxity", "program"])
def test_a_site_year_takes_less_than_500_megabytes(strategy: str):
    peak_kb = _peak_kb(
        f"""
        from datetime import timedelta
        from loadmgr.sim.run import SimulationOptions, simulate
        from loadmgr.sim.slots import SlotOptions
        from tests.loadmgr.sim.sim_yard import START, TARIFF, drawn_sessions, yard

        options = SimulationOptions(slots=SlotOptions(decide_at_arrivals=False))
        year = simulate(
            yard(25, fuse_a=125.0), drawn_sessions(365 * 20, days=365, seed=3), TARIFF, strategy="{strategy}",
            start=START, until=START + timedelta(days=365), options=options,
        )
        assert year.report().figures()["energy_delivered_wh"] > 0.0
        """
    )
    print(f"site-year, {strategy}: {peak_kb / MEGABYTE_KB:.0f} MB at most")
    assert peak_kb < 500 * MEGABYTE_KB


def test_a_thousand_cases_take_no_more_memory_than_a_hundred():
    """Results go to the file as they come; what stays is a row of figures for each."""
    hundred_kb, thousand_kb = (
        _peak_kb(
            f"""
            import tempfile
            from pathlib import Path
            from loadmgr.sim.study import run_study
            from tests.benchmarks.test_sim_scale import _study

            with tempfile.TemporaryDirectory() as folder:
                results = Path(folder) / "done.jsonl"
                frame = run_study(_study("least_laxity", days=1, seeds={count}), results=results, workers=1)
                assert len(frame) == {count} == len(results.read_text().splitlines())
            """
        )
        for count in (100, 1000)
    )
    print(f"100 cases {hundred_kb / MEGABYTE_KB:.0f} MB, 1000 cases {thousand_kb / MEGABYTE_KB:.0f} MB")
    assert thousand_kb - hundred_kb < 20 * MEGABYTE_KB


def _peak_kb(program: str) -> int:
    """Return the most memory that a process takes to run a program [KiB]."""
    tell = "import resource\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program) + tell], check=True, capture_output=True, text=True
    )
    return int(ran.stdout.splitlines()[-1])

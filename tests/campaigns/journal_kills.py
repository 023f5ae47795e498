"""A real ``loadmgr run`` killed with SIGKILL at random instants, and its database cut off under load. Run by hand:

    python -m tests.campaigns.journal_kills --kills 20 --place sqlite
    python -m tests.campaigns.journal_kills --kills 20 --place postgres
    python -m tests.campaigns.journal_kills --cuts 9

After each kill the journal is read as a restart reads it. Counted are entries that are missing, decisions that do not
come out again as they were recorded, and profiles on stations that the journal does not know although they let more
current flow than before. With ``--cuts`` the database ends the journal's connections while an operator gives orders,
which have to be followed all the same; afterwards nothing may be missing. Exit status 0: all counts are 0.
"""

import argparse
import contextlib
import os
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from loadmgr.bridge import to_ocpp
from loadmgr.control.command import SetProfile
from loadmgr.control.sending.pending import Pending
from loadmgr.model.profile import OcppVersion
from loadmgr.sim.answers import Answers
from loadmgr.store.codec import Codec
from loadmgr.store.database import Postgres, connect
from loadmgr.store.open import open_store
from loadmgr.store.recall import read_entry, recall
from loadmgr.store.replay import replay
from loadmgr.store.tables import Tables
from tests.loadmgr.apps.running import Running
from tests.loadmgr.apps.test_operation import SITE, both_charge, stations
from tests.loadmgr.store.places import POSTGRES, postgres_schema

NAME = f"loadmgr_kills_{os.getpid()}"
"""Application name of the journal's connections: those, and no others, are cut."""

SITE_NAME = "Yard"

Told = dict[str, Any]


@contextlib.contextmanager
def told() -> Iterator[list[Told]]:
    """Yield every charging profile that the stations beside this test are sent, in order."""
    found: list[Told] = []
    answer = Answers.on_call

    async def noted(self: Answers, action: str, payload: Told, now: Any) -> Told:
        if action == "SetChargingProfile":
            found.append({"station": self._station.id, **payload})
        return await answer(self, action, payload, now)

    with patch.object(Answers, "on_call", noted):
        yield found


def a_site(folder: Path) -> Path:
    """Return a site file with a port of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = folder / "yard.yaml"
    path.write_text(SITE.format(port=port))
    return path


@contextlib.contextmanager
def a_place(kind: str, folder: Path) -> Iterator[str]:
    """Yield where the journal is kept."""
    if kind == "sqlite":
        yield str(folder / "journal.sqlite3")
        return
    schema = postgres_schema()
    try:
        yield f"{next(schema)}&application_name={NAME}"
    finally:
        next(schema, None)


def limit_of(sent: Told) -> float:
    """Return the highest limit of a profile as it was sent."""
    periods = sent["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"]
    return max(float(p["limit"]) for p in periods)


def unknown_raises(sent: list[Told], known: list[Told]) -> int:
    """Return how many profiles that let more flow than the one before them on their EVSE the journal does not know."""
    count, before = 0, dict[tuple[str, int, str], float]()
    for each in sent:
        key = (each["station"], each["connectorId"], each["csChargingProfiles"]["chargingProfilePurpose"])
        count += each not in known and limit_of(each) > before.get(key, 0.0)
        before[key] = limit_of(each)
    return count


def read_as_a_restart_does(place: str, folder: Path, sent: list[Told]) -> Counter[str]:
    """Return what is wrong with a journal, and how much of it there is."""
    found: Counter[str] = Counter()
    tables = Tables(connect(place), SITE_NAME)
    try:
        if not tables.last_number():
            return found
        entries = list(tables.entries())
        found["entries"] = len(entries)
        found["missing"] = sum(b.number - a.number - 1 for a, b in pairwise(entries))
        codec = Codec()
        commands = [read_entry(e, codec) for e in entries if e.kind == "Command"]
        known = [
            {"station": c.station, **to_ocpp.request(c, version=OcppVersion.V16)[1]}
            for p in commands
            if isinstance(p, Pending) and isinstance(c := p.command, SetProfile)
        ]
        found["unknown raises"] = unknown_raises(sent, known)
        again = replay(tables)
        found["decisions"], found["different"] = again.decisions, len(again.differences)
        found["holes"] = again.holes
    finally:
        tables.close()
    store = open_store(place, site=SITE_NAME, state_folder=folder)
    try:
        recalled = recall(store)
        found["not recalled"] = recalled is None or not recalled.exact
        found["knew all"] = store.knows_all
    finally:
        store.close()
    return found


def killed(kills: int, kind: str, rng: Random) -> Counter[str]:
    """Kill a run so many times at random instants; return what was wrong in all."""
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as text, a_place(kind, Path(text)) as place, told() as sent:
        folder = Path(text)
        site = a_site(folder)
        os.environ["XDG_STATE_HOME"] = text
        with stations(site):
            for number in range(kills):
                run = Running(site, "--journal", place)
                try:
                    if rng.random() < 0.8:
                        run.status_with(lambda s: bool(s["evses"]), "a status")
                        time.sleep(rng.uniform(0.0, 10.0))
                    else:
                        time.sleep(rng.uniform(0.0, 3.0))  # while it starts
                finally:
                    run.kill()
                found = read_as_a_restart_does(place, folder / "loadmgr", list(sent))
                print(number + 1, dict(found), flush=True)
                total.update({name: count for name, count in found.items() if name not in ("entries", "decisions")})
                total["entries"], total["decisions"] = found["entries"], found["decisions"]
                total["kills"] += 1
        total["profiles sent"] = len(sent)
    return total


def _orders(run: Running, server: Postgres, cuts: int, total: Counter[str]) -> None:
    run.status_with(both_charge, "two vehicles that charge")
    for number in range(cuts):
        limit_a = 15.0 - number  # each a reduction: raises are paced by the write budget
        for _ in range(3):
            ended = server.rows(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ?", (NAME,)
            )
            total["connections cut"] += len(ended)
            time.sleep(0.5)
        run.ask("override", evse="two", limit_a=limit_a, for_s=600.0)
        began = time.monotonic()
        run.status_with(
            lambda s, a=limit_a: a == round((s["evses"][1]["measured_a"] or [0.0])[0]),
            "an order that is followed",
        )
        followed_s = time.monotonic() - began
        total["slowest order [ms]"] = max(total["slowest order [ms]"], round(1000 * followed_s))
        total["orders"] += 1
    status = run.status_with(lambda s: s["controller"]["journal"]["trouble"] is None, "a journal that is well")
    total["lost entries"] = status["controller"]["journal"]["lost_entries"]


def cut(cuts: int) -> Counter[str]:
    """Have the database end the journal's connections again and again while orders are given and followed."""
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as text, a_place("postgres", Path(text)) as place, told() as sent:
        folder = Path(text)
        site, server = a_site(folder), Postgres(POSTGRES, connect_s=2)
        os.environ["XDG_STATE_HOME"] = text
        run = Running(site, "--journal", place)
        try:
            with stations(site):
                _orders(run, server, cuts, total)
            total["not ended well"] = run.stop() != 0
        finally:
            run.kill()
        server.close()
        total.update(read_as_a_restart_does(place, folder / "loadmgr", list(sent)))
    return total


def main() -> int:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--cuts", type=int, default=0, choices=range(10))
    parser.add_argument("--place", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    total = cut(chosen.cuts) if chosen.cuts else killed(chosen.kills, chosen.place, Random(chosen.seed))
    print(", ".join(f"{name}: {count}" for name, count in total.items()))
    wrong = ("missing", "unknown raises", "different", "holes", "not recalled", "lost entries", "not ended well")
    return int(any(total[name] for name in wrong))


if __name__ == "__main__":
    sys.exit(main())

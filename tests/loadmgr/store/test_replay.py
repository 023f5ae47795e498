"""A journal played again makes the same decisions, and says where it does not."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from loadmgr.apps.commands import replay_cli
from loadmgr.errors import JournalError
from loadmgr.store.in_memory import InMemory
from loadmgr.store.open import open_tables
from loadmgr.store.replay import replay
from tests.control_world import START, Vehicle, World, small_site
from tests.loadmgr.store.journalled import Journalled
from tests.loadmgr.store.places import writer
from tests.loadmgr.store.test_recall import busy_world, often_lost

app = typer.Typer()
app.command()(replay_cli.replay)


def told(*args: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(args))
    return done.exit_code, done.stdout


def restarted(place: str, folder: Path) -> int:
    """Keep a journal over a controller that is killed and another that goes on; return how many decisions were made."""
    site = small_site(evses=3)
    world = World(site, policy=often_lost)
    for begins in (START, START + timedelta(seconds=300)):
        store = writer(place, folder)
        world.controller = Journalled(store, site, now=begins)  # type: ignore[assignment]
        if begins == START:
            world.connect()
            world.run(60)
            world.plug("E1", Vehicle(phases=1))
            world.plug("E2")
            world.run(240)
        else:
            world.connect(boot=False)
            world.plug("E3")
            world.run(300)
        store.close()
    return len(world.decisions)


def test_every_decision_comes_out_the_same_over_a_restart(place: str, tmp_path: Path) -> None:
    made = restarted(place, tmp_path)
    tables = open_tables(place)
    found = replay(tables)
    tables.close()
    assert found.identical
    assert (made, 0, 0) == (found.decisions, found.skipped, found.holes)
    assert found.commands > 20


def test_a_changed_entry_is_found_and_the_command_line_says_so(tmp_path: Path) -> None:
    place = str(tmp_path / "journal.sqlite3")
    restarted(place, tmp_path)
    assert 0 == told(place)[0]
    tables = open_tables(place)
    database = tables._database
    (number, body) = next(
        (n, b)
        for n, b in database.rows("SELECT number, body FROM entry WHERE kind = 'Command' ORDER BY number")
        if b" A to " in b
    )
    database.rows("UPDATE entry SET body = ? WHERE number = ?", (body.replace(b" A to ", b" A up to "), number))
    tables.close()
    status, text = told(place)
    assert 1 == status
    assert "decides otherwise" in text
    assert "up to" in text
    document = json.loads(told(place, "--json")[1])
    assert (False, 1) == (document["identical"], len(document["differences"]))


def test_a_part_of_a_journal_is_played_from_the_snapshot_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadmgr.store.journal.SNAPSHOT_S", 300)
    book = InMemory()
    busy_world(small_site(evses=3), book)
    found = replay(book, since=START + timedelta(seconds=450), until=START + timedelta(seconds=550))
    assert found.identical
    assert found.begins is not None
    assert found.ends is not None
    assert START + timedelta(seconds=290) <= found.begins < found.ends < START + timedelta(seconds=550)


def test_an_empty_journal_cannot_be_played() -> None:
    with pytest.raises(JournalError, match="no snapshot from which a replay could begin"):
        replay(InMemory())


SITE = """
schema: loadmgr/v1
site: {name: small, timezone: Europe/Berlin}
circuits: [{id: main, fuse: 16A, evses: [E1..E3]}]
evses: [{id: E1}, {id: E2}, {id: E3}]
station_defaults: {keeps_profiles: yes, zero_ok: yes}
failsafe: {strategy: zero}
tariff: {energy: {price: 0.40/kWh}}
"""


def test_what_another_site_would_have_made_of_it_is_a_table(tmp_path: Path) -> None:
    place, other = str(tmp_path / "journal.sqlite3"), tmp_path / "tight.yaml"
    other.write_text(SITE)
    site = small_site(evses=3)
    store, world = writer(place, tmp_path), World(site)
    world.controller = Journalled(store, site, now=START)  # type: ignore[assignment]
    world.connect()
    world.run(30)
    for name in ("E1", "E2"):
        world.plug(name)
    world.run(900)
    for name in ("E1", "E2"):
        world.unplug(name)
    world.run(30)
    store.close()
    status, text = told(place, "--what-if", str(other), "--json")
    assert 0 == status
    recorded, same, tight = json.loads(text)
    assert [2, 2, 2] == [row["sessions"] for row in (recorded, same, tight)]
    assert recorded["energy_wh"] > 0.0
    assert tight["peak_w"] < same["peak_w"]
    assert tight["peak_w"] <= 16.0 * 3 * 230.0 + 1.0
    assert "tight.yaml, simulated" in told(place, "--what-if", str(other))[1]

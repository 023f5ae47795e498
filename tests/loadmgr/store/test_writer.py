"""The same journal on SQLite and on PostgreSQL: what is put is there, packed or not, and faults hold nothing up."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from loadmgr.control.memory import remember
from loadmgr.control.observation import SiteMeterReading
from loadmgr.errors import JournalError
from loadmgr.model.ids import MeterId
from loadmgr.store.codec import Codec
from loadmgr.store.database import DatabaseLost, Sqlite, connect
from loadmgr.store.entry import Entry, Snapshot
from loadmgr.store.in_memory import InMemory
from loadmgr.store.journal import Draft
from loadmgr.store.mark import Mark
from loadmgr.store.memory_json import MemoryCodec
from loadmgr.store.open import open_store, open_tables, shown
from loadmgr.store.recall import recall
from loadmgr.store.schema import VERSION, upgrade
from loadmgr.store.tables import Tables
from loadmgr.store.writer import Writer
from tests.control_world import START, World, small_site
from tests.loadmgr.store.journalled import Journalled
from tests.loadmgr.store.places import writer

CODEC = Codec()


def reading(number: int) -> Draft:
    at = START + timedelta(seconds=10 * number)
    seen = SiteMeterReading(at=at, meter=MeterId("meter"), currents_a=(1.5, 2.25, number / 7))
    return Draft(number, at, "SiteMeterReading", seen)


def until(holds: Callable[[], bool]) -> None:
    """Wait for what a thread is about to do; half a minute is for the slowest machine."""
    end = time.monotonic() + 30.0
    while not holds():
        assert time.monotonic() < end, "it did not come to that within 30 s"
        time.sleep(0.005)


def test_what_was_put_is_read_back_in_order(place: str, tmp_path: Path) -> None:
    store = writer(place, tmp_path)
    store.put([reading(1), reading(2)], Snapshot(2, START, b'{"a":1}'))
    store.put([reading(3)], None)
    store.close()
    again = writer(place, tmp_path)
    assert [reading(n).entry(CODEC) for n in (1, 2, 3)] == list(again.entries())
    assert [reading(3).entry(CODEC)] == list(again.entries(after=2))
    assert [Snapshot(2, START, b'{"a":1}')] == list(again.snapshots())
    assert again.last_number() == 3
    again.close()


def test_packed_and_loose_entries_of_all_kinds_come_back_in_order(place: str) -> None:
    tables = Tables(connect(place), "small")
    entries = [Entry(n, START + timedelta(seconds=n), "abc"[n % 3], b'{"n":%d}' % n) for n in range(1, 400)]
    for first in range(0, 399, 50):
        tables.write(entries[first : first + 50], [])
        tables.pack_oldest(least=20)
    assert entries == list(tables.entries())
    assert entries[350:] == list(tables.entries(after=350))
    start, end = START + timedelta(seconds=100), START + timedelta(seconds=200)
    expected = [e for e in entries if e.kind == "b" and start <= e.at < end]
    assert expected == list(tables.of_kind("b", start=start, end=end))
    tables.close()


def test_journals_of_several_sites_share_a_database(place: str) -> None:
    for site in ("north", "south"):
        tables = Tables(connect(place), site)
        tables.write([Entry(1, START, "a", site.encode())], [])
        tables.close()
    south = open_tables(place, site="south")
    assert [b"south"] == [e.body for e in south.entries()]
    south.close()
    with pytest.raises(JournalError, match="north, south; name one"):
        open_tables(place)


def test_a_journal_of_the_first_version_is_brought_up_to_date_with_all_it_holds(place: str) -> None:
    old = connect(place)
    upgrade(old, to=1)
    old.rows("INSERT INTO journal VALUES (1, 'small')")
    old.rows("INSERT INTO entry VALUES (1, 7, 0, 'a', ?)", (b"{}",))
    old.close()
    tables = open_tables(place)
    assert [(7, b"{}")] == [(e.number, e.body) for e in tables.entries()]
    assert 1 == tables.pack_oldest(least=1)
    assert [(7, b"{}")] == [(e.number, e.body) for e in tables.entries()]
    tables.close()


def test_a_journal_of_a_newer_version_is_refused(place: str) -> None:
    database = connect(place)
    upgrade(database)
    database.rows("UPDATE loadmgr_schema SET version = ?", (VERSION + 1,))
    database.close()
    with pytest.raises(JournalError, match="written by a newer one"):
        open_tables(place)


def test_forgetting_keeps_what_a_reader_needs_to_begin(place: str) -> None:
    tables = Tables(connect(place), "small")
    entries = [Entry(1, START, "Started", b"{}")]
    entries += [Entry(n, START + timedelta(hours=n), "a", b"{}") for n in range(2, 200)]
    snapshots = [Snapshot(n, START + timedelta(hours=n), b"{}") for n in range(1, 200, 10)]
    tables.write(entries, snapshots)
    tables.pack_oldest(least=60)
    gone = tables.forget_before(START + timedelta(hours=100))
    left = list(tables.entries())
    assert "Started" == left[0].kind
    begins = next(iter(tables.snapshots()))
    assert begins.at <= START + timedelta(hours=100)
    assert begins.number + 1 == left[1].number
    assert len(entries) == gone + len(left)
    tables.close()


def test_a_restart_from_a_database_knows_what_one_from_memory_knows(place: str, tmp_path: Path) -> None:
    site, book = small_site(evses=2), InMemory()
    store = writer(place, tmp_path)
    texts = []
    for each in (book, store):
        world = World(site)
        world.controller = Journalled(each, site, now=START)  # type: ignore[assignment]
        world.connect()
        world.run(60)
        world.plug("E1")
        world.run(400)
    store.close()
    again = writer(place, tmp_path)
    for each in (book, again):
        found = recall(each)
        assert found is not None
        assert found.exact
        texts.append(MemoryCodec(site).encode(remember(found.controller)))
    assert texts[0] == texts[1]
    again.close()


def test_a_second_controller_is_kept_out(tmp_path: Path) -> None:
    place = str(tmp_path / "journal.sqlite3")
    first = open_store(place, site="small", state_folder=tmp_path)
    with pytest.raises(JournalError, match="another controller is writing this journal"):
        open_store(place, site="small", state_folder=tmp_path)
    first.close()
    open_store(place, site="small", state_folder=tmp_path).close()


def test_a_file_that_is_no_journal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no database, but long enough to be taken for one by nobody\n" * 50)
    with pytest.raises(JournalError, match=r"notes.txt: .*not a database"):
        open_store(str(path), site="small", state_folder=tmp_path)


def test_a_locked_database_holds_nothing_up_and_loses_nothing(tmp_path: Path) -> None:
    place = tmp_path / "journal.sqlite3"
    mark = Mark(tmp_path / "mark")
    store = Writer(lambda: Sqlite(place, busy_s=0.05), site="small", mark=mark)
    other = Sqlite(place)
    with other.transaction():
        store.put([reading(1)], None)
        assert not asyncio.run(store.written())
        until(lambda: store.trouble is not None)
        store.put([reading(2)], None)
        assert (tmp_path / "mark").read_bytes() == b"missing\n"
    until(lambda: store.trouble is None)
    store.close()
    other.close()
    assert (tmp_path / "mark").read_bytes() == b"known  \n"
    tables = Tables(Sqlite(place), "small")
    assert [1, 2] == [e.number for e in tables.entries()]
    tables.close()


class Unsteady:
    """A way to a database that can be cut."""

    def __init__(self, place: str) -> None:
        self.place, self.cut = place, False

    def __call__(self) -> Sqlite:
        if self.cut:
            raise DatabaseLost("cut")
        database = Sqlite(Path(self.place))
        rows = database.rows

        def rows_or_not(statement: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
            if self.cut:
                raise DatabaseLost("cut")
            return rows(statement, values)

        database.rows = rows_or_not  # type: ignore[method-assign, assignment]
        return database


def test_what_did_not_fit_is_counted_and_a_snapshot_bridges_the_gap(tmp_path: Path) -> None:
    site = small_site(evses=2)
    way = Unsteady(str(tmp_path / "journal.sqlite3"))
    store = Writer(way, site="small", mark=Mark(tmp_path / "mark"), queue_entries=40)
    world = World(site)
    world.controller = journalled = Journalled(store, site, now=START)  # type: ignore[assignment]
    world.connect()
    world.run(3)
    until(lambda: asyncio.run(store.written()))
    way.cut = True
    world.run(600)
    assert store.lost_entries > 0
    until(lambda: store.trouble is not None)
    way.cut = False
    until(lambda: store.trouble is None)
    for _ in range(60):
        world.run(1)
        asyncio.run(store.written())
    assert 0 == store.lost_entries
    store.close()
    again = writer(way.place, tmp_path)
    assert again.knows_all
    lost = [e for e in again.entries() if e.kind == "Lost"]
    assert 1 == len(lost)
    found = recall(again)
    assert found is not None
    expected = MemoryCodec(site).encode(remember(journalled.controller))
    assert expected == MemoryCodec(site).encode(remember(found.controller))
    again.close()


def test_a_controller_whose_journal_missed_commands_trusts_no_station(tmp_path: Path) -> None:
    site = small_site(evses=2)
    place = str(tmp_path / "journal.sqlite3")
    store = writer(place, tmp_path)
    world = World(site)
    world.controller = Journalled(store, site, now=START)  # type: ignore[assignment]
    world.connect()
    world.run(120)
    store.close()
    (tmp_path / "mark").write_bytes(b"missing\n")
    again = writer(place, tmp_path)
    awake = Journalled(again, site, now=world.now)
    assert not awake.awake.started.knows_all
    awake.decide(world.now)
    assert {32.0} == {max(e.assumed_a) for e in awake.controller.view().evses}
    again.close()


def test_a_password_is_never_shown() -> None:
    assert "postgresql://me@db:5432/loads" == shown("postgresql://me:sec:ret@db:5432/loads")
    assert "/var/lib/a.journal" == shown("/var/lib/a.journal")


def test_a_part_of_a_kind_is_read_without_the_rest(place: str, tmp_path: Path) -> None:
    store = writer(place, tmp_path)
    store.put([reading(n) for n in range(1, 101)], None)
    store.close()
    tables = open_tables(place)
    while tables.pack_oldest(least=20):
        pass
    start, end = START + timedelta(seconds=350), START + timedelta(seconds=450)
    found = list(tables.of_kind("SiteMeterReading", start=start, end=end))
    assert list(range(35, 45)) == [entry.number for entry in found]
    assert 100 == sum(1 for _ in tables.of_kind("SiteMeterReading"))
    tables.close()

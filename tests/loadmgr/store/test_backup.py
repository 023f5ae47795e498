"""A journal in one file and back, from and to either database, old ones too."""

from datetime import timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from loadmgr.apps.commands import backup_cli
from loadmgr.errors import JournalError
from loadmgr.store.backup import back_up, restore
from loadmgr.store.database import Sqlite, connect
from loadmgr.store.mark import Mark
from loadmgr.store.open import open_store, open_tables
from loadmgr.store.recall import recall
from loadmgr.store.replay import replay
from loadmgr.store.schema import upgrade
from loadmgr.store.tables import Tables
from tests.control_world import START
from tests.loadmgr.store.places import writer
from tests.loadmgr.store.test_replay import restarted
from tests.loadmgr.store.test_writer import CODEC, reading

app = typer.Typer()
app.command("backup")(backup_cli.backup)
app.command("restore")(backup_cli.restore)


def test_what_was_backed_up_goes_on_from_either_database(place: str, tmp_path: Path) -> None:
    restarted(place, tmp_path)
    copied = back_up(place, tmp_path / "copy", files={"key": tmp_path / "mark", "stations": tmp_path / "missing"})
    assert ("small", ("key",)) == (copied.site, copied.files)
    back = str(tmp_path / "back.sqlite3")
    restore(tmp_path / "copy", back, state_folder=tmp_path, files={"key": tmp_path / "back.key"})
    assert (tmp_path / "back.key").read_bytes() == (tmp_path / "mark").read_bytes()
    before, after = open_tables(place), open_tables(back)
    assert list(before.entries()) == list(after.entries())
    assert replay(after).identical
    for tables in (before, after):
        tables.close()
    store = open_store(back, site="small", state_folder=tmp_path)
    assert not store.knows_all  # stations may hold what the backup knows nothing of
    assert recall(store) is not None
    store.close()


def test_a_backup_is_restored_to_either_database(place: str, tmp_path: Path) -> None:
    store = writer(str(tmp_path / "j"), tmp_path)
    store.put([reading(n) for n in range(1, 40)], None)
    store.close()
    tables = open_tables(str(tmp_path / "j"))
    tables.pack_oldest(least=30)
    tables.close()
    copied = back_up(str(tmp_path / "j"), tmp_path / "copy")
    assert {"entry": 9, "block": 1, "snapshot": 0} == copied.rows
    restore(tmp_path / "copy", place, state_folder=tmp_path / "state")
    found = open_tables(place)
    assert [reading(n).entry(CODEC) for n in range(1, 40)] == list(found.entries())
    found.close()
    with pytest.raises(JournalError, match="there is a journal of 'small' already"):
        restore(tmp_path / "copy", place, state_folder=tmp_path / "state")


def test_a_backup_of_an_older_version_is_brought_up_to_date(tmp_path: Path) -> None:
    old = Sqlite(tmp_path / "old")
    upgrade(old, to=1)
    old.rows("INSERT INTO journal VALUES (1, 'small')")
    kept = reading(1).entry(CODEC)
    old.rows("INSERT INTO entry VALUES (1, 1, ?, ?, ?)", (int(kept.at.timestamp()) * 10**6, kept.kind, kept.body))
    old.rows("CREATE TABLE kept_file (name TEXT PRIMARY KEY, body BLOB NOT NULL)")
    old.close()
    restore(tmp_path / "old", str(tmp_path / "new"), state_folder=tmp_path)
    found = open_tables(str(tmp_path / "new"))
    assert [kept] == list(found.entries())
    found.close()


def test_what_is_none_or_damaged_or_newer_or_in_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no such backup"):
        restore(tmp_path / "nothing", str(tmp_path / "new"), state_folder=tmp_path)
    (tmp_path / "text").write_text("not a database, but long enough to look at" * 40)
    with pytest.raises(JournalError, match="not a database"):
        restore(tmp_path / "text", str(tmp_path / "new"), state_folder=tmp_path)
    journal = str(tmp_path / "j")
    Tables(connect(journal), "small").close()
    back_up(journal, tmp_path / "copy")
    with pytest.raises(JournalError, match="exists already"):
        back_up(journal, tmp_path / "copy")
    held = Mark(tmp_path / "new.mark")
    with pytest.raises(JournalError, match="only one may control a site"):
        restore(tmp_path / "copy", str(tmp_path / "new"), state_folder=tmp_path)
    held.close()
    newer = Sqlite(tmp_path / "copy")
    newer.rows("UPDATE loadmgr_schema SET version = 99")
    newer.close()
    with pytest.raises(JournalError, match="written by a newer one"):
        restore(tmp_path / "copy", str(tmp_path / "new"), state_folder=tmp_path)


def test_the_commands_say_what_they_copied(tmp_path: Path) -> None:
    store = writer(str(tmp_path / "j"), tmp_path)
    store.put([reading(1)], None)
    store.close()
    (tmp_path / "j.key").write_bytes(bytes(32))
    run = CliRunner()
    done = run.invoke(app, ["backup", str(tmp_path / "j"), str(tmp_path / "copy")])
    ends = f"{START + timedelta(seconds=10):%Y-%m-%d %H:%M:%S}"
    assert f"small: 1 entries, 0 blocks, 0 snapshots, up to {ends} UTC, with key: in {tmp_path}/copy\n" == done.stdout
    done = run.invoke(app, ["restore", str(tmp_path / "copy"), str(tmp_path / "again")])
    assert 0 == done.exit_code
    assert bytes(32) == (tmp_path / "again.key").read_bytes()

"""A journal in one file, and back: the copy of a site's rows from any database to any other.

Rules
-----
1. A backup is an SQLite file with the same tables, so that it can be read, replayed and brought up to date like a
   journal; files that belong to it (the key of pseudonyms, what is known of stations) are kept in it too.
2. It is taken while the controller writes: what it holds was all there at one instant.
3. A backup that is restored is old: stations may hold what it knows nothing of, and the mark beside it says so.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from loadmgr.errors import JournalError
from loadmgr.store.database import Database, DatabaseLost, Sqlite, connect, is_url
from loadmgr.store.mark import Mark
from loadmgr.store.open import mark_path, open_tables, shown, sites_of
from loadmgr.store.schema import upgrade
from loadmgr.store.tables import Tables

TABLES = ("entry", "block", "snapshot")
COLUMNS = {"entry": 5, "block": 8, "snapshot": 4}
ROWS_AT_ONCE = 500
FILES = "kept_file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What was copied: the site, its rows by table, and the last instant."""

    site: str
    rows: Mapping[str, int]
    ends_at: datetime | None
    files: tuple[str, ...] = ()


def back_up(place: str, out: Path, *, site: str | None = None, files: Mapping[str, Path] | None = None) -> Copied:
    """Copy a journal into a new file.

    Parameters
    ----------
    place : str
        The journal: a file, or a ``postgresql://`` URL.
    out : Path
        Must not exist.
    site : str, optional
        Which one, where a database holds several.
    files : mapping of str to Path, optional
        What belongs to it, by a name; files that are missing are left out.

    Raises
    ------
    JournalError
        If there is no such journal, or the copy cannot be written.
    """
    if out.exists():
        raise JournalError(f"{out}: exists already; name another file")
    open_tables(place, site=site).close()  # says what is wrong with the place, and brings it up to date
    try:
        source = connect(place)
        try:
            name = site or sites_of(source)[0]
            with _one_instant(source, place):
                target = Sqlite(out)
                try:
                    copied = _copy(source, target, name)
                    kept = _keep(target, files or {})
                    target.rows("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
                finally:
                    target.close()
        finally:
            source.close()
    except DatabaseLost as error:
        out.unlink(missing_ok=True)
        raise JournalError(f"{shown(place)} to {out}: {error}") from error
    return Copied(site=name, rows=copied.rows, ends_at=copied.ends_at, files=kept)


def restore(backup: Path, place: str, *, state_folder: Path, files: Mapping[str, Path] | None = None) -> Copied:
    """Copy a backup to where a controller keeps its journal.

    Parameters
    ----------
    place : str
        A file that does not exist, or a ``postgresql://`` URL of a database without a journal of this site.
    state_folder : Path
        Where the mark of a journal in PostgreSQL is kept.
    files : mapping of str to Path, optional
        Where what belongs to it goes, by name.

    Raises
    ------
    JournalError
        If it is no backup, a newer loadmgr wrote it, a controller runs, or there is a journal of the site already.
    """
    if not backup.is_file():
        raise JournalError(f"{backup}: there is no such backup")
    try:
        source = Sqlite(backup)
        try:
            _check(source, backup)
            (name,) = sites_of(source)
            mark = Mark(mark_path(place, site=name, state_folder=state_folder))
            try:
                target = connect(place)
                try:
                    upgrade(target)
                    if name in sites_of(target):
                        raise JournalError(
                            f"{shown(place)}: there is a journal of {name!r} already; restore to another place"
                        )
                    copied = _copy(source, target, name)
                finally:
                    target.close()
                mark.set(knows_all=False)
            finally:
                mark.close()
            written = _put_back(source, files or {})
        finally:
            source.close()
    except DatabaseLost as error:
        raise JournalError(f"{backup} to {shown(place)}: {error}") from error
    return Copied(site=name, rows=copied.rows, ends_at=copied.ends_at, files=written)


def _check(source: Sqlite, backup: Path) -> None:
    verdict = source.rows("PRAGMA quick_check")[0][0]
    if verdict != "ok":
        raise JournalError(f"{backup}: is damaged: {verdict}")
    if len(sites_of(source)) != 1:
        raise JournalError(f"{backup}: holds {len(sites_of(source))} journals; a backup holds one")


@contextmanager
def _one_instant(database: Database, place: str) -> Iterator[None]:
    database.rows("BEGIN ISOLATION LEVEL REPEATABLE READ" if is_url(place) else "BEGIN")
    try:
        yield
    finally:
        database.rows("ROLLBACK")


def _copy(source: Database, target: Database, site: str) -> Copied:
    """Copy the rows of a site, all or none of them."""
    tables = Tables(target, site)
    number = _number(target, site)
    counts = {}
    with target.transaction():
        for table in TABLES:
            counts[table] = _copy_table(source, target, table, ids=(_number(source, site), number))
    return Copied(site=site, rows=counts, ends_at=tables.ends_at())


def _number(database: Database, site: str) -> int:
    return int(database.rows("SELECT id FROM journal WHERE site = ?", (site,))[0][0])


def _copy_table(source: Database, target: Database, table: str, *, ids: tuple[int, int]) -> int:
    """Copy the rows of one table in the order of its key; the first column is the journal's number."""
    mine, new = ids
    key = ("kind", "first") if table == "block" else ("number",)
    order = ", ".join(key)
    marks = ", ".join("?" * COLUMNS[table])
    where, last, count = "", tuple[object, ...](), 0
    while True:
        found = source.rows(
            f"SELECT * FROM {table} WHERE journal = ?{where} ORDER BY {order} LIMIT {ROWS_AT_ONCE}",
            (mine, *last),
        )
        if not found:
            return count
        target.many(f"INSERT INTO {table} VALUES ({marks})", [(new, *row[1:]) for row in found])
        count += len(found)
        where = f" AND ({order}) > ({', '.join('?' * len(key))})"
        last = found[-1][1:3] if table == "block" else found[-1][1:2]


def _keep(target: Database, files: Mapping[str, Path]) -> tuple[str, ...]:
    target.rows(f"CREATE TABLE {FILES} (name TEXT PRIMARY KEY, body {{blob}} NOT NULL)")
    there = {name: path.read_bytes() for name, path in files.items() if path.is_file()}
    target.many(f"INSERT INTO {FILES} VALUES (?, ?)", list(there.items()))
    return tuple(there)


def _put_back(source: Database, files: Mapping[str, Path]) -> tuple[str, ...]:
    written = []
    for name, body in source.rows(f"SELECT name, body FROM {FILES} ORDER BY name"):
        path = files.get(name)
        if path is not None and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_bytes(bytes(body))
            written.append(name)
    return tuple(written)

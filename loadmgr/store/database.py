"""The two databases behind one small interface: SQLite, which needs no set-up, and PostgreSQL by URL.

Rules
-----
1. Statements are written once, with ``?`` for values; ``{blob}`` is the type of bytes.
2. Whatever goes wrong inside a database arrives as ``DatabaseLost``, so that a caller needs to know neither library.
3. A transaction is a ``with``: what fails inside is rolled back, and the connection may be dead afterwards.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from loadmgr.errors import JournalError

Row = tuple[Any, ...]

BUSY_S = 2.0
"""How long SQLite waits for another process that holds its lock [s]."""


class DatabaseLost(Exception):  # noqa: N818 - it says what happened
    """A database cannot be reached, is locked, full or broken; the message is its own."""


class Database(Protocol):
    """One connection."""

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return the rows of a query, or none of a statement."""

    def many(self, statement: str, values: Sequence[Sequence[Any]]) -> None:
        """Execute a statement for each row of values."""

    def transaction(self) -> Any:
        """Return a context in which everything happens, or nothing."""

    def shrink(self) -> None:
        """Give freed space back, where the database does not do so by itself."""

    def close(self) -> None:
        """Close the connection; a dead one too."""


class Sqlite:
    """A file, in WAL mode: readers do not stop the writer, and a process that is killed loses nothing committed.

    Raises
    ------
    DatabaseLost
        If the file cannot be opened, or is no database.
    """

    def __init__(self, path: Path, *, busy_s: float = BUSY_S) -> None:
        with _sqlite_faults():
            self.connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
            try:
                if self.rows("SELECT count(*) FROM sqlite_master")[0][0] == 0:
                    self.rows("PRAGMA auto_vacuum = INCREMENTAL")
                self.rows("PRAGMA journal_mode = WAL")
                self.rows("PRAGMA synchronous = NORMAL")
            except Exception:
                self.connection.close()
                raise

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return the rows of a query, or none of a statement."""
        with _sqlite_faults():
            return self.connection.execute(statement.replace("{blob}", "BLOB"), values).fetchall()

    def many(self, statement: str, values: Sequence[Sequence[Any]]) -> None:
        """Execute a statement for each row of values."""
        with _sqlite_faults():
            self.connection.executemany(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do everything, or nothing."""
        self.rows("BEGIN IMMEDIATE")
        try:
            yield
            self.rows("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.rows("ROLLBACK")
            raise

    def shrink(self) -> None:
        """Give freed space back, where the database does not do so by itself."""
        self.rows("PRAGMA incremental_vacuum")

    def close(self) -> None:
        """Close the connection; a dead one too."""
        with _sqlite_faults():
            self.connection.close()


@contextmanager
def _sqlite_faults() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise DatabaseLost(str(error)) from error


class Postgres:
    """A PostgreSQL database by its URL.

    Raises
    ------
    DatabaseLost
        If it cannot be reached.
    JournalError
        If psycopg is not installed.
    """

    def __init__(self, url: str, *, connect_s: int = 5) -> None:
        try:
            import psycopg
        except ImportError as error:
            raise JournalError("a journal in PostgreSQL needs psycopg: pip install 'loadmgr[postgres]'") from error
        self._fault: type[Exception] = psycopg.Error
        with self._faults():
            self.connection = psycopg.connect(
                url, autocommit=True, connect_timeout=connect_s, fallback_application_name="loadmgr"
            )

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return the rows of a query, or none of a statement."""
        with self._faults():
            cursor = self.connection.execute(_for_postgres(statement), values)
            return [] if cursor.description is None else cursor.fetchall()

    def many(self, statement: str, values: Sequence[Sequence[Any]]) -> None:
        """Execute a statement for each row of values."""
        with self._faults(), self.connection.cursor() as cursor:
            cursor.executemany(_for_postgres(statement), values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do everything, or nothing."""
        with self._faults(), self.connection.transaction():
            yield

    def shrink(self) -> None:
        """Do nothing: autovacuum does."""

    def close(self) -> None:
        """Close the connection; a dead one too."""
        with self._faults():
            self.connection.close()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except self._fault as error:
            raise DatabaseLost(str(error).strip() or type(error).__name__) from error


def _for_postgres(statement: str) -> Any:
    return statement.replace("{blob}", "BYTEA").replace("?", "%s")


def is_url(place: str) -> bool:
    """Return whether a place is a PostgreSQL URL rather than a file."""
    return place.startswith(("postgresql://", "postgres://"))


def connect(place: str) -> Database:
    """Open a database: a PostgreSQL URL, or the path of an SQLite file, which is made where it is missing.

    Raises
    ------
    DatabaseLost
        If it cannot be reached.
    JournalError
        If a URL is of no database that is known, or psycopg is missing.
    """
    if is_url(place):
        return Postgres(place)
    if "://" in place:
        raise JournalError(f"{place}: a journal is a file or a postgresql:// URL")
    return Sqlite(Path(place))

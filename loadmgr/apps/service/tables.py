"""The service's own tables, in SQLite or PostgreSQL: tokens, answers by idempotency key, audit.

Rules
-----
1. Every call opens what it needs and survives a database that went away: the next call connects anew.
2. A database is used from threads of the event loop's pool, one statement at a time.
"""

import asyncio
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, TypeVar

from loadmgr.errors import JournalError
from loadmgr.store.database import Database, DatabaseLost, Row, connect

T = TypeVar("T")

STEPS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE service_token (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, sites TEXT, digest {blob} NOT NULL,
            created_us BIGINT NOT NULL, expires_us BIGINT, revoked_us BIGINT)""",
        """CREATE TABLE service_answer (
            token TEXT NOT NULL, request_key TEXT NOT NULL, digest {blob} NOT NULL, at_us BIGINT NOT NULL,
            status BIGINT, body {blob}, PRIMARY KEY (token, request_key))""",
        """CREATE TABLE service_audit (
            at_us BIGINT NOT NULL, request TEXT NOT NULL, token TEXT, address TEXT, action TEXT NOT NULL, site TEXT,
            status BIGINT NOT NULL, detail TEXT)""",
        "CREATE INDEX service_audit_at ON service_audit (at_us)",
    ),
    (
        """CREATE TABLE service_lease (
            site TEXT PRIMARY KEY, holder TEXT NOT NULL, fence BIGINT NOT NULL, until_us BIGINT NOT NULL)""",
        "CREATE TABLE service_webhook (site TEXT PRIMARY KEY, url TEXT NOT NULL, secret TEXT NOT NULL)",
    ),
)
"""Statements that lead from one version to the next; a step that was released is never edited."""

IN_MEMORY = ":memory:"


class Tables:
    """The tables of a service.

    Parameters
    ----------
    place : str
        Path of an SQLite file, a ``postgresql://`` URL, or ``:memory:``.

    Raises
    ------
    JournalError
        If it cannot be opened.
    """

    def __init__(self, place: str = IN_MEMORY) -> None:
        self.place = place
        self._lock = Lock()
        self._database: Database | None = None
        try:
            self.rows("SELECT 1")
        except DatabaseLost as error:
            raise JournalError(f"{place}: {error}") from error

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return the rows of a query, or none of a statement.

        Raises
        ------
        DatabaseLost
            If the database cannot be reached.
        """
        return self.work(lambda database: database.rows(statement, values))

    def work(self, work: Callable[[Database], T]) -> T:
        """Return what some work with the database gives.

        Raises
        ------
        DatabaseLost
            If the database cannot be reached.
        """
        with self._lock:
            if self._database is None:
                database = connect(self.place)
                upgrade(database)
                self._database = database
            try:
                return work(self._database)
            except DatabaseLost:
                if self.place != IN_MEMORY:  # it may be dead: the next call connects anew
                    self._drop()
                raise

    async def ask(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return the rows of a query without holding up the event loop."""
        return await asyncio.to_thread(self.rows, statement, values)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            try:
                database.close()
            except DatabaseLost:
                return  # it was dead already


def upgrade(database: Database) -> None:
    """Bring the tables up to date.

    Raises
    ------
    JournalError
        If they are of a newer version than this loadmgr knows.
    """
    database.rows("CREATE TABLE IF NOT EXISTS service_schema (version BIGINT NOT NULL)")
    found = database.rows("SELECT version FROM service_schema")
    before = int(found[0][0]) if found else 0
    if before > len(STEPS):
        raise JournalError(f"the service's tables have version {before}, this loadmgr knows {len(STEPS)}")
    for version in range(before, len(STEPS)):
        with database.transaction():
            for statement in STEPS[version]:
                database.rows(statement)
            database.rows("DELETE FROM service_schema")
            database.rows("INSERT INTO service_schema VALUES (?)", (version + 1,))

"""Tables of a journal, version by version: an older database is brought up to date when it is opened.

Rules
-----
1. A step is never edited once it was released; what changes is a new step.
2. Each step runs in one transaction with the note that it ran.
3. A database of a newer version is refused: an older loadmgr does not know what it would break.
"""

from loadmgr.errors import JournalError
from loadmgr.store.database import Database

STEPS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE journal (id BIGINT PRIMARY KEY, site TEXT NOT NULL UNIQUE)",
        """CREATE TABLE entry (
            journal BIGINT NOT NULL, number BIGINT NOT NULL, at_us BIGINT NOT NULL, kind TEXT NOT NULL,
            body {blob} NOT NULL, PRIMARY KEY (journal, number))""",
        """CREATE TABLE snapshot (
            journal BIGINT NOT NULL, number BIGINT NOT NULL, at_us BIGINT NOT NULL, body {blob} NOT NULL,
            PRIMARY KEY (journal, number))""",
    ),
    (
        """CREATE TABLE block (
            journal BIGINT NOT NULL, kind TEXT NOT NULL, first BIGINT NOT NULL, last BIGINT NOT NULL,
            first_us BIGINT NOT NULL, last_us BIGINT NOT NULL, entries BIGINT NOT NULL, body {blob} NOT NULL,
            PRIMARY KEY (journal, kind, first))""",
        "CREATE INDEX entry_kind ON entry (journal, kind, number)",
    ),
)
"""Statements that lead from one version to the next; the first makes version 1 of nothing."""

VERSION = len(STEPS)


def upgrade(database: Database, *, to: int = VERSION) -> int:
    """Bring a database to a version of the schema; return the version that it had.

    Raises
    ------
    JournalError
        If it is of a newer version than this loadmgr knows.
    DatabaseLost
    """
    database.rows("CREATE TABLE IF NOT EXISTS loadmgr_schema (version BIGINT NOT NULL)")
    found = database.rows("SELECT version FROM loadmgr_schema")
    before = int(found[0][0]) if found else 0
    if before > VERSION:
        raise JournalError(
            f"this journal has schema version {before}, this loadmgr knows {VERSION}: it was written by a newer one"
        )
    for version in range(before, to):
        with database.transaction():
            for statement in STEPS[version]:
                database.rows(statement)
            database.rows("DELETE FROM loadmgr_schema")
            database.rows("INSERT INTO loadmgr_schema VALUES (?)", (version + 1,))
    return before

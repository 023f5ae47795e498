"""What a Local Controller keeps on disk while the CSMS is lost: messages in order, boots, transaction ids, logins.

Rule 1: a message is on the disk before its station is answered, so that a power cut loses none.
Rule 2: one file serves one process.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ocpp_link.security import PasswordHash

_FIRST_LOCAL_ID = 2_000_000_000
"""Transaction ids given here are of a range that CSMSs hardly reach, and fit 32 bits (1.6 section 7, integer)."""

_TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS message (
    number INTEGER PRIMARY KEY AUTOINCREMENT, station TEXT NOT NULL, action TEXT NOT NULL, payload TEXT NOT NULL,
    replaces TEXT, local_id INTEGER);
CREATE INDEX IF NOT EXISTS message_station ON message (station, number);
CREATE TABLE IF NOT EXISTS boot (station TEXT PRIMARY KEY, payload TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS started (
    local_id INTEGER PRIMARY KEY AUTOINCREMENT, station TEXT NOT NULL, upstream_id INTEGER);
CREATE TABLE IF NOT EXISTS login (
    station TEXT PRIMARY KEY, subprotocol TEXT NOT NULL, salt BLOB NOT NULL, digest BLOB NOT NULL);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A message that the CSMS has not read yet."""

    number: int
    action: str
    payload: dict[str, Any]
    local_id: int | None
    """What the transaction that it starts is called below (1.6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What of one station the CSMS has yet to be told."""

    waiting: int
    oldest_at: datetime | None
    """When the oldest was taken; ``None`` of messages that an older program kept."""


class UpstreamQueue:
    """Messages for the CSMS, on disk.

    Parameters
    ----------
    path
        The SQLite file; made if it does not exist.
    limit
        So many messages of one station are kept; a station is refused more, and keeps them itself.
    now
        Returns the time of day.
    """

    def __init__(self, path: Path, *, limit: int = 50_000, now: Callable[[], datetime]) -> None:
        self._limit = limit
        self._now = now
        self._turns: dict[str, asyncio.Lock] = {}
        self._base = sqlite3.connect(path, isolation_level=None)
        self._base.executescript(_TABLES)
        if "at" not in {row[1] for row in self._base.execute("PRAGMA table_info(message)")}:
            self._base.execute("ALTER TABLE message ADD COLUMN at REAL")  # what was kept before it had a time

    def turn(self, station: str) -> asyncio.Lock:
        """Return what whoever tells the CSMS of a station has to hold: two of its connections may overlap."""
        return self._turns.setdefault(station, asyncio.Lock())

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def push(self, station: str, action: str, payload: dict[str, Any], *, replaces: str | None = None) -> bool:
        """Append a message; False if the station's queue is full.

        Parameters
        ----------
        station, action, payload
            The message.
        replaces
            An older message with the same word here is out of date, and goes.
        """
        if self.count(station) >= self._limit:
            return False
        row = (station, action, json.dumps(payload), replaces, self._now().timestamp())
        with self._base:
            self._base.execute("BEGIN")
            if replaces is not None:
                self._base.execute("DELETE FROM message WHERE station = ? AND replaces = ?", (station, replaces))
            self._base.execute(
                "INSERT INTO message (station, action, payload, replaces, at) VALUES (?, ?, ?, ?, ?)", row
            )
        return True

    def push_start(self, station: str, payload: dict[str, Any]) -> int | None:
        """Append a StartTransaction and return the transaction's id; None if the queue is full.

        The same start told again keeps its id, and is told to the CSMS once.
        """
        text = json.dumps(payload)
        known = self._base.execute(
            "SELECT local_id FROM message WHERE station = ? AND action = 'StartTransaction' AND payload = ?",
            (station, text),
        ).fetchone()
        if known is not None:
            return int(known[0])
        if self.count(station) >= self._limit:
            return None
        with self._base:
            self._base.execute("BEGIN")
            highest = self._base.execute("SELECT max(local_id) FROM started").fetchone()[0]
            local_id = int(highest or _FIRST_LOCAL_ID) + 1
            self._base.execute("INSERT INTO started (local_id, station) VALUES (?, ?)", (local_id, station))
            self._base.execute(
                "INSERT INTO message (station, action, payload, local_id, at) VALUES (?, 'StartTransaction', ?, ?, ?)",
                (station, text, local_id, self._now().timestamp()),
            )
        return local_id

    def first(self, station: str) -> Queued | None:
        """Return a station's oldest message."""
        row = self._base.execute(
            "SELECT number, action, payload, local_id FROM message WHERE station = ? ORDER BY number LIMIT 1",
            (station,),
        ).fetchone()
        if row is None:
            return None
        return Queued(number=row[0], action=row[1], payload=json.loads(row[2]), local_id=row[3])

    def count(self, station: str) -> int:
        """Return how many messages of a station wait."""
        found = self._base.execute("SELECT count(*) FROM message WHERE station = ?", (station,)).fetchone()
        return int(found[0])

    def backlog(self) -> dict[str, Backlog]:
        """Return what waits, by station."""
        rows = self._base.execute("SELECT station, count(*), min(at) FROM message GROUP BY station")
        return {
            station: Backlog(waiting=count, oldest_at=None if at is None else datetime.fromtimestamp(at, UTC))
            for station, count, at in rows
        }

    def done(self, message: Queued, *, upstream_id: int | None = None) -> None:
        """Forget a message that the CSMS has read, and keep what it calls the transaction."""
        with self._base:
            self._base.execute("BEGIN")
            self._base.execute("DELETE FROM message WHERE number = ?", (message.number,))
            if upstream_id is not None:
                self._base.execute(
                    "UPDATE started SET upstream_id = ? WHERE local_id = ?", (upstream_id, message.local_id)
                )

    def transaction_ids(self, station: str) -> dict[int, int]:
        """Return what the CSMS calls the transactions that began without it, by their ids below."""
        rows = self._base.execute(
            "SELECT local_id, upstream_id FROM started WHERE station = ? AND upstream_id IS NOT NULL", (station,)
        )
        return dict(rows.fetchall())

    def booted(self, station: str, payload: dict[str, Any]) -> None:
        """Keep a station's latest BootNotification."""
        self._base.execute("INSERT OR REPLACE INTO boot VALUES (?, ?)", (station, json.dumps(payload)))

    def boot_of(self, station: str) -> dict[str, Any] | None:
        """Return a station's latest BootNotification."""
        row = self._base.execute("SELECT payload FROM boot WHERE station = ?", (station,)).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def logged_in(self, station: str, *, subprotocol: str, authorization: str) -> None:
        """Keep, hashed, what the CSMS let a station in with."""
        login = PasswordHash.of(authorization)
        row = (station, subprotocol, login.salt, login.digests[0])
        self._base.execute("INSERT OR REPLACE INTO login VALUES (?, ?, ?, ?)", row)

    def admits(self, station: str, *, authorization: str) -> str | None:
        """Return the subprotocol of a station that comes as the CSMS let it in before; None for any other."""
        row = self._base.execute("SELECT subprotocol, salt, digest FROM login WHERE station = ?", (station,)).fetchone()
        if row is None or not PasswordHash(row[1], (row[2],)).matches(authorization.encode()):
            return None
        return str(row[0])

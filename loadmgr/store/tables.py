"""Entries, blocks and snapshots of one site's journal in a database: plain reading and writing.

Rules
-----
1. Entries arrive as rows. Once there are enough of a kind, the oldest become a block, in one transaction.
2. Blocks of a kind are older than its rows. Readers merge all kinds by number, a part at a time.
3. Of the snapshots only the last few are kept, and the first of each day, so that a replay can begin there.
"""

import heapq
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from loadmgr.store.blocks import from_us, pack, to_us, unpack
from loadmgr.store.database import Database
from loadmgr.store.entry import Entry, Snapshot
from loadmgr.store.schema import upgrade

BLOCK_ENTRIES = 2048
"""So many entries of a kind become a block."""

ROWS_AT_ONCE = 2000

LAST_SNAPSHOTS = 3

START = "Started"
"""Kind of entry that is never packed and always kept for the oldest snapshot: a reader begins there."""

DAY_US = 86_400_000_000

EARLIEST_US, LATEST_US = -(2**62), 2**62


class Tables:
    """The journal of one site.

    Parameters
    ----------
    database : Database
    site : str
        Its name; a PostgreSQL database may hold many.

    Raises
    ------
    DatabaseLost, JournalError
    """

    def __init__(self, database: Database, site: str) -> None:
        self._database, self.site = database, site
        upgrade(database)
        with database.transaction():
            found = database.rows("SELECT id FROM journal WHERE site = ?", (site,))
            if not found:
                database.rows("INSERT INTO journal SELECT coalesce(max(id), 0) + 1, ? FROM journal", (site,))
                found = database.rows("SELECT id FROM journal WHERE site = ?", (site,))
        self._journal = int(found[0][0])
        counted = database.rows("SELECT kind, count(*) FROM entry WHERE journal = ? GROUP BY kind", (self._journal,))
        self._loose: Counter[str] = Counter({kind: int(count) for kind, count in counted})

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    # Writing

    def write(self, entries: Sequence[Entry], snapshots: Sequence[Snapshot]) -> None:
        """Add entries and snapshots, all or none of them."""
        rows = [(self._journal, e.number, to_us(e.at), e.kind, e.body) for e in entries]
        taken = [(self._journal, s.number, to_us(s.at), zlib.compress(s.body)) for s in snapshots]
        with self._database.transaction():
            self._database.many("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", rows)
            if taken:
                self._database.many("INSERT INTO snapshot VALUES (?, ?, ?, ?)", taken)
                self._thin_snapshots()
        self._loose.update(e.kind for e in entries)

    def pack_oldest(self, *, least: int = BLOCK_ENTRIES) -> int:
        """Make a block of each kind that has enough rows; return how many were made."""
        ripe = sorted(kind for kind, count in self._loose.items() if count >= least and kind != START)
        for kind in ripe:
            self._pack(kind, least)
        return len(ripe)

    def _pack(self, kind: str, count: int) -> None:
        with self._database.transaction():
            entries = self._loose_entries(kind, after=0, limit=count)
            first, last = entries[0], entries[-1]
            self._insert_block(kind, entries)
            self._database.rows(
                "DELETE FROM entry WHERE journal = ? AND kind = ? AND number BETWEEN ? AND ?",
                (self._journal, kind, first.number, last.number),
            )
        self._loose[kind] -= len(entries)

    def _insert_block(self, kind: str, entries: Sequence[Entry]) -> None:
        first, last = entries[0], entries[-1]
        at = [to_us(e.at) for e in entries]
        row = (self._journal, kind, first.number, last.number, min(at), max(at), len(entries), pack(entries))
        self._database.rows("INSERT INTO block VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def _thin_snapshots(self) -> None:
        found = self._database.rows(
            "SELECT number, at_us FROM snapshot WHERE journal = ? ORDER BY number", (self._journal,)
        )
        days: set[int] = set()
        kept = {number for number, _ in found[-LAST_SNAPSHOTS:]}
        for number, at_us in found:
            if at_us // DAY_US not in days:
                days.add(at_us // DAY_US)
                kept.add(number)
        gone = [(self._journal, number) for number, _ in found if number not in kept]
        if gone:
            self._database.many("DELETE FROM snapshot WHERE journal = ? AND number = ?", gone)

    # Reading

    def last_number(self) -> int:
        """Return the number of the last entry; 0 when there is none."""
        found = self._database.rows(
            "SELECT max(n) FROM (SELECT max(number) AS n FROM entry WHERE journal = ?"
            " UNION ALL SELECT max(last) AS n FROM block WHERE journal = ?) AS both_places",
            (self._journal, self._journal),
        )
        return int(found[0][0] or 0)

    def ends_at(self) -> datetime | None:
        """Return the latest instant of any entry; ``None`` when there is none."""
        found = self._database.rows(
            "SELECT max(t) FROM (SELECT max(at_us) AS t FROM entry WHERE journal = ?"
            " UNION ALL SELECT max(last_us) AS t FROM block WHERE journal = ?) AS both_places",
            (self._journal, self._journal),
        )
        return None if found[0][0] is None else from_us(int(found[0][0]))

    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of entries that there are."""
        found = self._database.rows(
            "SELECT DISTINCT kind FROM entry WHERE journal = ? UNION SELECT DISTINCT kind FROM block WHERE journal = ?",
            (self._journal, self._journal),
        )
        return tuple(sorted(kind for (kind,) in found))

    def entries(self, *, after: int = 0) -> Iterator[Entry]:
        """Yield the entries with a higher number than ``after``, in order."""
        yield from heapq.merge(*(self._of_kind(kind, after) for kind in self.kinds()), key=lambda e: e.number)

    def of_kind(self, kind: str, *, start: datetime | None = None, end: datetime | None = None) -> Iterator[Entry]:
        """Yield the entries of one kind that happened in ``[start, end)``, in order."""
        low = EARLIEST_US if start is None else to_us(start)
        high = LATEST_US if end is None else to_us(end)
        for entry in self._of_kind(kind, 0, since_us=low, until_us=high):
            if end is not None and entry.at >= end:
                continue
            if start is None or entry.at >= start:
                yield entry

    def _of_kind(
        self, kind: str, after: int, *, since_us: int = EARLIEST_US, until_us: int = LATEST_US
    ) -> Iterator[Entry]:
        """Yield entries of a kind; those of a block that reaches into the span come whole."""
        at = after
        while True:
            found = self._database.rows(
                "SELECT last, body FROM block WHERE journal = ? AND kind = ? AND last > ? AND last_us >= ?"
                " AND first_us < ? ORDER BY first LIMIT 4",
                (self._journal, kind, at, since_us, until_us),
            )
            for last, body in found:
                yield from (e for e in unpack(kind, bytes(body)) if e.number > after)
                at = last
            if not found:
                break
        while rows := self._loose_entries(kind, after=at, limit=ROWS_AT_ONCE, until_us=until_us):
            yield from rows
            at = rows[-1].number

    def _loose_entries(self, kind: str, *, after: int, limit: int, until_us: int = LATEST_US) -> list[Entry]:
        found = self._database.rows(
            "SELECT number, at_us, body FROM entry WHERE journal = ? AND kind = ? AND number > ? AND at_us < ?"
            " ORDER BY number LIMIT ?",
            (self._journal, kind, after, until_us, limit),
        )
        return [Entry(number, from_us(at_us), kind, bytes(body)) for number, at_us, body in found]

    def snapshots(self) -> Iterator[Snapshot]:
        """Yield the snapshots, oldest first."""
        numbers = self._database.rows("SELECT number FROM snapshot WHERE journal = ? ORDER BY number", (self._journal,))
        for (number,) in numbers:
            yield from self._snapshot(number)

    def last_snapshot(self) -> Snapshot | None:
        """Return the newest snapshot."""
        found = self._database.rows("SELECT max(number) FROM snapshot WHERE journal = ?", (self._journal,))
        return None if found[0][0] is None else next(self._snapshot(found[0][0]), None)

    def _snapshot(self, number: int) -> Iterator[Snapshot]:
        found = self._database.rows(
            "SELECT at_us, body FROM snapshot WHERE journal = ? AND number = ?", (self._journal, number)
        )
        for at_us, body in found:
            yield Snapshot(number, from_us(at_us), zlib.decompress(bytes(body)))

    def last_start(self, *, upto: int) -> Entry | None:
        """Return the last start at or before an entry."""
        found = self._database.rows(
            "SELECT number, at_us, body FROM entry WHERE journal = ? AND kind = ? AND number <= ?"
            " ORDER BY number DESC LIMIT 1",
            (self._journal, START, upto),
        )
        return next((Entry(number, from_us(at_us), START, bytes(body)) for number, at_us, body in found), None)

    # Retention

    def forget_before(self, when: datetime) -> int:
        """Forget what happened before an instant, as far back as a snapshot lets a reader begin; return how many."""
        found = self._database.rows(
            "SELECT max(number) FROM snapshot WHERE journal = ? AND at_us <= ?", (self._journal, to_us(when))
        )
        number = found[0][0]
        if number is None:
            return 0
        start = self.last_start(upto=number)
        with self._database.transaction():
            gone = sum(self._forget(kind, number) for kind in self.kinds() if kind != START)
            if start is not None:
                self._database.rows(
                    "DELETE FROM entry WHERE journal = ? AND kind = ? AND number < ?",
                    (self._journal, START, start.number),
                )
            self._database.rows("DELETE FROM snapshot WHERE journal = ? AND number < ?", (self._journal, number))
        self._database.shrink()
        return gone

    def _forget(self, kind: str, upto: int) -> int:
        mine = (self._journal, kind, upto)
        blocks = self._database.rows(
            "SELECT first, last, entries, body FROM block WHERE journal = ? AND kind = ? AND first <= ?", mine
        )
        counted = self._database.rows("SELECT count(*) FROM entry WHERE journal = ? AND kind = ? AND number <= ?", mine)
        gone = int(counted[0][0])
        self._database.rows("DELETE FROM entry WHERE journal = ? AND kind = ? AND number <= ?", mine)
        self._database.rows("DELETE FROM block WHERE journal = ? AND kind = ? AND first <= ?", mine)
        self._loose[kind] -= gone
        for _, last, entries, body in blocks:
            kept = [] if last <= upto else [e for e in unpack(kind, bytes(body)) if e.number > upto]
            gone += entries - len(kept)
            if kept:
                self._insert_block(kind, kept)
        return gone

"""A journal whose database is locked or whose disk is full now and then, in simulated time.

It writes everything out as the real one does, keeps what it cannot write up to a bound, and drops the rest: see
``loadmgr.store.writer``, whose thread and whose seconds have no place in a lock-stepped run.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from loadmgr.store.entry import Entry, Lost, Snapshot
from loadmgr.store.in_memory import InMemory
from loadmgr.store.journal import Draft

BOUND_ENTRIES = 2000
"""So many entries wait for a database that is away."""


class FailingJournal:
    """A store that several lives of a controller write, one after the other.

    Parameters
    ----------
    fails : callable
        Whether nothing can be written now.
    """

    def __init__(self, fails: Callable[[], bool]) -> None:
        self._fails = fails
        self._kept = InMemory()
        self._waiting: list[tuple[Sequence[Draft], Snapshot | None]] = []
        self._dropped: list[Draft] = []
        self._knew_all = True
        self.failures = 0

    def killed(self) -> None:
        """Forget what was not written when its controller died."""
        self._knew_all = not (self._waiting or self._dropped)
        self._waiting, self._dropped = [], []

    def put(self, drafts: Sequence[Draft], snapshot: Snapshot | None) -> None:
        if self._dropped or sum(len(d) for d, _ in self._waiting) > BOUND_ENTRIES:
            self._dropped += drafts
            return
        self._waiting.append((drafts, snapshot))
        self._write()

    def take_loss(self) -> Lost | None:
        self._write()
        if not self._dropped or self._waiting:
            return None
        first, count = self._dropped[0].at, len(self._dropped)
        self._dropped = []
        return Lost(at=first, since=first, entries=count, cause="the database was away")

    async def written(self) -> bool:
        self._write()
        return not (self._waiting or self._dropped)

    def _write(self) -> None:
        if self._fails():
            self.failures += 1
            return
        for drafts, snapshot in self._waiting:
            self._kept.put(drafts, snapshot)
        self._waiting = []

    @property
    def knows_all(self) -> bool:
        return self._knew_all

    def entries(self, *, after: int = 0) -> Iterator[Entry]:
        return self._kept.entries(after=after)

    def snapshots(self) -> Iterator[Snapshot]:
        return self._kept.snapshots()

    def last_number(self) -> int:
        return self._kept.last_number()

    def ends_at(self) -> datetime | None:
        return self._kept.ends_at()

    def last_start(self, *, upto: int) -> Entry | None:
        return self._kept.last_start(upto=upto)

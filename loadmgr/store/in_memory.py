"""A journal that lives as long as its process: for demos, tests and notebooks.

It writes everything out as JSON all the same, so that what comes back from it is what would come back from a database.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from loadmgr.store.codec import Codec
from loadmgr.store.entry import Entry, Lost, Snapshot
from loadmgr.store.journal import Draft


class InMemory:
    """Keeps entries in a list: a ``Sink`` and a ``Source``."""

    def __init__(self) -> None:
        self._codec = Codec()
        self._entries: list[Entry] = []
        self._snapshots: list[Snapshot] = []

    def put(self, drafts: Sequence[Draft], snapshot: Snapshot | None) -> None:
        """Take entries that belong together."""
        self._entries += [draft.entry(self._codec) for draft in drafts]
        if snapshot is not None:
            self._snapshots.append(snapshot)

    @property
    def knows_all(self) -> bool:
        """Return ``True``: nothing is ever lost."""
        return True

    def take_loss(self) -> Lost | None:
        """Return ``None``: nothing is ever lost."""
        return None

    async def written(self) -> bool:
        """Return at once."""
        return True

    def entries(self, *, after: int = 0) -> Iterator[Entry]:
        """Yield the entries with a higher number than ``after``, in order."""
        yield from (e for e in self._entries if e.number > after)

    def snapshots(self) -> Iterator[Snapshot]:
        """Yield the snapshots, oldest first."""
        yield from self._snapshots

    def last_number(self) -> int:
        """Return the number of the last entry; 0 when there is none."""
        return self._entries[-1].number if self._entries else 0

    @property
    def trouble(self) -> str | None:
        """Return ``None``: memory is always there."""
        return None

    @property
    def lost_entries(self) -> int:
        """Return 0."""
        return 0

    def ends_at(self) -> datetime | None:
        """Return the latest instant of any entry; ``None`` when there is none."""
        return max((e.at for e in self._entries), default=None)

    def last_start(self, *, upto: int) -> Entry | None:
        """Return the last start at or before an entry."""
        return next((e for e in reversed(self._entries) if e.kind == "Started" and e.number <= upto), None)

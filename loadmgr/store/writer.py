"""A journal in a database, written in the background: a ``Store`` that never holds control up.

Rules
-----
1. ``put`` queues and returns. A thread writes what is queued in one transaction, at most a moment later, at once when
   somebody waits for it.
2. A database that is locked, full or gone is tried again until it is back; meanwhile the queue grows to its bound. What
   does not fit any more is counted and dropped, and from then on everything, so that what is kept has no holes but one.
3. From the first failure on the mark says that commands may be missing, until everything is written again.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from loadmgr.errors import JournalError
from loadmgr.store.codec import Codec
from loadmgr.store.database import Database, DatabaseLost
from loadmgr.store.entry import Decided, Entry, Lost, Snapshot
from loadmgr.store.journal import Draft
from loadmgr.store.mark import Mark
from loadmgr.store.tables import Tables

log = logging.getLogger(__name__)

QUEUE_ENTRIES = 20_000
"""So many entries wait for a database that is away: some hours of a small site, minutes of a large one."""

GATHER_S = 1.0
"""How long readings are gathered for one transaction when nobody waits [s]: most of what a journal costs."""

PATIENT = frozenset({"EvseReading", "SiteMeterReading", "EvseStatus", "TransactionStarted"})
"""Kinds that are gathered where no new plan follows: mostly they repeat what is known. Others are written at once."""

RETRY_S = 1.0
"""How long after a failure the database is tried again [s]."""

CLOSING_RETRIES = 1
"""A connection that is found cut at the end is opened once more; a database that is away does not hold the end up."""

FORGET_EVERY = timedelta(hours=1)

PATIENCE_S = 0.25
"""How long a command waits for the journal at most [s]."""


@dataclass(slots=True)
class _Batch:
    drafts: Sequence[Draft]
    snapshot: Snapshot | None


class Writer:
    """A store that writes in a thread; close it to be sure that everything is written.

    Parameters
    ----------
    connect : callable
        Opens the database, again after a failure.
    site : str
    mark : Mark
    queue_entries : int
    keep : timedelta, optional
        What is older is forgotten, once an hour; ``None`` keeps everything.

    Raises
    ------
    JournalError
        If the journal cannot be opened at the start: then a person is there to be told.
    """

    def __init__(
        self,
        connect: Callable[[], Database],
        *,
        site: str,
        mark: Mark,
        queue_entries: int = QUEUE_ENTRIES,
        keep: timedelta | None = None,
    ) -> None:
        self._connect, self._site, self._mark = connect, site, mark
        try:
            self._reader = Tables(connect(), site)
            self._tables: Tables | None = Tables(connect(), site)
        except DatabaseLost as error:
            raise JournalError(f"the journal cannot be opened: {error}") from error
        self._codec = Codec()
        self._bound = queue_entries
        self._keep, self._forgot_at = keep, datetime.min.replace(tzinfo=UTC)
        self._queue: deque[_Batch] = deque()
        self._queued = 0
        self._put = self._written = 0
        self._loss: tuple[datetime, int] | None = None
        self._trouble: str | None = None
        self._last_trouble = ""
        self._hurry = self._closing = False
        self._closing_failures = 0
        self._waiting: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Future[bool]]] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    # What the journal calls

    def put(self, drafts: Sequence[Draft], snapshot: Snapshot | None) -> None:
        """Queue entries that belong together; never waits."""
        with self._changed:
            if self._loss is not None or self._queued + len(drafts) > self._bound:
                since, count = self._loss or (drafts[0].at, 0)
                self._loss = (since, count + len(drafts))
                return
            idle, hurried = not self._queue, self._hurry
            self._queue.append(_Batch(drafts, snapshot))
            self._queued += len(drafts)
            self._put += 1
            self._hurry = hurried or any(_is_news(draft) for draft in drafts)
            if idle or self._hurry != hurried:  # each waking is a change of threads: most of what a reading would cost
                self._changed.notify_all()

    def take_loss(self) -> Lost | None:
        """Return what was dropped, once the queue moves again."""
        with self._changed:
            if self._loss is None or self._trouble is not None or self._queued > self._bound // 2:
                return None
            (since, count), self._loss = self._loss, None
            return Lost(at=since, since=since, entries=count, cause=self._last_trouble)

    async def written(self) -> bool:
        """Wait until everything so far is committed, for a moment at most; return whether it is."""
        loop = asyncio.get_running_loop()
        with self._changed:
            if self._trouble is not None or self._loss is not None:
                return False
            if self._written >= self._put:
                return True
            done: asyncio.Future[bool] = loop.create_future()
            self._waiting.append((self._put, loop, done))
            self._hurry = True
            self._changed.notify_all()
        try:
            return await asyncio.wait_for(done, PATIENCE_S)
        except TimeoutError:
            return False

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written at the moment; ``None`` when all is well."""
        with self._changed:
            return self._trouble

    @property
    def lost_entries(self) -> int:
        """How many entries were dropped and not yet told of."""
        with self._changed:
            return 0 if self._loss is None else self._loss[1]

    @property
    def knows_all(self) -> bool:
        """Whether the last writer of this journal knew that nothing was missing when it ended."""
        return self._mark.knew_all

    # What a restart reads, before anything is written

    def entries(self, *, after: int = 0) -> Iterator[Entry]:
        """Yield the entries with a higher number than ``after``, in order."""
        return self._reader.entries(after=after)

    def snapshots(self) -> Iterator[Snapshot]:
        """Yield the last snapshot, if there is one."""
        last = self._reader.last_snapshot()
        return iter(() if last is None else (last,))

    def last_start(self, *, upto: int) -> Entry | None:
        """Return the last start at or before an entry."""
        return self._reader.last_start(upto=upto)

    def last_number(self) -> int:
        """Return the number of the last entry; 0 when there is none."""
        return self._reader.last_number()

    def ends_at(self) -> datetime | None:
        """Return the latest instant of any entry; ``None`` when there is none."""
        return self._reader.ends_at()

    def close(self, *, patience_s: float = 5.0) -> None:
        """Write what is queued and stop; give up after a while where the database is away."""
        with self._changed:
            self._closing = self._hurry = True
            self._changed.notify_all()
        self._thread.join(patience_s)
        if self._thread.is_alive():
            log.warning("the journal is not written to its end: %s", self._trouble)
            return
        for tables in (self._reader, self._tables):
            _close(tables)
        self._mark.close()

    # The thread

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if not self._hurry:
                    self._changed.wait_for(lambda: self._hurry, GATHER_S)
                self._hurry = self._closing
                batches = list(self._queue)
                if not batches and self._closing:
                    return
            try:
                self._write(batches)
            except DatabaseLost as error:
                if self._failed(str(error)):
                    return
            except Exception as error:
                log.exception("the journal cannot be written")
                if self._failed(repr(error)):
                    return
            else:
                self._succeeded(batches)

    def _write(self, batches: list[_Batch]) -> None:
        known = 0
        if self._tables is None:
            self._tables = Tables(self._connect(), self._site)
            known = self._tables.last_number()  # a commit whose answer was lost may have been done
        drafts = [draft for batch in batches for draft in batch.drafts if draft.number > known]
        taken = [b.snapshot for b in batches if b.snapshot is not None and b.snapshot.number > known]
        if drafts or taken:
            self._tables.write([draft.entry(self._codec) for draft in drafts], taken)

    def _forget(self, tables: Tables, now: datetime | None) -> None:
        if self._keep is None or now is None or now - self._forgot_at < FORGET_EVERY:
            return
        self._forgot_at = now
        gone = tables.forget_before(now - self._keep)
        if gone:
            log.info("forgot %d entries older than %s", gone, now - self._keep)

    def _succeeded(self, batches: list[_Batch]) -> None:
        with self._changed:
            for batch in batches:
                self._queue.popleft()
                self._queued -= len(batch.drafts)
            self._written += len(batches)
            if self._trouble is not None:
                log.info("the journal is written again")
            self._trouble = None
            settled = self._loss is None and not self._queue
            ready = [w for w in self._waiting if w[0] <= self._written]
            self._waiting = [w for w in self._waiting if w[0] > self._written]
        for _, loop, done in ready:
            _tell(loop, done, written=True)
        if settled:
            self._note(knows_all=True)
        self._tidy(batches)

    def _tidy(self, batches: list[_Batch]) -> None:
        try:
            if self._tables is not None:
                self._tables.pack_oldest()
                self._forget(self._tables, max((d.at for b in batches for d in b.drafts), default=None))
        except DatabaseLost as error:
            log.warning("the journal cannot be packed: %s", error)

    def _failed(self, why: str) -> bool:
        """Note a failure, wait a little, and return whether to give up."""
        self._note(knows_all=False)
        _close(self._tables)
        self._tables = None
        with self._changed:
            if self._trouble is None:
                log.warning("the journal cannot be written, control goes on without it: %s", why)
            self._trouble = self._last_trouble = why
            waiting, self._waiting = self._waiting, []
            closing = self._closing
        for _, loop, done in waiting:
            _tell(loop, done, written=False)
        if closing:
            self._closing_failures += 1
            return self._closing_failures > CLOSING_RETRIES
        with self._changed:
            self._changed.wait_for(lambda: self._closing, RETRY_S)
        return False

    def _note(self, *, knows_all: bool) -> None:
        try:
            self._mark.set(knows_all=knows_all)
        except OSError:
            log.exception("the journal's mark cannot be written")


def _is_news(draft: Draft) -> bool:
    if isinstance(draft.record, Decided):
        return draft.record.planned is not None
    return draft.kind not in PATIENT


def _close(tables: Tables | None) -> None:
    try:
        if tables is not None:
            tables.close()
    except DatabaseLost as error:
        log.debug("closing a dead connection: %s", error)


def _tell(loop: asyncio.AbstractEventLoop, done: "asyncio.Future[bool]", *, written: bool) -> None:
    def tell() -> None:
        if not done.done():
            done.set_result(written)

    try:
        loop.call_soon_threadsafe(tell)
    except RuntimeError:
        log.debug("whoever waited for the journal is gone")

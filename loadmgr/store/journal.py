"""The journal as the controller's shell sees it: told what was observed and decided, it writes the entries.

Rules
-----
1. It is told everything in the order in which the controller is, and never holds it up: writing is the sink's affair.
2. Now and then it adds a snapshot, so that a restart is quick. A snapshot follows every loss, because what was folded
   meanwhile stands nowhere else.
3. Only values that never change are handed to the sink unwritten; the memory does change, and is encoded at once.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from loadmgr.control.controller import SiteController
from loadmgr.control.decision import Decision
from loadmgr.control.memory import remember, under_way
from loadmgr.control.observation import Observation
from loadmgr.store.codec import Codec
from loadmgr.store.entry import KINDS, Decided, Entry, Lost, Record, Snapshot, Started
from loadmgr.store.memory_json import MemoryCodec

SNAPSHOT_S = 900
"""A snapshot is taken at least this often [s]: a restart repeats at most so much."""

SNAPSHOT_ENTRIES = 5000
"""And after so many entries."""


class Sink(Protocol):
    """Where a journal writes.

    ``put`` takes entries that belong together: it never waits, and never raises.
    """

    def put(self, drafts: Sequence["Draft"], snapshot: Snapshot | None) -> None:
        """Take entries, and a snapshot of what is known after the last of them."""

    def take_loss(self) -> Lost | None:
        """Return what could not be written since the last call, once writing works again."""

    async def written(self) -> bool:
        """Wait until everything that was put is safe, or cannot be: return which."""


class Draft:
    """An entry that is not yet written out."""

    __slots__ = ("at", "kind", "number", "record")

    def __init__(self, number: int, at: datetime, kind: str, record: Record) -> None:
        self.number, self.at, self.kind, self.record = number, at, kind, record

    def entry(self, codec: Codec) -> Entry:
        """Return the entry."""
        return Entry(self.number, self.at, self.kind, codec.encode(self.record, KINDS[self.kind]))


class Journal:
    """Writes what happens.

    Parameters
    ----------
    sink : Sink
    next_number : int
        Number of the next entry.
    """

    def __init__(self, sink: Sink, *, next_number: int = 1) -> None:
        self._sink = sink
        self._next = next_number
        self._codec: MemoryCodec | None = None
        self._batch: list[Draft] = []
        self._snapshot_at: datetime | None = None
        self._snapshot_number = 0

    def started(self, record: Started, controller: SiteController) -> None:
        """Note that a controller began or went on, with what it knows."""
        self._add(record.at, "Started", record)
        self._codec = MemoryCodec(record.site)
        self._flush(controller, record.at, snapshot=True)

    def observed(self, observation: Observation) -> None:
        """Note what is to be folded next; it is written with the decision that follows."""
        self._add(observation.at, type(observation).__name__, observation)

    def decided(self, decision: Decision, controller: SiteController) -> None:
        """Note a decision that was just made, before anything else is observed."""
        commands = [p for p in (under_way(controller, c) for c in decision.commands) if p is not None]
        parts: list[tuple[str, Record]] = [("Command", p) for p in commands]
        parts += [("Alarm", alarm) for alarm in decision.alarms]
        parts += [("Session", session) for session in decision.ended]
        parts += [("Battery", told) for told in decision.batteries]
        for kind, record in parts:
            self._add(decision.at, kind, record)
        end = Decided(
            at=decision.at,
            next_due=decision.next_due,
            planned=decision.planned,
            commands=len(commands),
            alarms=len(decision.alarms),
            ended=len(decision.ended),
            batteries=len(decision.batteries),
        )
        self._add(decision.at, "Decided", end)
        self._flush(controller, decision.at, snapshot=self._is_old(decision.at))

    def ended(self, controller: SiteController, now: datetime) -> None:
        """Note what was observed since the last decision, and all that is known: the controller stops on purpose."""
        self._flush(controller, now, snapshot=True)

    async def written(self) -> bool:
        """Wait until everything so far is safe, so that a command may go out that a restart has to know of.

        Returns
        -------
        bool
            Whether it is; a journal that cannot be written does not hold anything up.
        """
        return await self._sink.written()

    def _add(self, at: datetime, kind: str, record: Record) -> None:
        self._batch.append(Draft(self._next, at, kind, record))
        self._next += 1

    def _is_old(self, now: datetime) -> bool:
        if self._snapshot_at is None or self._next - self._snapshot_number > SNAPSHOT_ENTRIES:
            return True
        return abs(now - self._snapshot_at) >= timedelta(seconds=SNAPSHOT_S)

    def _flush(self, controller: SiteController, now: datetime, *, snapshot: bool) -> None:
        lost = self._sink.take_loss()
        if lost is not None:
            self._add(now, "Lost", lost)
            self._batch.insert(0, self._batch.pop())  # the hole is before what has been noted since
            for number, draft in enumerate(self._batch, start=self._next - len(self._batch)):
                draft.number = number
            snapshot = True
        taken = None
        if snapshot and self._codec is not None:
            taken = Snapshot(self._next - 1, now, self._codec.encode(remember(controller)))
            self._snapshot_at, self._snapshot_number = now, self._next
        batch, self._batch = self._batch, []
        self._sink.put(batch, taken)

"""A journal played again: every decision is made anew from what was observed, and compared with what was sent.

Rules
-----
1. A replay begins at the first snapshot, or at the first entry of a journal that begins with a new controller.
2. Commands have to be the same, to the last bit; they are what stations were told. Their reasons are part of them.
3. After a difference the state is not the recorded one any more: the replay goes on at the next snapshot. So it does
   after ``Lost``, and each such hole is counted. Journals of earlier versions tell of a hole behind what was noted
   first after it: a difference there is the hole's.
"""

from dataclasses import dataclass, field
from datetime import datetime

from loadmgr.control.command import Command
from loadmgr.control.controller import SiteController
from loadmgr.errors import JournalError
from loadmgr.store.codec import Codec
from loadmgr.store.entry import Lost, Snapshot, Start, Started
from loadmgr.store.recall import Recorded, Records, begun, events, from_snapshot, start_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A decision that comes out otherwise than it was recorded."""

    number: int
    at: datetime
    recorded: tuple[Command, ...]
    again: tuple[Command, ...]


@dataclass(slots=True, kw_only=True)
class Replay:
    """What came of a replay.

    Parameters
    ----------
    begins, ends : datetime, optional
        From when to when decisions were made again.
    decisions, commands : int
        How many were made again.
    skipped : int
        Decisions between a difference or a hole and the next snapshot, which were not made again.
    holes : int
        How often entries are missing.
    versions : set of str
        Versions of loadmgr and Python that wrote the journal.
    """

    begins: datetime | None = None
    ends: datetime | None = None
    decisions: int = 0
    commands: int = 0
    skipped: int = 0
    holes: int = 0
    differences: list[Difference] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)

    @property
    def identical(self) -> bool:
        """Whether everything that could be made again came out the same."""
        return not self.differences


def replay(source: Records, *, since: datetime | None = None, until: datetime | None = None) -> Replay:
    """Make every decision of a journal again.

    Parameters
    ----------
    since : datetime, optional
        Begin at the last snapshot before it.
    until : datetime, optional
        Stop with the last decision before it.

    Raises
    ------
    JournalError
        If the journal is empty, or an entry cannot be read.
    """
    codec = Codec()
    snapshots = list(source.snapshots())
    at_start = since is None and _begins_new(source)
    first = None if at_start else _first(snapshots, since)
    if not at_start and first is None:
        raise JournalError("the journal holds no snapshot from which a replay could begin")
    player = _Player(source, codec, snapshots)
    if first is not None:
        player.resume(first)
    for number, event in events(source.entries(after=0 if first is None else first.number), codec):
        if until is not None and isinstance(event, Recorded) and event.decision.at >= until:
            break
        player.play(number, event)
    return player.result


def _begins_new(source: Records) -> bool:
    entry = next(iter(source.entries()), None)
    return entry is not None and entry.number == 1 and entry.kind == "Started"


def _first(snapshots: list[Snapshot], since: datetime | None) -> Snapshot | None:
    before = [s for s in snapshots if since is not None and s.at <= since]
    return before[-1] if before else next(iter(snapshots), None)


class _Player:
    """Plays events one by one; while it has no controller it waits for a snapshot."""

    def __init__(self, source: Records, codec: Codec, snapshots: list[Snapshot]) -> None:
        self.result = Replay()
        self._source, self._codec = source, codec
        self._snapshots = {s.number: s for s in snapshots}
        self._controller: SiteController | None = None
        self._astray = False

    def resume(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot."""
        start = start_of(self._source, snapshot, self._codec)
        self._controller, self._astray = from_snapshot(snapshot, start), False
        self._note_version(start)

    def play(self, number: int, event: object) -> None:
        """Play one event, and take the snapshot that follows it where one is needed."""
        if isinstance(event, Started):
            self._start(event)
        elif isinstance(event, Lost):
            self._lose(number, event)
        elif isinstance(event, Recorded):
            self._decide(event)
        elif self._controller is not None and not self._astray:
            self._controller.observe(event)  # type: ignore[arg-type]
        if self._astray and number in self._snapshots:
            self.resume(self._snapshots[number])

    def _start(self, start: Started) -> None:
        self._note_version(start)
        if self._astray and start.how is not Start.NEW:
            return
        self._controller, self._astray = begun(start, self._controller), False

    def _lose(self, number: int, lost: Lost) -> None:
        result = self.result
        result.holes += 1
        self._astray = True
        last = result.differences[-1] if result.differences else None
        if last is not None and last.number == number - 1 and lost.since < last.at:
            result.differences.pop()
            result.decisions -= 1
            result.commands -= len(last.again)
            result.skipped += 1

    def _decide(self, recorded: Recorded) -> None:
        result = self.result
        if self._controller is None or self._astray:
            result.skipped += 1
            return
        made = self._controller.decide(recorded.decision.at)
        again = made.commands
        result.begins = result.begins or recorded.decision.at
        result.ends = recorded.decision.at
        result.decisions += 1
        result.commands += len(again)
        if again != recorded.decision.commands or made.batteries != recorded.decision.batteries:
            result.differences.append(
                Difference(
                    number=recorded.number,
                    at=recorded.decision.at,
                    recorded=recorded.decision.commands,
                    again=again,
                )
            )
            self._astray = True

    def _note_version(self, start: Started) -> None:
        self.result.versions.add(f"loadmgr {start.version}, Python {start.python}")

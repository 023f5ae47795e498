"""A controller from its journal: the last snapshot, and what happened since.

Rules
-----
1. What happened since the snapshot is repeated: observations are folded, decisions are made again. The same version of
   loadmgr makes the same ones. Where one differs (another version wrote it) the recorded ones stand as they were made.
2. After ``Lost`` nothing can be repeated before the next snapshot.
3. Its site is the journal's until the end; only then is the memory moved to a site file that changed.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from loadmgr.control.alarm import Alarm
from loadmgr.control.battery_facts import SetBatteryPower
from loadmgr.control.controller import SiteController
from loadmgr.control.decision import Decision, SessionView
from loadmgr.control.memory import enact, moved, remember, restored, site_of, slept, woken
from loadmgr.control.observation import Observation
from loadmgr.control.sending.pending import Pending
from loadmgr.control.settings import ControlSettings
from loadmgr.errors import JournalError
from loadmgr.model.tariff import Tariff
from loadmgr.model.topology import Site
from loadmgr.store.codec import Codec
from loadmgr.store.entry import KINDS, Decided, Entry, Lost, Record, Snapshot, Start, Started
from loadmgr.store.journal import Sink
from loadmgr.store.memory_json import MemoryCodec

log = logging.getLogger(__name__)


class Records(Protocol):
    """What a journal holds."""

    def entries(self, *, after: int = 0) -> Iterator[Entry]:
        """Yield the entries with a higher number than ``after``, in order."""

    def snapshots(self) -> Iterator[Snapshot]:
        """Yield the snapshots, oldest first."""

    def last_number(self) -> int:
        """Return the number of the last entry; 0 when there is none."""

    def ends_at(self) -> datetime | None:
        """Return the latest instant of any entry; ``None`` when there is none."""

    def last_start(self, *, upto: int) -> Entry | None:
        """Return the last start at or before an entry."""


class Source(Records, Protocol):
    """Where a controller goes on from."""

    @property
    def knows_all(self) -> bool:
        """Return whether everything that the last writer decided stands in it, as far as anybody can know."""


class Store(Source, Sink, Protocol):
    """Where a journal is read and written."""

    @property
    def trouble(self) -> str | None:
        """Return why nothing can be written at the moment; ``None`` when all is well."""

    @property
    def lost_entries(self) -> int:
        """Return how many entries were dropped and not yet told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A decision as it was made: the decision, and what each of its commands is for."""

    number: int
    decision: Decision
    pending: tuple[Pending, ...]


@dataclass(slots=True)
class _Parts:
    pending: list[Pending] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    ended: list[SessionView] = field(default_factory=list)
    batteries: list[SetBatteryPower] = field(default_factory=list)


Event = tuple[int, Observation | Recorded | Started | Lost]
"""The number of an entry, and what happened."""


def events(entries: Iterator[Entry], codec: Codec) -> Iterator[Event]:
    """Yield what happened, decisions put together from their parts.

    Raises
    ------
    JournalError
        If an entry cannot be read; the error names its number.
    """
    parts = _Parts()
    for entry in entries:
        record = read_entry(entry, codec)
        match record:
            case Pending():
                parts.pending.append(record)
            case Alarm():
                parts.alarms.append(record)
            case SessionView():
                parts.ended.append(record)
            case SetBatteryPower():
                parts.batteries.append(record)
            case Decided():
                yield entry.number, _decision(entry.number, record, parts)
                parts = _Parts()
            case _:
                yield entry.number, record


def read_entry(entry: Entry, codec: Codec) -> Record:
    """Return what an entry holds.

    Raises
    ------
    JournalError
        If its kind is not known, or its body is none of that kind.
    """
    kind = KINDS.get(entry.kind)
    if kind is None:
        raise JournalError(
            f"entry {entry.number} is of kind {entry.kind!r}, which this version of loadmgr does not know"
        )
    try:
        return codec.decode(entry.body, kind)
    except JournalError as error:
        raise JournalError(f"entry {entry.number} ({entry.kind}): {error}") from error


def _decision(number: int, end: Decided, parts: _Parts) -> Recorded:
    decision = Decision(
        at=end.at,
        commands=tuple(p.command for p in parts.pending),
        alarms=tuple(parts.alarms),
        next_due=end.next_due,
        planned=end.planned,
        ended=tuple(parts.ended),
        batteries=tuple(parts.batteries),
    )
    return Recorded(number=number, decision=decision, pending=tuple(parts.pending))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """A controller that knows what the journal knows.

    Parameters
    ----------
    until : datetime
        When the journal ends.
    repeated : int
        How many entries were repeated on top of the snapshot.
    exact : bool
        Every repeated decision came out as it was recorded.
    start : Started
        The start that the last entries belong to.
    """

    controller: SiteController
    until: datetime
    repeated: int
    exact: bool
    start: Started


def recall(source: Source) -> Recalled | None:
    """Return the controller as it stood at the end of a journal; ``None`` where it holds nothing to go on from.

    Raises
    ------
    JournalError
        If what the journal holds cannot be read.
    """
    snapshot = _last(source)
    if snapshot is None:
        return None
    codec = Codec()
    found = _repeated(source, snapshot, codec, again=True)
    if not found.exact:
        log.warning("the journal's last decisions are not what this version would decide: they are taken as they stand")
        found = _repeated(source, snapshot, codec, again=False)
    return found


def _last(source: Source) -> Snapshot | None:
    last = None
    for snapshot in source.snapshots():
        last = snapshot
    return last


def _repeated(source: Source, snapshot: Snapshot, codec: Codec, *, again: bool) -> Recalled:
    start = start_of(source, snapshot, codec)
    controller = from_snapshot(snapshot, start)
    until, count, exact = snapshot.at, 0, True
    for _, event in events(source.entries(after=snapshot.number), codec):
        count += 1
        if isinstance(event, Lost):
            raise JournalError("entries are lost after the last snapshot")
        if isinstance(event, Started):
            controller, start = begun(event, controller), event
            until = max(until, event.at)
        elif isinstance(event, Recorded):
            until = max(until, event.decision.at)
            if not again:
                enact(controller, event.decision, event.pending)
            else:
                made = controller.decide(event.decision.at)
                same = (made.commands, made.batteries) == (event.decision.commands, event.decision.batteries)
                exact = exact and same
        else:
            controller.observe(event)
    return Recalled(controller=controller, until=until, repeated=count, exact=exact or not again, start=start)


def start_of(source: Records, snapshot: Snapshot, codec: Codec) -> Started:
    """Return the start that a snapshot belongs to.

    Raises
    ------
    JournalError
        If the journal has none before it.
    """
    entry = source.last_start(upto=snapshot.number)
    found = None if entry is None else read_entry(entry, codec)
    if not isinstance(found, Started):
        raise JournalError(f"the snapshot after entry {snapshot.number} belongs to no start")
    return found


def from_snapshot(snapshot: Snapshot, start: Started) -> SiteController:
    """Return the controller that a snapshot was taken of."""
    memory = MemoryCodec(start.site).decode(snapshot.body)
    return restored(memory, start.site, start.tariff, settings=start.settings)


def begun(start: Started, before: SiteController | None) -> SiteController:
    """Return the controller that a start makes of the one before: the same for the process itself and for a replay."""
    if start.how is Start.NEW or before is None:
        return SiteController(start.site, start.tariff, settings=start.settings)
    if start.how is Start.SITE_CHANGED:
        return moved(before, start.site, start.tariff, settings=start.settings)
    if site_of(before) == start.site:
        controller = restored(remember(before), start.site, start.tariff, settings=start.settings)
    else:
        controller = moved(before, start.site, start.tariff, settings=start.settings)
    woken(controller, knows_all=start.knows_all)
    return controller


@dataclass(frozen=True, slots=True, kw_only=True)
class Awake:
    """A controller that may go to work.

    Parameters
    ----------
    controller : SiteController
    started : Started
        To be told to the journal first.
    first : tuple of Observation
        To be observed first: what follows from having been dead.
    recalled : Recalled, optional
        What it remembers, and from when.
    """

    controller: SiteController
    started: Started
    first: tuple[Observation, ...]
    recalled: Recalled | None


def wake(
    source: Source,
    site: Site,
    tariff: Tariff | None,
    *,
    settings: ControlSettings | None = None,
    now: datetime,
) -> Awake:
    """Return a controller that goes on where the journal ends, or a new one where it is empty.

    Parameters
    ----------
    site, tariff, settings
        What holds from now on; the journal may be of an older site file.
    now : datetime
        With zone.

    Notes
    -----
    What cannot be read, because a version of loadmgr wrote it that is too different, must not keep a site without
    control: then nothing is known, every station counts with its installed maximum and is set up anew.
    """
    try:
        recalled = recall(source)
    except JournalError as error:
        log.error("the journal cannot be gone on from, control begins from nothing: %s", error)  # noqa: TRY400
        recalled = None
    started = Started(
        at=now,
        site=site,
        tariff=tariff,
        settings=settings or ControlSettings(),
        how=Start.NEW if recalled is None else Start.RESUMED,
        knows_all=source.knows_all,
    )
    controller = begun(started, None if recalled is None else recalled.controller)
    first = () if recalled is None else slept(controller, now)
    return Awake(controller=controller, started=started, first=first, recalled=recalled)

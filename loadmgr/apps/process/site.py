"""The controller process: a thin loop that carries observations in and commands out.

Rules kept here
---------------
1. Nothing is decided here. Observations of one instant are sorted by station before they are folded, because the order
   of arrival over several sockets is the kernel's and not ours.
2. Every command is answered by exactly one ``CommandAnswered``, whatever happens to the link.
3. Time comes from the clock that is handed in: real, or simulated and lock-stepped.
4. What is observed and decided is told to the journal in the order in which the controller is told. A command that is
   not urgent waits until the journal has it, so that a process that is killed never forgets what a station may hold.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from loadmgr.apps.process.acquaintance import Acquaintance
from loadmgr.apps.process.alarm_log import log_alarms
from loadmgr.apps.process.drivers import DriverBook
from loadmgr.apps.process.settings import control_settings
from loadmgr.apps.process.station_link import PRIORITY, StationLink, ask, slot_of
from loadmgr.apps.process.waking import Waking
from loadmgr.apps.upstream.csms_watch import CsmsWatch
from loadmgr.bridge import from_ocpp
from loadmgr.control.command import Command, ReadCapabilities, SetProfile, Urgency
from loadmgr.control.controller import SiteController
from loadmgr.control.decision import Decision
from loadmgr.control.memory import slept
from loadmgr.control.observation import (
    CommandAnswered,
    Observation,
    Outcome,
    SessionDeclared,
    StationConnected,
    StationDisconnected,
    TransactionStarted,
)
from loadmgr.model.ids import StationId
from loadmgr.model.profile import OcppVersion
from loadmgr.site_file import SiteFile
from loadmgr.store.entry import Start, Started
from loadmgr.store.journal import Journal
from loadmgr.store.recall import Recalled, Store, begun, wake
from ocpp_link.answers import TransactionIds, csms_answer
from ocpp_link.clock import Clock
from ocpp_link.errors import AnswerLater
from ocpp_link.events import Event, Mended
from ocpp_link.profile_book import ProfileBook
from ocpp_link.station import Station

log = logging.getLogger(__name__)

DRAIN_S = 5.0
"""How long answers are waited for at the end [s]."""

_RECENT = 512
"""How many solve times are kept for the quantiles of a running process."""


class SiteProcess:
    """One site under control: the link below, the controller in the middle, the clock given.

    Parameters
    ----------
    site_file : SiteFile
    clock : Clock
    on_decision : callable, optional
        Called with each decision, for a display.
    store : Store, optional
        Where the journal is kept. What it holds already is remembered: the process goes on where the last one stood.
    pseudonym : callable, optional
        Gives id tokens the names by which they are known from the door on, in the journal too.
    models : ProfileBook, optional
        What is known of stations from earlier, and what the operator says of them.
    watching : bool
        Nothing is sent, so that a draw above a limit is no disobedience.

    Raises
    ------
    JournalError
        If the store holds something that cannot be read.
    """

    def __init__(
        self,
        site_file: SiteFile,
        *,
        clock: Clock,
        on_decision: Callable[[Decision], None] | None = None,
        store: Store | None = None,
        pseudonym: Callable[[str], str] | None = None,
        models: ProfileBook | None = None,
        watching: bool = False,
    ) -> None:
        self.site_file = site_file
        self.site = site_file.site
        self.since = clock.now()
        self.recalled: Recalled | None = None
        self.draining = False
        self._store, self._pseudonym, self._watching = store, pseudonym, watching
        self._drivers = DriverBook(site_file, name_of=pseudonym)
        self.decided = False
        self._journal: Journal | None = None
        self._inbox: list[tuple[str, int, Observation]] = []
        self._arrivals: Counter[str] = Counter()
        self._waking = Waking(clock)
        self.controller = self._begun(site_file, clock.now(), store)
        self._drivers.go_on_with(self.controller.running())
        self.messages: Counter[str] = Counter()
        self.mends: Counter[str] = Counter()
        self.models = ProfileBook() if models is None else models
        self._known = Acquaintance(
            self.models,
            clock=clock,
            meter_interval_s=self.site.timing.meter_interval_s,
            observe=lambda fact, source: self.observe(fact, source=source),
        )
        self.csms: CsmsWatch | None = None
        self.profiles_sent = 0
        self.solve_s: list[float] = []
        self.recent_solve_s: deque[float] = deque(maxlen=_RECENT)
        self._clock = clock
        self.on_decision = [] if on_decision is None else [on_decision]
        self._transactions = TransactionIds(first_id=int(clock.now().timestamp()))
        self._links: dict[str, StationLink] = {}
        self._newest: dict[Hashable, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def _begun(self, site_file: SiteFile, now: datetime, store: Store | None) -> SiteController:
        """Return the controller: a new one, or one that remembers what the store holds."""
        settings = control_settings(site_file, watching=self._watching)
        if store is None:
            return SiteController(site_file.site, site_file.tariff, settings=settings)
        awake = wake(store, site_file.site, site_file.tariff, settings=settings, now=now)
        self.recalled = awake.recalled
        self._journal = Journal(store, next_number=store.last_number() + 1)
        self._journal.started(awake.started, awake.controller)
        for fact in awake.first:
            self.observe(fact)
        return awake.controller

    @property
    def watching(self) -> bool:
        """Whether it only watches: it decides and tells nobody."""
        return self._watching

    async def remembered(self) -> None:
        """Wait until the journal has what was decided so far."""
        if self._journal is not None:
            await self._journal.written()

    @property
    def connected(self) -> tuple[str, ...]:
        """Stations whose link is up."""
        return tuple(self._links)

    def link_of(self, station_id: str) -> StationLink | None:
        """Return the way to a station; ``None`` while it is not connected."""
        return self._links.get(station_id)

    @property
    def sessions(self) -> int:
        """How many sessions are known to run."""
        return self.controller.sessions

    def condition(self) -> dict[str, Any]:
        """Return how the process itself is, as JSON values: since when it runs, what it remembers, its journal."""
        store, recalled = self._store, self.recalled
        return {
            "since": self.since.isoformat(),
            "remembers_until": None if recalled is None else recalled.until.isoformat(),
            "draining": self.draining,
            "journal": None if store is None else {"trouble": store.trouble, "lost_entries": store.lost_entries},
        }

    def observe(self, observation: Observation, *, source: str = "") -> None:
        """Take in a fact; it is folded and acted on as soon as everything of this instant is in."""
        said: list[SessionDeclared] = []
        if isinstance(observation, TransactionStarted):
            said = self._drivers.said_of(observation)
            if observation.id_token and self._pseudonym is not None:
                observation = replace(observation, id_token=self._pseudonym(observation.id_token))
        for fact in (observation, *said):
            self._arrivals[source] += 1
            self._inbox.append((source, self._arrivals[source], fact))
        self._waking.now()

    async def on_connect(self, station: Station) -> None:
        """Take note of a station's link, or close one that the site file does not name."""
        if StationId(station.id) not in self.site.station_by_id:
            log.warning("station %s is not in the site file: connection closed", station.id)
            await station.close(code=1008, reason="unknown station")
            return
        self.attach(station)

    def attach(self, link: StationLink, *, stood: bool = False) -> None:
        """Take note of a way to a station of the site; ``stood`` where it was there all the while."""
        self._links[link.id] = link
        now, version = self._clock.now(), OcppVersion(link.version)
        self.observe(StationConnected(at=now, station=StationId(link.id), version=version, stood=stood), source=link.id)
        self._known.connected(link.id)

    async def on_call(self, station: Station, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Turn a station's call into observations, and answer it."""
        self.messages["out"] += 1
        now = self._clock.now()
        number = self._transactions.id_for(station.id, payload) if action == "StartTransaction" else None
        self.hear(station, action, payload, transaction=None if number is None else str(number))
        answer = csms_answer(station.version, action, payload, now=now, transaction_id=number or 0)
        delay_s = self._known.reply_delay_s(station.id) if action == "StartTransaction" else None
        if delay_s is not None:
            raise AnswerLater(answer, after_s=delay_s)  # some drop the link when a start is answered too fast
        return answer

    def hear(self, link: StationLink, action: str, payload: dict[str, Any], *, transaction: str | None = None) -> None:
        """Turn a station's call into observations, whoever answers it.

        Parameters
        ----------
        link : StationLink
            Where it came from; what an older connection says is past.
        transaction : str, optional
            The id that StartTransaction of 1.6 is answered with.
        """
        self.messages["in"] += 1
        station = StationId(link.id)
        if self._links.get(link.id) is not link:
            return
        version, now = OcppVersion(link.version), self._clock.now()
        said = self._known.meant(link.id, payload)
        facts = from_ocpp.observations(action, said, version=version, station=station, at=now, transaction=transaction)
        for fact in facts:
            self.observe(fact, source=link.id)
        if action == "BootNotification":
            self._known.booted(link.id, payload)

    async def on_disconnect(self, station: Station, reason: str) -> None:
        """Take note that a station's link is gone."""
        self.detach(station, reason)

    def detach(self, link: StationLink, reason: str) -> None:
        """Take note that a way to a station is gone."""
        if self._links.get(link.id) is link:
            del self._links[link.id]
            self.observe(
                StationDisconnected(at=self._clock.now(), station=StationId(link.id), reason=reason), source=link.id
            )

    def on_event(self, station: Station, event: Event) -> None:
        """Log what the link had to put up with."""
        self.messages[type(event).__name__] += 1
        if isinstance(event, Mended):
            self.mends.update(event.mends)
        log.debug("%s: %s", station.id, event)

    async def _send(self, command: Command) -> None:
        source = str(command.station)
        station = self._links.get(source)
        if station is None:
            self.observe(self._failed(command, Outcome.LOST, "not connected"), source=source)
            return
        slot = slot_of(command)
        if slot is not None:
            self._newest[slot] = command.id
        if await self._is_off(command, slot):
            return
        version = OcppVersion(station.version)
        self.messages["out"] += 1
        self.profiles_sent += isinstance(command, SetProfile)
        call = partial(
            station.call,
            timeout_s=self.site.timing.call_timeout_s,
            priority=PRIORITY[command.urgency],
            coalesce=slot,
        )
        answered = await ask(self._known, command, version=version, call=call, clock=self._clock)
        self.messages["in"] += answered.heard
        for fact in answered.facts:
            self.observe(fact, source=source)
            if answered.heard:
                self._known.answered(fact, command)
        if answered.good and isinstance(command, ReadCapabilities) and isinstance(station, Station):
            await self._known.set_up_meter(source, version=version, call=call)

    async def _is_off(self, command: Command, slot: Hashable | None) -> bool:
        """Wait until the journal has a command that is not urgent; return whether it is not to be sent any more."""
        if self._journal is not None and command.urgency is not Urgency.SAFETY:
            with self._clock.busy():  # simulated time waits for a real disk
                await self._journal.written()  # what may let more current flow is never sent before it is remembered
        overtaken = self._newest.get(slot, command.id) != command.id
        if overtaken or self.draining:
            why = "overtaken by a later one" if overtaken else "the controller stops"
            self.observe(self._failed(command, Outcome.LOST, why), source=str(command.station))
        return overtaken or self.draining

    def _failed(self, command: Command, outcome: Outcome, reason: str) -> Observation:
        return from_ocpp.failure(command, outcome, reason, at=self._clock.now())

    async def run(self) -> None:
        """Fold, decide and send until cancelled, or until `drain` has its end."""
        self._waking.now()
        calendar = asyncio.create_task(self._drivers.watch(lambda: self.controller, self._clock, self.observe))
        try:
            while not self.draining:
                await self._waking.wait()
                if self.draining:
                    break
                await self._clock.sleep_until(self._clock.now_s())  # everything of this instant first
                with self._clock.busy():
                    self._waking.done()
                    if not self.draining:
                        self._act(self._clock.now())
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=DRAIN_S)
            self._fold_inbox(self._clock.now())
            if self._journal is not None:
                self._journal.ended(self.controller, self._clock.now())
        finally:
            self._waking.forget()
            for task in (calendar, *self._tasks):
                task.cancel()

    def drain(self) -> None:
        """Send nothing new, remember the answers under way, and let `run` end; stations keep what they hold."""
        self.draining = True
        self._waking.now()

    def change_site(self, site_file: SiteFile) -> None:
        """Go on with a changed site file; whatever stayed keeps its sessions, energy, counters and trust."""
        self.site_file, self.site = site_file, site_file.site
        self._drivers.follow(site_file)
        self._begin_again(Start.SITE_CHANGED, knows_all=True)
        for name in [name for name in self._links if StationId(name) not in self.site.station_by_id]:
            self._start(self._links.pop(name).close(code=1008, reason="unknown station"))

    def clock_was_set(self) -> None:
        """Begin again as after a restart: what stations hold by the old time is not known any more."""
        self._begin_again(Start.RESUMED, knows_all=False)
        now = self._clock.now()
        for fact in slept(self.controller, now):
            self.observe(fact)
        for link in self._links.values():
            self.attach(link, stood=True)

    def _begin_again(self, how: Start, *, knows_all: bool) -> None:
        started = Started(
            at=self._clock.now(),
            site=self.site,
            tariff=self.site_file.tariff,
            settings=control_settings(self.site_file, watching=self._watching),
            how=how,
            knows_all=knows_all,
        )
        self._fold_inbox(self._clock.now())
        self.controller = begun(started, self.controller)
        if self._journal is not None:
            self._journal.started(started, self.controller)
        self._waking.now()

    def _fold_inbox(self, now: datetime) -> None:
        inbox, self._inbox = self._inbox, []
        for _, _, observation in sorted(inbox, key=lambda entry: entry[:2]):
            if self._journal is not None:
                self._journal.observed(observation)
            self.controller.observe(observation)
        answered = {source for source, _, fact in inbox if isinstance(fact, CommandAnswered)}
        for source in sorted(answered & self._links.keys()):
            self._known.learn(self.controller.learnt(StationId(source), at=now))  # what trying has shown

    def _act(self, now: datetime) -> None:
        self._fold_inbox(now)
        started = time.perf_counter()
        decision = self.controller.decide(now)
        if self._journal is not None:
            self._journal.decided(decision, self.controller)
        if decision.planned is not None:
            self.solve_s.append(time.perf_counter() - started)
            self.recent_solve_s.append(self.solve_s[-1])
        for command in sorted(decision.commands, key=lambda c: (c.urgency, c.id)):
            self._start(self._send(command))
        log_alarms(decision.alarms)
        self._waking.at(decision.next_due)
        self.decided = True
        for watcher in self.on_decision:
            try:
                watcher(decision)
            except Exception:  # whoever merely looks must not stop the control
                log.exception("a display of decisions failed; the control goes on")

    def _start(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

"""The controller's lives in a fault campaign: one process after another, behind a door where messages get lost.

Every fault that really did something is counted where it does: a fault that strikes nobody proves nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

from loadmgr.allocation import AllocationOptions, Allocator
from loadmgr.apps.process.settings import control_settings
from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.process.steady_clock import SteadyClock
from loadmgr.control.controller import SiteController
from loadmgr.control.decision import Decision, SessionView
from loadmgr.control.observation import Observation, SiteMeterReading
from loadmgr.control.safety.starts import after_blackout
from loadmgr.model.ids import StationId
from loadmgr.sim.bay import Bay
from loadmgr.sim.clock import PartyClock
from loadmgr.sim.direct import DirectHub
from loadmgr.sim.manners import Manners, Rudeness, Spell
from loadmgr.sim.station import SimStation
from loadmgr.site_file import SiteFile
from ocpp_link.events import Event
from ocpp_link.station import Station
from ocpp_link.transport import Server, serve
from tests.campaigns.faults import CLOCK_FACTOR, FaultPlan, SiteFault, WireFault
from tests.campaigns.journal import FailingJournal

LATE_S = 12.0
"""So late is a message that is late on its way [s]: just within the call time-out."""


class SetClock:
    """The controller's clock on a machine whose time of day is set, back or forward, now and then."""

    def __init__(self, party: PartyClock, faults: FaultPlan, struck: Counter[str]) -> None:
        self._party = party
        self._steps = faults.those(SiteFault.CLOCK_SET_BACK, SiteFault.CLOCK_SET_FORWARD)
        self._struck = struck
        self.begin(not_before=None)

    def begin(self, *, not_before: datetime | None) -> None:
        """Begin anew, with a new process."""
        self.steady = SteadyClock(not_before=not_before, wall=self._wall, monotonic=self._party.now_s)
        self.now = self.steady.now

    def _wall(self) -> datetime:
        now_s, off_s = self._party.now_s(), 0.0
        for step in self._steps:
            if step.holds(now_s):
                self._struck[step.what.value] += 1
                off_s += CLOCK_FACTOR * step.for_s * (1 if step.what is SiteFault.CLOCK_SET_FORWARD else -1)
        return self._party.now() + timedelta(seconds=off_s)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._party, name)


class Life:
    """The controller's lives, and the door that stations find it behind.

    Parameters
    ----------
    site_file : SiteFile
    party : PartyClock
    faults : FaultPlan

    Attributes
    ----------
    struck : Counter
        How often each fault did something: lost a message, changed a reading, failed a write.
    booked : list
        What was said of sessions that ended, in every life.
    forgot : bool
        A life began without all that the one before knew.
    anew, anew_unheard : set
        Transactions in which the register started anew; those of them whose station was not heard then.
    """

    def __init__(self, site_file: SiteFile, party: PartyClock, faults: FaultPlan) -> None:
        self.struck: Counter[str] = Counter()
        self._site_file = site_file
        self._party = party
        self.clock = SetClock(party, faults, self.struck)
        self._faults = faults
        self._task: asyncio.Task[None] | None = None
        self._last_reading: dict[str, SiteMeterReading] = {}
        self.process: SiteProcess | None = None
        self.hub = DirectHub(cast(Any, self))
        self.server: Server | None = None
        self.port = 0
        self.journal = FailingJournal(self._journal_fails) if faults.remembers else None
        self.booked: list[SessionView] = []
        self.anew: set[str] = set()
        self.anew_unheard: set[str] = set()
        self.forgot = False
        self.decisions = 0
        self.lives = 0
        self.failure: BaseException | None = None

    def begin(self) -> None:
        """Start a new process, which remembers what its journal holds."""
        self.lives += 1
        self.forgot = self.forgot or (self.lives > 1 and (self.journal is None or not self.journal.knows_all))
        self.clock.begin(not_before=None if self.journal is None else self.journal.ends_at())
        process = self.process = SiteProcess(
            self._site_file, clock=cast(Any, self.clock), on_decision=self._took, store=cast(Any, self.journal)
        )
        if self._faults.solver_fails:
            _take_solver(self.process.controller, self._site_file)
        self.clock.steady.on_jump = lambda _: asyncio.get_running_loop().call_soon(process.clock_was_set)
        self.hub.open = True
        self._task = asyncio.create_task(self.process.run())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.failure = task.exception()

    async def open(self) -> None:
        """Listen for stations, where they dial in over sockets."""
        self.hub.open = True
        if self._faults.wired and self.server is None:
            self.server = await serve("127.0.0.1", self.port, handler=cast(Any, self), clock=self._party)
            self.port = self.server.port

    async def shut(self) -> None:
        """Listen no more; every link is gone."""
        self.hub.open = False
        if self.server is not None:
            server, self.server = self.server, None
            await server.close()

    async def kill(self) -> None:
        """End the process as ``kill -9`` does: nothing is said to anybody."""
        task, self._task, self.process = self._task, None, None
        if self.journal is not None:
            self.journal.killed()
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _took(self, decision: Decision) -> None:
        self.decisions += 1
        self.booked += decision.ended
        if self._faults.solver_fails and decision.planned is not None:
            self.struck["solver times out"] += 1
        if self.process is not None and _staggers(self.process.controller, decision.at):
            self.struck["restart staggered"] += 1

    # What the hub and the world call.

    async def on_connect(self, station: Station) -> None:
        if self.process is not None:
            await self.process.on_connect(station)

    async def on_call(self, station: Station, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        process = self.process
        if process is None or self.hit(WireFault.REPORTS_LOST, station.id):
            await asyncio.Event().wait()
        if self.hit(WireFault.REPORTS_LATE, station.id):
            await self._party.sleep_until(self._party.now_s() + LATE_S)
        if action != "StartTransaction" and self.hit(WireFault.REPORTS_TWICE, station.id):
            await _answer(process, station, action, payload)
        return await _answer(process, station, action, payload)

    async def on_disconnect(self, station: Station, reason: str) -> None:
        if self.process is not None:
            await self.process.on_disconnect(station, reason)

    def on_event(self, station: Station, event: Event) -> None:
        if self.process is not None:
            self.process.on_event(station, event)

    def observe(self, observation: Observation) -> None:
        if self.process is None:
            return
        if isinstance(observation, SiteMeterReading):
            seen = self._through_meter(observation)
            if seen is None:
                return
            observation = seen
        self.process.observe(replace(observation, at=self.clock.now()))  # it arrives by the controller's own clock

    def hit(self, what: WireFault, station: str) -> bool:
        """Return whether a fault of the wire strikes a message of a station now."""
        now_s = self._party.now_s()
        struck = any(f.what is what and f.station == station and f.holds(now_s) for f in self._faults.faults)
        self.struck[what.value] += struck
        return struck

    def registers_anew(self, stations: Mapping[StationId, SimStation]) -> None:
        """Let the registers of all stations start anew."""
        now_s = self._party.now_s()
        for name, station in stations.items():
            silent = any(f.holds(now_s) and f.station == name for f in self._faults.faults)
            heard = self.process is not None and station.online and not silent
            for number, bay in station.bays.items():
                transaction = station.wire.transactions.get(number)
                if bay.energised or transaction is not None:
                    bay.outlet.reset_register()
                    self.struck[SiteFault.REGISTERS_ANEW.value] += 1
                    (self.anew if heard and transaction else self.anew_unheard).add(transaction or "")

    def _journal_fails(self) -> bool:
        now_s = self._party.now_s()
        broken = [f for f in self._faults.those(SiteFault.DATABASE_LOCKED, SiteFault.DISK_FULL) if f.holds(now_s)]
        self.struck.update(f.what.value for f in broken)
        return bool(broken)

    def _through_meter(self, seen: SiteMeterReading) -> SiteMeterReading | None:
        now_s = self._party.now_s()
        of_meters = self._faults.those(SiteFault.METER_SILENT, SiteFault.METER_FROZEN, SiteFault.METER_JUMPS)
        going = {f.what for f in of_meters if f.holds(now_s)}
        self.struck.update(what.value for what in going)
        if SiteFault.METER_SILENT in going:
            return None
        if SiteFault.METER_FROZEN in going:
            return replace(seen, currents_a=self._last_reading.get(seen.meter, seen).currents_a)
        self._last_reading[seen.meter] = seen
        if SiteFault.METER_JUMPS in going:
            a, b, c = seen.currents_a
            factor = (0.0, 3.0, -1.0)[int(now_s) % 3]
            return replace(seen, currents_a=(a * factor, b * factor, c * factor))
        return seen


def _staggers(controller: SiteController, now: datetime) -> bool:
    """Return whether vehicles wait for one another after a blackout."""
    state = controller._state
    if not after_blackout(state, now):
        return False
    records = [r for r in state.evses.values() if r.charging is not None and r.start_at is not None]
    return len({r.start_at for r in records if r.start_at > now}) > 1


def _take_solver(controller: SiteController, site_file: SiteFile) -> None:
    """Let the solver of a controller never get anywhere: the water-filling answers alone."""
    options = AllocationOptions(milp_evses=0, iteration_limit=0)
    controller._settings = replace(control_settings(site_file), allocation=options)
    controller._allocator = Allocator(options)


async def _answer(process: Any, station: Station, action: str, payload: dict[str, Any]) -> dict[str, Any]:
    answer = process.on_call(station, action, payload)
    return cast(dict[str, Any], await answer if asyncio.iscoroutine(answer) else answer)


class FaultyBody:
    """The body of a station behind a wire that loses or delays what it is told, or loses what it answers."""

    def __init__(self, body: Any, station: StationId, life: Life) -> None:
        self._body = body
        self._station = station
        self._life = life

    async def on_call(self, action: str, payload: dict[str, Any], now: datetime) -> dict[str, Any]:
        party = self._life._party
        if self._life.hit(WireFault.COMMANDS_LOST, self._station):
            await asyncio.Event().wait()
        if self._life.hit(WireFault.COMMANDS_LATE, self._station):
            await party.sleep_until(party.now_s() + LATE_S)
        answer = await self._body.on_call(action, payload, now)
        if self._life.hit(WireFault.ANSWERS_LOST, self._station):
            await asyncio.Event().wait()
        return cast(dict[str, Any], answer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)


class CountedManners(Manners):
    """Manners that say when they did something."""

    def __init__(self, spells: list[Spell], struck: Counter[str]) -> None:
        self._struck = struck
        self._current: Spell | None = None
        super().__init__(spells)

    @property
    def current(self) -> Spell | None:
        return self._current

    @current.setter
    def current(self, spell: Spell | None) -> None:
        self._current = spell
        if spell is not None and spell.behaviour in _AT_ONCE:
            self._struck[spell.behaviour.value] += 1

    def limit_a(self, bay: Bay) -> float:
        offered_a = super().limit_a(bay)
        self._count(Rudeness.IGNORES_LIMITS, bay.energised and offered_a > bay.entitled_a)
        return offered_a

    @property
    def answer_delay_s(self) -> float:
        self._count(Rudeness.ANSWERS_LATE, super().answer_delay_s > 0.0)
        return super().answer_delay_s

    @property
    def meter_ratio(self) -> float:
        self._count(Rudeness.LIES, super().meter_ratio != 1.0)
        return super().meter_ratio

    def _count(self, what: Rudeness, did: bool) -> None:
        self._struck[what.value] += did


_AT_ONCE = (Rudeness.DROPS_LINK, Rudeness.REBOOTS, Rudeness.REBOOTS_AND_FORGETS)

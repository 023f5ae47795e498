"""One run of a fault campaign: a simulated site, the controller's own shell, and everything that goes wrong.

A failing run is repeated with ``python -m tests.campaigns.harness SITE SEED``, which prints faults and excursions.
"""

import asyncio
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np

from loadmgr.allocation import AllocationOptions, Allocator
from loadmgr.apps.settings import control_settings
from loadmgr.apps.site import SiteProcess
from loadmgr.apps.steady_clock import SteadyClock
from loadmgr.control.controller import SiteController
from loadmgr.control.observation import Observation, SiteMeterReading
from loadmgr.model.ids import SessionId, StationId
from loadmgr.model.series import StepFunction
from loadmgr.model.session import SessionRecord
from loadmgr.model.topology import Site
from loadmgr.sim.clock import PartyClock, VirtualClock
from loadmgr.sim.direct import DirectHub, dial_url
from loadmgr.sim.ledger import Excursion, LimitFigures
from loadmgr.sim.station import SimStation
from loadmgr.sim.world import World, plan_world
from loadmgr.sim.world_plan import Background, WorldPlan
from loadmgr.site_file import SiteFile, load_site
from ocpp_link.events import Event
from ocpp_link.station import Station
from ocpp_link.transport import Server, serve
from tests.campaigns.faults import SET_BACK_FACTOR, FaultPlan, SiteFault, WireFault, draw_faults
from tests.campaigns.journal import FailingJournal

HOURS = 2
"""Length of a run [h]."""

SITES = {"yard": Path(__file__).parent / "yard.yaml"}
"""Sites of the campaign beside the samples."""

DEAD_AT_MOST_S = 600.0
"""A killed controller is back by then [s]: somebody restarts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRun:
    """What came of a run.

    Parameters
    ----------
    delivered_wh : dict
        What each stay really took [Wh], by transaction or session.
    """

    site: str
    seed: int
    plan: FaultPlan
    limits: LimitFigures
    excursions: tuple[Excursion, ...]
    energy_wh: float
    decisions: int
    restarts: int

    def repeat(self) -> str:
        """Return the command that repeats the run."""
        return f"python -m tests.campaigns.harness {self.site} {self.seed}"


def draw_run(site_name: str, seed: int) -> tuple[SiteFile, WorldPlan, FaultPlan]:
    """Return the world of a seed: a crowd of vehicles, a building that may draw its worst case, and what goes wrong."""
    site_file = load_site(SITES.get(site_name, site_name))
    site = site_file.site
    rng = np.random.default_rng([seed, 11])
    start = datetime(2026, 3, 28, 12, tzinfo=UTC) + timedelta(hours=int(rng.integers(0, 24 * 7)))
    seconds = HOURS * 3600.0
    faults = draw_faults(site, seconds=seconds, seed=seed)
    plan = plan_world(
        site_file, _crowd(site, start, rng), start=start, until=start + timedelta(seconds=seconds), seed=seed
    )
    if rng.random() < 0.6:
        plan = replace(plan, background=_worst_case(site, start))
    return site_file, replace(plan, spells=faults.spells()), faults


def _crowd(site: Site, start: datetime, rng: np.random.Generator) -> list[SessionRecord]:
    """Return a vehicle or two for most EVSEs, in no order and in need of more than there is."""
    out = []
    for evse in site.evses:
        arrival_s = float(rng.uniform(60.0, 3000.0))
        while arrival_s < HOURS * 3600.0 - 600.0 and rng.random() < 0.85:
            stay_s = float(rng.uniform(600.0, HOURS * 3600.0))
            arrival = start + timedelta(seconds=arrival_s)
            departure = arrival + timedelta(seconds=stay_s)
            out.append(
                SessionRecord(
                    session_id=SessionId(f"{evse.id}-{len(out)}"),
                    evse=evse.id,
                    arrival=arrival,
                    departure=departure,
                    estimated_departure=departure if rng.random() < 0.7 else None,
                    energy_requested_wh=float(rng.uniform(1000.0, 40_000.0)),
                    phases=int(rng.choice([1, 2, 3])),
                )
            )
            arrival_s += stay_s + float(rng.uniform(30.0, 1200.0))
    return out


def _worst_case(site: Site, start: datetime) -> tuple[Background, ...]:
    """Return every building load at what its circuit's file says is its most, all the time."""
    out = []
    for circuit in site.circuits:
        for load in circuit.side_loads:
            first, second, third = (StepFunction(times=(start,), values=(a,)) for a in load.worst_case_a)
            out.append(Background(id=load.id, circuit=circuit.id, current_a=(first, second, third)))
    return tuple(out)


class _SetBack:
    """The controller's clock on a machine whose time of day is set back now and then."""

    def __init__(self, party: PartyClock, faults: FaultPlan) -> None:
        self._party = party
        self._steps = [f for f in faults.of(SiteFault) if f.what is SiteFault.CLOCK_SET_BACK]
        self.now = SteadyClock(wall=self._wall, monotonic=party.now_s).now

    def _wall(self) -> datetime:
        now_s = self._party.now_s()
        back_s = sum(SET_BACK_FACTOR * f.for_s for f in self._steps if f.holds(now_s))
        return self._party.now() - timedelta(seconds=back_s)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._party, name)


class _Life:
    """The controller's lives: one process after another, and the door that stations find it behind."""

    def __init__(self, site_file: SiteFile, party: PartyClock, faults: FaultPlan) -> None:
        self._site_file = site_file
        self._party = party
        self._clock = cast(Any, _SetBack(party, faults))
        self._faults = faults
        self._task: asyncio.Task[None] | None = None
        self._last_reading: dict[str, SiteMeterReading] = {}
        self.process: SiteProcess | None = None
        self.hub = DirectHub(cast(Any, self))
        self.server: Server | None = None
        self.port = 0
        self.journal = FailingJournal(self._journal_fails) if faults.remembers else None
        self.decisions = 0
        self.lives = 0

    def begin(self) -> None:
        """Start a new process, which remembers what its journal holds."""
        self.lives += 1
        self.process = SiteProcess(
            self._site_file, clock=self._clock, on_decision=lambda decision: self._count(), store=self.journal
        )
        if self._faults.solver_fails:
            _take_solver(self.process.controller, self._site_file)
        self.hub.open = True
        self._task = asyncio.create_task(self.process.run())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.failure = task.exception()

    async def open(self) -> None:
        """Listen for stations, where they dial in over sockets."""
        if self._faults.wired and self.server is None:
            self.server = await serve("127.0.0.1", self.port, handler=cast(Any, self), clock=self._party)
            self.port = self.server.port

    async def shut(self) -> None:
        """Listen no more; every link is gone."""
        if self.server is not None:
            server, self.server = self.server, None
            await server.close()

    failure: BaseException | None = None

    async def kill(self) -> None:
        """End the process as ``kill -9`` does: nothing is said to anybody."""
        task, self._task, self.process = self._task, None, None
        if self.journal is not None:
            self.journal.killed()
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _count(self) -> None:
        self.decisions += 1

    # What the hub and the world call.

    async def on_connect(self, station: Station) -> None:
        if self.process is not None:
            await self.process.on_connect(station)

    async def on_call(self, station: Station, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        process = self.process
        if process is None or self._hit(WireFault.REPORTS_LOST, station.id):
            await asyncio.Event().wait()
        if self._hit(WireFault.REPORTS_LATE, station.id):
            await self._party.sleep_until(self._party.now_s() + 12.0)
        if self._hit(WireFault.REPORTS_TWICE, station.id) and action != "StartTransaction":
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
        self.process.observe(observation)

    def _hit(self, what: WireFault, station: str) -> bool:
        now_s = self._party.now_s()
        return any(f.what is what and f.station == station and f.holds(now_s) for f in self._faults.faults)

    def _journal_fails(self) -> bool:
        now_s = self._party.now_s()
        broken = (SiteFault.DATABASE_LOCKED, SiteFault.DISK_FULL)
        return any(f.what in broken and f.holds(now_s) for f in self._faults.faults)

    def _through_meter(self, seen: SiteMeterReading) -> SiteMeterReading | None:
        now_s = self._party.now_s()
        going = {f.what for f in self._faults.of(SiteFault) if f.holds(now_s)}
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


def _take_solver(controller: SiteController, site_file: SiteFile) -> None:
    """Let the solver of a controller never get anywhere: the water-filling answers alone."""
    options = AllocationOptions(milp_evses=0, iteration_limit=0)
    controller._settings = replace(control_settings(site_file), allocation=options)
    controller._allocator = Allocator(options)


async def _answer(process: Any, station: Station, action: str, payload: dict[str, Any]) -> dict[str, Any]:
    answer = process.on_call(station, action, payload)
    return cast(dict[str, Any], await answer if asyncio.iscoroutine(answer) else answer)


class _FaultyBody:
    """The body of a station behind a wire that loses what it is told, or what it answers."""

    def __init__(self, body: Any, station: StationId, life: _Life) -> None:
        self._body = body
        self._station = station
        self._life = life

    async def on_call(self, action: str, payload: dict[str, Any], now: datetime) -> dict[str, Any]:
        if self._life._hit(WireFault.COMMANDS_LOST, self._station):
            await asyncio.Event().wait()
        answer = await self._body.on_call(action, payload, now)
        if self._life._hit(WireFault.ANSWERS_LOST, self._station):
            await asyncio.Event().wait()
        return cast(dict[str, Any], answer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)


async def _drop_links(stations: list[SimStation]) -> None:
    for station in stations:
        link: Any = station.wire.link
        if link is not None and link.connected:
            await link.drop()


async def _live(site_file: SiteFile, plan: WorldPlan, faults: FaultPlan) -> tuple[World, _Life]:
    clock = VirtualClock(plan.start)
    life = _Life(site_file, clock.party("controller", priority=9), faults)
    await life.open()
    world = World(
        plan,
        clock=clock,
        url=f"ws://127.0.0.1:{life.port}/ocpp",
        observe=life.observe,
        dial=dial_url if faults.wired else life.hub.dial,
    )
    for station_id, station in world.stations.items():
        station.clock.offset_s = faults.offsets_s[station_id]
        station.clock.drift_ratio = faults.drifts[station_id]
        station.wire.body = _FaultyBody(station.wire.body, station_id, life)
    life.begin()
    troubles = [
        asyncio.create_task(_trouble(f.what, f.at_s, f.for_s, world=world, life=life, number=i))
        for i, f in enumerate(faults.of(SiteFault))
    ]
    try:
        await world.run()
    finally:
        for task in troubles:
            task.cancel()
        await asyncio.gather(*troubles, return_exceptions=True)
        await life.kill()
        await life.shut()
    if life.failure is not None:
        raise life.failure
    return world, life


async def _trouble(what: Any, at_s: float, for_s: float, *, world: World, life: _Life, number: int) -> None:
    """Let a fault of the whole site happen."""
    if what not in (SiteFault.CONTROLLER_KILLED, SiteFault.NETWORK_DOWN):
        return
    party = world.clock.party(f"trouble:{number}")
    await party.sleep_until(at_s)
    life.hub.open = False
    await life.shut()  # over sockets the links go first: whoever dies in between would leave frames in flight
    if what is SiteFault.CONTROLLER_KILLED:
        await life.kill()
    await _drop_links(list(world.stations.values()))
    await party.sleep_until(at_s + min(for_s, DEAD_AT_MOST_S))
    if life.process is None:
        life.begin()
    life.hub.open = True
    await life.open()


def campaign_run(site_name: str, seed: int) -> CampaignRun:
    """Run one seed and return what came of it."""
    site_file, plan, faults = draw_run(site_name, seed)
    world, life = asyncio.run(_live(site_file, plan, faults))
    outcome = world.outcome()
    return CampaignRun(
        site=site_name,
        seed=seed,
        plan=faults,
        limits=outcome.limits,
        excursions=outcome.excursions,
        energy_wh=sum(outcome.charged_wh),
        decisions=life.decisions,
        restarts=life.lives - 1,
    )


def main() -> None:
    """Repeat one run and say what happened."""
    site_name, seed = sys.argv[1], int(sys.argv[2])
    run = campaign_run(site_name, seed)
    print(*run.plan.faults, sep="\n")
    drawn = run.plan
    print(f"solver fails: {drawn.solver_fails}, remembers: {drawn.remembers}, over sockets: {drawn.wired}")
    print(f"{run.decisions} decisions, {run.restarts} restarts")
    print(run.limits, f"{run.energy_wh / 1000.0:.1f} kWh")
    for excursion in run.excursions:
        print(excursion.row())


if __name__ == "__main__":
    main()

"""One run of a fault campaign: a simulated site, the controller's own shell, and everything that goes wrong.

A failing run is repeated with ``python -m tests.campaigns.harness SITE SEED``, which prints faults and excursions.
"""

import asyncio
import logging
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np

from loadmgr.model.ids import EvseId, SessionId
from loadmgr.model.series import StepFunction
from loadmgr.model.session import SessionRecord
from loadmgr.model.topology import Site
from loadmgr.sim.clock import VirtualClock
from loadmgr.sim.direct import dial_url
from loadmgr.sim.ledger import Excursion, LimitFigures
from loadmgr.sim.station import SimStation
from loadmgr.sim.world import World, plan_world
from loadmgr.sim.world_plan import Background, WorldPlan
from loadmgr.site_file import SiteFile, load_site
from tests.campaigns.energy import Booked, booked
from tests.campaigns.faults import FaultPlan, SiteFault, draw_faults, unheard_until_s
from tests.campaigns.life import CountedManners, FaultyBody, Life

HOURS = 2
"""Length of a run [h]."""

SITES = {name: Path(__file__).parent / f"{name}.yaml" for name in ("yard", "turns", "court")}
"""Sites of the campaign beside the samples."""

HEARTBEAT_S = 300.0

DEAD_AT_MOST_S = 600.0
"""A killed controller is back by then [s]: somebody restarts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRun:
    """What came of a run.

    Parameters
    ----------
    struck : dict
        How often each fault did something.
    booked : tuple of Booked
        Energy of the sessions that the controller could know to their end.
    """

    site: str
    seed: int
    plan: FaultPlan
    limits: LimitFigures
    excursions: tuple[Excursion, ...]
    energy_wh: float
    decisions: int
    restarts: int
    struck: dict[str, int]
    booked: tuple[Booked, ...]

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
    crowd = _as_reserved(site, _crowd(site, start, rng), faults, start=start)
    plan = plan_world(site_file, crowd, start=start, until=start + timedelta(seconds=seconds), seed=seed)
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


def _as_reserved(site: Site, crowd: list[SessionRecord], faults: FaultPlan, *, start: datetime) -> list[SessionRecord]:
    """Leave out who would make more vehicles plug in unheard at a time than the site keeps current for."""
    starts, reaction_s = site.failsafe.reserve_starts, site.timing.reaction_time_s
    if starts is None:
        return crowd
    kept: list[tuple[SessionRecord, float]] = []
    for record in sorted(crowd, key=lambda r: r.arrival):
        at_s = (record.arrival - start).total_seconds()
        if sum(until_s > at_s for _, until_s in kept) < starts:
            station = site.evse_by_id[cast(EvseId, record.evse)].station
            kept.append((record, unheard_until_s(faults, station, at_s, reaction_s=reaction_s)))
    return [record for record, _ in kept]


def _worst_case(site: Site, start: datetime) -> tuple[Background, ...]:
    """Return every building load at what its circuit's file says is its most, all the time."""
    out = []
    for circuit in site.circuits:
        for load in circuit.side_loads:
            first, second, third = (StepFunction(times=(start,), values=(a,)) for a in load.worst_case_a)
            out.append(Background(id=load.id, circuit=circuit.id, current_a=(first, second, third)))
    return tuple(out)


async def _drop_links(stations: list[SimStation]) -> None:
    for station in stations:
        link: Any = station.wire.link
        if link is not None and link.connected:
            await link.drop()


async def live(site_file: SiteFile, plan: WorldPlan, faults: FaultPlan) -> tuple[World, Life]:
    """Let a world and its controller live through their faults."""
    clock = VirtualClock(plan.start)
    life = Life(site_file, clock.party("controller", priority=9), faults)
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
        station.wire.body = FaultyBody(station.wire.body, station_id, life)
        station.manners = CountedManners([spell for name, spell in plan.spells if name == station_id], life.struck)
    life.begin()
    life.struck["stations' clocks off"] += (
        max(map(abs, faults.offsets_s.values())) > 0.5 * site_file.site.timing.clock_skew_s
    )
    life.struck["runs over sockets"] += faults.wired
    troubles = [asyncio.create_task(_follow(world, life, faults))]
    troubles += [
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


async def _follow(world: World, life: Life, faults: FaultPlan) -> None:
    """Let stations set their clocks by the controller's, one after the other, with every heartbeat."""
    party, each_s = world.clock.party("heartbeats"), HEARTBEAT_S / len(world.stations)
    while faults.follows:
        for station_id, station in world.stations.items():
            await party.sleep_until(party.now_s() + each_s)
            if life.process is not None and station.wire.connected:
                told_s = (life.clock.now() - world.clock.now()).total_seconds()
                station.clock.offset_s = faults.offsets_s[station_id] + told_s


async def _trouble(what: Any, at_s: float, for_s: float, *, world: World, life: Life, number: int) -> None:
    """Let a fault of the whole site happen."""
    party = world.clock.party(f"trouble:{number}")
    await party.sleep_until(at_s)
    if what is SiteFault.BLACKOUT:
        await party.sleep_until(at_s + 1.0)
        life.struck[what.value] += sum(not station.wire.connected for station in world.stations.values()) > 2
    if what is SiteFault.REGISTERS_ANEW:
        life.registers_anew(world.stations)
    if what not in (SiteFault.CONTROLLER_KILLED, SiteFault.NETWORK_DOWN):
        return
    life.struck[what.value] += 1
    await life.shut()  # over sockets the links go first: whoever dies in between would leave frames in flight
    if what is SiteFault.CONTROLLER_KILLED:
        life.struck["controller killed with a memory"] += life.journal is not None
        await life.kill()
    await _drop_links(list(world.stations.values()))
    await party.sleep_until(at_s + min(for_s, DEAD_AT_MOST_S))
    if life.process is None:
        life.begin()
    await life.open()


def campaign_run(site_name: str, seed: int) -> CampaignRun:
    """Run one seed and return what came of it."""
    site_file, plan, faults = draw_run(site_name, seed)
    world, life = asyncio.run(live(site_file, plan, faults))
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
        struck=dict(life.struck),
        booked=tuple(booked(world, life)),
    )


def main() -> None:
    """Repeat one run and say what happened."""
    logging.basicConfig(level=logging.WARNING)
    site_name, seed = sys.argv[1], int(sys.argv[2])
    run = campaign_run(site_name, seed)
    print(*run.plan.faults, sep="\n")
    drawn = run.plan
    print(f"solver fails: {drawn.solver_fails}, remembers: {drawn.remembers}, over sockets: {drawn.wired}")
    print(f"{run.decisions} decisions, {run.restarts} restarts")
    print(*(f"{count:6} x {what}" for what, count in sorted(run.struck.items()) if count), sep="\n")
    print(run.limits, f"{run.energy_wh / 1000.0:.1f} kWh")
    for excursion in run.excursions:
        print(excursion.row())
    for session in run.booked:
        print("" if session.right else "WRONG", session)


if __name__ == "__main__":
    main()

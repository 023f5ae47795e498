"""Limits that an external system puts on a station reach the controller, over real WebSockets."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from loadmgr.control.controller import SiteController
from loadmgr.control.settings import ControlSettings
from loadmgr.model.topology import Circuit, Evse, Site, Station, Trust
from loadmgr.sim.arrivals import plan_arrivals
from loadmgr.sim.clock import VirtualClock
from loadmgr.sim.control_loop import ControlLoop
from loadmgr.sim.manners import Rudeness, Spell
from loadmgr.sim.world import World, WorldPlan
from ocpp_link.transport import serve
from tests.loadmgr.sim.sim_csms import START, session


def site(version: str, *, evses: int = 1) -> Site:
    """One station alone behind a fuse that never minds."""
    return Site(
        name="alone",
        time_zone="UTC",
        circuits=(Circuit(id="grid", limit_a=(80.0,) * 3, rated_a=(80.0,) * 3),),
        evses=tuple(Evse(id=f"E{n}", station="S", number=n, circuit="grid", max_a=32.0) for n in range(1, evses + 1)),
        stations=(Station(id="S", version=version, keeps_profiles=Trust.YES, zero_ok=Trust.YES),),
    )


class Lived:
    """A controlled world with a script beside it."""

    def __init__(self, where: Site, *, spells: tuple[tuple[str, Spell], ...], minutes: float) -> None:
        until = START + timedelta(minutes=minutes)
        visits = [session(f"s{e.number}", e.id, at_min=2, stay_min=minutes, max_a=32.0) for e in where.evses]
        visits = [dataclasses.replace(v, energy_requested_wh=60_000.0) for v in visits]
        arrivals = plan_arrivals(where, visits, start=START, until=until, seed=1)
        self.plan = WorldPlan(site=where, arrivals=arrivals, start=START, until=until, spells=spells)
        self.clock = VirtualClock(START)
        self.script_clock = self.clock.party("script", priority=8)
        self.controller = SiteController(where, None, settings=ControlSettings())
        self.seen: list[float] = []
        self.world: World

    async def at(self, minute: float) -> None:
        await self.script_clock.sleep_until(60.0 * minute)

    def look(self) -> None:
        """Note what the EVSEs are offered, and what the controller means them to have, together [A]."""
        offered = sum(bay.entitled_a for bay in self.world.stations["S"].bays.values())
        meant = sum(e.setpoint_a or 0.0 for e in self.controller.view().evses)
        self.seen += [round(offered, 1), round(meant, 1)]

    async def live(self, script: Callable[["Lived"], Awaitable[None]]) -> None:
        party = self.clock.party("controller", priority=9)
        loop = ControlLoop(self.controller, party=party, call_timeout_s=10.0)
        server = await serve("127.0.0.1", 0, handler=loop, clock=party, versions=("1.6", "2.0.1", "2.1"))
        url = f"ws://127.0.0.1:{server.port}/ocpp"
        self.world = World(self.plan, clock=self.clock, url=url, observe=loop.observe)
        deciding, beside = asyncio.create_task(loop.run()), asyncio.create_task(script(self))
        try:
            await self.world.run()
            await beside
        finally:
            deciding.cancel()
            await server.close()


def lived(
    where: Site,
    script: Callable[[Lived], Awaitable[None]],
    *,
    spells: tuple[tuple[str, Spell], ...] = (),
    minutes: float = 25.0,
) -> list[float]:
    run = Lived(where, spells=spells, minutes=minutes)
    asyncio.run(run.live(script))
    return run.seen


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_a_notified_limit_is_planned_with_until_it_is_cleared(version):
    async def script(run: Lived) -> None:
        station = run.world.stations["S"].profiles
        await run.at(8)
        run.look()
        await station.limit_externally(1, 9.0)
        await run.at(12)
        run.look()
        await station.release_external(1)
        await run.at(18)
        run.look()

    assert [32.0, 32.0, 9.0, 9.0, 32.0, 32.0] == lived(site(version), script)


def test_a_limit_that_changed_while_the_link_was_down_is_asked_for():
    """Both ways: one that came, and one that went; nobody told either."""

    async def script(run: Lived) -> None:
        station = run.world.stations["S"]
        await run.at(8)
        await station.profiles.limit_externally(1, 9.0, source="SO")
        await run.at(11)
        assert not station.wire.connected
        station.profiles.forget_to_tell = True
        await station.profiles.release_external(1, source="SO")
        await station.profiles.limit_externally(1, 12.0, source="EMS")
        await run.at(20)
        run.look()

    spell = Spell(behaviour=Rudeness.DROPS_LINK, at_s=600.0, for_s=120.0)
    assert [12.0, 12.0] == lived(site("2.0.1"), script, spells=(("S", spell),))


def test_a_limit_on_the_station_as_a_whole_is_shared_by_its_evses():
    """K12.FR.01: it caps the sum."""

    async def script(run: Lived) -> None:
        await run.at(8)
        await run.world.stations["S"].profiles.limit_externally(0, 24.0)
        await run.at(14)
        run.look()

    offered, meant = lived(site("2.0.1", evses=2), script)

    assert (24.0, 24.0) == (offered, meant)


def test_an_external_limit_on_a_1_6_station_is_obeyed_though_nobody_can_tell_of_it():
    """The draw shows it: what the vehicle does not take is not given to it."""

    async def script(run: Lived) -> None:
        await run.at(8)
        await run.world.stations["S"].profiles.limit_externally(1, 9.0)
        await run.at(20)
        run.look()

    offered, meant = lived(site("1.6"), script)

    assert 9.0 == offered
    assert meant < 32.0

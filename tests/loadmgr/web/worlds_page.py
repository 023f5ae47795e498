"""Pages of sites where current flows both ways, served while a simulated world goes on by ten seconds each second."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import uvicorn

from loadmgr.apps.service.app import create_app
from loadmgr.apps.service.hosted import HostedSite
from loadmgr.apps.service.service import build_service
from loadmgr.control.observation import LimitChanged, PriceUpdated, SessionDeclared
from loadmgr.control.settings import ControlSettings
from loadmgr.model.equipment import Battery, BatteryLink
from loadmgr.model.ids import CircuitId, EvseId
from loadmgr.model.profile import OcppVersion
from loadmgr.model.session import DischargeTerms, EnergyNeed
from ocpp_link.profile_book import ProfileBook
from tests.control_world import Vehicle, World, small_site
from tests.loadmgr.control.test_discharge import dear_first


def a_world() -> World:
    """Return a site at a dear hour: E1 feeds back, a battery discharges, E2 charges because it has to."""
    site = small_site(evses=2, limit_a=26.0, fallback_a=0.0, building_worst_a=5.0)
    store = Battery(
        id="cellar store",
        circuit=CircuitId("main"),
        capacity_wh=20_000.0,
        max_charge_w=3_000.0,
        max_discharge_w=3_000.0,
        stored_wh=14_000.0,
        reserve_wh=2_000.0,
        link=BatteryLink(every_s=10.0, watchdog_s=60.0),
    )
    evses = (replace(site.evses[0], discharge_a=16.0), *site.evses[1:])
    world = World(
        replace(site, evses=evses, batteries=(store,)),
        versions=(OcppVersion.V21, OcppVersion.V16),
        settings=ControlSettings(min_on_s=0, min_off_s=0),
    )
    world.building_a = (4.0, 4.0, 4.0)
    world.station("E1").follows_setpoints = True
    world.tell(PriceUpdated(at=world.now, prices_per_kwh=dear_first()))
    world.connect()
    world.run(30)
    for name, wanted_wh, leaves_h in (("E1", 2_000.0, 10.0), ("E2", 40_000.0, 4.0)):
        need, leaves = EnergyNeed(wanted_wh=wanted_wh), world.now + timedelta(hours=leaves_h)
        terms = DischargeTerms(max_a=12.0, room_wh=8_000.0)
        world.tell(SessionDeclared(at=world.now, evse=EvseId(name), departure=leaves, need=need, discharge=terms))
    world.plug("E1", Vehicle(back_a=16.0))
    world.run(120)  # it shows what it is
    world.plug("E2")
    return world


def a_sunny_world() -> World:
    """Return a site with more sun than E1 can take on L1, and none on the other phases; nothing of it may be drawn."""
    world = World(small_site(evses=1, limit_a=26.0, fallback_a=0.0, building_worst_a=5.0))
    world.building_a = (-25.0, 4.0, 4.0)
    world.connect()
    world.run(30)
    world.plug("E1", Vehicle(max_a=10.0))
    world.run(120)
    world.tell(LimitChanged(at=world.now, circuit=CircuitId("main"), source="operator", limit_a=(0.0, 0.0, 0.0)))
    world.run(120)
    return world


@contextmanager
def page_of(make: Callable[[], World]) -> Iterator[str]:
    """Serve the page of a world; yields its address."""
    world = make()
    process = SimpleNamespace(
        controller=world.controller,
        site=world.site,
        decided=True,
        models=ProfileBook(),
        csms=None,
        site_file=SimpleNamespace(tariff=None),
        condition=lambda: {"journal": None},
        on_decision=[],
    )
    service = build_service({}, now=lambda: world.now, is_open=True)
    clock = SimpleNamespace(now=lambda: world.now)
    hosted = service.hosted["yard"] = HostedSite("yard", None, clock=clock, process=process)
    server = uvicorn.Server(uvicorn.Config(create_app(service), port=0, log_level="error"))

    async def served() -> None:
        serving = asyncio.create_task(server.serve())
        seconds = 900
        while not serving.done():
            told = len(world.decisions)
            world.run(seconds)
            for decision in world.decisions[told:]:
                hosted.page.feed.take(decision)
            seconds = 10
            await asyncio.sleep(1.0)

    thread = threading.Thread(target=lambda: asyncio.run(served()))
    thread.start()
    try:
        while not server.started:
            thread.join(0.1)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = server.force_exit = True  # without waiting for those who look
        thread.join()
        service.close()

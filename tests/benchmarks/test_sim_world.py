"""A simulated day of stations over real WebSockets without a controller: events, messages and wall seconds."""

import asyncio
import time
from datetime import timedelta

import pytest
import uvloop

from loadmgr.sim.arrivals import plan_arrivals
from loadmgr.sim.clock import VirtualClock
from loadmgr.sim.direct import DirectHub, dial_url
from loadmgr.sim.world import World, WorldPlan
from ocpp_link.transport import serve
from tests.loadmgr.sim.sim_csms import PlainCsms
from tests.loadmgr.sim.sim_yard import START, drawn_sessions, yard


async def _day(*, frames: bool) -> tuple[float, int, int]:
    site, until = yard(14, fuse_a=100.0), START + timedelta(days=1)
    arrivals = plan_arrivals(site, drawn_sessions(28, days=1, seed=1), start=START, until=until, seed=1)
    plan = WorldPlan(site=site, arrivals=arrivals, start=START, until=until)
    clock = VirtualClock(START)
    party = clock.party("csms", priority=9)
    csms = PlainCsms(party)
    server = await serve("127.0.0.1", 0, handler=csms, clock=party) if frames else None
    url = "" if server is None else f"ws://127.0.0.1:{server.port}/ocpp"
    dial = DirectHub(csms).dial if server is None else dial_url
    world = World(plan, clock=clock, url=url, observe=lambda observation: None, dial=dial)
    began = time.perf_counter()
    await world.run()
    took_s = time.perf_counter() - began
    if server is not None:
        await server.close()
    return took_s, len(csms.heard), clock.events_released


@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run])
def test_a_day_of_fourteen_stations(runner):
    direct_s, _, _ = runner(_day(frames=False))
    took_s, messages, events = runner(_day(frames=True))
    print(
        f"{runner.__module__}: {messages} calls and {events} events in {took_s:.1f} s, "
        f"{took_s / messages * 1e6:.0f} us per call and answer, {took_s / direct_s:.1f} times as long as without frames"
    )

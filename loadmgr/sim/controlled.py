"""The controller itself in simulated time, in two fidelities.

``fast``      stations are joined to the controller directly: payloads are handed over
``protocol``  the same stations over WebSockets on 127.0.0.1: frames are written, read and checked

Both run the controller's own code on the same stations under the same lock-stepped clock, so their results agree.
"""

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from typing import Literal

from loadmgr.control.controller import SiteController
from loadmgr.control.settings import ControlSettings
from loadmgr.model.equipment import BatteryLink
from loadmgr.model.tariff import Tariff
from loadmgr.sim.clock import VirtualClock
from loadmgr.sim.control_loop import ControlLoop
from loadmgr.sim.direct import DirectHub, dial_url
from loadmgr.sim.world import World
from loadmgr.sim.world_plan import WorldPlan
from ocpp_link.transport import serve

Fidelity = Literal["fast", "protocol"]
FIDELITIES: tuple[Fidelity, ...] = ("fast", "protocol")

_LAST = 9
"""Priority of the controller: of one instant, after every station and meter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Controlled:
    """A world that has been lived, and the loop that controlled it."""

    world: World
    loop: ControlLoop


def with_meter_interval(plan: WorldPlan, interval_s: float) -> WorldPlan:
    """Return a plan whose stations and meters report every ``interval_s``: studies need no more."""
    site = plan.site
    meters = tuple(
        replace(m, interval_s=interval_s, stale_after_s=max(m.stale_after_s, 3 * interval_s)) for m in site.meters
    )
    timing = replace(site.timing, meter_interval_s=interval_s)
    return replace(plan, site=replace(site, meters=meters, timing=timing))


def with_battery_links(plan: WorldPlan) -> WorldPlan:
    """Return a plan whose batteries are commanded, those too that the site file lets nobody command: to try it out."""
    batteries = tuple(b if b.link is not None else replace(b, link=BatteryLink()) for b in plan.site.batteries)
    return replace(plan, site=replace(plan.site, batteries=batteries))


async def live_controlled(
    plan: WorldPlan, tariff: Tariff, *, fidelity: Fidelity = "fast", settings: ControlSettings | None = None
) -> Controlled:
    """Let a world live under control to its end.

    Raises
    ------
    ValueError
        If the fidelity is unknown.
    """
    if fidelity not in FIDELITIES:
        raise ValueError(f"fidelity must be one of {', '.join(FIDELITIES)}, got {fidelity}")
    clock = VirtualClock(plan.start)
    party = clock.party("controller", priority=_LAST)
    controller = SiteController(plan.site, tariff, settings=settings or ControlSettings())
    timeout_s = plan.site.timing.call_timeout_s
    loop = ControlLoop(controller, party=party, call_timeout_s=timeout_s)
    async with AsyncExitStack() as stack:
        url, dial = "", dial_url
        if fidelity == "protocol":
            server = await serve("127.0.0.1", 0, handler=loop, clock=party, call_timeout_s=timeout_s)
            stack.push_async_callback(server.close)
            url = f"ws://127.0.0.1:{server.port}/ocpp"
        else:
            dial = DirectHub(loop).dial
        world = World(plan, clock=clock, url=url, observe=loop.observe, dial=dial)
        loop.tell_battery = world.tell_battery
        await _together(world, loop)
        return Controlled(world=world, loop=loop)


async def _together(world: World, loop: ControlLoop) -> None:
    """Run the world to its end; a controller that fails ends it with its own error."""
    deciding, living = asyncio.create_task(loop.run()), asyncio.create_task(world.run())
    try:
        await asyncio.wait([deciding, living], return_when=asyncio.FIRST_COMPLETED)
        if deciding.done():
            deciding.result()
        await living
    finally:
        for task in (deciding, living):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

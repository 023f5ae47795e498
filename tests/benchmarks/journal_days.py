"""A simulated site with a journal: the world of the demo in lock-stepped time, without a display."""

import asyncio
from datetime import timedelta
from pathlib import Path

from loadmgr.apps.process.serving import serve_site, stop
from loadmgr.apps.process.site import SiteProcess
from loadmgr.sim.clock import VirtualClock
from loadmgr.sim.session_table import read_sessions
from loadmgr.sim.world import World, plan_world
from loadmgr.site_file import SiteFile
from loadmgr.store.open import open_store

CONTROLLER_PRIORITY = 9


def live_days(site_file: SiteFile, place: str, *, days: float, folder: Path) -> SiteProcess:
    """Run a site's demo world for some days with a journal; return its process."""

    async def main() -> SiteProcess:
        demo = site_file.demo
        assert demo is not None
        clock = VirtualClock(demo.start)
        party = clock.party("controller", priority=CONTROLLER_PRIORITY)
        store = open_store(place, site=site_file.site.name, state_folder=folder)
        process = SiteProcess(site_file, clock=party, store=store)
        plan = plan_world(
            site_file, read_sessions(demo.sessions), start=demo.start, until=demo.start + timedelta(days=days), seed=0
        )
        server = await serve_site(process, host="127.0.0.1", port=0, clock=party)
        world = World(plan, clock=clock, url=f"ws://127.0.0.1:{server.port}/ocpp", observe=process.observe)
        controller = asyncio.create_task(process.run())
        await world.run()
        await stop(controller)
        await server.close()
        store.close()
        return process

    return asyncio.run(main())

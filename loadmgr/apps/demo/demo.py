"""The demo: the controller process and a simulated site, joined by real WebSockets on 127.0.0.1, faster than real time.

Both ends run in one event loop under a lock-stepped clock, so that a run depends on its seed and not on the machine.
At half time the controller is killed without warning: the stations live on their own profiles until another one, that
knows from the journal what the last one knew, takes over.
"""

import asyncio
import math
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.live import Live

from loadmgr.apps.demo.demo_life import ControllerLives
from loadmgr.apps.demo.report import peak_memory_mb, quantile_ms
from loadmgr.apps.process.live import LiveTable, Pulse
from loadmgr.apps.process.serving import stop
from loadmgr.control.alarm import Alarm
from loadmgr.control.decision import Decision
from loadmgr.errors import InputError
from loadmgr.sim.clock import VirtualClock
from loadmgr.sim.session_table import read_sessions
from loadmgr.sim.world import World, plan_world
from loadmgr.site_file import SiteFile

_FRAMES_PER_S = 8
_CONTROLLER_PRIORITY = 9  # after every station of the same instant

DEAD_S = 2700.0
"""How long the killed controller stays away [s]: shorter than the leases, long enough to be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the command line says.

    Parameters
    ----------
    wall_s : float, optional
        Stop after so many wall seconds; ``None`` is a whole simulated day.
    speed : float, optional
        Simulated seconds per wall second at most; ``None`` is as fast as the machine allows.
    page_port : int, optional
        Serve the page there; 0 lets the system choose.
    """

    seed: int = 0
    headless: bool = False
    wall_s: float | None = None
    speed: float | None = None
    page_port: int | None = None
    day_s: float = 86_400.0


class Demo:
    """One demo run.

    Parameters
    ----------
    site_file : SiteFile
    options : DemoOptions
    console : Console
        Where the live table is drawn.
    """

    def __init__(self, site_file: SiteFile, options: DemoOptions, console: Console) -> None:
        if site_file.demo is None:
            raise InputError(
                f"{site_file.path}: the site file has no `demo` section; add one with `sessions` and `start`"
            )
        self._site_file = site_file
        self._options = options
        self._console = console
        self._start = site_file.demo.start
        self._clock = VirtualClock(self._start, speed=options.speed)
        self._alarms: dict[tuple[str, str], Alarm] = {}
        self._party = self._clock.party("controller", priority=_CONTROLLER_PRIORITY)
        self._outages: list[dict[str, str]] = []

    def _take(self, decision: Decision) -> None:
        for alarm in decision.alarms:
            self._alarms[alarm.kind, alarm.subject] = alarm

    async def run(self) -> dict[str, Any]:
        """Run the world to its end and return the report."""
        demo = self._site_file.demo
        assert demo is not None  # checked at construction
        plan = plan_world(
            self._site_file,
            read_sessions(demo.sessions),
            start=self._start,
            until=self._start + timedelta(seconds=self._options.day_s),
            seed=self._options.seed,
        )
        with tempfile.TemporaryDirectory(prefix="loadmgr-demo-") as folder:
            lives = ControllerLives(self._site_file, clock=self._party, on_decision=self._take, folder=Path(folder))
            await lives.begin()
            world = World(plan, clock=self._clock, url=lives.url, observe=lives.observe)
            async with self._page(lives):
                await self._watched(world, lives)
        return self._report(world, lives)

    @asynccontextmanager
    async def _page(self, lives: ControllerLives) -> AsyncIterator[None]:
        if self._options.page_port is None:
            yield
            return
        from loadmgr.apps.demo.demo_page import demo_page  # FastAPI is loaded only where it is used

        page = demo_page(lives, self._site_file, clock=self._party, port=self._options.page_port)
        async with page as url:
            self._console.print(f" The page of this site: {url}", highlight=False)
            yield

    async def _watched(self, world: World, lives: ControllerLives) -> None:
        helpers = [asyncio.create_task(self._kill_at_half_time(lives))]
        if self._options.wall_s is not None:
            helpers.append(asyncio.create_task(self._stop_after(self._options.wall_s)))
        live = (
            nullcontext() if self._options.headless else Live(console=self._console, auto_refresh=False, screen=False)
        )
        with live as screen:
            if screen is not None:
                helpers.append(asyncio.create_task(self._paint(screen, world, lives)))
            try:
                await self._until_done(world, lives)
            finally:
                await stop(*helpers)
                await lives.end(killed=False)
            if screen is not None:
                self._draw(screen, world, lives, started=(0.0, 0.0))

    async def _until_done(self, world: World, lives: ControllerLives) -> None:
        """Run the world; a controller that fails ends the demo with its error instead of a hang."""
        running = asyncio.create_task(world.run())
        done, _ = await asyncio.wait({running, lives.failed}, return_when=asyncio.FIRST_COMPLETED)
        if running not in done:
            running.cancel()
            lives.failed.result()
        await running

    async def _kill_at_half_time(self, lives: ControllerLives) -> None:
        party = self._clock.party("kill")
        await party.sleep_until(self._options.day_s / 2.0)
        self._outages.append({"from": self._local_time()})
        await lives.end(killed=True)
        await party.sleep_until(self._options.day_s / 2.0 + DEAD_S)
        await lives.begin()
        self._outages[-1]["until"] = self._local_time()

    def _local_time(self) -> str:
        return self._clock.now().astimezone(ZoneInfo(self._site_file.site.time_zone)).isoformat()

    async def _stop_after(self, wall_s: float) -> None:
        """Stop at the next whole simulated second: slots are booked in whole seconds, and a report needs one."""
        await asyncio.sleep(wall_s)
        end = self._clock.party("end")
        end.call_at(max(1.0, math.ceil(self._clock.now_s())), self._clock.stop)

    async def _paint(self, screen: Live, world: World, lives: ControllerLives) -> None:
        started = (time.monotonic(), self._clock.now_s())
        while True:
            self._draw(screen, world, lives, started=started)
            await asyncio.sleep(1.0 / _FRAMES_PER_S)

    def _draw(self, screen: Live, world: World, lives: ControllerLives, *, started: tuple[float, float]) -> None:
        wall_s = time.monotonic() - started[0]
        simulated_s = self._clock.now_s() - started[1]
        table = LiveTable(
            site=self._site_file.site,
            rows=max(5, self._console.height - 14),
            true_currents=world.ledger.currents_a,
            true_draws=lambda evse: world.outlets[evse].grid_currents_a,
        )
        pulse = Pulse(
            now=self._clock.now(),
            speed=simulated_s / wall_s if started[0] and wall_s > 0.5 else None,
            stations=len(lives.process.connected),
            messages_in=lives.messages["in"],
            messages_out=lives.messages["out"],
            profiles_sent=lives.profiles_sent,
            solve_ms=quantile_ms(list(lives.process.recent_solve_s), 0.5),
            alive=lives.alive,
        )
        last = next((life for life in reversed(lives.lives) if life.decided), None)
        screen.update(table.draw(None if last is None else last.controller.view(), pulse), refresh=True)

    def _report(self, world: World, lives: ControllerLives) -> dict[str, Any]:
        told = world.report(self._site_file.tariff)
        return {
            **told.figures(),
            "seed": self._options.seed,
            "messages_in": lives.messages["in"],
            "messages_out": lives.messages["out"],
            "profiles_sent": lives.profiles_sent,
            "controller_killed": self._outages,
            "plans": len(lives.solve_s),
            "solve_ms_p50": quantile_ms(lives.solve_s, 0.5),
            "solve_ms_p95": quantile_ms(lives.solve_s, 0.95),
            "peak_memory_mb": peak_memory_mb(),
            "alarms": [_alarm_row(alarm) for _, alarm in sorted(self._alarms.items())],
            "session_rows": told.sessions,
            "excursions": told.excursions,
        }


def _alarm_row(alarm: Alarm) -> dict[str, Any]:
    row = asdict(alarm) | {"severity": alarm.severity.name.lower()}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def run_demo(site_file: SiteFile, options: DemoOptions, console: Console) -> dict[str, Any]:
    """Run a demo and return its report."""
    return asyncio.run(Demo(site_file, options, console).run())

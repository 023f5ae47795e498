"""The demo: the controller process and a simulated site, joined by real WebSockets on 127.0.0.1, faster than real time.

Both ends run in one event loop under a lock-stepped clock, so that a run depends on its seed and not on the machine.
"""

import asyncio
import math
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.live import Live

from loadmgr.apps.live import LiveTable, Pulse
from loadmgr.apps.report import peak_memory_mb, quantile_ms
from loadmgr.apps.serving import serve_site, stop
from loadmgr.apps.site import SiteProcess
from loadmgr.control.alarm import Alarm
from loadmgr.control.decision import Decision
from loadmgr.errors import InputError
from loadmgr.sim.clock import VirtualClock
from loadmgr.sim.session_table import read_sessions
from loadmgr.sim.world import World, plan_world
from loadmgr.site_file import SiteFile

_FRAMES_PER_S = 8
_CONTROLLER_PRIORITY = 9  # after every station of the same instant


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the command line says.

    Parameters
    ----------
    wall_s : float, optional
        Stop after so many wall seconds; ``None`` is a whole simulated day.
    speed : float, optional
        Simulated seconds per wall second at most; ``None`` is as fast as the machine allows.
    """

    seed: int = 0
    headless: bool = False
    wall_s: float | None = None
    speed: float | None = None
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
        self._decided = False
        self._alarms: dict[tuple[str, str], Alarm] = {}
        party = self._clock.party("controller", priority=_CONTROLLER_PRIORITY)
        self._party = party
        self._process = SiteProcess(site_file, clock=party, on_decision=self._take)

    def _take(self, decision: Decision) -> None:
        self._decided = True
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
        server = await serve_site(self._process, host="127.0.0.1", port=0, clock=self._party)
        url = f"ws://127.0.0.1:{server.port}/ocpp"
        world = World(plan, clock=self._clock, url=url, observe=self._process.observe)
        controller = asyncio.create_task(self._process.run())
        helpers = [controller]
        if self._options.wall_s is not None:
            helpers.append(asyncio.create_task(self._stop_after(self._options.wall_s)))
        live = (
            nullcontext() if self._options.headless else Live(console=self._console, auto_refresh=False, screen=False)
        )
        with live as screen:
            if screen is not None:
                helpers.append(asyncio.create_task(self._paint(screen, world)))
            try:
                await self._until_done(world, controller)
            finally:
                await stop(*helpers)
                await server.close()
            if screen is not None:
                self._draw(screen, world, started=(0.0, 0.0))
        return self._report(world)

    async def _until_done(self, world: World, controller: asyncio.Task[None]) -> None:
        """Run the world; a controller that fails ends the demo with its error instead of a hang."""
        running = asyncio.create_task(world.run())
        done, _ = await asyncio.wait({running, controller}, return_when=asyncio.FIRST_COMPLETED)
        if running not in done:
            running.cancel()
            controller.result()
        await running

    async def _stop_after(self, wall_s: float) -> None:
        """Stop at the next whole simulated second: slots are booked in whole seconds, and a report needs one."""
        await asyncio.sleep(wall_s)
        end = self._clock.party("end")
        end.call_at(max(1.0, math.ceil(self._clock.now_s())), self._clock.stop)

    async def _paint(self, screen: Live, world: World) -> None:
        started = (time.monotonic(), self._clock.now_s())
        while True:
            self._draw(screen, world, started=started)
            await asyncio.sleep(1.0 / _FRAMES_PER_S)

    def _draw(self, screen: Live, world: World, *, started: tuple[float, float]) -> None:
        wall_s = time.monotonic() - started[0]
        simulated_s = self._clock.now_s() - started[1]
        process = self._process
        table = LiveTable(
            site=self._site_file.site,
            rows=max(5, self._console.height - 14),
            true_currents=world.ledger.currents_a,
        )
        pulse = Pulse(
            now=self._clock.now(),
            speed=simulated_s / wall_s if started[0] and wall_s > 0.5 else None,
            stations=len(process.connected),
            messages_in=process.messages["in"],
            messages_out=process.messages["out"],
            profiles_sent=process.profiles_sent,
            solve_ms=quantile_ms(list(process.recent_solve_s), 0.5),
        )
        screen.update(table.draw(self._process.controller.view() if self._decided else None, pulse), refresh=True)

    def _report(self, world: World) -> dict[str, Any]:
        process = self._process
        told = world.report(self._site_file.tariff)
        return {
            **told.figures(),
            "seed": self._options.seed,
            "messages_in": process.messages["in"],
            "messages_out": process.messages["out"],
            "profiles_sent": process.profiles_sent,
            "plans": len(process.solve_s),
            "solve_ms_p50": quantile_ms(process.solve_s, 0.5),
            "solve_ms_p95": quantile_ms(process.solve_s, 0.95),
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

"""``loadmgr run`` behind its command: real clock, real sockets, signals."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.logging import RichHandler

from loadmgr.apps.live import LiveTable, Pulse
from loadmgr.apps.metrics_page import serve_metrics
from loadmgr.apps.report import quantile_ms
from loadmgr.apps.site import SiteProcess, stop
from loadmgr.apps.upstream import Upstream, serve_stations
from loadmgr.control.decision import Decision
from loadmgr.site_file import SiteFile
from ocpp_link.metrics import Metrics
from ocpp_link.transport import SystemClock
from ocpp_link.wirelog import JsonLines, WireLog, WireRecord

log = logging.getLogger(__name__)

_FRAME_S = 0.5
_LOG_FILE_BYTES = 64_000_000
"""Five such files hold a day of a hundred stations or more."""


class _Screen:
    """Draws the site as the controller sees it."""

    def __init__(self, site_file: SiteFile, console: Console) -> None:
        self.decided = False
        self._console = console
        self._site = site_file.site

    def take(self, decision: Decision) -> None:
        self.decided = True
        for command in decision.commands:
            log.info("%s: %s", command.station, command.reason)

    async def paint(self, live: Live, process: SiteProcess) -> None:
        while True:
            table = LiveTable(site=self._site, rows=max(5, self._console.height - 14))
            pulse = Pulse(
                now=datetime.now(UTC),
                speed=None,
                stations=len(process.connected),
                messages_in=process.messages["in"],
                messages_out=process.messages["out"],
                profiles_sent=process.profiles_sent,
                solve_ms=quantile_ms(list(process.recent_solve_s), 0.5),
            )
            live.update(table.draw(process.controller.view() if self.decided else None, pulse), refresh=True)
            await asyncio.sleep(_FRAME_S)


class _Watch:
    """What outsiders see of the wire: a log of every message, a page of counters."""

    def __init__(self, *, wire_log: Path | None, metrics_port: int | None) -> None:
        self._metrics = Metrics()
        self._metrics_port = metrics_port
        self._page: asyncio.Server | None = None
        self._lines = JsonLines(wire_log, max_bytes=_LOG_FILE_BYTES) if wire_log is not None else None

    def tap(self, clock: SystemClock) -> WireLog | None:
        sinks: list[Callable[[WireRecord], None]] = [] if self._metrics_port is None else [self._metrics]
        if self._lines is not None:
            sinks.append(self._lines)
        return WireLog(clock, sinks) if sinks else None

    async def open(self, process: SiteProcess) -> None:
        if self._metrics_port is None:
            return

        def page() -> str:
            return self._metrics.render(connections=len(process.connected), mends=process.mends)

        self._page = await serve_metrics(self._metrics_port, page)
        log.info("metrics: http://127.0.0.1:%d/metrics", self._page.sockets[0].getsockname()[1])

    def close(self) -> None:
        if self._page is not None:
            self._page.close()
        if self._lines is not None:
            self._lines.close()


async def _main(
    site_file: SiteFile, watch: _Watch, upstream: Upstream | None, *, host: str, port: int, quiet: bool
) -> None:
    console = Console()
    screen = _Screen(site_file, console)
    clock = SystemClock()
    process = SiteProcess(site_file, clock=clock, on_decision=screen.take)
    server = await serve_stations(process, upstream, host=host, port=port, clock=clock, tap=watch.tap(clock))
    await watch.open(process)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, ended.set)
    log.info("%s: stations connect to ws://%s:%d/ocpp/<station id>", site_file.site.name, host, server.port)
    if upstream is not None:
        log.info("they are relayed to %s/<station id>", upstream.url.rstrip("/"))
    controller = asyncio.create_task(process.run())
    controller.add_done_callback(lambda _: ended.set())
    try:
        if quiet or not console.is_terminal:
            await ended.wait()
        else:
            with Live(console=console, auto_refresh=False) as live:
                painter = asyncio.create_task(screen.paint(live, process))
                await ended.wait()
                await stop(painter)
    finally:
        await stop(controller)
        await server.close()
        watch.close()


def run_process(
    site_file: SiteFile,
    *,
    host: str,
    port: int,
    quiet: bool,
    wire_log: Path | None = None,
    metrics_port: int | None = None,
    upstream: Upstream | None = None,
) -> None:
    """Run a site's controller until SIGINT or SIGTERM; stations keep their fail-safe profiles afterwards.

    Raises
    ------
    InputError
        If what is kept of the CSMS cannot be read.
    OSError
        If a port or the wire log cannot be opened.
    """
    show_lines = quiet or not sys.stdout.isatty()
    logging.basicConfig(
        level=logging.INFO if show_lines else logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=Console(stderr=True), show_path=False)] if not show_lines else None,
    )
    watch = _Watch(wire_log=wire_log, metrics_port=metrics_port)
    asyncio.run(_main(site_file, watch, upstream, host=host, port=port, quiet=quiet))

"""What outsiders see of a running site: the live table, the log of the wire, the page of counters."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.live import Live

from loadmgr.apps.demo.report import quantile_ms
from loadmgr.apps.process.live import LiveTable, Pulse
from loadmgr.apps.process.metrics_page import serve_metrics
from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.service.site_metrics import Lone, site_lines
from loadmgr.control.decision import Decision
from ocpp_link.clock import Clock
from ocpp_link.metrics import Metrics
from ocpp_link.wirelog import JsonLines, WireLog, WireRecord

log = logging.getLogger(__name__)

_FRAME_S = 0.5
_LOG_FILE_BYTES = 64_000_000
"""Five such files hold a day of a hundred stations or more."""


class Screen:
    """Draws the site as the controller sees it."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def take(self, decision: Decision) -> None:
        """Log what is sent, and why."""
        for command in decision.commands:
            log.info("%s: %s", command.station, command.reason)

    async def paint(self, live: Live, process: SiteProcess) -> None:
        """Draw for ever."""
        while True:
            table = LiveTable(site=process.site, rows=max(5, self._console.height - 14))
            pulse = Pulse(
                now=datetime.now(UTC),
                speed=None,
                stations=len(process.connected),
                messages_in=process.messages["in"],
                messages_out=process.messages["out"],
                profiles_sent=process.profiles_sent,
                solve_ms=quantile_ms(list(process.recent_solve_s), 0.5),
            )
            live.update(table.draw(process.controller.view() if process.decided else None, pulse), refresh=True)
            await asyncio.sleep(_FRAME_S)


class Watch:
    """What outsiders see of the wire: a log of every message, a page of counters."""

    def __init__(self, *, wire_log: Path | None, metrics_port: int | None) -> None:
        self._metrics = Metrics()
        self._metrics_port = metrics_port
        self._page: asyncio.Server | None = None
        self._lines = JsonLines(wire_log, max_bytes=_LOG_FILE_BYTES) if wire_log is not None else None

    def tap(self, clock: Clock) -> WireLog | None:
        """Return what gets every message; ``None`` where nobody wants them."""
        sinks: list[Callable[[WireRecord], None]] = [] if self._metrics_port is None else [self._metrics]
        if self._lines is not None:
            sinks.append(self._lines)
        return WireLog(clock, sinks) if sinks else None

    async def open(self, process: SiteProcess, clock: Clock) -> None:
        """Open the page.

        Raises
        ------
        OSError
            If its port cannot be opened.
        """
        if self._metrics_port is None:
            return

        def page() -> str:
            alone = Lone(process.site_file.path.stem, process, clock)
            link = self._metrics.render(connections=len(process.connected), mends=process.mends)
            return "\n".join([link.rstrip("\n"), *site_lines([alone]), ""])

        self._page = await serve_metrics(self._metrics_port, page)
        log.info("metrics: http://127.0.0.1:%d/metrics", self._page.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Close page and log."""
        if self._page is not None:
            self._page.close()
        if self._lines is not None:
            self._lines.close()

"""A site under control in the service: its process, the ways to its stations, and those who watch it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from loadmgr.apps.page.page_feed import PageFeed
from loadmgr.apps.process.battery_orders import BatteryOrders
from loadmgr.apps.process.serving import stop
from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.process.status import plain, site_status
from loadmgr.apps.service.csms_batteries import CsmsBatteries
from loadmgr.apps.service.outbox import CsmsLink, Outbox
from loadmgr.apps.service.site_page import SitePage
from loadmgr.apps.service.streams import EventStreams
from loadmgr.control.command import SetProfile
from loadmgr.control.decision import Decision
from loadmgr.site_file import SiteFile
from loadmgr.store.recall import Store
from ocpp_link.clock import Clock
from ocpp_link.dialect import Version

log = logging.getLogger(__name__)

MOST_STREAMS = 500

STATUS_EVERY_S = 1.0
"""The state of a site is told at most so often [s]."""


class HostedSite:
    """A site under control.

    Parameters
    ----------
    name : str
        By which requests name it.
    clock : Clock
    store : Store, optional
        Its journal.
    process : SiteProcess, optional
        One that is run elsewhere, with stations of its own; else one is made whose stations are behind a CSMS.
    may_send : callable, optional
        Whether this process may send commands now: it holds the site's lease.
    is_on_broker : bool
        Its batteries are told over an MQTT broker, so that the CSMS has no orders of theirs to pass on.
    """

    def __init__(
        self,
        name: str,
        site_file: SiteFile,
        *,
        clock: Clock,
        store: Store | None = None,
        process: SiteProcess | None = None,
        may_send: Callable[[], bool] | None = None,
        is_on_broker: bool = False,
    ) -> None:
        self.name = name
        self.clock = clock
        self.streams = EventStreams()
        self.may_send = may_send or _always
        self._is_on_broker = is_on_broker
        self.outbox = None if process is not None else Outbox(clock=clock, may_send=self.may_send)
        self.process = process or SiteProcess(site_file, clock=clock, store=store)
        self.alive = True
        feed = PageFeed(lambda: self.process, now=clock.now, alive=lambda: self.alive)
        self.page = SitePage(feed)
        self._listen()
        self._links: dict[str, CsmsLink] = {}
        self._task: asyncio.Task[None] | None = None
        self._beside: list[asyncio.Task[None]] = []
        self._status_due: asyncio.TimerHandle | None = None
        self._status_told_s = -STATUS_EVERY_S

    def succeeded(self, process: SiteProcess) -> None:
        """Take note that another process runs the site now."""
        self.process, self.alive = process, True
        self._listen()

    def _listen(self) -> None:
        self.process.on_decision += [self._decided, self.page.feed.take]

    @property
    def running(self) -> bool:
        """Whether its controller runs here."""
        return self.outbox is None or (self._task is not None and not self._task.done())

    def start(self) -> None:
        """Begin to control."""
        if self.outbox is not None and not self._is_on_broker:
            orders = BatteryOrders(self.process, may_tell=self.may_send)
            self.accompany(orders.carry(CsmsBatteries(self.outbox, self.process.site_file)))
        self._task = asyncio.create_task(self.process.run())
        self._task.add_done_callback(_say_end)

    def accompany(self, work: Coroutine[Any, Any, None]) -> None:
        """Have some work done as long as this site is controlled here."""
        task = asyncio.create_task(work)
        task.add_done_callback(_say_end)
        self._beside.append(task)

    async def stop(self) -> None:
        """End in good order: stations keep what they hold."""
        await stop(*self._beside)
        if self._task is None:
            return
        self.process.drain()
        if self.outbox is not None:
            self.outbox.close()
        done, _ = await asyncio.wait({self._task}, timeout=5.0)
        if not done:
            await stop(self._task)
        self._task = None

    def link(self, station: str, version: Version) -> CsmsLink:
        """Return the way to a station that speaks a version, made where there is none."""
        if self.outbox is None:
            raise RuntimeError("stations of this site are connected to the process itself")
        found = self._links.get(station)
        if found is None or found.version != version:
            found = self._links[station] = CsmsLink(station, version, self.outbox)
            self.process.attach(found)
        return found

    def known_link(self, station: str) -> CsmsLink | None:
        """Return the way to a station that was heard of."""
        return self._links.get(station)

    def unlink(self, station: str, reason: str) -> None:
        """Take note that the CSMS lost a station."""
        found = self._links.pop(station, None)
        if found is not None and self.outbox is not None:
            self.outbox.lost(station)
            self.process.detach(found, reason)

    def now(self) -> datetime:
        """Return the time by the site's clock."""
        return self.clock.now()

    def _decided(self, decision: Decision) -> None:
        if self.outbox is not None:
            self._log(decision)
        if not len(self.streams):
            return
        self._tell_status_soon()
        if decision.commands or decision.planned is not None:
            said = {
                "at": decision.at.isoformat(),
                "planned": decision.planned,
                "commands": [
                    {"id": c.id, "station": c.station, "kind": type(c).__name__, "reason": c.reason}
                    for c in decision.commands
                ],
            }
            self.streams.tell("decision", said)
        for alarm in decision.alarms:
            self.streams.tell("alarm", plain(alarm))
        for session in decision.ended:
            self.streams.tell("session ended", plain(session))

    def _tell_status_soon(self) -> None:
        """Have the state told, at most once a second: at once, or when a second has passed since the last time."""
        if self._status_due is None:
            wait_s = max(0.0, self._status_told_s + STATUS_EVERY_S - self.clock.now_s())
            self._status_due = asyncio.get_running_loop().call_later(wait_s, self._tell_status)

    def _tell_status(self) -> None:
        self._status_due, self._status_told_s = None, self.clock.now_s()
        if len(self.streams):
            self.streams.tell("status", site_status(self.process))

    def _log(self, decision: Decision) -> None:
        """Log each command with what it belongs to; a process of its own has its own display."""
        for command in decision.commands:
            profile = command.profile if isinstance(command, SetProfile) else None
            belongs = {
                "site": self.name,
                "station": command.station,
                "session": None if profile is None else profile.transaction_id,
                "decision": decision.at.isoformat(),
                "command": command.id,
            }
            log.info("%s: %s: %s", command.station, type(command).__name__, command.reason, extra=belongs)


def _always() -> bool:
    return True


def _say_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("a site's process failed; its stations fall back to what they hold", exc_info=task.exception())

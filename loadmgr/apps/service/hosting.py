"""Sites under control in one or several workers: each site runs where its lease is, and nowhere else."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from loadmgr.apps.process.battery_orders import BatteryOrders
from loadmgr.apps.process.broker import bridge_of
from loadmgr.apps.process.outside import Feeds
from loadmgr.apps.process.serving import stop
from loadmgr.apps.service.hosted import HostedSite
from loadmgr.apps.service.leases import RENEW_S, Lease, LeaseBook
from loadmgr.apps.service.service import Service
from loadmgr.apps.service.webhooks import deliver
from loadmgr.errors import JournalError
from loadmgr.site_file import SiteFile
from loadmgr.store.database import DatabaseLost
from loadmgr.store.open import open_store
from loadmgr.store.writer import Writer
from ocpp_link.clock import Clock

log = logging.getLogger(__name__)


class Hosting:
    """Takes sites under control, and gives them up.

    Parameters
    ----------
    sites : mapping of str to SiteFile
    journals : callable, optional
        Where the journal of a site is kept, by its name; ``None`` keeps none.
    leases : LeaseBook, optional
        Without one this worker is the only one.
    """

    def __init__(
        self,
        service: Service,
        sites: Mapping[str, SiteFile],
        *,
        clock: Clock,
        state_folder: Path,
        journals: Callable[[str], str] | None = None,
        leases: LeaseBook | None = None,
        renew_s: float = RENEW_S,
    ) -> None:
        self._service = service
        self._sites = sites
        self._clock = clock
        self._state_folder = state_folder
        self._journals = journals
        self._leases = leases
        self._renew_s = renew_s
        self._held: dict[str, Lease] = {}
        self._stores: dict[str, Writer] = {}
        self._feeds: dict[str, Feeds] = {}

    async def run(self) -> None:
        """Hold sites until cancelled; then end in good order and give the leases back."""
        keepers = [asyncio.create_task(self._keep(name)) for name in self._sites]
        try:
            await asyncio.gather(*keepers)
            await asyncio.Event().wait()  # without leases there is nothing to look after, but sites stay until the end
        finally:
            await stop(*keepers)
            for name in list(self._service.hosted):
                await self._give_up(name)
                await self._release(name)

    async def _keep(self, name: str) -> None:
        while True:
            try:
                await self._look(name)
            except (DatabaseLost, JournalError) as error:
                log.warning("%s: %s", name, error, extra={"site": name})
                if not self._may_send(name):
                    await self._give_up(name)
            if self._leases is None and name in self._service.hosted:
                return
            await asyncio.sleep(self._renew_s)

    async def _look(self, name: str) -> None:
        """Renew what is held, and take what nobody holds."""
        lease = self._held.get(name)
        if self._leases is not None:
            if lease is None:
                lease = await asyncio.to_thread(self._leases.acquire, name)
                if lease is None:
                    return
                self._held[name] = lease
                self._service.fences[name] = lease.fence
                log.info("%s: taken under control", name, extra={"site": name, "fence": lease.fence})
            elif not await asyncio.to_thread(self._leases.renew, lease):
                log.warning("%s: its lease is lost", name, extra={"site": name, "fence": lease.fence})
                del self._held[name]
                await self._give_up(name)
                return
        if name not in self._service.hosted:
            await self._start(name)

    async def _start(self, name: str) -> None:
        site_file = self._sites[name]
        store = None
        if self._journals is not None:
            place = self._journals(name)
            store = await asyncio.to_thread(
                open_store, place, site=site_file.site.name, state_folder=self._state_folder
            )
            self._stores[name] = store
            self._service.journals[name] = place
        hosted = HostedSite(
            name,
            site_file,
            clock=self._clock,
            store=store,
            may_send=lambda: self._may_send(name),
            is_on_broker=self._service.broker is not None,
        )
        hosted.start()
        hosted.accompany(deliver(self._service, hosted))
        citrineos = self._service.citrineos
        if citrineos is not None:
            hosted.accompany(citrineos.accompany(hosted, may_send=lambda: self._may_send(name)))
        self._service.hosted[name] = hosted
        feeds = Feeds(
            clock=self._clock,
            observe=lambda fact, source: hosted.process.observe(fact, source=source),
            prices=self._state_folder / f"{name}.prices.json",
        )
        feeds.follow(site_file, remembered=hosted.process.controller.outside)
        self._feeds[name] = feeds
        hosted.accompany(BatteryOrders(hosted.process, may_tell=hosted.may_send).carry(feeds))
        if self._service.broker is not None:
            bridge = bridge_of(
                hosted.process, self._service.broker, feeds=feeds, now=self._clock.now, may_tell=hosted.may_send
            )
            hosted.accompany(bridge.run())

    def _may_send(self, name: str) -> bool:
        return self._leases is None or self._leases.may_send(self._held.get(name))

    async def _give_up(self, name: str) -> None:
        feeds = self._feeds.pop(name, None)
        if feeds is not None:
            feeds.close()
        hosted = self._service.hosted.pop(name, None)
        if hosted is not None:
            await hosted.stop()
        store = self._stores.pop(name, None)
        if store is not None:
            await asyncio.to_thread(store.close)

    async def _release(self, name: str) -> None:
        lease = self._held.pop(name, None)
        if lease is not None and self._leases is not None:
            try:
                await asyncio.to_thread(self._leases.release, lease)
            except DatabaseLost as error:
                log.warning("%s: its lease runs out by itself: %s", name, error)

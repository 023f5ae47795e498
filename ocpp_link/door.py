"""Where connections become stations: the newest connection wins, registration outlives connections."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from ocpp_link.boot import Registration
from ocpp_link.dialect import Fault
from ocpp_link.errors import CallRefused, OcppError
from ocpp_link.events import Event
from ocpp_link.link import Link
from ocpp_link.link_handler import Answer
from ocpp_link.station import Handler, Station

if TYPE_CHECKING:
    from ocpp_link.profile_book import ProfileBook
    from ocpp_link.renewal import Renewals

logger = logging.getLogger(__name__)


class StationDoor:
    """The server's `LinkHandler`: hands the events of links to a `Handler` in terms of stations.

    Parameters
    ----------
    handler
        Who hears of stations.
    trigger_boot_after_s
        After this silence [s] a station that never booted here is asked to; ``None``: never.
    profiles
        What is known of stations; it hears of every boot.
    renewals
        Who answers SignCertificate in the handler's place.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        trigger_boot_after_s: float | None,
        profiles: "ProfileBook | None" = None,
        renewals: "Renewals | None" = None,
    ) -> None:
        self._handler = handler
        self._trigger_boot_after_s = trigger_boot_after_s
        self._profiles = profiles
        self._renewals = renewals
        self.stations: dict[str, Station] = {}
        """The current connection of each station."""
        self.registrations: dict[str, Registration] = {}
        """How each station that booted here stands with us, connected or not."""
        self._by_link: dict[Link, Station] = {}
        self._latest: dict[str, Link] = {}  # per station, until its end has been dealt with
        self._boot_triggers: dict[Link, asyncio.Task[None]] = {}

    def admit(self, link: Link) -> None:
        """Make a new link the current one of its station; the older one, if any, is superseded."""
        predecessor = self._latest.get(link.id)
        self._latest[link.id] = link
        self.stations[link.id] = self._by_link[link] = Station(link, self.registrations)
        if predecessor is not None:
            predecessor.supersede()
        link.open(after=predecessor)

    def links(self) -> list[Link]:
        """Return every link whose end has not been dealt with."""
        return list(self._by_link)

    async def on_connect(self, link: Link) -> None:
        """Pass on; see later whether the station booted."""
        if self._trigger_boot_after_s is not None and link.id not in self.registrations and self._may_trigger(link):
            due_s = link.clock.now_s() + self._trigger_boot_after_s
            self._boot_triggers[link] = asyncio.create_task(self._trigger_boot(link, due_s))
        await self._handler.on_connect(self._by_link[link])

    def on_call(self, link: Link, action: str, payload: dict[str, Any]) -> Answer:
        """Pass on what the station's registration allows, and learn its outcome from the answer to its boot."""
        registration = self.registrations.get(link.id)
        if registration is not None and not registration.may_receive(action):
            raise CallRefused(Fault.SECURITY, f"boot is {registration.status}: only BootNotification is taken")
        station = self._by_link[link]
        if action == "BootNotification":
            return self._on_boot(link, station, payload)
        if action == "SignCertificate" and self._renewals is not None:
            return self._renewals.answer(station, payload)
        return self._handler.on_call(station, action, payload)

    def _on_boot(self, link: Link, station: Station, payload: dict[str, Any]) -> Answer:
        if self._profiles is not None:
            self._meet(link, self._profiles, payload)
        answer = self._handler.on_call(station, "BootNotification", payload)
        self._stop_boot_trigger(link)
        if isinstance(answer, dict):
            self._note_boot(link, answer)
            return answer
        return self._booting(link, answer)

    async def on_disconnect(self, link: Link, reason: str) -> None:
        """Pass on, and forget the link; a newer connection of the same station stays."""
        self._stop_boot_trigger(link)
        station = self._by_link[link]
        if self.stations.get(link.id) is station:
            del self.stations[link.id]
        try:
            await self._handler.on_disconnect(station, reason)
        finally:
            del self._by_link[link]
            if self._latest.get(link.id) is link:
                del self._latest[link.id]

    def on_event(self, link: Link, event: Event) -> None:
        """Pass on, unless the handler has been told that the connection ended."""
        station = self._by_link.get(link)
        if station is not None:
            self._handler.on_event(station, event)

    def _may_trigger(self, link: Link) -> bool:
        return self._profiles is None or self._profiles.profile(link.id).wait_for_boot is not True

    def _meet(self, link: Link, profiles: "ProfileBook", boot: dict[str, Any]) -> None:
        """Learn a station's model; one that is known to answer no pings is not cut for it."""
        profiles.booted(link.id, boot)
        if profiles.profile(link.id).ping is False:
            link.stop_pings()

    async def _booting(self, link: Link, answer: Awaitable[dict[str, Any]]) -> dict[str, Any]:
        payload = await answer
        self._note_boot(link, payload)
        return payload

    def _note_boot(self, link: Link, answer: dict[str, Any]) -> None:
        status = answer.get("status")
        if isinstance(status, str):
            self.registrations[link.id] = Registration().booted(status)

    async def _trigger_boot(self, link: Link, due_s: float) -> None:
        await link.clock.sleep_until(due_s)
        self._boot_triggers.pop(link, None)
        try:
            await link.call("TriggerMessage", {"requestedMessage": "BootNotification"})
        except OcppError as error:
            logger.debug("%s: no boot to be had: %s", link.id, error)

    def _stop_boot_trigger(self, link: Link) -> None:
        task = self._boot_triggers.pop(link, None)
        if task is not None:
            task.cancel()

"""What an adapter needs of the process that controls a site: `loadmgr.apps.site.SiteProcess` has it."""

from collections.abc import Hashable
from typing import Any, Protocol

from ocpp_link.outbox import Priority


class StationWay(Protocol):
    """A way to a station."""

    @property
    def id(self) -> str:
        """The station's identity."""

    @property
    def version(self) -> str:
        """The OCPP version of the connection."""

    async def call(
        self,
        action: str,
        payload: dict[str, Any],
        *,
        timeout_s: float | None = None,
        priority: Priority = Priority.NORMAL,
        coalesce: Hashable | None = None,
    ) -> dict[str, Any]:
        """Ask the station; see `ocpp_link.station.Station.call`."""

    async def close(self, *, code: int = 1000, reason: str = "") -> None:
        """End the connection."""


class SiteDoor(Protocol):
    """The process that controls a site, as far as an adapter speaks to it."""

    def attach(self, link: StationWay) -> None:
        """Take note of a way to a station."""

    def detach(self, link: StationWay, reason: str) -> None:
        """Take note that it is gone."""

    def hear(self, link: StationWay, action: str, payload: dict[str, Any], *, transaction: str | None = None) -> None:
        """Take in a call of a station that somebody else answers."""

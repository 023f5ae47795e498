"""What an adapter needs of the process that controls a site: `loadmgr.apps.process.site.SiteProcess` has it."""

from collections.abc import Hashable
from typing import Any, Protocol, TypedDict, Unpack

from ocpp_link.outbox import Priority


class Manner(TypedDict, total=False):
    """How a station is asked: what `ocpp_link.station.Station.call` takes besides the message.

    A way that cannot mind one of them leaves it out of account.
    """

    timeout_s: float | None
    priority: Priority
    coalesce: Hashable | None


class StationWay(Protocol):
    """A way to a station."""

    @property
    def id(self) -> str:
        """The station's identity."""

    @property
    def version(self) -> str:
        """The OCPP version of the connection."""

    async def call(self, action: str, payload: dict[str, Any], **manner: Unpack[Manner]) -> dict[str, Any]:
        """Ask the station and return the payload of its answer.

        Raises
        ------
        OcppError
            As `ocpp_link.station.Station.call`.
        """

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

"""A station that is relayed to a CSMS, as the site's process asks it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Unpack

from loadmgr.csms.site_door import Manner
from ocpp_link.errors import ConnectionLost, NotAllowedYetError
from ocpp_link.outbox import Priority
from ocpp_link.proxy.relay import RelayedStation

FIRST_REQUEST_ID = 2_000_000_000
"""Requests of ours that are answered by reports have ids from here on: CSMSs count from 1."""


class RelayedLink:
    """A way to a relayed station: what is asked while its boot is under way waits until the CSMS has answered that.

    Parameters
    ----------
    station : RelayedStation
    patience_s : float
        How long to wait for that [s].
    alone : callable
        Clears from the station what the CSMS set there. Called before anything of ours goes there that a profile of
        somebody else could lift.
    """

    def __init__(
        self, station: RelayedStation, *, patience_s: float, alone: Callable[[RelayedStation], Awaitable[None]]
    ) -> None:
        self.station = station
        self._patience_s = patience_s
        self._alone = alone
        self._may_ask = asyncio.Event()
        self.look()

    @property
    def id(self) -> str:
        """The station's identity."""
        return self.station.id

    @property
    def version(self) -> str:
        """The OCPP version of the connection."""
        return self.station.version

    def look(self) -> None:
        """Look again whether the station may be asked."""
        if self.station.may_be_asked:
            self._may_ask.set()
        else:
            self._may_ask.clear()

    async def call(self, action: str, payload: dict[str, Any], **manner: Unpack[Manner]) -> dict[str, Any]:
        """Ask the station; `ConnectionLost` also where its boot is not accepted in time."""
        if action == "GetChargingProfiles":
            payload = payload | {"requestId": FIRST_REQUEST_ID + payload["requestId"]}
        await self._wait()
        try:
            if action == "SetChargingProfile" and not _bounds(payload):
                await self._alone(self.station)
            return await self.station.call(
                action,
                payload,
                timeout_s=manner.get("timeout_s"),
                priority=manner.get("priority", Priority.NORMAL),
            )
        except NotAllowedYetError as error:
            raise ConnectionLost(str(error)) from error

    async def close(self, *, code: int = 1000, reason: str = "") -> None:
        """Close the connections to the station and to its CSMS."""
        self.station.end(code, reason)

    async def _wait(self) -> None:
        if self._may_ask.is_set():
            return
        clock = self.station.clock
        waits = (
            asyncio.create_task(self._may_ask.wait()),
            asyncio.create_task(clock.sleep_until(clock.now_s() + self._patience_s)),
        )
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()


def _bounds(payload: dict[str, Any]) -> bool:
    """Return whether a profile is a station maximum, which others cannot lift."""
    profile = payload["csChargingProfiles" if "csChargingProfiles" in payload else "chargingProfile"]
    return profile["chargingProfilePurpose"] in ("ChargePointMaxProfile", "ChargingStationMaxProfile")

"""Where relayed connections become stations: the newest connection of a station wins."""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ocpp_link.proxy.relay import UPSTREAM_LOST, RelayedStation
from ocpp_link.wire import WebSocket


class ProxyDoor:
    """The stations that are relayed now; the newest connection of a station wins."""

    def __init__(self) -> None:
        self._stations: dict[str, RelayedStation] = {}
        self._lingering: set[asyncio.Task[None]] = set()

    @property
    def stations(self) -> Mapping[str, RelayedStation]:
        """Relayed stations by id."""
        return MappingProxyType({key: each for key, each in self._stations.items() if each.connected})

    def admit(self, station: RelayedStation, up: WebSocket | None, early: Sequence[bytes]) -> None:
        """Begin to relay a station; an older connection of it is closed."""
        older = self._stations.get(station.id)
        self._stations[station.id] = station
        if older is not None:
            older.end(1008, "superseded")
            self._linger(older)
        station.open(up, early)

    async def parted(self, identity: str) -> None:
        """Wait until an ended connection of a station has its last answer: a new one to the CSMS would cut it off."""
        older = self._stations.get(identity)
        if older is not None and older.lingering is not None:
            await asyncio.wait((older.lingering,))

    async def end_all(self) -> None:
        """Close every relayed connection, and wait for the last answers of the CSMS."""
        for station in list(self._stations.values()):
            station.end(UPSTREAM_LOST, "local controller stops")
            self._linger(station)
        await asyncio.gather(*self._lingering, return_exceptions=True)

    def _linger(self, station: RelayedStation) -> None:
        if station.lingering is not None:
            self._lingering.add(station.lingering)
            station.lingering.add_done_callback(self._lingering.discard)

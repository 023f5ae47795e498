"""Where relayed connections become stations: the newest connection of a station wins."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ocpp_link.proxy import UPSTREAM_LOST, RelayedStation
from ocpp_link.wire import WebSocket


class ProxyDoor:
    """The stations that are relayed now; the newest connection of a station wins."""

    def __init__(self) -> None:
        self._stations: dict[str, RelayedStation] = {}

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
        station.open(up, early)

    def end_all(self) -> None:
        """Close every relayed connection."""
        for station in list(self._stations.values()):
            station.end(UPSTREAM_LOST, "local controller stops")

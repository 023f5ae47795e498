"""A small CSMS for the tests: answers what stations say and remembers everything."""

from collections.abc import Awaitable, Callable
from typing import Any

from ocpp_link.errors import NotSupportedError
from ocpp_link.events import Event
from ocpp_link.station import Station

TIME = "2024-01-17T12:00:00Z"

ANSWERS: dict[str, dict[str, Any]] = {
    "BootNotification": {"status": "Accepted", "currentTime": TIME, "interval": 300},
    "Heartbeat": {"currentTime": TIME},
    "ReportChargingProfiles": {},
    "StatusNotification": {},
    "MeterValues": {},
    "StopTransaction": {},
    "StartTransaction": {"transactionId": 7, "idTagInfo": {"status": "Accepted"}},
    "TransactionEvent": {},
}


class RecordingCsms:
    """A `Handler` that keeps what it heard."""

    def __init__(self) -> None:
        self.connected: list[Station] = []
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.ended: list[tuple[Station, str]] = []
        self.events: list[Event] = []
        self.order: list[str] = []
        self.reaction: Callable[[Station, str, dict[str, Any]], Awaitable[dict[str, Any] | None]] | None = None

    async def on_connect(self, station: Station) -> None:
        self.connected.append(station)
        self.order.append("connect")

    async def on_call(self, station: Station, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((station.id, action, payload))
        self.order.append(action)
        if self.reaction is not None:
            answer = await self.reaction(station, action, payload)
            if answer is not None:
                return answer
        if action == "Authorize":
            key = "idTagInfo" if station.version == "1.6" else "idTokenInfo"
            return {key: {"status": "Accepted"}}
        if action not in ANSWERS:
            raise NotSupportedError
        return ANSWERS[action]

    async def on_disconnect(self, station: Station, reason: str) -> None:
        self.ended.append((station, reason))
        self.order.append("disconnect")

    def on_event(self, station: Station, event: Event) -> None:
        self.events.append(event)

"""How a simulated station answers its CSMS: truthfully, by what it holds and does.

Every action has one line in a table; what is not in it is answered NotSupported. What concerns charging profiles is
answered by :mod:`loadmgr.sim.smart_charging`.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from loadmgr.errors import InputError
from loadmgr.model.profile import OcppVersion
from loadmgr.sim.smart_charging import Answer
from ocpp_link.dialect import Fault
from ocpp_link.errors import CallRefused, NotSupportedError

if TYPE_CHECKING:
    from loadmgr.sim.station import SimStation

Payload = dict[str, Any]

RESET_S = 20.0
"""From an accepted Reset to the boot that follows [s]."""

_ACCEPTED: Payload = {"status": "Accepted"}
_REJECTED: Payload = {"status": "Rejected"}


class Answers:
    """The station's side of every call that a CSMS makes; a body for ``ocpp_link.testing``.

    Parameters
    ----------
    station : SimStation
    """

    def __init__(self, station: "SimStation") -> None:
        self._station = station
        table = _TABLE_16 if station.version is OcppVersion.V16 else _TABLE_2X
        self._table: dict[str, Answer] = {action: partial(method, self) for action, method in table.items()}
        self._table |= station.profiles.answers()

    async def on_call(self, action: str, payload: Payload, now: datetime) -> Payload:
        """Answer a call of the CSMS."""
        await self._station.before_answer()
        answer = self._table.get(action)
        if answer is None:
            raise NotSupportedError
        try:
            return await answer(payload, now)
        except InputError as error:
            raise CallRefused(Fault.FORMAT, str(error)[:255]) from error

    def on_disconnect(self, reason: str) -> None:
        """Take note that the link is down."""
        self._station.link_lost(reason)

    async def get_configuration(self, payload: Payload, now: datetime) -> Payload:
        """Tell configuration keys (1.6)."""
        return self._station.device.get_configuration(payload)

    async def change_configuration(self, payload: Payload, now: datetime) -> Payload:
        """Change a configuration key (1.6)."""
        return self._station.device.change_configuration(payload)

    async def get_variables(self, payload: Payload, now: datetime) -> Payload:
        """Tell variables (2.x)."""
        return self._station.device.get_variables(payload)

    async def set_variables(self, payload: Payload, now: datetime) -> Payload:
        """Change variables (2.x)."""
        return self._station.device.set_variables(payload)

    async def trigger_message(self, payload: Payload, now: datetime) -> Payload:
        """Send a message soon after."""
        number = payload.get("connectorId") or payload.get("evse", {}).get("id")
        known = self._station.trigger(payload["requestedMessage"], number)
        return _ACCEPTED if known else {"status": "NotImplemented"}

    async def reset(self, payload: Payload, now: datetime) -> Payload:
        """Restart."""
        self._station.spawn(self._station.reset(down_s=RESET_S))
        return _ACCEPTED

    async def change_availability(self, payload: Payload, now: datetime) -> Payload:
        """Take an EVSE, or all, in or out of service."""
        word = payload.get("type") or payload["operationalStatus"]
        number = payload.get("connectorId") or payload.get("evse", {}).get("id")
        at_once = self._station.set_available(number, available=word == "Operative")
        return _ACCEPTED if at_once else {"status": "Scheduled"}

    async def remote_start(self, payload: Payload, now: datetime) -> Payload:
        """Start a transaction for a vehicle that is plugged in."""
        number = payload.get("connectorId") or payload.get("evseId")
        token = payload["idTag"] if "idTag" in payload else payload["idToken"]["idToken"]
        bay = self._station.bay_to_start(number)
        if bay is None:
            return _REJECTED
        if "chargingProfile" in payload:
            answer = self._station.profiles.accept_start(bay.number, payload["chargingProfile"], now)
            if answer["status"] != "Accepted":
                return answer
        self._station.spawn(self._station.transactions.begin(bay, token, remote_start_id=payload.get("remoteStartId")))
        return _ACCEPTED

    async def remote_stop(self, payload: Payload, now: datetime) -> Payload:
        """Stop a transaction; the cable stays in."""
        bay = self._station.bay_of(str(payload["transactionId"]))
        if bay is None:
            return _REJECTED
        self._station.spawn(self._station.transactions.stop(bay, reason="Remote"))
        return _ACCEPTED

    async def unlock_connector(self, payload: Payload, now: datetime) -> Payload:
        """Refuse: nobody stands there to pull the cable."""
        return {"status": "UnlockFailed"}

    async def data_transfer(self, payload: Payload, now: datetime) -> Payload:
        """Know no vendor."""
        return {"status": "UnknownVendorId"}

    async def clear_cache(self, payload: Payload, now: datetime) -> Payload:
        """Clear a cache that is empty."""
        return _ACCEPTED

    async def get_local_list_version(self, payload: Payload, now: datetime) -> Payload:
        """Tell the version of the local list: there is none."""
        return {"listVersion" if self._station.version is OcppVersion.V16 else "versionNumber": 0}


_Method = Callable[[Answers, Payload, datetime], Awaitable[Payload]]

_BOTH: dict[str, _Method] = {
    "ChangeAvailability": Answers.change_availability,
    "ClearCache": Answers.clear_cache,
    "DataTransfer": Answers.data_transfer,
    "GetLocalListVersion": Answers.get_local_list_version,
    "Reset": Answers.reset,
    "TriggerMessage": Answers.trigger_message,
    "UnlockConnector": Answers.unlock_connector,
}
_TABLE_16 = _BOTH | {
    "ChangeConfiguration": Answers.change_configuration,
    "GetConfiguration": Answers.get_configuration,
    "RemoteStartTransaction": Answers.remote_start,
    "RemoteStopTransaction": Answers.remote_stop,
}
_TABLE_2X = _BOTH | {
    "GetVariables": Answers.get_variables,
    "RequestStartTransaction": Answers.remote_start,
    "RequestStopTransaction": Answers.remote_stop,
    "SetVariables": Answers.set_variables,
}

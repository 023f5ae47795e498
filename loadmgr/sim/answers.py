"""How a simulated station answers its CSMS: truthfully, by what it holds and does.

Every action has one line in a table; what is not in it is answered NotSupported.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from loadmgr.bridge.profile_json import profile_from_json, profile_to_json
from loadmgr.bridge.profile_messages import (
    CallFault,
    clear_charging_profile,
    get_composite_schedule,
    set_charging_profile,
)
from loadmgr.errors import InputError
from loadmgr.model.profile import OcppVersion, ProfilePurpose
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
        self._table = _TABLE_16 if station.version is OcppVersion.V16 else _TABLE_2X

    async def on_call(self, action: str, payload: Payload, now: datetime) -> Payload:
        """Answer a call of the CSMS."""
        await self._station.before_answer()
        answer = self._table.get(action)
        if answer is None:
            raise NotSupportedError
        try:
            return await answer(self, payload, now)
        except InputError as error:
            raise CallRefused(Fault.FORMAT, str(error)[:255]) from error

    def on_disconnect(self, reason: str) -> None:
        """Take note that the link is down."""
        self._station.link_lost(reason)

    async def set_charging_profile(self, payload: Payload, now: datetime) -> Payload:
        """Install a profile, by the rules of the version."""
        answer = set_charging_profile(self._station.store, payload, now=now)
        self._station.refresh_all()
        return _result(answer)

    async def clear_charging_profile(self, payload: Payload, now: datetime) -> Payload:
        """Remove profiles."""
        answer = clear_charging_profile(self._station.store, payload)
        self._station.refresh_all()
        return answer

    async def get_composite_schedule(self, payload: Payload, now: datetime) -> Payload:
        """Tell what is in force."""
        return _result(get_composite_schedule(self._station.store, payload, now=now))

    async def get_charging_profiles(self, payload: Payload, now: datetime) -> Payload:
        """Tell what is installed (2.x): the answer first, the reports behind it."""
        asked = payload["chargingProfile"]
        found = [
            installed
            for installed in self._station.store.profiles
            if payload.get("evseId") in (None, installed.evse_id)
            and asked.get("stackLevel") in (None, installed.profile.stack_level)
            and ("chargingProfileId" not in asked or installed.profile.profile_id in asked["chargingProfileId"])
        ]
        if not found:
            return {"status": "NoProfiles"}
        reports = [
            {
                "requestId": payload["requestId"],
                "chargingLimitSource": "CSO",
                "tbc": index < len(found) - 1,
                "evseId": installed.evse_id,
                "chargingProfile": [profile_to_json(installed.profile, self._station.version)],
            }
            for index, installed in enumerate(found)
        ]
        self._station.spawn(self._station.report_profiles(reports))
        return _ACCEPTED

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
            profile = profile_from_json(payload["chargingProfile"], self._station.version, place="chargingProfile")
            if profile.purpose is not ProfilePurpose.TX:
                return _REJECTED
            if not self._station.store.set_for_start(bay.number, profile, now=now).accepted:
                return _REJECTED
        self._station.spawn(self._station.begin(bay, token, remote_start_id=payload.get("remoteStartId")))
        return _ACCEPTED

    async def remote_stop(self, payload: Payload, now: datetime) -> Payload:
        """Stop a transaction; the cable stays in."""
        bay = self._station.bay_of(str(payload["transactionId"]))
        if bay is None:
            return _REJECTED
        self._station.spawn(self._station.stop(bay, reason="Remote"))
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


def _result(answer: Payload | CallFault) -> Payload:
    if isinstance(answer, CallFault):
        raise CallRefused(Fault(answer.code), answer.description)
    return answer


_Method = Callable[[Answers, Payload, datetime], Awaitable[Payload]]

_BOTH: dict[str, _Method] = {
    "ChangeAvailability": Answers.change_availability,
    "ClearCache": Answers.clear_cache,
    "ClearChargingProfile": Answers.clear_charging_profile,
    "DataTransfer": Answers.data_transfer,
    "GetCompositeSchedule": Answers.get_composite_schedule,
    "GetLocalListVersion": Answers.get_local_list_version,
    "Reset": Answers.reset,
    "SetChargingProfile": Answers.set_charging_profile,
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
    "GetChargingProfiles": Answers.get_charging_profiles,
    "GetVariables": Answers.get_variables,
    "RequestStartTransaction": Answers.remote_start,
    "RequestStopTransaction": Answers.remote_stop,
    "SetVariables": Answers.set_variables,
}

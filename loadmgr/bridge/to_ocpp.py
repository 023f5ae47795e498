"""From commands to messages of a station's version: an action and its payload as it goes on the wire."""

from collections.abc import Mapping
from typing import Any, assert_never

from loadmgr.bridge.profile_json import PURPOSE_WORDS, profile_to_json
from loadmgr.control.command import (
    ClearProfile,
    Command,
    ReadBack,
    ReadCapabilities,
    ReadForeign,
    SetAvailability,
    SetProfile,
    StopTransaction,
    TriggerReading,
)
from loadmgr.model.profile import OcppVersion, ProfilePurpose
from ocpp_link.capabilities import question

Message = tuple[str, dict[str, Any]]


def request(command: Command, *, version: OcppVersion) -> Message:
    """Return the action and the payload that say a command to a station of a version.

    Raises
    ------
    ValueError
        If the version cannot say it: a clear that selects nothing, in 2.x (K10.FR.02); limits of others, in 1.6.
    InputError
        If a profile holds what the version lacks.
    """
    old = version is OcppVersion.V16
    match command:
        case SetProfile():
            return "SetChargingProfile", _set(command, version)
        case ClearProfile():
            return "ClearChargingProfile", _clear_16(command) if old else _clear_2x(command, version)
        case ReadBack():
            return "GetCompositeSchedule", {
                "connectorId" if old else "evseId": command.number,
                "duration": command.duration_s,
                "chargingRateUnit": command.unit.value,
            }
        case ReadCapabilities():
            return question(version.value, v2x_evses=command.v2x_evses, phase_evses=command.phase_evses)
        case ReadForeign():
            return "GetChargingProfiles", _foreign(command, version)
        case TriggerReading():
            where = {"connectorId": command.number} if old else {"evse": {"id": command.number}}
            return "TriggerMessage", {"requestedMessage": "MeterValues", **where}
        case StopTransaction():
            return _stop(command, version)
        case SetAvailability():
            return "ChangeAvailability", _availability(command, version)
        case _:
            assert_never(command)


def without_transaction(payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a SetChargingProfile that does not name its transaction; ``None`` where it never did.

    Examples
    --------
    >>> without_transaction({"connectorId": 1, "csChargingProfiles": {"transactionId": 7, "stackLevel": 0}})
    {'connectorId': 1, 'csChargingProfiles': {'stackLevel': 0}}
    """
    for key in ("csChargingProfiles", "chargingProfile"):
        profile = payload.get(key)
        if isinstance(profile, Mapping) and "transactionId" in profile:
            return {**payload, key: {name: value for name, value in profile.items() if name != "transactionId"}}
    return None


def _set(command: SetProfile, version: OcppVersion) -> dict[str, Any]:
    profile = profile_to_json(command.profile, version)
    if version is OcppVersion.V16:
        return {"connectorId": command.number, "csChargingProfiles": profile}
    return {"evseId": command.number, "chargingProfile": profile}


def _foreign(command: ReadForeign, version: OcppVersion) -> dict[str, Any]:
    purpose = PURPOSE_WORDS[version].get(ProfilePurpose.EXTERNAL_CONSTRAINTS)
    if purpose is None:
        raise ValueError(f"OCPP {version.value} has no message that asks for installed profiles")
    return {"requestId": command.id, "chargingProfile": {"chargingProfilePurpose": purpose}}


def _stop(command: StopTransaction, version: OcppVersion) -> Message:
    if version is OcppVersion.V16:
        return "RemoteStopTransaction", {"transactionId": int(command.transaction)}
    return "RequestStopTransaction", {"transactionId": command.transaction}


def _availability(command: SetAvailability, version: OcppVersion) -> dict[str, Any]:
    word = "Operative" if command.operative else "Inoperative"
    if version is OcppVersion.V16:
        return {"connectorId": command.number, "type": word}
    return {"operationalStatus": word, "evse": {"id": command.number}}


def _purpose(command: ClearProfile, version: OcppVersion) -> str | None:
    return None if command.purpose is None else PURPOSE_WORDS[version][command.purpose]


def _present(**fields: object) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _clear_16(command: ClearProfile) -> dict[str, Any]:
    return _present(
        id=command.profile_id,
        connectorId=command.number,
        chargingProfilePurpose=_purpose(command, OcppVersion.V16),
        stackLevel=command.stack_level,
    )


def _clear_2x(command: ClearProfile, version: OcppVersion) -> dict[str, Any]:
    criteria = _present(
        evseId=command.number,
        chargingProfilePurpose=_purpose(command, version),
        stackLevel=command.stack_level,
    )
    payload = _present(chargingProfileId=command.profile_id, chargingProfileCriteria=criteria or None)
    if not payload:
        raise ValueError("a ClearProfile for OCPP 2.x must name an id, an EVSE, a purpose or a stack level (K10.FR.02)")
    return payload

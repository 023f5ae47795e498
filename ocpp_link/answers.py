"""Sensible answers, out of the box, to every action of every version: pure functions from a call to its response.

Rule 1: what costs nothing to acknowledge is acknowledged; what promises something that nobody here will keep (sign a
    certificate, compute a schedule, open a stream) is declined in the words that the action has for it.
Rule 2: no answer depends on anything but the call, the time and the few arguments.
"""

from collections import OrderedDict
from datetime import datetime
from typing import Any

from ocpp_link.dialect import Role, Version, actions
from ocpp_link.errors import NotSupportedError
from ocpp_link.timestamps import to_wire

_Payload = dict[str, Any]

_CSMS_STATUS = {
    "DataTransfer": "UnknownVendorId",
    "GetCertificateStatus": "Failed",
    "NotifyEVChargingNeeds": "Rejected",
    "NotifyEVChargingSchedule": "Accepted",
    "OpenPeriodicEventStream": "Rejected",
    "PullDynamicScheduleUpdate": "Rejected",
    "SignCertificate": "Rejected",
}

_ACKNOWLEDGED_NAMES = (
    "BatterySwap ClearedChargingLimit ClosePeriodicEventStream DiagnosticsStatusNotification"
    " FirmwareStatusNotification LogStatusNotification MeterValues NotifyChargingLimit NotifyCustomerInformation"
    " NotifyDERAlarm NotifyDERStartStop NotifyDisplayMessages NotifyEvent NotifyMonitoringReport"
    " NotifyPeriodicEventStream NotifyPriorityCharging NotifyReport NotifySettlement"
    " PublishFirmwareStatusNotification ReportChargingProfiles ReportDERControl ReservationStatusUpdate"
    " SecurityEventNotification SignedFirmwareStatusNotification StatusNotification"
)
_CSMS_ACKNOWLEDGED = frozenset(_ACKNOWLEDGED_NAMES.split())


class TransactionIds:
    """Gives 1.6 transactions their ids: the same start told again gets the same id.

    Stations repeat StartTransaction after a lost answer (same connector, token, time and register).

    Parameters
    ----------
    first_id
        The first id given out; choose one that no earlier process used.
    """

    _REMEMBERED = 4096

    def __init__(self, *, first_id: int = 1) -> None:
        self._next_id = first_id
        self._given: OrderedDict[tuple[object, ...], int] = OrderedDict()

    def id_for(self, station_id: str, payload: _Payload) -> int:
        """Return the id of the transaction that a StartTransaction opens.

        Examples
        --------
        >>> ids = TransactionIds(first_id=7)
        >>> start = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": "2024-01-17T12:00:00Z"}
        >>> ids.id_for("CS", start), ids.id_for("CS", start), ids.id_for("CS", start | {"connectorId": 2})
        (7, 7, 8)
        """
        key = (station_id, *(payload.get(name) for name in ("connectorId", "idTag", "timestamp", "meterStart")))
        known = self._given.get(key)
        if known is not None:
            return known
        self._given[key] = given = self._next_id
        self._next_id += 1
        if len(self._given) > self._REMEMBERED:
            self._given.popitem(last=False)
        return given


def csms_answer(
    version: Version,
    action: str,
    payload: _Payload,
    *,
    now: datetime,
    heartbeat_interval_s: int = 300,
    transaction_id: int = 1,
    token_status: str = "Accepted",
) -> _Payload:
    """Answer a station's call as a CSMS that knows nothing in particular.

    Parameters
    ----------
    version, action, payload
        The call.
    now
        The time.
    heartbeat_interval_s
        What BootNotification is told [s].
    transaction_id
        What StartTransaction is told (1.6).
    token_status
        What is said of a token.

    Raises
    ------
    NotSupportedError
        If the action is none that a station of this version sends.

    Examples
    --------
    >>> from datetime import UTC
    >>> csms_answer("2.1", "SignCertificate", {"csr": "..."}, now=datetime(2024, 1, 17, tzinfo=UTC))
    {'status': 'Rejected'}
    """
    row = actions(version).get(action)
    if row is None or not row.may_come_from(Role.STATION):
        raise NotSupportedError
    if action in _CSMS_ACKNOWLEDGED:
        return {}
    if action in _CSMS_STATUS:
        return {"status": _CSMS_STATUS[action]}
    match action:
        case "BootNotification":
            return {"status": "Accepted", "currentTime": to_wire(now), "interval": heartbeat_interval_s}
        case "Authorize":
            return {"idTagInfo" if version == "1.6" else "idTokenInfo": {"status": token_status}}
        case "StartTransaction":
            return {"transactionId": transaction_id, "idTagInfo": {"status": token_status}}
        case "StopTransaction":
            return {"idTagInfo": {"status": "Accepted"}} if "idTag" in payload else {}
        case "TransactionEvent":
            return {"idTokenInfo": {"status": token_status}} if "idToken" in payload else {}
        case _:
            return _csms_other(action, payload, now)


def _csms_other(action: str, payload: _Payload, now: datetime) -> _Payload:
    match action:
        case "Heartbeat":
            return {"currentTime": to_wire(now)}
        case "Get15118EVCertificate":
            return {"status": "Failed", "exiResponse": ""}
        case "GetCertificateChainStatus":
            return _chain_status(payload, now)
        case "VatNumberValidation":
            known: _Payload = {name: payload[name] for name in ("vatNumber", "evseId") if name in payload}
            return {"status": "Rejected", **known}
        case _:
            raise NotSupportedError


def _chain_status(payload: _Payload, now: datetime) -> _Payload:
    requested = payload["certificateStatusRequests"]
    return {
        "certificateStatus": [
            {
                "certificateHashData": each["certificateHashData"],
                "source": each["source"],
                "status": "Failed",
                "nextUpdate": to_wire(now),
            }
            for each in requested
        ]
    }


_STATION_STATUS = {
    "AFRRSignal": "Rejected",
    "AdjustPeriodicEventStream": "Rejected",
    "CancelReservation": "Rejected",
    "CertificateSigned": "Rejected",
    "ChangeAvailability": "Accepted",
    "ChangeConfiguration": "Accepted",
    "ChangeTransactionTariff": "Rejected",
    "ClearCache": "Accepted",
    "ClearChargingProfile": "Accepted",
    "ClearDERControl": "NotSupported",
    "ClearDisplayMessage": "Unknown",
    "CustomerInformation": "Rejected",
    "DataTransfer": "UnknownVendorId",
    "DeleteCertificate": "NotFound",
    "ExtendedTriggerMessage": "Accepted",
    "GetBaseReport": "NotSupported",
    "GetChargingProfiles": "NoProfiles",
    "GetCompositeSchedule": "Rejected",
    "GetDERControl": "NotSupported",
    "GetDisplayMessages": "Unknown",
    "GetInstalledCertificateIds": "NotFound",
    "GetLog": "Rejected",
    "GetMonitoringReport": "NotSupported",
    "GetReport": "NotSupported",
    "GetTariffs": "NoTariff",
    "InstallCertificate": "Rejected",
    "NotifyAllowedEnergyTransfer": "Rejected",
    "PublishFirmware": "Rejected",
    "RemoteStartTransaction": "Accepted",
    "RemoteStopTransaction": "Accepted",
    "RequestBatterySwap": "Rejected",
    "RequestStartTransaction": "Accepted",
    "RequestStopTransaction": "Accepted",
    "ReserveNow": "Rejected",
    "Reset": "Accepted",
    "SendLocalList": "Failed",
    "SetChargingProfile": "Accepted",
    "SetDERControl": "NotSupported",
    "SetDefaultTariff": "Rejected",
    "SetDisplayMessage": "Rejected",
    "SetMonitoringBase": "NotSupported",
    "SetMonitoringLevel": "Rejected",
    "SetNetworkProfile": "Rejected",
    "SignedUpdateFirmware": "Rejected",
    "TriggerMessage": "Accepted",
    "UnlockConnector": "UnlockFailed",
    "UnpublishFirmware": "NoFirmware",
    "UpdateDynamicSchedule": "Rejected",
    "UsePriorityCharging": "NoProfile",
}

_STATION_OTHER: dict[str, _Payload] = {
    "CostUpdated": {},
    "GetDiagnostics": {},
    "GetPeriodicEventStream": {},
    "GetTransactionStatus": {"messagesInQueue": False},
    "NotifyWebPaymentStarted": {},
}


def station_answer(version: Version, action: str, payload: _Payload) -> _Payload:
    """Answer a CSMS's call as a plain charging station without extras.

    Raises
    ------
    NotSupportedError
        If the action is none that a CSMS of this version sends.

    Examples
    --------
    >>> station_answer("2.0.1", "GetChargingProfiles", {"requestId": 1, "chargingProfile": {}})
    {'status': 'NoProfiles'}
    """
    row = actions(version).get(action)
    if row is None or not row.may_come_from(Role.CSMS):
        raise NotSupportedError
    if action == "SetDisplayMessage" and version == "2.0.1":
        return {"status": "NotSupportedState"}
    if action == "UpdateFirmware":
        return {} if version == "1.6" else {"status": "Rejected"}
    if action == "GetLocalListVersion":
        return {"listVersion" if version == "1.6" else "versionNumber": 0}
    if action == "GetConfiguration":
        return {"unknownKey": payload["key"]} if payload.get("key") else {}
    if action in _STATION_STATUS:
        return {"status": _STATION_STATUS[action]}
    if action in _STATION_OTHER:
        return dict(_STATION_OTHER[action])
    return _per_item(action, payload)


def _per_item(action: str, payload: _Payload) -> _Payload:
    """Answer the actions that want one result for each item of the request."""
    match action:
        case "GetVariables" | "SetVariables":
            items = payload[action[0].lower() + action[1:-1] + "Data"]
            result = [_unknown(each, "attributeStatus", "UnknownComponent") for each in items]
            return {action[0].lower() + action[1:-1] + "Result": result}
        case "SetVariableMonitoring":
            items = payload["setMonitoringData"]
            result = [
                {**_unknown(each, "status", "UnknownComponent"), "type": each["type"], "severity": each["severity"]}
                for each in items
            ]
            return {"setMonitoringResult": result}
        case "ClearVariableMonitoring":
            return {"clearMonitoringResult": [{"status": "NotFound", "id": number} for number in payload["id"]]}
        case "ClearTariffs":
            named = [{"tariffId": each, "status": "NoTariff"} for each in payload.get("tariffIds", ())]
            return {"clearTariffsResult": named or [{"status": "NoTariff"}]}
        case _:
            raise NotSupportedError


def _unknown(item: _Payload, status_name: str, status: str) -> _Payload:
    kept: _Payload = {name: item[name] for name in ("attributeType", "component", "variable") if name in item}
    return {status_name: status, **kept}

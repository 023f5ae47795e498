"""How a charging station says things in each version: pure functions from intentions to payloads and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ocpp_link.dialect import Version
from ocpp_link.timestamps import from_wire, to_wire_ms

Message = tuple[str, dict[str, Any]]
"""An action and its payload."""

ENERGY = "Energy.Active.Import.Register"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootReply:
    """The CSMS's answer to BootNotification."""

    status: str
    interval_s: int
    current_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StartReply:
    """The CSMS's answer to the start of a transaction."""

    transaction_id: str
    status: str
    """Of the token: ``Accepted``, ``Invalid``, ..."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled value."""

    value: float
    measurand: str = ENERGY
    unit: str | None = None
    """The measurand's SI unit if absent."""
    phase: str | None = None
    context: str = "Sample.Periodic"
    location: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """An open transaction as the station knows it."""

    evse_id: int
    transaction_id: str
    """Empty in 1.6 until the CSMS has named it."""
    id_token: str
    seq_no: int = 0
    """Of the last TransactionEvent (2.x)."""
    charging_state: str | None = None
    offline: bool = False
    """What is told of it now happened while there was no connection (2.x)."""


class StationTalk(Protocol):
    """One version's way of saying things."""

    repeats_status: bool
    """Whether the same connector status is worth telling again (1.6: the finer words are the status)."""

    def boot(self, reason: str, **nameplate: str | None) -> dict[str, Any]:
        """Return BootNotification."""

    def boot_reply(self, answer: dict[str, Any]) -> BootReply:
        """Read its answer."""

    def connector_status(self, status: str) -> str:
        """Return this version's word for a 1.6 status."""

    def charging_state(self, status: str) -> str | None:
        """Return the charging state that a 1.6 status means; ``None`` where this version has none."""

    def status(self, place: tuple[int, int], status: str, error_code: str, now: datetime) -> dict[str, Any]:
        """Return StatusNotification for ``(evse_id, connector_id)``."""

    def authorize(self, id_token: str) -> dict[str, Any]:
        """Return Authorize."""

    def authorize_status(self, answer: dict[str, Any]) -> str:
        """Read its answer."""

    def new_transaction_id(self, evse_id: int, now: datetime) -> str:
        """Return the id of a new transaction; empty where the CSMS names it."""

    def start(self, transaction: Transaction, meter_wh: float, remote_start_id: int | None, now: datetime) -> Message:
        """Return the message that opens a transaction."""

    def start_reply(self, transaction: Transaction, answer: dict[str, Any]) -> StartReply:
        """Read its answer."""

    def updated(self, transaction: Transaction, trigger: str, now: datetime) -> dict[str, Any]:
        """Return the TransactionEvent that tells of a changed charging state (2.x)."""

    def meter_values(
        self, evse_id: int, transaction: Transaction | None, samples: Sequence[Sample], now: datetime
    ) -> Message:
        """Return the message that reports samples."""

    def stop(self, transaction: Transaction, meter_wh: float, reason: str, now: datetime) -> Message:
        """Return the message that ends a transaction."""


def default_unit(measurand: str) -> str | None:
    """Return the SI unit of a measurand; ``None`` for one without.

    Examples
    --------
    >>> default_unit("Power.Active.Import"), default_unit("Energy.Reactive.Export.Register"), default_unit("Frequency")
    ('W', 'varh', None)
    """
    family, _, rest = measurand.partition(".")
    if family in ("Energy", "Power"):
        reactive = rest.startswith("Reactive")
        apparent = rest.startswith("Apparent")
        base = "var" if reactive else "VA" if apparent else "W"
        return base + "h" if family == "Energy" else base
    return {"Current": "A", "Voltage": "V", "SoC": "Percent", "Temperature": "Celsius"}.get(family)


def _plain_number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _without_none(items: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in items.items() if value is not None}


class _Talk16:
    repeats_status = True

    def boot(self, reason: str, **nameplate: str | None) -> dict[str, Any]:
        return _without_none(
            {
                "chargePointVendor": nameplate["vendor"],
                "chargePointModel": nameplate["model"],
                "firmwareVersion": nameplate["firmware"],
                "chargePointSerialNumber": nameplate["serial"],
            }
        )

    def boot_reply(self, answer: dict[str, Any]) -> BootReply:
        return BootReply(
            status=answer["status"], interval_s=answer["interval"], current_time=from_wire(answer["currentTime"])
        )

    def connector_status(self, status: str) -> str:
        return status

    def charging_state(self, status: str) -> str | None:
        return None

    def status(self, place: tuple[int, int], status: str, error_code: str, now: datetime) -> dict[str, Any]:
        return {"connectorId": place[0], "errorCode": error_code, "status": status, "timestamp": to_wire_ms(now)}

    def authorize(self, id_token: str) -> dict[str, Any]:
        return {"idTag": id_token}

    def authorize_status(self, answer: dict[str, Any]) -> str:
        status: str = answer["idTagInfo"]["status"]
        return status

    def new_transaction_id(self, evse_id: int, now: datetime) -> str:
        return ""

    def start(self, transaction: Transaction, meter_wh: float, remote_start_id: int | None, now: datetime) -> Message:
        return "StartTransaction", {
            "connectorId": transaction.evse_id,
            "idTag": transaction.id_token,
            "meterStart": round(meter_wh),
            "timestamp": to_wire_ms(now),
        }

    def start_reply(self, transaction: Transaction, answer: dict[str, Any]) -> StartReply:
        return StartReply(transaction_id=str(answer["transactionId"]), status=answer["idTagInfo"]["status"])

    def updated(self, transaction: Transaction, trigger: str, now: datetime) -> dict[str, Any]:
        raise NotImplementedError("1.6 has no charging state")  # charging_state() is None, so nobody comes here

    def meter_values(
        self, evse_id: int, transaction: Transaction | None, samples: Sequence[Sample], now: datetime
    ) -> Message:
        payload: dict[str, Any] = {
            "connectorId": evse_id,
            "meterValue": [{"timestamp": to_wire_ms(now), "sampledValue": [self._sample(each) for each in samples]}],
        }
        if transaction is not None and transaction.transaction_id:
            payload["transactionId"] = int(transaction.transaction_id)
        return "MeterValues", payload

    def stop(self, transaction: Transaction, meter_wh: float, reason: str, now: datetime) -> Message:
        return "StopTransaction", {
            "transactionId": int(transaction.transaction_id),
            "idTag": transaction.id_token,
            "meterStop": round(meter_wh),
            "timestamp": to_wire_ms(now),
            "reason": reason if reason in _REASONS_16 else "Other",
        }

    def _sample(self, sample: Sample) -> dict[str, Any]:
        return _without_none(
            {
                "value": _plain_number(sample.value),
                "context": sample.context,
                "measurand": sample.measurand,
                "phase": sample.phase,
                "location": sample.location,
                "unit": sample.unit or default_unit(sample.measurand),
            }
        )


_REASON_NAMES_16 = (
    "EmergencyStop EVDisconnected HardReset Local Other PowerLoss Reboot Remote SoftReset UnlockCommand DeAuthorized"
)
_REASONS_16 = frozenset(_REASON_NAMES_16.split())
_REASONS_2 = {"HardReset": "ImmediateReset", "SoftReset": "ImmediateReset", "UnlockCommand": "Other"}
_STOP_TRIGGERS = {
    "DeAuthorized": "Deauthorized",
    "EVDisconnected": "EVCommunicationLost",
    "ImmediateReset": "ResetCommand",
    "Local": "StopAuthorized",
    "Remote": "RemoteStop",
}
_STATES_2 = {
    "Charging": "Charging",
    "Finishing": "EVConnected",
    "Preparing": "EVConnected",
    "SuspendedEV": "SuspendedEV",
    "SuspendedEVSE": "SuspendedEVSE",
}
_METER_TRIGGERS = {"Sample.Clock": "MeterValueClock", "Trigger": "Trigger"}


class _Talk2:
    repeats_status = False

    def boot(self, reason: str, **nameplate: str | None) -> dict[str, Any]:
        station = {
            "vendorName": nameplate["vendor"],
            "model": nameplate["model"],
            "firmwareVersion": nameplate["firmware"],
            "serialNumber": nameplate["serial"],
        }
        return {"reason": reason, "chargingStation": _without_none(station)}

    def boot_reply(self, answer: dict[str, Any]) -> BootReply:
        return BootReply(
            status=answer["status"], interval_s=answer["interval"], current_time=from_wire(answer["currentTime"])
        )

    def connector_status(self, status: str) -> str:
        return "Occupied" if status in _STATES_2 else status

    def charging_state(self, status: str) -> str | None:
        return _STATES_2.get(status)

    def status(self, place: tuple[int, int], status: str, error_code: str, now: datetime) -> dict[str, Any]:
        return {
            "timestamp": to_wire_ms(now),
            "connectorStatus": status,
            "evseId": place[0],
            "connectorId": place[1],
        }

    def authorize(self, id_token: str) -> dict[str, Any]:
        return {"idToken": _id_token(id_token)}

    def authorize_status(self, answer: dict[str, Any]) -> str:
        status: str = answer["idTokenInfo"]["status"]
        return status

    def new_transaction_id(self, evse_id: int, now: datetime) -> str:
        return f"{now:%Y%m%dT%H%M%S%f}-{evse_id}"

    def start(self, transaction: Transaction, meter_wh: float, remote_start_id: int | None, now: datetime) -> Message:
        trigger = "Authorized" if remote_start_id is None else "RemoteStart"
        payload = self._event("Started", transaction, trigger, now)
        payload["transactionInfo"]["chargingState"] = "EVConnected"
        if remote_start_id is not None:
            payload["transactionInfo"]["remoteStartId"] = remote_start_id
        payload["idToken"] = _id_token(transaction.id_token)
        payload["meterValue"] = [self._meter_value([Sample(meter_wh, context="Transaction.Begin")], now)]
        return "TransactionEvent", payload

    def start_reply(self, transaction: Transaction, answer: dict[str, Any]) -> StartReply:
        status = answer.get("idTokenInfo", {}).get("status", "Accepted")
        return StartReply(transaction_id=transaction.transaction_id, status=status)

    def updated(self, transaction: Transaction, trigger: str, now: datetime) -> dict[str, Any]:
        return self._event("Updated", transaction, trigger, now)

    def meter_values(
        self, evse_id: int, transaction: Transaction | None, samples: Sequence[Sample], now: datetime
    ) -> Message:
        value = self._meter_value(samples, now)
        if transaction is None:
            return "MeterValues", {"evseId": evse_id, "meterValue": [value]}
        trigger = _METER_TRIGGERS.get(samples[0].context, "MeterValuePeriodic")
        payload = self._event("Updated", transaction, trigger, now)
        payload["meterValue"] = [value]
        return "TransactionEvent", payload

    def stop(self, transaction: Transaction, meter_wh: float, reason: str, now: datetime) -> Message:
        stopped = _REASONS_2.get(reason, reason)
        payload = self._event("Ended", transaction, _STOP_TRIGGERS.get(stopped, "AbnormalCondition"), now)
        payload["transactionInfo"]["stoppedReason"] = stopped
        payload["meterValue"] = [self._meter_value([Sample(meter_wh, context="Transaction.End")], now)]
        return "TransactionEvent", payload

    def _event(self, kind: str, transaction: Transaction, trigger: str, now: datetime) -> dict[str, Any]:
        info = {"transactionId": transaction.transaction_id, "chargingState": transaction.charging_state}
        marks = {"offline": True} if transaction.offline else {}
        return marks | {
            "eventType": kind,
            "timestamp": to_wire_ms(now),
            "triggerReason": trigger,
            "seqNo": transaction.seq_no,
            "transactionInfo": _without_none(info),
            "evse": {"id": transaction.evse_id, "connectorId": 1},
        }

    def _meter_value(self, samples: Sequence[Sample], now: datetime) -> dict[str, Any]:
        return {"timestamp": to_wire_ms(now), "sampledValue": [self._sample(each) for each in samples]}

    def _sample(self, sample: Sample) -> dict[str, Any]:
        unit = sample.unit or default_unit(sample.measurand)
        return _without_none(
            {
                "value": round(sample.value, 3),
                "context": sample.context,
                "measurand": sample.measurand,
                "phase": sample.phase,
                "location": sample.location,
                "unitOfMeasure": None if unit is None else {"unit": unit},
            }
        )


def _id_token(id_token: str) -> dict[str, str]:
    return {"idToken": id_token, "type": "ISO14443"}


def talk_of(version: Version) -> StationTalk:
    """Return a version's way of saying things; 2.1 says these things as 2.0.1 does."""
    return _Talk16() if version == "1.6" else _Talk2()

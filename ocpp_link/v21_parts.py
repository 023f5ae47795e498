"""Typed messages of OCPP 2.1 beside smart charging, where they differ from 2.0.1; import them from `ocpp_link.v21`."""

from typing import Annotated, Any

from ocpp_link import v201_parts
from ocpp_link.message import Message, Time, wire
from ocpp_link.v201_parts import EVSE, IdToken, MessageContent, UnitOfMeasure


class IdTokenInfo(Message):
    """Id token info."""

    status: str
    cache_expiry_date_time: Annotated[Time | None, wire("cacheExpiryDateTime")] = None
    charging_priority: Annotated[int | None, wire("chargingPriority")] = None
    group_id_token: Annotated[IdToken | None, wire("groupIdToken")] = None
    language1: str | None = None
    language2: str | None = None
    evse_id: Annotated[tuple[int, ...] | None, wire("evseId")] = None
    personal_message: Annotated[MessageContent | None, wire("personalMessage")] = None


class AuthorizeResponse(Message):
    """Answer to Authorize."""

    id_token_info: Annotated[IdTokenInfo, wire("idTokenInfo")]
    certificate_status: Annotated[str | None, wire("certificateStatus")] = None
    allowed_energy_transfer: Annotated[tuple[str, ...] | None, wire("allowedEnergyTransfer")] = None
    tariff: dict[str, Any] | None = None


class Transaction(Message):
    """Transaction."""

    transaction_id: Annotated[str, wire("transactionId")]
    charging_state: Annotated[str | None, wire("chargingState")] = None
    time_spent_charging: Annotated[int | None, wire("timeSpentCharging")] = None
    stopped_reason: Annotated[str | None, wire("stoppedReason")] = None
    remote_start_id: Annotated[int | None, wire("remoteStartId")] = None
    operation_mode: Annotated[str | None, wire("operationMode")] = None
    tariff_id: Annotated[str | None, wire("tariffId")] = None
    transaction_limit: Annotated[dict[str, Any] | None, wire("transactionLimit")] = None


class SampledValue(Message):
    """Sampled value."""

    value: float
    measurand: str | None = None
    context: str | None = None
    phase: str | None = None
    location: str | None = None
    signed_meter_value: Annotated[dict[str, Any] | None, wire("signedMeterValue")] = None
    unit_of_measure: Annotated[UnitOfMeasure | None, wire("unitOfMeasure")] = None


class MeterValue(Message):
    """Meter value."""

    sampled_value: Annotated[tuple[SampledValue, ...], wire("sampledValue")]
    timestamp: Time


class TransactionEventRequest(Message):
    """TransactionEvent."""

    event_type: Annotated[str, wire("eventType")]
    timestamp: Time
    trigger_reason: Annotated[str, wire("triggerReason")]
    seq_no: Annotated[int, wire("seqNo")]
    transaction_info: Annotated[Transaction, wire("transactionInfo")]
    cost_details: Annotated[dict[str, Any] | None, wire("costDetails")] = None
    meter_value: Annotated[tuple[MeterValue, ...] | None, wire("meterValue")] = None
    offline: bool | None = None
    number_of_phases_used: Annotated[int | None, wire("numberOfPhasesUsed")] = None
    cable_max_current: Annotated[int | None, wire("cableMaxCurrent")] = None
    reservation_id: Annotated[int | None, wire("reservationId")] = None
    preconditioning_status: Annotated[str | None, wire("preconditioningStatus")] = None
    evse_sleep: Annotated[bool | None, wire("evseSleep")] = None
    evse: EVSE | None = None
    id_token: Annotated[IdToken | None, wire("idToken")] = None


class TransactionEventResponse(Message):
    """Answer to TransactionEvent."""

    total_cost: Annotated[float | None, wire("totalCost")] = None
    charging_priority: Annotated[int | None, wire("chargingPriority")] = None
    id_token_info: Annotated[IdTokenInfo | None, wire("idTokenInfo")] = None
    transaction_limit: Annotated[dict[str, Any] | None, wire("transactionLimit")] = None
    updated_personal_message: Annotated[dict[str, Any] | None, wire("updatedPersonalMessage")] = None
    more_personal_messages: Annotated[tuple[MessageContent, ...] | None, wire("updatedPersonalMessageExtra")] = None


class MeterValuesRequest(Message):
    """MeterValues."""

    evse_id: Annotated[int, wire("evseId")]
    meter_value: Annotated[tuple[MeterValue, ...], wire("meterValue")]


class VariableCharacteristics(v201_parts.VariableCharacteristics):
    """Variable characteristics."""

    max_elements: Annotated[int | None, wire("maxElements")] = None


class ReportData(v201_parts.ReportData):
    """Report data."""

    variable_characteristics: Annotated[VariableCharacteristics | None, wire("variableCharacteristics")] = None


class NotifyReportRequest(v201_parts.NotifyReportRequest):
    """NotifyReport."""

    report_data: Annotated[tuple[ReportData, ...] | None, wire("reportData")] = None


class TriggerMessageRequest(v201_parts.TriggerMessageRequest):
    """TriggerMessage."""

    custom_trigger: Annotated[str | None, wire("customTrigger")] = None

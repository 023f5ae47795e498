"""Typed messages of OCPP 2.0.1 beside smart charging; import them from `ocpp_link.v201`."""

from typing import Annotated, Any

from ocpp_link.message import Message, Time, wire


class Modem(Message):
    """Modem."""

    iccid: str | None = None
    imsi: str | None = None


class ChargingStation(Message):
    """Charging station."""

    model: str
    vendor_name: Annotated[str, wire("vendorName")]
    serial_number: Annotated[str | None, wire("serialNumber")] = None
    modem: Modem | None = None
    firmware_version: Annotated[str | None, wire("firmwareVersion")] = None


class BootNotificationRequest(Message):
    """BootNotification."""

    charging_station: Annotated[ChargingStation, wire("chargingStation")]
    reason: str


class StatusInfo(Message):
    """Status info."""

    reason_code: Annotated[str, wire("reasonCode")]
    additional_info: Annotated[str | None, wire("additionalInfo")] = None


class BootNotificationResponse(Message):
    """Answer to BootNotification."""

    current_time: Annotated[Time, wire("currentTime")]
    interval: int
    status: str
    status_info: Annotated[StatusInfo | None, wire("statusInfo")] = None


class HeartbeatRequest(Message):
    """Heartbeat."""


class HeartbeatResponse(Message):
    """Answer to Heartbeat."""

    current_time: Annotated[Time, wire("currentTime")]


class StatusNotificationRequest(Message):
    """StatusNotification."""

    timestamp: Time
    connector_status: Annotated[str, wire("connectorStatus")]
    evse_id: Annotated[int, wire("evseId")]
    connector_id: Annotated[int, wire("connectorId")]


class StatusNotificationResponse(Message):
    """Answer to StatusNotification."""


class IdToken(Message):
    """Id token."""

    id_token: Annotated[str, wire("idToken")]
    type: str
    additional_info: Annotated[tuple[dict[str, Any], ...] | None, wire("additionalInfo")] = None


class AuthorizeRequest(Message):
    """Authorize."""

    id_token: Annotated[IdToken, wire("idToken")]
    certificate: str | None = None
    ocsp_requests: Annotated[tuple[dict[str, Any], ...] | None, wire("iso15118CertificateHashData")] = None


class MessageContent(Message):
    """Message content."""

    format: str
    content: str
    language: str | None = None


class IdTokenInfo(Message):
    """Id token info."""

    status: str
    cache_expiry_date_time: Annotated[Time | None, wire("cacheExpiryDateTime")] = None
    charging_priority: Annotated[int | None, wire("chargingPriority")] = None
    language1: str | None = None
    evse_id: Annotated[tuple[int, ...] | None, wire("evseId")] = None
    group_id_token: Annotated[IdToken | None, wire("groupIdToken")] = None
    language2: str | None = None
    personal_message: Annotated[MessageContent | None, wire("personalMessage")] = None


class AuthorizeResponse(Message):
    """Answer to Authorize."""

    id_token_info: Annotated[IdTokenInfo, wire("idTokenInfo")]
    certificate_status: Annotated[str | None, wire("certificateStatus")] = None


class Transaction(Message):
    """Transaction."""

    transaction_id: Annotated[str, wire("transactionId")]
    charging_state: Annotated[str | None, wire("chargingState")] = None
    time_spent_charging: Annotated[int | None, wire("timeSpentCharging")] = None
    stopped_reason: Annotated[str | None, wire("stoppedReason")] = None
    remote_start_id: Annotated[int | None, wire("remoteStartId")] = None


class UnitOfMeasure(Message):
    """Unit of measure."""

    unit: str | None = None
    multiplier: int | None = None


class SampledValue(Message):
    """Sampled value."""

    value: float
    context: str | None = None
    measurand: str | None = None
    phase: str | None = None
    location: str | None = None
    signed_meter_value: Annotated[dict[str, Any] | None, wire("signedMeterValue")] = None
    unit_of_measure: Annotated[UnitOfMeasure | None, wire("unitOfMeasure")] = None


class MeterValue(Message):
    """Meter value."""

    sampled_value: Annotated[tuple[SampledValue, ...], wire("sampledValue")]
    timestamp: Time


class EVSE(Message):
    """EVSE."""

    id: int
    connector_id: Annotated[int | None, wire("connectorId")] = None


class TransactionEventRequest(Message):
    """TransactionEvent."""

    event_type: Annotated[str, wire("eventType")]
    timestamp: Time
    trigger_reason: Annotated[str, wire("triggerReason")]
    seq_no: Annotated[int, wire("seqNo")]
    transaction_info: Annotated[Transaction, wire("transactionInfo")]
    meter_value: Annotated[tuple[MeterValue, ...] | None, wire("meterValue")] = None
    offline: bool | None = None
    number_of_phases_used: Annotated[int | None, wire("numberOfPhasesUsed")] = None
    cable_max_current: Annotated[int | None, wire("cableMaxCurrent")] = None
    reservation_id: Annotated[int | None, wire("reservationId")] = None
    evse: EVSE | None = None
    id_token: Annotated[IdToken | None, wire("idToken")] = None


class TransactionEventResponse(Message):
    """Answer to TransactionEvent."""

    total_cost: Annotated[float | None, wire("totalCost")] = None
    charging_priority: Annotated[int | None, wire("chargingPriority")] = None
    id_token_info: Annotated[IdTokenInfo | None, wire("idTokenInfo")] = None
    updated_personal_message: Annotated[dict[str, Any] | None, wire("updatedPersonalMessage")] = None


class MeterValuesRequest(Message):
    """MeterValues."""

    evse_id: Annotated[int, wire("evseId")]
    meter_value: Annotated[tuple[MeterValue, ...], wire("meterValue")]


class MeterValuesResponse(Message):
    """Answer to MeterValues."""


class Component(Message):
    """Component."""

    name: str
    evse: EVSE | None = None
    instance: str | None = None


class Variable(Message):
    """Variable."""

    name: str
    instance: str | None = None


class GetVariableData(Message):
    """Get variable data."""

    component: Component
    variable: Variable
    attribute_type: Annotated[str | None, wire("attributeType")] = None


class GetVariablesRequest(Message):
    """GetVariables."""

    get_variable_data: Annotated[tuple[GetVariableData, ...], wire("getVariableData")]


class GetVariableResult(Message):
    """Get variable result."""

    attribute_status: Annotated[str, wire("attributeStatus")]
    component: Component
    variable: Variable
    attribute_status_info: Annotated[StatusInfo | None, wire("attributeStatusInfo")] = None
    attribute_type: Annotated[str | None, wire("attributeType")] = None
    attribute_value: Annotated[str | None, wire("attributeValue")] = None


class GetVariablesResponse(Message):
    """Answer to GetVariables."""

    get_variable_result: Annotated[tuple[GetVariableResult, ...], wire("getVariableResult")]


class SetVariableData(Message):
    """Set variable data."""

    attribute_value: Annotated[str, wire("attributeValue")]
    component: Component
    variable: Variable
    attribute_type: Annotated[str | None, wire("attributeType")] = None


class SetVariablesRequest(Message):
    """SetVariables."""

    set_variable_data: Annotated[tuple[SetVariableData, ...], wire("setVariableData")]


class SetVariableResult(Message):
    """Set variable result."""

    attribute_status: Annotated[str, wire("attributeStatus")]
    component: Component
    variable: Variable
    attribute_type: Annotated[str | None, wire("attributeType")] = None
    attribute_status_info: Annotated[StatusInfo | None, wire("attributeStatusInfo")] = None


class SetVariablesResponse(Message):
    """Answer to SetVariables."""

    set_variable_result: Annotated[tuple[SetVariableResult, ...], wire("setVariableResult")]


class GetBaseReportRequest(Message):
    """GetBaseReport."""

    request_id: Annotated[int, wire("requestId")]
    report_base: Annotated[str, wire("reportBase")]


class GetBaseReportResponse(Message):
    """Answer to GetBaseReport."""

    status: str
    status_info: Annotated[StatusInfo | None, wire("statusInfo")] = None


class VariableAttribute(Message):
    """Variable attribute."""

    type: str | None = None
    value: str | None = None
    mutability: str | None = None
    persistent: bool | None = None
    constant: bool | None = None


class VariableCharacteristics(Message):
    """Variable characteristics."""

    data_type: Annotated[str, wire("dataType")]
    supports_monitoring: Annotated[bool, wire("supportsMonitoring")]
    unit: str | None = None
    min_limit: Annotated[float | None, wire("minLimit")] = None
    max_limit: Annotated[float | None, wire("maxLimit")] = None
    values_list: Annotated[str | None, wire("valuesList")] = None


class ReportData(Message):
    """Report data."""

    component: Component
    variable: Variable
    variable_attribute: Annotated[tuple[VariableAttribute, ...], wire("variableAttribute")]
    variable_characteristics: Annotated[VariableCharacteristics | None, wire("variableCharacteristics")] = None


class NotifyReportRequest(Message):
    """NotifyReport."""

    request_id: Annotated[int, wire("requestId")]
    generated_at: Annotated[Time, wire("generatedAt")]
    seq_no: Annotated[int, wire("seqNo")]
    report_data: Annotated[tuple[ReportData, ...] | None, wire("reportData")] = None
    tbc: bool | None = None


class NotifyReportResponse(Message):
    """Answer to NotifyReport."""


class TriggerMessageRequest(Message):
    """TriggerMessage."""

    requested_message: Annotated[str, wire("requestedMessage")]
    evse: EVSE | None = None


class TriggerMessageResponse(Message):
    """Answer to TriggerMessage."""

    status: str
    status_info: Annotated[StatusInfo | None, wire("statusInfo")] = None


class RequestStopTransactionRequest(Message):
    """RequestStopTransaction."""

    transaction_id: Annotated[str, wire("transactionId")]


class RequestStopTransactionResponse(Message):
    """Answer to RequestStopTransaction."""

    status: str
    status_info: Annotated[StatusInfo | None, wire("statusInfo")] = None


class ResetRequest(Message):
    """Reset."""

    type: str
    evse_id: Annotated[int | None, wire("evseId")] = None


class ResetResponse(Message):
    """Answer to Reset."""

    status: str
    status_info: Annotated[StatusInfo | None, wire("statusInfo")] = None


class ChangeAvailabilityRequest(Message):
    """ChangeAvailability."""

    operational_status: Annotated[str, wire("operationalStatus")]
    evse: EVSE | None = None


class ChangeAvailabilityResponse(Message):
    """Answer to ChangeAvailability."""

    status: str
    status_info: Annotated[StatusInfo | None, wire("statusInfo")] = None


class DataTransferRequest(Message):
    """DataTransfer."""

    vendor_id: Annotated[str, wire("vendorId")]
    message_id: Annotated[str | None, wire("messageId")] = None
    data: Any | None = None


class DataTransferResponse(Message):
    """Answer to DataTransfer."""

    status: str
    status_info: Annotated[StatusInfo | None, wire("statusInfo")] = None
    data: Any | None = None

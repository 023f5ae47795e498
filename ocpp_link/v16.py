"""Typed messages of OCPP 1.6: those that a load manager speaks or understands.

Names on the wire are written out as aliases. The official schema has the last word (`ocpp_link.schemas`); these are for
reading and writing with Python names. Other actions, and parts that a load manager only passes on, travel as dicts.
"""

from typing import Annotated

from ocpp_link.message import Message, Time, wire


class BootNotificationRequest(Message):
    """BootNotification."""

    charge_point_vendor: Annotated[str, wire("chargePointVendor")]
    charge_point_model: Annotated[str, wire("chargePointModel")]
    charge_point_serial_number: Annotated[str | None, wire("chargePointSerialNumber")] = None
    charge_box_serial_number: Annotated[str | None, wire("chargeBoxSerialNumber")] = None
    firmware_version: Annotated[str | None, wire("firmwareVersion")] = None
    iccid: str | None = None
    imsi: str | None = None
    meter_type: Annotated[str | None, wire("meterType")] = None
    meter_serial_number: Annotated[str | None, wire("meterSerialNumber")] = None


class BootNotificationResponse(Message):
    """Answer to BootNotification."""

    status: str
    current_time: Annotated[Time, wire("currentTime")]
    interval: int


class HeartbeatRequest(Message):
    """Heartbeat."""


class HeartbeatResponse(Message):
    """Answer to Heartbeat."""

    current_time: Annotated[Time, wire("currentTime")]


class StatusNotificationRequest(Message):
    """StatusNotification."""

    connector_id: Annotated[int, wire("connectorId")]
    error_code: Annotated[str, wire("errorCode")]
    status: str
    info: str | None = None
    timestamp: Time | None = None
    vendor_id: Annotated[str | None, wire("vendorId")] = None
    vendor_error_code: Annotated[str | None, wire("vendorErrorCode")] = None


class StatusNotificationResponse(Message):
    """Answer to StatusNotification."""


class AuthorizeRequest(Message):
    """Authorize."""

    id_tag: Annotated[str, wire("idTag")]


class IdTagInfo(Message):
    """Id tag info."""

    status: str
    expiry_date: Annotated[Time | None, wire("expiryDate")] = None
    parent_id_tag: Annotated[str | None, wire("parentIdTag")] = None


class AuthorizeResponse(Message):
    """Answer to Authorize."""

    id_tag_info: Annotated[IdTagInfo, wire("idTagInfo")]


class StartTransactionRequest(Message):
    """StartTransaction."""

    connector_id: Annotated[int, wire("connectorId")]
    id_tag: Annotated[str, wire("idTag")]
    meter_start: Annotated[int, wire("meterStart")]
    timestamp: Time
    reservation_id: Annotated[int | None, wire("reservationId")] = None


class StartTransactionResponse(Message):
    """Answer to StartTransaction."""

    id_tag_info: Annotated[IdTagInfo, wire("idTagInfo")]
    transaction_id: Annotated[int, wire("transactionId")]


class SampledValue(Message):
    """Sampled value."""

    value: str
    context: str | None = None
    format: str | None = None
    measurand: str | None = None
    phase: str | None = None
    location: str | None = None
    unit: str | None = None


class MeterValue(Message):
    """Meter value."""

    timestamp: Time
    sampled_value: Annotated[tuple[SampledValue, ...], wire("sampledValue")]


class StopTransactionRequest(Message):
    """StopTransaction."""

    meter_stop: Annotated[int, wire("meterStop")]
    timestamp: Time
    transaction_id: Annotated[int, wire("transactionId")]
    id_tag: Annotated[str | None, wire("idTag")] = None
    reason: str | None = None
    transaction_data: Annotated[tuple[MeterValue, ...] | None, wire("transactionData")] = None


class StopTransactionResponse(Message):
    """Answer to StopTransaction."""

    id_tag_info: Annotated[IdTagInfo | None, wire("idTagInfo")] = None


class MeterValuesRequest(Message):
    """MeterValues."""

    connector_id: Annotated[int, wire("connectorId")]
    meter_value: Annotated[tuple[MeterValue, ...], wire("meterValue")]
    transaction_id: Annotated[int | None, wire("transactionId")] = None


class MeterValuesResponse(Message):
    """Answer to MeterValues."""


class ChargingSchedulePeriod(Message):
    """Charging schedule period."""

    start_period: Annotated[int, wire("startPeriod")]
    limit: float
    number_phases: Annotated[int | None, wire("numberPhases")] = None


class ChargingSchedule(Message):
    """Charging schedule."""

    charging_rate_unit: Annotated[str, wire("chargingRateUnit")]
    charging_schedule_period: Annotated[tuple[ChargingSchedulePeriod, ...], wire("chargingSchedulePeriod")]
    duration: int | None = None
    start_schedule: Annotated[Time | None, wire("startSchedule")] = None
    min_charging_rate: Annotated[float | None, wire("minChargingRate")] = None


class ChargingProfile(Message):
    """Charging profile."""

    charging_profile_id: Annotated[int, wire("chargingProfileId")]
    stack_level: Annotated[int, wire("stackLevel")]
    charging_profile_purpose: Annotated[str, wire("chargingProfilePurpose")]
    charging_profile_kind: Annotated[str, wire("chargingProfileKind")]
    charging_schedule: Annotated[ChargingSchedule, wire("chargingSchedule")]
    transaction_id: Annotated[int | None, wire("transactionId")] = None
    recurrency_kind: Annotated[str | None, wire("recurrencyKind")] = None
    valid_from: Annotated[Time | None, wire("validFrom")] = None
    valid_to: Annotated[Time | None, wire("validTo")] = None


class SetChargingProfileRequest(Message):
    """SetChargingProfile."""

    connector_id: Annotated[int, wire("connectorId")]
    cs_charging_profiles: Annotated[ChargingProfile, wire("csChargingProfiles")]


class SetChargingProfileResponse(Message):
    """Answer to SetChargingProfile."""

    status: str


class ClearChargingProfileRequest(Message):
    """ClearChargingProfile."""

    id: int | None = None
    connector_id: Annotated[int | None, wire("connectorId")] = None
    charging_profile_purpose: Annotated[str | None, wire("chargingProfilePurpose")] = None
    stack_level: Annotated[int | None, wire("stackLevel")] = None


class ClearChargingProfileResponse(Message):
    """Answer to ClearChargingProfile."""

    status: str


class GetCompositeScheduleRequest(Message):
    """GetCompositeSchedule."""

    connector_id: Annotated[int, wire("connectorId")]
    duration: int
    charging_rate_unit: Annotated[str | None, wire("chargingRateUnit")] = None


class GetCompositeScheduleResponse(Message):
    """Answer to GetCompositeSchedule."""

    status: str
    connector_id: Annotated[int | None, wire("connectorId")] = None
    schedule_start: Annotated[Time | None, wire("scheduleStart")] = None
    charging_schedule: Annotated[ChargingSchedule | None, wire("chargingSchedule")] = None


class GetConfigurationRequest(Message):
    """GetConfiguration."""

    key: tuple[str, ...] | None = None


class KeyValue(Message):
    """Key value."""

    key: str
    readonly: bool
    value: str | None = None


class GetConfigurationResponse(Message):
    """Answer to GetConfiguration."""

    configuration_key: Annotated[tuple[KeyValue, ...] | None, wire("configurationKey")] = None
    unknown_key: Annotated[tuple[str, ...] | None, wire("unknownKey")] = None


class ChangeConfigurationRequest(Message):
    """ChangeConfiguration."""

    key: str
    value: str


class ChangeConfigurationResponse(Message):
    """Answer to ChangeConfiguration."""

    status: str


class TriggerMessageRequest(Message):
    """TriggerMessage."""

    requested_message: Annotated[str, wire("requestedMessage")]
    connector_id: Annotated[int | None, wire("connectorId")] = None


class TriggerMessageResponse(Message):
    """Answer to TriggerMessage."""

    status: str


class RemoteStartTransactionRequest(Message):
    """RemoteStartTransaction."""

    id_tag: Annotated[str, wire("idTag")]
    connector_id: Annotated[int | None, wire("connectorId")] = None
    charging_profile: Annotated[ChargingProfile | None, wire("chargingProfile")] = None


class RemoteStartTransactionResponse(Message):
    """Answer to RemoteStartTransaction."""

    status: str


class RemoteStopTransactionRequest(Message):
    """RemoteStopTransaction."""

    transaction_id: Annotated[int, wire("transactionId")]


class RemoteStopTransactionResponse(Message):
    """Answer to RemoteStopTransaction."""

    status: str


class ResetRequest(Message):
    """Reset."""

    type: str


class ResetResponse(Message):
    """Answer to Reset."""

    status: str


class ChangeAvailabilityRequest(Message):
    """ChangeAvailability."""

    connector_id: Annotated[int, wire("connectorId")]
    type: str


class ChangeAvailabilityResponse(Message):
    """Answer to ChangeAvailability."""

    status: str


class DataTransferRequest(Message):
    """DataTransfer."""

    vendor_id: Annotated[str, wire("vendorId")]
    message_id: Annotated[str | None, wire("messageId")] = None
    data: str | None = None


class DataTransferResponse(Message):
    """Answer to DataTransfer."""

    status: str
    data: str | None = None

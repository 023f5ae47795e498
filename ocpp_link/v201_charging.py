"""Typed messages of OCPP 2.0.1, smart charging; import them from `ocpp_link.v201`."""

from typing import Annotated, Any

from ocpp_link.message import Message, Time, wire
from ocpp_link.v201_parts import IdToken, StatusInfo


class ChargingSchedulePeriod(Message):
    """Charging schedule period."""

    start_period: Annotated[int, wire("startPeriod")]
    limit: float
    number_phases: Annotated[int | None, wire("numberPhases")] = None
    phase_to_use: Annotated[int | None, wire("phaseToUse")] = None


class ChargingSchedule(Message):
    """Charging schedule."""

    id: int
    charging_rate_unit: Annotated[str, wire("chargingRateUnit")]
    charging_schedule_period: Annotated[tuple[ChargingSchedulePeriod, ...], wire("chargingSchedulePeriod")]
    start_schedule: Annotated[Time | None, wire("startSchedule")] = None
    duration: int | None = None
    min_charging_rate: Annotated[float | None, wire("minChargingRate")] = None
    sales_tariff: Annotated[dict[str, Any] | None, wire("salesTariff")] = None


class ChargingProfile(Message):
    """Charging profile."""

    id: int
    stack_level: Annotated[int, wire("stackLevel")]
    charging_profile_purpose: Annotated[str, wire("chargingProfilePurpose")]
    charging_profile_kind: Annotated[str, wire("chargingProfileKind")]
    charging_schedule: Annotated[tuple[ChargingSchedule, ...], wire("chargingSchedule")]
    recurrency_kind: Annotated[str | None, wire("recurrencyKind")] = None
    valid_from: Annotated[Time | None, wire("validFrom")] = None
    valid_to: Annotated[Time | None, wire("validTo")] = None
    transaction_id: Annotated[str | None, wire("transactionId")] = None


class SetChargingProfileRequest(Message):
    """SetChargingProfile."""

    evse_id: Annotated[int, wire("evseId")]
    charging_profile: Annotated[ChargingProfile, wire("chargingProfile")]


class SetChargingProfileResponse(Message):
    """Answer to SetChargingProfile."""

    status: str
    status_info: Annotated[StatusInfo | None, wire("statusInfo")] = None


class ClearChargingProfile(Message):
    """Clear charging profile."""

    evse_id: Annotated[int | None, wire("evseId")] = None
    charging_profile_purpose: Annotated[str | None, wire("chargingProfilePurpose")] = None
    stack_level: Annotated[int | None, wire("stackLevel")] = None


class ClearChargingProfileRequest(Message):
    """ClearChargingProfile."""

    charging_profile_id: Annotated[int | None, wire("chargingProfileId")] = None
    charging_profile_criteria: Annotated[ClearChargingProfile | None, wire("chargingProfileCriteria")] = None


class ClearChargingProfileResponse(Message):
    """Answer to ClearChargingProfile."""

    status: str
    status_info: Annotated[StatusInfo | None, wire("statusInfo")] = None


class GetCompositeScheduleRequest(Message):
    """GetCompositeSchedule."""

    duration: int
    evse_id: Annotated[int, wire("evseId")]
    charging_rate_unit: Annotated[str | None, wire("chargingRateUnit")] = None


class CompositeSchedule(Message):
    """Composite schedule."""

    charging_schedule_period: Annotated[tuple[ChargingSchedulePeriod, ...], wire("chargingSchedulePeriod")]
    evse_id: Annotated[int, wire("evseId")]
    duration: int
    schedule_start: Annotated[Time, wire("scheduleStart")]
    charging_rate_unit: Annotated[str, wire("chargingRateUnit")]


class GetCompositeScheduleResponse(Message):
    """Answer to GetCompositeSchedule."""

    status: str
    status_info: Annotated[StatusInfo | None, wire("statusInfo")] = None
    schedule: CompositeSchedule | None = None


class ChargingProfileCriterion(Message):
    """Charging profile criterion."""

    charging_profile_purpose: Annotated[str | None, wire("chargingProfilePurpose")] = None
    stack_level: Annotated[int | None, wire("stackLevel")] = None
    charging_profile_id: Annotated[tuple[int, ...] | None, wire("chargingProfileId")] = None
    charging_limit_source: Annotated[tuple[str, ...] | None, wire("chargingLimitSource")] = None


class GetChargingProfilesRequest(Message):
    """GetChargingProfiles."""

    request_id: Annotated[int, wire("requestId")]
    charging_profile: Annotated[ChargingProfileCriterion, wire("chargingProfile")]
    evse_id: Annotated[int | None, wire("evseId")] = None


class GetChargingProfilesResponse(Message):
    """Answer to GetChargingProfiles."""

    status: str
    status_info: Annotated[StatusInfo | None, wire("statusInfo")] = None


class ReportChargingProfilesRequest(Message):
    """ReportChargingProfiles."""

    request_id: Annotated[int, wire("requestId")]
    charging_limit_source: Annotated[str, wire("chargingLimitSource")]
    charging_profile: Annotated[tuple[ChargingProfile, ...], wire("chargingProfile")]
    evse_id: Annotated[int, wire("evseId")]
    tbc: bool | None = None


class ReportChargingProfilesResponse(Message):
    """Answer to ReportChargingProfiles."""


class ACChargingParameters(Message):
    """ACCharging parameters."""

    energy_amount: Annotated[int, wire("energyAmount")]
    ev_min_current: Annotated[int, wire("evMinCurrent")]
    ev_max_current: Annotated[int, wire("evMaxCurrent")]
    ev_max_voltage: Annotated[int, wire("evMaxVoltage")]


class DCChargingParameters(Message):
    """DCCharging parameters."""

    ev_max_current: Annotated[int, wire("evMaxCurrent")]
    ev_max_voltage: Annotated[int, wire("evMaxVoltage")]
    energy_amount: Annotated[int | None, wire("energyAmount")] = None
    ev_max_power: Annotated[int | None, wire("evMaxPower")] = None
    state_of_charge: Annotated[int | None, wire("stateOfCharge")] = None
    ev_energy_capacity: Annotated[int | None, wire("evEnergyCapacity")] = None
    full_soc: Annotated[int | None, wire("fullSoC")] = None
    bulk_soc: Annotated[int | None, wire("bulkSoC")] = None


class ChargingNeeds(Message):
    """Charging needs."""

    requested_energy_transfer: Annotated[str, wire("requestedEnergyTransfer")]
    ac_charging_parameters: Annotated[ACChargingParameters | None, wire("acChargingParameters")] = None
    dc_charging_parameters: Annotated[DCChargingParameters | None, wire("dcChargingParameters")] = None
    departure_time: Annotated[Time | None, wire("departureTime")] = None


class NotifyEVChargingNeedsRequest(Message):
    """NotifyEVChargingNeeds."""

    charging_needs: Annotated[ChargingNeeds, wire("chargingNeeds")]
    evse_id: Annotated[int, wire("evseId")]
    max_schedule_tuples: Annotated[int | None, wire("maxScheduleTuples")] = None


class NotifyEVChargingNeedsResponse(Message):
    """Answer to NotifyEVChargingNeeds."""

    status: str
    status_info: Annotated[StatusInfo | None, wire("statusInfo")] = None


class NotifyEVChargingScheduleRequest(Message):
    """NotifyEVChargingSchedule."""

    time_base: Annotated[Time, wire("timeBase")]
    charging_schedule: Annotated[ChargingSchedule, wire("chargingSchedule")]
    evse_id: Annotated[int, wire("evseId")]


class NotifyEVChargingScheduleResponse(Message):
    """Answer to NotifyEVChargingSchedule."""

    status: str
    status_info: Annotated[StatusInfo | None, wire("statusInfo")] = None


class ChargingLimit(Message):
    """Charging limit."""

    charging_limit_source: Annotated[str, wire("chargingLimitSource")]
    is_grid_critical: Annotated[bool | None, wire("isGridCritical")] = None


class NotifyChargingLimitRequest(Message):
    """NotifyChargingLimit."""

    charging_limit: Annotated[ChargingLimit, wire("chargingLimit")]
    charging_schedule: Annotated[tuple[ChargingSchedule, ...] | None, wire("chargingSchedule")] = None
    evse_id: Annotated[int | None, wire("evseId")] = None


class NotifyChargingLimitResponse(Message):
    """Answer to NotifyChargingLimit."""


class ClearedChargingLimitRequest(Message):
    """ClearedChargingLimit."""

    charging_limit_source: Annotated[str, wire("chargingLimitSource")]
    evse_id: Annotated[int | None, wire("evseId")] = None


class ClearedChargingLimitResponse(Message):
    """Answer to ClearedChargingLimit."""


class RequestStartTransactionRequest(Message):
    """RequestStartTransaction."""

    id_token: Annotated[IdToken, wire("idToken")]
    remote_start_id: Annotated[int, wire("remoteStartId")]
    evse_id: Annotated[int | None, wire("evseId")] = None
    group_id_token: Annotated[IdToken | None, wire("groupIdToken")] = None
    charging_profile: Annotated[ChargingProfile | None, wire("chargingProfile")] = None


class RequestStartTransactionResponse(Message):
    """Answer to RequestStartTransaction."""

    status: str
    status_info: Annotated[StatusInfo | None, wire("statusInfo")] = None
    transaction_id: Annotated[str | None, wire("transactionId")] = None

"""Typed messages of OCPP 2.1, smart charging, where they differ from 2.0.1; import them from `ocpp_link.v21`."""

from typing import Annotated, Any

from ocpp_link import v201_charging
from ocpp_link.message import Message, Time, wire
from ocpp_link.v201_parts import IdToken, StatusInfo


class ChargingScheduleUpdate(Message):
    """Charging schedule update: the values of a period, which may be changed while it runs."""

    limit: float | None = None
    limit_l2: Annotated[float | None, wire("limit_L2")] = None
    limit_l3: Annotated[float | None, wire("limit_L3")] = None
    discharge_limit: Annotated[float | None, wire("dischargeLimit")] = None
    discharge_limit_l2: Annotated[float | None, wire("dischargeLimit_L2")] = None
    discharge_limit_l3: Annotated[float | None, wire("dischargeLimit_L3")] = None
    setpoint: float | None = None
    setpoint_l2: Annotated[float | None, wire("setpoint_L2")] = None
    setpoint_l3: Annotated[float | None, wire("setpoint_L3")] = None
    setpoint_reactive: Annotated[float | None, wire("setpointReactive")] = None
    setpoint_reactive_l2: Annotated[float | None, wire("setpointReactive_L2")] = None
    setpoint_reactive_l3: Annotated[float | None, wire("setpointReactive_L3")] = None


class ChargingSchedulePeriod(ChargingScheduleUpdate):
    """Charging schedule period."""

    start_period: Annotated[int, wire("startPeriod")]
    number_phases: Annotated[int | None, wire("numberPhases")] = None
    phase_to_use: Annotated[int | None, wire("phaseToUse")] = None
    preconditioning_request: Annotated[bool | None, wire("preconditioningRequest")] = None
    evse_sleep: Annotated[bool | None, wire("evseSleep")] = None
    v2x_baseline: Annotated[float | None, wire("v2xBaseline")] = None
    operation_mode: Annotated[str | None, wire("operationMode")] = None
    v2x_freq_watt_curve: Annotated[tuple[dict[str, Any], ...] | None, wire("v2xFreqWattCurve")] = None
    v2x_signal_watt_curve: Annotated[tuple[dict[str, Any], ...] | None, wire("v2xSignalWattCurve")] = None


class ChargingSchedule(Message):
    """Charging schedule."""

    id: int
    charging_rate_unit: Annotated[str, wire("chargingRateUnit")]
    charging_schedule_period: Annotated[tuple[ChargingSchedulePeriod, ...], wire("chargingSchedulePeriod")]
    limit_at_soc: Annotated[dict[str, Any] | None, wire("limitAtSoC")] = None
    start_schedule: Annotated[Time | None, wire("startSchedule")] = None
    duration: int | None = None
    min_charging_rate: Annotated[float | None, wire("minChargingRate")] = None
    power_tolerance: Annotated[float | None, wire("powerTolerance")] = None
    signature_id: Annotated[int | None, wire("signatureId")] = None
    digest_value: Annotated[str | None, wire("digestValue")] = None
    use_local_time: Annotated[bool | None, wire("useLocalTime")] = None
    randomized_delay: Annotated[int | None, wire("randomizedDelay")] = None
    sales_tariff: Annotated[dict[str, Any] | None, wire("salesTariff")] = None
    absolute_price_schedule: Annotated[dict[str, Any] | None, wire("absolutePriceSchedule")] = None
    price_level_schedule: Annotated[dict[str, Any] | None, wire("priceLevelSchedule")] = None


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
    max_offline_duration: Annotated[int | None, wire("maxOfflineDuration")] = None
    invalid_after_offline_duration: Annotated[bool | None, wire("invalidAfterOfflineDuration")] = None
    dyn_update_interval: Annotated[int | None, wire("dynUpdateInterval")] = None
    dyn_update_time: Annotated[Time | None, wire("dynUpdateTime")] = None
    price_schedule_signature: Annotated[str | None, wire("priceScheduleSignature")] = None


class SetChargingProfileRequest(Message):
    """SetChargingProfile."""

    evse_id: Annotated[int, wire("evseId")]
    charging_profile: Annotated[ChargingProfile, wire("chargingProfile")]


class CompositeSchedule(Message):
    """Composite schedule."""

    evse_id: Annotated[int, wire("evseId")]
    duration: int
    schedule_start: Annotated[Time, wire("scheduleStart")]
    charging_rate_unit: Annotated[str, wire("chargingRateUnit")]
    charging_schedule_period: Annotated[tuple[ChargingSchedulePeriod, ...], wire("chargingSchedulePeriod")]


class GetCompositeScheduleResponse(Message):
    """Answer to GetCompositeSchedule."""

    status: str
    status_info: Annotated[StatusInfo | None, wire("statusInfo")] = None
    schedule: CompositeSchedule | None = None


class ReportChargingProfilesRequest(Message):
    """ReportChargingProfiles."""

    request_id: Annotated[int, wire("requestId")]
    charging_limit_source: Annotated[str, wire("chargingLimitSource")]
    charging_profile: Annotated[tuple[ChargingProfile, ...], wire("chargingProfile")]
    evse_id: Annotated[int, wire("evseId")]
    tbc: bool | None = None


class ACChargingParameters(Message):
    """ACCharging parameters."""

    energy_amount: Annotated[float, wire("energyAmount")]
    ev_min_current: Annotated[float, wire("evMinCurrent")]
    ev_max_current: Annotated[float, wire("evMaxCurrent")]
    ev_max_voltage: Annotated[float, wire("evMaxVoltage")]


class DCChargingParameters(Message):
    """DCCharging parameters."""

    ev_max_current: Annotated[float, wire("evMaxCurrent")]
    ev_max_voltage: Annotated[float, wire("evMaxVoltage")]
    ev_max_power: Annotated[float | None, wire("evMaxPower")] = None
    ev_energy_capacity: Annotated[float | None, wire("evEnergyCapacity")] = None
    energy_amount: Annotated[float | None, wire("energyAmount")] = None
    state_of_charge: Annotated[int | None, wire("stateOfCharge")] = None
    full_soc: Annotated[int | None, wire("fullSoC")] = None
    bulk_soc: Annotated[int | None, wire("bulkSoC")] = None


class ChargingNeeds(Message):
    """Charging needs."""

    requested_energy_transfer: Annotated[str, wire("requestedEnergyTransfer")]
    ac_charging_parameters: Annotated[ACChargingParameters | None, wire("acChargingParameters")] = None
    der_charging_parameters: Annotated[dict[str, Any] | None, wire("derChargingParameters")] = None
    ev_energy_offer: Annotated[dict[str, Any] | None, wire("evEnergyOffer")] = None
    dc_charging_parameters: Annotated[DCChargingParameters | None, wire("dcChargingParameters")] = None
    v2x_charging_parameters: Annotated[dict[str, Any] | None, wire("v2xChargingParameters")] = None
    available_energy_transfer: Annotated[tuple[str, ...] | None, wire("availableEnergyTransfer")] = None
    control_mode: Annotated[str | None, wire("controlMode")] = None
    mobility_needs_mode: Annotated[str | None, wire("mobilityNeedsMode")] = None
    departure_time: Annotated[Time | None, wire("departureTime")] = None


class NotifyEVChargingNeedsRequest(Message):
    """NotifyEVChargingNeeds."""

    evse_id: Annotated[int, wire("evseId")]
    charging_needs: Annotated[ChargingNeeds, wire("chargingNeeds")]
    max_schedule_tuples: Annotated[int | None, wire("maxScheduleTuples")] = None
    timestamp: Time | None = None


class NotifyEVChargingScheduleRequest(Message):
    """NotifyEVChargingSchedule."""

    time_base: Annotated[Time, wire("timeBase")]
    charging_schedule: Annotated[ChargingSchedule, wire("chargingSchedule")]
    evse_id: Annotated[int, wire("evseId")]
    selected_charging_schedule_id: Annotated[int | None, wire("selectedChargingScheduleId")] = None
    power_tolerance_acceptance: Annotated[bool | None, wire("powerToleranceAcceptance")] = None


class ChargingLimit(v201_charging.ChargingLimit):
    """Charging limit."""

    is_local_generation: Annotated[bool | None, wire("isLocalGeneration")] = None


class NotifyChargingLimitRequest(Message):
    """NotifyChargingLimit."""

    charging_limit: Annotated[ChargingLimit, wire("chargingLimit")]
    charging_schedule: Annotated[tuple[ChargingSchedule, ...] | None, wire("chargingSchedule")] = None
    evse_id: Annotated[int | None, wire("evseId")] = None


class RequestStartTransactionRequest(Message):
    """RequestStartTransaction."""

    id_token: Annotated[IdToken, wire("idToken")]
    remote_start_id: Annotated[int, wire("remoteStartId")]
    evse_id: Annotated[int | None, wire("evseId")] = None
    group_id_token: Annotated[IdToken | None, wire("groupIdToken")] = None
    charging_profile: Annotated[ChargingProfile | None, wire("chargingProfile")] = None


class UpdateDynamicScheduleRequest(Message):
    """UpdateDynamicSchedule."""

    charging_profile_id: Annotated[int, wire("chargingProfileId")]
    schedule_update: Annotated[ChargingScheduleUpdate, wire("scheduleUpdate")]


class UpdateDynamicScheduleResponse(Message):
    """Answer to UpdateDynamicSchedule."""

    status: str
    status_info: Annotated[StatusInfo | None, wire("statusInfo")] = None


class PullDynamicScheduleUpdateRequest(Message):
    """PullDynamicScheduleUpdate."""

    charging_profile_id: Annotated[int, wire("chargingProfileId")]


class PullDynamicScheduleUpdateResponse(Message):
    """Answer to PullDynamicScheduleUpdate."""

    status: str
    schedule_update: Annotated[ChargingScheduleUpdate | None, wire("scheduleUpdate")] = None
    status_info: Annotated[StatusInfo | None, wire("statusInfo")] = None


class UsePriorityChargingRequest(Message):
    """UsePriorityCharging."""

    transaction_id: Annotated[str, wire("transactionId")]
    activate: bool


class UsePriorityChargingResponse(Message):
    """Answer to UsePriorityCharging."""

    status: str
    status_info: Annotated[StatusInfo | None, wire("statusInfo")] = None


class NotifyPriorityChargingRequest(Message):
    """NotifyPriorityCharging."""

    transaction_id: Annotated[str, wire("transactionId")]
    activated: bool


class NotifyPriorityChargingResponse(Message):
    """Answer to NotifyPriorityCharging."""

"""What OCPP 2.1 adds: supported features, operation modes, setpoints, values per phase.

The tables are those of 2.1 part 2: table 95 (modes of each purpose) and the table of limits and setpoints of each mode.
"""

from dataclasses import dataclass

from loadmgr.composite.settings import StationSettings
from loadmgr.composite.verdict import Verdict, refused
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    OperationMode,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    SchedulePeriod,
)

_ONLY = OperationMode.CHARGING_ONLY
_TX_MODES = frozenset(OperationMode)
_MODES = {
    ProfilePurpose.TX: _TX_MODES,
    ProfilePurpose.TX_DEFAULT: _TX_MODES,
    ProfilePurpose.PRIORITY_CHARGING: frozenset({_ONLY}),
    ProfilePurpose.CHARGE_POINT_MAX: frozenset({_ONLY}),
    ProfilePurpose.EXTERNAL_CONSTRAINTS: frozenset(
        {_ONLY, OperationMode.EXTERNAL_LIMITS, OperationMode.EXTERNAL_SETPOINT}
    ),
    ProfilePurpose.LOCAL_GENERATION: frozenset({_ONLY, OperationMode.EXTERNAL_LIMITS}),
}
_MODE_REQUIREMENT = {
    ProfilePurpose.TX: "K01.FR.111",
    ProfilePurpose.TX_DEFAULT: "K01.FR.111",
    ProfilePurpose.EXTERNAL_CONSTRAINTS: "K01.FR.112",
    ProfilePurpose.LOCAL_GENERATION: "K01.FR.113",
    ProfilePurpose.PRIORITY_CHARGING: "K01.FR.114",
    ProfilePurpose.CHARGE_POINT_MAX: "K01.FR.114",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fields:
    """Which values a mode needs and which it may carry besides."""

    needed: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()


_LIMITS = frozenset({"limit", "discharge_limit"})
_MODE_FIELDS = {
    OperationMode.CHARGING_ONLY: _Fields(needed=frozenset({"limit"})),
    OperationMode.CENTRAL_SETPOINT: _Fields(needed=frozenset({"setpoint"}), allowed=_LIMITS | {"setpoint_reactive"}),
    OperationMode.CENTRAL_FREQUENCY: _Fields(needed=frozenset({"setpoint"}), allowed=_LIMITS),
    OperationMode.LOCAL_FREQUENCY: _Fields(),
    OperationMode.EXTERNAL_SETPOINT: _Fields(allowed=_LIMITS),
    OperationMode.EXTERNAL_LIMITS: _Fields(),
    # Q09.FR.05 foresees a limit and a discharge limit, the table has none: the table decides
    OperationMode.LOCAL_LOAD_BALANCING: _Fields(),
    OperationMode.IDLE: _Fields(),
}
# what is "set externally" has arrived where the external system's own profile carries it (Q06.FR.01 to Q06.FR.04)
_RECEIVED = {
    OperationMode.EXTERNAL_SETPOINT: _Fields(allowed=_LIMITS | {"setpoint", "setpoint_reactive"}),
    OperationMode.EXTERNAL_LIMITS: _Fields(allowed=_LIMITS),
}
_EXTERNAL = (ProfilePurpose.EXTERNAL_CONSTRAINTS, ProfilePurpose.LOCAL_GENERATION)
VALUES = ("limit", "discharge_limit", "setpoint", "setpoint_reactive")
"""The values of a period that exist per phase, each with ``_l2`` and ``_l3``."""


def check_support(profile: ChargingProfile, settings: StationSettings) -> Verdict | None:
    """Return what a profile asks of a station that cannot do it (K01.FR.81, K01.FR.120 to K01.FR.122)."""
    extra = (ProfilePurpose.PRIORITY_CHARGING, ProfilePurpose.LOCAL_GENERATION)
    supported = settings.additional_purposes
    if profile.purpose in extra and supported is not None and profile.purpose not in supported:
        return refused("UnsupportedPurpose", "K01.FR.120", "purpose", f"{profile.purpose.value} is not supported")
    dynamic = profile.kind is ProfileKind.DYNAMIC
    if dynamic and not settings.supports_dynamic:
        return refused("UnsupportedKind", "K01.FR.121", "kind", "dynamic profiles are not supported")
    if not dynamic and profile.dyn_update_interval_s is not None:
        return refused("InvalidProfile", "K01.FR.122", "dyn_update_interval_s", "only a dynamic profile has one")
    if not dynamic and profile.dyn_update_time is not None:
        return refused("InvalidProfile", "K01.FR.122", "dyn_update_time", "only a dynamic profile has one")
    highest = settings.max_external_constraints_id
    if highest is not None and profile.profile_id <= highest:
        detail = f"ids up to {highest} belong to external constraints, got {profile.profile_id}"
        return refused("InvalidProfileId", "K01.FR.81", "profile_id", detail)
    return None


def check_schedule_21(profile: ChargingProfile, index: int, settings: StationSettings) -> Verdict | None:
    """Return the first fault of a schedule against the rules that only 2.1 has."""
    schedule, at = profile.schedules[index], f"schedules[{index}]"
    verdict = _check_features(profile, schedule, at, settings)
    if verdict is not None:
        return verdict
    if profile.kind is ProfileKind.DYNAMIC and (len(profile.schedules) != 1 or len(schedule.periods) != 1):
        detail = "a dynamic profile has one schedule of one period"
        return refused("InvalidSchedule", "K28.FR.01, K28.FR.02", f"{at}.periods", detail)
    for i, period in enumerate(schedule.periods):
        field = f"{at}.periods[{i}]"
        verdict = (
            _check_mode(profile, schedule, period, field=field, settings=settings)
            or _check_values(profile, period, field)
            or _check_phase_values(profile, period, field)
            or _check_sleep(period, field, settings)
        )
        if verdict is not None:
            return verdict
    return None


def _check_features(
    profile: ChargingProfile, schedule: ChargingSchedule, at: str, settings: StationSettings
) -> Verdict | None:
    if schedule.use_local_time and not settings.supports_local_time:
        return refused("InvalidSchedule", "K01.FR.123", f"{at}.use_local_time", "not supported")
    if schedule.randomized_delay_s:
        field = f"{at}.randomized_delay_s"
        if profile.purpose not in (ProfilePurpose.TX, ProfilePurpose.TX_DEFAULT):
            return refused("InvalidSchedule", "K01.FR.95", field, "only TxProfile and TxDefaultProfile have one")
        if not settings.supports_randomized_delay:
            return refused("InvalidSchedule", "K01.FR.124", field, "not supported")
    if schedule.limit_at_soc is not None and not settings.supports_limit_at_soc:
        return refused("InvalidSchedule", "K01.FR.125", f"{at}.limit_at_soc", "not supported")
    if profile.purpose is ProfilePurpose.PRIORITY_CHARGING and schedule.duration_s is not None:
        return refused("InvalidSchedule", "K01.FR.70", f"{at}.duration_s", "a PriorityCharging profile has none")
    return None


def _check_mode(
    profile: ChargingProfile,
    schedule: ChargingSchedule,
    period: SchedulePeriod,
    *,
    field: str,
    settings: StationSettings,
) -> Verdict | None:
    mode = period.operation_mode or _ONLY
    field = f"{field}.operation_mode"
    if mode not in _MODES[profile.purpose]:
        detail = f"{mode.value} is not for {profile.purpose.value}"
        return refused("InvalidOperationMode", _MODE_REQUIREMENT[profile.purpose], field, detail)
    supported = settings.operation_modes
    if mode is OperationMode.LOCAL_LOAD_BALANCING:
        return _check_load_balancing(field, settings)
    if mode is not _ONLY and supported is not None and mode not in supported:
        return refused("InvalidOperationMode", "K01.FR.115", field, f"{mode.value} is not supported")
    if mode is OperationMode.LOCAL_FREQUENCY:
        if schedule.unit is not RateUnit.W:
            return refused("UnsupportedRateUnit", "Q08.FR.05", field, "LocalFrequency works in W")
        if period.v2x_baseline_w is None or len(period.freq_watt_curve or ()) < 2:
            detail = "LocalFrequency needs a baseline and a curve of two points or more"
            return refused("NoFreqWattCurve", "Q08.FR.03, Q08.FR.04", field, detail)
    return None


def _check_load_balancing(field: str, settings: StationSettings) -> Verdict | None:
    """Check the one mode whose refusals have reasons of their own: the station does it, by thresholds of its own."""
    supported = settings.operation_modes
    if supported is not None and OperationMode.LOCAL_LOAD_BALANCING not in supported:
        return refused("UnsupportedParam", "Q09.FR.01", field, "LocalLoadBalancing is not supported")
    if settings.load_balancing_thresholds is False:
        detail = "the thresholds of LocalLoadBalancing are not set"
        return refused("MissingDevModelInfo", "Q09.FR.02", field, detail)
    return None


def has_phase_values(period: SchedulePeriod) -> bool:
    """Return whether a period names a value of L2 or L3."""
    return any(getattr(period, f"{name}{phase}") is not None for name in VALUES for phase in ("_l2", "_l3"))


def _check_values(profile: ChargingProfile, period: SchedulePeriod, field: str) -> Verdict | None:
    """Check presence by mode, the sign of the discharge limit, and the setpoint inside its own limits (V2X.05)."""
    mode = period.operation_mode or _ONLY
    rule = _MODE_FIELDS[mode]
    if profile.purpose in _EXTERNAL:
        rule = _RECEIVED.get(mode, rule)
    requirement = "Q10.FR.01, Q10.FR.02" if mode is OperationMode.IDLE else "2.1 table of limits and setpoints"
    for name in VALUES:
        present = any(getattr(period, f"{name}{phase}") is not None for phase in ("", "_l2", "_l3"))
        if present and name not in rule.needed | rule.allowed:
            return refused("InvalidSchedule", requirement, f"{field}.{name}", f"{mode.value} has none")
        if name in rule.needed and getattr(period, name) is None and not present:
            return refused("InvalidSchedule", requirement, f"{field}.{name}", f"{mode.value} needs one")
    for phase in ("", "_l2", "_l3"):
        limit, discharge = getattr(period, f"limit{phase}"), getattr(period, f"discharge_limit{phase}")
        setpoint = getattr(period, f"setpoint{phase}")
        if discharge is not None and discharge > 0.0:
            detail = f"must be 0 or below, got {discharge}"
            return refused("InvalidSchedule", "2.1 schema", f"{field}.discharge_limit{phase}", detail)
        if setpoint is None:
            continue
        if (limit is not None and setpoint > limit) or (discharge is not None and setpoint < discharge):
            detail = f"{setpoint} lies outside [{discharge}, {limit}]"
            return refused("InvalidSchedule", "V2X.05", f"{field}.setpoint{phase}", detail)
    return None


def _check_phase_values(profile: ChargingProfile, period: SchedulePeriod, field: str) -> Verdict | None:
    """Check L2 and L3: in a TxProfile only, and only beside a value of L1 (K01.FR.142 to 146, V2X.06 to 10)."""
    for name in VALUES:
        if getattr(period, f"{name}_l2") is None and getattr(period, f"{name}_l3") is None:
            continue
        if profile.purpose is not ProfilePurpose.TX:
            detail = "only a TxProfile has values per phase"
            return refused("PhaseConflict", "K01.FR.142", f"{field}.{name}_l2", detail)
        if getattr(period, name) is None:
            return refused("PhaseConflict", "K01.FR.145, K01.FR.146", f"{field}.{name}", "L2 or L3 needs a value of L1")
    return None


def _check_sleep(period: SchedulePeriod, field: str, settings: StationSettings) -> Verdict | None:
    """Refuse sleep outside Idle where it is unsupported; in Idle it is accepted and reported false (Q10.FR.05)."""
    if not period.evse_sleep or settings.supports_evse_sleep or period.operation_mode is OperationMode.IDLE:
        return None
    return refused("InvalidSchedule", "K01.FR.126 (errata)", f"{field}.evse_sleep", "not supported")

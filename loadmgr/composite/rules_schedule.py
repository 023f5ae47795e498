"""The rules of one schedule: unit, times, limits and phases."""

import math

from loadmgr.composite.settings import StationSettings
from loadmgr.composite.verdict import Verdict, refused
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    OcppVersion,
    ProfileKind,
)


def check_schedule(profile: ChargingProfile, index: int, settings: StationSettings) -> Verdict | None:
    """Return the first fault of a schedule, or ``None``."""
    schedule = profile.schedules[index]
    at = f"schedules[{index}]"
    return (
        _check_unit(schedule, at, settings)
        or _check_start(profile, schedule, at, settings)
        or _check_starts(schedule, at, settings)
        or _check_limits(profile, schedule, at, settings)
        or _check_phases(schedule, at, settings)
    )


def _check_unit(schedule: ChargingSchedule, at: str, settings: StationSettings) -> Verdict | None:
    allowed = settings.allowed_units
    if allowed is None or schedule.unit in allowed:
        return None
    v16 = settings.version is OcppVersion.V16
    requirement = "1.6 9.4 ChargingScheduleAllowedChargingRateUnit" if v16 else "K01.FR.26"
    return refused("UnsupportedRateUnit", requirement, f"{at}.unit", f"{schedule.unit.value} is not supported")


def _check_start(
    profile: ChargingProfile, schedule: ChargingSchedule, at: str, settings: StationSettings
) -> Verdict | None:
    v16, field = settings.version is OcppVersion.V16, f"{at}.start"
    if profile.kind is ProfileKind.RELATIVE:
        if schedule.start is not None and not v16:  # 1.6 is silent: accepted and ignored
            return refused("InvalidSchedule", "K01.FR.41", field, "a relative schedule has no start")
        return None
    if schedule.start is not None or profile.kind is ProfileKind.DYNAMIC:
        return None
    if not v16:
        return refused("InvalidSchedule", "K01.FR.40", field, "missing")
    if profile.kind is ProfileKind.RECURRING:
        return refused("InvalidSchedule", "1.6 5.16.4", field, "a recurring schedule needs a start")
    if not settings.allow_missing_start:  # else it counts from the start of charging (1.6 section 7.13)
        return refused("InvalidSchedule", "1.6 7.13", field, "this station needs a start for an absolute schedule")
    return None


def _check_starts(schedule: ChargingSchedule, at: str, settings: StationSettings) -> Verdict | None:
    """Check the starts of the periods; 1.6 names no rule and is held to those of 2.x."""
    starts = [period.start_s for period in schedule.periods]
    v16 = settings.version is OcppVersion.V16
    if not starts:
        return refused("InvalidSchedule", "1.6 7.13" if v16 else "K01.FR.31", f"{at}.periods", "must not be empty")
    if settings.max_periods is not None and len(starts) > settings.max_periods:
        requirement = "1.6 9.4 ChargingScheduleMaxPeriods" if v16 else "SmartChargingCtrlr.PeriodsPerSchedule"
        detail = f"at most {settings.max_periods}, got {len(starts)}"
        return refused("TooManyElements", requirement, f"{at}.periods", detail)
    if not v16 and len(starts) > 1024:
        return refused("TooManyElements", "K01", f"{at}.periods", f"at most 1024, got {len(starts)}")
    if starts[0] != 0:
        detail = f"the first must be 0, got {starts[0]}"
        return refused("InvalidSchedule", "K01.FR.31", f"{at}.periods[0].start_s", detail)
    for i in range(1, len(starts)):
        if starts[i] <= starts[i - 1]:  # equal ones would make an empty period
            detail = f"must increase, got {starts[i]} after {starts[i - 1]}"
            return refused("InvalidSchedule", "K01.FR.35", f"{at}.periods[{i}].start_s", detail)
    return None


def _check_limits(
    profile: ChargingProfile, schedule: ChargingSchedule, at: str, settings: StationSettings
) -> Verdict | None:
    for i, period in enumerate(schedule.periods):
        if period.limit is not None and not (math.isfinite(period.limit) and period.limit >= 0.0):
            requirement = "1.6 7.14" if settings.version is OcppVersion.V16 else "K01, errata 2.62"
            detail = f"must be 0 or more and finite, got {period.limit}"
            return refused("InvalidSchedule", requirement, f"{at}.periods[{i}].limit", detail)
        if period.limit is None and settings.version is not OcppVersion.V21:
            return refused("InvalidSchedule", "1.6 7.14, 2.0.1 2.14", f"{at}.periods[{i}].limit", "missing")
    return None


def _check_phases(schedule: ChargingSchedule, at: str, settings: StationSettings) -> Verdict | None:
    for i, period in enumerate(schedule.periods):
        field = f"{at}.periods[{i}]"
        named = period.phases is not None or period.phase_to_use is not None
        if not named:
            continue
        if settings.direct_current:
            # 1.6: accepted and ignored; 2.0.1 leaves the choice, 2.1 refuses unless the input side takes phases
            if settings.version is not OcppVersion.V16 and not settings.dc_input_phase_control:
                reason = "NoPhaseForDC" if settings.version is OcppVersion.V21 else "InvalidSchedule"
                return refused(reason, "K01.FR.44, K01.FR.54", f"{field}.phases", "a DC EVSE has no phases")
            continue
        verdict = _check_phase_count(period.phases, field, settings)
        if verdict is None and period.phase_to_use is not None:
            verdict = _check_phase_to_use(period.phases, period.phase_to_use, field, settings)
        if verdict is not None:
            return verdict
    return None


def _check_phase_count(phases: int | None, field: str, settings: StationSettings) -> Verdict | None:
    if phases is None:
        return None
    if settings.version is OcppVersion.V16:
        # too many phases are accepted: the limit holds as given on those in use (1.6 errata 3.34)
        if phases < 1:
            return refused("InvalidSchedule", "1.6 7.14", f"{field}.phases", f"must lie in 1..3, got {phases}")
        return None
    highest = settings.supply_phases or 3
    lowest = 0 if settings.version is OcppVersion.V21 else 1
    if not lowest <= phases <= highest:
        detail = f"must lie in {lowest}..{highest}, got {phases}"
        return refused("InvalidSchedule", "K01.FR.43, K01.FR.45", f"{field}.phases", detail)
    return None


def _check_phase_to_use(phases: int | None, phase_to_use: int, field: str, settings: StationSettings) -> Verdict | None:
    field = f"{field}.phase_to_use"
    if phases != 1:
        return refused("InvalidSchedule", "K01.FR.19", field, "needs phases = 1")
    if not 1 <= phase_to_use <= 3:
        return refused("InvalidSchedule", "K01.FR.19", field, f"must lie in 1..3, got {phase_to_use}")
    if settings.ac_phase_switching is False:
        return refused("InvalidSchedule", "K01.FR.20, K01.FR.48", field, "the EVSE cannot switch phases")
    return None

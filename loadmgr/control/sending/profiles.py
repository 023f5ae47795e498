"""The profiles that the controller sends: the fail-safe, the station maximum, and leases above them.

Rules
-----
1. A fixed small set of ids, replaced in place: stations have room for few (quirks of MaxChargingProfilesInstalled).
2. Each purpose sits on the highest stack level that the station takes, so that nothing left over lies above it.
3. Limits are rounded down, to a tenth of an ampere or a watt; to a whole ampere where a model takes no fractions.
4. A schedule starts well in the past, because "now" is the future for a clock that is slow (quirk 8).
5. A lease may go down in further periods of the same profile (see ``ahead``), and never up.
6. Stations refuse one form and take another; the forms are tried in turn, the usual one first.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.control.command import SetProfile
from loadmgr.control.safety.assumption import LOW_VOLTAGE_RATIO, w_per_a_at_worst
from loadmgr.control.safety.rung import LeaseForm
from loadmgr.control.safety.skew import skew_s, widest_s
from loadmgr.control.safety.windows import DAY_S, periods, window_current_a
from loadmgr.control.sending.installed import installed_a, installed_w
from loadmgr.control.sending.lease_phases import with_phases
from loadmgr.control.state import Charging, EvseRecord, SiteState, StationRecord
from loadmgr.model.failsafe import FailSafeStrategy
from loadmgr.model.ids import ProfileId
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    OcppVersion,
    OperationMode,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    Recurrency,
    SchedulePeriod,
)
from loadmgr.model.topology import CurrentType, Evse, Site
from loadmgr.model.units import floor_to_step

LEASE_IDS = 1000
FAILSAFE_IDS = 2000
MAXIMUM_ID = 3000
"""That of the station maximum; one that is a lease has the EVSE's number added."""

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
"""Start of a schedule that always holds, for a clock that was ever set."""

STACK_LEVELS = (9, 5, 2, 1, 0)
"""Tried in turn where a station does not say how high it goes."""

EARLY_S = 60
"""By how much a lease starts before now, beside twice the clock skew [s]."""

Falls = Sequence[tuple[float, float]]
"""Where a lease goes down by itself: seconds from now, and the current per phase from there on [A]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """What a vehicle is asked to feed back [A per phase], and for how long at most [s]."""

    current_a: float
    seconds: int


def fallback_a(site: Site, evse: Evse) -> float:
    """Return what an EVSE may draw at most when nobody controls it [A per phase]."""
    match site.failsafe.strategy:
        case FailSafeStrategy.ZERO:
            return 0.0
        case FailSafeStrategy.STATIC:
            return min(evse.fallback_a, evse.max_a)
        case FailSafeStrategy.TIME_DIVISION:
            return window_current_a(evse)


def stack_level(station: StationRecord) -> int:
    """Return the highest stack level that a station takes, as far as is known."""
    if station.traits is not None and station.traits.stack_level is not None:
        return station.traits.stack_level
    if station.capabilities is not None and station.capabilities.max_stack_level is not None:
        return max(0, station.capabilities.max_stack_level)
    return STACK_LEVELS[min(station.failsafe_form // 2, len(STACK_LEVELS) - 1)]


def rate_unit(station: StationRecord, evse: Evse) -> RateUnit:
    """Return the unit in which an EVSE is limited: A, unless it is DC or the station takes only W."""
    units = known_units(station)
    if evse.current_type is CurrentType.DC:
        return RateUnit.W if units is None or RateUnit.W in units else RateUnit.A
    return RateUnit.W if units is not None and RateUnit.A not in units and units else RateUnit.A


def known_units(station: StationRecord) -> frozenset[RateUnit] | None:
    """Return the units that a station follows: what is known of its model before what it says; ``None`` if neither."""
    if station.traits is not None and station.traits.rate_units:
        return station.traits.rate_units
    return None if station.capabilities is None else station.capabilities.rate_units


def takes_unit(station: StationRecord, unit: RateUnit) -> bool:
    """Return whether a station may follow a unit, as far as is known."""
    units = known_units(station)
    return not units or unit in units


def minimum_a(state: SiteState, record: EvseRecord) -> float:
    """Return the least that makes an EVSE charge [A per phase]: a limit in W is reckoned at the lowest voltage.

    6 A that are said as 1242 W are 5.4 A where the voltage is nominal, and a vehicle pauses there; so does a DC EVSE
    below its least.
    """
    evse, unit = record.evse, record.form.unit or rate_unit(state.stations[record.evse.station], record.evse)
    if unit is RateUnit.A:
        return evse.min_a
    return min(evse.max_a, math.ceil(evse.min_a / LOW_VOLTAGE_RATIO / evse.step_a - 1e-9) * evse.step_a)


def usual_form(state: SiteState, record: EvseRecord) -> LeaseForm:
    """Return the form in which limits are sent to an EVSE as long as nothing else was found to work."""
    station = state.stations[record.evse.station]
    known = None if station.traits is None else station.traits.kind
    flipped = station.lease_form % 2 == 1
    kind = known or (ProfileKind.RELATIVE if flipped else ProfileKind.ABSOLUTE)
    if station.form.whole:
        kind = ProfileKind.ABSOLUTE  # there is no other for a maximum (K01.FR.38)
    return LeaseForm(unit=rate_unit(station, record.evse), kind=kind)


def is_lasting(state: SiteState, record: EvseRecord) -> bool:
    """Return whether what limits an EVSE stays when nobody renews it: it is no lease."""
    return record.form.lasting and not _stacks_maxima(state.stations[record.evse.station])


def _stacks_maxima(station: StationRecord) -> bool:
    """Return whether leases are station maxima that lie above the one that stays; both need a stack level."""
    return station.form.whole and stack_level(station) > 0


def failsafe_of(state: SiteState, record: EvseRecord, station: StationRecord) -> InstalledProfile:
    """Return what holds on an EVSE when nobody controls it, and where it is installed; it has no end."""
    if station.form.whole:
        return InstalledProfile(evse_id=0, profile=maximum_profile(state, station))
    return InstalledProfile(evse_id=record.evse.number, profile=failsafe_profile(state, record, station))


def failsafe_profile(state: SiteState, record: EvseRecord, station: StationRecord) -> ChargingProfile:
    """Return the default profile that holds when nobody controls an EVSE; it has no end.

    Relative first: it needs no clock, so it also holds after a power loss that reset the station's.
    """
    if state.site.failsafe.strategy is FailSafeStrategy.TIME_DIVISION:
        return _windows_profile(state, record, station)
    relative = station.failsafe_form % 2 == 0
    start, kind = (None, ProfileKind.RELATIVE) if relative else (LONG_AGO, ProfileKind.ABSOLUTE)
    schedule = _schedule(state, record, station, fallback_a(state.site, record.evse), start=start)
    return _standing(FAILSAFE_IDS + record.evse.number, stack_level(station), schedule, kind)


def _windows_profile(state: SiteState, record: EvseRecord, station: StationRecord) -> ChargingProfile:
    """Return the default profile that opens an EVSE's daily windows and no others."""
    steps = periods(state.windows[record.evse.id])
    schedule = _schedule(state, record, station, 0.0, start=LONG_AGO, duration_s=DAY_S)
    windows = tuple(SchedulePeriod(start_s=s, limit=_limit(state, record, schedule.unit, a)) for s, a in steps)
    schedule = replace(schedule, periods=windows)
    return _standing(FAILSAFE_IDS + record.evse.number, stack_level(station), schedule, ProfileKind.RECURRING)


def maximum_profile(state: SiteState, station: StationRecord) -> ChargingProfile:
    """Return the station maximum: what all EVSEs may draw together; the fail-safe where it is the only limit."""
    record = state.evses[state.site.evses_of(station.station.id)[0].id]
    level, most_a = stack_level(station), installed_a(state.site, station.station.id)
    schedule = _schedule(state, record, station, most_a, start=LONG_AGO)
    if station.form.whole or (record.form.whole and record.charging is None):  # the only limit that it follows
        schedule = _schedule(state, record, station, fallback_a(state.site, record.evse), start=LONG_AGO)
    elif schedule.unit is RateUnit.W and record.evse.current_type is CurrentType.AC:
        # What is installed is all of its phases; reckoned on one, it would hold a vehicle on three to a third.
        full_w = floor_to_step(installed_w(state.site, station.station.id), step=1.0)
        schedule = replace(schedule, periods=(SchedulePeriod(start_s=0, limit=full_w),))
    level = level - 1 if _stacks_maxima(station) else level
    return _standing(MAXIMUM_ID, level, schedule, ProfileKind.ABSOLUTE)


def lease_s(state: SiteState, record: EvseRecord, current_a: float) -> int:
    """Return how long a lease holds [s].

    One that holds an EVSE below its fallback ends after every other: it pays for current that others use.
    """
    usual = state.site.failsafe.lease_s
    if current_a < fallback_a(state.site, record.evse):
        return int(2 * usual + 2 * widest_s(state))
    return usual


def lease_profile(
    state: SiteState,
    record: EvseRecord,
    charging: Charging,
    current_a: float,
    *,
    now: datetime,
    then: "Falls | Back" = (),
) -> ChargingProfile:
    """Return the profile that gives an EVSE a current: a lease, unless it only follows limits that stay.

    Parameters
    ----------
    current_a : float
        The limit [A per phase].
    then : Falls or Back
        Where the lease goes down by itself, each time below all before: whatever fits beside the current of now for as
        long as the lease holds fits beside the lease. Or what the vehicle is asked to feed back beside that limit.
    """
    form, usual = record.form, usual_form(state, record)
    unit = form.unit or usual.unit
    if is_lasting(state, record):
        return _lasting_profile(state, record, form.purpose, current_a, unit=unit)
    station = state.stations[record.evse.station]
    early_s = int(2 * skew_s(state, record.evse.station)) + EARLY_S
    length_s = lease_s(state, record, current_a if isinstance(then, Back) or not then else then[-1][1])
    if form.lasting:
        begin = now.replace(microsecond=0) - timedelta(seconds=early_s)
        return _maximum_lease(state, record, current_a, start=begin, length_s=early_s + length_s, unit=unit)
    kind = form.kind or usual.kind or ProfileKind.ABSOLUTE
    relative = kind is ProfileKind.RELATIVE
    start = None if relative else now.replace(microsecond=0) - timedelta(seconds=early_s)
    elapsed_s = int((now - charging.started).total_seconds()) if relative else early_s
    schedule = _schedule(state, record, station, current_a, start=start, duration_s=elapsed_s + length_s, unit=unit)
    if isinstance(then, Back):
        schedule = _feeding_back(state, record, schedule, then, until_s=elapsed_s + then.seconds)
    else:
        schedule = _going_down(state, record, schedule, then, elapsed_s=elapsed_s)
    schedule = with_phases(schedule, record, station)
    return ChargingProfile(
        profile_id=ProfileId(LEASE_IDS + record.evse.number),
        stack_level=stack_level(station),
        purpose=ProfilePurpose.TX,
        kind=kind,
        transaction_id=charging.transaction,
        schedules=(schedule,),
    )


def _maximum_lease(
    state: SiteState, record: EvseRecord, current_a: float, *, start: datetime, length_s: int, unit: RateUnit | None
) -> ChargingProfile:
    """Return a station maximum that becomes the fail-safe by itself.

    It lies above the fail-safe and ends in it besides: so it holds on a station whose clock was reset to before the
    start, and on one that keeps but one maximum.
    """
    station = state.stations[record.evse.station]
    schedule = _schedule(state, record, station, current_a, start=start, unit=unit)
    after = _limit(state, record, schedule.unit, fallback_a(state.site, record.evse))
    return ChargingProfile(
        profile_id=ProfileId(MAXIMUM_ID + record.evse.number),
        stack_level=stack_level(station),
        purpose=ProfilePurpose.CHARGE_POINT_MAX,
        kind=ProfileKind.ABSOLUTE,
        schedules=(replace(schedule, periods=(*schedule.periods, SchedulePeriod(start_s=length_s, limit=after))),),
    )


def _going_down(
    state: SiteState, record: EvseRecord, schedule: ChargingSchedule, falls: Falls, *, elapsed_s: int
) -> ChargingSchedule:
    later = [(elapsed_s + math.ceil(after_s), _limit(state, record, schedule.unit, a)) for after_s, a in falls]
    return replace(schedule, periods=(*schedule.periods, *(SchedulePeriod(start_s=s, limit=a) for s, a in later)))


def _feeding_back(
    state: SiteState, record: EvseRecord, schedule: ChargingSchedule, back: Back, *, until_s: int
) -> ChargingSchedule:
    """Return a schedule that asks for feeding back until ``until_s`` of its axis, and for nothing but its limit then.

    A setpoint of OCPP 2.1 (CentralSetpoint) between a limit and a discharge limit: whatever the station makes of the
    setpoint, it charges no more than the limit that is reckoned with (V2X.03, V2X.04).
    """
    (plain,) = schedule.periods
    value = -_limit(state, record, schedule.unit, back.current_a)
    asked = replace(plain, operation_mode=OperationMode.CENTRAL_SETPOINT, setpoint=value, discharge_limit=value)
    ends = schedule.duration_s is None or until_s < schedule.duration_s
    after = (replace(plain, start_s=until_s),) if ends else ()
    return replace(schedule, periods=(asked, *after))


def _lasting_profile(
    state: SiteState, record: EvseRecord, purpose: ProfilePurpose, current_a: float, *, unit: RateUnit | None
) -> ChargingProfile:
    """Return a limit without an end, for a station that follows no transaction profiles; it replaces the fail-safe."""
    station = state.stations[record.evse.station]
    whole = purpose is ProfilePurpose.CHARGE_POINT_MAX
    relative = not whole and station.failsafe_form % 2 == 0
    return ChargingProfile(
        profile_id=ProfileId(MAXIMUM_ID if whole else FAILSAFE_IDS + record.evse.number),
        stack_level=stack_level(station),
        purpose=purpose,
        kind=ProfileKind.RELATIVE if relative else ProfileKind.ABSOLUTE,
        schedules=(_schedule(state, record, station, current_a, start=None if relative else LONG_AGO, unit=unit),),
    )


def limit_command(
    state: SiteState,
    record: EvseRecord,
    charging: Charging,
    current_a: float,
    *,
    command_id: int,
    now: datetime,
    then: "Falls | Back" = (),
) -> SetProfile:
    """Return the command that limits an EVSE in the form that it follows, and count the write."""
    evse, purpose = record.evse, record.form.purpose
    whole = purpose is ProfilePurpose.CHARGE_POINT_MAX
    if whole and is_lasting(state, record):
        state.stations[evse.station].maximum_writes.append(now)
    else:
        record.writes.append(now)
    if is_lasting(state, record) and purpose not in record.overwritten:
        record.overwritten = (*record.overwritten, purpose)
    return SetProfile(
        id=command_id,
        station=evse.station,
        number=0 if whole else evse.number,
        profile=lease_profile(state, record, charging, current_a, now=now, then=then),
    )


def lease_end(profile: ChargingProfile, started: datetime) -> datetime | None:
    """Return when a lease ends by a clock that is right; ``None`` where it does not end."""
    schedule = profile.schedules[0]
    length_s = schedule.duration_s
    if length_s is None and len(schedule.periods) > 1:
        length_s = schedule.periods[-1].start_s
    return None if length_s is None else (schedule.start or started) + timedelta(seconds=length_s)


def is_lease(record: EvseRecord, profile: ChargingProfile) -> bool:
    """Return whether a profile that an EVSE holds is a lease; one that its station ignores is none to be renewed."""
    if profile.purpose is ProfilePurpose.CHARGE_POINT_MAX:
        return profile.profile_id == MAXIMUM_ID + record.evse.number
    return profile.purpose is ProfilePurpose.TX and profile.purpose not in record.holding.ignored


def _schedule(
    state: SiteState,
    record: EvseRecord,
    station: StationRecord,
    current_a: float,
    *,
    start: datetime | None,
    duration_s: int | None = None,
    unit: RateUnit | None = None,
) -> ChargingSchedule:
    unit = unit or rate_unit(station, record.evse)
    limit = _limit(state, record, unit, current_a)
    schedule_id = None if station.version in (None, OcppVersion.V16) else 1
    return _constant(unit, limit, schedule_id=schedule_id, start=start, duration_s=duration_s)


@lru_cache(maxsize=1024)
def _constant(
    unit: RateUnit, limit: float, *, schedule_id: int | None, start: datetime | None, duration_s: int | None
) -> ChargingSchedule:
    """Return a schedule of one limit: fail-safes and maxima of most stations of a site have the same."""
    return ChargingSchedule(
        unit=unit,
        periods=(SchedulePeriod(start_s=0, limit=limit),),
        schedule_id=schedule_id,
        start=start,
        duration_s=duration_s,
    )


@lru_cache(maxsize=1024)
def _standing(number: int, level: int, schedule: ChargingSchedule, kind: ProfileKind) -> ChargingProfile:
    """Return a profile that has no end: those of most stations of a site are the same."""
    return ChargingProfile(
        profile_id=ProfileId(number),
        stack_level=level,
        purpose=ProfilePurpose.CHARGE_POINT_MAX if number == MAXIMUM_ID else ProfilePurpose.TX_DEFAULT,
        kind=kind,
        recurrency=Recurrency.DAILY if kind is ProfileKind.RECURRING else None,
        schedules=(schedule,),
    )


def _limit(state: SiteState, record: EvseRecord, unit: RateUnit, current_a: float) -> float:
    if unit is RateUnit.A:
        traits = state.stations[record.evse.station].traits
        whole = traits is not None and traits.whole_limits is True
        return floor_to_step(current_a, step=1.0 if whole else 0.1)
    return floor_to_step(current_a * w_per_a_at_worst(state, record), step=1.0)

"""The profiles that the controller sends: the fail-safe, the station maximum, and leases above them.

Rules
-----
1. A fixed small set of ids, replaced in place: stations have room for few (quirks of MaxChargingProfilesInstalled).
2. Each purpose sits on the highest stack level that the station takes, so that nothing left over lies above it.
3. Limits are rounded down, to a tenth of an ampere or a watt; to a whole ampere where a model takes no fractions.
4. A schedule starts well in the past, because "now" is the future for a clock that is slow (quirk 8).
5. Stations refuse one form and take another; the forms are tried in turn, the usual one first.
"""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from loadmgr.control.assumption import LOW_VOLTAGE_RATIO, w_per_a_at_worst
from loadmgr.control.command import SetProfile
from loadmgr.control.rung import LeaseForm
from loadmgr.control.skew import skew_s, widest_s
from loadmgr.control.state import Charging, EvseRecord, SiteState, StationRecord
from loadmgr.control.windows import DAY_S, periods, window_current_a
from loadmgr.model.ids import ProfileId
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    OcppVersion,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    Recurrency,
    SchedulePeriod,
)
from loadmgr.model.topology import CurrentType, Evse, FailSafeStrategy, Site
from loadmgr.model.units import floor_to_step

LEASE_IDS = 1000
FAILSAFE_IDS = 2000
MAXIMUM_ID = 3000

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
"""Start of a schedule that always holds, for a clock that was ever set."""

STACK_LEVELS = (9, 5, 2, 1, 0)
"""Tried in turn where a station does not say how high it goes."""

EARLY_S = 60
"""By how much a lease starts before now, beside twice the clock skew [s]."""


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

    6 A that are said as 1242 W are 5.4 A where the voltage is nominal, and a vehicle pauses there.
    """
    evse, unit = record.evse, record.form.unit or rate_unit(state.stations[record.evse.station], record.evse)
    if unit is RateUnit.A or evse.current_type is CurrentType.DC:
        return evse.min_a
    return min(evse.max_a, math.ceil(evse.min_a / LOW_VOLTAGE_RATIO / evse.step_a - 1e-9) * evse.step_a)


def usual_form(state: SiteState, record: EvseRecord) -> LeaseForm:
    """Return the form in which limits are sent to an EVSE as long as nothing else was found to work."""
    station = state.stations[record.evse.station]
    known = None if station.traits is None else station.traits.kind
    flipped = station.lease_form % 2 == 1
    kind = known or (ProfileKind.RELATIVE if flipped else ProfileKind.ABSOLUTE)
    return LeaseForm(unit=rate_unit(station, record.evse), kind=kind)


def failsafe_profile(state: SiteState, record: EvseRecord, station: StationRecord) -> ChargingProfile:
    """Return the default profile that holds when nobody controls an EVSE; it has no end.

    Relative first: it needs no clock, so it also holds after a power loss that reset the station's.
    """
    if state.site.failsafe.strategy is FailSafeStrategy.TIME_DIVISION:
        return _windows_profile(state, record, station)
    relative = station.failsafe_form % 2 == 0
    return ChargingProfile(
        profile_id=ProfileId(FAILSAFE_IDS + record.evse.number),
        stack_level=stack_level(station),
        purpose=ProfilePurpose.TX_DEFAULT,
        kind=ProfileKind.RELATIVE if relative else ProfileKind.ABSOLUTE,
        schedules=(
            _schedule(
                state, record, station, fallback_a(state.site, record.evse), start=None if relative else LONG_AGO
            ),
        ),
    )


def _windows_profile(state: SiteState, record: EvseRecord, station: StationRecord) -> ChargingProfile:
    """Return the default profile that opens an EVSE's daily windows and no others."""
    steps = periods(state.windows[record.evse.id])
    schedule = _schedule(state, record, station, 0.0, start=LONG_AGO, duration_s=DAY_S)
    return ChargingProfile(
        profile_id=ProfileId(FAILSAFE_IDS + record.evse.number),
        stack_level=stack_level(station),
        purpose=ProfilePurpose.TX_DEFAULT,
        kind=ProfileKind.RECURRING,
        recurrency=Recurrency.DAILY,
        schedules=(
            replace(
                schedule,
                periods=tuple(
                    SchedulePeriod(start_s=s, limit=_limit(state, record, schedule.unit, a)) for s, a in steps
                ),
            ),
        ),
    )


def maximum_profile(state: SiteState, station: StationRecord) -> ChargingProfile:
    """Return the station maximum: what is installed, all EVSEs together."""
    evses = state.site.evses_of(station.station.id)
    record = state.evses[evses[0].id]
    total_a = sum(e.max_a for e in evses)
    if record.form.purpose is ProfilePurpose.CHARGE_POINT_MAX and record.charging is None:
        total_a = fallback_a(state.site, record.evse)  # it is the only limit that this station follows
    return ChargingProfile(
        profile_id=ProfileId(MAXIMUM_ID),
        stack_level=stack_level(station),
        purpose=ProfilePurpose.CHARGE_POINT_MAX,
        kind=ProfileKind.ABSOLUTE,
        schedules=(_schedule(state, record, station, total_a, start=LONG_AGO),),
    )


def lease_s(state: SiteState, record: EvseRecord, current_a: float) -> int:
    """Return how long a lease holds [s].

    One that holds an EVSE below its fallback ends after every other: it pays for current that others use.
    """
    usual = state.site.failsafe.lease_s
    if current_a < fallback_a(state.site, record.evse):
        return int(2 * usual + 2 * widest_s(state))
    return usual


def lease_profile(
    state: SiteState, record: EvseRecord, charging: Charging, current_a: float, *, now: datetime
) -> ChargingProfile:
    """Return the profile that gives an EVSE a current: a lease, unless it only follows limits that stay."""
    form, usual = record.form, usual_form(state, record)
    unit = form.unit or usual.unit
    if form.lasting:
        return _lasting_profile(state, record, form.purpose, current_a, unit=unit)
    station = state.stations[record.evse.station]
    early_s = int(2 * skew_s(state, record.evse.station)) + EARLY_S
    length_s = lease_s(state, record, current_a)
    kind = form.kind or usual.kind or ProfileKind.ABSOLUTE
    relative = kind is ProfileKind.RELATIVE
    start = None if relative else now.replace(microsecond=0) - timedelta(seconds=early_s)
    elapsed_s = int((now - charging.started).total_seconds()) if relative else early_s
    return ChargingProfile(
        profile_id=ProfileId(LEASE_IDS + record.evse.number),
        stack_level=stack_level(station),
        purpose=ProfilePurpose.TX,
        kind=kind,
        transaction_id=charging.transaction,
        schedules=(
            _schedule(state, record, station, current_a, start=start, duration_s=elapsed_s + length_s, unit=unit),
        ),
    )


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
    state: SiteState, record: EvseRecord, charging: Charging, current_a: float, *, command_id: int, now: datetime
) -> SetProfile:
    """Return the command that limits an EVSE in the form that it follows, and count the write."""
    evse, purpose = record.evse, record.form.purpose
    whole = purpose is ProfilePurpose.CHARGE_POINT_MAX
    if whole:
        state.stations[evse.station].maximum_writes.append(now)
    else:
        record.writes.append(now)
    if record.form.lasting and purpose not in record.overwritten:
        record.overwritten = (*record.overwritten, purpose)
    return SetProfile(
        id=command_id,
        station=evse.station,
        number=0 if whole else evse.number,
        profile=lease_profile(state, record, charging, current_a, now=now),
    )


def lease_end(profile: ChargingProfile, started: datetime) -> datetime | None:
    """Return when a lease ends by a clock that is right; ``None`` where it does not end."""
    schedule = profile.schedules[0]
    if schedule.duration_s is None:
        return None
    return (schedule.start or started) + timedelta(seconds=schedule.duration_s)


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
    return ChargingSchedule(
        unit=unit,
        periods=(SchedulePeriod(start_s=0, limit=limit),),
        schedule_id=None if station.version in (None, OcppVersion.V16) else 1,
        start=start,
        duration_s=duration_s,
    )


def _limit(state: SiteState, record: EvseRecord, unit: RateUnit, current_a: float) -> float:
    if unit is RateUnit.A:
        traits = state.stations[record.evse.station].traits
        whole = traits is not None and traits.whole_limits is True
        return floor_to_step(current_a, step=1.0 if whole else 0.1)
    return floor_to_step(current_a * w_per_a_at_worst(state, record), step=1.0)

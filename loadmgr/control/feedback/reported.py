"""What a station is reported to hold, in place of everything that was believed of it.

Rules
-----
1. The report is the certainty: nothing else is installed, and nothing is under way.
2. An EVSE is relied on only where its standing profiles, those without an end, keep it at or below its fail-safe with
   nobody in control. Where they do not, the fail-safe is set; where something of others stands in its way, that is
   cleared before.
"""

from datetime import datetime, timedelta

from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.control.feedback.sessions import take_known
from loadmgr.control.handed_over import ProfilesReported, VehicleKnown
from loadmgr.control.safety.assumption import OUTLOOK_S, w_per_a_at_worst
from loadmgr.control.safety.envelope import Envelope
from loadmgr.control.safety.failsafe import cleared_of
from loadmgr.control.safety.holding import FailSafeStage, Terms, limit_envelope
from loadmgr.control.sending.form import own_ids
from loadmgr.control.sending.profiles import failsafe_of, stack_level
from loadmgr.control.state import EvseRecord, SiteState, StationRecord
from loadmgr.model.profile import ProfileKind, ProfilePurpose
from loadmgr.model.units import CURRENT_TOLERANCE_A

REPORTED = "reported"
"""The source of external constraints that came with a report."""

LOWERING = (ProfilePurpose.CHARGE_POINT_MAX, ProfilePurpose.TX)
"""Purposes that raise nothing while no transaction runs: a maximum lowers, and a transaction profile waits."""

STANDING = (ProfilePurpose.TX_DEFAULT, ProfilePurpose.CHARGE_POINT_MAX)


def fold_handed_over(state: SiteState, seen: ProfilesReported | VehicleKnown) -> None:
    """Take over what is told of the time before; what the site does not have changes nothing."""
    match seen:
        case ProfilesReported():
            station = state.stations.get(seen.station)
            if station is not None:
                fold_report(state, station, seen)
        case VehicleKnown():
            record = state.evses.get(seen.evse)
            if record is not None:
                take_known(state, record, seen)


def fold_report(state: SiteState, station: StationRecord, seen: ProfilesReported) -> None:
    """Take a report as what every EVSE of a station holds, and judge whether its fail-safe is among it."""
    evses = state.site.evses_of(seen.station)
    ours = {profile_id for e in evses for profile_id in own_ids(e)}
    in_the_way = False
    for evse in evses:
        record = state.evses[evse.id]
        here = [i for i in seen.installed if i.evse_id in (0, evse.number)]
        held = [i for i in here if i.profile.purpose is not ProfilePurpose.EXTERNAL_CONSTRAINTS]
        record.foreign[REPORTED] = tuple(i for i in here if i not in held)
        holding = record.holding
        holding.forgotten()
        holding.certain = {i.profile.profile_id: i for i in held}
        holding.volatile = holding.inherited = holding.reinstall = holding.recheck = False
        safe = _is_safe(state, record, station, held, now=seen.at)
        holding.stage = FailSafeStage.READ_BACK if safe else FailSafeStage.MISSING
        theirs = [i for i in held if i.profile.profile_id not in ours]
        in_the_way = in_the_way or any(_outranks(i, station) or not safe for i in theirs if _counts(i, station))
    station.maximum_asked = any(i.profile.purpose is ProfilePurpose.CHARGE_POINT_MAX for i in seen.installed)
    station.clear_first = in_the_way
    station.foreign_request = 0  # no command asked, and none has to
    state.triggers.append(f"{seen.station} reported its profiles")


def _counts(installed: InstalledProfile, station: StationRecord) -> bool:
    return installed.profile.purpose in cleared_of(station)


def _outranks(installed: InstalledProfile, station: StationRecord) -> bool:
    """Return whether a transaction profile of somebody else would defeat a lease, or keep it from being installed."""
    profile = installed.profile
    return profile.purpose is ProfilePurpose.TX and profile.stack_level >= stack_level(station)


def _is_safe(
    state: SiteState, record: EvseRecord, station: StationRecord, held: list[InstalledProfile], *, now: datetime
) -> bool:
    wanted = failsafe_of(state, record, station)
    held = [i for i in held if i.profile.purpose not in record.holding.ignored]
    if wanted in held and all(i == wanted or i.profile.purpose in LOWERING for i in held):
        return True
    allowed = _without_transaction(state, record, station, [wanted], now=now)
    return all(
        _never_above(_without_transaction(state, record, station, profiles, now=now), allowed)
        for profiles in (held, [i for i in held if _is_standing(i, now)])
    )


def _is_standing(installed: InstalledProfile, now: datetime) -> bool:
    profile = installed.profile
    if profile.purpose not in STANDING or profile.kind is ProfileKind.DYNAMIC or profile.max_offline_s is not None:
        return False
    if profile.valid_to is not None or (profile.valid_from is not None and profile.valid_from > now):
        return False
    return profile.kind is ProfileKind.RECURRING or all(s.duration_s is None for s in profile.schedules)


def _without_transaction(
    state: SiteState,
    record: EvseRecord,
    station: StationRecord,
    profiles: list[InstalledProfile],
    *,
    now: datetime,
) -> Envelope:
    """Return the limit over a day and more of a vehicle that plugs in with nobody in control."""
    terms = Terms(
        number=record.evse.number,
        settings=state.settings_of(station.station.id),
        transaction=None,
        max_a=record.evse.max_a,
        w_per_a=w_per_a_at_worst(state, record),
    )
    back = timedelta(seconds=state.site.timing.clock_skew_s)
    return limit_envelope([tuple(profiles)], terms, start=now - back, duration_s=OUTLOOK_S)


def _never_above(one: Envelope, other: Envelope) -> bool:
    instants = sorted({*one.starts_s, *other.starts_s})
    return all(one.at(s) <= other.at(s) + CURRENT_TOLERANCE_A for s in instants)

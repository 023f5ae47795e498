"""Limits that others put on a station: what the station, or whoever stands above it, tells of them.

Rules
-----
1. A source has one word on each EVSE of a station, and one on the station as a whole; a new word replaces the old one.
2. The report that this controller asked for is the whole truth of what the station knows: its parts add up, and with
   the last one goes what the station told before and did not repeat. What others than the station told stays. A report
   that somebody else asked for may be a part of the truth, and is left out.
3. A limit of which nobody said how low it is, is asked for.
4. OCPP 1.6 has no word for the limits of others. A station whose composite schedule is lower than what it was set, and
   whose vehicle draws no more than that, is limited by somebody: for as long as that schedule goes.
"""

from dataclasses import replace

from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.control.observation import CompositeReported, ForeignProfiles
from loadmgr.control.state import EvseRecord, SiteState, StationRecord
from loadmgr.model.ids import ProfileId
from loadmgr.model.profile import ChargingProfile, OcppVersion, ProfileKind, ProfilePurpose
from loadmgr.model.units import CURRENT_TOLERANCE_A

COMPOSITE = "its own composite schedule"
"""The source of a limit that a station does not name."""

SHOWN_S = 600
"""How long it counts where the schedule does not say how long it goes [s]."""

LOWER_BY_A = 0.5
"""Less is rounding [A]."""

_UNASKED = 0


def fold_foreign(state: SiteState, station: StationRecord | None, seen: ForeignProfiles) -> None:
    """Fold what is said of the limits of others on a station; an unknown one changes nothing."""
    if station is None:
        return
    if seen.profiles is None:
        station.foreign_request = None
        return
    if seen.request is not None and seen.request != station.foreign_request:
        return
    key = f"{seen.source}@{seen.number}"
    installed = tuple(InstalledProfile(evse_id=seen.number, profile=p) for p in seen.profiles)
    for evse in state.site.evses_of(seen.station):
        record = state.evses[evse.id]
        if seen.number in (0, evse.number) and seen.source:
            before = record.foreign.get(key, ())
            same_report = seen.request is not None and record.foreign_told.get(key) == seen.request
            record.foreign[key] = (*before, *installed) if same_report else installed
            if seen.by_station:
                record.foreign_told[key] = _UNASKED if seen.request is None else seen.request
        if seen.last:
            stale = [told for told, request in record.foreign_told.items() if request != seen.request]
            for told in stale:
                del record.foreign_told[told]
                record.foreign.pop(told, None)
    state.triggers.append(f"{seen.source or 'nobody'} changed its limit of {seen.station}")


def fold_composite_limit(
    state: SiteState, record: EvseRecord, seen: CompositeReported, *, reported_a: float, expected_a: float
) -> None:
    """Take a composite schedule that is lower than what a 1.6 station was set for the limit of somebody else.

    Parameters
    ----------
    reported_a, expected_a : float
        What the station says is in force now, and what it was set [A per phase].
    """
    station = state.stations[record.evse.station]
    if station.version is not OcppVersion.V16 or record.charging is None or seen.schedule is None:
        return
    key, subject = f"{COMPOSITE}@{record.evse.number}", record.evse.id
    draws_less = record.draw is not None and record.draw.peak_a <= reported_a + CURRENT_TOLERANCE_A
    if not draws_less or reported_a >= expected_a - LOWER_BY_A:
        if record.foreign.pop(key, None):
            state.triggers.append(f"{subject}: {COMPOSITE} is as it was set")
        return
    schedule = replace(seen.schedule, start=seen.at, duration_s=seen.schedule.duration_s or SHOWN_S)
    limit = ChargingProfile(
        profile_id=ProfileId(-1),
        stack_level=0,
        purpose=ProfilePurpose.EXTERNAL_CONSTRAINTS,
        kind=ProfileKind.ABSOLUTE,
        schedules=(schedule,),
    )
    record.foreign[key] = (InstalledProfile(evse_id=record.evse.number, profile=limit),)
    state.triggers.append(f"{subject} is limited by {COMPOSITE}")

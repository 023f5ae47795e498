"""Limits that others put on a station: what the station, or whoever stands above it, tells of them.

Rules
-----
1. A source has one word on each EVSE of a station, and one on the station as a whole; a new word replaces the old one.
2. The report that this controller asked for is the whole truth of what the station knows: its parts add up, and with
   the last one goes what the station told before and did not repeat. What others than the station told stays. A report
   that somebody else asked for may be a part of the truth, and is left out.
3. A limit of which nobody said how low it is, is asked for.
"""

from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.control.observation import ForeignProfiles
from loadmgr.control.state import SiteState, StationRecord

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

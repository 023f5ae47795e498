"""How far a station's clock may be off: as the site file says, or as is seen where that is more.

What is seen never makes the guard smaller: a clock that was right for a day may be set wrong in the next minute.
"""

from datetime import datetime, timedelta

from loadmgr.control.alarm import Severity
from loadmgr.control.feedback.clock_estimate import RESOLUTION_S, ClockEstimate
from loadmgr.control.state import SiteState, StationRecord
from loadmgr.model.ids import StationId

CONNECTED_S = 60.0
"""After a connection what waited is sent first: for so long readings tell nothing of the clock [s]."""

CATCHING_UP_S = 15.0
"""Over so long a station that tells what waited has come nearer to the present [s]."""


def skew_s(state: SiteState, station: StationId) -> float:
    """Return how far the clock of a station may be off, one way or the other [s]."""
    said_s, known = state.site.timing.clock_skew_s, state.stations[station].clock
    offset_s = known.offset_s
    if offset_s is None or abs(offset_s) + RESOLUTION_S <= said_s:
        return said_s
    drift_s_per_day = abs(known.drift_s_per_day or 0.0)
    return abs(offset_s) + RESOLUTION_S + drift_s_per_day * state.site.failsafe.lease_s / 86_400.0


def widest_s(state: SiteState) -> float:
    """Return how far the worst clock of the site may be off [s]."""
    return max(skew_s(state, station) for station in state.stations)


def is_history(state: SiteState, station: StationRecord, stamp: datetime, *, at: datetime) -> bool:
    """Return whether a reading was taken before the station connected, and waited: it says nothing of what flows now.

    OCPP 1.6 has no mark for that. A clock that was never estimated may just be slow, so it is doubted only for as long
    as what waited takes to arrive. Over a link that stood nothing has waited.
    """
    if station.connected_at is None or station.stood:
        return False
    fresh = at < station.connected_at + timedelta(seconds=CONNECTED_S)
    off_s = skew_s(state, station.station.id)
    if not (fresh or station.clock.offset_s is not None) or stamp + timedelta(seconds=off_s) >= station.connected_at:
        return False
    return _catches_up(station, stamp, at=at)


def _catches_up(station: StationRecord, stamp: datetime, *, at: datetime) -> bool:
    """Return whether a station that tells old readings comes nearer to the present with them.

    What waited is told faster than it was measured. Who stays as far behind measures now, by a clock that was set:
    that is learnt anew, for nobody may stay unseen until it has passed the connection's own time.
    """
    lag_s = (at - stamp).total_seconds()
    since, before_s = station.behind or (at, lag_s)
    passed_s = (at - since).total_seconds()
    if station.behind is None or passed_s >= CATCHING_UP_S:
        station.behind = (at, lag_s)
    if passed_s < CATCHING_UP_S or before_s - lag_s >= passed_s / 2.0:
        return True
    station.stood, station.clock = True, ClockEstimate()
    return False


def fold_stamp(state: SiteState, station: StationRecord, stamp: datetime, *, at: datetime) -> None:
    """Take in what a station wrote on a live reading; a clock that is further off than allowed for raises an alarm."""
    if station.connected_at is None:
        return
    if not station.stood and at < station.connected_at + timedelta(seconds=CONNECTED_S):
        return
    name = station.station.id
    before_s = skew_s(state, name)
    station.clock.wrote(stamp, at=at)
    after_s, said_s = skew_s(state, name), state.site.timing.clock_skew_s
    if abs(after_s - before_s) >= 1.0:
        for evse in state.site.evses_of(name):
            state.evses[evse.id].holding.touched()
        state.stirred = True
    offset_s = station.clock.offset_s
    if offset_s is not None and abs(offset_s) > said_s:
        state.alarms.raise_alarm(
            "clock off",
            name,
            at=at,
            severity=Severity.WARNING,
            cause=f"the clock of station {name} is {abs(offset_s):.0f} s {'ahead' if offset_s > 0.0 else 'behind'}, the"
            f" site file allows for {said_s:g} s; what it holds counts with that",
            advice="let it take its time from here (Heartbeat) or from NTP, or raise timing.clock_skew",
        )
    else:
        state.alarms.clear("clock off", name, at=at)

"""Budgets of writes: stations keep profiles in flash, which bears only so many.

Rules
-----
1. What safety asks for is always written. Everything else keeps to the budget of a day.
2. The wait between two writes grows with the square of what is spent: the first changes are free, and the last are far
   apart. So nobody is left for hours with a limit that was right when the budget ran out.
"""

from collections import deque
from datetime import datetime

from loadmgr.control.settings import ControlSettings
from loadmgr.control.state import EvseRecord, SiteState, StationRecord
from loadmgr.model.profile import ProfilePurpose

DAY_S = 86_400

PACE_FACTOR = 2.0
"""How far apart the last writes of a day's budget are, in shares of what an even spacing would be."""


def has_to_wait(state: SiteState, record: EvseRecord, settings: ControlSettings, now: datetime) -> bool:
    """Return whether a change that safety does not ask for has to wait, so that the day's budget of writes lasts.

    A station that follows nothing but its maximum is limited by that, so the budget of station maxima counts.
    """
    if record.form.purpose is ProfilePurpose.CHARGE_POINT_MAX:
        written, budget = state.stations[record.evse.station].maximum_writes, settings.maximum_writes_per_day
    else:
        written, budget = record.writes, settings.tx_writes_per_day
    spent_ratio = _spent(written, now) / budget
    if spent_ratio >= 1.0:
        return True
    pace_s = PACE_FACTOR * spent_ratio**2 * DAY_S / budget
    return bool(written) and (now - written[-1]).total_seconds() < pace_s


def may_write_maximum(state: SiteState, station: StationRecord, settings: ControlSettings, now: datetime) -> bool:
    """Return whether a station maximum may be set up: one that restarts over and over is not written to each time.

    Where the maximum is all that a station follows it is its fail-safe, which no budget holds back.
    """
    evses = state.site.evses_of(station.station.id)
    if any(state.evses[e.id].form.purpose is ProfilePurpose.CHARGE_POINT_MAX for e in evses):
        return True
    return _spent(station.maximum_writes, now) < settings.maximum_writes_per_day


def _spent(written: deque[datetime], now: datetime) -> int:
    while written and (now - written[0]).total_seconds() > DAY_S:
        written.popleft()
    return len(written)

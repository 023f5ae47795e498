"""Budgets of writes: stations keep profiles in flash, which bears only so many.

Rules
-----
1. What safety asks for is always written. Everything else keeps to the budget of a day.
2. A pause is paid for with its end: where the budget bears no two more writes, a vehicle goes on instead. So its end
   never has to wait, and nobody misses a departure for the flash of a station.
3. The wait between two writes grows with the square of what is spent: the first changes are free, and the last are far
   apart. So nobody is left for hours with a limit that was right when the budget ran out.
4. Nobody waits for long who has no time to spare: a budget is kept over the day, and a promise falls due once.
"""

from collections import deque
from datetime import datetime

from loadmgr.control.sending.profiles import is_lasting
from loadmgr.control.settings import ControlSettings
from loadmgr.control.state import EvseRecord, SiteState, StationRecord
from loadmgr.model.profile import ProfilePurpose

DAY_S = 86_400

PACE_FACTOR = 2.0
"""How far apart the last writes of a day's budget are, in shares of what an even spacing would be."""

CHANGES_RATIO = 0.85
"""Changes get no more of a budget than this: the rest is for what cannot wait, renewals and the starts of sessions."""

WAIT_RATIO = 0.1
"""How much of the time that a vehicle has to spare may go into waiting for one write."""


def has_to_wait(
    state: SiteState, record: EvseRecord, settings: ControlSettings, now: datetime, *, spare_s: float | None = None
) -> bool:
    """Return whether a change that safety does not ask for has to wait, so that the day's budget of writes lasts.

    A station that follows nothing but its maximum is limited by that, so the budget of station maxima counts.

    Parameters
    ----------
    spare_s : float, optional
        How long the vehicle that needs the change can still pause [s]; ``None`` where no promise hangs on it.
    """
    written, budget = _account(state, record, settings)
    spent_ratio = _spent(written, now) / _for_changes(budget, spare_s, settings)
    if spent_ratio >= 1.0:
        return True
    pace_s = PACE_FACTOR * spent_ratio**2 * DAY_S / budget
    if spare_s is not None:
        pace_s = min(pace_s, WAIT_RATIO * max(spare_s, 0.0))
    return bool(written) and (now - written[-1]).total_seconds() < pace_s


def may_pause(
    state: SiteState, record: EvseRecord, settings: ControlSettings, now: datetime, *, spare_s: float | None = None
) -> bool:
    """Return whether the budget bears a pause that safety does not ask for: two writes more.

    ``spare_s`` is of the vehicle that the pause makes room for [s], as for :func:`has_to_wait`.
    """
    written, budget = _account(state, record, settings)
    return _spent(written, now) + 2 <= _for_changes(budget, spare_s, settings)


def _for_changes(budget: int, spare_s: float | None, settings: ControlSettings) -> float:
    """Return how much of a budget changes may spend: all of it for a vehicle that has no time to spare."""
    return budget if spare_s is not None and spare_s < settings.urgent_s else CHANGES_RATIO * budget


def _account(state: SiteState, record: EvseRecord, settings: ControlSettings) -> tuple[deque[datetime], int]:
    """Return the writes that count for the limits of an EVSE, and how many of them a day bears."""
    if record.form.purpose is ProfilePurpose.CHARGE_POINT_MAX and is_lasting(state, record):
        return state.stations[record.evse.station].maximum_writes, settings.maximum_writes_per_day
    return record.writes, settings.tx_writes_per_day


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

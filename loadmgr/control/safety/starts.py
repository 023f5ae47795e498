"""When charging may start or rise: after a randomised delay, one after the other after a blackout, not in peak hours.

Rules
-----
1. Only a rise waits: with a delay every one, after a blackout a start from below the minimum to above it. No reduction
   is ever put off.
2. A delay is random between sites and sessions and always the same for one, so that a decision can be made again.
3. Whoever a person puts first, or who said when it leaves, is not held to the default hours; who is put first starts
   without delay.

References
----------
Electric Vehicles (Smart Charge Points) Regulations 2021, regulations 11 (randomised delay) and 10 (default hours).
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from loadmgr.control.outside.override import order_of
from loadmgr.control.settings import ControlSettings
from loadmgr.control.state import Charging, EvseRecord, SiteState
from loadmgr.model.compliance import delay_s, is_peak
from loadmgr.model.series import TimeGrid

BLACKOUT_S = 300
"""Stations that start again within so long were without power together [s]."""

BLACKOUT_STATIONS = 3
"""So few of a small site may start again by chance."""


def may_rise(state: SiteState, record: EvseRecord, settings: ControlSettings, now: datetime, *, starts: bool) -> bool:
    """Return whether an EVSE may start charging, or be given more, now; from the first time that is asked it waits."""
    if record.start_at is None:
        record.start_at = now + timedelta(seconds=_wait_s(state, record, settings, now, starts=starts))
    order = order_of(record, now)
    return now >= record.start_at or (order is not None and order.boost)


def _wait_s(state: SiteState, record: EvseRecord, settings: ControlSettings, now: datetime, *, starts: bool) -> float:
    wait_s = 0.0
    if settings.longest_delay_s and record.charging is not None:
        label = f"{state.site.name}/{record.evse.id}/{record.charging.transaction}/{now.isoformat()}"
        wait_s = float(delay_s(settings.longest_delay_s, label=label))
    if starts and after_blackout(state, now):
        charging = [e.id for e in state.site.evses if state.evses[e.id].charging is not None]
        wait_s = max(wait_s, settings.stagger_s * charging.index(record.evse.id)) if record.charging else wait_s
    return wait_s


def after_blackout(state: SiteState, now: datetime) -> bool:
    """Return whether at least half of the stations, and three, have just started again."""
    again = sum(
        s.restarted_at is not None and (now - s.restarted_at).total_seconds() < BLACKOUT_S
        for s in state.stations.values()
    )
    return again >= max(BLACKOUT_STATIONS, len(state.stations) / 2)


def off_by_default(
    state: SiteState, record: EvseRecord, charging: Charging, *, settings: ControlSettings, at: datetime
) -> bool:
    """Return whether an instant lies in peak hours that hold for a session about which nobody said anything."""
    if not settings.peak_hours or charging.source != "default":
        return False
    order = order_of(record, at)
    if order is not None and order.boost:
        return False
    return is_peak(settings.peak_hours, at, ZoneInfo(state.site.time_zone))


def steps_a(
    state: SiteState, record: EvseRecord, most_a: ArrayLike, *, settings: ControlSettings, grid: TimeGrid
) -> NDArray[np.float64]:
    """Return the most that an EVSE may be given in each step of a plan [A]."""
    charging, times = record.charging, grid.times[:-1]
    if charging is None:
        return np.broadcast_to(np.asarray(most_a, dtype=np.float64), len(grid))
    off = [off_by_default(state, record, charging, settings=settings, at=t) for t in times]
    return np.where(off, 0.0, np.broadcast_to(np.asarray(most_a, dtype=np.float64), len(grid)))

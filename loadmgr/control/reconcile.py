"""From wanted setpoints to profiles: what is sent now, and what has to wait.

Rules
-----
1. Reductions go first, at once. A raise is sent when it fits beside everything that has to be assumed: so it waits
   by itself until the reductions that pay for it are acknowledged and settled.
2. One lease of an EVSE is under way at a time: the order of two could change on the way.
3. A lease is renewed at half its life. One that says no more than the fallback needs no renewal.
4. Small changes are not sent, and a spent budget of writes holds back every change that safety does not ask for.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from loadmgr.control.assumption import limit_now_a
from loadmgr.control.budget import has_to_wait
from loadmgr.control.circuits import LoadBook
from loadmgr.control.command import TriggerReading, Urgency
from loadmgr.control.failsafe import Step
from loadmgr.control.others import over_others
from loadmgr.control.override import order_of
from loadmgr.control.pending import Purpose
from loadmgr.control.profiles import fallback_a, lease_end, lease_s, limit_command
from loadmgr.control.settings import ControlSettings
from loadmgr.control.skew import skew_s
from loadmgr.control.starts import may_start
from loadmgr.control.state import Charging, EvseRecord, SiteState
from loadmgr.model.ids import EvseId
from loadmgr.model.profile import ProfilePurpose
from loadmgr.model.topology import FailSafeStrategy
from loadmgr.model.units import CURRENT_TOLERANCE_A, floor_to_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an EVSE is to be limited to, and what it may hold now [A per phase]."""

    record: EvseRecord
    charging: Charging
    target_a: float
    held_a: float


def reconcile(
    state: SiteState,
    targets_a: Mapping[EvseId, float],
    *,
    book: LoadBook,
    settings: ControlSettings,
    now: datetime,
    first_id: int,
) -> list[Step]:
    """Return the leases to be sent now, reductions first, and what is asked of stations to prove them.

    Parameters
    ----------
    targets_a : mapping
        Setpoints of EVSEs that obey [A per phase].
    book : LoadBook
        The load that has to be assumed; what is sent is entered in it.
    first_id : int
        Id of the first command.
    """
    wishes = _wishes(state, targets_a, now)
    overfull = set(book.overfull())
    falls, rises = [], []
    for wish in wishes:
        must = any(row in overfull for row in book.rows_of(wish.record.evse.id))
        must = must or over_others(state, wish.record, wish.held_a - CURRENT_TOLERANCE_A, now) is not None
        if wish.target_a > wish.held_a + CURRENT_TOLERANCE_A:
            rises.append(wish)
        elif _is_due(state, wish, safety=must, settings=settings, now=now):
            falls.append((wish, must))
    steps: list[Step] = []
    for wish, must in falls:
        urgency = Urgency.SAFETY if must else Urgency.ORDINARY
        steps += _send(state, wish, wish.target_a, book=book, urgency=urgency, now=now, next_id=first_id + len(steps))
    unsettled = bool(falls) or any(r.holding.settling or r.holding.doubtful for r in state.evses.values())
    for wish in sorted(rises, key=_raise_order):
        current = _granted_a(state, wish, book=book, unsettled=unsettled, settings=settings, now=now)
        if current is not None:
            steps += _send(
                state, wish, current, book=book, urgency=Urgency.ORDINARY, now=now, next_id=first_id + len(steps)
            )
    steps += _readings_to_ask(state, now=now, next_id=first_id + len(steps))
    return steps


def _wishes(state: SiteState, targets_a: Mapping[EvseId, float], now: datetime) -> list[Wish]:
    under_way = {p.evse for p in state.pending.values() if p.purpose is Purpose.LEASE}
    out = []
    for evse in state.site.evses:
        record = state.evses[evse.id]
        target = targets_a.get(evse.id)
        if target is None or record.charging is None or evse.id in under_way:
            continue
        if target < evse.min_a:
            record.start_at = None
        if record.retry_at is not None and now < record.retry_at:
            continue
        out.append(
            Wish(
                record=record,
                charging=record.charging,
                target_a=target,
                held_a=limit_now_a(state, record, now),
            )
        )
    return out


def _raise_order(wish: Wish) -> tuple[int, float, str]:
    departure = wish.charging.departure
    return (-wish.charging.priority, float("inf") if departure is None else departure.timestamp(), wish.record.evse.id)


def lease_left_s(record: EvseRecord, now: datetime) -> float | None:
    """Return how long the acknowledged lease of an EVSE still holds [s]; ``None`` where it has none."""
    if record.charging is None:
        return None
    for installed in record.holding.certain.values():
        if installed.profile.purpose is ProfilePurpose.TX:
            end = lease_end(installed.profile, record.charging.started)
            return None if end is None else (end - now).total_seconds()
    return None


def renewal_at(state: SiteState, record: EvseRecord, now: datetime) -> datetime | None:
    """Return when the lease of an EVSE is to be renewed; ``None`` where it has none or needs none."""
    left = lease_left_s(record, now)
    held = limit_now_a(state, record, now)
    constant = state.site.failsafe.strategy is not FailSafeStrategy.TIME_DIVISION
    if left is None or (constant and abs(held - fallback_a(state.site, record.evse)) <= CURRENT_TOLERANCE_A):
        return None
    return now + timedelta(seconds=max(0.0, left - lease_s(state, record, held) / 2.0))


def _is_due(state: SiteState, wish: Wish, *, safety: bool, settings: ControlSettings, now: datetime) -> bool:
    """Return whether a lease that raises nothing is to be sent now."""
    record = wish.record
    if record.holding.volatile or _in_doubt(record):
        return True
    at = renewal_at(state, record, now)
    if at is not None and at <= now:
        return True
    falls_by = wish.held_a - wish.target_a
    if falls_by <= CURRENT_TOLERANCE_A:
        return False
    order = order_of(record, now)
    ordered = order is not None and not (record.writes and record.writes[-1] >= order.at)
    stops = wish.target_a < record.evse.min_a <= wish.held_a
    return (
        safety or stops or ordered or (falls_by >= settings.change_a and not has_to_wait(state, record, settings, now))
    )


def _in_doubt(record: EvseRecord) -> bool:
    return any(d.installed.profile.purpose is ProfilePurpose.TX for d in record.holding.doubtful)


def _granted_a(
    state: SiteState, wish: Wish, *, book: LoadBook, unsettled: bool, settings: ControlSettings, now: datetime
) -> float | None:
    """Return what a raise may be sent as now [A], or ``None`` where it has to wait."""
    record, evse = wish.record, wish.record.evse
    starts = wish.held_a < evse.min_a
    room, row = book.grant_a(evse.id, wish.target_a, until_s=_counts_until_s(state, wish, wish.target_a, now))
    current = wish.target_a if row is None else floor_to_step(room, step=evse.step_a)
    if current < evse.min_a or current < wish.held_a + CURRENT_TOLERANCE_A:
        return None
    if row is not None and unsettled and not starts:
        return None  # more will fit when the reductions under way have settled: one write instead of two
    if starts and not may_start(state, record, settings, now):
        return None
    small = current - wish.held_a < settings.change_a
    if not starts and (small or has_to_wait(state, record, settings, now)):
        return None
    return current


def _counts_until_s(state: SiteState, wish: Wish, current_a: float, now: datetime) -> float:
    if wish.record.form.lasting:
        return math.inf
    timing = state.site.timing
    after_s = lease_s(state, wish.record, current_a) + skew_s(state, wish.record.evse.station) + timing.settle_s
    return now.timestamp() + after_s


def _send(
    state: SiteState, wish: Wish, current_a: float, *, book: LoadBook, urgency: Urgency, now: datetime, next_id: int
) -> list[Step]:
    """Return the command that gives an EVSE a lease, unless its tail would not fit beside the others."""
    record, evse = wish.record, wish.record.evse
    until_s = _counts_until_s(state, wish, current_a, now)
    room, row = book.grant_a(evse.id, current_a, until_s=until_s)
    if row is not None:
        current_a = floor_to_step(room, step=evse.step_a)
        if current_a < evse.min_a:
            current_a = 0.0
    book.take(evse.id, current_a, until_s=until_s)
    _note_on_off(record, current_a, now)
    command = limit_command(state, record, wish.charging, current_a, command_id=next_id, now=now)
    command = replace(command, urgency=urgency, reason=f"{wish.held_a:g} A to {current_a:g} A")
    return [(command, Purpose.LEASE, evse.id)]


def _note_on_off(record: EvseRecord, current_a: float, now: datetime) -> None:
    if current_a > 0.0:
        record.on_since, record.off_since, record.start_at = record.on_since or now, None, None
    else:
        record.on_since, record.off_since = None, record.off_since or now


def _readings_to_ask(state: SiteState, *, now: datetime, next_id: int) -> list[Step]:
    """Return requests for readings where only a reading proves that a reduction is followed."""
    steps: list[Step] = []
    wait = timedelta(seconds=state.site.timing.settle_s)
    for evse in state.site.evses:
        record = state.evses[evse.id]
        since = max((s.since for s in record.holding.settling if s.until is None), default=None)
        if since is None or not state.stations[evse.station].connected:
            continue
        since = max(since, record.changed_at or since)  # under a newer limit an older reading proves nothing
        if now < since + wait:
            continue
        asked = record.asked_reading_at
        if asked is not None and (asked >= since or (now - asked).total_seconds() < 2 * state.site.timing.settle_s):
            continue
        record.asked_reading_at = now
        command = TriggerReading(
            id=next_id + len(steps), station=evse.station, number=evse.number, reason="does it follow its limit"
        )
        steps.append((command, Purpose.READING, evse.id))
    return steps

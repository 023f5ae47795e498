"""From wanted setpoints to profiles: what is sent now, and what has to wait.

Rules
-----
1. Reductions go first, at once. A raise is sent when it fits beside everything that has to be assumed: so it waits
   by itself until the reductions that pay for it are acknowledged and settled.
2. One lease of an EVSE is under way at a time: the order of two could change on the way.
3. A lease is renewed at half its life. One that says no more than the fallback needs no renewal.
4. What a lease does by itself is not sent (see ``ahead``). Small changes are not sent either, and a spent budget of
   writes holds back every change that safety does not ask for.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from loadmgr.control.command import TriggerReading, Urgency
from loadmgr.control.outside.others import over_others
from loadmgr.control.outside.override import order_of
from loadmgr.control.planning.discharge import lease_s as discharge_s
from loadmgr.control.planning.plan import Plan
from loadmgr.control.safety.assumption import limit_now_a, surely_held_a
from loadmgr.control.safety.circuits import LoadBook
from loadmgr.control.safety.failsafe import Step
from loadmgr.control.safety.skew import skew_s
from loadmgr.control.safety.starts import may_rise
from loadmgr.control.sending.ahead import least_ahead_a, planned_falls
from loadmgr.control.sending.budget import has_to_wait, may_pause
from loadmgr.control.sending.pending import Purpose
from loadmgr.control.sending.profiles import Back, fallback_a, is_lasting, is_lease, lease_end, lease_s, limit_command
from loadmgr.control.settings import ControlSettings
from loadmgr.control.state import Charging, EvseRecord, SiteState
from loadmgr.model.failsafe import FailSafeStrategy
from loadmgr.model.ids import EvseId
from loadmgr.model.topology import Evse
from loadmgr.model.units import CURRENT_TOLERANCE_A, floor_to_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an EVSE is to be limited to, what it may hold now, and what it is to feed back [A per phase].

    ``least_a`` is what it goes down to by itself within the delay of planned falls; else it is what it holds.
    """

    record: EvseRecord
    charging: Charging
    target_a: float
    held_a: float
    least_a: float
    back_a: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What every EVSE is to get.

    Parameters
    ----------
    targets_a : mapping
        Setpoints of EVSEs that obey [A per phase].
    discharges_a : mapping
        What EVSEs are to feed back [A per phase]; those have a setpoint of 0.
    plan : Plan, optional
        What is to follow: leases go down by themselves where it does.
    """

    targets_a: Mapping[EvseId, float]
    discharges_a: Mapping[EvseId, float] = field(default_factory=dict)
    plan: Plan | None = None


def reconcile(
    state: SiteState,
    wanted: Wanted,
    *,
    book: LoadBook,
    settings: ControlSettings,
    now: datetime,
    first_id: int,
) -> list[Step]:
    """Return the leases to be sent now, reductions first, and what is asked of stations to prove them.

    Parameters
    ----------
    wanted : Wanted
    book : LoadBook
        The load that has to be assumed; what is sent is entered in it.
    first_id : int
        Id of the first command.
    """
    wishes = _wishes(state, wanted, now)
    overfull = set(book.overfull())
    rises = [wish for wish in wishes if wish.target_a > wish.least_a + CURRENT_TOLERANCE_A]
    waited_for = _spare_by_row(rises, book)
    falls = []
    for wish in wishes:
        if wish.target_a > wish.least_a + CURRENT_TOLERANCE_A:
            continue
        rows = book.rows_of(wish.record.evse.id)
        must = any(row in overfull for row in rows)
        must = must or over_others(state, wish.record, wish.held_a - CURRENT_TOLERANCE_A, now) is not None
        spare_s = min((waited_for[row] for row in rows if row in waited_for), default=None)
        if _is_due(state, wish, safety=must, spare_s=spare_s, settings=settings, now=now):
            falls.append((wish, must))
    steps: list[Step] = []
    sender = _Sender(state, wanted.plan, book, settings, now)
    for wish, must in falls:
        urgency = Urgency.SAFETY if must else Urgency.ORDINARY
        steps += sender.send(wish, wish.target_a, urgency=urgency, next_id=first_id + len(steps))
    unsettled = bool(falls) or any(r.holding.settling or r.holding.doubtful for r in state.evses.values())
    for wish in sorted(rises, key=lambda w: raise_order(w.charging, w.record.evse.id)):
        current = _granted_a(state, wish, book=book, unsettled=unsettled, settings=settings, now=now)
        if current is None and wish.record.discharge_a > 0.0:
            current = 0.0  # there is no room to charge yet, and it is not to feed back any more
        if current is not None:
            steps += sender.send(wish, current, urgency=Urgency.ORDINARY, next_id=first_id + len(steps))
    steps += _readings_to_ask(state, now=now, next_id=first_id + len(steps))
    return steps


def _wishes(state: SiteState, wanted: Wanted, now: datetime) -> list[Wish]:
    under_way = {p.evse for p in state.pending.values() if p.purpose is Purpose.LEASE}
    out = []
    for evse in state.site.evses:
        record = state.evses[evse.id]
        target = wanted.targets_a.get(evse.id)
        if target is None or record.charging is None or evse.id in under_way:
            continue
        if target < evse.min_a:
            record.start_at = None
        if record.retry_at is not None and now < record.retry_at:
            continue
        held = limit_now_a(state, record, now)
        least = min(held, least_ahead_a(state, record, now))
        if target <= least + CURRENT_TOLERANCE_A:
            record.start_at = None
        out.append(
            Wish(
                record=record,
                charging=record.charging,
                target_a=target,
                held_a=held,
                least_a=least,
                back_a=wanted.discharges_a.get(evse.id, 0.0),
            )
        )
    return out


def _spare_by_row(rises: list[Wish], book: LoadBook) -> dict[int, float]:
    """Return for each row the least time to spare of those that are to get more on it [s]."""
    out: dict[int, float] = {}
    for wish in rises:
        spare_s = wish.charging.spare_s
        if spare_s is not None:
            out |= {row: min(spare_s, out.get(row, spare_s)) for row in book.rows_of(wish.record.evse.id)}
    return out


def raise_order(charging: Charging, evse: EvseId) -> tuple[int, float, str]:
    """Return the place of a session among those that are to get more: by priority, then by departure."""
    departure = charging.departure
    return (-charging.priority, float("inf") if departure is None else departure.timestamp(), evse)


def lease_left_s(record: EvseRecord, now: datetime) -> float | None:
    """Return how long the acknowledged lease of an EVSE still holds [s]; ``None`` where it has none."""
    if record.charging is None:
        return None
    for installed in record.holding.certain.values():
        if is_lease(record, installed.profile):
            end = lease_end(installed.profile, record.charging.started)
            return None if end is None else (end - now).total_seconds()
    return None


def renewal_at(state: SiteState, record: EvseRecord, now: datetime) -> datetime | None:
    """Return when the lease of an EVSE is to be renewed; ``None`` where it has none or needs none."""
    left = lease_left_s(record, now)
    if left is None:
        return None
    held = min(limit_now_a(state, record, now), least_ahead_a(state, record, now))
    constant = state.site.failsafe.strategy is not FailSafeStrategy.TIME_DIVISION
    same = constant and abs(held - fallback_a(state.site, record.evse)) <= CURRENT_TOLERANCE_A
    if same and not record.discharge_a:
        return None
    if record.discharge_a and record.discharge_renew_at is not None:
        return record.discharge_renew_at
    return now + timedelta(seconds=max(0.0, left - lease_s(state, record, held) / 2.0))


def _is_due(
    state: SiteState, wish: Wish, *, safety: bool, spare_s: float | None, settings: ControlSettings, now: datetime
) -> bool:
    """Return whether a lease that raises nothing is to be sent now; ``spare_s`` is of whoever waits for the current."""
    record = wish.record
    if record.holding.volatile or _in_doubt(record):
        return True
    at = renewal_at(state, record, now)
    if at is not None and at <= now:
        return True
    if wish.back_a != record.discharge_a:
        small = wish.back_a and record.discharge_a and abs(wish.back_a - record.discharge_a) < settings.change_a
        if not small and not (wish.back_a and has_to_wait(state, record, settings, now)):
            return True
    falls_by = wish.held_a - wish.target_a
    if falls_by <= CURRENT_TOLERANCE_A:
        return False
    if not safety and wish.least_a <= wish.target_a + CURRENT_TOLERANCE_A:
        return False  # it goes down by itself
    order = order_of(record, now)
    ordered = order is not None and not (record.writes and record.writes[-1] >= order.at)
    if safety or ordered:
        return True
    if wish.target_a < record.evse.min_a <= wish.held_a:
        return may_pause(state, record, settings, now, spare_s=spare_s)
    return falls_by >= settings.change_a and not has_to_wait(state, record, settings, now, spare_s=spare_s)


def _in_doubt(record: EvseRecord) -> bool:
    return any(is_lease(record, d.installed.profile) for d in record.holding.doubtful)


def _granted_a(
    state: SiteState, wish: Wish, *, book: LoadBook, unsettled: bool, settings: ControlSettings, now: datetime
) -> float | None:
    """Return what a raise may be sent as now [A], or ``None`` where it has to wait."""
    record, evse = wish.record, wish.record.evse
    starts = wish.least_a < evse.min_a
    until_s = _counts_until_s(state, wish, wish.target_a, now)
    room, row = book.grant_a(evse.id, wish.target_a, until_s=until_s, anew=True)
    current = wish.target_a if row is None else floor_to_step(room, step=evse.step_a)
    if current < evse.min_a or current < wish.least_a + CURRENT_TOLERANCE_A:
        return None
    if row is not None and unsettled and not starts:
        return None  # more will fit when the reductions under way have settled: one write instead of two
    small = current - wish.least_a < settings.change_a
    if not starts and (small or has_to_wait(state, record, settings, now, spare_s=wish.charging.spare_s)):
        return None
    return current if may_rise(state, record, settings, now, starts=starts) else None


def _counts_until_s(state: SiteState, wish: Wish, current_a: float, now: datetime) -> float:
    if is_lasting(state, wish.record):
        return math.inf
    timing = state.site.timing
    after_s = lease_s(state, wish.record, current_a) + skew_s(state, wish.record.evse.station) + timing.settle_s
    return now.timestamp() + after_s


@dataclass(frozen=True, slots=True)
class _Sender:
    """Makes leases, and enters them in the book."""

    state: SiteState
    plan: Plan | None
    book: LoadBook
    settings: ControlSettings
    now: datetime

    def _fitting(self, evse: Evse, current_a: float, *, until_s: float, anew: bool) -> float:
        """Return as much of a current as fits beside the others: the EVSE's minimum at least, or nothing."""
        room, row = self.book.grant_a(evse.id, current_a, until_s=until_s, anew=anew)
        if row is None:
            return current_a
        fitting_a = floor_to_step(room, step=evse.step_a)
        return fitting_a if fitting_a >= evse.min_a else 0.0

    def send(self, wish: Wish, current_a: float, *, urgency: Urgency, next_id: int) -> list[Step]:
        """Return the command that gives an EVSE a lease, unless its tail would not fit beside the others."""
        state, record, evse, now = self.state, wish.record, wish.record.evse, self.now
        until_s = _counts_until_s(state, wish, current_a, now)
        sure_a = surely_held_a(state, record, now)
        current_a = self._fitting(record.evse, current_a, until_s=until_s, anew=False)
        if current_a > sure_a + CURRENT_TOLERANCE_A:
            current_a = max(sure_a, self._fitting(record.evse, current_a, until_s=until_s, anew=True))
        self.book.take(evse.id, current_a, until_s=until_s)
        _note_on_off(record, current_a, now)
        back = _back(state, wish, now) if current_a <= 0.0 else None
        record.discharge_a = 0.0 if back is None else back.current_a
        falls = planned_falls(state, record, self.plan, current_a, settings=self.settings, now=now)
        then = falls if back is None else back
        command = limit_command(state, record, wish.charging, current_a, command_id=next_id, now=now, then=then)
        to = f"{current_a:g} A" if back is None else f"feeding back {back.current_a:g} A"
        to += "".join(f", {fall_a:g} A in {after_s:.0f} s" for after_s, fall_a in falls)
        return [(replace(command, urgency=urgency, reason=f"{wish.held_a:g} A to {to}"), Purpose.LEASE, evse.id)]


def _back(state: SiteState, wish: Wish, now: datetime) -> Back | None:
    """Return what the vehicle is to feed back and for how long; note when that is to be asked for anew."""
    if wish.back_a <= 0.0:
        return None
    record, seconds = wish.record, discharge_s(state, wish.record, wish.back_a)
    record.discharge_renew_at = now + timedelta(seconds=seconds / 2.0)
    record.accepts_a, record.accepts_since = None, None  # once it has fed back, it takes again what it did not
    return Back(current_a=wish.back_a, seconds=seconds)


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

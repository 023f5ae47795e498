"""Stationary batteries under control: what has to be assumed of one, and what it is told.

Rules
-----
1. What a battery charges with is a load like any other: the most that it was told, or was seen to take, since it had
   its time to follow. A raise is told when it fits beside everything that has to be assumed.
2. What it discharges pays for nobody's current: it may stop at any moment. Only a meter that shows less may do that.
3. Without a fresh reading it is told to rest and counts with the most that it was told, until its watchdog has surely
   put it to rest; with all it can do where nobody knows what it was told. So vehicles fit whether it hears or not.
4. One that charges with more than it was told counts with all it can do.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from loadmgr.control.alarm import Severity
from loadmgr.control.battery_facts import BatteryReading, BatteryView, SetBatteryPower
from loadmgr.control.battery_record import BatteryRecord
from loadmgr.control.planning.plan import Plan
from loadmgr.control.safety.circuits import POWER, VEHICLES, LoadBook
from loadmgr.control.state import SiteState
from loadmgr.model.equipment import Battery, BatteryLink
from loadmgr.model.ids import CircuitId
from loadmgr.model.topology import PhaseAmps

READINGS_MISSED = 3
"""A battery that has said nothing for so many intervals is not believed any more."""

LEAST_STALE_S = 30.0

TOLERANCE_RATIO = 0.05
TOLERANCE_W = 200.0
"""By how much a battery may miss what it is told and still follow it."""

CHANGE_W = 100
"""A smaller change is not told before its time [W]."""

STEP_W = 10


def commanded(state: SiteState) -> Iterator[tuple[Battery, BatteryLink, BatteryRecord]]:
    """Yield every battery that may be commanded, with what is known of it."""
    for battery in state.site.batteries:
        if battery.link is not None:
            yield battery, battery.link, state.batteries.setdefault(battery.id, BatteryRecord())


def fold_battery(state: SiteState, seen: BatteryReading) -> None:
    """Fold what a battery says."""
    battery = next((b for b, _, _ in commanded(state) if b.id == seen.battery), None)
    if battery is None:
        state.alarms.raise_alarm(
            "unknown battery",
            seen.battery,
            at=seen.at,
            severity=Severity.WARNING,
            cause=f"battery {seen.battery} sends readings, but the site file lets nobody command it",
            advice="correct its id, or add `command` to it in the site file",
        )
        return
    record = state.batteries[battery.id]
    if record.reading is None:
        state.triggers.append(f"battery {battery.id} is there")
    record.reading = seen


def is_fresh(record: BatteryRecord, link: BatteryLink, now: datetime) -> bool:
    """Return whether a battery has spoken of late."""
    return record.reading is not None and (now - record.reading.at).total_seconds() <= stale_s(link)


def stale_s(link: BatteryLink) -> float:
    """Return the age from which a reading of a battery is not believed [s]."""
    return max(READINGS_MISSED * link.every_s, LEAST_STALE_S)


def can_plan(state: SiteState, battery: Battery, now: datetime) -> bool:
    """Return whether a battery is one that a plan may use: it speaks, says what is in it, and obeys."""
    record = state.batteries.get(battery.id)
    if record is None or battery.link is None or record.reading is None or not is_fresh(record, battery.link, now):
        return False
    return record.reading.state_of_charge_ratio is not None and not disobeys(state, battery, record)


def with_reading(state: SiteState, battery: Battery) -> Battery:
    """Return a battery with what it says is in it."""
    reading = state.batteries[battery.id].reading
    if reading is None or reading.state_of_charge_ratio is None:
        return battery
    stored_wh = min(1.0, max(0.0, reading.state_of_charge_ratio)) * battery.capacity_wh
    return replace(battery, stored_wh=stored_wh, reserve_wh=min(battery.reserve_wh, stored_wh))


def meant_w(state: SiteState, plan: Plan | None, assumed: Mapping[str, float], now: datetime) -> dict[str, float]:
    """Return the charging power of each battery once every setpoint is in force [W]."""
    return {
        battery.id: max(0.0, _wanted_w(state, plan, battery, now))
        if can_plan(state, battery, now)
        else assumed.get(battery.id, 0.0)
        for battery, _, _ in commanded(state)
    }


def disobeys(state: SiteState, battery: Battery, record: BatteryRecord) -> bool:
    """Return whether a battery charges with more than it was told, although it had its time to follow."""
    reading = record.reading
    if reading is None:
        return False
    most_w = _most_told_w(record, reading.at - timedelta(seconds=state.site.timing.settle_s))
    slack_w = max(TOLERANCE_W, TOLERANCE_RATIO * battery.max_charge_w)
    return most_w is not None and reading.power_w > most_w + slack_w


def _most_told_w(record: BatteryRecord, since: datetime) -> float | None:
    """Return the most that a battery was to charge with at any time since [W]; ``None`` where it was told nothing."""
    later = [float(power_w) for at, power_w in record.told if at > since]
    before = [float(power_w) for at, power_w in record.told if at <= since][-1:]
    return max((0.0, *before, *later)) if before or later else None


def assumed_w(state: SiteState, battery: Battery, now: datetime) -> float:
    """Return the charging power that has to be assumed of a battery [W]; 0 of one that nobody commands.

    One that nobody commands is a side load, as the site file says it.
    """
    record, link = state.batteries.get(battery.id), battery.link
    if link is None or record is None:
        return 0.0
    settle_s = state.site.timing.settle_s
    if is_fresh(record, link, now) and record.reading is not None:
        if disobeys(state, battery, record):
            return battery.max_charge_w
        told_w = _most_told_w(record, now - timedelta(seconds=settle_s)) or 0.0
        return min(battery.max_charge_w, max(0.0, told_w, record.reading.power_w))
    window = timedelta(seconds=link.watchdog_s + settle_s)
    if state.started is None or now - state.started < window:
        return battery.max_charge_w
    return min(battery.max_charge_w, _most_told_w(record, now - window) or 0.0)


def bounds_w(state: SiteState, battery: Battery, *, at: datetime, like_s: float) -> tuple[float, float]:
    """Return what a battery draws at least and at most at an instant [W], below 0 where it discharges.

    Parameters
    ----------
    like_s : float
        A reading within this time is of the same instant [s].
    """
    record = state.batteries.get(battery.id)
    if battery.link is None or record is None:
        return 0.0, 0.0  # what one that nobody commands draws is the building's
    reading, changed = record.reading, record.changed_at
    settle = timedelta(seconds=state.site.timing.settle_s)
    alike = reading is not None and abs((at - reading.at).total_seconds()) <= like_s
    if reading is not None and alike and (changed is None or reading.at >= changed + settle):
        return reading.power_w, reading.power_w
    return -battery.max_discharge_w, assumed_w(state, battery, at)


def loads_a(state: SiteState, assumed: Mapping[str, float]) -> dict[CircuitId, PhaseAmps]:
    """Return powers of batteries as currents on their circuits [A]: on all three phases alike."""
    out: dict[CircuitId, PhaseAmps] = {}
    for battery in state.site.batteries:
        each = assumed.get(battery.id, 0.0) / (3.0 * state.site.voltage_v)
        if each:
            before = out.get(battery.circuit, (0.0, 0.0, 0.0))
            out[battery.circuit] = (before[0] + each, before[1] + each, before[2] + each)
    return out


def setpoints(
    state: SiteState, plan: Plan | None, *, book: LoadBook, assumed: Mapping[str, float], now: datetime
) -> list[SetBatteryPower]:
    """Return what batteries are to be told now; note that they were told.

    Parameters
    ----------
    book : LoadBook
        The load that has to be assumed, with what is being sent to vehicles.
    assumed : mapping
        The charging power that it holds of each battery [W].
    """
    out = []
    slack = book.rows.limit - book.load.max(axis=1) if len(book.rows.limit) else np.zeros(0)
    for battery, link, record in commanded(state):
        _alarm(state, battery, link, now)
        wanted_w = _wanted_w(state, plan, battery, now)
        used = _weights(state, book, battery)
        room_w = float((slack[used > 0.0] / used[used > 0.0]).min(initial=math.inf))
        held_w = assumed.get(battery.id, 0.0)
        power_w = STEP_W * math.trunc(min(wanted_w, max(0.0, held_w + room_w)) / STEP_W)
        if not _is_due(record, link, power_w, now):
            continue
        slack = slack - used * max(0.0, power_w - held_w)
        record.tell(power_w, now=now, keep_s=link.watchdog_s + link.every_s + 2.0 * state.site.timing.settle_s)
        out.append(SetBatteryPower(battery=battery.id, power_w=power_w, reason=_why(wanted_w, power_w)))
    return out


def _weights(state: SiteState, book: LoadBook, battery: Battery) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return what 1 W of a battery adds to each row."""
    on_path = {c.id for c in state.site.path(battery.circuit)}
    per_w = 1.0 / (3.0 * state.site.voltage_v)
    return np.array(
        [
            0.0 if circuit not in on_path or column == VEHICLES else 1.0 if column == POWER else per_w
            for circuit, column in zip(book.rows.circuits, book.rows.columns, strict=True)
        ],
        dtype=np.float64,
    )


def _wanted_w(state: SiteState, plan: Plan | None, battery: Battery, now: datetime) -> float:
    """Return what the plan wants of a battery [W]; rest where it cannot be planned, is full, or has nothing to give."""
    if plan is None or not can_plan(state, battery, now) or battery.id not in plan.battery_w:
        return 0.0
    power_w = float(plan.battery_w[battery.id][plan.grid.index(now) or 0])
    reading = state.batteries[battery.id].reading
    stored_wh = battery.capacity_wh * (0.0 if reading is None else reading.state_of_charge_ratio or 0.0)
    if (power_w > 0.0 and stored_wh >= battery.capacity_wh) or (power_w < 0.0 and stored_wh <= battery.reserve_wh):
        return 0.0
    return max(-battery.max_discharge_w, min(battery.max_charge_w, power_w))


def _is_due(record: BatteryRecord, link: BatteryLink, power_w: int, now: datetime) -> bool:
    if not record.told:
        return True
    at, last_w = record.told[-1]
    lower = power_w < last_w and last_w > 0
    return lower or abs(power_w - last_w) >= CHANGE_W or (now - at).total_seconds() >= link.every_s - 0.5


def tell_again_at(state: SiteState) -> Iterator[datetime]:
    """Yield when each battery is to be told anew, and when its silence begins to count."""
    for _, link, record in commanded(state):
        if record.told:
            yield record.told[-1][0] + timedelta(seconds=link.every_s)
        if record.reading is not None:
            yield record.reading.at + timedelta(seconds=stale_s(link) + 0.1)


def _why(wanted_w: float, power_w: int) -> str:
    if wanted_w - power_w > STEP_W:
        return f"{wanted_w:.0f} W are planned, {power_w} W fit beside what else has to be assumed"
    return "by the plan" if power_w else "rests"


def _alarm(state: SiteState, battery: Battery, link: BatteryLink, now: datetime) -> None:
    record = state.batteries[battery.id]
    alarms, fresh = state.alarms, is_fresh(record, link, now)
    if fresh:
        alarms.clear("silent battery", battery.id, at=now)
    else:
        alarms.raise_alarm(
            "silent battery",
            battery.id,
            at=now,
            severity=Severity.WARNING,
            cause=f"battery {battery.id} says nothing; it is told to rest",
            advice="look at the way to it: Modbus, MQTT (`--mqtt`), or the CSMS that carries its readings",
        )
    if not fresh or record.reading is None:
        return
    if disobeys(state, battery, record):
        alarms.raise_alarm(
            "disobedient battery",
            battery.id,
            at=now,
            severity=Severity.DANGER,
            cause=f"battery {battery.id} charges with {record.reading.power_w:.0f} W, more than it was told",
            advice=f"it counts with {battery.max_charge_w:.0f} W until it obeys; look at its own control",
        )
    else:
        alarms.clear("disobedient battery", battery.id, at=now)
    if record.reading.state_of_charge_ratio is None:
        alarms.raise_alarm(
            "battery of unknown charge",
            battery.id,
            at=now,
            severity=Severity.NOTE,
            cause=f"battery {battery.id} does not say how full it is",
            advice="have its readings say `state_of_charge`; until then it rests",
        )
    else:
        alarms.clear("battery of unknown charge", battery.id, at=now)


def battery_views(state: SiteState, plan: Plan | None, now: datetime) -> tuple[BatteryView, ...]:
    """Return the commanded batteries as they stand, and what is planned for them."""
    planned = {} if plan is None else {name: tuple(each.tolist()) for name, each in plan.battery_w.items()}
    return tuple(
        replace(_view(state, battery, link, now), plan_w=planned.get(battery.id, ()))
        for battery, link, _ in commanded(state)
    )


def _view(state: SiteState, battery: Battery, link: BatteryLink, now: datetime) -> BatteryView:
    record = state.batteries[battery.id]
    reading = record.reading
    if not is_fresh(record, link, now):
        reason = "says nothing: told to rest"
    elif disobeys(state, battery, record):
        reason = f"charges with more than it was told: counts with {battery.max_charge_w:.0f} W"
    elif reading is not None and reading.state_of_charge_ratio is None:
        reason = "does not say how full it is: told to rest"
    else:
        setpoint_w = record.told[-1][1] if record.told else 0
        reason = "charges by the plan" if setpoint_w > 0 else "discharges by the plan" if setpoint_w < 0 else "rests"
    return BatteryView(
        battery=battery.id,
        circuit=battery.circuit,
        setpoint_w=record.told[-1][1] if record.told else None,
        power_w=None if reading is None else reading.power_w,
        state_of_charge_ratio=None if reading is None else reading.state_of_charge_ratio,
        assumed_w=assumed_w(state, battery, now),
        reason=reason,
    )

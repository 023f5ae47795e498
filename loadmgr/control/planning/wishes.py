"""Wishes that cannot be: what a running site does with numbers that make no sense, and what it says of them.

Rules
-----
1. One impossible wish costs nobody else anything: whoever made it is served like a vehicle that said nothing.
2. Every such wish, and every fault of the allocation, is an alarm with its cause, and clears when the cause is gone.
"""

from dataclasses import replace
from datetime import datetime

from loadmgr.allocation import Alarm as AllocationAlarm
from loadmgr.allocation import Allocation
from loadmgr.control.alarm import AlarmBook, Severity
from loadmgr.control.state import Charging
from loadmgr.model.session import VehicleLimits
from loadmgr.model.units import SECONDS_PER_HOUR

_ADVICE = {
    "solver_failed": (
        Severity.WARNING,
        "the simpler plan is in force; send the journal to the makers if it comes back",
    ),
    "check_failed": (Severity.DANGER, "the simpler plan is in force; send the journal to the makers"),
    "load_above_limit": (
        Severity.WARNING,
        "lower the load beside the EVSEs, or the site's worst case if it never gets there",
    ),
    "minimum_not_held": (Severity.NOTE, "nothing to do: the limit came first"),
    "limits_cross": (
        Severity.WARNING,
        "compare the smallest current of EVSE and vehicle with what they may have at most",
    ),
}


def without_wishes(charging: Charging) -> Charging:
    """Return a session as if nobody had said anything of it but that it is there."""
    return replace(
        charging,
        need=None,
        departure=None,
        priority=0,
        vehicle=VehicleLimits(phases=charging.vehicle.phases),
        discharge=None,
    )


def alarm_impossible(alarms: AlarmBook, evse: str, fault: ValueError | None, *, now: datetime) -> None:
    """Raise an alarm for what was said of an EVSE's session and cannot be; clear it if nothing is wrong."""
    if fault is None:
        alarms.clear("impossible wish", evse, at=now)
        return
    alarms.raise_alarm(
        "impossible wish",
        evse,
        at=now,
        severity=Severity.WARNING,
        cause=f"what was said of the session cannot be: {fault}",
        advice="say it again with a possible value; until then it charges like a vehicle that said nothing",
    )


def alarm_late(
    alarms: AlarmBook, evse: str, *, wanted_wh: float, most_w: float, departure: datetime | None, now: datetime
) -> None:
    """Raise an alarm where no power within its own limits could still meet a need; clear it where one can."""
    left_h = None if departure is None else max(0.0, (departure - now).total_seconds()) / SECONDS_PER_HOUR
    if left_h is None or wanted_wh <= most_w * left_h or most_w <= 0.0:
        alarms.clear("need out of reach", evse, at=now)
        return
    most_wh = most_w * left_h
    alarms.raise_alarm(
        "need out of reach",
        evse,
        at=now,
        severity=Severity.NOTE,
        cause=f"{wanted_wh / 1e3:.1f} kWh are wanted within {left_h:.1f} h, at most {most_wh / 1e3:.1f} kWh can come",
        advice="leave later or ask for less; it gets what there is",
    )


def alarm_allocation(alarms: AlarmBook, allocation: Allocation, *, site: str, now: datetime) -> None:
    """Raise what an allocation has to say, and clear what it says no longer."""
    said: dict[tuple[str, str], AllocationAlarm] = {}
    for alarm in allocation.alarms:
        if alarm.kind in _ADVICE:
            said.setdefault((alarm.kind, alarm.circuit or alarm.evse or site), alarm)
    for kind, subject in list(alarms.standing):
        if kind in _ADVICE and (kind, subject) not in said:
            alarms.clear(kind, subject, at=now)
    for (kind, subject), alarm in said.items():
        severity, advice = _ADVICE[kind]
        alarms.raise_alarm(kind, subject, at=now, severity=severity, cause=alarm.text, advice=advice)


def alarm_no_plan(alarms: AlarmBook, fault: Exception | None, *, site: str, now: datetime) -> None:
    """Raise an alarm because no plan could be made; clear it where one was."""
    if fault is None:
        alarms.clear("no plan", site, at=now)
        return
    alarms.raise_alarm(
        "no plan",
        site,
        at=now,
        severity=Severity.DANGER,
        cause=f"no plan could be made: {fault}",
        advice="send the journal to the makers; leases run out and fail-safes take over",
    )

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

LATE = {
    "need out of reach": (
        Severity.NOTE,
        "are wanted",
        "are missing of what was wanted, and its departure is past",
        "say a later departure or ask for less; it gets what there is",
    ),
    "must out of reach": (
        Severity.WARNING,
        "must be there",
        "are missing that had to be there by now",
        "say a later time for them or ask for less; it gets what there is",
    ),
}
"""Alarms of needs that cannot be met in time: severity, words while there is time, words afterwards, advice."""


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
    alarms: AlarmBook, evse: str, kind: str, *, missing_wh: float, most_w: float, by: datetime | None, now: datetime
) -> None:
    """Raise an alarm where no power within its own limits could still meet a need in time; clear it where one can.

    Parameters
    ----------
    kind : str
        One of the keys of ``LATE``.
    missing_wh, most_w : float
        What is left to deliver [Wh], and the most that it can be delivered with [W].
    by : datetime, optional
        When it has to be there; ``None`` is never too late.
    """
    left_h = None if by is None else max(0.0, (by - now).total_seconds()) / SECONDS_PER_HOUR
    if left_h is None or missing_wh <= most_w * left_h or most_w <= 0.0:
        alarms.clear(kind, evse, at=now)
        return
    severity, is_late, is_past, advice = LATE[kind]
    missing, most = f"{missing_wh / 1e3:.1f} kWh", f"{most_w * left_h / 1e3:.1f} kWh"
    cause = f"{missing} {is_late} within {left_h:.1f} h, at most {most} can come" if left_h else f"{missing} {is_past}"
    alarms.raise_alarm(kind, evse, at=now, severity=severity, cause=cause, advice=advice)


def clear_wishes(alarms: AlarmBook, evse: str, *, now: datetime) -> None:
    """Clear what was said of a session that is over."""
    for kind in ("impossible wish", *LATE):
        alarms.clear(kind, evse, at=now)


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

"""The limits in force on circuits: the site's own, and those from outside while they are told.

Rules
-----
1. Of several limits the lowest holds; ``None`` is no limit and ``0.0`` a limit of zero.
2. A limit from outside ends when it says so. Where its source has to repeat itself and does not, the limit for its
   silence holds, also when the limit that it told has ended: a link that died is never taken for permission.
"""

import math
from dataclasses import replace
from datetime import datetime

from loadmgr.control.alarm import Severity
from loadmgr.control.observation import LimitChanged
from loadmgr.control.safety.circuits import Limits
from loadmgr.control.state import SiteState
from loadmgr.model.ids import CircuitId
from loadmgr.model.topology import PhaseLimits

LONGEST_HEARTBEAT_S = 366 * 86_400.0
"""Who repeats himself more rarely than once a year promises nothing [s]."""


def limits_now(state: SiteState, now: datetime) -> dict[CircuitId, Limits]:
    """Return the limits in force on every circuit, those from outside included; drop those that have ended."""
    for key, limit in list(state.limits.items()):
        if limit.until is not None and limit.until <= now:
            if limit.silent_limit_a is None and limit.silent_limit_w is None:
                del state.limits[key]
            else:
                state.limits[key] = replace(limit, limit_a=None, limit_w=None, until=None)
    out = {}
    for circuit in state.site.circuits:
        held = Limits(limit_a=circuit.limit_a, limit_w=circuit.limit_w)
        for (where, _), outside in sorted(state.limits.items()):
            if where == circuit.id:
                held = _lowered(held, outside, *told_by(outside, now))
                _alarm_silence(state, outside, now)
        out[circuit.id] = held
    return out


def fault_of(told: LimitChanged) -> str | None:
    """Return what is wrong with a limit, in words; ``None`` where it can be obeyed."""
    amps = [*(told.limit_a or ()), *(told.silent_limit_a or ())]
    for value in (*amps, told.limit_w, told.silent_limit_w):
        if value is not None and not 0.0 <= value < math.inf:
            return f"a limit of {value:g} cannot be"
    if told.heartbeat_s is not None and not 0.0 < told.heartbeat_s <= LONGEST_HEARTBEAT_S:
        return f"a heartbeat of {told.heartbeat_s:g} s cannot be"
    return None


def is_silent(outside: LimitChanged, now: datetime) -> bool:
    """Return whether a source has not repeated itself for longer than it promised."""
    return outside.heartbeat_s is not None and (now - outside.at).total_seconds() > outside.heartbeat_s


def told_by(outside: LimitChanged, now: datetime) -> tuple[PhaseLimits | None, float | None]:
    """Return the limit of a source from outside: what it said last, or what holds while it is silent."""
    says_nothing = outside.silent_limit_a is None and outside.silent_limit_w is None
    if says_nothing or not is_silent(outside, now):
        return outside.limit_a, outside.limit_w
    return outside.silent_limit_a, outside.silent_limit_w


def _lowered(held: Limits, outside: LimitChanged, limit_a: PhaseLimits | None, limit_w: float | None) -> Limits:
    per_phase = limit_a or (None, None, None)
    whole_w, vehicles_w = (None, limit_w) if outside.vehicles_only else (limit_w, None)
    return Limits(
        limit_a=(
            _lower(held.limit_a[0], per_phase[0]),
            _lower(held.limit_a[1], per_phase[1]),
            _lower(held.limit_a[2], per_phase[2]),
        ),
        limit_w=_lower(held.limit_w, whole_w),
        vehicles_w=_lower(held.vehicles_w, vehicles_w),
    )


def _alarm_silence(state: SiteState, outside: LimitChanged, now: datetime) -> None:
    if is_silent(outside, now):
        state.alarms.raise_alarm(
            "silent source",
            outside.source,
            at=now,
            severity=Severity.WARNING,
            cause=f"{outside.source} limits {outside.circuit} and has not repeated itself for "
            f"{(now - outside.at).total_seconds():.0f} s",
            advice="look at the way to it; until it speaks the limit for its silence holds",
        )


def _lower(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return b if a is None else a
    return min(a, b)

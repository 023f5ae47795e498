"""The evidence that a limit from outside was obeyed: when it came, and when the meter showed that it was.

Rules
-----
1. An entry is opened when the limit of a source that is in force changes: told, silent, over, or taken away. A repeat
   is no change.
2. It is obeyed at the first reading after that, of the circuit's own meter, or of every EVSE below it where the limit
   is of vehicles alone or no meter is there, that lies within the limit.
3. Every change of an entry goes out with the next decision, for a log that the controller does not keep itself.
"""

import math
from dataclasses import dataclass, replace
from datetime import datetime

from loadmgr.control.outside.limits import is_silent, told_by
from loadmgr.control.outside.outside import LimitChanged
from loadmgr.control.outside.told import Evidence
from loadmgr.control.state import SiteState
from loadmgr.model.ids import CircuitId
from loadmgr.model.topology import PhaseAmps, PhaseLimits
from loadmgr.model.units import CURRENT_TOLERANCE_A, POWER_TOLERANCE_W

TOLD, SILENT, OVER = "told", "silent", "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What flows through a circuit [A], since when at the latest that is known, and from what."""

    currents_a: PhaseAmps
    at: datetime
    by: str


def watch_evidence(state: SiteState, now: datetime) -> None:
    """Open, complete and close the entries of every limit from outside."""
    for key, outside in sorted(state.limits.items()):
        _open(state, key, outside, now)
    for key in sorted(set(state.evidence) - set(state.limits)):
        _close(state, key, now)
    for key, entry in sorted(state.evidence.items()):
        if entry.obeyed_at is None and (entry.limit_a is not None or entry.limit_w is not None):
            _complete(state, key, entry, now)


def _open(state: SiteState, key: tuple[CircuitId, str], outside: LimitChanged, now: datetime) -> None:
    limit_a, limit_w = told_by(outside, now)
    why = SILENT if is_silent(outside, now) else TOLD
    known = state.evidence.get(key)
    same = known is not None and (known.limit_a, known.limit_w, known.why) == (limit_a, limit_w, why)
    if same or (known is None and limit_a is None and limit_w is None):
        return
    entry = Evidence(
        circuit=outside.circuit,
        source=outside.source,
        at=now if why == SILENT else outside.at,
        why=why,
        limit_a=limit_a,
        limit_w=limit_w,
        vehicles_only=outside.vehicles_only,
        until=outside.until,
    )
    state.evidence[key] = entry
    state.evidence_new.append(entry)


def _close(state: SiteState, key: tuple[CircuitId, str], now: datetime) -> None:
    entry = state.evidence.pop(key)
    if entry.limit_a is not None or entry.limit_w is not None:
        state.evidence_new.append(
            Evidence(circuit=entry.circuit, source=entry.source, at=now, why=OVER, vehicles_only=entry.vehicles_only)
        )


def _complete(state: SiteState, key: tuple[CircuitId, str], entry: Evidence, now: datetime) -> None:
    seen = _by_meter(state, entry) or _by_evses(state, entry, now)
    if seen is None or seen.at <= entry.at:
        return
    power_w = math.fsum(seen.currents_a) * state.site.voltage_v
    if entry.limit_w is not None and power_w > entry.limit_w + POWER_TOLERANCE_W:
        return
    if entry.limit_a is not None and not _within(seen.currents_a, entry.limit_a):
        return
    done = replace(entry, obeyed_at=seen.at, measured_a=seen.currents_a, measured_by=seen.by)
    state.evidence[key] = done
    state.evidence_new.append(done)


def _within(currents_a: PhaseAmps, limit_a: PhaseLimits) -> bool:
    pairs = zip(currents_a, limit_a, strict=True)
    return all(limit is None or amps <= limit + CURRENT_TOLERANCE_A for amps, limit in pairs)


def _by_meter(state: SiteState, entry: Evidence) -> Measured | None:
    if entry.vehicles_only:
        return None
    meter = next((m for m in state.site.meters if m.circuit == entry.circuit and m.id in state.meters), None)
    if meter is None:
        return None
    reading = state.meters[meter.id]
    return Measured(currents_a=reading.currents_a, at=reading.at, by=f"meter {meter.id}")


def _by_evses(state: SiteState, entry: Evidence, now: datetime) -> Measured | None:
    """Return what EVSEs with a transaction measured, as of the oldest of these readings; ``None`` where one is dumb.

    A site whose circuit has a meter is judged by that alone: a side load may be above the limit.
    """
    metered = any(m.circuit == entry.circuit for m in state.site.meters)
    if metered and not entry.vehicles_only:
        return None
    total, oldest = [0.0, 0.0, 0.0], None
    for evse in state.site.evses_under(entry.circuit):
        record = state.evses[evse.id]
        if record.charging is None:
            continue
        if record.draw is None:
            return None
        oldest = record.draw.at if oldest is None else min(oldest, record.draw.at)
        total = [a + b for a, b in zip(total, record.draw.current_a, strict=True)]
    return Measured(currents_a=(total[0], total[1], total[2]), at=oldest or now, by="readings of the EVSEs")

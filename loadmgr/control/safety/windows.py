"""Daily windows of a time-division fail-safe: who may charge when nobody controls the site.

Rules
-----
1. Where the sum of minimum currents exceeds a fuse, a constant fallback is impossible; so the day is cut into slots,
   and in each slot only so many may charge as fit beside the side loads at their worst.
2. Slots are filled one after the other, those first who had least so far: shares differ by one slot where circuits are
   alike. Who stays on from one slot to the next has no gap; who leaves ends a guard before the others begin.
3. The guard is twice what two clocks may differ by: the skew at their last synchronisation and the drift over the time
   for which the windows are to hold without one, plus the time that a vehicle takes to follow.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadmgr.model.failsafe import FailSafeStrategy
from loadmgr.model.ids import EvseId
from loadmgr.model.topology import Evse, Phase, Site
from loadmgr.model.units import CURRENT_TOLERANCE_A

Floats = NDArray[np.float64]

DAY_S = 86_400
SLOTS = 12
DRIFT_S_PER_DAY = 2.0
"""What a quartz clock drifts [s per day]."""

AUTONOMY_DAYS = 30
"""For so long the windows hold while no clock is set."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the UTC day, ``[start_s, end_s)``, in which an EVSE may draw a current [A per phase]."""

    start_s: int
    end_s: int
    current_a: float


def guard_s(site: Site) -> int:
    """Return how long before a slot's end those stop who have no part in the next one [s]."""
    timing = site.timing
    off_s = timing.clock_skew_s + DRIFT_S_PER_DAY * AUTONOMY_DAYS
    return int(2 * off_s + timing.settle_s + 10)


def daily_windows(site: Site) -> dict[EvseId, tuple[Window, ...]]:
    """Return the windows of every EVSE of a site that divides time; one that fits nowhere even alone has none."""
    if site.failsafe.strategy is not FailSafeStrategy.TIME_DIVISION:
        return {}
    slots = _slots(site)
    length_s, guard = DAY_S // SLOTS, guard_s(site)
    out: dict[EvseId, tuple[Window, ...]] = {}
    for evse in site.evses:
        on = [evse.id in slot for slot in slots]
        windows: list[Window] = []
        for index in range(SLOTS):
            if not on[index]:
                continue
            stays = on[(index + 1) % SLOTS]
            end_s = (index + 1) * length_s - (0 if stays else guard)
            if windows and windows[-1].end_s == index * length_s:
                windows[-1] = Window(windows[-1].start_s, end_s, windows[-1].current_a)
            else:
                windows.append(Window(index * length_s, end_s, window_current_a(evse)))
        out[evse.id] = tuple(windows)
    return out


def window_current_a(evse: Evse) -> float:
    """Return what an EVSE may draw in its windows [A per phase]."""
    return min(max(evse.min_a, evse.fallback_a), evse.max_a)


def periods(windows: tuple[Window, ...]) -> tuple[tuple[int, float], ...]:
    """Return the day as ``(start, current)`` steps from 0 on, for a schedule that recurs daily."""
    marks = sorted({0, *(w.start_s for w in windows), *(w.end_s for w in windows if w.end_s < DAY_S)})
    steps = [(s, next((w.current_a for w in windows if w.start_s <= s < w.end_s), 0.0)) for s in marks]
    kept = steps[:1] + [b for a, b in itertools.pairwise(steps) if a[1] != b[1]]
    return tuple(kept)


def _slots(site: Site) -> list[frozenset[EvseId]]:
    rows, room = _rows(site)
    share = dict.fromkeys((e.id for e in site.evses), 0)
    order = {e.id: i for i, e in enumerate(site.evses)}
    slots: list[frozenset[EvseId]] = []
    for _ in range(SLOTS):
        left, chosen = room.copy(), set()
        for evse in sorted(site.evses, key=lambda e: (share[e.id], order[e.id])):
            need = rows[:, order[evse.id]] * window_current_a(evse)
            if (need <= left + CURRENT_TOLERANCE_A).all():
                left -= need
                chosen.add(evse.id)
        for evse_id in chosen:
            share[evse_id] += 1
        slots.append(frozenset(chosen))
    return slots


def _rows(site: Site) -> tuple[Floats, Floats]:
    """Return what 1 A of each EVSE loads each limit with, and what side loads at their worst leave of it."""
    rows, room = [], []
    for circuit in site.circuits:
        below = {e.id: e for e in site.evses_under(circuit.id)}
        side = _side_loads_below(site, circuit.id)
        for phase in Phase:
            limit = circuit.limit_a[phase]
            if limit is not None:
                rows.append([float(e.id in below and phase in e.phases) for e in site.evses])
                room.append(max(0.0, limit - side[phase]))
        if circuit.limit_w is not None:
            rows.append([site.voltage_v * len(e.phases) * float(e.id in below) for e in site.evses])
            room.append(max(0.0, circuit.limit_w - float(side.sum()) * site.voltage_v))
    return np.array(rows).reshape(len(room), len(site.evses)), np.array(room)


def _side_loads_below(site: Site, circuit: str) -> Floats:
    total = np.zeros(3)
    for other in site.circuits:
        if any(up.id == circuit for up in site.path(other.id)):
            for load in other.side_loads:
                total += np.array(load.worst_case_a)
    return total

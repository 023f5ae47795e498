"""One step of water-filling on rows: admit minimums, raise together, raise in turn."""

from dataclasses import dataclass

import numpy as np

from loadmgr.allocation.arrays import BoolArray, FloatArray, IntArray
from loadmgr.allocation.constraints import NetworkRows
from loadmgr.model.units import CURRENT_TOLERANCE_A

_TIGHT = 1e-9
"""Room below this is none; far below every tolerance of the check, far above rounding."""


@dataclass(slots=True, eq=False)
class Level:
    """The state of one step: room left in the rows, currents so far and what each may have at most."""

    room: FloatArray
    current_a: FloatArray
    cap_a: FloatArray


def admit(rows: NetworkRows, level: Level, order: IntArray, *, floor_a: FloatArray) -> None:
    """Raise each of ``order`` to its floor if that fits, all or nothing, first come first admitted."""
    ask_a = np.zeros_like(level.current_a)
    ask_a[order] = np.maximum(np.minimum(floor_a, level.cap_a) - level.current_a, 0.0)[order]
    load = np.bincount(rows.row, weights=rows.coefficient * ask_a[rows.evse], minlength=rows.n_rows)
    if (load <= level.room + _TIGHT).all():
        level.current_a += ask_a
        level.room = np.maximum(level.room - load, 0.0)
        return
    room, starts = level.room.tolist(), rows.starts.tolist()
    row, coefficient = rows.row.tolist(), rows.coefficient.tolist()
    for evse in order.tolist():
        raise_a = float(ask_a[evse])
        span = range(starts[evse], starts[evse + 1])
        if raise_a <= 0.0 or any(coefficient[k] * raise_a > room[row[k]] + _TIGHT for k in span):
            continue
        level.current_a[evse] += raise_a
        for k in span:
            room[row[k]] = max(room[row[k]] - coefficient[k] * raise_a, 0.0)
    level.room = np.array(room)


def raise_in_turn(rows: NetworkRows, level: Level, order: IntArray, *, floor_a: FloatArray) -> None:
    """Give each of ``order`` all it may have before the next one gets anything; less than its floor is nothing."""
    room, starts = level.room.tolist(), rows.starts.tolist()
    row, coefficient = rows.row.tolist(), rows.coefficient.tolist()
    cap_a, current_a, floors_a = level.cap_a.tolist(), level.current_a.tolist(), floor_a.tolist()
    for evse in order.tolist():
        raise_a = cap_a[evse] - current_a[evse]
        span = range(starts[evse], starts[evse + 1])
        for k in span:
            if coefficient[k] > 0.0 and coefficient[k] * raise_a > room[row[k]]:
                raise_a = room[row[k]] / coefficient[k]
        if raise_a <= 0.0 or current_a[evse] + raise_a < floors_a[evse] - CURRENT_TOLERANCE_A:
            continue
        current_a[evse] += raise_a
        for k in span:
            room[row[k]] = max(room[row[k]] - coefficient[k] * raise_a, 0.0)
    level.current_a, level.room = np.array(current_a), np.array(room)


def raise_together(rows: NetworkRows, level: Level, members: BoolArray, weight: FloatArray) -> None:
    """Raise members in proportion to their weights until a row or a maximum stops each (progressive filling).

    Notes
    -----
    Each round freezes everyone whose maximum lies below every row's level; if there is none, everyone in a row that is
    the lowest of all its members'. Both freeze only what cannot change any more, so the result is the weighted max-min
    fair point, found in about as many rounds as the tree is deep.
    """
    active = members & (level.cap_a - level.current_a > _TIGHT) & (weight > 0.0)
    own = np.where(active, (level.cap_a - level.current_a) / np.where(active, weight, 1.0), 0.0)
    up = rows.coefficient > 0.0
    while active.any():
        rate = rows.coefficient * (weight * active)[rows.evse]
        total = np.bincount(rows.row, weights=rate, minlength=rows.n_rows)
        row_level = np.where(total > _TIGHT, level.room / np.where(total > _TIGHT, total, 1.0), np.inf)
        entry_level = np.where(up, row_level[rows.row], np.inf)
        lowest = _lowest_by_evse(rows, entry_level)
        freeze = active & (own <= lowest)
        if freeze.any():
            raised = own
        else:
            beaten = np.bincount(
                rows.row,
                weights=(rate > 0.0) & (lowest[rows.evse] < entry_level * (1.0 - 1e-12)),
                minlength=rows.n_rows,
            )
            stops = (beaten == 0) & np.isfinite(row_level)
            hit = np.zeros(len(active), dtype=bool)
            hit[rows.evse[stops[rows.row] & (rate > 0.0)]] = True
            freeze, raised = active & hit, lowest
        step_a = np.where(freeze, raised, 0.0) * weight
        level.current_a += step_a
        used = np.bincount(rows.row, weights=rows.coefficient * step_a[rows.evse], minlength=rows.n_rows)
        level.room = np.maximum(level.room - used, 0.0)
        active &= ~freeze


def _lowest_by_evse(rows: NetworkRows, entry_level: FloatArray) -> FloatArray:
    """Return the smallest value among the entries of each EVSE; infinity where it has none."""
    out = np.full(len(rows.starts) - 1, np.inf)
    some = np.flatnonzero(np.diff(rows.starts))
    if some.size:
        out[some] = np.minimum.reduceat(entry_level, rows.starts[some])
    return out

"""One step of water-filling on rows: admit minimums, raise together, raise in turn.

Rules of this file:

1. Currents only rise here, and every ampere adds to its rows: what is free up to some current is for the caller.
2. Most rows cannot fill up in most steps: what could not carry more than its room even if everybody had all is left out
   before the work begins.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from loadmgr.allocation.arrays import BoolArray, FloatArray, IntArray
from loadmgr.model.units import CURRENT_TOLERANCE_A

TIGHT = 1e-9
"""Room below this is none; far below every tolerance of the check, far above rounding."""


class Rows(Protocol):
    """The entries of rows over currents, ordered by EVSE: ``NetworkRows`` without its limits."""

    @property
    def row(self) -> IntArray:
        """Row of each entry."""

    @property
    def evse(self) -> IntArray:
        """EVSE of each entry."""

    @property
    def coefficient(self) -> FloatArray:
        """Coefficient of each entry."""

    @property
    def starts(self) -> IntArray:
        """Where the entries of each EVSE start."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""


@dataclass(slots=True, eq=False)
class Level:
    """The state of one step: room left in the rows, currents so far and what each may have at most."""

    room: FloatArray
    current_a: FloatArray
    cap_a: FloatArray


def loads(rows: Rows, current_a: FloatArray) -> FloatArray:
    """Return what currents add up to in each row."""
    total = np.bincount(rows.row, weights=rows.coefficient * current_a[rows.evse], minlength=rows.n_rows)
    return total.astype(np.float64, copy=False)


def admit_all(rows: Rows, level: Level, members: BoolArray, *, floor_a: FloatArray) -> bool:
    """Raise all members to their floors if that fits; return whether it did."""
    ask_a = np.where(members, np.maximum(np.minimum(floor_a, level.cap_a) - level.current_a, 0.0), 0.0)
    load = loads(rows, ask_a)
    if not (load <= level.room + TIGHT).all():
        return False
    level.current_a = level.current_a + ask_a
    level.room = np.maximum(level.room - load, 0.0)
    return True


def admit(rows: Rows, level: Level, order: IntArray, *, floor_a: FloatArray) -> None:
    """Raise each of ``order`` to its floor if that fits, all or nothing, first come first admitted."""
    members = np.zeros(len(level.current_a), dtype=bool)
    members[order] = True
    if admit_all(rows, level, members, floor_a=floor_a):
        return
    room, starts = level.room.tolist(), rows.starts.tolist()
    row, coefficient = rows.row.tolist(), rows.coefficient.tolist()
    current_a, cap_a, floors_a = level.current_a.tolist(), level.cap_a.tolist(), floor_a.tolist()
    for evse in order.tolist():
        raise_a = min(floors_a[evse], cap_a[evse]) - current_a[evse]
        span = range(starts[evse], starts[evse + 1])
        if raise_a <= 0.0 or any(coefficient[k] * raise_a > room[row[k]] + TIGHT for k in span):
            continue
        current_a[evse] += raise_a
        for k in span:
            room[row[k]] = max(room[row[k]] - coefficient[k] * raise_a, 0.0)
    level.current_a, level.room = np.array(current_a), np.array(room)


def raise_in_turn(rows: Rows, level: Level, order: IntArray, *, floor_a: FloatArray) -> None:
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


def raise_together(rows: Rows, level: Level, members: BoolArray, weight: FloatArray) -> None:
    """Raise members in proportion to their weights until a row or a maximum stops each (progressive filling).

    Notes
    -----
    Each round freezes everyone whose maximum lies below every row's level; if there is none, everyone in a row that is
    the lowest of all its members'. Both freeze only what cannot change any more, so the result is the weighted max-min
    fair point, found in about as many rounds as the tree is deep.
    """
    more_a = np.where(members & (weight > 0.0), level.cap_a - level.current_a, 0.0)
    more_a[more_a <= TIGHT] = 0.0
    most = more_a[rows.evse]
    full = np.bincount(rows.row, weights=np.maximum(rows.coefficient, 0.0) * most, minlength=rows.n_rows) > level.room
    kept = np.flatnonzero(full[rows.row] & (most > 0.0))
    if kept.size:
        _rise(_Crowd.of(rows, kept), level.room, more_a, weight)
    level.current_a += more_a
    level.room = np.maximum(level.room - loads(rows, more_a), 0.0)


@dataclass(slots=True, eq=False)
class _Crowd:
    """Those who may be stopped by a row, with their entries in the rows that may fill up.

    Parameters
    ----------
    evse : (n,)
    begins : (n,)
        Where the entries of each start.
    row, who, coefficient : (n_entry,)
        The entries; ``who`` is a place in ``evse``.
    """

    evse: IntArray
    begins: IntArray
    row: IntArray
    who: IntArray
    coefficient: FloatArray

    @classmethod
    def of(cls, rows: Rows, kept: IntArray) -> "_Crowd":
        """Return the crowd of some entries."""
        evse = rows.evse[kept]
        first = np.empty(len(kept), dtype=bool)
        first[0] = True
        np.not_equal(evse[1:], evse[:-1], out=first[1:])
        begins = np.flatnonzero(first)
        who, coefficient = np.cumsum(first) - 1, rows.coefficient[kept]
        return cls(evse=evse[begins], begins=begins, row=rows.row[kept], who=who, coefficient=coefficient)


def _rise(crowd: _Crowd, room: FloatArray, more_a: FloatArray, weight: FloatArray) -> None:
    """Lower ``more_a`` of a crowd, in place, to where rows stop it."""
    row, who, coefficient, n_rows = crowd.row, crowd.who, crowd.coefficient, len(room)
    speed = weight[crowd.evse]
    own = more_a[crowd.evse] / speed
    room, raised, moving = room.copy(), np.zeros(len(own)), np.ones(len(own), dtype=bool)
    sinks = bool((coefficient < 0.0).any())
    while moving.any():
        rate = coefficient * (speed * moving)[who]
        total = np.bincount(row, weights=rate, minlength=n_rows)
        row_level = np.full(n_rows, np.inf)
        np.divide(room, total, out=row_level, where=total > TIGHT)
        entry_level = row_level[row]
        if sinks:
            entry_level[coefficient <= 0.0] = np.inf
        lowest = np.minimum.reduceat(entry_level, crowd.begins)
        freeze = moving & (own <= lowest)
        if freeze.any():
            level = own
        else:
            beaten = (rate > 0.0) & (lowest[who] < entry_level * (1.0 - 1e-12))
            stops = np.isfinite(row_level)
            stops[row[beaten]] = False
            freeze[who[stops[row] & (rate > 0.0)]] = True
            freeze &= moving
            level = lowest
        raised[freeze] = (level * speed)[freeze]
        used = np.bincount(row, weights=coefficient * np.where(freeze, level * speed, 0.0)[who], minlength=n_rows)
        room = np.maximum(room - used, 0.0)
        moving &= ~freeze
    more_a[crowd.evse] = raised

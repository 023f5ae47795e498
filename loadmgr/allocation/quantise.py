"""From a plan to setpoints: down to what stations can be told, 0 or at least the minimum, and remainders handed out.

Rules of this file:

1. Rounding goes down. Up goes only what is rechecked against every row, one station step at a time.
2. A value below the minimum becomes 0 or, if that fits, the minimum; never something between.
"""

import math

import numpy as np

from loadmgr.allocation.arrays import FloatArray
from loadmgr.allocation.constraints import NetworkRows, RowEntries
from loadmgr.allocation.problem import AllocationProblem
from loadmgr.model.units import CURRENT_TOLERANCE_A

DONE_WH = 1e-3
"""Less than this is no need: no meter shows it."""

GRAIN_A = CURRENT_TOLERANCE_A / 2.0
"""A plan within this of a station step is that step: two solves of one problem differ by less, and the check bears it
[A]."""


def floor_to_steps(problem: AllocationProblem, planned_a: FloatArray) -> FloatArray:
    """Return the plan rounded down to station steps; values below the minimum become 0."""
    evses = problem.evses
    step_a = evses.step_a[:, None]
    sign = np.sign(planned_a)
    size = np.floor(np.abs(planned_a) / step_a + GRAIN_A / step_a) * step_a
    size = np.round(size, 9)
    for index, pilots_a in enumerate(evses.pilots_a):
        if pilots_a is not None:
            levels = np.array([0.0, *sorted(pilots_a)])
            place = np.searchsorted(levels, np.abs(planned_a[index]) + GRAIN_A, side="right") - 1
            size[index] = levels[place]
    size[size < evses.min_a[:, None] - GRAIN_A] = 0.0
    return np.asarray(size * sign)


def floor_one(problem: AllocationProblem, evse: int, current_a: float) -> float:
    """Return a current of one EVSE [A], not below 0, rounded down to what its station can be told."""
    evses = problem.evses
    pilots_a, step_a = evses.pilots_a[evse], float(evses.step_a[evse])
    if pilots_a is None:
        told_a = round(math.floor((current_a + GRAIN_A) / step_a) * step_a, 9)
    else:
        told_a = max((a for a in pilots_a if a <= current_a + GRAIN_A), default=0.0)
    return told_a if told_a >= evses.min_a[evse] - GRAIN_A else 0.0


def next_up_a(problem: AllocationProblem, evse: int, current_a: float) -> float:
    """Return the next setpoint above a current of one EVSE [A]; the current itself where there is none."""
    evses = problem.evses
    pilots_a = evses.pilots_a[evse]
    if pilots_a is not None:
        return min((a for a in pilots_a if a > current_a + GRAIN_A), default=current_a)
    step_a = float(evses.step_a[evse])
    lowest_a = math.ceil(float(evses.min_a[evse]) / step_a - GRAIN_A) * step_a
    return round(max(lowest_a, step_a) if current_a < lowest_a - GRAIN_A else current_a + step_a, 9)


def quantise(
    problem: AllocationProblem, rows: NetworkRows, planned_a: FloatArray, *, bound_a: FloatArray
) -> FloatArray:
    """Return setpoints: the plan rounded down, then remainders handed out where every row allows it.

    Parameters
    ----------
    problem : AllocationProblem
    rows : NetworkRows
    planned_a : (n_evse, n_step)
        The plan [A per phase].
    bound_a : (n_evse, n_step)
        Up to here a setpoint may be raised above the plan [A]: what the vehicle may draw and still needs.

    Notes
    -----
    Largest remainder first; each EVSE is raised by at most one station step per step of time, and not beyond its need,
    except to its minimum so that it can finish.
    """
    out = floor_to_steps(problem, planned_a)
    room = _lower_until_it_fits(problem, rows, out)
    lost_a = np.where(planned_a > 0.0, planned_a - out, 0.0)
    if not (lost_a > GRAIN_A).any():
        return out
    left_wh = (problem.evses.need_wh[:, -1] - (out * problem.wh_per_a).sum(axis=1)).tolist()
    rank = np.round(lost_a / problem.evses.step_a[:, None], 6)
    more = _Remainders(problem=problem, rows=rows, left_wh=left_wh)
    for step in np.flatnonzero((lost_a > GRAIN_A).any(axis=0)).tolist():
        lost = np.flatnonzero(lost_a[:, step] > GRAIN_A)
        order = lost[np.argsort(-rank[lost, step], kind="stable")].tolist()
        out[:, step] = more.handed_out(step, order, out[:, step], room=room[:, step], most_a=bound_a[:, step])
    return out


class _Remainders:
    """Hands out what rounding left, step by step, and keeps what each session still needs [Wh].

    Numbers are taken out of their arrays first: one by one they are several times quicker as Python's own.
    """

    def __init__(self, *, problem: AllocationProblem, rows: NetworkRows, left_wh: list[float]) -> None:
        self._problem, self._left_wh = problem, left_wh
        self._starts, self._row, self._coefficient = rows.starts.tolist(), rows.row.tolist(), rows.coefficient.tolist()
        self._free_a = None if rows.free_a is None else rows.free_a.tolist()

    def handed_out(
        self, step: int, order: list[int], current_a: FloatArray, *, room: FloatArray, most_a: FloatArray
    ) -> list[float]:
        """Return the currents of one step after raising EVSEs in this order by a setpoint each where all allows it."""
        now_a, rooms, most = current_a.tolist(), room.tolist(), most_a.tolist()
        wh_per_a = self._problem.wh_per_a[:, step].tolist()
        for evse in order:
            up_a = next_up_a(self._problem, evse, now_a[evse])
            more_a = up_a - now_a[evse]
            energy_wh, left_wh = more_a * wh_per_a[evse], self._left_wh[evse]
            wanted = energy_wh <= left_wh + GRAIN_A or (now_a[evse] <= 0.0 and left_wh > DONE_WH)
            if not wanted or up_a > most[evse] + GRAIN_A:
                continue
            adds = self._adds(evse, now_a[evse], up_a)
            if all(load <= rooms[row] + 1e-9 for row, load in adds):
                now_a[evse] = up_a
                self._left_wh[evse] -= energy_wh
                for row, load in adds:
                    rooms[row] -= load
        return list(now_a)

    def _adds(self, evse: int, now_a: float, up_a: float) -> list[tuple[int, float]]:
        """Return the rows of an EVSE, and what a higher current adds to each."""
        span = range(self._starts[evse], self._starts[evse + 1])
        free_a = self._free_a
        if free_a is None:
            return [(self._row[k], self._coefficient[k] * (up_a - now_a)) for k in span]
        more_a = {k: max(up_a - free_a[k], 0.0) - max(now_a - free_a[k], 0.0) for k in span}
        return [(self._row[k], self._coefficient[k] * more_a[k]) for k in span]


def _lower_until_it_fits(problem: AllocationProblem, rows: NetworkRows, out: FloatArray) -> FloatArray:
    """Lower what is too much after rounding, in place; return what is then left of the rows, ``(n_row, n_step)``.

    Between phases, less of one current may be too little; and many values that each lie within a grain of a station
    step add up to more than that. Ends because currents only fall, and at 0 every row is kept.
    """
    while True:
        left = rows.free_room - row_loads(rows, out)
        broken = left < -GRAIN_A
        if not broken.any():
            return left
        pushes = np.zeros(out.shape, dtype=bool)
        entry = np.flatnonzero(rows.coefficient > 0.0)
        pushing = broken[rows.row[entry]]
        if rows.free_a is not None:
            pushing &= out[rows.evse[entry]] > rows.free_a[entry, None]
        np.logical_or.at(pushes, rows.evse[entry], pushing)
        pushes &= out > 0.0
        out[pushes] = floor_to_steps(problem, np.maximum(out - 0.5 * problem.evses.step_a[:, None], 0.0))[pushes]


def row_loads(rows: NetworkRows, current_a: FloatArray) -> FloatArray:
    """Return what currents above 0 add up to in each row, ``(n_row, n_step)``."""
    loads = np.zeros((rows.n_rows, current_a.shape[1]))
    entries = RowEntries.of(rows)
    loads[entries.rows] = entries.sums(np.maximum(current_a, 0.0))
    return loads

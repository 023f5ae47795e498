"""From a plan to setpoints: down to what stations can be told, 0 or at least the minimum, and remainders handed out.

Rules of this file:

1. Rounding goes down. Up goes only what is rechecked against every row, one station step at a time.
2. A value below the minimum becomes 0 or, if that fits, the minimum; never something between.
"""

import numpy as np

from loadmgr.allocation.arrays import FloatArray
from loadmgr.allocation.constraints import NetworkRows
from loadmgr.allocation.problem import AllocationProblem

DONE_WH = 1e-3
"""Less than this is no need: no meter shows it."""

_GRAIN = 1e-6
"""A plan within this of a station step is that step: two solves of one problem differ by less."""


def floor_to_steps(problem: AllocationProblem, planned_a: FloatArray) -> FloatArray:
    """Return the plan rounded down to station steps; values below the minimum become 0."""
    evses = problem.evses
    step_a = evses.step_a[:, None]
    sign = np.sign(planned_a)
    size = np.floor(np.abs(planned_a) / step_a + _GRAIN / step_a) * step_a
    size = np.round(size, 9)
    for index, pilots_a in enumerate(evses.pilots_a):
        if pilots_a is not None:
            levels = np.array([0.0, *sorted(pilots_a)])
            place = np.searchsorted(levels, np.abs(planned_a[index]) + _GRAIN, side="right") - 1
            size[index] = levels[place]
    size[size < evses.min_a[:, None] - _GRAIN] = 0.0
    return np.asarray(size * sign)


def floor_one(problem: AllocationProblem, evse: int, current_a: float) -> float:
    """Return a current of one EVSE [A], not below 0, rounded down to what its station can be told."""
    evses = problem.evses
    pilots_a, step_a = evses.pilots_a[evse], float(evses.step_a[evse])
    if pilots_a is None:
        told_a = round(float(np.floor((current_a + _GRAIN) / step_a)) * step_a, 9)
    else:
        told_a = max((a for a in pilots_a if a <= current_a + _GRAIN), default=0.0)
    return told_a if told_a >= evses.min_a[evse] - _GRAIN else 0.0


def next_up_a(problem: AllocationProblem, current_a: FloatArray, evse: int) -> FloatArray:
    """Return for each of the given currents of one EVSE the next setpoint above it; itself where there is none."""
    evses = problem.evses
    pilots_a = evses.pilots_a[evse]
    if pilots_a is not None:
        levels = np.array(sorted(pilots_a))
        place = np.searchsorted(levels, current_a + _GRAIN, side="right")
        return np.where(place < len(levels), levels[np.minimum(place, len(levels) - 1)], current_a)
    step_a = float(evses.step_a[evse])
    lowest_a = np.ceil(evses.min_a[evse] / step_a - _GRAIN) * step_a
    return np.asarray(np.round(np.where(current_a < lowest_a - _GRAIN, max(lowest_a, step_a), current_a + step_a), 9))


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
    if (rows.coefficient < 0.0).any():
        _lower_until_it_fits(problem, rows, out)
    lost_a = np.where(planned_a > 0.0, planned_a - out, 0.0)
    if not (lost_a > _GRAIN).any():
        return out
    room = np.where(rows.applies, rows.room, np.finfo(np.float64).max / 4) - row_loads(rows, out)
    wh_per_a = problem.wh_per_a
    left_wh = problem.evses.need_wh[:, -1] - (out * wh_per_a).sum(axis=1)
    rank = np.argsort(-np.round(lost_a / problem.evses.step_a[:, None], 6), axis=0, kind="stable")
    for step in np.flatnonzero((lost_a > _GRAIN).any(axis=0)):
        for evse in rank[:, step]:
            if lost_a[evse, step] <= _GRAIN:
                break
            now_a = float(out[evse, step])
            up_a = float(next_up_a(problem, out[evse, step : step + 1], int(evse))[0])
            span = slice(rows.starts[evse], rows.starts[evse + 1])
            more = rows.coefficient[span] * (up_a - now_a)
            energy_wh = (up_a - now_a) * wh_per_a[evse, step]
            wanted = energy_wh <= left_wh[evse] + _GRAIN or (now_a <= 0.0 and left_wh[evse] > DONE_WH)
            if wanted and up_a <= bound_a[evse, step] + _GRAIN and (more <= room[rows.row[span], step] + 1e-9).all():
                out[evse, step] = up_a
                left_wh[evse] -= energy_wh
                room[rows.row[span], step] -= more
    return out


def _lower_until_it_fits(problem: AllocationProblem, rows: NetworkRows, out: FloatArray) -> None:
    """Lower what is too much after rounding, in place: between phases, less of one current may be too little.

    Ends because currents only fall, and at 0 every row is kept.
    """
    room = np.where(rows.applies, rows.room, np.finfo(np.float64).max / 4) + _GRAIN
    while True:
        taken = np.maximum(out, 0.0)
        broken = row_loads(rows, taken) > room
        if not broken.any():
            return
        pushes = np.zeros(out.shape, dtype=bool)
        entry = rows.coefficient > 0.0
        np.logical_or.at(pushes, rows.evse[entry], broken[rows.row[entry]])
        pushes &= taken > 0.0
        out[pushes] = floor_to_steps(problem, np.maximum(out - 0.5 * problem.evses.step_a[:, None], 0.0))[pushes]


def row_loads(rows: NetworkRows, current_a: FloatArray) -> FloatArray:
    """Return what currents above 0 add up to in each row, ``(n_row, n_step)``."""
    loads = np.zeros((rows.n_rows, current_a.shape[1]))
    np.add.at(loads, rows.row, rows.coefficient[:, None] * np.maximum(current_a, 0.0)[rows.evse])
    return loads

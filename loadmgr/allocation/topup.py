"""What rounding took from a session, given back at other times of its stay.

Rules of this file:

1. Only what the plan had promised and setpoints do not deliver; who goes short in the plan stays short.
2. Only after the steps that are sent now, and where every row allows it; the cheapest hours first, of equals those in
   which the session is on already.
3. A taper is left alone: a current that is raised early lowers what is allowed later.
"""

import numpy as np

from loadmgr.allocation.arrays import FloatArray
from loadmgr.allocation.constraints import NetworkRows
from loadmgr.allocation.problem import AllocationProblem
from loadmgr.allocation.quantise import floor_one, next_up_a, row_loads

WORTH_RATIO, WORTH_WH = 0.005, 50.0
"""Who lost less than both is left alone: the next plan makes up for it."""


def top_up(
    problem: AllocationProblem, rows: NetworkRows, planned_a: FloatArray, setpoints_a: FloatArray, *, after: int
) -> None:
    """Raise setpoints, in place, from step ``after`` on, until sessions have what was planned.

    Parameters
    ----------
    problem : AllocationProblem
    rows : NetworkRows
        With what batteries take subtracted from their room.
    planned_a, setpoints_a : (n_evse, n_step)
        The plan, and the plan after rounding [A per phase].
    after : int
        First step that may be changed.
    """
    evses, wh_per_a = problem.evses, problem.wh_per_a
    lost_wh = ((planned_a - setpoints_a) * wh_per_a).sum(axis=1)
    worth = lost_wh > np.maximum(WORTH_RATIO * evses.need_wh[:, -1], WORTH_WH)
    worth &= (evses.taper_wh <= 0.0) & ~(evses.discharge_max_a > 0.0).any(axis=1)
    who = np.flatnonzero(worth)
    if not who.size or after >= problem.n_steps:
        return
    room = rows.free_room
    room = (room - row_loads(rows, setpoints_a))[:, after:]
    may = (evses.keep_off_s[:, None] <= np.array(problem.grid.offsets_s[after:-1])) & (wh_per_a[:, after:] > 0.0)
    most_a = np.where(may, evses.max_a[:, after:], 0.0)
    for evse in who[np.lexsort((evses.seeds[who], -lost_wh[who], -evses.priority[who]))].tolist():
        _raise(problem, rows, evse, setpoints_a[evse, after:], room=room, most_a=most_a[evse], lost_wh=lost_wh[evse])


def _raise(
    problem: AllocationProblem,
    rows: NetworkRows,
    evse: int,
    now_a: FloatArray,
    *,
    room: FloatArray,
    most_a: FloatArray,
    lost_wh: float,
) -> None:
    """Raise the currents of one session in place, step by step of its grid, and take it from the room."""
    first = problem.n_steps - len(now_a)
    price, min_a = problem.money.import_price_per_kwh[first:], float(problem.evses.min_a[evse])
    wh_per_a = problem.wh_per_a[evse, first:]
    span = slice(int(rows.starts[evse]), int(rows.starts[evse + 1]))
    entry = np.flatnonzero(rows.coefficient[span] > 0.0) + span.start
    spare_a = room[rows.row[entry]] / rows.coefficient[entry, None]
    if rows.free_a is not None:
        spare_a += np.maximum(rows.free_a[entry, None] - now_a, 0.0)
    spare_a = np.min(spare_a, axis=0, initial=np.inf)
    most_a = np.minimum(now_a + np.maximum(spare_a, 0.0), most_a)
    for step in np.lexsort((np.arange(len(now_a)), now_a <= 0.0, price)).tolist():
        before_a = float(now_a[step])
        if lost_wh <= 0.0:
            return
        if before_a < 0.0 or most_a[step] <= before_a:
            continue
        want_a = max(before_a + lost_wh / wh_per_a[step], min_a)
        told_a = floor_one(problem, evse, min(want_a, float(most_a[step])))
        if told_a <= before_a:
            told_a = next_up_a(problem, evse, before_a)
        if told_a > most_a[step] or (told_a - before_a) * wh_per_a[step] > 2.0 * lost_wh:
            continue
        now_a[step] = told_a
        lost_wh -= (told_a - before_a) * wh_per_a[step]
        room[rows.row[span], step] -= rows.added(span, before_a, told_a)

"""Water-filling and the rule strategies: an answer in milliseconds, without a solver, that always exists.

Rules of this file:

1. Step by step in time: what a session gets lowers what it still needs in the steps after.
2. A session gets 0 or at least its minimum. Minimums are admitted one by one in the policy's order; what is left is
   then filled up, so no headroom stays that a waiting vehicle could use.
3. What must stay on and guaranteed powers come before all; then must, wanted and full, each by priority class.
4. It works on the rows of ``constraints`` and knows neither prices nor forecasts.
"""

from dataclasses import dataclass

import numpy as np

from loadmgr.allocation.arrays import BoolArray, FloatArray, IntArray
from loadmgr.allocation.constraints import NetworkRows
from loadmgr.allocation.options import Policy
from loadmgr.allocation.policy import IN_TURN, order_key, session_ties
from loadmgr.allocation.problem import AllocationProblem
from loadmgr.allocation.quantise import DONE_WH
from loadmgr.allocation.waterlevel import Level, admit, raise_in_turn, raise_together
from loadmgr.model.units import CURRENT_TOLERANCE_A


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Progress:
    """Where each session stands at the start of a step."""

    left_wh: FloatArray
    given_wh: FloatArray
    held: BoolArray
    tie: FloatArray


def fill(
    problem: AllocationProblem, rows: NetworkRows, *, policy: Policy = "equal_share", steps: int | None = None
) -> FloatArray:
    """Return currents [A per phase] by water-filling, ``(n_evse, n_step)``.

    Parameters
    ----------
    problem : AllocationProblem
    rows : NetworkRows
        The rows of this problem.
    policy : str
        Who goes first and who gets how much of what is left.
    steps : int, optional
        Fill only so many steps, the rest is 0; ``None`` for all.

    Notes
    -----
    ``equal_share``, ``proportional`` and ``round_robin`` raise all admitted sessions together (by the same current, or
    in proportion to the energy still needed) until a row or a maximum stops them: progressive filling, which gives the
    max-min fair currents. The others serve one session after the other.
    """
    evses = problem.evses
    out = np.zeros((problem.n_evses, problem.n_steps))
    if not problem.n_evses:
        return out
    count = problem.n_steps if steps is None else min(steps, problem.n_steps)
    tie = session_ties(problem)
    left_wh, given_wh = evses.need_wh[:, -1].copy(), evses.delivered_wh.copy()
    held = evses.has_previous & (evses.previous_a[:, 0] > 0.0)
    wh_per_a = problem.wh_per_a
    for step in range(count):
        progress = _Progress(left_wh=left_wh, given_wh=given_wh, held=held, tie=tie)
        out[:, step] = _fill_step(problem, rows, step, progress=progress, policy=policy)
        got_wh = out[:, step] * wh_per_a[:, step]
        left_wh = np.maximum(left_wh - got_wh, 0.0)
        given_wh = given_wh + got_wh
        held = out[:, step] > 0.0
    return out


def _fill_step(
    problem: AllocationProblem, rows: NetworkRows, step: int, *, progress: _Progress, policy: Policy
) -> FloatArray:
    evses = problem.evses
    offset_s = problem.grid.offsets_s[step]
    wh_per_a = evses.w_per_a * evses.efficiency_ratio * evses.presence_ratio[:, step] * problem.hours[step]
    asks_a = progress.left_wh / np.maximum(wh_per_a, 1e-9)
    # A session that needs less than its minimum would give is let finish at the minimum, not left hungry for ever.
    cap_a = np.minimum(evses.max_a[:, step], np.maximum(asks_a, evses.min_a))
    waits = (progress.left_wh > DONE_WH) & (wh_per_a > 0.0) & (evses.keep_off_s <= offset_s)
    waits &= (cap_a >= evses.min_a - CURRENT_TOLERANCE_A) & (cap_a > CURRENT_TOLERANCE_A)
    level = Level(
        room=np.where(rows.applies[:, step], rows.room[:, step], np.finfo(np.float64).max / 4),
        current_a=np.zeros(problem.n_evses),
        cap_a=np.where(waits, np.maximum(cap_a, evses.min_a), 0.0),
    )
    key = order_key(problem, policy, offset_s=offset_s, left_wh=progress.left_wh, given_wh=progress.given_wh)
    order = np.lexsort((progress.tie, ~progress.held, key))
    _hold(problem, rows, level, order, offset_s=offset_s, waits=waits, held=progress.held)
    weight = asks_a if policy == "proportional" else np.ones(problem.n_evses)
    for group in _groups(problem, progress, waits):
        mine = order[group[order]]
        if policy in IN_TURN:
            raise_in_turn(rows, level, mine, floor_a=evses.min_a)
        else:
            admit(rows, level, mine, floor_a=evses.min_a)
            raise_together(rows, level, group & (level.current_a > 0.0) | (group & (evses.min_a <= 0.0)), weight)
    return level.current_a


def _hold(
    problem: AllocationProblem,
    rows: NetworkRows,
    level: Level,
    order: IntArray,
    *,
    offset_s: int,
    waits: BoolArray,
    held: BoolArray,
) -> None:
    """Admit what must stay on at its minimum, then guaranteed powers."""
    evses = problem.evses
    stays_on = waits & ((evses.keep_on_s > offset_s) | (held & ~evses.pause_ok))
    if stays_on.any():
        admit(rows, level, order[stays_on[order]], floor_a=evses.min_a)
    guaranteed = waits & (evses.guaranteed_w > 0.0)
    if guaranteed.any():
        floor_a = np.maximum(evses.min_a, evses.guaranteed_w / evses.w_per_a)
        admit(rows, level, order[guaranteed[order]], floor_a=np.minimum(floor_a, level.cap_a))


def _groups(problem: AllocationProblem, progress: _Progress, waits: BoolArray) -> list[BoolArray]:
    """Return who waits, first those with a must left, then wanted, then full; higher classes first in each."""
    need_wh = problem.evses.need_wh
    got_wh = need_wh[:, -1] - progress.left_wh
    tier = np.where(need_wh[:, 0] - got_wh > DONE_WH, 0, np.where(need_wh[:, 1] - got_wh > DONE_WH, 1, 2))
    rank = tier * 1_000_000 - problem.evses.priority
    return [waits & (rank == value) for value in np.unique(rank[waits])]

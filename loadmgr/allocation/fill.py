"""Water-filling and the rule strategies: an answer in milliseconds, without a solver, that always exists.

Rules of this file:

1. Step by step in time: what a session gets lowers what it still needs in the steps after.
2. A session gets 0 or at least its minimum. Minimums are admitted one by one in the policy's order; what is left is
   then filled up, so no headroom stays that a waiting vehicle could use.
3. What must stay on and guaranteed powers come before all; then must, wanted and full, each by priority class.
4. It works on the rows of ``constraints`` and knows neither prices nor forecasts.
5. What is kept for the next vehicle is free on the rows that last: each group is raised up to there first.
6. As long as all that everybody may have fits, everybody has it: such stretches are laid out at one stroke, and only
   the steps in which a row is full are gone through one by one.
"""

from dataclasses import dataclass, replace

import numpy as np

from loadmgr.allocation.arrays import BoolArray, FloatArray, IntArray
from loadmgr.allocation.constraints import NetworkRows, RowEntries, may_fill_up
from loadmgr.allocation.options import Policy
from loadmgr.allocation.policy import IN_TURN, order_key, session_ties
from loadmgr.allocation.problem import AllocationProblem
from loadmgr.allocation.quantise import DONE_WH, GRAIN_A
from loadmgr.allocation.waterlevel import TIGHT, Level, admit, admit_all, raise_in_turn, raise_together
from loadmgr.model.units import CURRENT_TOLERANCE_A

_FIRST_STRETCH = 4
"""Steps laid out at one stroke after a step in which all fitted; doubled as long as all go on to fit."""


@dataclass(slots=True, eq=False)
class _Progress:
    """Where each session stands at the start of a step."""

    left_wh: FloatArray
    given_wh: FloatArray
    held: BoolArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Site:
    """What does not change while a problem is filled. Arrays of steps are ``[step, evse]`` and ``[step, row]`` here.

    Parameters
    ----------
    room : (n_step, n_row)
    full_a : (n_step, n_evse)
        Most that a session may have where it may charge, at least its minimum; else 0.
    wh_per_a : (n_step, n_evse)
    entries : RowEntries
        Of the rows that may fill up in any of these steps.
    offsets_s : tuple of int
    stages : tuple of (NetworkRows, (n_evse,))
        The rows by which currents rise, and up to where: first what is free on rows that last, then everything.
    ones, tie : (n_evse,)
    one_group, holds, guarantees : bool
        All sessions are of one class and have energy in one tier alone; some may have to stay on; some have a
        guaranteed power.
    """

    problem: AllocationProblem
    rows: NetworkRows
    policy: Policy
    room: FloatArray
    full_a: FloatArray
    wh_per_a: FloatArray
    entries: RowEntries
    offsets_s: tuple[int, ...]
    stages: tuple[tuple[NetworkRows, FloatArray], ...]
    ones: FloatArray
    tie: FloatArray
    one_group: bool
    holds: bool
    guarantees: bool

    @classmethod
    def of(cls, problem: AllocationProblem, rows: NetworkRows, *, policy: Policy, count: int) -> "_Site":
        """Return the site of the first steps of a problem."""
        evses, offsets_s = problem.evses, problem.grid.offsets_s
        max_a = evses.max_a[:, :count].T.copy()
        wh_per_a = problem.wh_per_a[:, :count].T.copy()
        may = (max_a > CURRENT_TOLERANCE_A) & (max_a >= evses.min_a - GRAIN_A) & (wh_per_a > 0.0)
        if evses.keep_off_s.any():
            may &= evses.keep_off_s <= np.array(offsets_s[:count])[:, None]
        full_a = np.where(may, np.maximum(max_a, evses.min_a), 0.0)
        tiers = (evses.tier_wh > 0.0).any(axis=0)
        return cls(
            problem=problem,
            rows=rows,
            policy=policy,
            room=rows.free_room[:, :count].T.copy(),
            full_a=full_a,
            wh_per_a=wh_per_a,
            entries=RowEntries.of(rows, wanted=may_fill_up(rows, full_a.T)),
            offsets_s=offsets_s,
            stages=_stages(problem, rows),
            ones=np.ones(problem.n_evses),
            tie=session_ties(problem),
            one_group=bool((evses.priority == evses.priority[0]).all() and tiers.sum() <= 1),
            holds=bool(evses.keep_on_s.any() or not evses.pause_ok.all()),
            guarantees=bool(evses.guaranteed_w.any()),
        )


def _stages(problem: AllocationProblem, rows: NetworkRows) -> tuple[tuple[NetworkRows, FloatArray], ...]:
    whole = (rows, np.full(problem.n_evses, np.inf))
    if rows.free_a is None:
        return (whole,)
    kept_a = problem.evses.kept_a
    free = replace(rows, coefficient=np.where(rows.free_a > 0.0, 0.0, rows.coefficient))
    return ((free, np.where(kept_a >= problem.evses.min_a, kept_a, 0.0)), whole)


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
    out = np.zeros((problem.n_steps, problem.n_evses))
    if not problem.n_evses:
        return out.T
    count = problem.n_steps if steps is None else min(steps, problem.n_steps)
    site = _Site.of(problem, rows, policy=policy, count=count)
    held = evses.has_previous & (evses.previous_a[:, 0] > 0.0)
    progress = _Progress(left_wh=evses.need_wh[:, -1].copy(), given_wh=evses.delivered_wh.copy(), held=held)
    step, stretch = 0, count
    while step < count:
        if stretch:
            now_a = _all_they_may(site, progress, slice(step, min(step + stretch, count)))
            stretch = 2 * stretch if len(now_a) == stretch else 0
        else:
            one_a, all_fit = _fill_step(site, step, progress=progress)
            now_a, stretch = one_a[None], _FIRST_STRETCH if all_fit else 0
        out[step : step + len(now_a)] = now_a
        _advance(site, progress, now_a, step)
        step += len(now_a)
    return np.ascontiguousarray(out.T)


def _advance(site: _Site, progress: _Progress, current_a: FloatArray, step: int) -> None:
    """Count what sessions got from a step on."""
    if len(current_a):
        got_wh = (current_a * site.wh_per_a[step : step + len(current_a)]).sum(axis=0)
        progress.left_wh = np.maximum(progress.left_wh - got_wh, 0.0)
        progress.given_wh = progress.given_wh + got_wh
        progress.held = current_a[-1] > 0.0


def _all_they_may(site: _Site, progress: _Progress, span: slice) -> FloatArray:
    """Return the currents of the first of some steps, up to the first one in which not all of them fit."""
    full_a, wh_per_a = site.full_a[span], site.wh_per_a[span]
    full_wh = full_a * wh_per_a
    left_wh = progress.left_wh - np.cumsum(full_wh, axis=0)
    left_wh += full_wh
    # A session that needs less than its minimum would give is let finish at the minimum, not left hungry for ever.
    current_a = np.maximum(left_wh / np.maximum(wh_per_a, 1e-9), site.problem.evses.min_a)
    np.minimum(current_a, full_a, out=current_a)
    current_a[left_wh <= DONE_WH] = 0.0
    broken = site.entries.sums(current_a.T) > site.room[span, site.entries.rows].T + TIGHT
    first = np.flatnonzero(broken.any(axis=0))
    return current_a[: first[0]] if first.size else current_a


def _fill_step(site: _Site, step: int, *, progress: _Progress) -> tuple[FloatArray, bool]:
    """Return the currents of a step, and whether all fitted that anybody could have."""
    problem, min_a = site.problem, site.problem.evses.min_a
    asks_a = progress.left_wh / np.maximum(site.wh_per_a[step], 1e-9)
    cap_a = np.minimum(site.full_a[step], np.maximum(asks_a, min_a))
    cap_a[progress.left_wh <= DONE_WH] = 0.0
    waits = cap_a > 0.0
    if (site.rows.loads(cap_a) <= site.room[step] + TIGHT).all():
        return cap_a, True
    level = Level(room=site.room[step], current_a=np.zeros(len(cap_a)), cap_a=cap_a)
    for rows, most_a in site.stages if site.holds or site.guarantees else ():
        level.cap_a = np.minimum(cap_a, most_a)
        _hold(site, rows, step, level, waits=waits, progress=progress)
    weight = asks_a if site.policy == "proportional" else site.ones
    for group in [waits] if site.one_group else _groups(problem, progress, waits):
        for rows, most_a in site.stages:
            level.cap_a = np.minimum(cap_a, most_a)
            if site.policy in IN_TURN:
                raise_in_turn(rows, level, _order(site, step, progress, group), floor_a=min_a)
                continue
            if not admit_all(rows, level, group, floor_a=min_a):
                admit(rows, level, _order(site, step, progress, group), floor_a=min_a)
            raise_together(rows, level, group & ((level.current_a > 0.0) | (min_a <= 0.0)), weight)
    return level.current_a, False


def _order(site: _Site, step: int, progress: _Progress, members: BoolArray) -> IntArray:
    """Return members in the order of the policy; of equals those go on who are on."""
    left_wh, given_wh = progress.left_wh, progress.given_wh
    key = order_key(site.problem, site.policy, offset_s=site.offsets_s[step], left_wh=left_wh, given_wh=given_wh)
    order = np.lexsort((site.tie, ~progress.held, key))
    return np.asarray(order[members[order]])


def _hold(site: _Site, rows: NetworkRows, step: int, level: Level, *, waits: BoolArray, progress: _Progress) -> None:
    """Admit what must stay on at its minimum, then guaranteed powers."""
    evses = site.problem.evses
    stays_on = waits & ((evses.keep_on_s > site.offsets_s[step]) | (progress.held & ~evses.pause_ok))
    if stays_on.any():
        admit(rows, level, _order(site, step, progress, stays_on), floor_a=evses.min_a)
    guaranteed = waits & (evses.guaranteed_w > 0.0)
    if guaranteed.any():
        floor_a = np.maximum(evses.min_a, evses.guaranteed_w / evses.w_per_a)
        admit(rows, level, _order(site, step, progress, guaranteed), floor_a=np.minimum(floor_a, level.cap_a))


def _groups(problem: AllocationProblem, progress: _Progress, waits: BoolArray) -> list[BoolArray]:
    """Return who waits, first those with a must left, then wanted, then full; higher classes first in each."""
    need_wh = problem.evses.need_wh
    got_wh = need_wh[:, -1] - progress.left_wh
    tier = np.where(need_wh[:, 0] - got_wh > DONE_WH, 0, np.where(need_wh[:, 1] - got_wh > DONE_WH, 1, 2))
    rank = tier * 1_000_000 - problem.evses.priority
    return [waits & (rank == value) for value in np.unique(rank[waits])]

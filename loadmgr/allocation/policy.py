"""Policies by name: who goes first, and how much what a session already has counts against it.

``equal_share``       the same mean current for all over their stays
``proportional``      the same part of the need for all
``max_min_energy``    the least energy first
``least_missing``     the least energy still wanted first: as many as possible leave with what they asked for
``least_laxity``      the least time to spare first
``earliest_deadline`` the earliest departure first
``first_come``        the earliest arrival first
``round_robin``       each in turn; the turn passes on by the clock
"""

import numpy as np

from loadmgr.allocation.arrays import FloatArray
from loadmgr.allocation.options import Policy
from loadmgr.allocation.problem import AllocationProblem
from loadmgr.allocation.ties import tie_ratio

ROTATION_S = 900.0
"""Where minimums do not all fit, the turn passes on after so much energy at the minimum: a wait hardly noticed."""

IN_TURN: frozenset[Policy] = frozenset(
    {"least_laxity", "earliest_deadline", "first_come", "max_min_energy", "least_missing"}
)
"""Policies that serve one session after the other; the rest raises all together."""


def session_ties(problem: AllocationProblem) -> FloatArray:
    """Return a number in [0, 1) for each session, which does not change during its stay."""
    return tie_ratio(problem.evses.seeds, np.zeros(1, dtype=np.int64))[:, 0]


def order_key(
    problem: AllocationProblem, policy: Policy, *, offset_s: int, left_wh: FloatArray, given_wh: FloatArray
) -> FloatArray:
    """Return a number for each session: the smallest goes first at this time."""
    evses = problem.evses
    if policy == "first_come":
        return evses.arrival_s
    if policy == "earliest_deadline":
        return evses.departure_s
    if policy == "least_missing":
        # Who needs least stands in the way of fewest others, as the longest job is the one to drop on a busy machine
        # if the fewest are to be late (Moore 1968, doi:10.1287/mnsc.15.1.102).
        beyond_wh = evses.need_wh[:, -1] - evses.need_wh[:, 1]
        return np.asarray(np.maximum(left_wh - beyond_wh, 0.0))
    if policy == "least_laxity":
        full_w = np.maximum(evses.max_a.max(axis=1) * evses.w_per_a * evses.efficiency_ratio, 1e-9)
        return np.asarray(evses.departure_s - offset_s - left_wh / full_w * 3600.0)
    if policy == "round_robin":
        slot = (int(problem.grid.start.timestamp()) + offset_s) // int(ROTATION_S)
        place = np.argsort(np.argsort(session_ties(problem), kind="stable"), kind="stable")
        return np.asarray((place - slot) % problem.n_evses, dtype=np.float64)
    # Turns, not energy: else two vehicles would take the place from each other in every step.
    block_wh = np.maximum(evses.w_per_a * np.maximum(evses.min_a, 1.0), 1e-9) * ROTATION_S / 3600.0
    return np.asarray(np.floor(given_wh / block_wh))


def service_level(problem: AllocationProblem, policy: Policy, got_wh: FloatArray) -> FloatArray:
    """Return how well served a session is in [0, 1] once it has got so much in this plan.

    Parameters
    ----------
    problem : AllocationProblem
    policy : str
    got_wh : (n_evse, k)
        Energies of the plan [Wh].

    Notes
    -----
    The program makes a kWh undelivered dearer where the level is lower; that is all it needs to be fair.
    """
    evses = problem.evses
    if policy in ("proportional", "round_robin"):
        return np.asarray(got_wh / np.maximum(evses.need_wh[:, -1:], 1e-9))
    if policy == "max_min_energy":
        level = evses.delivered_wh[:, None] + got_wh
    elif policy == "equal_share":
        stay_h = np.maximum((evses.departure_s - np.minimum(evses.arrival_s, 0.0)) / 3600.0, 1e-3)
        level = (evses.delivered_wh[:, None] + got_wh) / (evses.w_per_a * evses.efficiency_ratio * stay_h)[:, None]
    else:
        key = order_key(problem, policy, offset_s=0, left_wh=evses.need_wh[:, -1], given_wh=evses.delivered_wh)
        place = np.searchsorted(np.unique(key), key)
        return np.asarray(np.broadcast_to((place / max(problem.n_evses, 1))[:, None], got_wh.shape))
    return np.asarray(level / max(float(level.max(initial=0.0)), 1e-9))

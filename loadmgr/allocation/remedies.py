"""What would help a session that goes short: a longer stay, a higher limit or a higher class, found by solving again.

Rules of this file:

1. A remedy is tried, not guessed: the program is solved with it, and it counts only if the session is then served.
2. What the program cannot do alone (rounding to station steps) is not the driver's trouble and is not told.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from loadmgr.allocation.arrays import FloatArray, IntArray
from loadmgr.allocation.constraints import network_rows
from loadmgr.allocation.objective import SEGMENTS, weights
from loadmgr.allocation.options import AllocationOptions
from loadmgr.allocation.problem import AllocationProblem, presence_ratio
from loadmgr.allocation.program import build_program
from loadmgr.allocation.solve import HighsSession
from loadmgr.allocation.wording import listed

RemedyKind = Literal["stay", "limit", "priority"]

LONGER_S = (900, 1800, 3600, 7200, 14_400, 28_800)
"""How much longer a vehicle might stay [s]."""

HIGHER_A = (1.0, 2.0, 4.0, 8.0, 16.0)
"""By how much a limit might be raised [A per phase]; limits of power by as much on three phases."""

SERVED_RATIO, SERVED_WH = 0.02, 300.0
"""A session short of less than this is served: rounding to station steps takes as much."""

_W_PER_A = 690.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """Something that would serve a session.

    Parameters
    ----------
    kind : {"stay", "limit", "priority"}
    text : str
    more : float
        How much of it: s longer, A more, or classes higher.
    circuit : str, optional
        Whose limit.
    pays : tuple of str
        EVSEs that would go short instead.
    """

    kind: RemedyKind
    text: str
    more: float
    circuit: str | None = None
    pays: tuple[str, ...] = ()


def what_would_help(
    problem: AllocationProblem, evse_id: str, *, options: AllocationOptions | None = None
) -> tuple[Remedy, ...]:
    """Return what would give a session the energy that it wants; nothing if it gets that, or if nothing would.

    Raises
    ------
    ValueError
        If no such EVSE is part of the problem.
    SolverError
        If the program has no optimum.
    """
    if evse_id not in problem.evses.ids:
        raise ValueError(f"evse_id must be one of {', '.join(problem.evses.ids)}, got {evse_id!r}")
    evse = problem.evses.ids.index(evse_id)
    before_wh = _short_wh(problem, options)
    if _is_served(problem, before_wh, evse):
        return ()
    found = (
        _stay(problem, evse, options=options),
        _limit(problem, evse, options=options),
        _priority(problem, evse, before_wh=before_wh, options=options),
    )
    return tuple(remedy for remedy in found if remedy is not None)


def _short_wh(problem: AllocationProblem, options: AllocationOptions | None) -> FloatArray:
    """Return what the program leaves undelivered of each session's must and wanted [Wh]."""
    program = build_program(problem, network_rows(problem), weights(problem), options=options)
    values = HighsSession(iteration_limit=1_000_000).solve(program).values[program.spans["shortfall"]]
    asked = program.shortfall_place < 2 * SEGMENTS
    by_evse: IntArray = program.shortfall_evse[asked]
    return np.bincount(by_evse, weights=values[asked] * 1000.0, minlength=problem.n_evses).astype(np.float64)


def _is_served(problem: AllocationProblem, short_wh: FloatArray, evse: int) -> bool:
    return bool(short_wh[evse] <= max(SERVED_RATIO * problem.evses.need_wh[evse, 1], SERVED_WH))


def _stay(problem: AllocationProblem, evse: int, *, options: AllocationOptions | None) -> Remedy | None:
    for longer_s in LONGER_S:
        longer = _staying(problem, evse, longer_s)
        if longer is not None and _is_served(longer, _short_wh(longer, options), evse):
            hours, minutes = divmod(longer_s // 60, 60)
            span = f"{hours} h {minutes} min" if hours and minutes else f"{hours} h" if hours else f"{minutes} min"
            return Remedy(kind="stay", text=f"staying {span} longer would do", more=float(longer_s))
    return None


def _staying(problem: AllocationProblem, evse: int, longer_s: int) -> AllocationProblem | None:
    """Return the problem with a later departure; ``None`` if that lies beyond the grid."""
    evses = problem.evses
    leaves_s = float(evses.departure_s[evse]) + longer_s
    edges_s = np.array(problem.grid.offsets_s, dtype=np.float64)
    if leaves_s > edges_s[-1]:
        return None
    departure_s, presence, max_a = evses.departure_s.copy(), evses.presence_ratio.copy(), evses.max_a.copy()
    departure_s[evse] = leaves_s
    presence[evse] = presence_ratio(edges_s, np.array([[evses.arrival_s[evse], leaves_s]]))[0]
    was_there = np.flatnonzero(evses.presence_ratio[evse] > 0.0)
    if not len(was_there):
        return None
    more = (presence[evse] > 0.0) & (evses.presence_ratio[evse] <= 0.0)
    max_a[evse, more] = max_a[evse, was_there[-1]]
    changed = replace(evses, departure_s=departure_s, presence_ratio=presence, max_a=max_a)
    return replace(problem, evses=changed)


def _limit(problem: AllocationProblem, evse: int, *, options: AllocationOptions | None) -> Remedy | None:
    """Try the circuits from the EVSE up: the smallest rise of one of them that serves the session."""
    best: Remedy | None = None
    for circuit in problem.circuits.ancestry()[int(problem.evses.circuit[evse])]:
        for more_a in HIGHER_A:
            if best is not None and more_a >= best.more:
                break
            raised = _raised(problem, circuit, more_a)
            if raised is not None and _is_served(raised, _short_wh(raised, options), evse):
                label = problem.circuits.ids[circuit]
                text = f"{more_a:g} A more on {label} would do"
                best = Remedy(kind="limit", text=text, more=more_a, circuit=label)
                break
    return best


def _raised(problem: AllocationProblem, circuit: int, more_a: float) -> AllocationProblem | None:
    circuits = problem.circuits
    if not (circuits.limit_a_applies[circuit].any() or circuits.limit_w_applies[circuit].any()):
        return None
    limit_a, limit_w = circuits.limit_a.copy(), circuits.limit_w.copy()
    limit_a[circuit] += more_a
    limit_w[circuit] += more_a * _W_PER_A
    return replace(problem, circuits=replace(circuits, limit_a=limit_a, limit_w=limit_w))


def _priority(
    problem: AllocationProblem, evse: int, *, before_wh: FloatArray, options: AllocationOptions | None
) -> Remedy | None:
    """Try the highest class of all, and tell who would pay for it."""
    evses = problem.evses
    highest = int(evses.priority.max()) + 1
    priority = evses.priority.copy()
    priority[evse] = highest
    first = replace(problem, evses=replace(evses, priority=priority))
    after_wh = _short_wh(first, options)
    if not _is_served(first, after_wh, evse):
        return None
    loses = np.flatnonzero(after_wh - before_wh > SERVED_WH)
    pays = tuple(evses.ids[i] for i in loses[np.argsort(-(after_wh - before_wh)[loses], kind="stable")])
    price = f"; {listed(pays)} would go short instead" if pays else ""
    text = f"a higher priority would do{price}"
    return Remedy(kind="priority", text=text, more=float(highest - int(evses.priority[evse])), pays=pays)

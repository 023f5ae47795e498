"""The order of listing must not matter: every problem is solved in the order of its labels, and answered in its own.

Rules of this file:

1. A simplex pivots, and a sum of floats rounds, in the order of its columns; between plans that are equally good to the
   last digit that order would decide. So the solver always sees one order, whatever the caller's is.
2. A problem that stands in that order already is not copied.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np

from loadmgr.allocation.arrays import IntArray
from loadmgr.allocation.problem import AllocationProblem, CircuitArrays, EvseArrays
from loadmgr.allocation.result import Allocation

_Record = TypeVar("_Record", CircuitArrays, EvseArrays)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Listing:
    """Where a caller lists what stands first, second, ... in the order of labels.

    Parameters
    ----------
    evses, circuits, batteries : (n,) int
    """

    evses: IntArray
    circuits: IntArray
    batteries: IntArray


def listing(problem: AllocationProblem) -> Listing | None:
    """Return how a problem is listed; ``None`` if in the order of its labels."""
    labels = (problem.evses.ids, problem.circuits.ids, tuple(battery.id for battery in problem.batteries))
    orders = [sorted(range(len(ids)), key=ids.__getitem__) for ids in labels]
    if all(order == list(range(len(order))) for order in orders):
        return None
    evses, circuits, batteries = (np.array(order, dtype=np.int64) for order in orders)
    return Listing(evses=evses, circuits=circuits, batteries=batteries)


def by_label(problem: AllocationProblem, listed: Listing) -> AllocationProblem:
    """Return the problem in the order of its labels."""
    place = np.empty_like(listed.circuits)
    place[listed.circuits] = np.arange(len(place))
    evses = _taken(problem.evses, listed.evses)
    object.__setattr__(evses, "circuit", place[evses.circuit])
    circuits = _taken(problem.circuits, listed.circuits)
    parents = tuple(None if parent is None else int(place[parent]) for parent in circuits.parents)
    object.__setattr__(circuits, "parents", parents)
    batteries = [problem.batteries[k] for k in listed.batteries]
    batteries = [replace(battery, circuit=int(place[battery.circuit])) for battery in batteries]
    return replace(problem, circuits=circuits, evses=evses, batteries=tuple(batteries))


def answer_by_label(allocation: Allocation, listed: Listing) -> Allocation:
    """Return an answer to the problem as it is listed in the order of labels."""
    return _answer(allocation, evses=listed.evses, batteries=listed.batteries)


def answer_as_listed(allocation: Allocation, listed: Listing) -> Allocation:
    """Return an answer in the order of labels as the problem is listed."""
    return _answer(allocation, evses=np.argsort(listed.evses), batteries=np.argsort(listed.batteries))


def _answer(allocation: Allocation, *, evses: IntArray, batteries: IntArray) -> Allocation:
    return replace(
        allocation,
        evse_ids=tuple(allocation.evse_ids[k] for k in evses),
        current_a=allocation.current_a[evses],
        planned_a=allocation.planned_a[evses],
        energy_wh=allocation.energy_wh[evses],
        shortfall_wh=allocation.shortfall_wh[evses],
        battery_w=allocation.battery_w[batteries],
    )


def _taken(record: _Record, order: IntArray) -> _Record:
    """Return a record with its rows in another order.

    Not with ``replace``, which would check every number and hash every label again: a third of a warm re-plan.
    """
    out = object.__new__(type(record))
    for item in fields(record):
        value: np.ndarray | Sequence[object] = getattr(record, item.name)
        taken = value[order] if isinstance(value, np.ndarray) else tuple(value[k] for k in order)
        object.__setattr__(out, item.name, taken)
    return out

"""Columns of a program: blocks of them, and the slots that say which rows each column enters.

A slot is a pair ``(row numbers, values)`` of shape ``(n_column, k)``; ``NO_ROW`` stands for an entry that is not there.
Slots are laid side by side and read row by row, which is the solver's column order: no sort is ever needed.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loadmgr.allocation.arrays import BoolArray, FloatArray, IntArray
from loadmgr.allocation.constraints import NetworkRows
from loadmgr.allocation.problem import AllocationProblem
from loadmgr.allocation.windows import Windows

NO_ROW = -1
"""Inside the program only: an entry that is not there."""

INFINITE = np.inf
"""Inside the program only: the solver's word for no bound."""

Slot = tuple[IntArray, FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """Columns of one kind, next to each other."""

    name: str
    cost: FloatArray
    lower: FloatArray
    upper: FloatArray
    lengths: IntArray
    index: IntArray
    value: FloatArray


def block(
    name: str, *, cost: FloatArray, upper: FloatArray, slots: list[Slot], lower: FloatArray | None = None
) -> Block:
    """Return the block of columns with these slots; without ``lower`` they start at 0."""
    row = np.concatenate([r for r, _ in slots], axis=1)
    value = np.concatenate([v for _, v in slots], axis=1)
    there = row != NO_ROW
    kept = np.flatnonzero(there)
    return Block(
        name=name,
        cost=cost,
        lower=np.zeros(len(cost)) if lower is None else lower,
        upper=upper,
        lengths=there.view(np.int8).sum(axis=1, dtype=np.int32),
        index=row.ravel()[kept],
        value=value.ravel()[kept],
    )


def slot(row: IntArray, value: FloatArray | float) -> Slot:
    """Return a slot of one entry a column."""
    return row[:, None], np.broadcast_to(np.asarray(value, dtype=np.float64), row.shape)[:, None]


@dataclass(slots=True)
class RowPlan:
    """Hands out row numbers, one family after the other."""

    count: int = 0

    def take(self, wanted: BoolArray) -> IntArray:
        """Return a number for each True, ``NO_ROW`` elsewhere."""
        # Four bytes each, as the solver takes them: at a thousand EVSEs these arrays are the largest there are.
        numbers = np.full(wanted.shape, NO_ROW, dtype=np.int32)
        count = int(np.count_nonzero(wanted))
        numbers[wanted] = np.arange(self.count, self.count + count, dtype=np.int32)
        self.count += count
        return numbers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowPlaces:
    """Where the rows of each family are; ``NO_ROW`` where there is none.

    Parameters
    ----------
    energy, due : (n_evse,)
        Energy of the stay, and of the part of it that is due before its end.
    network, back : (n_row, n_step)
        Limits on loads, and on what is fed back.
    peaks : tuple of (n_window,)
    balance : (n_step,)
    state, taper, guarantee, beyond : (n_evse, n_step)
    store : (n_battery, n_step)
    """

    energy: IntArray
    due: IntArray
    network: IntArray
    back: IntArray
    peaks: tuple[IntArray, ...]
    balance: IntArray
    state: IntArray
    taper: IntArray
    guarantee: IntArray
    beyond: IntArray
    store: IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flow:
    """Columns of current or power: whose (EVSE or battery), when, and what one unit is in kW at the grid."""

    unit: IntArray
    step: IntArray
    kw: FloatArray
    kwh: FloatArray = field(repr=False)


def evse_flow(problem: AllocationProblem, wanted: NDArray[np.bool_]) -> Flow:
    """Return the flow columns of EVSEs where wanted, ``(n_evse, n_step)``."""
    evse, step = np.nonzero(wanted)
    kw = problem.evses.w_per_a[evse] * problem.evses.presence_ratio[evse, step] / 1000.0
    return Flow(unit=evse, step=step, kw=kw, kwh=kw * problem.hours[step])


def battery_flow(problem: AllocationProblem) -> Flow:
    """Return the flow columns of stationary batteries, in kW."""
    count, steps = len(problem.batteries), problem.n_steps
    unit, step = np.repeat(np.arange(count), steps), np.tile(np.arange(steps), count)
    return Flow(unit=unit, step=step, kw=np.ones(len(unit)), kwh=problem.hours[step])


def due_slot(problem: AllocationProblem, places: RowPlaces, flow: Flow, kwh: FloatArray) -> Slot:
    """Return the slots of flows of EVSEs in the energy that is due before the end of a stay."""
    share = problem.due_ratio[flow.unit, flow.step]
    return slot(np.where(share > 0.0, places.due[flow.unit], NO_ROW), share * kwh)


def network_slot(rows: NetworkRows, flow: Flow, network_row: IntArray, *, entries: BoolArray | None = None) -> Slot:
    """Return the slots of flows of EVSEs in the rows of the network, by some of their entries or by all."""
    # Rows that bind in no step would only make the slots wide.
    there = (network_row != NO_ROW).any(axis=1)[rows.row]
    kept = np.flatnonzero(there if entries is None else there & entries)
    evse, row, coefficient = rows.evse[kept], rows.row[kept], rows.coefficient[kept]
    count = np.bincount(evse, minlength=len(rows.starts) - 1)
    width = int(count.max(initial=0))
    if not width:
        return np.zeros((len(flow.unit), 0), dtype=np.int32), np.zeros((len(flow.unit), 0))
    there = np.arange(width) < count[:, None]
    entry = np.where(there, (np.cumsum(count) - count)[:, None] + np.arange(width), 0)
    # One row of nothing below the rest: what is not there points at it, and one gather does.
    with_none = np.concatenate([network_row, np.full((1, network_row.shape[1]), NO_ROW, dtype=network_row.dtype)])
    first = np.where(there, row[entry], rows.n_rows) * network_row.shape[1]
    numbers = with_none.ravel()[first[flow.unit] + flow.step[:, None]]
    return numbers, coefficient[entry][flow.unit]


def battery_slot(rows: NetworkRows, flow: Flow, network_row: IntArray) -> Slot:
    """Return the slots of flows of batteries in the rows of the network."""
    value = rows.battery_per_kw.T[flow.unit]
    numbers = np.where(value != 0.0, network_row.T[flow.step], NO_ROW)
    return numbers, value


def site_slots(places: RowPlaces, windows: tuple[Windows, ...], flow: Flow, *, sign: float) -> list[Slot]:
    """Return the slots of flows in the balance and in the windows of demand charges."""
    slots = [slot(places.balance[flow.step], sign * flow.kw)] if (places.balance != NO_ROW).any() else []
    for window, peak_row in zip(windows, places.peaks, strict=True):
        of_step, share = window.of_step[flow.step], window.share_of_step[flow.step]
        slots.append((np.where(share > 0.0, peak_row[of_step], NO_ROW), sign * share * flow.kw[:, None]))
    return slots

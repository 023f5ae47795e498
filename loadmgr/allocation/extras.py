"""Columns that only some sites have: feeding back, states of charge, tapers, guarantees, export, batteries.

One function per feature; each returns no columns where the site does not have it.
"""

import numpy as np

from loadmgr.allocation.arrays import FloatArray
from loadmgr.allocation.columns import (
    INFINITE,
    NO_ROW,
    Block,
    Flow,
    RowPlaces,
    battery_slot,
    block,
    due_slot,
    network_slot,
    site_slots,
    slot,
)
from loadmgr.allocation.constraints import NetworkRows
from loadmgr.allocation.money import StationaryBattery
from loadmgr.allocation.objective import EARLY_RATIO, Weights
from loadmgr.allocation.problem import AllocationProblem
from loadmgr.allocation.windows import Windows

CYCLE_RATIO = 1e-3
"""What moving a kWh through a battery costs, in parts of the price scale: enough that none is moved for nothing."""


def discharge_blocks(
    problem: AllocationProblem,
    rows: NetworkRows,
    places: RowPlaces,
    charged: tuple[Windows, ...],
    *,
    weight: Weights,
    prefer: FloatArray,
    flow: Flow,
) -> list[Block]:
    """Return the columns of vehicles that feed back, in A.

    Notes
    -----
    They lower the import, never the load of a limit: a vehicle may stop feeding back at any moment. What leaves the
    battery is ``energy / discharge efficiency``.
    """
    if not len(flow.unit):
        return []
    evses = problem.evses
    out_kwh = flow.kwh / evses.discharge_efficiency_ratio[flow.unit]
    price = evses.discharge_price_per_kwh[flow.unit] - weight.price_per_kwh[flow.step]
    at = (flow.unit, flow.step)
    slots = [slot(places.energy[flow.unit], -out_kwh), slot(places.state[at], out_kwh)]
    if (places.due != NO_ROW).any():
        slots.append(due_slot(problem, places, flow, -out_kwh))
    slots.append(network_slot(rows, flow, places.back))
    slots += site_slots(places, charged, flow, sign=-1.0)
    cost = (price + CYCLE_RATIO * weight.scale + prefer[at]) * flow.kwh
    return [block("discharge", cost=cost, upper=evses.discharge_max_a[at], slots=slots)]


def session_blocks(problem: AllocationProblem, places: RowPlaces, *, weight: Weights) -> list[Block]:
    """Return the columns of energy that is late, of states of charge (with tapers) and of guarantees missed.

    Notes
    -----
    ``state[t] = state[t - 1] + charged - discharged`` from 0, not below minus the room and not above what is needed in
    all: no vehicle takes more, even to feed it back later. Taper: ``current[t] + k * state[t - 1] <= k * full`` with
    ``k = max / taper energy``. Guarantee: ``power + missed >= guaranteed``.
    """
    evses = problem.evses
    blocks = []
    late = np.flatnonzero(places.due != NO_ROW)
    if len(late):
        cost, upper = weight.shortfall_per_kwh[late, 0], np.full(len(late), INFINITE)
        blocks.append(block("late", cost=cost, upper=upper, slots=[slot(places.due[late], 1.0)]))
    evse, step = np.nonzero(places.state != NO_ROW)
    if len(evse):
        last = step == problem.n_steps - 1
        after = np.minimum(step + 1, problem.n_steps - 1)
        next_state = np.where(last, NO_ROW, places.state[evse, after])
        next_taper = np.where(last, NO_ROW, places.taper[evse, after])
        slope = evses.max_a[evse, after] * 1000.0 / np.maximum(evses.taper_wh[evse], 1e-9)
        slots = [slot(places.state[evse, step], 1.0), slot(next_state, -1.0), slot(next_taper, slope)]
        lower = -evses.discharge_room_wh[evse] / 1000.0
        upper = evses.need_wh[evse, -1] / 1000.0
        blocks.append(block("state", cost=np.zeros(len(evse)), lower=lower, upper=upper, slots=slots))
    evse, step = np.nonzero(places.guarantee != NO_ROW)
    if len(evse):
        cost = weight.shortfall_per_kwh.max(axis=1)[evse] * problem.hours[step]
        upper = np.full(len(evse), INFINITE)
        blocks.append(block("missed", cost=cost, upper=upper, slots=[slot(places.guarantee[evse, step], 1.0)]))
    return blocks


def export_blocks(problem: AllocationProblem, places: RowPlaces, *, weight: Weights) -> list[Block]:
    """Return the columns of export, of generation turned down, and of export beyond the limit.

    Notes
    -----
    ``base + charging + turned down - feeding back + export + beyond >= 0``; export beyond the limit is dearer than any
    energy, never forbidden: nothing here could hold a site's own generation back if it cannot be turned down.
    """
    step = np.flatnonzero(places.balance != NO_ROW)
    if not len(step):
        return []
    money, hours = problem.money, problem.hours[step]
    row = places.balance[step]
    gap = (weight.price_per_kwh - weight.export_price_per_kwh)[step] * hours
    free = np.full(len(step), INFINITE)
    limit_kw = free if money.export_limit_w is None else money.export_limit_w[step] / 1000.0
    blocks = [block("export", cost=gap, upper=limit_kw, slots=[slot(row, 1.0)])]
    if money.export_limit_w is not None:
        dearest = float(weight.shortfall_per_kwh.max(initial=weight.scale))
        blocks.append(block("beyond", cost=gap + dearest * hours, upper=free, slots=[slot(row, 1.0)]))
    if money.curtailable_w[step].any():
        price = weight.price_per_kwh[step] * hours
        down_kw = money.curtailable_w[step] / 1000.0
        blocks.append(block("turned_down", cost=price, upper=down_kw, slots=[slot(row, 1.0)]))
    return blocks


def battery_blocks(
    problem: AllocationProblem,
    rows: NetworkRows,
    places: RowPlaces,
    charged: tuple[Windows, ...],
    *,
    weight: Weights,
    flow: Flow,
) -> list[Block]:
    """Return the columns of stationary batteries: charge, discharge [kW] and state [kWh].

    Notes
    -----
    ``state[t] = state[t - 1] + efficiency * charge - discharge / efficiency``. What is left at the end has a value, so
    that the plan does not empty the battery because its horizon ends.
    """
    if not problem.batteries:
        return []
    items, unit, step = problem.batteries, flow.unit, flow.step
    row = places.store[unit, step]
    into = np.array([b.charge_efficiency_ratio for b in items])[unit] * flow.kwh
    out = flow.kwh / np.array([b.discharge_efficiency_ratio for b in items])[unit]
    wear = CYCLE_RATIO * weight.scale * flow.kwh
    price = weight.price_per_kwh[step] * flow.kwh
    later = EARLY_RATIO * weight.scale * np.array(problem.grid.offsets_s)[step] / 86_400.0 * flow.kwh
    most_in = np.array([b.max_charge_w for b in items])[unit] / 1000.0
    most_out = np.array([b.max_discharge_w for b in items])[unit] / 1000.0
    # At a negative price both ways at once would pay; then it only charges.
    most_out = np.where(weight.price_per_kwh[step] >= 0.0, most_out, 0.0)
    last = step == problem.n_steps - 1
    next_row = np.where(last, NO_ROW, places.store[unit, np.minimum(step + 1, problem.n_steps - 1)])
    worth = np.array([_end_value(b, weight) for b in items])[unit]
    charge_slots = [slot(row, -into), battery_slot(rows, flow, places.network)]
    discharge_slots = [slot(row, out), battery_slot(rows, flow, places.back)]
    return [
        block(
            "battery_charge",
            cost=price + wear + later,
            upper=most_in,
            slots=charge_slots + site_slots(places, charged, flow, sign=1.0),
        ),
        block(
            "battery_discharge",
            cost=wear + later - price,
            upper=most_out,
            slots=discharge_slots + site_slots(places, charged, flow, sign=-1.0),
        ),
        block(
            "battery_state",
            cost=np.where(last, -worth, 0.0),
            lower=np.array([b.min_wh for b in items])[unit] / 1000.0,
            upper=np.array([b.capacity_wh for b in items])[unit] / 1000.0,
            slots=[slot(row, 1.0), slot(next_row, -1.0)],
        ),
    ]


def _end_value(battery: StationaryBattery, weight: Weights) -> float:
    if battery.end_value_per_kwh is not None:
        return battery.end_value_per_kwh
    return float(weight.price_per_kwh.mean()) * battery.discharge_efficiency_ratio

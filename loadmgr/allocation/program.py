"""The linear program as arrays, built in one pass: column by column in the solver's own order.

Rules of this file:

1. Columns of current come first, EVSE by EVSE and step by step, only where something may flow. Then shortfall, then
   what only some sites have: feeding back, states of charge, guarantees, export, batteries, current beyond what is
   kept for the next vehicle; last the peaks.
2. Import is no column: what is drawn is known from the currents, so its price sits on them. Only where the site may
   export is there a column for it.
3. A row that no currents could break is left out. That changes no optimum.
4. Energies in kWh, powers in kW, currents in A, costs in ``Weights.unit``: coefficients stay near 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from loadmgr.allocation.arrays import BoolArray, FloatArray, IntArray
from loadmgr.allocation.columns import (
    INFINITE,
    NO_ROW,
    Block,
    Flow,
    RowPlaces,
    RowPlan,
    battery_flow,
    block,
    due_slot,
    evse_flow,
    network_slot,
    site_slots,
    slot,
)
from loadmgr.allocation.constraints import NetworkRows, RowEntries, may_fill_up
from loadmgr.allocation.extras import battery_blocks, discharge_blocks, export_blocks, session_blocks
from loadmgr.allocation.objective import Shortfall, Weights, haste_per_kwh, preference_per_kwh, shortfall
from loadmgr.allocation.options import AllocationOptions
from loadmgr.allocation.problem import AllocationProblem
from loadmgr.allocation.windows import Windows, windows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Program:
    """Minimise ``cost @ x`` with ``lower <= x <= upper`` and ``row_lower <= A @ x <= row_upper``; A by columns.

    ``evse`` and ``step`` say what the first columns stand for, ``spans`` where each kind of column is and ``places``
    where each kind of row.
    """

    cost: FloatArray
    lower: FloatArray
    upper: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray
    start: IntArray
    index: IntArray
    value: FloatArray
    evse: IntArray
    step: IntArray
    spans: Mapping[str, slice]
    places: RowPlaces
    discharge: Flow
    shortfall_evse: IntArray
    shortfall_place: IntArray
    windows: tuple[Windows, ...]
    weights: Weights

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return len(self.cost)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.row_lower)


def build_program(
    problem: AllocationProblem,
    rows: NetworkRows,
    weight: Weights,
    *,
    options: AllocationOptions | None = None,
    like: Program | None = None,
) -> Program:
    """Return the program of a problem.

    Parameters
    ----------
    problem : AllocationProblem
    rows : NetworkRows
    weight : Weights
    options : AllocationOptions, optional
        Its policy decides who goes short, in the last digits of the weights.
    like : Program, optional
        A program of the same shape: its rows are kept too, so that the matrix stays the same and the solver can go on.

    Notes
    -----
    For every session: energy + shortfall = need, and energy + late >= must until that is due. For every kept row: sum
    of coefficient times current <= room. For every window of a demand charge: mean of the import - peak <= 0. Where the
    site may export: import + export >= 0. Rows that last hold the current beyond: current - beyond <= what is kept.
    """
    evses, money = problem.evses, problem.money
    current = evse_flow(problem, (evses.max_a > 0.0) & (evses.presence_ratio > 0.0))
    discharge = evse_flow(problem, _may_discharge(problem, rows, weight))
    charged = tuple(windows(problem, charge) for charge in money.demand_charges)
    plan = RowPlan()
    places = _places(problem, rows, plan, flows=(current, discharge), charged=charged, like=like)
    chosen = AllocationOptions() if options is None else options
    short = shortfall(problem, weight, policy=chosen.policy)
    blocks = _blocks(problem, rows, places, charged, weight=weight, flows=(current, discharge), short=short)
    row_lower, row_upper = _sides(problem, rows, places, charged, count=plan.count)
    lengths = np.concatenate([item.lengths for item in blocks])
    return Program(
        cost=np.concatenate([item.cost for item in blocks]) * weight.unit,
        lower=np.concatenate([item.lower for item in blocks]),
        upper=np.concatenate([item.upper for item in blocks]),
        row_lower=row_lower,
        row_upper=row_upper,
        start=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32),
        index=np.concatenate([item.index for item in blocks]).astype(np.int32),
        value=np.concatenate([item.value for item in blocks]),
        evse=current.unit,
        step=current.step,
        spans=_spans(blocks),
        places=places,
        discharge=discharge,
        shortfall_evse=short.evse,
        shortfall_place=short.place,
        windows=charged,
        weights=weight,
    )


def _blocks(
    problem: AllocationProblem,
    rows: NetworkRows,
    places: RowPlaces,
    charged: tuple[Windows, ...],
    *,
    weight: Weights,
    flows: tuple[Flow, Flow],
    short: Shortfall,
) -> list[Block]:
    """Return the columns of every kind that this site has, in their order."""
    current, discharge = flows
    prefer = preference_per_kwh(problem, weight)
    if any(problem.circuits.scarce):
        prefer = prefer + haste_per_kwh(problem, weight)
    return [
        _current_block(problem, rows, places, charged, weight=weight, prefer=prefer, flow=current),
        block(
            "shortfall", cost=short.price_per_kwh, upper=short.width_kwh, slots=[slot(places.energy[short.evse], 1.0)]
        ),
        *discharge_blocks(problem, rows, places, charged, weight=weight, prefer=prefer, flow=discharge),
        *session_blocks(problem, places, weight=weight),
        *export_blocks(problem, places, weight=weight),
        *battery_blocks(problem, rows, places, charged, weight=weight, flow=battery_flow(problem)),
        *_beyond_blocks(problem, rows, places),
        *_peak_blocks(problem, places),
    ]


def _current_block(
    problem: AllocationProblem,
    rows: NetworkRows,
    places: RowPlaces,
    charged: tuple[Windows, ...],
    *,
    weight: Weights,
    prefer: FloatArray,
    flow: Flow,
) -> Block:
    """Return the columns of currents, in A: those that charge nothing in a minimum off time stay at 0."""
    evses = problem.evses
    offsets_s = np.array(problem.grid.offsets_s[:-1], dtype=np.float64)
    stays_off = evses.keep_off_s[flow.unit] > offsets_s[flow.step]
    slots = [slot(places.energy[flow.unit], flow.kwh * evses.efficiency_ratio[flow.unit])]
    if rows.free_a is None:
        slots.append(network_slot(rows, flow, places.network))
    else:
        slots.append(network_slot(rows, flow, places.network, entries=rows.free_a <= 0.0))
        slots.append(slot(places.beyond[flow.unit, flow.step], 1.0))
    slots += site_slots(places, charged, flow, sign=1.0)
    slots += _session_slots(problem, places, flow)
    price = weight.price_per_kwh[flow.step] + prefer[flow.unit, flow.step]
    upper = np.where(stays_off, 0.0, evses.max_a[flow.unit, flow.step])
    return block("current", cost=price * flow.kwh, upper=upper, slots=slots)


def _beyond_blocks(problem: AllocationProblem, rows: NetworkRows, places: RowPlaces) -> list[Block]:
    """Return the columns of what lies above the current kept for the next vehicle, in A."""
    if rows.free_a is None:
        return []
    flow = evse_flow(problem, places.beyond != NO_ROW)
    upper = problem.evses.max_a[flow.unit, flow.step] - problem.evses.kept_a[flow.unit]
    slots = [
        slot(places.beyond[flow.unit, flow.step], -1.0),
        network_slot(rows, flow, places.network, entries=rows.free_a > 0.0),
    ]
    return [block("beyond", cost=np.zeros(len(upper)), upper=upper, slots=slots)]


def _spans(blocks: list[Block]) -> dict[str, slice]:
    """Return where each kind of column is."""
    spans: dict[str, slice] = {}
    first = 0
    for item in blocks:
        begin = spans[item.name].start if item.name in spans else first
        first += len(item.cost)
        spans[item.name] = slice(begin, first)
    return spans


def _may_discharge(problem: AllocationProblem, rows: NetworkRows, weight: Weights) -> BoolArray:
    """Return where an EVSE may feed back: not at negative prices, where doing both ways at once would pay."""
    evses = problem.evses
    wanted = (evses.discharge_max_a > 0.0) & rows.feeds_back[:, None] & (weight.price_per_kwh >= 0.0)
    return np.asarray(wanted & (evses.presence_ratio > 0.0))


def _places(
    problem: AllocationProblem,
    rows: NetworkRows,
    plan: RowPlan,
    *,
    flows: tuple[Flow, Flow],
    charged: tuple[Windows, ...],
    like: Program | None,
) -> RowPlaces:
    """Hand out the rows of every family that this site has."""
    evses, steps = problem.evses, problem.n_steps
    current, discharge = flows
    base_kw = problem.money.site_load_w / 1000.0
    in_kw, out_kw = _most_kw(current, evses.max_a, steps), _most_kw(discharge, evses.discharge_max_a, steps)
    in_kw += np.sum([b.max_charge_w for b in problem.batteries]) / 1000.0
    out_kw += np.sum([b.max_discharge_w for b in problem.batteries]) / 1000.0
    energy = plan.take(np.ones(problem.n_evses, dtype=bool))
    binding = _may_bind(problem, rows)
    if like is not None:
        binding |= like.places.network != NO_ROW
    network = plan.take(binding)
    fed = np.isin(rows.evse, discharge.unit)
    back = np.bincount(rows.row[fed], minlength=rows.n_rows) > 0
    back |= (rows.battery_per_kw > 0.0).any(axis=1)
    here = evses.max_a > 0.0
    ends_s = np.minimum(evses.departure_s, problem.grid.offsets_s[-1])
    due = (evses.need_wh[:, 0] > 0.0) & (evses.must_by_s < ends_s)
    stateful = (evses.taper_wh > 0.0) | (evses.discharge_max_a > 0.0).any(axis=1)
    return RowPlaces(
        energy=energy,
        due=plan.take(due),
        network=network,
        back=plan.take(rows.applies & back[:, None] & ~rows.lasting[:, None]),
        peaks=tuple(plan.take(w.may_bind(in_kw, base_kw)) for w in charged),
        balance=plan.take(base_kw - out_kw < 0.0),
        state=plan.take(np.broadcast_to(stateful[:, None], here.shape)),
        taper=plan.take((evses.taper_wh > 0.0)[:, None] & here),
        guarantee=plan.take((evses.guaranteed_w > 0.0)[:, None] & here),
        beyond=plan.take(_may_go_beyond(problem, rows, network)),
        store=plan.take(np.ones((len(problem.batteries), steps), dtype=bool)),
    )


def _most_kw(flow: Flow, upper_a: FloatArray, steps: int) -> FloatArray:
    return np.bincount(flow.step, weights=flow.kw * upper_a[flow.unit, flow.step], minlength=steps).astype(np.float64)


def _may_bind(problem: AllocationProblem, rows: NetworkRows) -> BoolArray:
    """Return where more could flow through a row than it has room for, ``(n_row, n_step)``."""
    charge_kw = np.array([b.max_charge_w for b in problem.batteries]) / 1000.0
    beside = rows.battery_per_kw @ charge_kw
    wanted = may_fill_up(rows, problem.evses.max_a, beside=beside)
    most = np.repeat(beside[:, None], problem.n_steps, axis=1)
    entries = RowEntries.of(rows, wanted=wanted)
    entries = replace(entries, coefficient=np.maximum(entries.coefficient, 0.0))
    most[entries.rows] += entries.sums(problem.evses.max_a)
    return np.asarray(rows.applies & wanted[:, None] & (most > rows.room + 1e-9))


def _may_go_beyond(problem: AllocationProblem, rows: NetworkRows, network: IntArray) -> BoolArray:
    """Return where an EVSE may have more than is kept for the next vehicle, and a row that lasts may bind."""
    evses = problem.evses
    wanted = np.zeros(evses.max_a.shape, dtype=bool)
    if rows.free_a is not None:
        entry = np.flatnonzero(rows.free_a > 0.0)
        np.logical_or.at(wanted, rows.evse[entry], network[rows.row[entry]] != NO_ROW)
        wanted &= (evses.max_a > evses.kept_a[:, None]) & (evses.presence_ratio > 0.0)
    return wanted


def _session_slots(problem: AllocationProblem, places: RowPlaces, current: Flow) -> list[tuple[IntArray, FloatArray]]:
    """Return the slots of currents in early deadlines, states of charge, tapers and guarantees, where there are any."""
    evses = problem.evses
    at = (current.unit, current.step)
    slots = []
    if (places.due != NO_ROW).any():
        slots.append(due_slot(problem, places, current, current.kwh * evses.efficiency_ratio[current.unit]))
    if (places.state != NO_ROW).any():
        slots.append(slot(places.state[at], -current.kwh * evses.efficiency_ratio[current.unit]))
    if (places.taper != NO_ROW).any():
        slots.append(slot(places.taper[at], 1.0))
    if (places.guarantee != NO_ROW).any():
        slots.append(slot(places.guarantee[at], evses.w_per_a[current.unit] / 1000.0))
    return slots


def _peak_blocks(problem: AllocationProblem, places: RowPlaces) -> list[Block]:
    """Return one column for each demand charge: the peak, at least what is paid for already."""
    blocks = []
    for charge, peak_row in zip(problem.money.demand_charges, places.peaks, strict=True):
        rows = peak_row[peak_row != NO_ROW]
        blocks.append(
            Block(
                name="peak",
                cost=np.array([charge.price_per_kw]),
                lower=np.array([charge.peak_so_far_w / 1000.0]),
                upper=np.array([INFINITE]),
                lengths=np.array([len(rows)], dtype=np.int64),
                index=rows,
                value=np.full(len(rows), -1.0),
            )
        )
    return blocks


def _sides(
    problem: AllocationProblem, rows: NetworkRows, places: RowPlaces, charged: tuple[Windows, ...], *, count: int
) -> tuple[FloatArray, FloatArray]:
    """Return lower and upper sides of all rows."""
    evses = problem.evses
    base_kw = problem.money.site_load_w / 1000.0
    lower, upper = np.full(count, -INFINITE), np.full(count, INFINITE)
    lower[places.energy] = upper[places.energy] = evses.need_wh[:, -1] / 1000.0
    lower[places.due[places.due != NO_ROW]] = evses.need_wh[places.due != NO_ROW, 0] / 1000.0
    for place, room in ((places.network, rows.room), (places.back, rows.room_back)):
        kept = place != NO_ROW
        upper[place[kept]] = np.where(rows.applies, room, INFINITE)[kept]
    for window, peak_row in zip(charged, places.peaks, strict=True):
        bound = peak_row != NO_ROW
        upper[peak_row[bound]] = -window.mean_kw(base_kw)[bound]
    balanced = places.balance != NO_ROW
    lower[places.balance[balanced]] = -base_kw[balanced]
    for place in (places.state, places.store):
        lower[place[place != NO_ROW]] = upper[place[place != NO_ROW]] = 0.0
    evse, step = np.nonzero(places.taper != NO_ROW)
    full_a = evses.max_a[evse, step] * evses.need_wh[evse, -1] / evses.taper_wh[evse]
    upper[places.taper[evse, step]] = np.minimum(full_a, 1e6)
    evse, step = np.nonzero(places.guarantee != NO_ROW)
    most_w = evses.max_a[evse, step] * evses.w_per_a[evse]
    lower[places.guarantee[evse, step]] = np.minimum(evses.guaranteed_w[evse], most_w) / 1000.0
    evse, step = np.nonzero(places.beyond != NO_ROW)
    upper[places.beyond[evse, step]] = evses.kept_a[evse]
    for battery, store in zip(problem.batteries, places.store, strict=True):
        lower[store[0]] = upper[store[0]] = battery.stored_wh / 1000.0
    return lower, upper

"""Why an EVSE gets what it gets: the limits that bind, what one more ampere would be worth, and a sentence.

Rules of this file:

1. Marginal values are duals of the program: what the objective would gain if a limit were one unit higher.
2. Where several limits are full at once, a dual holds in one direction only; such a value says so (``one_sided``).
3. Energy that goes short has no honest price: its weight only keeps the tiers apart. So the duals of the money alone
   and of the energy alone are told apart, and where an ampere relieves those who go short, it is worth energy.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

import numpy as np

from loadmgr.allocation.arrays import BoolArray, FloatArray
from loadmgr.allocation.columns import NO_ROW
from loadmgr.allocation.constraints import NetworkRows, network_rows
from loadmgr.allocation.listing import answer_by_label, by_label, listing
from loadmgr.allocation.objective import weights
from loadmgr.allocation.options import AllocationOptions
from loadmgr.allocation.problem import AllocationProblem
from loadmgr.allocation.program import Program, build_program
from loadmgr.allocation.quantise import DONE_WH, floor_to_steps, next_up_a
from loadmgr.allocation.result import Allocation
from loadmgr.allocation.solve import HighsSession
from loadmgr.allocation.wording import Reason, Speech, sentence

_FULL = 1e-5
_SMALL = 1e-7
_DONE_RATIO = 0.02
"""A need met but for so much of it is met: rounding down leaves as much."""

_SHORT_WH_PER_H = 1.0
"""An ampere that brings less than this to those who go short brings them nothing."""


_SOONER_S = 300.0
"""Who leaves less than this before another does not leave earlier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why one EVSE gets its current in one step."""

    evse: str
    step: int
    start: datetime
    current_a: float
    reasons: tuple[Reason, ...]
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarginalValues:
    """What one unit more of each limit would gain.

    Parameters
    ----------
    rows : (n_row, n_step)
        In terms of the objective, per A (or W for power) through the step.
    money : (n_row, n_step)
        The part of it that is money.
    short_wh : (n_row, n_step)
        Energy that it would bring to sessions that go short [Wh].
    one_sided : (n_row, n_step)
        Where the value holds for less, but not surely for more.
    energy_per_kwh : (n_evse,)
        What 1 kWh less to deliver would save.
    peaks_per_kw : tuple of (n_window,)
    """

    rows: FloatArray
    money: FloatArray
    short_wh: FloatArray
    one_sided: BoolArray
    energy_per_kwh: FloatArray
    peaks_per_kw: tuple[FloatArray, ...]


def marginal_values(problem: AllocationProblem, rows: NetworkRows, program: Program) -> MarginalValues:
    """Return the marginal values of a program's limits.

    Raises
    ------
    SolverError
        If the program has no optimum.
    """
    session = HighsSession(iteration_limit=1_000_000)
    solution = session.solve(program)
    unit = program.weights.unit
    short_kwh = np.zeros(program.n_columns)
    short_kwh[program.spans["shortfall"]] = 1.0
    kept = program.places.network != NO_ROW
    values, money, short_wh = (np.zeros(rows.room.shape) for _ in range(3))
    places = program.places.network[kept]
    values[kept] = np.maximum(-solution.row_duals[places], 0.0) / unit
    money[kept] = np.maximum(-session.duals_of(_money(problem, program))[places], 0.0)
    short_wh[kept] = np.maximum(-session.duals_of(short_kwh)[places], 0.0) * 1000.0
    one_sided = np.zeros(rows.room.shape, dtype=bool)
    for place in np.argwhere(kept & (values > _SMALL)):
        at = (int(place[0]), int(place[1]))
        one_sided[at] = session.is_degenerate(int(program.places.network[at]))
    peaks = []
    for peak_row in program.places.peaks:
        dual = np.where(peak_row == NO_ROW, 0.0, -solution.row_duals[np.maximum(peak_row, 0)])
        peaks.append(np.maximum(dual, 0.0) / unit)
    return MarginalValues(
        rows=values,
        money=money,
        short_wh=short_wh,
        one_sided=one_sided,
        energy_per_kwh=solution.row_duals[program.places.energy] / unit,
        peaks_per_kw=tuple(peaks),
    )


def _money(problem: AllocationProblem, program: Program) -> FloatArray:
    """Return what each column costs in money alone: no tiers, no preferences."""
    cost = program.cost / program.weights.unit
    for name in ("shortfall", "late", "missed", "beyond"):
        if name in program.spans:
            cost[program.spans[name]] = 0.0
    kwh = (problem.evses.w_per_a[:, None] * problem.evses.presence_ratio * problem.hours / 1000.0)[
        program.evse, program.step
    ]
    cost[program.spans["current"]] = program.weights.price_per_kwh[program.step] * kwh
    return cost


def explain(
    problem: AllocationProblem,
    allocation: Allocation,
    evse_id: str,
    *,
    options: AllocationOptions | None = None,
    zone: tzinfo = UTC,
    currency: str = "EUR",
) -> tuple[Explanation, ...]:
    """Return for each step why an EVSE gets what it gets.

    Parameters
    ----------
    problem : AllocationProblem
    allocation : Allocation
        The answer to this problem.
    evse_id : str
    options : AllocationOptions, optional
        Those that the answer was made with.
    zone : tzinfo
        Zone of the times in sentences.
    currency : str
        Name of the money in sentences.

    Raises
    ------
    ValueError
        If no such EVSE is part of the problem.
    """
    if evse_id not in problem.evses.ids:
        raise ValueError(f"evse_id must be one of {', '.join(problem.evses.ids)}, got {evse_id!r}")
    listed = listing(problem)
    if listed is not None:
        problem, allocation = by_label(problem, listed), answer_by_label(allocation, listed)
    evse = problem.evses.ids.index(evse_id)
    rows = network_rows(problem)
    program = build_program(problem, rows, weights(problem), options=options)
    value = marginal_values(problem, rows, program)
    case = _Case(problem=problem, allocation=allocation, rows=rows, program=program, value=value)
    speech = Speech(zone=zone, currency=currency)
    out = []
    for step, start in enumerate(problem.grid.times[:-1]):
        reasons = _reasons(case, evse=evse, step=step)
        # Rounding towards 0 may leave a minus sign on it.
        current_a = float(allocation.current_a[evse, step]) + 0.0
        text = sentence(problem, allocation, reasons, (evse, step), speech=speech)
        out.append(
            Explanation(evse=evse_id, step=step, start=start, current_a=current_a, reasons=reasons, sentence=text)
        )
    return tuple(out)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """A problem with its answer and the program behind it."""

    problem: AllocationProblem
    allocation: Allocation
    rows: NetworkRows
    program: Program
    value: MarginalValues


def _reasons(case: _Case, *, evse: int, step: int) -> tuple[Reason, ...]:
    """Return what keeps a current where it is, the plainest first; at least one."""
    evses, allocation = case.problem.evses, case.allocation
    reason = _of_vehicle(case, evse=evse, step=step)
    if reason is not None:
        return (reason,)
    planned_a, now_a = float(allocation.planned_a[evse, step]), float(allocation.current_a[evse, step])
    reasons = [*_overloads(case, evse=evse, step=step), *_full_rows(case, evse=evse, step=step)]
    reasons += _peaks(case, step=step)
    if 0.0 < planned_a < evses.min_a[evse] - _FULL and now_a == 0.0:
        reasons.append(Reason(kind="minimum"))
    return tuple(reasons) or (_of_plan(case, evse=evse, step=step),)


def _of_vehicle(case: _Case, *, evse: int, step: int) -> Reason | None:
    """Return a reason that lies with vehicle, EVSE or session alone; ``None`` if there is none."""
    problem, evses, current_a = case.problem, case.problem.evses, case.allocation.current_a[evse]
    offset_s = problem.grid.offsets_s[step]
    if evses.presence_ratio[evse, step] <= 0.0:
        return Reason(kind="expected" if evses.arrival_s[evse] > offset_s else "left")
    need_wh = float(evses.need_wh[evse, -1])
    done_wh = float((np.maximum(current_a, 0.0) * problem.wh_per_a[evse])[:step].sum())
    left_wh = need_wh - done_wh
    if current_a[step] < 0.0:
        return Reason(kind="feeds_back")
    if need_wh <= DONE_WH or (current_a[step] == 0.0 and left_wh <= max(_DONE_RATIO * need_wh, 1.0)):
        return Reason(kind="served")
    max_a, min_a = evses.max_a[evse, step], evses.min_a[evse]
    if max_a <= 0.0:
        return Reason(kind="closed")
    if max_a < min_a - _FULL:
        return Reason(kind="limits_cross")
    if evses.keep_off_s[evse] > offset_s:
        return Reason(kind="held_off")
    told_a = floor_to_steps(problem, evses.max_a[:, step : step + 1])[evse, 0]
    if max_a - max(case.allocation.planned_a[evse, step], current_a[step]) <= _FULL or current_a[step] >= told_a:
        return Reason(kind="vehicle")
    if left_wh < evses.taper_wh[evse] and max_a * left_wh / evses.taper_wh[evse] - current_a[step] <= 1.0:
        return Reason(kind="taper")
    on_before = evses.has_previous[evse] and evses.previous_a[evse, 0] > 0.0
    must_stay_on = evses.keep_on_s[evse] > offset_s or (on_before and not evses.pause_ok[evse])
    if must_stay_on and abs(current_a[step] - min_a) <= _FULL:
        return Reason(kind="held_on")
    return None


def _of_plan(case: _Case, *, evse: int, step: int) -> Reason:
    """Return why a current is no higher though nothing is full: it is better used at another time."""
    problem, allocation = case.problem, case.allocation
    current_a, planned_a = allocation.current_a[evse], allocation.planned_a[evse]
    if allocation.method == "filled":
        return Reason(kind="order")
    more = np.flatnonzero(current_a > current_a[step] + _FULL)
    later = more[more > step]
    if not len(more):
        return Reason(kind="rounded" if planned_a[step] > current_a[step] + _FULL else "served")
    then = int(later[0]) if len(later) else None
    price = case.program.weights.price_per_kwh
    best = int(more[np.argmin(price[more])]) if then is None else int(later[np.argmin(price[later])])
    if price[best] < price[step]:
        return Reason(kind="price", then=best)
    spare = problem.money.site_load_w
    if then is not None and spare[then] < min(float(spare[step]), 0.0):
        return Reason(kind="generation", then=then)
    return Reason(kind="later" if then is not None else "served", then=then)


def _peaks(case: _Case, *, step: int) -> list[Reason]:
    reasons = []
    for window, peaks in zip(case.program.windows, case.value.peaks_per_kw, strict=True):
        worth = float((peaks[window.of_step[step]] * window.share_of_step[step]).sum())
        if worth > _SMALL:
            reasons.append(Reason(kind="peak", price_per_h=worth / float(case.problem.hours[step])))
    return reasons


def _overloads(case: _Case, *, evse: int, step: int) -> list[Reason]:
    rows = case.rows
    reasons = []
    for k in range(rows.starts[evse], rows.starts[evse + 1]):
        row = int(rows.row[k])
        if rows.overload[row, step] > _FULL and rows.coefficient[k] > 0.0:
            name = rows.names[row]
            circuit = case.problem.circuits.ids[name.circuit]
            reasons.append(Reason(kind="overload", circuit=circuit, limit=name.kind, phase=name.phase))
    return reasons


def _full_rows(case: _Case, *, evse: int, step: int) -> list[Reason]:
    """Return the rows above an EVSE that are full in a step, the dearest first."""
    allocation, rows = case.allocation, case.rows
    reasons: dict[tuple[object, ...], Reason] = {}
    now_a = float(allocation.current_a[evse, step])
    # Of a vehicle that charges, a row is full too if its next setpoint does not fit.
    up_a = next_up_a(case.problem, evse, now_a) - now_a if now_a > 0.0 else 0.0
    for k in range(rows.starts[evse], rows.starts[evse + 1]):
        row = int(rows.row[k])
        entries = np.flatnonzero(rows.row == row)
        load = rows.added(entries, 0.0, np.maximum(allocation.planned_a[rows.evse[entries], step], 0.0)).sum()
        tolerance = _FULL * (1000.0 if rows.names[row].kind == "power" else 1.0)
        told = rows.added(entries, 0.0, np.maximum(allocation.current_a[rows.evse[entries], step], 0.0)).sum()
        left = max(rows.room[row, step] - load - tolerance, 0.0)
        if up_a > 0.0 and rows.room[row, step] - told < rows.coefficient[k] * up_a - tolerance:
            left = 0.0
        full = rows.applies[row, step] and left <= 0.0 and rows.coefficient[k] > 0.0
        if full and rows.overload[row, step] <= _FULL:
            reason = _full_row(case, row, evse=evse, step=step)
            # Several sides of one polygon are one limit.
            place = (reason.circuit, reason.limit, reason.phase)
            if place not in reasons or _dearest(reason) < _dearest(reasons[place]):
                reasons[place] = reason
    return sorted(reasons.values(), key=_dearest)


def _dearest(reason: Reason) -> tuple[float, float, str, int]:
    return (-reason.short_wh_per_h, -reason.price_per_h, reason.circuit or "", reason.phase or 0)


def _full_row(case: _Case, row: int, *, evse: int, step: int) -> Reason:
    problem, allocation, rows, value = case.problem, case.allocation, case.rows, case.value
    name = rows.names[row]
    entries = rows.evse[(rows.row == row) & (rows.coefficient > 0.0)]
    users = sorted({int(i) for i in entries if i != evse and allocation.current_a[i, step] > 0.0})
    evses = problem.evses
    first = [evses.ids[i] for i in users if evses.priority[i] > evses.priority[evse]]
    sooner_s = evses.departure_s[evse] - _SOONER_S
    earlier = [
        evses.ids[i] for i in users if evses.priority[i] == evses.priority[evse] and evses.departure_s[i] < sooner_s
    ]
    per_h = (1000.0 if name.kind == "power" else 1.0) / float(problem.hours[step])
    short = float(value.short_wh[row, step]) * per_h
    relieves = short > _SHORT_WH_PER_H
    return Reason(
        kind="circuit",
        circuit=problem.circuits.ids[name.circuit],
        limit=name.kind,
        phase=name.phase,
        other_phase=name.direction if name.kind == "unbalance" else None,
        shared_with=tuple(problem.evses.ids[i] for i in users),
        goes_first=tuple(first),
        leave_earlier=tuple(earlier),
        price_per_h=0.0 if relieves else float(value.money[row, step]) * per_h,
        short_wh_per_h=short if relieves else 0.0,
        one_sided=bool(value.one_sided[row, step] or value.rows[row, step] <= _SMALL),
    )

"""Why an EVSE gets what it gets: the limits that bind, what one more ampere would be worth, and a sentence.

Rules of this file:

1. Marginal values are duals of the program: what the objective would gain if a limit were one unit higher.
2. Where several limits are full at once, a dual holds in one direction only; such a value says so (``one_sided``).
3. Energy that goes short has no honest price. There an ampere is worth energy, not money, and the sentence says that.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Literal

import numpy as np

from loadmgr.allocation.arrays import BoolArray, FloatArray
from loadmgr.allocation.columns import NO_ROW
from loadmgr.allocation.constraints import NetworkRows, network_rows
from loadmgr.allocation.listing import answer_by_label, by_label, listing
from loadmgr.allocation.objective import weights
from loadmgr.allocation.options import AllocationOptions
from loadmgr.allocation.problem import AllocationProblem
from loadmgr.allocation.program import Program, build_program
from loadmgr.allocation.result import Allocation
from loadmgr.allocation.solve import HighsSession

ReasonKind = Literal["absent", "held_off", "circuit", "peak", "price", "minimum", "vehicle", "served"]

_FULL = 1e-5
_SMALL = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing that keeps a current where it is.

    Parameters
    ----------
    kind : str
    circuit : str, optional
        The circuit that is full.
    phase : int, optional
        Its phase, 1 to 3; ``None`` for a limit of power.
    shared_with : tuple of str
        EVSEs that use the same limit in this step.
    goes_first : tuple of str
        Those of them with a higher priority class.
    price_per_h : float
        What one more ampere (or kW, for power and peak) would be worth, in money per hour.
    short_wh_per_h : float
        What it would bring to sessions that go short [Wh per hour]; the money is then no price.
    one_sided : bool
        Several limits are full at once: the value holds for less, and one more alone may bring nothing.
    """

    kind: ReasonKind
    circuit: str | None = None
    phase: int | None = None
    shared_with: tuple[str, ...] = ()
    goes_first: tuple[str, ...] = ()
    price_per_h: float = 0.0
    short_wh_per_h: float = 0.0
    one_sided: bool = False


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
    """What one unit more of each limit would gain, in money.

    Parameters
    ----------
    rows : (n_row, n_step)
        Per A (or W for power) through the step.
    one_sided : (n_row, n_step)
        Where the value holds for less, but not surely for more.
    energy_per_kwh : (n_evse,)
        What 1 kWh less to deliver would save.
    peaks_per_kw : tuple of (n_window,)
    """

    rows: FloatArray
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
    values, one_sided = np.zeros(rows.room.shape), np.zeros(rows.room.shape, dtype=bool)
    kept = program.places.network != NO_ROW
    values[kept] = np.maximum(-solution.row_duals[program.places.network[kept]], 0.0) / unit
    for place in np.argwhere(kept & (values > _SMALL)):
        at = (int(place[0]), int(place[1]))
        one_sided[at] = session.is_degenerate(int(program.places.network[at]))
    peaks = []
    for peak_row in program.places.peaks:
        dual = np.where(peak_row == NO_ROW, 0.0, -solution.row_duals[np.maximum(peak_row, 0)])
        peaks.append(np.maximum(dual, 0.0) / unit)
    return MarginalValues(
        rows=values,
        one_sided=one_sided,
        energy_per_kwh=solution.row_duals[program.places.energy] / unit,
        peaks_per_kw=tuple(peaks),
    )


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
    out = []
    for step, start in enumerate(problem.grid.times[:-1]):
        reasons = tuple(_reasons(case, evse=evse, step=step))
        current_a = float(allocation.current_a[evse, step])
        text = _sentence(problem, allocation, reasons, (evse, step), zone=zone, currency=currency)
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


def _reasons(case: _Case, *, evse: int, step: int) -> list[Reason]:
    problem, allocation, program, value = case.problem, case.allocation, case.program, case.value
    evses = problem.evses
    planned_a, now_a = allocation.planned_a[evse, step], allocation.current_a[evse, step]
    if evses.max_a[evse, step] <= 0.0 or evses.presence_ratio[evse, step] <= 0.0:
        return [Reason(kind="absent")]
    if evses.keep_off_s[evse] > problem.grid.offsets_s[step]:
        return [Reason(kind="held_off")]
    if evses.max_a[evse, step] - max(planned_a, now_a) <= _FULL:
        return [Reason(kind="vehicle")]
    reasons = _full_rows(case, evse=evse, step=step)
    hours = float(problem.hours[step])
    for window, peaks in zip(program.windows, value.peaks_per_kw, strict=True):
        worth = float((peaks[window.of_step[step]] * window.share_of_step[step]).sum())
        if worth > _SMALL:
            reasons.append(Reason(kind="peak", price_per_h=worth / hours))
    left_wh = evses.need_wh[evse, -1] - allocation.energy_wh[evse]
    if 0.0 < planned_a < evses.min_a[evse] - _FULL and now_a == 0.0:
        reasons.append(Reason(kind="minimum"))
    if not reasons and left_wh <= max(0.02 * evses.need_wh[evse, -1], 1.0):
        later_or_cheaper = _charges_elsewhere(allocation, evse, step)
        reasons.append(Reason(kind="price" if later_or_cheaper else "served"))
    return reasons


def _charges_elsewhere(allocation: Allocation, evse: int, step: int) -> bool:
    current_a = allocation.current_a[evse]
    return bool((np.delete(current_a, step) > current_a[step]).any())


def _full_rows(case: _Case, *, evse: int, step: int) -> list[Reason]:
    """Return the rows above an EVSE that are full in a step, the dearest first."""
    problem, allocation, rows = case.problem, case.allocation, case.rows
    program, value = case.program, case.value
    hours = float(problem.hours[step])
    dear = program.weights.shortfall_per_kwh.min(initial=np.inf) * 0.5
    reasons = []
    for k in range(rows.starts[evse], rows.starts[evse + 1]):
        row = int(rows.row[k])
        entries = rows.row == row
        load = float(rows.coefficient[entries] @ np.maximum(allocation.planned_a[rows.evse[entries], step], 0.0))
        name = rows.names[row]
        tolerance = _FULL * (1000.0 if name.kind == "power" else 1.0)
        if not rows.applies[row, step] or rows.room[row, step] - load > tolerance or rows.coefficient[k] <= 0.0:
            continue
        users = [int(i) for i in rows.evse[entries] if i != evse and allocation.current_a[i, step] > 0.0]
        worth = float(value.rows[row, step]) / hours * (1000.0 if name.kind == "power" else 1.0)
        wh_per_h = 1000.0 if name.kind == "power" else float(problem.evses.w_per_a[evse])
        short = worth > dear * wh_per_h / 1000.0
        reasons.append(
            Reason(
                kind="circuit",
                circuit=problem.circuits.ids[name.circuit],
                phase=name.phase,
                shared_with=tuple(problem.evses.ids[i] for i in users),
                goes_first=tuple(
                    problem.evses.ids[i] for i in users if problem.evses.priority[i] > problem.evses.priority[evse]
                ),
                price_per_h=0.0 if short else worth,
                short_wh_per_h=wh_per_h if short else 0.0,
                one_sided=bool(value.one_sided[row, step]) or worth <= _SMALL,
            )
        )
    return sorted(reasons, key=lambda r: (-r.short_wh_per_h, -r.price_per_h, r.circuit or "", r.phase or 0))


def _sentence(
    problem: AllocationProblem,
    allocation: Allocation,
    reasons: tuple[Reason, ...],
    at: tuple[int, int],
    *,
    zone: tzinfo,
    currency: str,
) -> str:
    evse, step = at
    parts = [words for reason in reasons[:2] if (words := _words(problem, reason, at, currency=currency))]
    current_a = allocation.current_a[evse]
    later = np.flatnonzero(np.abs(current_a[step + 1 :] - current_a[step]) > _FULL)
    if len(later):
        then = step + 1 + int(later[0])
        when = problem.grid.times[then].astimezone(zone)
        parts.append(f"{current_a[then]:g} A from {when:%H:%M}")
    return f"{current_a[step]:g} A: " + ("; ".join(parts) if parts else "it has what it asked for")


def _words(problem: AllocationProblem, reason: Reason, at: tuple[int, int], *, currency: str) -> str:
    evse, step = at
    if reason.kind == "circuit":
        return _circuit_words(reason, currency=currency)
    price = problem.money.import_price_per_kwh[step]
    return {
        "absent": "nothing is plugged in that may charge",
        "held_off": "it was switched off a moment ago and stays off for its minimum time",
        "peak": f"the site's peak would rise; 1 kW less in this step saves {reason.price_per_h:.2f} {currency}/h",
        "price": f"energy costs {price:.2f} {currency}/kWh now and is better at another time",
        "minimum": f"what is left for it is below its minimum of {problem.evses.min_a[evse]:g} A",
        "vehicle": f"vehicle or EVSE take no more than {problem.evses.max_a[evse, step]:g} A",
        "served": "it has what it asked for",
    }[reason.kind]


def _circuit_words(reason: Reason, *, currency: str) -> str:
    where = f" on L{reason.phase}" if reason.phase is not None else ""
    shared = f", shared with {_listed(reason.shared_with)}" if reason.shared_with else ""
    first = f" ({_listed(reason.goes_first)} goes first)" if reason.goes_first else ""
    unit = "ampere" if reason.phase is not None else "kW"
    if reason.short_wh_per_h > 0.0:
        worth = f"; one more {unit} there is {reason.short_wh_per_h / 1000.0:.2f} kWh per hour for those who go short"
    elif reason.price_per_h > 0.005:
        worth = f"; one more {unit} there is worth {reason.price_per_h:.2f} {currency}/h"
    else:
        worth = ""
    several = " (other limits are full as well)" if reason.one_sided else ""
    return f"{reason.circuit} is full{where}{shared}{first}{worth}{several}"


def _listed(labels: tuple[str, ...]) -> str:
    if len(labels) > 4:
        return f"{', '.join(labels[:3])} and {len(labels) - 3} more"
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"

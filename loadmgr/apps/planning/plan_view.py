"""``loadmgr plan``: a plan as a table and as a JSON document, and one EVSE explained."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, timedelta, tzinfo
from typing import Any

import numpy as np

from loadmgr.allocation import Allocation, AllocationProblem, Explanation, Remedy
from loadmgr.apps.planning import plan_totals

_SAME_A = 1e-6
_SMALL_WH = 50.0


def table(problem: AllocationProblem, allocation: Allocation, *, zone: tzinfo = UTC, currency: str = "EUR") -> str:
    """Return the plan as text: one line per EVSE with its currents as they change, then circuits, bill and alarms."""
    rows = [("EVSE", "now A", "then", "until", "energy kWh", "of", "short")]
    asked_wh = problem.evses.need_wh[:, 1] if problem.evses.need_wh[:, 1].any() else problem.evses.need_wh[:, 2]
    for index, label in enumerate(allocation.evse_ids):
        short_wh = float(allocation.shortfall_wh[index].sum())
        # Who stays beyond the plan's end is not short at it: there is time left.
        stays_on = problem.evses.departure_s[index] > problem.grid.offsets_s[-1]
        rows.append(
            (
                label,
                f"{allocation.current_a[index, 0]:g}",
                _changes(allocation, index, zone=zone),
                _until(problem, index, zone=zone),
                f"{allocation.energy_wh[index] / 1000.0:.1f}",
                f"{asked_wh[index] / 1000.0:.1f}",
                "" if short_wh < _SMALL_WH else "later" if stays_on else f"{short_wh / 1000.0:.1f}",
            )
        )
    lines = _aligned(rows)
    lines.append("")
    lines += _aligned(plan_totals.circuit_rows(problem, allocation, zone))
    if problem.batteries:
        lines += ["", *_aligned(plan_totals.battery_rows(problem, allocation, zone))]
    lines += ["", *plan_totals.bill(problem, allocation, currency=currency)]
    stats = allocation.statistics
    lines.append(
        f"{allocation.method}: {stats.n_columns} columns, {stats.n_rows} rows, {stats.iterations} simplex iterations"
    )
    lines += [f"alarm: {alarm.text}" for alarm in allocation.alarms]
    return "\n".join(lines)


def document(problem: AllocationProblem, allocation: Allocation) -> dict[str, Any]:
    """Return the plan as a document of plain values, times in ISO 8601 with zone."""
    times = [time.isoformat() for time in problem.grid.times]
    return {
        "start": times[0],
        "times": times[:-1],
        "durations_s": list(problem.grid.durations_s),
        "method": allocation.method,
        "evses": [
            {
                "id": label,
                "session": problem.evses.session_ids[index],
                "circuit": problem.circuits.ids[int(problem.evses.circuit[index])],
                "current_a": allocation.current_a[index].tolist(),
                "departure": _departure(problem, index),
                "energy_wh": float(allocation.energy_wh[index]),
                "need_wh": problem.evses.need_wh[index].tolist(),
                "shortfall_wh": allocation.shortfall_wh[index].tolist(),
            }
            for index, label in enumerate(allocation.evse_ids)
        ],
        "batteries": [
            {"id": battery.id, "power_w": allocation.battery_w[index].tolist()}
            for index, battery in enumerate(problem.batteries)
        ],
        "alarms": [
            {"kind": a.kind, "text": a.text, "circuit": a.circuit, "evse": a.evse, "step": a.step}
            for a in allocation.alarms
        ],
        "statistics": {
            "status": allocation.statistics.status,
            "objective": allocation.statistics.objective,
            "iterations": allocation.statistics.iterations,
            "columns": allocation.statistics.n_columns,
            "rows": allocation.statistics.n_rows,
            "nonzeros": allocation.statistics.n_nonzeros,
        },
    }


def explanation_text(
    explanations: Sequence[Explanation], remedies: Sequence[Remedy] = (), *, zone: tzinfo = UTC
) -> str:
    """Return the sentences of one EVSE, each for as long as current and first reason stay, and what would help."""
    lines: list[str] = []
    last: tuple[object, ...] = ()
    for item in explanations:
        first = item.reasons[0]
        same = (item.current_a, first.kind, first.circuit, first.limit, first.phase)
        if same != last:
            lines.append(f"{item.start.astimezone(zone):%a %H:%M}  {item.sentence}")
        last = same
    lines += [f"what would help: {remedy.text}" for remedy in remedies]
    return "\n".join(lines)


def explanation_document(explanations: Sequence[Explanation], remedies: Sequence[Remedy] = ()) -> dict[str, Any]:
    """Return the explanation of one EVSE as a document of plain values."""
    return {
        "evse": explanations[0].evse,
        "steps": [
            {
                "start": item.start.isoformat(),
                "current_a": item.current_a,
                "sentence": item.sentence,
                "reasons": [
                    {key: value for key, value in asdict(reason).items() if value not in (None, ())}
                    for reason in item.reasons
                ],
            }
            for item in explanations
        ],
        "what_would_help": [asdict(remedy) for remedy in remedies],
    }


def _departure(problem: AllocationProblem, index: int) -> str | None:
    if not problem.evses.departure_known[index]:
        return None
    return (problem.grid.start + timedelta(seconds=float(problem.evses.departure_s[index]))).isoformat()


def _until(problem: AllocationProblem, index: int, *, zone: tzinfo) -> str:
    """Return when a session ends, with the day where it is another one; nothing where nobody knows."""
    if not problem.evses.departure_known[index]:
        return "?"
    start = problem.grid.start.astimezone(zone)
    leaves = (problem.grid.start + timedelta(seconds=float(problem.evses.departure_s[index]))).astimezone(zone)
    return f"{leaves:%H:%M}" if leaves.date() == start.date() else f"{leaves:%a %H:%M}"


def _changes(allocation: Allocation, index: int, *, zone: tzinfo, most: int = 4) -> str:
    """Return the changes of a current after the first step, as ``16 A from 02:00``."""
    current_a = allocation.current_a[index]
    places = np.flatnonzero(np.abs(np.diff(current_a)) > _SAME_A) + 1
    times = allocation.grid.times
    words = [f"{current_a[k]:g} from {times[k].astimezone(zone):%H:%M}" for k in places[:most].tolist()]
    return ", ".join([*words, "..."] if len(places) > most else words)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]

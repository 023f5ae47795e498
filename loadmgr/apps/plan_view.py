"""``loadmgr plan``: a plan as a table and as a JSON document, and one EVSE explained."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, timedelta, tzinfo
from typing import Any

import numpy as np
import numpy.typing as npt

from loadmgr.allocation import Allocation, AllocationProblem, Explanation, Remedy

_SAME_A = 1e-6
_SMALL_WH = 50.0


def table(problem: AllocationProblem, allocation: Allocation, *, zone: tzinfo = UTC, currency: str = "EUR") -> str:
    """Return the plan as text: one line per EVSE with its currents as they change, then circuits, bill and alarms."""
    rows = [("EVSE", "now A", "then", "until", "energy kWh", "of", "short")]
    asked_wh = problem.evses.need_wh[:, 1] if problem.evses.need_wh[:, 1].any() else problem.evses.need_wh[:, 2]
    for index, label in enumerate(allocation.evse_ids):
        short_wh = float(allocation.shortfall_wh[index].sum())
        rows.append(
            (
                label,
                f"{allocation.current_a[index, 0]:g}",
                _changes(allocation, index, zone=zone),
                _until(problem, index, zone=zone),
                f"{allocation.energy_wh[index] / 1000.0:.1f}",
                f"{asked_wh[index] / 1000.0:.1f}",
                f"{short_wh / 1000.0:.1f}" if short_wh >= _SMALL_WH else "",
            )
        )
    lines = _aligned(rows)
    lines.append("")
    lines += _aligned(
        [("circuit", "limit A", "L1", "L2", "L3", "fullest at"), *_circuit_rows(problem, allocation, zone)]
    )
    lines.append("")
    lines.append(_bill(problem, allocation, currency=currency))
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


def _bill(problem: AllocationProblem, allocation: Allocation, *, currency: str) -> str:
    """Return energy, its price and the highest power of the vehicles."""
    taken = np.maximum(allocation.current_a, 0.0) * problem.evses.presence_ratio
    power_w = (taken * problem.evses.w_per_a[:, None]).sum(axis=0)
    energy_kwh = power_w * problem.hours / 1000.0
    cost = float(energy_kwh @ problem.money.import_price_per_kwh)
    text = f"vehicles: {float(energy_kwh.sum()):.1f} kWh, at most {float(power_w.max(initial=0.0)) / 1000.0:.1f} kW"
    return f"{text}, {cost:.2f} {currency} at import prices" if problem.money.import_price_per_kwh.any() else text


def _changes(allocation: Allocation, index: int, *, zone: tzinfo, most: int = 4) -> str:
    """Return the changes of a current after the first step, as ``16 A from 02:00``."""
    current_a = allocation.current_a[index]
    places = np.flatnonzero(np.abs(np.diff(current_a)) > _SAME_A) + 1
    times = allocation.grid.times
    words = [f"{current_a[k]:g} from {times[k].astimezone(zone):%H:%M}" for k in places[:most].tolist()]
    return ", ".join([*words, "..."] if len(places) > most else words)


def _circuit_rows(problem: AllocationProblem, allocation: Allocation, zone: tzinfo) -> list[tuple[str, ...]]:
    """Return for each circuit its limit and highest load per phase, and when it is fullest."""
    ancestry = problem.circuits.ancestry()
    load_a = np.zeros_like(problem.circuits.side_load_a)
    for index, chain in enumerate(ancestry):
        mine = problem.evses.circuit == index
        own = problem.evses.on_phase[mine].T.astype(float) @ np.maximum(allocation.current_a[mine], 0.0)
        for above in chain:
            load_a[above] += own + problem.circuits.side_load_a[index]
    rows = []
    for index, label in enumerate(problem.circuits.ids):
        limited = problem.circuits.limit_a_applies[index]
        limit = _limit(problem.circuits.limit_a[index], limited)
        fullest = int(np.argmax(load_a[index].max(axis=0)))
        peaks = [f"{value:.1f}" for value in load_a[index].max(axis=1)]
        rows.append((label, limit, *peaks, f"{problem.grid.times[fullest].astimezone(zone):%H:%M}"))
    return rows


def _limit(limit_a: npt.NDArray[np.float64], applies: npt.NDArray[np.bool_]) -> str:
    """Return the lowest limit of each phase over the plan, once where they are alike."""
    if not applies.any():
        return "none"
    words = [f"{row[there].min():.4g}" if there.any() else "-" for row, there in zip(limit_a, applies, strict=True)]
    return words[0] if len(set(words)) == 1 else "/".join(words)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]

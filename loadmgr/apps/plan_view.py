"""``loadmgr plan``: a plan as a table, as a JSON document, as a picture, and one EVSE explained."""

from collections.abc import Sequence
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any

import numpy as np

from loadmgr.allocation import Allocation, AllocationProblem, Explanation

_SAME_A = 1e-6


def table(problem: AllocationProblem, allocation: Allocation, *, zone: tzinfo = UTC) -> str:
    """Return the plan as text: one line per EVSE with its currents as they change, then circuits and alarms."""
    header = ("EVSE", "now A", "then", "energy kWh", "short kWh")
    rows = [header]
    for index, label in enumerate(allocation.evse_ids):
        rows.append(
            (
                label,
                f"{allocation.current_a[index, 0]:g}",
                _changes(allocation, index, zone=zone),
                f"{allocation.energy_wh[index] / 1000.0:.1f}",
                f"{allocation.shortfall_wh[index].sum() / 1000.0:.1f}",
            )
        )
    lines = _aligned(rows)
    lines.append("")
    lines += _aligned(
        [("circuit", "limit A", "L1", "L2", "L3", "fullest at"), *_circuit_rows(problem, allocation, zone)]
    )
    lines.append("")
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
                "energy_wh": float(allocation.energy_wh[index]),
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


def explanation_text(explanations: Sequence[Explanation], *, zone: tzinfo = UTC) -> str:
    """Return the sentences of one EVSE, each for as long as it holds."""
    lines: list[str] = []
    last = ""
    for item in explanations:
        if item.sentence != last:
            lines.append(f"{item.start.astimezone(zone):%a %H:%M}  {item.sentence}")
        last = item.sentence
    return "\n".join(lines)


def plot(problem: AllocationProblem, allocation: Allocation, path: Path, *, zone: tzinfo = UTC) -> None:
    """Draw the plan: power of each EVSE stacked, side loads below, and the import price."""
    from matplotlib import dates
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    times: Any = [time.astimezone(zone) for time in problem.grid.times]
    base_kw = np.maximum(problem.money.site_load_w, 0.0) / 1000.0
    power_kw = np.maximum(allocation.current_a, 0.0) * problem.evses.w_per_a[:, None] / 1000.0
    bottom = base_kw
    axes.stairs(base_kw, times, fill=True, color="0.8", label="building")
    for index, label in enumerate(allocation.evse_ids):
        top = bottom + power_kw[index]
        shown = label if len(allocation.evse_ids) <= 20 else None
        axes.stairs(top, times, baseline=bottom, fill=True, label=shown)
        bottom = top
    axes.set_ylabel("power [kW]")
    axes.set_xlim(times[0], times[-1])
    # matplotlib's dates are untyped.
    untyped: Any = dates
    axes.xaxis.set_major_locator(untyped.AutoDateLocator(tz=zone))
    axes.xaxis.set_major_formatter(untyped.DateFormatter("%H:%M", tz=zone))
    price = axes.twinx()
    price.stairs(problem.money.import_price_per_kwh, times, baseline=None, color="black", linewidth=1.0)
    price.set_ylabel("import price [per kWh]")
    price.set_ylim(bottom=0.0)
    axes.legend(loc="upper left", ncols=4, fontsize="small")
    figure.savefig(path)


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
        limit = f"{problem.circuits.limit_a[index][limited].min():g}" if limited.any() else "none"
        fullest = int(np.argmax(load_a[index].max(axis=0)))
        peaks = [f"{value:.1f}" for value in load_a[index].max(axis=1)]
        rows.append((label, limit, *peaks, f"{problem.grid.times[fullest].astimezone(zone):%H:%M}"))
    return rows


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]

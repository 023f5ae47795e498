"""``loadmgr plan --plot``: what everybody draws, stacked on the building, under the limit; and the price below."""

from datetime import UTC, timedelta, tzinfo
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps, dates
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from loadmgr.allocation import Allocation, AllocationProblem
from loadmgr.allocation.problem import NOMINAL_VOLTAGE_V

MOST_COLOURS = 20
"""So many colours can be told apart: with more sessions each circuit has one."""

_BUILDING, _BATTERY = "0.82", "#555577"

Powers = npt.NDArray[np.float64]


def plot(
    problem: AllocationProblem, allocation: Allocation, path: Path, *, zone: tzinfo = UTC, currency: str = "EUR"
) -> None:
    """Draw a plan and save the picture; the ending of ``path`` names the format."""
    plan_figure(problem, allocation, zone=zone, currency=currency).savefig(path, dpi=120)


def plan_figure(
    problem: AllocationProblem, allocation: Allocation, *, zone: tzinfo = UTC, currency: str = "EUR"
) -> Figure:
    """Return the picture: power of the building and of each session stacked, the limit above, the price below."""
    figure = Figure(figsize=(12.0, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4.0, 1.0])
    times: Any = [time.astimezone(zone) for time in problem.grid.times]
    top = _draw_power(above, problem, allocation, times)
    _draw_limit(above, problem, times, top=top)
    above.set_ylabel("power [kW]")
    columns = 1 if len(above.get_legend_handles_labels()[1]) <= 26 else 2
    handles, labels = above.get_legend_handles_labels()
    # Read from top to bottom as the stack is.
    above.legend(
        handles[::-1],
        labels[::-1],
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        ncols=columns,
        fontsize="small",
        frameon=False,
    )
    price = problem.money.import_price_per_kwh
    below.stairs(price, times, baseline=None, color="black", linewidth=1.2)
    below.set_ylabel(f"{currency}/kWh")
    below.set_ylim(min(float(price.min()) * 1.1, 0.0), max(float(price.max()) * 1.15, 0.01))
    below.grid(axis="y", color="0.9")
    # matplotlib's dates are untyped.
    untyped: Any = dates
    locator = untyped.AutoDateLocator(tz=zone)
    below.xaxis.set_major_locator(locator)
    below.xaxis.set_major_formatter(untyped.ConciseDateFormatter(locator, tz=zone))
    # A day's grid goes on after the last vehicle has left; an hour of nothing is enough to see that.
    there = np.flatnonzero((problem.evses.presence_ratio > 0.0).any(axis=0) | (allocation.battery_w != 0.0).any(axis=0))
    ends = times[int(there[-1]) + 1] + timedelta(hours=1) if there.size else times[-1]
    below.set_xlim(times[0], min(ends, times[-1]))
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_power(axes: Axes, problem: AllocationProblem, allocation: Allocation, times: Any) -> float:
    """Stack building, sessions and batteries; return the highest value drawn [kW]."""
    bottom = np.maximum(_building_kw(problem), 0.0)
    if bottom.any():
        axes.stairs(bottom, times, fill=True, color=_BUILDING, label="building")
    power_kw = allocation.current_a * problem.evses.w_per_a[:, None] / 1000.0
    shown: set[str] = set()
    for index, (label, colour) in enumerate(_colours(problem)):
        top = bottom + np.maximum(power_kw[index], 0.0)
        axes.stairs(
            top,
            times,
            baseline=bottom,
            fill=True,
            facecolor=colour,
            edgecolor="white",
            linewidth=0.3,
            label=None if label in shown else label,
        )
        shown.add(label)
        bottom = top
    charged = np.maximum(allocation.battery_w, 0.0).sum(axis=0) / 1000.0
    if charged.any():
        axes.stairs(bottom + charged, times, baseline=bottom, fill=True, color=_BATTERY, label="battery charges")
    fed = np.minimum(power_kw, 0.0).sum(axis=0) + np.minimum(allocation.battery_w, 0.0).sum(axis=0) / 1000.0
    if fed.any():
        axes.stairs(fed, times, baseline=0.0, fill=True, color="#99bb99", label="fed back")
    return float((bottom + charged).max(initial=0.0))


def _building_kw(problem: AllocationProblem) -> Powers:
    """Return what the plan reckons with beside vehicles: side loads of circuits, else the load of the site."""
    side_kw = problem.circuits.side_load_a.sum(axis=(0, 1)) * NOMINAL_VOLTAGE_V / 1000.0
    return side_kw if side_kw.any() else problem.money.site_load_w / 1000.0


def _colours(problem: AllocationProblem) -> list[tuple[str, Any]]:
    """Return label and colour of each session: its own, or where there are too many its circuit's."""
    palette = colormaps["tab20"]
    # The strong colours first, their pale twins after them.
    order = [*range(0, MOST_COLOURS, 2), *range(1, MOST_COLOURS, 2)]
    if problem.n_evses <= MOST_COLOURS:
        return [(label, palette(order[k])) for k, label in enumerate(problem.evses.ids)]
    used = sorted({int(c) for c in problem.evses.circuit})
    colour = {c: palette(order[k % MOST_COLOURS]) for k, c in enumerate(used)}
    count = {c: int((problem.evses.circuit == c).sum()) for c in used}
    return [
        (f"{problem.circuits.ids[int(c)]} ({count[int(c)]} sessions)", colour[int(c)]) for c in problem.evses.circuit
    ]


def _draw_limit(axes: Axes, problem: AllocationProblem, times: Any, *, top: float) -> None:
    """Draw what the grid connection carries, where its limit is on the picture or little above."""
    circuits = problem.circuits
    for index, (label, parent) in enumerate(zip(circuits.ids, circuits.parents, strict=True)):
        if parent is not None:
            continue
        limits = []
        if circuits.limit_a_applies[index].all():
            limits.append(circuits.limit_a[index].sum(axis=0) * NOMINAL_VOLTAGE_V / 1000.0)
        if circuits.limit_w_applies[index].all():
            limits.append(circuits.limit_w[index] / 1000.0)
        if limits:
            limit_kw = np.min(limits, axis=0)
            axes.stairs(limit_kw, times, baseline=None, color="#bb2222", linewidth=1.3, label=f"limit of {label}")
            top = max(top, float(limit_kw.max()))
    axes.set_ylim(top=top * 1.05 if top > 0.0 else 1.0)

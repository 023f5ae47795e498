"""The demo's report: one JSON document, and the card at the end."""

import json
import platform
import resource
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.panel import Panel
from rich.table import Table

TRIP_RATIO = 1.45
"""A breaker trips within an hour from 1.45 times its rated current (IEC 60898-1)."""


def quantile_ms(times_s: Sequence[float], share: float) -> float | None:
    """Return a quantile of times [s] in ms, or ``None`` where there are none.

    Examples
    --------
    >>> quantile_ms([0.001, 0.003, 0.002], 0.5)
    2.0
    """
    if not times_s:
        return None
    ordered = sorted(times_s)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000.0, 3)


def peak_memory_mb() -> float:
    """Return the peak memory of this process [MB]."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024.0 * 1024.0) if platform.system() == "Darwin" else peak / 1024.0, 1)


def exceeded(figures: Mapping[str, Any]) -> bool:
    """Return whether a limit was exceeded: beyond the reaction time, or so far that a breaker may trip."""
    return bool(figures["seconds_above_limit"] > 0.0 or figures["worst_overload_ratio"] > TRIP_RATIO)


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write a report as JSON, whole or not at all."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(report, indent=2, default=str) + "\n", encoding="utf-8")
    partial.replace(path)


def _limits_in_words(report: Mapping[str, Any]) -> str:
    raw, above = report["seconds_above_limit_raw"], report["seconds_above_limit"]
    if raw == 0.0:
        return "[green]never above a limit[/green]"
    worst = f"at worst {report['worst_overload_ratio']:.2f} times the fuse's rating"
    if exceeded(report):
        return f"[bold red]{above:g} s above a limit beyond the reaction time[/bold red], {raw:.1f} s in all, {worst}"
    return f"[green]0 s above a limit[/green] beyond the reaction time; {raw:.1f} s within it, {worst}"


def _outage_in_words(outage: Mapping[str, str]) -> str:
    killed = datetime.fromisoformat(outage["from"])
    if "until" not in outage:
        return f"killed at {killed:%H:%M}; the stations kept their own profiles"
    minutes = (datetime.fromisoformat(outage["until"]) - killed).total_seconds() / 60.0
    return f"killed at {killed:%H:%M}, back after {minutes:.0f} min; the stations kept their own profiles"


def card(report: Mapping[str, Any]) -> Panel:
    """Return the closing card of a demo."""
    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    delivered, asked = report["energy_delivered_wh"] / 1000.0, report["energy_requested_wh"] / 1000.0
    table.add_row("energy", f"{delivered:.1f} of {asked:.1f} kWh asked for")
    table.add_row("promises", f"{report['promises_kept']} of {report['promises_total']} kept")
    saved = report["cost_uncontrolled"] - report["cost"]
    money = f"{report['cost']:.2f} {report['currency']}; uncontrolled {report['cost_uncontrolled']:.2f}"
    table.add_row("cost", f"{money} ({'saves' if saved >= 0.0 else 'costs'} {abs(saved):.2f})")
    table.add_row(
        "peak", f"{report['peak_w'] / 1000.0:.1f} kW; uncontrolled {report['peak_uncontrolled_w'] / 1000.0:.1f}"
    )
    table.add_row("limits", _limits_in_words(report))
    for outage in report["controller_killed"]:
        table.add_row("controller", _outage_in_words(outage))
    table.add_row(
        "messages",
        f"{report['messages_in']:,} in, {report['messages_out']:,} out, {report['profiles_sent']:,} charging profiles",
    )
    if report["solve_ms_p50"] is not None:
        table.add_row(
            "plans",
            f"{report['solve_ms_p50']:.1f} ms in the middle, {report['solve_ms_p95']:.1f} ms at the 95th percentile",
        )
    hours = report["simulated_seconds"] / 3600.0
    return Panel(table, title=f"{report['site']}: {hours:.1f} h", title_align="left", box=box.ROUNDED, expand=False)

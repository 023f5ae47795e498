"""The figures of a fault campaign: one row for each site, and how often each fault struck."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from tests.campaigns.faults import SiteFault, WireFault
from tests.campaigns.harness import CampaignRun

OF_STATIONS = ("drops_link", "reboots", "reboots_and_forgets", "answers_late", "lies", "ignores_limits")
OTHERS = (
    "solver times out",
    "controller killed with a memory",
    "stations' clocks off",
    "runs over sockets",
    "restart staggered",
)
KINDS = (*OF_STATIONS, *(f.value for f in WireFault), *(f.value for f in SiteFault), *OTHERS)
"""Every kind of fault that a campaign has."""

WHOLE_CAMPAIGN = 300
"""Of so many seeds every kind of fault has to strike."""

Figures = dict[str, Any]


def figures_of(run: CampaignRun) -> Figures:
    """Return the figures of a run as JSON values."""
    return {
        "site": run.site,
        "seed": run.seed,
        "seconds_above_limit": run.limits.seconds_above_limit,
        "seconds_above_limit_raw": run.limits.seconds_above_limit_raw,
        "worst_overload_ratio": run.limits.worst_overload_ratio,
        "energy_wh": run.energy_wh,
        "sessions": len(run.booked),
        "sessions_wrong": sum(not each.right for each in run.booked),
        "booked_off_wh": max((each.lost_wh for each in run.booked), default=0.0),
        "decisions": run.decisions,
        "restarts": run.restarts,
        "struck": {what: count for what, count in run.struck.items() if count},
    }


def dead_kinds(runs: Iterable[Figures]) -> list[str]:
    """Return the kinds of fault that struck nobody in any of the runs."""
    struck = _struck(runs)
    return [kind for kind in KINDS if not struck[kind]]


def table(runs: list[Figures]) -> list[str]:
    """Return the figures of runs as lines for people."""
    out = [
        f"{'site':8} {'seeds':>5} {'s above limit':>13} {'raw s':>7} {'worst x rated':>13} {'kWh':>8} {'sessions':>8}"
        f" {'wrong':>5} {'worst Wh':>8} {'restarts':>8} {'decisions':>9}"
    ]
    for site in sorted({run["site"] for run in runs}):
        of_site = [run for run in runs if run["site"] == site]
        total: Counter[str] = Counter()
        for run in of_site:
            total.update({name: value for name, value in run.items() if isinstance(value, int | float)})
        worst = {name: max(run[name] for run in of_site) for name in ("worst_overload_ratio", "booked_off_wh")}
        out.append(
            f"{site:8} {len(of_site):5} {total['seconds_above_limit']:13.1f} {total['seconds_above_limit_raw']:7.1f}"
            f" {worst['worst_overload_ratio']:13.3f} {total['energy_wh'] / 1000.0:8.1f} {total['sessions']:8}"
            f" {total['sessions_wrong']:5} {worst['booked_off_wh']:8.1f} {total['restarts']:8} {total['decisions']:9}"
        )
    struck, seeds = _struck(runs), Counter(what for run in runs for what in run["struck"])
    out += ["", f"{'fault':32} {'struck':>8} {'in runs':>7}"]
    out += [f"{kind:32} {struck[kind]:8} {seeds[kind]:7}" for kind in KINDS]
    return out


def _struck(runs: Iterable[Figures]) -> Counter[str]:
    total: Counter[str] = Counter()
    for run in runs:
        total.update(run["struck"])
    return total

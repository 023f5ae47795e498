"""The plan in force as plain values, for a page: currents of EVSEs, loads of circuits, prices."""

import itertools
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from loadmgr.apps.process.site import SiteProcess
from loadmgr.control.decision import EvseView
from loadmgr.control.feedback.market import with_told
from loadmgr.model.series import TimeGrid
from loadmgr.model.tariff import prices
from loadmgr.model.topology import Site

Loads = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def plan_json(process: SiteProcess) -> dict[str, Any]:
    """Return the plan in force.

    Returns
    -------
    dict
        ``times`` of the steps (one more than there are steps), ``evses`` with currents [A per phase], ``circuits`` with
        the load on L1, L2, L3 [A] (building as it is assumed now, EVSEs as planned), ``price_per_kwh`` of each step.
        Every list is empty as long as nothing is planned.
    """
    none: dict[str, Any] = {"times": [], "evses": {}, "circuits": {}, "price_per_kwh": []}
    if not process.decided:
        return none
    view, site = process.controller.view(), process.site
    planned = [e for e in view.evses if e.plan_a]
    if not planned:
        return none
    grid = _grid(view.plan_times)
    drawn = {e.evse: _on_phases(site, e) for e in planned}
    circuits = {}
    for circuit in view.circuits:
        below = [drawn[e.id] for e in site.evses_under(circuit.circuit) if e.id in drawn]
        load = np.sum(below, axis=0) if below else np.zeros((3, len(grid)))
        circuits[circuit.circuit] = (load + np.array(circuit.building_a)[:, None]).round(2).tolist()
    return {
        "times": list(grid.times),
        "evses": {e.evse: list(e.plan_a) for e in planned},
        "circuits": circuits,
        "price_per_kwh": _prices(process, grid),
    }


def _grid(starts: Sequence[datetime]) -> TimeGrid:
    lengths = [int((b - a).total_seconds()) for a, b in itertools.pairwise(starts)]
    return TimeGrid(starts[0], (*lengths, lengths[-1] if lengths else 900))


def _on_phases(site: Site, view: EvseView) -> Loads:
    evse = site.evse_by_id[view.evse]
    known = None if view.known is None else view.known.phases
    used = evse.phases if known is None else [evse.phases[i] for i in known]
    out = np.zeros((3, len(view.plan_a)))
    for phase in used:
        out[int(phase)] = view.plan_a
    return out


def _prices(process: SiteProcess, grid: TimeGrid) -> list[float]:
    tariff = process.site_file.tariff
    try:
        return [] if tariff is None else with_told(prices(tariff, grid), process.controller.heard.prices_per_kwh, grid)
    except ValueError:
        return []  # the tariff ends before the plan does

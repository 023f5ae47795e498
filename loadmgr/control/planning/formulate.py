"""From what is known to the question that is put to the allocation: the one place where a limit becomes an upper bound.

Rules
-----
1. Only an EVSE that obeys and has a transaction is planned. Everybody else is load: what has to be assumed of it hangs
   on its circuit like a side load.
2. Side loads count at their worst, or at what the meter shows where that is more: leases outlive the controller.
3. The site's own limits carry what who takes the place of a vehicle may draw, because leases end with a transaction.
"""

import itertools
import math
from dataclasses import replace
from datetime import datetime

import numpy as np

from loadmgr.allocation import (
    AllocationProblem,
    ChargingRequest,
    CircuitLimits,
    SiteMoney,
    build_money,
    build_problem,
)
from loadmgr.control.alarm import Severity
from loadmgr.control.feedback.market import with_told
from loadmgr.control.feedback.peaks import demand_charges
from loadmgr.control.planning.battery import can_plan, commanded, loads_a, with_reading
from loadmgr.control.planning.kept import kept_for_starts
from loadmgr.control.planning.network import Floats, battery_at, feed_of_evse, phase_limits_a, with_cabinets
from loadmgr.control.planning.plan import Plan
from loadmgr.control.planning.requests import controllable, sound_request
from loadmgr.control.planning.scarcity import scarce_circuits
from loadmgr.control.safety.circuits import side_loads_below, whole_limit_w
from loadmgr.control.safety.envelope import Envelope, constant
from loadmgr.control.safety.starts import steps_a
from loadmgr.control.settings import ControlSettings
from loadmgr.control.situation import Situation
from loadmgr.control.state import SiteState
from loadmgr.model.carbon import Carbon, intensity_g_per_kwh
from loadmgr.model.series import TimeGrid
from loadmgr.model.tariff import export_prices, prices
from loadmgr.model.topology import Phase


def plan_grid(now: datetime, settings: ControlSettings) -> TimeGrid:
    """Return the steps of a plan: the first ends on the clock, so that later ones begin where prices change."""
    start = now.replace(microsecond=0)
    into_s = int(start.timestamp()) % settings.fine_s
    first_s = settings.fine_s - into_s
    if first_s < 60:
        first_s += settings.fine_s
    durations = [first_s]
    elapsed = int(start.timestamp()) + first_s
    stages = [
        (settings.fine_steps - (first_s >= settings.fine_s), settings.fine_s),
        (settings.coarse_steps, settings.coarse_s),
        (settings.far_steps, settings.far_s),
    ]
    stages = [stage for stage in stages if stage[0] > 0]
    for (count, step_s), later in itertools.zip_longest(stages, stages[1:]):
        taken = 0
        # A coarser step begins on the clock, if the finer ones can get there at all.
        aligned = later is None or later[1] % step_s != 0
        while taken < count or not (aligned or elapsed % later[1] == 0):
            durations.append(step_s)
            elapsed += step_s
            taken += 1
    return TimeGrid(start, tuple(durations))


def formulate(
    state: SiteState,
    *,
    situation: Situation,
    previous: Plan | None,
    settings: ControlSettings,
    now: datetime,
) -> AllocationProblem:
    """Return the question of who gets what from now on; the program stays near the plan before where it can."""
    grid = plan_grid(now, settings)
    requests, fixed_a = _requests(state, situation, previous, settings=settings, grid=grid, now=now)
    scarce = scarce_circuits(state.short_at, now)
    planned = [b for b, _, _ in commanded(state) if can_plan(state, b, now)]
    unplanned_w = {name: w for name, w in situation.batteries_w.items() if name not in {b.id for b in planned}}
    reckoned_a = situation.with_batteries_a(loads_a(state, unplanned_w))
    kept = None if state.site.failsafe.reserve_starts is None else kept_for_starts(state, situation, now)
    circuits, below = [], side_loads_below(state.site, reckoned_a)
    for circuit in state.site.circuits:
        side_load = np.array(reckoned_a.get(circuit.id, (0.0, 0.0, 0.0))) + fixed_a.get(circuit.id, np.zeros(3))
        held = situation.limits[circuit.id]
        limit_a = phase_limits_a(state.site, circuit, held.limit_a, side_load)
        limit_w = whole_limit_w(state.site, circuit.id, held, below)
        if kept is not None:
            limit_a, limit_w = kept.left_of(circuit, limit_a, limit_w)
        circuits.append(
            CircuitLimits(
                id=circuit.id,
                parent=circuit.parent,
                limit_a=limit_a,
                limit_w=limit_w,
                side_load_a=side_load,
                scarce=circuit.id in scarce,
                lasting_a=circuit.limit_a,
                lasting_w=circuit.limit_w,
            )
        )
    tree = with_cabinets(state.site, circuits, fixed_a=fixed_a, scarce=scarce)
    money = _money(state, situation, grid=grid, now=now)
    batteries = [battery_at(with_reading(state, battery)) for battery in planned]
    return build_problem(grid, circuits=tree, requests=requests, money=money, batteries=batteries)


def _requests(
    state: SiteState,
    situation: Situation,
    previous: Plan | None,
    *,
    settings: ControlSettings,
    grid: TimeGrid,
    now: datetime,
) -> tuple[list[ChargingRequest], dict[str, Floats]]:
    """Return what is asked for, and what must be assumed of everybody else [A on L1, L2, L3] by circuit."""
    feeds = feed_of_evse(state.site)
    requests: list[ChargingRequest] = []
    fixed_a: dict[str, Floats] = {}
    window_s = (now.timestamp(), now.timestamp() + state.site.failsafe.lease_s)
    each_is_kept = state.site.failsafe.reserve_starts is None
    for evse in state.site.evses:
        record, load = state.evses[evse.id], situation.assumed[evse.id]
        charging = controllable(state, record)
        if load.next_phases and each_is_kept:
            _add(fixed_a.setdefault(feeds[evse.id], np.zeros(3)), load.next_envelope, load.next_phases, window_s)
        if load.over_a:
            _add(fixed_a.setdefault(feeds[evse.id], np.zeros(3)), constant(load.over_a), load.phases, window_s)
        if charging is not None:
            request = sound_request(state, record, charging, settings=settings, grid=grid, now=now)
            if each_is_kept and load.next_envelope.limits_a != (0.0,):
                request = replace(request, kept_a=load.next_envelope.over(*window_s))
            if settings.peak_hours:
                request = replace(request, max_a=steps_a(state, record, request.max_a, settings=settings, grid=grid))
            before = None if previous is None else previous.resampled_a(evse.id, charging.transaction, grid)
            if before is not None or feeds[evse.id] != request.circuit:
                request = replace(request, circuit=feeds[evse.id], previous_a=before)
            requests.append(request)
            continue
        _add(fixed_a.setdefault(feeds[evse.id], np.zeros(3)), load.envelope, load.phases, window_s)
    return requests, fixed_a


def _add(own_a: Floats, envelope: Envelope, phases: tuple[Phase, ...], window_s: tuple[float, float]) -> None:
    amps = envelope.over(*window_s)
    for phase in phases:
        own_a[phase] += amps


def _money(state: SiteState, situation: Situation, *, grid: TimeGrid, now: datetime) -> SiteMoney:
    """Return prices, carbon and demand charges over the plan, and the power of the building."""
    building_w = math.fsum(math.fsum(a) for a in situation.side_loads.measured_a.values()) * state.site.voltage_v
    carbon = None if state.tariff is None else state.tariff.carbon
    carbon_g = None if carbon is None else _carbon_g(state, carbon, grid, now)
    return build_money(
        grid,
        carbon_g_per_kwh=carbon_g,
        carbon_price_per_kg=0.0 if carbon is None or carbon_g is None else carbon.price_per_kg,
        import_price_per_kwh=np.array(_prices(state, grid, now)),
        export_price_per_kwh=np.array(_export_prices(state, grid)),
        site_load_w=building_w,
        demand_charges=() if state.tariff is None else demand_charges(state.peaks, state.tariff, grid),
    )


def _carbon_g(state: SiteState, carbon: Carbon, grid: TimeGrid, now: datetime) -> list[float] | None:
    """Return the carbon intensity in each step; nothing, and an alarm, where the series does not reach so far."""
    try:
        found = intensity_g_per_kwh(carbon, grid)
    except ValueError as fault:
        state.alarms.raise_alarm(
            "no carbon intensity",
            "tariff",
            at=now,
            severity=Severity.NOTE,
            cause=f"the carbon intensity does not reach over the plan: {fault}",
            advice="load a newer series; until then plans look at money alone",
        )
        return None
    state.alarms.clear("no carbon intensity", "tariff", at=now)
    return found


def _export_prices(state: SiteState, grid: TimeGrid) -> list[float]:
    """Return what export earns in each step; nothing where the tariff does not say."""
    try:
        return [0.0] * len(grid) if state.tariff is None else export_prices(state.tariff, grid)
    except ValueError:  # a gap in the prices is an alarm of its own
        return [0.0] * len(grid)


def _prices(state: SiteState, grid: TimeGrid, now: datetime) -> list[float]:
    base, tariff = [0.0] * len(grid), state.tariff
    if tariff is not None:
        try:
            base = prices(tariff, grid)
        except ValueError as fault:
            state.alarms.raise_alarm(
                "no price",
                "tariff",
                at=now,
                severity=Severity.NOTE,
                cause=f"the tariff does not reach over the plan: {fault}",
                advice="load newer prices; until then every hour is planned as equally dear",
            )
        else:
            state.alarms.clear("no price", "tariff", at=now)
    return with_told(base, state.prices_per_kwh, grid)

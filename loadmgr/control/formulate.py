"""From what is known to the question that is put to the allocation: the one place where a limit becomes an upper bound.

Rules
-----
1. Only an EVSE that obeys and has a transaction is planned. Everybody else is load: what has to be assumed of it hangs
   on its circuit like a side load.
2. Side loads count at their worst, or at what the meter shows where that is more: leases outlive the controller.
3. A bound is the lowest of what the EVSE, the vehicle and the profiles of others allow, never raised to a minimum.
"""

import itertools
import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from loadmgr.allocation import (
    AllocationProblem,
    ChargingRequest,
    CircuitLimits,
    build_money,
    build_problem,
    require_energy,
    require_sound,
)
from loadmgr.control.acceptance import is_resting
from loadmgr.control.alarm import Severity
from loadmgr.control.assumption import Assumed, phases_reckoned, standing_of, vehicle_phases
from loadmgr.control.building import load_now_a
from loadmgr.control.circuits import Limits, side_loads_below, whole_limit_w
from loadmgr.control.deadline import due_at, is_urgent, ready_by, with_finish_wh
from loadmgr.control.decision import Standing
from loadmgr.control.limits import limits_now
from loadmgr.control.network import feed_of_evse, phase_limits_a, with_cabinets
from loadmgr.control.others import cap_of_others, caps_over
from loadmgr.control.override import BOOST_PRIORITY, order_of
from loadmgr.control.peaks import demand_charges
from loadmgr.control.plan import Plan
from loadmgr.control.profiles import minimum_a
from loadmgr.control.reserve import assumed_now
from loadmgr.control.scarcity import scarce_circuits
from loadmgr.control.sessions import TOLD_READINGS
from loadmgr.control.settings import ControlSettings
from loadmgr.control.starts import steps_a
from loadmgr.control.state import Charging, EvseRecord, SiteState
from loadmgr.control.wishes import alarm_impossible, alarm_late, without_wishes
from loadmgr.model.ids import CircuitId, EvseId
from loadmgr.model.series import TimeGrid
from loadmgr.model.tariff import prices
from loadmgr.model.topology import PhaseAmps, Trust
from loadmgr.model.units import SECONDS_PER_HOUR, floor_to_step

LEARNING_S = 180
"""How long a vehicle is offered what there is, once it is on, to see which phases it uses and how much it takes [s]."""

BEYOND_DEFAULT_WH = 60_000.0
"""What a vehicle of which nobody said anything may take beyond the default need when there is room [Wh]."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SideLoads:
    """Side loads of every circuit, those that hang on it itself [A].

    Parameters
    ----------
    measured_a : dict
        What the meter says now, or the worst case where none does.
    reckoned_a : dict
        The worst case, or what the meter says where that is more: what plans and pushes reckon with.
    """

    measured_a: dict[CircuitId, PhaseAmps]
    reckoned_a: dict[CircuitId, PhaseAmps]


def side_loads_now(state: SiteState, now: datetime) -> SideLoads:
    """Return the side loads of every circuit; a stale meter raises an alarm and leaves the worst case."""
    stale_after = {m.id: m.stale_after_s for m in state.site.meters}
    measured: dict[CircuitId, PhaseAmps] = {}
    reckoned: dict[CircuitId, PhaseAmps] = {}
    for circuit in state.site.circuits:
        at_meter, at_worst = np.zeros(3), np.zeros(3)
        for load in circuit.side_loads:
            now_a = load.worst_case_a
            estimate = state.buildings.get((circuit.id, load.id))
            if load.meter is not None and estimate is not None:
                now_a, fresh = load_now_a(
                    estimate, load.worst_case_a, now=now, stale_after_s=stale_after.get(load.meter, 0.0)
                )
                if not fresh:
                    _alarm_stale(state, load.meter, now)
            at_meter += np.array(now_a)
            at_worst += np.maximum(now_a, load.worst_case_a)
        if circuit.side_loads:
            measured[circuit.id] = (float(at_meter[0]), float(at_meter[1]), float(at_meter[2]))
            reckoned[circuit.id] = (float(at_worst[0]), float(at_worst[1]), float(at_worst[2]))
    return SideLoads(measured_a=measured, reckoned_a=reckoned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What holds at an instant: limits, side loads, and what has to be assumed of every EVSE."""

    limits: dict[CircuitId, Limits]
    side_loads: SideLoads
    assumed: dict[EvseId, Assumed]


def look(state: SiteState, now: datetime) -> Situation:
    """Return what holds now."""
    return Situation(
        limits=limits_now(state, now),
        side_loads=side_loads_now(state, now),
        assumed=assumed_now(state, now),
    )


def _alarm_stale(state: SiteState, meter: str, now: datetime) -> None:
    state.alarms.raise_alarm(
        "stale meter",
        meter,
        at=now,
        severity=Severity.WARNING,
        cause=f"meter {meter} gives no fresh readings; its side load counts with its worst case",
        advice="look at the meter and the way to it",
    )


def controllable(state: SiteState, record: EvseRecord) -> Charging | None:
    """Return the session of an EVSE that can be given a setpoint: it obeys, and a transaction runs."""
    return record.charging if standing_of(state, record) is Standing.OBEYING else None


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
    feeds = feed_of_evse(state.site)
    fixed: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
    requests = []
    window_s = (now.timestamp(), now.timestamp() + state.site.failsafe.lease_s)
    for evse in state.site.evses:
        record = state.evses[evse.id]
        charging = controllable(state, record)
        if charging is not None:
            request = _sound_request(state, record, charging, settings=settings, grid=grid, now=now)
            if settings.peak_hours:
                request = replace(request, max_a=steps_a(state, record, request.max_a, settings=settings, grid=grid))
            before = None if previous is None else previous.resampled_a(evse.id, charging.transaction, grid)
            request = replace(request, circuit=feeds[evse.id])
            requests.append(request if before is None else replace(request, previous_a=before))
            continue
        load = situation.assumed[evse.id]
        amps = load.envelope.over(*window_s)
        own = fixed.setdefault(feeds[evse.id], np.zeros(3))
        for phase in load.phases:
            own[phase] += amps
    scarce = scarce_circuits(state.short_at, now)
    circuits, below = [], side_loads_below(state.site, situation.side_loads.reckoned_a)
    for circuit in state.site.circuits:
        side_load = np.array(situation.side_loads.reckoned_a.get(circuit.id, (0.0, 0.0, 0.0)))
        side_load = side_load + fixed.get(circuit.id, np.zeros(3))
        held = situation.limits[circuit.id]
        circuits.append(
            CircuitLimits(
                id=circuit.id,
                parent=circuit.parent,
                limit_a=phase_limits_a(state.site, circuit, held.limit_a, side_load),
                limit_w=whole_limit_w(state.site, circuit.id, held, below),
                side_load_a=side_load,
                scarce=circuit.id in scarce,
            )
        )
    building_w = math.fsum(math.fsum(a) for a in situation.side_loads.measured_a.values()) * state.site.voltage_v
    money = build_money(
        grid,
        import_price_per_kwh=np.array(_prices(state, grid, now)),
        site_load_w=building_w,
        demand_charges=() if state.tariff is None else demand_charges(state.peaks, state.tariff, grid),
    )
    tree = with_cabinets(state.site, circuits, fixed_a=fixed, scarce=scarce)
    return build_problem(grid, circuits=tree, requests=requests, money=money)


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
    if state.prices_per_kwh is None:
        return base
    times = grid.times
    told = [state.prices_per_kwh.mean(a, b) for a, b in itertools.pairwise(times)]
    return [
        usual if price is None or not math.isfinite(price) else price for usual, price in zip(base, told, strict=True)
    ]


def _sound_request(
    state: SiteState,
    record: EvseRecord,
    charging: Charging,
    *,
    settings: ControlSettings,
    grid: TimeGrid,
    now: datetime,
) -> ChargingRequest:
    """Return what an EVSE asks for; where that makes no sense, what one asks for of whom nobody said anything."""
    fault = None
    try:
        request = _request(state, record, charging, settings=settings, grid=grid, now=now)
        require_sound(request)
    except ValueError as error:
        fault = error
        request = _request(state, record, without_wishes(charging), settings=settings, grid=grid, now=now)
    alarm_impossible(state.alarms, record.evse.id, fault, now=now)
    return request


def _request(
    state: SiteState,
    record: EvseRecord,
    charging: Charging,
    *,
    settings: ControlSettings,
    grid: TimeGrid,
    now: datetime,
) -> ChargingRequest:
    evse, site = record.evse, state.site
    need = _need(record, charging, settings=settings, now=now)
    require_energy(f"need of {evse.id}", need.full_wh)
    phases = vehicle_phases(record)
    max_a = np.minimum(
        _own_bound_a(state, record, charging, settings=settings, now=now), caps_over(state, record, grid)
    )
    most_w = float(max_a.max()) * site.voltage_v * phases_reckoned(record)
    departure = charging.departure
    alarm_late(state.alarms, evse.id, wanted_wh=need.wanted_wh, most_w=most_w, departure=departure, now=now)
    deadline = _deadline(charging, wanted_wh=need.wanted_wh, most_w=most_w, settings=settings, now=now)
    priority = 2 * charging.priority + _is_urgent(charging, need, most_w=most_w, settings=settings, now=now)
    order = order_of(record, now)
    if order is not None and order.boost:
        need = replace(need, wanted_wh=need.full_wh)
        priority = BOOST_PRIORITY
        deadline = min(deadline, _soonest(need, most_w=most_w, settings=settings, now=now))
    capped = order is not None and order.limit_a is not None
    on_for_s = None if record.on_since is None or capped else (now - record.on_since).total_seconds()
    off_for_s = None if record.off_since is None else (now - record.off_since).total_seconds()
    return ChargingRequest(
        id=evse.id,
        circuit=evse.circuit,
        session_id=charging.transaction,
        phases=tuple(int(p) + 1 for p in phases),
        voltage_v=site.voltage_v,
        min_a=max(minimum_a(state, record), charging.vehicle.min_a or 0.0),
        max_a=max_a,
        step_a=evse.step_a,
        departure=deadline,
        wanted_wh=need.wanted_wh,
        must_wh=need.must_wh,
        must_by=due_at(charging.need, now=now, late_s=settings.fine_s),
        full_wh=need.full_wh,
        delivered_wh=charging.ledger.delivered_wh,
        efficiency_ratio=evse.efficiency_ratio * phases_reckoned(record) / len(phases),
        priority=priority,
        pause_ok=state.stations[evse.station].station.zero_ok is not Trust.NO,
        keep_on_s=0.0 if on_for_s is None else max(0.0, settings.min_on_s - on_for_s),
        keep_off_s=0.0 if off_for_s is None else max(0.0, settings.min_off_s - off_for_s),
    )


def _soonest(need: "NeedLeft", *, most_w: float, settings: ControlSettings, now: datetime) -> datetime:
    """Return when a vehicle can be full at the earliest; of the next fine step at least."""
    left_s = 0.0 if most_w <= 0.0 else need.wanted_wh / most_w * SECONDS_PER_HOUR
    return now + timedelta(seconds=max(float(settings.fine_s), left_s))


def _leaves(charging: Charging, settings: ControlSettings) -> datetime:
    return charging.departure or charging.started + timedelta(seconds=settings.stay_s)


def _deadline(
    charging: Charging, *, wanted_wh: float, most_w: float, settings: ControlSettings, now: datetime
) -> datetime:
    return ready_by(
        _leaves(charging, settings),
        now=now,
        wanted_wh=wanted_wh,
        most_w=most_w,
        margin_s=settings.departure_margin_s,
        margin_ratio=settings.departure_margin_ratio,
        late_s=settings.fine_s,
    )


def _is_urgent(
    charging: Charging, need: "NeedLeft", *, most_w: float, settings: ControlSettings, now: datetime
) -> bool:
    """Return whether a vehicle goes first within its class; one that said nothing of its departure never does."""
    if charging.departure is None:
        return False
    return is_urgent(charging.departure, now=now, wanted_wh=need.wanted_wh, most_w=most_w, urgent_s=settings.urgent_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedLeft:
    """Energy still to deliver in tiers, each including the one before [Wh]."""

    must_wh: float
    wanted_wh: float
    full_wh: float


def _need(record: EvseRecord, charging: Charging, *, settings: ControlSettings, now: datetime) -> NeedLeft:
    delivered = charging.ledger.delivered_wh
    if charging.need is None:
        must, wanted = 0.0, max(0.0, settings.need_wh - delivered)
        full = max(wanted, settings.need_wh + BEYOND_DEFAULT_WH - delivered)
    else:
        must = max(0.0, charging.need.must_wh - delivered)
        wanted = with_finish_wh(charging.need.wanted_wh, delivered_wh=delivered)
        top = charging.need.wanted_wh if charging.need.full_wh is None else charging.need.full_wh
        full = max(wanted, top - delivered)
    if is_resting(record, now):
        # What it was asked to get stays promised, but it takes nothing: only what is left over is offered.
        return NeedLeft(must_wh=0.0, wanted_wh=0.0, full_wh=full)
    return NeedLeft(must_wh=must, wanted_wh=wanted, full_wh=full)


def is_unknown(record: EvseRecord, now: datetime) -> bool:
    """Return whether nobody has seen yet what a vehicle takes, and it is worth looking."""
    if record.charging is None or record.telling_readings >= TOLD_READINGS:
        return False
    return record.on_since is None or (now - record.on_since).total_seconds() < LEARNING_S


def upper_bound_a(
    state: SiteState, record: EvseRecord, charging: Charging, *, settings: ControlSettings, now: datetime
) -> float:
    """Return the most that an EVSE may be given [A]: installation, vehicle, what it takes, and others' profiles."""
    own_a, cap = _own_bound_a(state, record, charging, settings=settings, now=now), cap_of_others(state, record, now)
    return own_a if cap.limit_a is None else min(own_a, cap.limit_a)


def _own_bound_a(
    state: SiteState, record: EvseRecord, charging: Charging, *, settings: ControlSettings, now: datetime
) -> float:
    evse = record.evse
    bounds = [evse.max_infeed_a(state.site.voltage_v, phases_used=len(vehicle_phases(record)))]
    if charging.vehicle.max_a is not None:
        bounds.append(charging.vehicle.max_a)
    if record.accepts_a is not None:
        offered = floor_to_step(record.accepts_a + settings.unused_a, step=evse.step_a) + evse.step_a
        bounds.append(max(evse.min_a, offered))
    order = order_of(record, now)
    if order is not None and order.limit_a is not None:
        bounds.append(order.limit_a)
    return max(0.0, min(bounds))

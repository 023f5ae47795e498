"""A plan for sessions that are given, without any history: what a notebook or another system asks for.

The question is put as the controller puts it: its grid, its limits, its prices and charges, side loads at their worst
case; stationary batteries too, as they stand in the site file.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from loadmgr.allocation import AllocationProblem, ChargingRequest, CircuitLimits, build_money, build_problem
from loadmgr.control.feedback.peaks import PeakMemory, demand_charges
from loadmgr.control.planning.deadline import due_at
from loadmgr.control.planning.formulate import plan_grid
from loadmgr.control.planning.network import battery_at, feed_of_evse, phase_limits_a, with_cabinets
from loadmgr.control.settings import ControlSettings
from loadmgr.model.carbon import intensity_g_per_kwh
from loadmgr.model.ids import EvseId
from loadmgr.model.series import TimeGrid
from loadmgr.model.session import Session
from loadmgr.model.tariff import Tariff, export_prices, prices
from loadmgr.model.topology import Circuit, Site
from loadmgr.model.units import floor_to_step


def day_problem(
    site: Site,
    tariff: Tariff | None,
    sessions: Iterable[Session],
    *,
    at: datetime,
    settings: ControlSettings | None = None,
    background_w: Callable[[TimeGrid], Sequence[float]] | None = None,
) -> AllocationProblem:
    """Return the question of who gets what from ``at`` on.

    Parameters
    ----------
    site : Site
    tariff : Tariff, optional
        Without one every hour is as dear as any other.
    sessions : iterable of Session
        Vehicles that are there or will come; those that have left, or come after the plan's end, are left out.
    at : datetime
        When the plan starts, with zone.
    settings : ControlSettings, optional
    background_w : callable, optional
        What the site is expected to draw beside vehicles and batteries in each step of a grid [W], own generation
        subtracted; ``None`` for nothing. It counts for the bill and its peaks; circuits reckon with the worst case.

    Raises
    ------
    ValueError
        If a session names an EVSE that the site lacks, or a price series has a gap.

    Notes
    -----
    An EVSE is named by its id; where several sessions share it, by ``EVSE/session``.
    """
    chosen = settings or ControlSettings()
    grid = plan_grid(at, chosen)
    there = [s for s in sessions if _leaves(s, chosen) > at and s.arrival < grid.end]
    shared = Counter(s.evse for s in there)
    feeds = feed_of_evse(site)
    load_w = np.zeros(len(grid)) if background_w is None else np.array(background_w(grid))
    if tariff is None:
        money = build_money(grid, site_load_w=load_w)
    else:
        money = build_money(
            grid,
            import_price_per_kwh=np.array(prices(tariff, grid)),
            export_price_per_kwh=np.array(export_prices(tariff, grid)),
            site_load_w=load_w,
            carbon_g_per_kwh=None if tariff.carbon is None else intensity_g_per_kwh(tariff.carbon, grid),
            carbon_price_per_kg=0.0 if tariff.carbon is None else tariff.carbon.price_per_kg,
            demand_charges=demand_charges(PeakMemory(), tariff, grid),
        )
    return build_problem(
        grid,
        circuits=with_cabinets(site, [_limits(site, circuit) for circuit in site.circuits]),
        requests=[_request(site, s, feeds, shared=shared[s.evse] > 1, at=at, settings=chosen) for s in there],
        money=money,
        batteries=[battery_at(battery) for battery in site.batteries],
    )


def _leaves(session: Session, settings: ControlSettings) -> datetime:
    return session.departure or session.arrival + timedelta(seconds=settings.stay_s)


def _limits(site: Site, circuit: Circuit) -> CircuitLimits:
    side_load_a = np.sum([load.worst_case_a for load in circuit.side_loads], axis=0) + np.zeros(3)
    limit_a = phase_limits_a(site, circuit, circuit.limit_a, side_load_a)
    return CircuitLimits(
        id=circuit.id, parent=circuit.parent, limit_a=limit_a, limit_w=circuit.limit_w, side_load_a=side_load_a
    )


def _request(
    site: Site, session: Session, feeds: Mapping[EvseId, str], *, shared: bool, at: datetime, settings: ControlSettings
) -> ChargingRequest:
    evse = site.evse_by_id.get(EvseId(session.evse))
    if evse is None:
        raise ValueError(f"evse of session {session.id} must be one of {site.name}, got {session.evse}")
    vehicle = session.vehicle
    phases = evse.phases[: min(vehicle.phases or len(evse.phases), len(evse.phases))]
    max_a = evse.max_infeed_a(site.voltage_v, phases_used=len(phases))
    max_a = max_a if vehicle.max_a is None else min(max_a, vehicle.max_a)
    wanted_wh = settings.need_wh if session.need is None else session.need.wanted_wh
    full_wh = None if session.need is None else session.need.full_wh
    terms = session.discharge if evse.discharge_a > 0.0 else None
    room_wh = 0.0 if terms is None else terms.room_left_wh(session.delivered_wh, state_of_charge_ratio=None)
    return ChargingRequest(
        id=f"{evse.id}/{session.id}" if shared else evse.id,
        circuit=feeds[evse.id],
        session_id=session.id,
        phases=tuple(int(p) + 1 for p in phases),
        voltage_v=site.voltage_v,
        min_a=max(evse.min_a, vehicle.min_a or 0.0),
        max_a=max_a,
        step_a=evse.step_a,
        arrival=session.arrival if session.arrival > at else None,
        departure=_leaves(session, settings),
        wanted_wh=max(0.0, wanted_wh - session.delivered_wh),
        must_wh=0.0 if session.need is None else max(0.0, session.need.must_wh - session.delivered_wh),
        must_by=due_at(session.need, now=max(at, session.arrival), late_s=settings.fine_s),
        full_wh=None if full_wh is None else max(0.0, full_wh - session.delivered_wh),
        delivered_wh=session.delivered_wh,
        efficiency_ratio=evse.efficiency_ratio,
        priority=session.priority,
        discharge_max_a=0.0 if terms is None else floor_to_step(min(evse.discharge_a, terms.max_a), step=evse.step_a),
        discharge_room_wh=room_wh,
        discharge_efficiency_ratio=1.0 if terms is None else terms.efficiency_ratio,
        discharge_price_per_kwh=0.0 if terms is None else terms.price_per_kwh,
    )

"""The site as the controller sees it, for people: built on demand, never read by the control itself."""

from datetime import datetime

import numpy as np

from loadmgr.control.assumption import Assumed, standing_of
from loadmgr.control.decision import CircuitView, EvseView, SessionView, SiteView
from loadmgr.control.formulate import Situation
from loadmgr.control.override import order_of
from loadmgr.control.readings import on_phases
from loadmgr.control.sessions import what_is_known
from loadmgr.control.state import Charging, EvseRecord
from loadmgr.control.station_view import outside_views, station_view
from loadmgr.control.words import Context, full_by, reason_of, w_per_a_of
from loadmgr.model.topology import Circuit, PhaseAmps


def site_view(context: Context, situation: Situation) -> SiteView:
    """Return the view of the site at the instant of a decision."""
    state = context.state
    return SiteView(
        at=context.now,
        evses=tuple(_evse_view(context, state.evses[e.id], situation.assumed[e.id]) for e in state.site.evses),
        circuits=tuple(_circuit_view(context, c, situation) for c in state.site.circuits),
        alarms=state.alarms.all_standing(),
        stations=tuple(
            station_view(state, r, settings=context.settings, now=context.now) for r in state.stations.values()
        ),
        limits=outside_views(state, context.now),
    )


def _evse_view(context: Context, record: EvseRecord, assumed: Assumed) -> EvseView:
    evse, plan = record.evse, context.plan
    charging, draw = record.charging, record.draw
    planned: tuple[tuple[datetime, float], ...] = ()
    if plan is not None and evse.id in plan.currents_a and charging is not None:
        planned = tuple(zip(plan.grid.times, plan.currents_a[evse.id].tolist(), strict=False))
    return EvseView(
        evse=evse.id,
        station=evse.station,
        number=evse.number,
        standing=standing_of(context.state, record),
        state=record.state,
        session=None if charging is None else session_view(context, record, charging),
        setpoint_a=context.targets_a.get(evse.id),
        held_a=context.held_a[evse.id],
        assumed_a=on_phases(assumed.phases, assumed.envelope.at(context.now.timestamp())),
        measured_a=None if draw is None else draw.current_a,
        power_w=None if draw is None else draw.power_w,
        state_of_charge_ratio=record.state_of_charge_ratio,
        phases=None if record.phases_seen is None else len(record.phases_seen),
        reason=reason_of(context, record),
        plan=planned,
        known=what_is_known(record, context.now),
        override=order_of(record, context.now),
    )


def session_view(context: Context, record: EvseRecord, charging: Charging) -> SessionView:
    """Return a session as it stands."""
    wanted = None if charging.need is None else charging.need.wanted_wh
    delivered = charging.ledger.delivered_wh
    return SessionView(
        evse=record.evse.id,
        transaction=charging.transaction,
        id_token=charging.id_token,
        started=charging.started,
        ended=None,
        departure=charging.departure,
        wanted_wh=wanted,
        delivered_wh=delivered,
        expected_wh=delivered + _planned_wh(context, record, charging),
        full_by=None if wanted is None else full_by(context, record, charging, wanted),
        priority=charging.priority,
        source=charging.source,
    )


def _planned_wh(context: Context, record: EvseRecord, charging: Charging) -> float:
    plan = context.plan
    if plan is None or record.evse.id not in plan.currents_a:
        return 0.0
    drawn_ah = plan.charge_ah(record.evse.id, after=context.now, until=charging.departure)
    return float(drawn_ah[-1]) * w_per_a_of(context.state, record)


def _circuit_view(context: Context, circuit: Circuit, situation: Situation) -> CircuitView:
    state = context.state
    below = [c.id for c in state.site.circuits if any(up.id == circuit.id for up in state.site.path(c.id))]
    building = np.zeros(3)
    for name in below:
        building += np.array(situation.side_loads.measured_a.get(name, (0.0, 0.0, 0.0)))
    total, drawn = building.copy(), building.copy()
    for evse in state.site.evses_under(circuit.id):
        load = situation.assumed[evse.id]
        total += np.array(on_phases(load.phases, load.envelope.at(context.now.timestamp())))
        draw = state.evses[evse.id].draw
        if draw is not None:
            drawn += np.array(draw.current_a)
    meter = next((m for m in state.site.meters if m.circuit == circuit.id and m.id in state.meters), None)
    return CircuitView(
        circuit=circuit.id,
        limit_a=situation.limits[circuit.id].limit_a,
        building_a=_triple(building),
        assumed_a=_triple(total),
        measured_a=_triple(drawn) if meter is None else state.meters[meter.id].currents_a,
    )


def _triple(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> PhaseAmps:
    return (float(values[0]), float(values[1]), float(values[2]))

"""The site as the controller sees it, for people: built on demand, never read by the control itself."""

import math
from dataclasses import replace

from loadmgr.control.decision import CircuitView, EvseView, SessionView, SiteView
from loadmgr.control.feedback.habits import source_of
from loadmgr.control.feedback.readings import on_phases
from loadmgr.control.feedback.sessions import what_is_known
from loadmgr.control.outside.override import order_of
from loadmgr.control.planning.battery import battery_views, loads_a
from loadmgr.control.safety.assumption import Assumed, standing_of
from loadmgr.control.situation import Situation
from loadmgr.control.state import Charging, EndedSession, EvseRecord, SiteState
from loadmgr.control.station_view import outside_views, station_view
from loadmgr.control.words import Context, full_by, reason_of, w_per_a_of
from loadmgr.model.ids import CircuitId
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
        batteries=battery_views(state, context.plan, context.now),
        plan_times=() if context.plan is None else context.plan.grid.times[:-1],
    )


def measured_since(view: SiteView, state: SiteState) -> SiteView:
    """Return a view with what was measured since the decision that it is of; reasons and forecasts are that one's."""
    return replace(
        view,
        evses=tuple(_as_measured(e, state.evses[e.evse]) for e in view.evses),
        circuits=tuple(replace(c, measured_a=_measured_a(state, c.circuit, c.building_a)) for c in view.circuits),
        alarms=state.alarms.all_standing(),
    )


def _as_measured(view: EvseView, record: EvseRecord) -> EvseView:
    draw, charging, session = record.draw, record.charging, view.session
    if session is not None and charging is not None and charging.ledger.delivered_wh != session.delivered_wh:
        delivered_wh = charging.ledger.delivered_wh
        expected_wh = max(session.expected_wh, delivered_wh)
        session = replace(session, delivered_wh=delivered_wh, expected_wh=expected_wh)
    drawn_a, drawn_w = (None, None) if draw is None else (draw.current_a, draw.power_w)
    charge_ratio = record.state_of_charge_ratio
    export_a = (0.0, 0.0, 0.0) if draw is None else draw.export_a
    known = (view.measured_a, view.power_w, view.state_of_charge_ratio, view.export_a)
    if session is view.session and known == (drawn_a, drawn_w, charge_ratio, export_a):
        return view
    return replace(
        view,
        session=session,
        measured_a=drawn_a,
        power_w=drawn_w,
        state_of_charge_ratio=charge_ratio,
        export_a=export_a,
    )


def _evse_view(context: Context, record: EvseRecord, assumed: Assumed) -> EvseView:
    evse, plan = record.evse, context.plan
    charging, draw = record.charging, record.draw
    planned_a: tuple[float, ...] = ()
    if plan is not None and evse.id in plan.currents_a and charging is not None:
        planned_a = tuple(plan.currents_a[evse.id].tolist())
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
        plan_a=planned_a,
        discharge_a=context.discharges_a.get(evse.id, 0.0),
        export_a=(0.0, 0.0, 0.0) if draw is None else draw.export_a,
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
        source=source_of(context.state, charging),
    )


def ended_view(ended: EndedSession) -> SessionView:
    """Return a session that is over."""
    charging = ended.charging
    return SessionView(
        evse=ended.evse,
        transaction=charging.transaction,
        id_token=charging.id_token,
        started=charging.started,
        ended=ended.ended,
        departure=charging.departure,
        wanted_wh=None if charging.need is None else charging.need.wanted_wh,
        delivered_wh=charging.ledger.delivered_wh,
        expected_wh=charging.ledger.delivered_wh,
        full_by=None,
        priority=charging.priority,
        source=charging.source,
    )


def _planned_wh(context: Context, record: EvseRecord, charging: Charging) -> float:
    plan = context.plan
    if plan is None or record.evse.id not in plan.currents_a:
        return 0.0
    drawn_ah = plan.charge_ah(record.evse.id, after=context.now, until=charging.departure)
    planned_wh = float(drawn_ah[-1]) * w_per_a_of(context.state, record)
    if charging.need is None:
        return planned_wh
    # The last hour of a plan is a whole step, but nobody is given more than was asked for.
    most_wh = charging.need.wanted_wh if charging.need.full_wh is None else charging.need.full_wh
    return min(planned_wh, max(0.0, most_wh - charging.ledger.delivered_wh))


def _circuit_view(context: Context, circuit: Circuit, situation: Situation) -> CircuitView:
    state = context.state
    below = [c.id for c in state.site.circuits if circuit in state.site.path(c.id)]
    now_s = context.now.timestamp()
    building_a: PhaseAmps = (0.0, 0.0, 0.0)
    for name in below:
        building_a = _plus(building_a, situation.side_loads.measured_a.get(name, (0.0, 0.0, 0.0)))
    assumed_a = building_a
    coming: list[PhaseAmps] = []
    for evse in state.site.evses_under(circuit.id):
        load = situation.assumed[evse.id]
        assumed_a = _plus(assumed_a, on_phases(load.phases, load.envelope.at(now_s) + load.over_a))
        coming.append(on_phases(load.next_phases, load.next_envelope.at(now_s)))
    assumed_a = _plus(assumed_a, _coming_a(coming, state.site.failsafe.reserve_starts))
    for name, load_a in loads_a(state, situation.batteries_w).items():
        if name in below:
            assumed_a = _plus(assumed_a, load_a)
    return CircuitView(
        circuit=circuit.id,
        limit_a=situation.limits[circuit.id].limit_a,
        building_a=building_a,
        assumed_a=assumed_a,
        measured_a=_measured_a(state, circuit.id, building_a),
    )


def _measured_a(state: SiteState, circuit: CircuitId, building_a: PhaseAmps) -> PhaseAmps:
    """Return what the meter of a circuit last said; without one what everything below it draws."""
    meter = next((m for m in state.site.meters if m.circuit == circuit and m.id in state.meters), None)
    if meter is not None:
        return state.meters[meter.id].currents_a
    l1_a, l2_a, l3_a = building_a
    for evse in state.site.evses_under(circuit):
        draw = state.evses[evse.id].draw
        if draw is not None:
            net = [drawn - back for drawn, back in zip(draw.current_a, draw.export_a, strict=True)]
            l1_a, l2_a, l3_a = l1_a + net[0], l2_a + net[1], l3_a + net[2]
    for battery in state.site.batteries_under(circuit):
        reading = None if battery.id not in state.batteries else state.batteries[battery.id].reading
        if reading is not None:
            each_a = reading.power_w / (3.0 * state.site.voltage_v)
            l1_a, l2_a, l3_a = l1_a + each_a, l2_a + each_a, l3_a + each_a
    return l1_a, l2_a, l3_a


def _coming_a(each_a: list[PhaseAmps], starts: int | None) -> PhaseAmps:
    """Return what vehicles that plug in may draw: all of them, or as many as come at once."""
    ranked = [sorted(amps, reverse=True)[:starts] for amps in zip(*each_a, strict=True)] or [[], [], []]
    return (math.fsum(ranked[0]), math.fsum(ranked[1]), math.fsum(ranked[2]))


def _plus(one_a: PhaseAmps, other_a: PhaseAmps) -> PhaseAmps:
    return (one_a[0] + other_a[0], one_a[1] + other_a[1], one_a[2] + other_a[2])

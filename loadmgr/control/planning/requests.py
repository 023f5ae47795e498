"""What an EVSE asks for: the need, the deadline and the bound of its session, as far as they are known.

Rules
-----
1. A bound is the lowest of what the EVSE, the vehicle and the profiles of others allow, never raised to a minimum.
2. A wish that makes no sense counts as one of whom nobody said anything; the rest of the site is planned all the same.
"""

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from loadmgr.allocation import ChargingRequest, require_energy, require_sound
from loadmgr.control.decision import Standing
from loadmgr.control.feedback.acceptance import is_resting, slower_s
from loadmgr.control.feedback.habits import habit_of
from loadmgr.control.feedback.sessions import TOLD_READINGS
from loadmgr.control.outside.others import cap_of_others, caps_over
from loadmgr.control.outside.override import BOOST_PRIORITY, order_of
from loadmgr.control.planning.deadline import due_at, ready_by, spare_s, with_finish_wh
from loadmgr.control.planning.discharge import net_wh, with_discharge
from loadmgr.control.planning.wishes import alarm_impossible, alarm_late, without_wishes
from loadmgr.control.safety.assumption import is_raised, phases_reckoned, standing_of, vehicle_phases
from loadmgr.control.sending.form import pauses_at_zero
from loadmgr.control.sending.profiles import minimum_a
from loadmgr.control.settings import ControlSettings
from loadmgr.control.state import Charging, EvseRecord, SiteState
from loadmgr.model.ids import EvseId
from loadmgr.model.series import TimeGrid
from loadmgr.model.units import SECONDS_PER_HOUR, floor_to_step

LEARNING_S = 180
"""How long a vehicle is offered what there is, once it is on, to see which phases it uses and how much it takes [s]."""

BEYOND_DEFAULT_WH = 60_000.0
"""What a vehicle of which nobody said anything may take beyond the default need when there is room [Wh]."""


def controllable(state: SiteState, record: EvseRecord) -> Charging | None:
    """Return the session of an EVSE that a setpoint holds: it obeys, a transaction runs, and nobody lets more flow."""
    return record.charging if standing_of(state, record) is Standing.OBEYING and not is_raised(record) else None


def overruled_a(state: SiteState, *, settings: ControlSettings, now: datetime) -> dict[EvseId, float]:
    """Return the setpoints of EVSEs that others let draw more than a limit of ours [A per phase].

    It is all that they may have: they count with the installed maximum anyway, so less would help nobody.
    """
    out = {}
    for record in state.evses.values():
        if record.charging is None or not is_raised(record) or standing_of(state, record) is not Standing.OBEYING:
            continue
        most_a = upper_bound_a(state, record, record.charging, settings=settings, now=now)
        told_a = floor_to_step(most_a, step=record.evse.step_a)
        out[record.evse.id] = told_a if told_a >= minimum_a(state, record) else 0.0
    return out


def sound_request(
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
    need = _need(state, record, charging, settings=settings, now=now)
    require_energy(f"need of {evse.id}", need.full_wh)
    phases = vehicle_phases(record)
    own_a, caps_a = _own_bound_a(state, record, charging, settings=settings, now=now), caps_over(state, record, grid)
    max_a = min(own_a, caps_a) if isinstance(caps_a, float) else np.minimum(own_a, caps_a)
    most_w = float(np.max(max_a)) * site.voltage_v * phases_reckoned(record)
    departure = charging.departure
    _alarm_late(state, record, charging, need, most_w=most_w, now=now)
    w_per_a = site.voltage_v * phases_reckoned(record)
    tail_s = slower_s(record, need.wanted_wh, most_w=most_w, w_per_a=w_per_a) if settings.fits_tails else 0.0
    deadline = _deadline(
        state, charging, wanted_wh=need.wanted_wh, most_w=most_w, settings=_sooner(settings, math.ceil(tail_s)), now=now
    )
    charging.spare_s = _spare_s(departure, need, most_w=most_w, tail_s=tail_s, now=now)
    urgent = charging.spare_s is not None and charging.spare_s < settings.urgent_s
    priority = 2 * charging.priority + urgent
    order = order_of(record, now)
    if order is not None and order.boost:
        need = replace(need, wanted_wh=need.full_wh)
        priority = BOOST_PRIORITY
        deadline = min(deadline, _soonest(need, most_w=most_w, settings=settings, now=now))
    capped = order is not None and order.limit_a is not None
    on_for_s = None if record.on_since is None or capped else (now - record.on_since).total_seconds()
    off_for_s = None if record.off_since is None else (now - record.off_since).total_seconds()
    request = ChargingRequest(
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
        delivered_wh=max(0.0, net_wh(charging)),
        efficiency_ratio=evse.efficiency_ratio * phases_reckoned(record) / len(phases),
        priority=priority,
        pause_ok=pauses_at_zero(state.stations[evse.station]),
        keep_on_s=0.0 if on_for_s is None else max(0.0, settings.min_on_s - on_for_s),
        keep_off_s=0.0 if off_for_s is None else max(0.0, settings.min_off_s - off_for_s),
    )
    return with_discharge(state, record, charging, request, now=now)


def _alarm_late(
    state: SiteState, record: EvseRecord, charging: Charging, need: "NeedLeft", *, most_w: float, now: datetime
) -> None:
    evse, said = record.evse.id, charging.need
    wanted_wh = need.wanted_wh if said is None else min(need.wanted_wh, max(0.0, said.wanted_wh - net_wh(charging)))
    must_by = None if said is None else said.must_by
    for kind, missing_wh, by in (
        ("need out of reach", wanted_wh, charging.departure),
        ("must out of reach", need.must_wh, must_by),
    ):
        alarm_late(state.alarms, evse, kind, missing_wh=missing_wh, most_w=most_w, by=by, now=now)


def _sooner(settings: ControlSettings, by_s: int) -> ControlSettings:
    return replace(settings, departure_margin_s=settings.departure_margin_s + by_s) if by_s else settings


def _soonest(need: "NeedLeft", *, most_w: float, settings: ControlSettings, now: datetime) -> datetime:
    """Return when a vehicle can be full at the earliest; of the next fine step at least."""
    left_s = 0.0 if most_w <= 0.0 else need.wanted_wh / most_w * SECONDS_PER_HOUR
    return now + timedelta(seconds=max(float(settings.fine_s), left_s))


def _leaves(state: SiteState, charging: Charging, settings: ControlSettings) -> datetime:
    if charging.departure is not None:
        return charging.departure
    habit = habit_of(state, charging)
    return charging.started + timedelta(seconds=settings.stay_s if habit is None else habit.stay_s)


def _deadline(
    state: SiteState,
    charging: Charging,
    *,
    wanted_wh: float,
    most_w: float,
    settings: ControlSettings,
    now: datetime,
) -> datetime:
    return ready_by(
        _leaves(state, charging, settings),
        now=now,
        wanted_wh=wanted_wh,
        most_w=most_w,
        margin_s=settings.departure_margin_s,
        margin_ratio=settings.departure_margin_ratio,
        late_s=settings.fine_s,
    )


def _spare_s(
    departure: datetime | None, need: "NeedLeft", *, most_w: float, tail_s: float, now: datetime
) -> float | None:
    """Return for how long a vehicle can still pause [s]; of one that said nothing of its departure nobody knows."""
    left_s = None if departure is None else spare_s(departure, now=now, wanted_wh=need.wanted_wh, most_w=most_w)
    return None if left_s is None else left_s - tail_s


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedLeft:
    """Energy still to deliver in tiers, each including the one before [Wh]."""

    must_wh: float
    wanted_wh: float
    full_wh: float


def _need(
    state: SiteState, record: EvseRecord, charging: Charging, *, settings: ControlSettings, now: datetime
) -> NeedLeft:
    delivered = net_wh(charging)
    if charging.need is None:
        habit = habit_of(state, charging)
        usual_wh = settings.need_wh if habit is None else habit.energy_wh
        must, wanted = 0.0, max(0.0, usual_wh - delivered)
        full = max(wanted, usual_wh + BEYOND_DEFAULT_WH - delivered)
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

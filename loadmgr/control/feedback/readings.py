"""Readings of EVSEs and of the site's meters: draw, energy, phases, acceptance, obedience, building load.

Rules
-----
1. What flows now is judged by live readings alone; begin and end values of a transaction, and what was measured while
   the link was down, feed its ledger.
2. A current without a phase is taken as that of every phase in use (OCPP: the per-phase maximum), a power alone as
   spread over the phases in use. Powers of phases are currents of phases, at the nominal voltage.
3. A number that is none (infinite, or not a number) says nothing, and a meter that tells one goes stale.
4. Phases that a vehicle uses are believed when two readings in a row show them; a phase that is seen to carry current
   beyond those counts at once.
5. What is drawn above a limit and is no disobedience yet is drawn all the same: it counts beside the limit.
"""

import math
from dataclasses import replace
from datetime import datetime, timedelta

from loadmgr.control.alarm import Severity
from loadmgr.control.feedback.acceptance import note_tail
from loadmgr.control.feedback.building import Bounds, BuildingEstimate, after_reading, explained
from loadmgr.control.feedback.energy import (
    GAP_ALLOWANCE_WH,
    with_export_register,
    with_power,
    with_value,
)
from loadmgr.control.feedback.obedience import judge, tolerance_a
from loadmgr.control.feedback.peaks import fold_power
from loadmgr.control.feedback.plausible import TELLING_A, backwards_a, of_numbers
from loadmgr.control.feedback.sessions import TOLD_READINGS, adopt_session, max_power_w, restore
from loadmgr.control.observation import BatteryReading, EvseReading, SiteMeterReading
from loadmgr.control.planning.battery import bounds_w, fold_battery
from loadmgr.control.planning.phase_choice import refuse_switching
from loadmgr.control.safety.assumption import allowed_now_a, assumed_of, limit_now_a, vehicle_phases
from loadmgr.control.safety.holding import measured
from loadmgr.control.safety.rung import FORMS
from loadmgr.control.safety.skew import fold_stamp, is_history
from loadmgr.control.sending.ahead import goes_down, surely_offered_a
from loadmgr.control.sending.profiles import rate_unit
from loadmgr.control.settings import ControlSettings
from loadmgr.control.state import Draw, EvseRecord, MeterRecord, SiteState
from loadmgr.model.ids import CircuitId
from loadmgr.model.profile import RateUnit
from loadmgr.model.topology import Evse, Phase, PhaseAmps
from loadmgr.model.units import SECONDS_PER_HOUR

USED_PHASE_A = 0.5
"""A phase that carries more than this is in use [A]."""

MOST_INACCURATE_A = 0.25
"""A draw above its limit by less than this is of the meter's accuracy [A]."""

LONGEST_WAIT = timedelta(hours=1)
"""A live reading that is older by the station's clock did not wait: its clock is wrong."""


def fold_evse_reading(state: SiteState, record: EvseRecord, seen: EvseReading, settings: ControlSettings) -> None:
    """Fold what an EVSE measured into its record and its session's ledger."""
    station = state.stations[record.evse.station]
    seen = of_numbers(seen)
    if record.charging is None:
        adopt_session(state, record, station, seen)
        state.stirred = state.stirred or record.charging is not None
    if seen.measured_at is not None and is_history(state, station, seen.measured_at, at=seen.at):
        seen = replace(seen, live=False)
    _fold_energy(state, record, seen)
    if not seen.live:
        return
    seen = with_currents(seen, voltage_v=state.site.voltage_v)
    if seen.measured_at is not None:
        fold_stamp(state, station, seen.measured_at, at=seen.at)
    if seen.state_of_charge_ratio is not None:
        record.state_of_charge_ratio = seen.state_of_charge_ratio
    currents, fed_back = grid_currents_a(state, record, seen), _export_a(state, record, seen)
    if currents is None and not any(fed_back):
        return
    currents = currents or (0.0, 0.0, 0.0)
    before = record.draw
    power_w = None if seen.power_w is None else seen.power_w - (seen.export_w or 0.0)
    peak_a = max(*currents, backwards_a(state, record, seen))
    record.draw = Draw(at=seen.at, current_a=currents, peak_a=peak_a, power_w=power_w, export_a=fed_back)
    if record.charging is not None and max(currents) >= TELLING_A and record.telling_readings < TOLD_READINGS:
        record.telling_readings += 1
        if record.telling_readings == TOLD_READINGS:
            state.triggers.append(f"{record.evse.id} has shown what it is")
    if seen.currents_a is not None:
        _fold_phases(state, record, seen.currents_a)
    _judge(state, record, before, at=seen.at, settings=settings)
    _fold_acceptance(state, record, at=seen.at, settings=settings)


def with_currents(seen: EvseReading, *, voltage_v: float) -> EvseReading:
    """Return a reading with the currents that its powers of phases are, where it tells no currents."""
    told = seen.currents_a is not None or seen.current_a is not None
    if told or seen.powers_w is None or all(w is None for w in seen.powers_w):
        return seen
    one, two, three = (None if w is None else w / voltage_v for w in seen.powers_w)
    return replace(seen, currents_a=(one, two, three))


def grid_currents_a(state: SiteState, record: EvseRecord, seen: EvseReading) -> PhaseAmps | None:
    """Return what a reading says of the grid's phases [A], or ``None`` where it says nothing of current."""
    evse = record.evse
    if seen.currents_a is not None and any(a is not None for a in seen.currents_a):
        own = [max(0.0, a or 0.0) for a in seen.currents_a]
        if len(evse.phases) == 1:
            return on_phases(evse.phases, max(own))
        return _placed(evse, own)
    used = evse.phases if record.phases_seen is None else tuple(evse.phases[i] for i in record.phases_seen)
    if seen.current_a is not None:
        return on_phases(used, max(0.0, seen.current_a))
    if seen.power_w is not None:
        return on_phases(used, max(0.0, seen.power_w) / (state.site.voltage_v * len(used)))
    return None


def _export_a(state: SiteState, record: EvseRecord, seen: EvseReading) -> PhaseAmps:
    """Return what a reading says is fed back on the grid's phases [A]; nothing where the EVSE cannot."""
    evse = record.evse
    if evse.discharge_a <= 0.0:
        return (0.0, 0.0, 0.0)
    used = vehicle_phases(record)
    if seen.export_currents_a is not None:
        own = [max(0.0, a or 0.0) for a in seen.export_currents_a]
        return on_phases(evse.phases, max(own)) if len(evse.phases) == 1 else _placed(evse, own)
    if seen.export_w is not None:
        return on_phases(used, max(0.0, seen.export_w) / (state.site.voltage_v * len(used)))
    return (0.0, 0.0, 0.0)


def on_phases(phases: tuple[Phase, ...], current_a: float) -> PhaseAmps:
    """Return a current on each of the given grid phases [A]."""
    return (
        current_a if Phase.L1 in phases else 0.0,
        current_a if Phase.L2 in phases else 0.0,
        current_a if Phase.L3 in phases else 0.0,
    )


def _placed(evse: Evse, own_a: list[float]) -> PhaseAmps:
    placed = [0.0, 0.0, 0.0]
    for phase, current in zip(evse.phases, own_a, strict=False):
        placed[phase] = current
    return (placed[0], placed[1], placed[2])


def _fold_energy(state: SiteState, record: EvseRecord, seen: EvseReading) -> None:
    charging = record.charging
    if charging is None or (seen.transaction is not None and seen.transaction != charging.transaction):
        return
    max_w = max_power_w(state, record)
    hours = max(0.0, (seen.at - charging.ledger.at).total_seconds()) / SECONDS_PER_HOUR
    if seen.exported_wh is not None:
        most_wh = 1.1 * max_w * hours + GAP_ALLOWANCE_WH
        charging.ledger = with_export_register(charging.ledger, seen.exported_wh, most_wh=most_wh)
    if seen.energy_wh is not None:
        charging.ledger = with_value(
            charging.ledger, seen.energy_wh, measured_at=_measured_at(seen), at=seen.at, max_w=max_w
        )
    elif seen.power_w is not None and seen.live and charging.ledger.register_wh is None:
        charging.ledger = with_power(charging.ledger, seen.power_w, at=seen.at, max_w=max_w)


def _measured_at(seen: EvseReading) -> datetime | None:
    """Return when a register was read, by the station's clock as far as that can be: what waited looks new."""
    if not seen.live:
        return seen.measured_at
    fresh = seen.measured_at is not None and seen.at - seen.measured_at < LONGEST_WAIT
    return seen.measured_at if fresh else seen.at


def _fold_phases(state: SiteState, record: EvseRecord, own_a: tuple[float | None, float | None, float | None]) -> None:
    if record.charging is None or len(record.evse.phases) == 1:
        return
    if _may_switch(state, record):
        if record.phases_seen is not None:
            record.phases_seen, state.stirred = None, True
            record.holding.touched()
        return
    used = tuple(i for i, a in enumerate(own_a[: len(record.evse.phases)]) if a is not None and a > USED_PHASE_A)
    if record.phases_seen is not None and not set(used) <= set(record.phases_seen):
        if record.phases_lease == 1:
            refuse_switching(record)
        record.phases_seen = tuple(sorted({*record.phases_seen, *used}))
        record.holding.touched()
        state.stirred = True
        return
    if max((a or 0.0 for a in own_a), default=0.0) < TELLING_A:
        return
    if record.phases_seen is None and used == record.phases_hint:
        record.phases_seen = used
        record.holding.touched()
        state.stirred = True
    record.phases_hint = used


def _may_switch(state: SiteState, record: EvseRecord) -> bool:
    """Return whether the station may go from one phase to three by itself: some do under a limit in W (quirk 14).

    Then what is seen now says nothing of the next minute, and the EVSE counts on every phase that it can use.
    """
    station = state.stations[record.evse.station]
    said = None if station.capabilities is None else station.capabilities.switches_phases
    known = None if station.traits is None else station.traits.switches_phases
    unit = record.form.unit or rate_unit(station, record.evse)
    return unit is RateUnit.W and bool(said if known is None else known)


def _judge(
    state: SiteState, record: EvseRecord, before: Draw | None, *, at: datetime, settings: ControlSettings
) -> None:
    draw = record.draw
    if draw is None:
        return
    timing = state.site.timing
    allowed = allowed_now_a(state, record, at)
    followed = [s for s in record.holding.settling if at > s.since]
    held = limit_now_a(state, record, at)
    slack = tolerance_a(held, settings)
    measured(
        record.holding,
        peak_a=draw.peak_a,
        at=at,
        held_a=held,
        held_since=record.changed_at,
        settle_s=timing.settle_s,
        tolerance_a=slack,
    )
    state.stirred = state.stirred or bool(followed)
    for old in followed:
        if before is not None and before.peak_a > old.below_a + slack and draw.peak_a <= old.below_a + slack:
            record.obedience.proven = record.obedience.disobeying_since is None
    over_a = max(0.0, draw.peak_a - allowed) if draw.peak_a <= allowed + slack else 0.0
    record.draw = draw = replace(draw, over_a=round(over_a, 1) if over_a > MOST_INACCURATE_A else 0.0)
    if abs(draw.over_a - (0.0 if before is None else before.over_a)) > MOST_INACCURATE_A:
        state.stirred = True
    on = record.escalation
    changed = judge(
        record.obedience,
        peak_a=draw.peak_a,
        allowed_a=allowed,
        max_a=0.0 if on is not None and on.rung not in FORMS else record.evse.max_a,
        at=at,
        settings=settings,
    )
    evse = record.evse.id
    if record.obedience.disobeying_since is not None and draw.peak_a > allowed + slack:
        state.alarms.raise_alarm(
            "disobedient",
            evse,
            at=at,
            severity=Severity.DANGER,
            cause=f"{evse} draws {draw.peak_a:.1f} A although it is limited to {allowed:.1f} A"
            f"{'' if on is None else f'; it was tried {on.rung.value}'}",
            advice="it counts with its installed maximum until it obeys; other ways to limit, pause and stop it are"
            " tried in turn. If it goes on, switch it off and look at its own load balancing settings",
        )
    if changed:
        obeys = record.obedience.disobeying_since is None
        record.one_period = record.one_period or (not obeys and goes_down(record))
        if not obeys and before is not None:
            _put_down_to_vehicle(state, record, since=before.at)
        if obeys:
            state.alarms.clear("disobedient", evse, at=at)
            restore(record, state.stations[record.evse.station], keep=record.form.purpose)
            record.escalation = None
        state.triggers.append(f"{evse} {'obeys again' if obeys else 'ignores its limit'}")


def _put_down_to_vehicle(state: SiteState, record: EvseRecord, *, since: datetime) -> None:
    above = {c.id for c in state.site.path(record.evse.circuit)}
    for (circuit, _), estimate in state.buildings.items():
        if circuit in above:
            explained(estimate, since=since)


def _fold_acceptance(state: SiteState, record: EvseRecord, *, at: datetime, settings: ControlSettings) -> None:
    """Note what a vehicle takes when more is offered, once two readings agree; forget it when it takes all again."""
    draw = record.draw
    if record.charging is None or draw is None or record.holding.settling:
        return
    if record.changed_at is not None and at < record.changed_at + timedelta(seconds=state.site.timing.settle_s):
        return
    offered = surely_offered_a(state, record, at)
    if offered < record.evse.min_a:
        return
    if draw.peak_a < offered - settings.unused_a:
        record.low_readings += 1
        if record.low_readings >= 2:
            note_tail(record, record.charging.ledger.delivered_wh, draw.peak_a)
            known = record.accepts_a
            record.accepts_a = draw.peak_a
            if known is None or abs(known - draw.peak_a) > settings.unused_a:
                record.accepts_since = at
                state.triggers.append(f"{record.evse.id} takes {draw.peak_a:.1f} A of {offered:.1f} A")
        return
    record.low_readings = 0
    if record.accepts_a is not None and draw.peak_a > record.accepts_a + settings.unused_a / 2.0:
        record.accepts_a, record.accepts_since = None, None
        record.tail.clear()
        state.triggers.append(f"{record.evse.id} takes more than it did")


def fold_measured(state: SiteState, seen: SiteMeterReading | BatteryReading) -> None:
    """Fold what a meter of the site or a battery says."""
    if isinstance(seen, SiteMeterReading):
        fold_site_reading(state, seen)
    else:
        fold_battery(state, seen)


def fold_site_reading(state: SiteState, seen: SiteMeterReading) -> None:
    """Fold a reading of a site meter into its record and the loads that are known from it."""
    meter = next((m for m in state.site.meters if m.id == seen.meter), None)
    if meter is None:
        state.alarms.raise_unknown(
            "meter",
            seen.meter,
            at=seen.at,
            seen=f"meter {seen.meter} sends readings",
            advice="correct the id of the meter",
        )
        return
    if not all(math.isfinite(a) for a in seen.currents_a):
        return
    state.meters[meter.id] = MeterRecord(at=seen.at, currents_a=seen.currents_a)
    state.alarms.clear("stale meter", meter.id, at=seen.at)
    if state.tariff is not None and state.tariff.demand and meter.circuit == state.site.root.id:
        power_w = math.fsum(seen.currents_a) * state.site.voltage_v
        fold_power(state.peaks, state.tariff, power_w, at=seen.at, silent_s=meter.stale_after_s)
    for circuit in state.site.circuits:
        for load in circuit.side_loads:
            if load.meter == meter.id:
                estimate = state.buildings.setdefault((circuit.id, load.id), BuildingEstimate())
                vehicles = vehicle_bounds(state, meter.circuit, at=seen.at, like_s=meter.interval_s + 1.0)
                before = estimate.load_a
                after_reading(estimate, seen.currents_a, vehicles, at=seen.at)
                state.stirred = state.stirred or _matters(before, estimate.load_a, load.worst_case_a)


def _matters(before_a: PhaseAmps | None, after_a: PhaseAmps | None, worst_case_a: PhaseAmps) -> bool:
    """Return whether a side load is, or was, above the worst case that plans reckon with anyway."""
    return any(
        known is not None and any(a > worst for a, worst in zip(known, worst_case_a, strict=True))
        for known in (before_a, after_a)
    )


def vehicle_bounds(state: SiteState, circuit: CircuitId, *, at: datetime, like_s: float) -> Bounds:
    """Return what the vehicles and commanded batteries below a circuit draw at least and at most at an instant [A]."""
    low, high = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
    for evse in state.site.evses_under(circuit):
        record = state.evses[evse.id]
        lowest, highest = _bounds_of(state, record, at=at, like_s=like_s)
        for phase in Phase:
            low[phase] += lowest[phase]
            high[phase] += highest[phase]
    below = [b for b in state.site.batteries if any(up.id == circuit for up in state.site.path(b.circuit))]
    for battery in below:
        least_w, most_w = bounds_w(state, battery, at=at, like_s=like_s)
        for phase in Phase:
            low[phase] += least_w / (3.0 * state.site.voltage_v)
            high[phase] += most_w / (3.0 * state.site.voltage_v)
    return Bounds((low[0], low[1], low[2]), (high[0], high[1], high[2]))


def _bounds_of(state: SiteState, record: EvseRecord, *, at: datetime, like_s: float) -> tuple[PhaseAmps, PhaseAmps]:
    draw, changed = record.draw, record.changed_at
    settle = timedelta(seconds=state.site.timing.settle_s)
    if (
        draw is not None
        and record.charging is not None
        and abs((at - draw.at).total_seconds()) <= like_s
        and (changed is None or draw.at >= changed + settle)
    ):
        net = tuple(drawn - back for drawn, back in zip(draw.current_a, draw.export_a, strict=True))
        return (net[0], net[1], net[2]), (net[0], net[1], net[2])
    assumed = assumed_of(state, record, at)
    may_feed_back = record.charging is not None and record.charging.discharge is not None
    back_a = record.evse.discharge_a if may_feed_back else 0.0
    return on_phases(assumed.phases, -back_a), on_phases(assumed.phases, assumed.envelope.at(at.timestamp()))

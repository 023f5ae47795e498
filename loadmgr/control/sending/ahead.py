"""What a lease does by itself: the plan's next steps as further periods of the same profile.

Rules
-----
1. Later periods only go down. A lease of several periods is nowhere above the lease of one period that was found to
   fit, with the controller alive or dead; a rise is always sent live, when it is due and when it fits.
2. What a fall sets free counts only after the station's clock skew and the time to settle, and only of EVSEs with a
   proven record of obeying: nobody acknowledges it. One that was found to disobey under such a lease gets no other.
3. What a plan says of later is often changed before it comes, and each change would be a write more: so only the next
   falls count, and a pause that lasts.
4. A fall comes a little later than planned, so that the plan that is made at that instant can still put it off in time.
5. One that ends below the fallback lasts as long as such a lease does.
"""

import math
from datetime import datetime

from loadmgr.control.planning.plan import Plan
from loadmgr.control.safety.assumption import limit_now_a, lowest_ahead_a, w_per_a_at_worst
from loadmgr.control.safety.skew import skew_s
from loadmgr.control.sending.budget import may_pause
from loadmgr.control.sending.profiles import Falls, is_lasting, is_lease, rate_unit
from loadmgr.control.settings import ControlSettings
from loadmgr.control.state import EvseRecord, SiteState
from loadmgr.model.profile import ChargingSchedule, ProfilePurpose, RateUnit
from loadmgr.model.topology import CurrentType

FIRM_S = 900.0
"""So far ahead a plan is followed [s]: what it says of later is often changed before it comes, and would be a write."""

LASTING_S = 3600.0
"""Later than that only the end of charging counts: a pause of so long [s]."""

UNSAID_PERIODS = 6
"""Of a station that does not say how many periods a schedule may have: daily windows have as many."""

FALLS_LATE_S = 30.0
"""How much later than planned a lease goes down by itself [s]: the plan of that instant is made and sent by then."""


def planned_falls(
    state: SiteState,
    record: EvseRecord,
    plan: Plan | None,
    current_a: float,
    *,
    settings: ControlSettings,
    now: datetime,
) -> Falls:
    """Return where a lease that is sent now is to go down by itself."""
    most = min(settings.lease_periods, _periods(state, record)) - 1
    leased = record.form.purpose is ProfilePurpose.TX and not is_lasting(state, record)
    if plan is None or most < 1 or current_a <= 0.0 or not leased or not record.obedience.proven or record.one_period:
        return ()
    within_s = state.site.failsafe.lease_s - 2.0 * FALLS_LATE_S
    found = plan.falls_of(record.evse.id, current_a, now=now, within_s=within_s)
    if not may_pause(state, record, settings, now):
        found = [fall for fall in found if fall[1] >= record.evse.min_a]
    firm = [
        fall
        for fall in found
        if fall[0] <= FIRM_S or plan.rests(record.evse.id, now=now, after_s=fall[0], for_s=LASTING_S)
    ]
    return tuple((after_s + FALLS_LATE_S, fall_a) for after_s, fall_a in firm[:most])


def goes_down(record: EvseRecord) -> bool:
    """Return whether an EVSE holds a lease, or may, that goes down by itself."""
    held = [*record.holding.certain.values(), *(d.installed for d in record.holding.doubtful)]
    return any(is_lease(record, i.profile) and _falls(i.profile.schedules[0]) for i in held)


def _falls(schedule: ChargingSchedule) -> bool:
    first = schedule.periods[0].limit
    return first is not None and any(p.limit is not None and p.limit < first for p in schedule.periods[1:])


def least_ahead_a(state: SiteState, record: EvseRecord, now: datetime) -> float:
    """Return what an EVSE goes down to by itself before a plan of now is surely sent [A]; ``inf`` if it does not."""
    return lowest_ahead_a(state, record, now, ahead_s=FALLS_LATE_S) if goes_down(record) else math.inf


def surely_offered_a(state: SiteState, record: EvseRecord, now: datetime) -> float:
    """Return what an EVSE offers its vehicle at least, wherever its clock stands within its skew [A]."""
    held = limit_now_a(state, record, now)
    if goes_down(record):
        held = min(held, lowest_ahead_a(state, record, now, ahead_s=skew_s(state, record.evse.station)))
    return held * _least_ratio(state, record)


def _least_ratio(state: SiteState, record: EvseRecord) -> float:
    """Return how much of a limit as it is reckoned a vehicle surely gets.

    A limit in W is reckoned as if one phase at low voltage took all of it; what it offers at least is its share of
    every phase that the vehicle may use, at nominal voltage.
    """
    evse, station = record.evse, state.stations[record.evse.station]
    if (record.form.unit or rate_unit(station, evse)) is RateUnit.A:
        return 1.0
    direct = evse.current_type is CurrentType.DC
    phases = len(evse.phases if direct or record.phases_seen is None else record.phases_seen)
    return w_per_a_at_worst(state, record) / (state.site.voltage_v * phases)


def _periods(state: SiteState, record: EvseRecord) -> int:
    """Return how many periods a schedule may have on a station (ChargingScheduleMaxPeriods)."""
    station = state.stations[record.evse.station]
    said = [
        s.max_periods for s in (station.traits, station.capabilities) if s is not None and s.max_periods is not None
    ]
    return min(said, default=UNSAID_PERIODS)

"""Sessions from transactions: begun once, ended once, with what was declared for them or the site's defaults."""

from dataclasses import replace
from datetime import datetime, timedelta

from loadmgr.control.feedback.acceptance import is_resting
from loadmgr.control.feedback.declared import apply_declaration, declared_before
from loadmgr.control.feedback.energy import Ledger, with_register
from loadmgr.control.feedback.habits import note_stay
from loadmgr.control.feedback.late import completed, grows_since, take_late, wait_for
from loadmgr.control.observation import (
    EvseReading,
    EvseState,
    TransactionStarted,
    VehicleKnown,
)
from loadmgr.control.outside.override import bind_order
from loadmgr.control.planning.scarcity import note_departure
from loadmgr.control.planning.wishes import clear_wishes
from loadmgr.control.safety.skew import skew_s
from loadmgr.control.state import Charging, EndedSession, EvseRecord, LateSession, SiteState, StationRecord
from loadmgr.model.ids import TransactionId
from loadmgr.model.profile import ProfilePurpose
from loadmgr.model.session import EnergyNeed

QUEUED_S = 60
"""A start that is older than clocks explain, by so much, was queued [s]."""

RESUMED_S = 900
"""Within this time a new transaction with the same id token goes on with the session before [s]."""

TOLD_READINGS = 2
"""So many readings of a vehicle that draws tell its phases, and the most that it takes."""


def start_session(state: SiteState, record: EvseRecord, station: StationRecord, seen: TransactionStarted) -> None:
    """Open the session of a transaction, unless it runs or ran already."""
    if seen.transaction in station.ended:
        return
    if record.charging is not None:
        if record.charging.transaction == seen.transaction:
            _complete(state, record, seen)
            return
        # Only one can run on an EVSE: the end of the one before was lost.
        end_session(state, record, station, at=seen.at)
    ledger = Ledger(at=grows_since(record, seen), register_wh=seen.meter_wh)
    _open(state, record, seen.transaction, at=seen.at, id_token=seen.id_token, ledger=ledger)
    record.holding.inherited = _began_before(state, seen)


def _began_before(state: SiteState, seen: TransactionStarted) -> bool:
    """Return whether a transaction may have begun before this controller heard of its station's profiles.

    An update that proves it says no start; a start that was queued says an old one.
    """
    if seen.started_at is None:
        return True
    return (seen.at - seen.started_at).total_seconds() > 2 * skew_s(state, seen.station) + QUEUED_S


def adopt_session(state: SiteState, record: EvseRecord, station: StationRecord, seen: EvseReading) -> None:
    """Open a session for a transaction that a live reading names and whose start was never heard."""
    if seen.transaction is None or not seen.live or seen.transaction in station.ended or record.charging is not None:
        return
    _open(state, record, seen.transaction, at=seen.at, id_token=None, ledger=Ledger(at=seen.at))
    record.holding.inherited = True


def end_session(
    state: SiteState, record: EvseRecord, station: StationRecord, *, at: datetime, meter_wh: float | None = None
) -> None:
    """Close the session of an EVSE, with the register at its end where it was said."""
    charging = record.charging
    if charging is None:
        return
    if meter_wh is not None:
        max_w = max_power_w(state, record)
        charging.ledger = with_register(charging.ledger, meter_wh, at=at, max_w=max_w)
    resting = is_resting(record, at)
    note_departure(state, record, resting=resting, at=at)
    note_stay(state, charging, resting=resting, at=at)
    record.before = EndedSession(evse=record.evse.id, charging=charging, ended=at)
    state.ended.append(record.before)
    station.ended.append(charging.transaction)
    if meter_wh is None:
        wait_for(state, station, LateSession(evse=record.evse.id, charging=charging, ended=at))
    record.charging = None
    record.draw = None
    record.declared = None
    if record.state in (EvseState.CHARGING, EvseState.SUSPENDED_BY_STATION, EvseState.SUSPENDED_BY_VEHICLE):
        record.state = EvseState.FINISHING
    record.holding.transaction_over()
    restore(record, station, keep=None)
    if record.escalation is not None:
        record.escalation, record.form = None, station.form
        record.holding.ignores(record.form.ignored)
    record.phases_seen, record.phases_hint, record.telling_readings = None, None, 0
    record.accepts_a, record.accepts_since, record.low_readings = None, None, 0
    record.tail.clear()
    record.on_since, record.off_since = None, None
    record.state_of_charge_ratio = None
    record.refusals, record.retry_at, record.start_at = 0, None, None
    record.discharge_a, record.discharge_refused = 0.0, False
    state.alarms.clear("more than a limit refused", record.evse.id, at=at)
    clear_wishes(state.alarms, record.evse.id, now=at)
    record.phases_lease, record.phases_wanted = None, None
    record.phases_switched_at, record.phases_refused = None, False
    state.triggers.append(f"session at {record.evse.id} ended")


def restore(record: EvseRecord, station: StationRecord, *, keep: ProfilePurpose | None) -> None:
    """Have the fail-safe and the station maximum set again where limits took their place, but for one to be kept."""
    if ProfilePurpose.TX_DEFAULT in record.overwritten and keep is not ProfilePurpose.TX_DEFAULT:
        record.holding.reinstall = True
    if ProfilePurpose.CHARGE_POINT_MAX in record.overwritten and keep is not ProfilePurpose.CHARGE_POINT_MAX:
        station.maximum_asked = False
    record.overwritten = tuple(p for p in record.overwritten if p is keep)


def max_power_w(state: SiteState, record: EvseRecord) -> float:
    """Return the most that an EVSE can deliver [W]."""
    evse = record.evse
    if evse.max_w is not None:
        return evse.max_w / evse.efficiency_ratio
    return evse.max_a * state.site.voltage_v * 1.1 * len(evse.phases)


def _open(
    state: SiteState,
    record: EvseRecord,
    transaction: TransactionId,
    *,
    at: datetime,
    id_token: str | None,
    ledger: Ledger,
) -> None:
    late = take_late(state.stations[record.evse.station], transaction)
    charging = Charging(transaction=transaction, started=at, ledger=ledger, id_token=id_token) if late is None else late
    _go_on(record, charging, at=at)
    waiting = declared_before(record, transaction, at)
    if waiting is not None:
        apply_declaration(charging, waiting)
    record.charging = charging
    bind_order(record, transaction)
    record.changed_at = at  # what it draws now says nothing yet of what it is about to draw
    record.holding.touched()
    state.triggers.append(f"session at {record.evse.id} began")


def _go_on(record: EvseRecord, charging: Charging, *, at: datetime) -> None:
    """Let a session take over what was declared for the one before, if that is the same vehicle's.

    A station that loses its power mid-session ends the transaction and begins another; the driver says nothing new.
    """
    if charging.id_token is None:
        return  # whose it is may be told later; until then nobody knows whether it is the same
    before, record.before = record.before, None
    if before is None or before.charging.id_token != charging.id_token or charging.said_by:
        return
    if at - before.ended > timedelta(seconds=RESUMED_S):
        return
    old = before.charging
    charging.departure, charging.priority = old.departure, old.priority
    charging.vehicle, charging.discharge, charging.source = old.vehicle, old.discharge, old.source
    charging.said_by = dict(old.said_by)
    if old.need is not None:
        charging.need = less(old.need, old.ledger.delivered_wh)


def take_known(state: SiteState, record: EvseRecord, seen: VehicleKnown) -> None:
    """Take over what was found out about the running session; phases that the EVSE lacks are passed over."""
    charging = record.charging
    if charging is None or charging.transaction != seen.transaction:
        return
    before = _found_out(record, charging)
    if seen.delivered_wh is not None:
        charging.ledger = replace(charging.ledger, delivered_wh=max(0.0, seen.delivered_wh))
    if seen.phases and set(seen.phases) <= set(range(len(record.evse.phases))):
        record.phases_seen = tuple(sorted(set(seen.phases)))
        record.holding.touched()
    if seen.accepts_a is not None:
        record.accepts_a, record.accepts_since = max(0.0, seen.accepts_a), seen.accepts_since or seen.at
    if seen.told:
        record.telling_readings = max(record.telling_readings, TOLD_READINGS)
    record.on_since, record.off_since = seen.on_since or record.on_since, seen.off_since or record.off_since
    if _found_out(record, charging) != before:  # what is told again is no news
        state.triggers.append(f"{record.evse.id}: what is known of its session")


def _found_out(record: EvseRecord, charging: Charging) -> tuple[object, ...]:
    """Return what `what_is_known` tells of a session, to see whether it changed."""
    told, wh = record.telling_readings >= TOLD_READINGS, charging.ledger.delivered_wh
    seen = (wh, record.phases_seen, record.accepts_a, record.accepts_since, told)
    return (*seen, record.on_since, record.off_since)


def what_is_known(record: EvseRecord, at: datetime) -> VehicleKnown | None:
    """Return what was found out about the running session, for a controller that goes on with it."""
    if record.charging is None:
        return None
    return VehicleKnown(
        at=at,
        evse=record.evse.id,
        transaction=record.charging.transaction,
        delivered_wh=record.charging.ledger.delivered_wh,
        phases=record.phases_seen,
        accepts_a=record.accepts_a,
        accepts_since=record.accepts_since,
        told=record.telling_readings >= TOLD_READINGS,
        on_since=record.on_since,
        off_since=record.off_since,
    )


def less(need: EnergyNeed, delivered_wh: float) -> EnergyNeed:
    """Return what is left of a need once some of it was delivered."""
    return EnergyNeed(
        must_wh=max(0.0, need.must_wh - delivered_wh),
        wanted_wh=max(0.0, need.wanted_wh - delivered_wh),
        full_wh=None if need.full_wh is None else max(0.0, need.full_wh - delivered_wh),
        must_by=need.must_by,
    )


def _complete(state: SiteState, record: EvseRecord, seen: TransactionStarted) -> None:
    """Fill in what an adopted session lacked; a repeat brings nothing new."""
    charging = record.charging
    if charging is None:
        return
    since = grows_since(record, seen)
    charging.ledger = completed(charging, seen, since=since, max_w=max_power_w(state, record))
    if charging.id_token is None and seen.id_token is not None:
        charging.id_token = seen.id_token
        _go_on(record, charging, at=charging.started)
        state.triggers.append(f"{record.evse.id}: whose session it is")

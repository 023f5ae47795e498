"""Fold one observation into what is known. Nothing is decided here, and nothing raises on what a station may say.

Rules
-----
1. An observation that cannot be (an unknown station, EVSE, circuit or meter) changes nothing but the alarms.
2. Repeats change nothing: a transaction starts once, a register counts differences, what has ended stays ended.
3. History that arrives late (``live`` is false) feeds the ledger and never the control.
"""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from loadmgr.control.alarm import Severity
from loadmgr.control.feedback.clock_estimate import ClockEstimate
from loadmgr.control.feedback.declared import declare, from_vehicle
from loadmgr.control.feedback.late import begin_late, end_late, evse_of_transaction, read_late
from loadmgr.control.feedback.readings import fold_evse_reading, fold_measured
from loadmgr.control.feedback.reported import fold_handed_over
from loadmgr.control.feedback.sessions import end_session, max_power_w, start_session
from loadmgr.control.observation import (
    BatteryReading,
    CommandAnswered,
    CompositeReported,
    EvseReading,
    EvseState,
    EvseStatus,
    ForeignProfiles,
    LimitChanged,
    Observation,
    OverrideSet,
    PriceUpdated,
    ProfilesReported,
    SessionDeclared,
    SiteMeterReading,
    SourceTrouble,
    StationBooted,
    StationCapabilities,
    StationConnected,
    StationDisconnected,
    StationTraits,
    TransactionEnded,
    TransactionStarted,
    VehicleDeclared,
    VehicleKnown,
)
from loadmgr.control.outside.foreign import fold_foreign
from loadmgr.control.outside.limits import fault_of
from loadmgr.control.outside.override import fold_override
from loadmgr.control.sending.answers import fold_answer, fold_composite
from loadmgr.control.sending.form import take_known_form
from loadmgr.control.settings import ControlSettings
from loadmgr.control.state import EvseRecord, SiteState, StationRecord
from loadmgr.model.ids import StationId
from loadmgr.model.profile import OcppVersion
from loadmgr.model.topology import Trust

MOSTLY_REPEATS = (EvseReading, SiteMeterReading, EvseStatus, TransactionStarted)
"""Kinds that mostly say what is known already: where they say something new, their own fold notes that."""


def fold(state: SiteState, observation: Observation, settings: ControlSettings) -> None:  # noqa: C901, PLR0912
    """Fold an observation into the state.

    Parameters
    ----------
    state : SiteState
        Changed in place.
    observation : Observation
    settings : ControlSettings
    """
    state.last_at = observation.at
    if not isinstance(observation, MOSTLY_REPEATS):
        state.stirred = True
    match observation:
        case StationConnected() | StationDisconnected() | StationBooted() | StationCapabilities() | StationTraits():
            _fold_station(state, observation)
        case EvseStatus():
            _fold_status(state, observation)
        case TransactionStarted():
            _fold_start(state, observation)
        case TransactionEnded():
            _fold_end(state, observation)
        case EvseReading():
            _fold_reading(state, observation, settings)
        case SiteMeterReading() | BatteryReading():
            fold_measured(state, observation)
        case SessionDeclared():
            _fold_declaration(state, observation)
        case VehicleDeclared():
            _fold_vehicle(state, observation)
        case PriceUpdated():
            state.prices_per_kwh = observation.prices_per_kwh
            state.triggers.append("prices changed")
        case LimitChanged() | SourceTrouble():
            _fold_outside(state, observation)
        case OverrideSet():
            fold_override(state, observation)
        case CommandAnswered():
            fold_answer(state, observation, settings)
        case CompositeReported():
            fold_composite(state, observation, settings)
        case ForeignProfiles():
            fold_foreign(state, known_station(state, observation.station, observation.at), observation)
        case ProfilesReported() | VehicleKnown():
            fold_handed_over(state, observation)
        case _:
            assert_never(observation)


def _fold_outside(state: SiteState, told: LimitChanged | SourceTrouble) -> None:
    if isinstance(told, LimitChanged):
        _fold_limit(state, told)
    elif told.cause is None:
        state.alarms.clear("source trouble", told.source, at=told.at)
    else:
        state.alarms.raise_alarm(
            "source trouble",
            told.source,
            at=told.at,
            severity=Severity.WARNING,
            cause=told.cause,
            advice=told.advice or "look at it and at the way to it",
        )


def known_station(state: SiteState, station: StationId, at: datetime) -> StationRecord | None:
    """Return a station's record and note that it spoke; raise an alarm where the site does not have it."""
    record = state.stations.get(station)
    if record is None:
        state.alarms.raise_unknown(
            "station",
            station,
            at=at,
            seen=f"station {station} is connected",
            advice="add it to the site file, or take it off this controller: its current is not limited",
        )
        return None
    return record


def _record_of(state: SiteState, station: StationRecord, number: int | None, at: datetime) -> EvseRecord | None:
    """Return the record of a station's EVSE; 0 and ``None`` mean its only one, where it has but one."""
    evses = state.site.evses_of(station.station.id)
    state.stirred = state.stirred or station.heard_at is None
    station.heard_at = at
    if not number:
        return state.evses[evses[0].id] if len(evses) == 1 else None
    evse = state.evse_of.get((station.station.id, number))
    if evse is None:
        state.alarms.raise_unknown(
            "EVSE",
            f"{station.station.id}/{number}",
            at=at,
            seen=f"station {station.station.id} speaks of EVSE {number}",
            advice="add the EVSE to the site file: its current is not limited",
        )
        return None
    return state.evses[evse]


def _record_told(state: SiteState, station: StationRecord, seen: EvseReading | EvseStatus) -> EvseRecord | None:
    """Return the record that is told of: where no EVSE is named, that of the transaction that is."""
    named = None
    if not seen.number and seen.transaction is not None:
        named = evse_of_transaction(state, station, seen.transaction)
    return _record_of(state, station, seen.number, seen.at) if named is None else named


def _fold_reading(state: SiteState, seen: EvseReading, settings: ControlSettings) -> None:
    station = known_station(state, seen.station, seen.at)
    record = None if station is None else _record_told(state, station, seen)
    if station is not None and record is not None:
        fold_evse_reading(state, record, seen, settings)
        read_late(station, seen, max_w=max_power_w(state, record))


def _fold_station(
    state: SiteState, seen: StationConnected | StationDisconnected | StationBooted | StationCapabilities | StationTraits
) -> None:
    record = known_station(state, seen.station, seen.at)
    if record is None:
        return
    match seen:
        case StationConnected():
            _connected(record, seen)
            state.alarms.clear("offline", seen.station, at=seen.at)
        case StationDisconnected():
            if record.connected:
                record.connected, record.disconnected_at = False, seen.at
                _alarm_offline(state, record, seen)
        case StationBooted():
            record.heard_at = seen.at
            if record.nameplate is not None:
                record.restarted_at = seen.at
            record.nameplate = seen
            _restarted(state, record)
        case StationCapabilities():
            record.capabilities = seen
            take_known_form(state, record)
        case StationTraits():
            if record.traits is not None and replace(seen, at=record.traits.at) == record.traits:
                return
            record.traits = seen
            take_known_form(state, record)
    state.triggers.append(f"station {seen.station} {_WHAT[type(seen)]}")


def _connected(record: StationRecord, seen: StationConnected) -> None:
    record.connected, record.seen, record.stood, record.behind = True, True, seen.stood, None
    record.version = seen.version
    record.connected_at, record.heard_at, record.retry_at = seen.at, None, None
    if seen.stood:
        record.clock = ClockEstimate()  # it was our clock that moved: what was learnt by the old time is void
    record.capabilities_asked, record.foreign_request = record.capabilities is not None, None


_WHAT: dict[type, str] = {
    StationConnected: "connected",
    StationDisconnected: "disconnected",
    StationBooted: "restarted",
    StationCapabilities: "said what it can do",
    StationTraits: "is of a known model",
}


def _alarm_offline(state: SiteState, record: StationRecord, seen: StationDisconnected) -> None:
    keeps = record.known.keeps_profiles is Trust.YES
    counted = "its lease and fail-safe" if keeps else "its installed maximum (it is not known to keep its profiles)"
    state.alarms.raise_alarm(
        "offline",
        seen.station,
        at=seen.at,
        severity=Severity.WARNING,
        cause=f"station {seen.station} is offline{f': {seen.reason}' if seen.reason else ''}; it counts with {counted}",
        advice="look at its network and power",
    )


def _restarted(state: SiteState, record: StationRecord) -> None:
    record.capabilities_asked, record.maximum_asked = False, False
    record.retry_at = record.foreign_request = None
    for evse in state.site.evses_of(record.station.id):
        holding = state.evses[evse.id].holding
        if record.known.keeps_profiles is Trust.YES:
            holding.restarted()
        else:
            holding.forgotten()


def _fold_status(state: SiteState, seen: EvseStatus) -> None:
    station = known_station(state, seen.station, seen.at)
    if station is None or seen.transaction in station.ended:
        return
    record = _record_told(state, station, seen)
    if record is None:
        return
    if record.charging is not None:
        if seen.state is EvseState.AVAILABLE and station.version is OcppVersion.V16:
            # Quirk 37: some stations never say that a transaction ended; without a cable there is none. In 2.x a
            # connector speaks, and the transaction may run on the other one of the EVSE.
            end_session(state, record, station, at=seen.at)
        elif seen.state in (EvseState.AVAILABLE, EvseState.PLUGGED_IN):
            return  # the transaction's own state is finer
    if seen.state is EvseState.AVAILABLE:
        record.before = None  # the vehicle has left
    if record.state is not seen.state:
        record.state = seen.state
        state.triggers.append(f"{record.evse.id} is {seen.state.value}")
    if seen.state is EvseState.FAULTED:
        state.alarms.raise_alarm(
            "faulted",
            record.evse.id,
            at=seen.at,
            severity=Severity.WARNING,
            cause=f"{record.evse.id} reports a fault{f': {seen.error}' if seen.error else ''}",
            advice="look at the station; until it is well its share stays reserved",
        )
    else:
        state.alarms.clear("faulted", record.evse.id, at=seen.at)


def _fold_start(state: SiteState, seen: TransactionStarted) -> None:
    station = known_station(state, seen.station, seen.at)
    if station is None:
        return
    running = evse_of_transaction(state, station, seen.transaction)
    if running is None:
        record = _record_of(state, station, seen.number, seen.at)
    elif not seen.number:
        record = running
    else:
        evse = state.evse_of.get((seen.station, seen.number))
        record = None if evse is None else state.evses[evse]
    if record is None:
        return
    if not seen.live:
        begin_late(state, record, station, seen)
        return
    start_session(state, record, station, seen)


def _fold_end(state: SiteState, seen: TransactionEnded) -> None:
    station = known_station(state, seen.station, seen.at)
    if station is None:
        return
    if seen.transaction is not None:
        record = evse_of_transaction(state, station, seen.transaction)
        if record is None:
            # Over before it was known here: remembered, so that a late start of it opens nothing.
            station.ended.append(seen.transaction)
            late = station.late.get(seen.transaction)
            if late is not None:
                end_late(state, station, seen, max_w=max_power_w(state, state.evses[late.evse]))
            return
    else:
        record = _record_of(state, station, seen.number, seen.at)
    if record is not None:
        end_session(state, record, station, at=seen.at, meter_wh=seen.meter_wh)


def _fold_vehicle(state: SiteState, seen: VehicleDeclared) -> None:
    station = known_station(state, seen.station, seen.at)
    record = None if station is None else _record_of(state, station, seen.number, seen.at)
    if record is not None:
        declare(state, record, from_vehicle(record, seen))


def _fold_declaration(state: SiteState, seen: SessionDeclared) -> None:
    record = state.evses.get(seen.evse)
    if record is None:
        state.alarms.raise_unknown(
            "EVSE",
            seen.evse,
            at=seen.at,
            severity=Severity.NOTE,
            seen=f"somebody declared a session at {seen.evse}",
            advice="correct the id of the EVSE",
        )
        return
    declare(state, record, seen)


def _fold_limit(state: SiteState, seen: LimitChanged) -> None:
    if seen.circuit not in state.site.circuit_by_id:
        state.alarms.raise_unknown(
            "circuit",
            seen.circuit,
            at=seen.at,
            seen=f"{seen.source} limits circuit {seen.circuit}",
            advice="correct the id of the circuit: this limit is not obeyed",
        )
        return
    key = (seen.circuit, seen.source)
    wrong = fault_of(seen)
    if wrong is not None:
        state.alarms.raise_alarm(
            "unusable limit",
            f"{seen.source} on {seen.circuit}",
            at=seen.at,
            severity=Severity.WARNING,
            cause=f"{seen.source} limits {seen.circuit}, but {wrong}: what it said before holds",
            advice="correct what it says",
        )
        return
    state.alarms.clear("unusable limit", f"{seen.source} on {seen.circuit}", at=seen.at)
    nothing = (seen.limit_a, seen.limit_w, seen.silent_limit_a, seen.silent_limit_w) == (None,) * 4
    if nothing:
        state.limits.pop(key, None)
    else:
        state.limits[key] = seen
    state.alarms.clear("silent source", seen.source, at=seen.at)

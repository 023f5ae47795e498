"""From messages of stations to observations: pure functions over payloads as they are on the wire.

Rules
-----
1. Nothing raises on a payload that its schema lets pass; what cannot be understood is left out.
2. ``at`` is when the message arrived. Times that a station writes are carried beside it.
3. Transaction ids are text in every version; ids of 0 and below mean "none" (quirk 37).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from loadmgr.bridge.foreign import foreign_profiles
from loadmgr.bridge.meter_values import Sampled, register_at, sampled
from loadmgr.bridge.v2x import phase_evses, setpoint_evses
from loadmgr.control.command import ClearProfile, Command, ReadBack, ReadCapabilities, ReadForeign, SetAvailability
from loadmgr.control.observation import (
    CommandAnswered,
    CompositeReported,
    EvseReading,
    EvseState,
    EvseStatus,
    ForeignProfiles,
    Observation,
    Outcome,
    StationBooted,
    StationCapabilities,
    TransactionEnded,
    TransactionStarted,
    VehicleDeclared,
)
from loadmgr.model.ids import StationId, TransactionId
from loadmgr.model.profile import ChargingSchedule, OcppVersion, RateUnit, SchedulePeriod
from ocpp_link.capabilities import read_answer
from ocpp_link.errors import CallExpired, CallTimeout, ConnectionLost, OcppError
from ocpp_link.numbers import as_number
from ocpp_link.timestamps import as_time

Payload = Mapping[str, Any]

_STATES_16 = {
    "Available": EvseState.AVAILABLE,
    "Preparing": EvseState.PLUGGED_IN,
    "Charging": EvseState.CHARGING,
    "SuspendedEV": EvseState.SUSPENDED_BY_VEHICLE,
    "SuspendedEVSE": EvseState.SUSPENDED_BY_STATION,
    "Finishing": EvseState.FINISHING,
    "Reserved": EvseState.RESERVED,
    "Unavailable": EvseState.UNAVAILABLE,
    "Faulted": EvseState.FAULTED,
}
_STATES_2X = {
    "Available": EvseState.AVAILABLE,
    "Occupied": EvseState.PLUGGED_IN,
    "Reserved": EvseState.RESERVED,
    "Unavailable": EvseState.UNAVAILABLE,
    "Faulted": EvseState.FAULTED,
}
_CHARGING_STATES = {
    "Charging": EvseState.CHARGING,
    "EVConnected": EvseState.PLUGGED_IN,
    "SuspendedEV": EvseState.SUSPENDED_BY_VEHICLE,
    "SuspendedEVSE": EvseState.SUSPENDED_BY_STATION,
}
_UNITS = {"a": RateUnit.A, "current": RateUnit.A, "w": RateUnit.W, "power": RateUnit.W}


def observations(
    action: str,
    payload: Payload,
    *,
    version: OcppVersion,
    station: StationId,
    at: datetime,
    transaction: str | None = None,
) -> tuple[Observation, ...]:
    """Return what a call of a station says.

    Parameters
    ----------
    action : str
        Name of the message, without Request or .req.
    payload : mapping
        As on the wire.
    version : OcppVersion
    station : StationId
    at : datetime
        When it arrived.
    transaction : str, optional
        The id that StartTransaction of 1.6 was answered with.
    """
    match action:
        case "BootNotification":
            return (_booted(payload, station, at),)
        case "StatusNotification":
            return _status(payload, version, station, at)
        case "StartTransaction":
            return _started_16(payload, station, at, transaction)
        case "StopTransaction":
            return _stopped_16(payload, station, at)
        case "MeterValues":
            evse = payload.get("connectorId" if version is OcppVersion.V16 else "evseId", 0)
            found = sampled(payload.get("meterValue"), received_at=at)
            named = _transaction_id(payload.get("transactionId"))
            return tuple(_readings(found, station, at, number_of=_whole(evse) or 0, transaction=named))
        case "TransactionEvent":
            return _transaction_event(payload, station, at)
        case "NotifyEVChargingNeeds":
            return _needs(payload, station, at)
        case "NotifyChargingLimit" | "ClearedChargingLimit" | "ReportChargingProfiles":
            return foreign_profiles(action, payload, version=version, station=station, at=at)
        case _:
            return ()


def answer(command: Command, payload: Payload, *, version: OcppVersion, at: datetime) -> tuple[Observation, ...]:
    """Return what the answer to a command says: how it ended first, then what it brought."""
    if isinstance(command, ReadCapabilities):
        return (_ended(command, Outcome.ACCEPTED, "", at), _capabilities(command, payload, version, at))
    status = str(payload.get("status", ""))
    if isinstance(command, ReadForeign):
        none = ForeignProfiles(at=at, station=command.station, number=0, source="", request=command.id, last=True)
        return (_ended(command, Outcome.ACCEPTED, "", at), *((none,) if status == "NoProfiles" else ()))
    reason = status
    info = payload.get("statusInfo")
    if isinstance(info, Mapping):
        reason = " ".join(str(info[k]) for k in ("reasonCode", "additionalInfo") if info.get(k))
    if isinstance(command, ReadBack):
        if status != "Accepted":
            return (_ended(command, Outcome.REJECTED, reason, at),)
        schedule = _composite(payload, version)
        reported = CompositeReported(
            at=at, command=command.id, station=command.station, number=command.number, schedule=schedule
        )
        return (_ended(command, Outcome.ACCEPTED, "", at), reported)
    accepted = status == "Accepted" or (status == "Unknown" and isinstance(command, ClearProfile))
    accepted = accepted or (status == "Scheduled" and isinstance(command, SetAvailability))
    refused = Outcome.TOO_OFTEN if is_too_often(payload) else Outcome.REJECTED
    outcome = Outcome.ACCEPTED if accepted else refused
    return (_ended(command, outcome, "" if accepted else reason, at),)


def is_too_often(payload: Payload) -> bool:
    """Return whether a station takes no more changes for now (2.1, K01.FR.56); later it takes the same."""
    info = payload.get("statusInfo")
    return isinstance(info, Mapping) and info.get("reasonCode") == "RateLimitExceeded"


def failure(command: Command, outcome: Outcome, reason: str, *, at: datetime) -> CommandAnswered:
    """Return how a command ended that got no proper answer."""
    return _ended(command, outcome, reason, at)


def outcome_of(error: OcppError) -> Outcome:
    """Return how a command ended whose call failed."""
    if isinstance(error, CallTimeout):
        return Outcome.TIMED_OUT
    return Outcome.LOST if isinstance(error, ConnectionLost | CallExpired) else Outcome.FAILED


def _ended(command: Command, outcome: Outcome, reason: str, at: datetime) -> CommandAnswered:
    return CommandAnswered(at=at, command=command.id, outcome=outcome, reason=reason)


def _whole(value: object) -> int | None:
    found = as_number(value)
    return int(found) if found is not None else None


def _transaction_id(value: object) -> TransactionId | None:
    if value is None or (isinstance(value, int) and value <= 0) or value in ("", "0", "-1"):
        return None
    return TransactionId(str(value))


def _booted(payload: Payload, station: StationId, at: datetime) -> StationBooted:
    described = payload.get("chargingStation")
    if isinstance(described, Mapping):
        return StationBooted(
            at=at,
            station=station,
            vendor=str(described.get("vendorName", "")),
            model=str(described.get("model", "")),
            firmware=described.get("firmwareVersion"),
            reason=payload.get("reason"),
        )
    return StationBooted(
        at=at,
        station=station,
        vendor=str(payload.get("chargePointVendor", "")),
        model=str(payload.get("chargePointModel", "")),
        firmware=payload.get("firmwareVersion"),
    )


def _status(payload: Payload, version: OcppVersion, station: StationId, at: datetime) -> tuple[Observation, ...]:
    if version is OcppVersion.V16:
        evse, state = _whole(payload.get("connectorId")), _STATES_16.get(str(payload.get("status")))
    else:
        evse, state = _whole(payload.get("evseId")), _STATES_2X.get(str(payload.get("connectorStatus")))
    if not evse or state is None:
        return ()  # connector 0 speaks of the station's controller, not of a place to charge
    code = payload.get("errorCode")
    return (
        EvseStatus(
            at=at,
            station=station,
            number=evse,
            state=state,
            error=None if code in (None, "NoError") else str(code),
        ),
    )


def _started_16(payload: Payload, station: StationId, at: datetime, transaction: str | None) -> tuple[Observation, ...]:
    named = _transaction_id(transaction)
    if named is None:
        return ()
    return (
        TransactionStarted(
            at=at,
            station=station,
            number=_whole(payload.get("connectorId")),
            transaction=named,
            id_token=payload.get("idTag"),
            meter_wh=as_number(payload.get("meterStart")),
            started_at=as_time(payload.get("timestamp")),
        ),
    )


def _stopped_16(payload: Payload, station: StationId, at: datetime) -> tuple[Observation, ...]:
    return (
        TransactionEnded(
            at=at,
            station=station,
            number=None,
            transaction=_transaction_id(payload.get("transactionId")),
            meter_wh=as_number(payload.get("meterStop")),
            ended_at=as_time(payload.get("timestamp")),
            reason=payload.get("reason"),
        ),
    )


def _readings(
    found: list[Sampled],
    station: StationId,
    at: datetime,
    *,
    number_of: int,
    transaction: TransactionId | None,
    live: bool = True,
) -> Iterable[EvseReading]:
    for position, sample in enumerate(found):
        yield EvseReading(
            at=at,
            station=station,
            number=number_of,
            transaction=transaction,
            currents_a=sample.currents_a,
            current_a=sample.current_a,
            power_w=sample.total_power_w,
            powers_w=sample.powers_w,
            energy_wh=sample.total_energy_wh,
            state_of_charge_ratio=sample.state_of_charge_ratio,
            offered_a=sample.offered_a,
            export_currents_a=sample.export_currents_a,
            export_w=sample.export_w,
            exported_wh=sample.exported_wh,
            measured_at=sample.measured_at,
            live=live and sample.live and position == len(found) - 1,
        )


def _transaction_event(payload: Payload, station: StationId, at: datetime) -> tuple[Observation, ...]:
    info = payload.get("transactionInfo")
    named = _transaction_id(info.get("transactionId")) if isinstance(info, Mapping) else None
    if named is None or not isinstance(info, Mapping):
        return ()
    evse = payload.get("evse")
    where = _whole(evse.get("id")) if isinstance(evse, Mapping) else None
    live = not payload.get("offline", False)
    token = payload.get("idToken")
    token_text = token.get("idToken") if isinstance(token, Mapping) else None
    found = sampled(payload.get("meterValue"), received_at=at)
    when = as_time(payload.get("timestamp"))
    readings = tuple(_readings(found, station, at, number_of=where or 0, transaction=named, live=live))
    if payload.get("eventType") == "Ended":
        ended = TransactionEnded(
            at=at,
            station=station,
            number=where,
            transaction=named,
            meter_wh=register_at(found, end=True),
            ended_at=when,
            reason=info.get("stoppedReason"),
            live=live,
        )
        return (*readings, ended)
    # An update proves that the transaction runs, whether or not its start was heard; a start is taken once.
    begun = TransactionStarted(
        at=at,
        station=station,
        number=where,
        transaction=named,
        id_token=token_text,
        meter_wh=register_at(found, end=False),
        started_at=when if payload.get("eventType") == "Started" else None,
        live=live,
    )
    state = _CHARGING_STATES.get(str(info.get("chargingState")))
    status: tuple[Observation, ...] = ()
    if state is not None and live:
        status = (EvseStatus(at=at, station=station, number=where or 0, state=state, transaction=named),)
    return (begun, *status, *readings)


def _needs(payload: Payload, station: StationId, at: datetime) -> tuple[Observation, ...]:
    needs, evse = payload.get("chargingNeeds"), _whole(payload.get("evseId"))
    if not isinstance(needs, Mapping) or not evse:
        return ()
    ac, dc = needs.get("acChargingParameters"), needs.get("dcChargingParameters")
    asked: Mapping[str, Any] = ac if isinstance(ac, Mapping) else dc if isinstance(dc, Mapping) else {}
    return (
        VehicleDeclared(
            at=at,
            station=station,
            number=evse,
            departure=as_time(needs.get("departureTime")),
            energy_wh=as_number(asked.get("energyAmount")),
            min_a=as_number(asked.get("evMinCurrent")) if isinstance(ac, Mapping) else None,
            max_a=as_number(asked.get("evMaxCurrent")) if isinstance(ac, Mapping) else None,
            max_w=as_number(asked.get("evMaxPower")),
        ),
    )


def _composite(payload: Payload, version: OcppVersion) -> ChargingSchedule | None:
    """Return the schedule of a composite answer, read as leniently as stations write it."""
    raw = payload.get("chargingSchedule" if version is OcppVersion.V16 else "schedule")
    if not isinstance(raw, Mapping):
        return None
    unit = _UNITS.get(str(raw.get("chargingRateUnit", "")).lower())
    periods = []
    listed = raw.get("chargingSchedulePeriod")
    for period in listed if isinstance(listed, list) else ():
        start, limit = (
            (as_number(period.get("startPeriod")), as_number(period.get("limit"))) if period else (None, None)
        )
        if start is not None and limit is not None:
            periods.append(SchedulePeriod(start_s=int(start), limit=limit, phases=_whole(period.get("numberPhases"))))
    if unit is None or not periods or min(p.limit or 0.0 for p in periods) < 0.0:
        return None
    start_text = raw.get("scheduleStart") or raw.get("startSchedule") or payload.get("scheduleStart")
    return ChargingSchedule(
        unit=unit, periods=tuple(periods), start=as_time(start_text), duration_s=_whole(raw.get("duration"))
    )


def _capabilities(
    command: ReadCapabilities, payload: Payload, version: OcppVersion, at: datetime
) -> StationCapabilities:
    said = read_answer(version.value, payload)
    fixed, choosing = phase_evses(payload)
    return StationCapabilities(
        at=at,
        station=command.station,
        max_stack_level=said.max_stack_level,
        rate_units=None if said.rate_units is None else frozenset(RateUnit(unit) for unit in said.rate_units),
        max_periods=said.max_periods,
        max_profiles=said.max_profiles,
        switches_phases=None if said.phase_switching is None else said.phase_switching == "live",
        setpoint_evses=setpoint_evses(payload) if version is OcppVersion.V21 else (),
        fixed_phase_evses=fixed,
        choosing_evses=choosing,
    )

"""The station's side of the profile messages: payload in, payload out, over a profile store.

Pure functions; a simulated station calls them from its message table. Where OCPP answers with a CALLERROR the
function returns a :class:`CallFault` for the caller to send.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from loadmgr.bridge.fields import Fields, time_text
from loadmgr.bridge.profile_json import (
    PURPOSES,
    UNITS,
    period_to_json,
    profile_from_json,
    profile_to_json,
    update_from_json,
)
from loadmgr.composite.answer import CompositeSchedule
from loadmgr.composite.clearing import ClearCriteria
from loadmgr.composite.conversion import UNNAMED_PHASES
from loadmgr.composite.schedule import composite_schedule
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.composite.store import ProfileStore
from loadmgr.composite.verdict import Verdict, refused
from loadmgr.model.ids import ProfileId
from loadmgr.model.profile import OcppVersion, RateUnit

Payload = dict[str, object]

_MOST_INFO = 512  # characters of additionalInfo (2.0.1 schema; 2.1 has 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFault:
    """A CALLERROR to send instead of a result."""

    code: str
    description: str


def set_charging_profile(store: ProfileStore, payload: object, *, now: datetime) -> Payload | CallFault:
    """Answer SetChargingProfile.

    Raises
    ------
    InputError
        If the payload is not of the version's schema.
    """
    version = store.settings.version
    v16 = version is OcppVersion.V16
    fields = Fields(payload, "SetChargingProfile")
    evse_id = fields.needed_integer("connectorId" if v16 else "evseId")
    key = "csChargingProfiles" if v16 else "chargingProfile"
    profile = profile_from_json(fields.needed(key), version, place=fields.at(key))
    verdict = store.set_profile(evse_id, profile, now=now)
    if verdict.call_error is not None:
        return CallFault(code=verdict.call_error, description=_words(verdict))
    return _outcome(verdict, version)


def set_profile_for_start(store: ProfileStore, evse_id: int, data: object, *, now: datetime) -> Payload:
    """Take the profile of a RemoteStartTransaction or RequestStartTransaction: the status of the start (K05.FR.05).

    Raises
    ------
    InputError
        If it is not of the version's schema.
    """
    profile = profile_from_json(data, store.settings.version, place="chargingProfile")
    return _outcome(store.set_for_start(evse_id, profile, now=now), store.settings.version)


def clear_charging_profile(store: ProfileStore, payload: object) -> Payload:
    """Answer ClearChargingProfile.

    Raises
    ------
    InputError
        If the payload is not of the version's schema.
    """
    criteria = clear_criteria_from_json(payload, store.settings.version, place="ClearChargingProfile")
    return {"status": "Accepted" if store.clear(criteria) else "Unknown"}


def update_dynamic_schedule(store: ProfileStore, payload: object, *, now: datetime) -> Payload:
    """Answer UpdateDynamicSchedule (2.1, K28): new values for a dynamic profile.

    Raises
    ------
    InputError
        If the payload is not of the version's schema.
    """
    fields = Fields(payload, "UpdateDynamicSchedule")
    profile_id = ProfileId(fields.needed_integer("chargingProfileId"))
    values = update_from_json(fields.needed("scheduleUpdate"), place=fields.at("scheduleUpdate"))
    return _outcome(store.update_dynamic(profile_id, values, now=now), store.settings.version)


def take_pulled_update(store: ProfileStore, profile_id: ProfileId, payload: object, *, now: datetime) -> bool:
    """Take the answer to PullDynamicScheduleUpdate (2.1, K28); return whether it brought new values.

    Raises
    ------
    InputError
        If the payload is not of the version's schema.
    """
    fields = Fields(payload, "PullDynamicScheduleUpdate")
    if fields.text("status") != "Accepted" or fields.raw("scheduleUpdate") is None:
        return False
    values = update_from_json(fields.raw("scheduleUpdate"), place=fields.at("scheduleUpdate"))
    return store.update_dynamic(profile_id, values, now=now).accepted


def get_charging_profiles(
    store: ProfileStore, payload: object, *, source_of: Callable[[InstalledProfile], str]
) -> tuple[Payload, list[Payload]]:
    """Answer GetChargingProfiles (2.x, K09): the answer, and the ReportChargingProfiles to send after it.

    EVSE 0 asks for what is installed on the station as a whole, no EVSE for everything (K09.FR.04, K09.FR.05). There
    is one report for each EVSE and source; all but the last say that more is to come.

    Parameters
    ----------
    store : ProfileStore
    payload : object
    source_of : callable
        Names the ChargingLimitSource of a profile.

    Raises
    ------
    InputError
        If the payload is not of the version's schema.
    """
    version = store.settings.version
    fields = Fields(payload, "GetChargingProfiles")
    request_id, evse_id = fields.needed_integer("requestId"), fields.integer("evseId", minimum=0)
    asked = Fields(fields.needed("chargingProfile"), fields.at("chargingProfile"))
    purpose, level = asked.choice("chargingProfilePurpose", PURPOSES[version]), asked.integer("stackLevel")
    ids, sources = asked.integers("chargingProfileId"), asked.items("chargingLimitSource")
    found: dict[tuple[int, str], list[Payload]] = {}
    for installed in store.profiles:
        profile, source = installed.profile, source_of(installed)
        matches = (
            evse_id in (None, installed.evse_id)
            and purpose in (None, profile.purpose)
            and level in (None, profile.stack_level)
            and (not ids or profile.profile_id in ids)
            and (not sources or source in sources)
        )
        if matches:
            found.setdefault((installed.evse_id, source), []).append(profile_to_json(profile, version))
    reports: list[Payload] = [
        {
            "requestId": request_id,
            "chargingLimitSource": source,
            "tbc": number < len(found),
            "evseId": where,
            "chargingProfile": profiles,
        }
        for number, ((where, source), profiles) in enumerate(found.items(), start=1)
    ]
    return {"status": "Accepted" if reports else "NoProfiles"}, reports


def use_priority_charging(store: ProfileStore, payload: object) -> Payload:
    """Answer UsePriorityCharging (2.1, K21): activate or end it for a transaction.

    Raises
    ------
    InputError
        If the payload is not of the version's schema.
    """
    fields = Fields(payload, "UsePriorityCharging")
    wanted, activate = fields.text("transactionId"), fields.flag("activate")
    for evse_id in range(1, store.settings.evses + 1):
        transaction = store.transaction(evse_id)
        if transaction is not None and transaction.transaction_id == wanted:
            verdict = store.use_priority_charging(evse_id, activate=bool(activate))
            return {"status": "Accepted"} if verdict.accepted else {"status": "NoProfile"}
    verdict = refused("TxNotFound", "K21.FR.02", "transaction_id", f"no transaction {wanted}")
    return _outcome(verdict, store.settings.version)


def get_composite_schedule(store: ProfileStore, payload: object, *, now: datetime) -> Payload | CallFault:
    """Answer GetCompositeSchedule.

    Raises
    ------
    InputError
        If the payload is not of the version's schema.
    ValueError
        If nothing limits somewhere and the settings have no default: OCPP wants a number.
    """
    settings = store.settings
    v16 = settings.version is OcppVersion.V16
    fields = Fields(payload, "GetCompositeSchedule")
    evse_id = fields.needed_integer("connectorId" if v16 else "evseId")
    duration_s = fields.needed_integer("duration", minimum=0)
    asked = fields.text("chargingRateUnit")
    if asked is not None and asked not in UNITS:  # 1.6 errata 3.24
        return CallFault(code="PropertyConstraintViolation", description=f"chargingRateUnit: {asked}")
    unit = UNITS[asked] if asked is not None else first_unit(settings)
    verdict = check_composite_request(settings, evse_id, unit)
    if not verdict.accepted:
        return _outcome(verdict, settings.version)
    schedule = composite_schedule(store, evse_id=evse_id, start=now, duration_s=duration_s, unit=unit)
    if any(limit is None for _, limit, _ in schedule.rows):
        raise ValueError("nothing limits and there is no default: give settings a default_current_a or default_power_w")
    return composite_to_json(schedule, settings.version)


def first_unit(settings: StationSettings) -> RateUnit:
    """Return the unit that answers a request which names none: the first supported one."""
    return next(iter(settings.allowed_units), RateUnit.A) if settings.allowed_units is not None else RateUnit.A


def check_composite_request(settings: StationSettings, evse_id: int, unit: RateUnit) -> Verdict:
    """Return whether GetCompositeSchedule is answered: known EVSE (K08.FR.05), supported unit (K08.FR.07)."""
    if not 0 <= evse_id <= settings.evses:
        return refused("UnknownEVSE", "K08.FR.05", "evse_id", f"must lie in 0..{settings.evses}, got {evse_id}")
    if settings.allowed_units is not None and unit not in settings.allowed_units:
        return refused("UnsupportedRateUnit", "K08.FR.07", "unit", f"{unit.value} is not supported")
    return Verdict(accepted=True)


def composite_to_json(schedule: CompositeSchedule, version: OcppVersion) -> Payload:
    """Return the answer to GetCompositeSchedule in the wire form of ``version``.

    Parameters
    ----------
    schedule : CompositeSchedule
        With a limit in every period: of a station that has a default.
    version : OcppVersion
    """
    start = time_text(schedule.start)
    body: Payload = {
        "duration": schedule.duration_s,
        "chargingRateUnit": schedule.unit.value,
        "chargingSchedulePeriod": _periods_json(schedule, version),
    }
    if version is OcppVersion.V16:  # no startSchedule inside (1.6 errata 3.57)
        return {
            "status": "Accepted",
            "connectorId": schedule.evse_id,
            "scheduleStart": start,
            "chargingSchedule": body,
        }
    return {"status": "Accepted", "schedule": {"evseId": schedule.evse_id, "scheduleStart": start} | body}


def _periods_json(schedule: CompositeSchedule, version: OcppVersion) -> list[Payload]:
    if schedule.rich is not None:
        return [period_to_json(period, version) for period in schedule.rich]
    return [
        {"startPeriod": start_s, "limit": limit, "numberPhases": code}
        if code < UNNAMED_PHASES
        else {"startPeriod": start_s, "limit": limit}
        for start_s, limit, code in schedule.rows
    ]


def clear_criteria_from_json(data: object, version: OcppVersion, *, place: str) -> ClearCriteria:
    """Return what a ClearChargingProfile request selects.

    Raises
    ------
    InputError
        If the payload is not of the version's schema.
    """
    fields = Fields(data, place)
    v16 = version is OcppVersion.V16
    profile_id = fields.integer("id" if v16 else "chargingProfileId")
    inner = fields
    if not v16:
        fields.opaque("customData")
        criteria = fields.raw("chargingProfileCriteria")
        inner = Fields({} if criteria is None else criteria, fields.at("chargingProfileCriteria"))
        inner.opaque("customData")
    result = ClearCriteria(
        profile_id=None if profile_id is None else ProfileId(profile_id),
        evse_id=inner.integer("connectorId" if v16 else "evseId"),
        purpose=inner.choice("chargingProfilePurpose", PURPOSES[version]),
        stack_level=inner.integer("stackLevel"),
    )
    inner.close()
    fields.close()
    return result


def _words(verdict: Verdict) -> str:
    return f"{verdict.field}: {verdict.detail} ({verdict.requirement})"


def _outcome(verdict: Verdict, version: OcppVersion) -> Payload:
    """Return the status of a verdict, with its reason where the version has room for one."""
    if verdict.accepted:
        return {"status": "Accepted"}
    if version is OcppVersion.V16:
        return {"status": "Rejected"}
    info = {"reasonCode": verdict.reason, "additionalInfo": _words(verdict)[:_MOST_INFO]}
    return {"status": "Rejected", "statusInfo": info}

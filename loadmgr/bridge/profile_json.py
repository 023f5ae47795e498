"""Charging profiles between the JSON of OCPP 1.6, 2.0.1 and 2.1 and the one domain profile.

Rules
-----
1. This is the one place that knows the wire's spelling of a profile.
2. Lossless both ways: ``profile_from_json(profile_to_json(p, v), v) == p``, and back again nothing is lost but the
   spelling of a time (``.000`` and a missing zone, which is read as UTC). Fields that the engine does not read
   (tariffs, signatures, customData) travel as JSON text.
3. Nothing is dropped in silence: an unknown key is an error when read, a field that a version lacks when written.
4. Whether a value makes sense is not asked here (:mod:`loadmgr.composite.rules` answers with status and reason).
"""

import json
from collections.abc import Mapping
from datetime import datetime
from enum import Enum

from loadmgr.bridge.fields import Fields, time_text
from loadmgr.errors import InputError
from loadmgr.model.ids import ProfileId, TransactionId
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    CurvePoint,
    LimitAtSoC,
    OcppVersion,
    Opaque,
    OperationMode,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    Recurrency,
    SchedulePeriod,
)

_PURPOSES_16 = {
    "ChargePointMaxProfile": ProfilePurpose.CHARGE_POINT_MAX,
    "TxDefaultProfile": ProfilePurpose.TX_DEFAULT,
    "TxProfile": ProfilePurpose.TX,
}
_PURPOSES_201 = {
    "ChargingStationExternalConstraints": ProfilePurpose.EXTERNAL_CONSTRAINTS,
    "ChargingStationMaxProfile": ProfilePurpose.CHARGE_POINT_MAX,
    "TxDefaultProfile": ProfilePurpose.TX_DEFAULT,
    "TxProfile": ProfilePurpose.TX,
}
_PURPOSES_21 = _PURPOSES_201 | {
    "PriorityCharging": ProfilePurpose.PRIORITY_CHARGING,
    "LocalGeneration": ProfilePurpose.LOCAL_GENERATION,
}
PURPOSES: Mapping[OcppVersion, Mapping[str, ProfilePurpose]] = {
    OcppVersion.V16: _PURPOSES_16,
    OcppVersion.V201: _PURPOSES_201,
    OcppVersion.V21: _PURPOSES_21,
}
"""The wire's names of the purposes in each version."""

PURPOSE_WORDS: Mapping[OcppVersion, Mapping[ProfilePurpose, str]] = {
    version: {p: word for word, p in words.items()} for version, words in PURPOSES.items()
}
"""The same the other way round."""


def purpose_word(purpose: ProfilePurpose, version: OcppVersion) -> str:
    """Return what a version calls a purpose; one that it does not have keeps the domain's name."""
    return PURPOSE_WORDS[version].get(purpose, purpose.value)


_KINDS = {kind.value: kind for kind in ProfileKind if kind is not ProfileKind.DYNAMIC}
_KINDS_21 = {kind.value: kind for kind in ProfileKind}
_RECURRENCIES = {r.value: r for r in Recurrency}
UNITS: Mapping[str, RateUnit] = {u.value: u for u in RateUnit}
"""The wire's names of the units."""
OPERATION_MODES: Mapping[str, OperationMode] = {m.value: m for m in OperationMode}
"""The wire's names of the operation modes (2.1)."""

# (wire, attribute) of the numbers of a 2.1 period, in the order of the schema
_PERIOD_NUMBERS_21 = (
    ("limit_L2", "limit_l2"),
    ("limit_L3", "limit_l3"),
    ("dischargeLimit", "discharge_limit"),
    ("dischargeLimit_L2", "discharge_limit_l2"),
    ("dischargeLimit_L3", "discharge_limit_l3"),
    ("setpoint", "setpoint"),
    ("setpoint_L2", "setpoint_l2"),
    ("setpoint_L3", "setpoint_l3"),
    ("setpointReactive", "setpoint_reactive"),
    ("setpointReactive_L2", "setpoint_reactive_l2"),
    ("setpointReactive_L3", "setpoint_reactive_l3"),
)
_PROFILE_OPAQUE = {
    OcppVersion.V16: (),
    OcppVersion.V201: ("customData",),
    OcppVersion.V21: ("priceScheduleSignature", "customData"),
}
_SCHEDULE_OPAQUE = {
    OcppVersion.V16: (),
    OcppVersion.V201: ("salesTariff", "customData"),
    OcppVersion.V21: (
        "powerTolerance",
        "signatureId",
        "digestValue",
        "salesTariff",
        "absolutePriceSchedule",
        "priceLevelSchedule",
        "customData",
    ),
}


def profile_from_json(data: object, version: OcppVersion, *, place: str = "profile") -> ChargingProfile:
    """Return the profile that ``data`` describes in the wire form of ``version``.

    Parameters
    ----------
    data : object
        A parsed JSON object: csChargingProfiles of 1.6, chargingProfile of 2.x.
    version : OcppVersion
    place : str
        Where it stands, for messages.

    Raises
    ------
    InputError
        If a field is unknown, missing or of the wrong kind; the message begins with its place.
    """
    fields = Fields(data, place)
    v21 = version is OcppVersion.V21
    schedules = _schedules(fields, version)
    profile = ChargingProfile(
        profile_id=ProfileId(fields.needed_integer("chargingProfileId" if version is OcppVersion.V16 else "id")),
        stack_level=fields.needed_integer("stackLevel"),
        purpose=fields.needed_choice("chargingProfilePurpose", PURPOSES[version]),
        kind=fields.needed_choice("chargingProfileKind", _KINDS_21 if v21 else _KINDS),
        recurrency=fields.choice("recurrencyKind", _RECURRENCIES),
        valid_from=fields.time("validFrom"),
        valid_to=fields.time("validTo"),
        transaction_id=_transaction_id(fields, version),
        schedules=schedules,
        max_offline_s=fields.integer("maxOfflineDuration", minimum=0) if v21 else None,
        invalid_after_offline=fields.flag("invalidAfterOfflineDuration") if v21 else None,
        dyn_update_interval_s=fields.integer("dynUpdateInterval", minimum=0) if v21 else None,
        dyn_update_time=fields.time("dynUpdateTime") if v21 else None,
        opaque=fields.opaque(*_PROFILE_OPAQUE[version]),
    )
    fields.close()
    return profile


def profile_to_json(profile: ChargingProfile, version: OcppVersion) -> dict[str, object]:
    """Return ``profile`` in the wire form of ``version``.

    Raises
    ------
    ValueError
        If the profile uses a field, purpose or kind that ``version`` does not have.
    """
    v16, v21 = version is OcppVersion.V16, version is OcppVersion.V21
    purpose = PURPOSE_WORDS[version].get(profile.purpose)
    if purpose is None or (profile.kind is ProfileKind.DYNAMIC and not v21):
        what = profile.purpose.value if purpose is None else profile.kind.value
        raise ValueError(f"profile {profile.profile_id}: OCPP {version.value} has no {what}")
    out: dict[str, object] = {"chargingProfileId" if v16 else "id": profile.profile_id}
    if profile.transaction_id is not None:
        out["transactionId"] = int(profile.transaction_id) if v16 else str(profile.transaction_id)
    out["stackLevel"] = profile.stack_level
    out["chargingProfilePurpose"] = purpose
    out["chargingProfileKind"] = profile.kind.value
    _put(out, "recurrencyKind", profile.recurrency)
    _put(out, "validFrom", profile.valid_from)
    _put(out, "validTo", profile.valid_to)
    only_21 = {
        "maxOfflineDuration": profile.max_offline_s,
        "invalidAfterOfflineDuration": profile.invalid_after_offline,
        "dynUpdateInterval": profile.dyn_update_interval_s,
        "dynUpdateTime": profile.dyn_update_time,
    }
    _put_versioned(out, only_21, version, OcppVersion.V21)
    schedules = [_schedule_json(s, version, index) for index, s in enumerate(profile.schedules)]
    if v16 and len(schedules) != 1:
        raise ValueError(f"profile {profile.profile_id}: OCPP 1.6 has exactly one schedule, got {len(schedules)}")
    out["chargingSchedule"] = schedules[0] if v16 else schedules
    _put_opaque(out, profile.opaque, _PROFILE_OPAQUE[version], version)
    return out


def _transaction_id(fields: Fields, version: OcppVersion) -> TransactionId | None:
    if version is OcppVersion.V16:
        number = fields.integer("transactionId")
        return None if number is None else TransactionId(str(number))
    text = fields.text("transactionId")
    return None if text is None else TransactionId(text)


def _schedules(fields: Fields, version: OcppVersion) -> tuple[ChargingSchedule, ...]:
    if version is OcppVersion.V16:
        place = fields.at("chargingSchedule")
        return (_schedule(Fields(fields.needed("chargingSchedule"), place), version),)
    fields.needed("chargingSchedule")
    items = fields.items("chargingSchedule") or []
    if not 1 <= len(items) <= 3:
        raise InputError(f"{fields.at('chargingSchedule')}: must hold 1 to 3 schedules, got {len(items)}")
    places = [fields.at(f"chargingSchedule[{i}]") for i in range(len(items))]
    return tuple(_schedule(Fields(item, place), version) for item, place in zip(items, places, strict=True))


def _schedule(fields: Fields, version: OcppVersion) -> ChargingSchedule:
    v21 = version is OcppVersion.V21
    fields.needed("chargingSchedulePeriod")
    items = fields.items("chargingSchedulePeriod") or []
    soc = fields.raw("limitAtSoC") if v21 else None
    schedule = ChargingSchedule(
        unit=fields.needed_choice("chargingRateUnit", UNITS),
        periods=tuple(
            _period(Fields(item, fields.at(f"chargingSchedulePeriod[{i}]")), version) for i, item in enumerate(items)
        ),
        schedule_id=None if version is OcppVersion.V16 else fields.needed_integer("id"),
        start=fields.time("startSchedule"),
        duration_s=fields.integer("duration", minimum=0),
        min_charging_rate=fields.number("minChargingRate"),
        use_local_time=fields.flag("useLocalTime") if v21 else None,
        randomized_delay_s=fields.integer("randomizedDelay", minimum=0) if v21 else None,
        limit_at_soc=None if soc is None else _limit_at_soc(Fields(soc, fields.at("limitAtSoC"))),
        opaque=fields.opaque(*_SCHEDULE_OPAQUE[version]),
    )
    fields.close()
    return schedule


def _limit_at_soc(fields: Fields) -> LimitAtSoC:
    value = LimitAtSoC(
        soc_percent=fields.needed_integer("soc", minimum=0),
        limit=fields.needed_number("limit"),
        opaque=fields.opaque("customData"),
    )
    fields.close()
    return value


def _period(fields: Fields, version: OcppVersion) -> SchedulePeriod:
    start_s = fields.needed_integer("startPeriod")
    phases = fields.integer("numberPhases")
    if version is not OcppVersion.V21:
        period = SchedulePeriod(
            start_s=start_s,
            limit=fields.needed_number("limit"),
            phases=phases,
            phase_to_use=None if version is OcppVersion.V16 else fields.integer("phaseToUse"),
            opaque=() if version is OcppVersion.V16 else fields.opaque("customData"),
        )
    else:
        period = SchedulePeriod(
            start_s=start_s,
            limit=fields.number("limit"),
            phases=phases,
            phase_to_use=fields.integer("phaseToUse"),
            operation_mode=fields.choice("operationMode", OPERATION_MODES),
            evse_sleep=fields.flag("evseSleep"),
            preconditioning_request=fields.flag("preconditioningRequest"),
            v2x_baseline_w=fields.number("v2xBaseline"),
            freq_watt_curve=_curve(fields, "v2xFreqWattCurve", "frequency"),
            signal_watt_curve=_curve(fields, "v2xSignalWattCurve", "signal"),
            opaque=fields.opaque("customData"),
            **{attribute: fields.number(wire) for wire, attribute in _PERIOD_NUMBERS_21},
        )
    fields.close()
    return period


def update_from_json(data: object, *, place: str) -> SchedulePeriod:
    """Return the new values of a dynamic profile (ChargingScheduleUpdateType of 2.1), at start 0.

    Raises
    ------
    InputError
        If a field is unknown or of the wrong kind.
    """
    fields = Fields(data, place)
    period = SchedulePeriod(
        start_s=0,
        limit=fields.number("limit"),
        phases=None,
        phase_to_use=None,
        operation_mode=None,
        evse_sleep=None,
        preconditioning_request=None,
        v2x_baseline_w=None,
        freq_watt_curve=None,
        signal_watt_curve=None,
        opaque=fields.opaque("customData"),
        **{attribute: fields.number(wire) for wire, attribute in _PERIOD_NUMBERS_21},
    )
    fields.close()
    return period


def _curve(fields: Fields, key: str, at: str) -> tuple[CurvePoint, ...] | None:
    items = fields.items(key)
    if items is None:
        return None
    out = []
    for index, item in enumerate(items):
        point = Fields(item, fields.at(f"{key}[{index}]"))
        out.append(
            CurvePoint(
                at=point.needed_number(at), power_w=point.needed_number("power"), opaque=point.opaque("customData")
            )
        )
        point.close()
    return tuple(out)


def _schedule_json(schedule: ChargingSchedule, version: OcppVersion, index: int) -> dict[str, object]:
    out: dict[str, object] = {}
    if version is not OcppVersion.V16:
        out["id"] = index + 1 if schedule.schedule_id is None else schedule.schedule_id
    _put(out, "startSchedule", schedule.start)
    _put(out, "duration", schedule.duration_s)
    out["chargingRateUnit"] = schedule.unit.value
    _put(out, "minChargingRate", schedule.min_charging_rate)
    soc = schedule.limit_at_soc
    only_21: dict[str, object] = {
        "useLocalTime": schedule.use_local_time,
        "randomizedDelay": schedule.randomized_delay_s,
        "limitAtSoC": None
        if soc is None
        else {"soc": soc.soc_percent, "limit": soc.limit} | {k: json.loads(text) for k, text in soc.opaque},
    }
    _put_versioned(out, only_21, version, OcppVersion.V21)
    out["chargingSchedulePeriod"] = [period_to_json(period, version) for period in schedule.periods]
    _put_opaque(out, schedule.opaque, _SCHEDULE_OPAQUE[version], version)
    return out


def period_to_json(period: SchedulePeriod, version: OcppVersion) -> dict[str, object]:
    """Return one period in the wire form of ``version``, as in profiles and in composite schedules.

    Raises
    ------
    ValueError
        If the period uses a field that ``version`` does not have, or lacks the limit that it needs.
    """
    out: dict[str, object] = {"startPeriod": period.start_s}
    if period.limit is None and version is not OcppVersion.V21:
        raise ValueError(f"period at {period.start_s} s: OCPP {version.value} needs a limit")
    _put(out, "limit", period.limit)
    _put(out, "numberPhases", period.phases)
    _put_versioned(out, {"phaseToUse": period.phase_to_use}, version, OcppVersion.V201, OcppVersion.V21)
    only_21: dict[str, object] = {wire: getattr(period, attribute) for wire, attribute in _PERIOD_NUMBERS_21}
    only_21 |= {
        "operationMode": period.operation_mode,
        "evseSleep": period.evse_sleep,
        "preconditioningRequest": period.preconditioning_request,
        "v2xBaseline": period.v2x_baseline_w,
        "v2xFreqWattCurve": _curve_json(period.freq_watt_curve, "frequency"),
        "v2xSignalWattCurve": _curve_json(period.signal_watt_curve, "signal"),
    }
    _put_versioned(out, only_21, version, OcppVersion.V21)
    _put_opaque(out, period.opaque, () if version is OcppVersion.V16 else ("customData",), version)
    return out


def _curve_json(curve: tuple[CurvePoint, ...] | None, at: str) -> list[dict[str, object]] | None:
    if curve is None:
        return None
    return [
        {at: int(point.at) if at == "signal" else point.at, "power": point.power_w}
        | {k: json.loads(text) for k, text in point.opaque}
        for point in curve
    ]


def _put(out: dict[str, object], key: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, datetime):
        value = time_text(value)
    elif isinstance(value, Enum):
        value = value.value
    out[key] = value


def _put_versioned(
    out: dict[str, object], values: Mapping[str, object], version: OcppVersion, *known: OcppVersion
) -> None:
    for key, value in values.items():
        if value is not None and version not in known:
            raise ValueError(f"OCPP {version.value} has no {key}")
        _put(out, key, value)


def _put_opaque(out: dict[str, object], opaque: Opaque, known: tuple[str, ...], version: OcppVersion) -> None:
    for key, text in opaque:
        if key not in known:
            raise ValueError(f"OCPP {version.value} has no {key} here")
        out[key] = json.loads(text)

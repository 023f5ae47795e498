"""A station's answers to the profile messages, valid by the official schemas in every version."""

import json
from datetime import UTC, datetime
from importlib.resources import files

import jsonschema_rs
import pytest

from loadmgr.bridge.profile_messages import (
    CallFault,
    clear_charging_profile,
    get_charging_profiles,
    get_composite_schedule,
    set_charging_profile,
    update_dynamic_schedule,
    use_priority_charging,
)
from loadmgr.bridge.store_json import snapshot_from_json
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.store import ProfileStore
from loadmgr.composite.transaction import StationTransaction
from loadmgr.errors import InputError
from loadmgr.model.ids import TransactionId
from loadmgr.model.profile import OcppVersion, RateUnit

V16, V201, V21 = OcppVersion
NOON = datetime(2024, 1, 17, 12, tzinfo=UTC)


def store(version: OcppVersion, **settings) -> ProfileStore:
    made = ProfileStore(StationSettings(version=version, **({"default_current_a": 32.0} | settings)))
    transaction = StationTransaction(evse_id=1, transaction_id=TransactionId("7"), started_at=NOON)
    made.start_transaction(transaction, now=NOON)
    return made


def setting(version: OcppVersion, *, evse_id: int = 1, purpose: str = "TxDefaultProfile", **changes) -> dict:
    """A SetChargingProfile request."""
    schedule = {
        "startSchedule": "2024-01-17T12:00:00Z",
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}, {"startPeriod": 60, "limit": 8.0}],
    }
    common = {"stackLevel": 0, "chargingProfilePurpose": purpose, "chargingProfileKind": "Absolute"} | changes
    if version is V16:
        return {
            "connectorId": evse_id,
            "csChargingProfiles": {"chargingProfileId": 1, "chargingSchedule": schedule} | common,
        }
    return {"evseId": evse_id, "chargingProfile": {"id": 1, "chargingSchedule": [{"id": 1} | schedule]} | common}


@pytest.mark.parametrize("version", list(OcppVersion))
def test_a_profile_is_set_asked_for_and_cleared(version):
    """The round of a station's day."""
    made = store(version)
    v16 = version is V16
    accepted = set_charging_profile(made, setting(version), now=NOON)
    asked = {"connectorId" if v16 else "evseId": 1, "duration": 100, "chargingRateUnit": "A"}
    answered = get_composite_schedule(made, asked, now=NOON)
    cleared = clear_charging_profile(made, {"id": 1} if v16 else {"chargingProfileId": 1})
    again = clear_charging_profile(made, {})

    phases = {} if v16 else {"numberPhases": 3}
    periods = [{"startPeriod": 0, "limit": 16.0} | phases, {"startPeriod": 60, "limit": 8.0} | phases]
    body = {"duration": 100, "chargingRateUnit": "A", "chargingSchedulePeriod": periods}
    start = {"scheduleStart": "2024-01-17T12:00:00Z"}
    wanted = (
        {"status": "Accepted", "connectorId": 1, "chargingSchedule": body} | start
        if v16
        else {"status": "Accepted", "schedule": {"evseId": 1} | body | start}
    )
    assert wanted == answered
    assert ["Accepted", "Accepted", "Unknown"] == [m["status"] for m in (accepted, cleared, again)]


@pytest.mark.parametrize("version", list(OcppVersion))
def test_what_a_station_answers_passes_the_official_schema(version):
    """GetCompositeSchedule, SetChargingProfile, ClearChargingProfile; accepted and refused."""
    made = store(version)
    v16 = version is V16
    key = "connectorId" if v16 else "evseId"
    answers = [
        ("SetChargingProfile", set_charging_profile(made, setting(version), now=NOON)),
        ("SetChargingProfile", set_charging_profile(made, setting(version, stackLevel=-1), now=NOON)),
        ("GetCompositeSchedule", get_composite_schedule(made, {key: 1, "duration": 100}, now=NOON)),
        ("GetCompositeSchedule", get_composite_schedule(made, {key: 0, "duration": 0}, now=NOON)),
        ("GetCompositeSchedule", get_composite_schedule(made, {key: 9, "duration": 100}, now=NOON)),
        ("ClearChargingProfile", clear_charging_profile(made, {})),
    ]
    check = official(version)
    for action, payload in answers:
        assert [] == check(action, payload)


@pytest.mark.parametrize("version", [V201, V21])
def test_a_report_of_profiles_passes_the_official_schema(version):
    """GetChargingProfiles (K09): one report for each EVSE and source, the last one says so."""
    made = store(version)
    set_charging_profile(made, setting(version), now=NOON)
    set_charging_profile(made, setting(version, evse_id=0, id=2, stackLevel=1), now=NOON)
    asked = {"requestId": 4, "chargingProfile": {}}

    answer, reports = get_charging_profiles(made, asked, source_of=lambda installed: "CSO")

    assert [] == official(version)("GetChargingProfiles", answer)
    folder = files("ocpp") / {V201: "v201", V21: "v21"}[version] / "schemas"
    schema = json.loads((folder / "ReportChargingProfilesRequest.json").read_text(encoding="utf-8-sig"))
    assert [] == [e.message for r in reports for e in jsonschema_rs.validator_for(schema).iter_errors(r)]
    assert [(1, True), (0, False)] == [(r["evseId"], r["tbc"]) for r in reports]


def official(version):
    """Faults of a response by the official schema of the ``ocpp`` package."""
    folder = files("ocpp") / {V16: "v16", V201: "v201", V21: "v21"}[version] / "schemas"

    def faults(action, payload) -> list[str]:
        text = (folder / f"{action}Response.json").read_text(encoding="utf-8-sig")
        return [e.message for e in jsonschema_rs.validator_for(json.loads(text)).iter_errors(payload)]

    return faults


def test_an_unknown_connector_is_a_call_error_in_1_6_only():
    """1.6 errata 3.39; 2.x rejects with a reason that names requirement and field."""
    v16 = set_charging_profile(store(V16), setting(V16, evse_id=5), now=NOON)
    v201 = set_charging_profile(store(V201), setting(V201, evse_id=5), now=NOON)

    assert isinstance(v16, CallFault)
    assert "PropertyConstraintViolation" == v16.code
    assert "UnknownEVSE" == v201["statusInfo"]["reasonCode"]
    assert v201["statusInfo"]["additionalInfo"].startswith("evse_id: ")


def test_a_unit_that_is_none_is_a_call_error():
    """1.6 errata 3.24."""
    asked = {"connectorId": 1, "duration": 100, "chargingRateUnit": "V"}

    assert "PropertyConstraintViolation" == get_composite_schedule(store(V16), asked, now=NOON).code


def test_a_missing_unit_is_the_first_supported_one():
    """And an unsupported one is rejected (K08.FR.07)."""
    made = store(V201, allowed_units=[RateUnit.W, RateUnit.A])
    narrow = store(V201, allowed_units=[RateUnit.W])

    assert "W" == get_composite_schedule(made, {"evseId": 1, "duration": 1}, now=NOON)["schedule"]["chargingRateUnit"]
    asked = {"evseId": 1, "duration": 1, "chargingRateUnit": "A"}
    assert "Rejected" == get_composite_schedule(narrow, asked, now=NOON)["status"]


def test_no_limit_and_no_default_cannot_be_answered():
    """OCPP wants a number; the station must name its own."""
    made = ProfileStore(StationSettings(version=V16))

    with pytest.raises(ValueError, match="default_current_a"):
        get_composite_schedule(made, {"connectorId": 1, "duration": 1}, now=NOON)


def test_a_dynamic_profile_is_updated_and_priority_charging_used():
    """2.1: K28 and K21."""
    made = store(V21)
    dynamic = setting(V21, chargingProfileKind="Dynamic")
    schedule = dynamic["chargingProfile"]["chargingSchedule"][0]
    schedule["chargingSchedulePeriod"] = [{"startPeriod": 0, "limit": 20.0}]
    del schedule["startSchedule"]
    assert {"status": "Accepted"} == set_charging_profile(made, dynamic, now=NOON)

    update = {"chargingProfileId": 1, "scheduleUpdate": {"limit": 9.0}}
    updated = update_dynamic_schedule(made, update, now=NOON)
    unknown = update_dynamic_schedule(made, update | {"chargingProfileId": 5}, now=NOON)
    use = {"transactionId": "7", "activate": True}
    without = use_priority_charging(made, use)
    priority = setting(V21, evse_id=0, purpose="PriorityCharging")
    priority["chargingProfile"]["id"] = 2
    set_charging_profile(made, priority, now=NOON)
    used = use_priority_charging(made, use)
    strange = use_priority_charging(made, use | {"transactionId": "9"})

    statuses = [m["status"] for m in (updated, unknown, without, used, strange)]
    assert ["Accepted", "Rejected", "NoProfile", "Accepted", "Rejected"] == statuses
    assert 16.0 == made.limit_at(1, NOON).limit_a


def test_a_rich_answer_tells_all_its_fields():
    """A 2.1 composite with setpoint and mode."""
    made = store(V21)
    request = setting(V21)
    periods = [{"startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": -4.0, "dischargeLimit": -6.0}]
    request["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"] = periods
    assert {"status": "Accepted"} == set_charging_profile(made, request, now=NOON)

    answered = get_composite_schedule(made, {"evseId": 1, "duration": 60, "chargingRateUnit": "A"}, now=NOON)

    period = answered["schedule"]["chargingSchedulePeriod"][0]
    assert {
        "startPeriod": 0,
        "limit": 32.0,
        "numberPhases": 3,
        "dischargeLimit": -6.0,
        "setpoint": -4.0,
        "operationMode": "CentralSetpoint",
    } == period


@pytest.mark.parametrize(
    ("call", "payload", "message"),
    [
        (clear_charging_profile, {"nonsense": 1}, r"ClearChargingProfile\.nonsense: unknown key"),
        (clear_charging_profile, {"chargingProfileCriteria": {"stackLevel": "x"}}, "stackLevel: must be a number"),
    ],
)
def test_a_payload_against_the_schema_names_its_place(call, payload, message):
    """InputError, for the caller's CALLERROR."""
    with pytest.raises(InputError, match=message):
        call(store(V201), payload)


@pytest.mark.parametrize("text", ["", "[]", '{"ocpp_version": "9"}', '{"ocpp_version": "1.6", "profiles": [{}]}'])
def test_a_broken_snapshot_is_named(text):
    """A station's flash can hold anything."""
    with pytest.raises(InputError, match=r"^snapshot"):
        snapshot_from_json(text)

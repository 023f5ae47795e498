"""What ``/v1/schedule`` answers: what a controller would send, ready for the wire, within its budget."""

import time
from copy import deepcopy

import pytest

from loadmgr.apps.service.answers import ScheduleAnswer
from ocpp_link.schemas import first_fault
from tests.loadmgr.apps.service.asking import SMALL, a_service, client_of, two_cars

MAIN = {"id": "main", "fuse": "25A", "evses": ["E1..E2"]}
CAR = {"evse": "E1", "transaction_id": 1}


@pytest.fixture(scope="module")
def client():
    service = a_service()
    yield client_of(service)
    service.close()


def answered(client, body):
    found = client.post("/v1/schedule", json=body)
    assert 200 == found.status_code, found.text
    return found.json()


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_each_evse_gets_a_profile_that_its_version_takes(client, version):
    answer = answered(client, two_cars(ocpp_version=version))

    ScheduleAnswer.model_validate(answer)
    payloads = [e["set_charging_profile"] for e in answer["evses"]]
    assert all(payloads)
    for payload in payloads:
        assert None is first_fault(version, "SetChargingProfile", payload, response=False)
    assert [c["payload"] for c in answer["commands"]] == payloads


def test_two_cars_share_the_fuse(client):
    answer = answered(client, two_cars())
    assert 25.0 >= sum(e["setpoint_a"] for e in answer["evses"]) > 20.0
    assert all(e["reason"] and len(e["setpoints"]) > 12 for e in answer["evses"])
    assert all(e["session"]["expected_wh"] == 20_000 for e in answer["evses"])  # what was asked for, and no more


def test_a_station_of_which_nothing_is_known_first_gets_its_fail_safe(client):
    answer = answered(client, two_cars(assume_failsafe=False))
    purposes = {c["payload"]["csChargingProfiles"]["chargingProfilePurpose"] for c in answer["commands"]}
    assert {"TxDefaultProfile"} == purposes
    assert {"setting up"} == {e["standing"] for e in answer["evses"]}
    assert [16.0] * 3 == answer["evses"][0]["assumed_a"]


def test_what_was_installed_by_the_answers_leads_to_leases(client):
    """The caller does what it is told and reports it, and is never told the same again."""
    held = {"E1": [], "E2": []}
    seen = []
    for _ in range(4):
        stations = [{"id": e, "installed_profiles": held[e]} for e in held]
        answer = answered(client, two_cars(assume_failsafe=False, stations=stations))
        seen.append([c["action"] for c in answer["commands"]])
        for command in answer["commands"]:
            profile = command["payload"]["csChargingProfiles"]
            kept = [
                h for h in held[command["station"]] if h["profile"]["chargingProfileId"] != profile["chargingProfileId"]
            ]
            held[command["station"]] = [*kept, {"evse_id": command["payload"]["connectorId"], "profile": profile}]
    assert [] == seen[-1]
    assert {"TxProfile", "TxDefaultProfile", "ChargePointMaxProfile"} == {
        h["profile"]["chargingProfilePurpose"] for h in held["E1"]
    }


def test_a_raise_waits_for_the_reduction_that_pays_for_it(client):
    answer = answered(client, two_cars())
    held = {c["station"]: c["payload"]["csChargingProfiles"] for c in answer["commands"]}
    first = max(answer["evses"], key=lambda e: e["setpoint_a"])["id"]
    other = "E2" if first == "E1" else "E1"
    failsafe = {
        "chargingProfileId": 2001, "stackLevel": 9, "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 0.0}]},
    }  # fmt: skip
    installed = [{"evse_id": 1, "profile": failsafe}, {"evse_id": 1, "profile": held[first]}]
    stations = [
        {"id": first, "installed_profiles": installed},
        {"id": other, "installed_profiles": [{"evse_id": 1, "profile": failsafe}]},
    ]
    limits = [{"circuit": "main", "limit_a": 10.0}]
    answer = answered(client, two_cars(assume_failsafe=False, stations=stations, limits=limits))
    sent = {c["evse"]: c["urgency"] for c in answer["commands"] if c["evse"] and c["payload"]["connectorId"] == 1}
    assert {first: "safety"} == sent


def test_what_is_late_is_answered_by_water_filling(client):
    answer = answered(client, two_cars(budget_ms=1))
    assert (True, "water-filling") == (answer["budget_exceeded"], answer["method"])
    assert 25.0 >= sum(e["setpoint_a"] for e in answer["evses"]) > 20.0


def test_a_key_carries_a_request_out_once(client):
    headers = {"Idempotency-Key": f"k-{time.monotonic_ns()}"}
    first = client.post("/v1/schedule", json=two_cars(), headers=headers)
    again = client.post("/v1/schedule", json=two_cars(), headers=headers)
    other = client.post("/v1/schedule", json=two_cars(dry_run=False, budget_ms=4000), headers=headers)
    assert (200, first.content) == (again.status_code, again.content)
    assert "true" == again.headers["idempotency-replayed"]
    assert (422, "key-reused") == (other.status_code, other.json()["type"])


def test_a_dry_run_leaves_its_key_free(client):
    headers = {"Idempotency-Key": "dry"}
    for _ in range(2):
        found = client.post("/v1/schedule", json=two_cars(dry_run=True), headers=headers)
        assert 200 == found.status_code
        assert "idempotency-replayed" not in found.headers
    assert 200 == client.post("/v1/schedule", json=two_cars(), headers=headers).status_code


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"surprise": 1}, "surprise"),
        ({"site": "nowhere"}, "site"),
        ({"site": "../garage"}, "site"),
        ({"site": {**SMALL, "circuits": [{**MAIN, "fuse": "25 bananas"}]}}, "site.circuits[0].fuse"),
        ({"site": {**SMALL, "tariff": {"energy": {"series": "/etc/passwd"}}}}, "site.tariff.energy.series"),
        ({"site": {**SMALL, "circuits": [{**MAIN, "evses": ["E1..E999999999"]}]}}, "site.circuits[0].evses[0]"),
        ({"tariff": {"energy": {"series": "../../etc/passwd"}}}, "tariff.energy.series"),
        ({"tariff": {"energy": {"price": "0.30 USD/kWh"}}}, "tariff.energy.price"),
        ({"sessions": [{"evse": "E9", "transaction_id": 1}]}, "sessions[0].evse"),
        ({"sessions": [{"evse": "E1", "transaction_id": "x"}]}, "sessions[0].transaction_id"),
        ({"sessions": [{"evse": "E1", "transaction_id": 1, "must_wh": 5}]}, "sessions[0].wanted_wh"),
        ({"sessions": [{"evse": "E1", "transaction_id": 1, "must_by": "2026-01-01T12:00Z"}]}, "sessions[0].wanted_wh"),
        ({"sessions": [{**CAR, "started": "2027-01-01T00:00:00Z"}]}, "sessions[0].started"),
        ({"sessions": [{**CAR, "departure": "2026-03-02T06:00:00"}]}, "sessions[0].departure"),
        ({"evse_readings": [{"evse": "E1"}]}, "evse_readings[0]"),
        ({"evse_readings": [{"evse": "E1", "current_a": -1}]}, "evse_readings[0].current_a"),
        ({"meter_readings": [{"meter": "m", "currents_a": [1, 1, 1]}]}, "meter_readings[0].meter"),
        ({"limits": [{"circuit": "main"}]}, "limits[0]"),
        ({"limits": [{"circuit": "x", "limit_a": 1}]}, "limits[0].circuit"),
        ({"prices": {"times": ["2026-03-01T00:00:00Z"], "per_kwh": [1, 2]}}, "prices"),
        ({"stations": [{"id": "Z"}], "sessions": []}, "stations[0].id"),
        (
            {"stations": [{"id": "E1", "installed_profiles": [{"evse_id": 1, "profile": {"chargingProfileId": 1}}]}]},
            "stations[0].installed_profiles[0].profile.chargingSchedule",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_by_its_field(client, change, field):
    found = client.post("/v1/schedule", json=two_cars(**deepcopy(change)))
    assert 422 == found.status_code, found.text
    assert "application/problem+json" == found.headers["content-type"]
    assert field in [e["field"] for e in found.json()["errors"]], found.text
    assert "root:" not in found.text


def test_a_composite_schedule_is_that_of_the_command(client):
    profile = {
        "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0}]},
    }  # fmt: skip
    document = {
        "ocpp_version": "1.6",
        "now": "2024-01-17T18:00:00Z",
        "operations": [
            {"op": "set", "evse_id": 1, "profile": profile},
            {"op": "composite", "evse_id": 1, "start": "2024-01-17T18:00:00Z", "duration_s": 600, "unit": "A"},
        ],
    }
    found = client.post("/v1/composite", json=document)
    assert 200 == found.status_code, found.text
    assert 10.0 == found.json()["results"][1]["periods"][0]["limit"]

    document["operations"][0]["profile"] = {**profile, "stackLevel": "high"}
    refused = client.post("/v1/composite", json=document)
    assert 422 == refused.status_code
    assert "stackLevel" in refused.json()["errors"][0]["field"]

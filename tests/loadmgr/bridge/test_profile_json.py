"""Wire JSON to domain profile and back, for the three versions."""

import json

import pytest

from loadmgr.bridge.profile_json import profile_from_json, profile_to_json
from loadmgr.errors import InputError
from loadmgr.model.profile import OcppVersion, ProfilePurpose

V16 = {
    "chargingProfileId": 3,
    "transactionId": 42,
    "stackLevel": 1,
    "chargingProfilePurpose": "TxProfile",
    "chargingProfileKind": "Recurring",
    "recurrencyKind": "Daily",
    "validFrom": "2024-01-01T00:00:00Z",
    "validTo": "2024-03-19T00:00:00+01:00",
    "chargingSchedule": {
        "duration": 1080,
        "startSchedule": "2024-01-17T17:00:00.500000Z",
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 2000.1, "numberPhases": 1}],
        "minChargingRate": 0.1,
    },
}
V201 = {
    "id": 3,
    "stackLevel": 1,
    "chargingProfilePurpose": "ChargingStationMaxProfile",
    "chargingProfileKind": "Absolute",
    "customData": {"vendorId": "x", "more": [1, None]},
    "chargingSchedule": [
        {
            "id": 9,
            "startSchedule": "2024-01-17T17:00:00Z",
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16, "numberPhases": 1, "phaseToUse": 2}],
            "salesTariff": {"id": 1, "salesTariffEntry": [{"relativeTimeInterval": {"start": 0}}]},
        }
    ],
}
V21 = {
    "id": -3,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Dynamic",
    "maxOfflineDuration": 600,
    "invalidAfterOfflineDuration": True,
    "dynUpdateInterval": 30,
    "dynUpdateTime": "2024-01-17T17:00:00Z",
    "priceScheduleSignature": "sig",
    "chargingSchedule": [
        {
            "id": 1,
            "chargingRateUnit": "W",
            "useLocalTime": False,
            "randomizedDelay": 0,
            "powerTolerance": 5.5,
            "limitAtSoC": {"soc": 80, "limit": 4000.0, "customData": {"vendorId": "y"}},
            "chargingSchedulePeriod": [
                {
                    "startPeriod": 0,
                    "operationMode": "LocalFrequency",
                    "v2xBaseline": 100.0,
                    "v2xFreqWattCurve": [{"frequency": 49.8, "power": 2000.0, "customData": {"vendorId": "z"}}],
                    "v2xSignalWattCurve": [{"signal": 3, "power": -5.0}],
                    "limit_L2": 1.0,
                    "setpointReactive_L3": -1.0,
                    "evseSleep": False,
                    "preconditioningRequest": True,
                }
            ],
        }
    ],
}
CASES = [(OcppVersion.V16, V16), (OcppVersion.V201, V201), (OcppVersion.V21, V21), (OcppVersion.V21, V201)]


@pytest.mark.parametrize(("version", "data"), CASES)
def test_reading_and_writing_are_inverse(version, data):
    """Nothing is lost, in either direction."""
    profile = profile_from_json(data, version)

    assert data == profile_to_json(profile, version)
    assert profile == profile_from_json(json.loads(json.dumps(profile_to_json(profile, version))), version)


def test_both_names_of_the_station_maximum_are_one_purpose():
    """ChargePointMaxProfile of 1.6 is ChargingStationMaxProfile of 2.x."""
    v16 = profile_from_json(V16 | {"chargingProfilePurpose": "ChargePointMaxProfile"}, OcppVersion.V16)

    assert ProfilePurpose.CHARGE_POINT_MAX is v16.purpose is profile_from_json(V201, OcppVersion.V201).purpose


def test_a_time_without_a_zone_is_utc():
    """The schemas let it pass and stations send it."""
    with_zone = profile_from_json(V16, OcppVersion.V16)
    without = profile_from_json(V16 | {"validFrom": "2024-01-01T00:00:00"}, OcppVersion.V16)

    assert with_zone == without


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"chargingProfilePurpose": "ChargingStationMaxProfile"}, "profile.chargingProfilePurpose: must be one of"),
        ({"stackLevel": None}, "profile.stackLevel: missing"),
        ({"stackLevel": True}, "profile.stackLevel: must be a number"),
        ({"stackLevel": 1.5}, "profile.stackLevel: must be a whole number"),
        ({"maxOfflineDuration": 3}, "profile.maxOfflineDuration: unknown key"),
        ({"validTo": "tomorrow"}, "profile.validTo: not an ISO 8601 date-time"),
        ({"chargingSchedule": [V16["chargingSchedule"]]}, "profile.chargingSchedule: must be an object"),
        (
            {"chargingSchedule": V16["chargingSchedule"] | {"duration": -1}},
            "profile.chargingSchedule.duration: must be at least 0",
        ),
        (
            {"chargingSchedule": V16["chargingSchedule"] | {"minChargingRate": float("nan")}},
            "profile.chargingSchedule.minChargingRate: must be finite",
        ),
        (
            {"chargingSchedule": V16["chargingSchedule"] | {"chargingSchedulePeriod": [{"startPeriod": 0}]}},
            r"profile.chargingSchedule.chargingSchedulePeriod\[0\].limit: missing",
        ),
    ],
)
def test_a_fault_names_its_place(change, place):
    """Each message begins with the path of the field."""
    with pytest.raises(InputError, match="^" + place):
        profile_from_json(V16 | change, OcppVersion.V16)


@pytest.mark.parametrize(("version", "what"), [(OcppVersion.V16, "Dynamic"), (OcppVersion.V201, "Dynamic")])
def test_what_a_version_lacks_is_never_dropped_in_silence(version, what):
    """Writing a 2.1 profile for an older station is an error."""
    with pytest.raises(ValueError, match=f"OCPP {version.value} has no {what}"):
        profile_to_json(profile_from_json(V21, OcppVersion.V21), version)

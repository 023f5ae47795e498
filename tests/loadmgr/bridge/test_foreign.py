"""Limits that others put on a station."""

from datetime import UTC, datetime
from typing import Any

import pytest

from loadmgr.bridge.from_ocpp import answer, observations
from loadmgr.bridge.to_ocpp import request
from loadmgr.control.command import ReadForeign
from loadmgr.control.observation import ForeignProfiles
from loadmgr.model.ids import StationId
from loadmgr.model.profile import OcppVersion, ProfilePurpose
from ocpp_link.schemas import is_valid_request

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SCHEDULE = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0}]}
NOTIFY = {"chargingLimit": {"chargingLimitSource": "EMS"}, "evseId": 2, "chargingSchedule": [SCHEDULE]}
PROFILE = {
    "id": -3,
    "stackLevel": 0,
    "chargingProfilePurpose": "ChargingStationExternalConstraints",
    "chargingProfileKind": "Absolute",
    "chargingSchedule": [SCHEDULE | {"startSchedule": "2026-03-01T12:00:00Z"}],
}
REPORT = {"requestId": 7, "chargingLimitSource": "EMS", "tbc": True, "evseId": 1, "chargingProfile": [PROFILE]}
ASK = ReadForeign(id=7, station=StationId("S"))


def told(action: str, payload: dict[str, Any], version: OcppVersion = OcppVersion.V201) -> tuple[ForeignProfiles, ...]:
    seen = observations(action, payload, version=version, station=StationId("S"), at=AT)
    assert all(isinstance(each, ForeignProfiles) and each.by_station for each in seen)
    return seen


def test_a_limit_that_is_notified_is_an_external_constraint() -> None:
    (seen,) = told("NotifyChargingLimit", NOTIFY)

    assert ("EMS", 2) == (seen.source, seen.number)
    assert [(ProfilePurpose.EXTERNAL_CONSTRAINTS, 10.0)] == [
        (p.purpose, p.schedules[0].periods[0].limit) for p in seen.profiles
    ]


def test_local_generation_that_is_notified_is_no_limit() -> None:
    """2.1: it is added to the minimum of all limits."""
    limit = {"chargingLimitSource": "EMS", "isLocalGeneration": True}
    (seen,) = told("NotifyChargingLimit", NOTIFY | {"chargingLimit": limit}, OcppVersion.V21)

    assert [ProfilePurpose.LOCAL_GENERATION] == [p.purpose for p in seen.profiles]


def test_a_limit_that_is_cleared_leaves_nothing() -> None:
    (seen,) = told("ClearedChargingLimit", {"chargingLimitSource": "EMS", "evseId": 2})

    assert () == seen.profiles


@pytest.mark.parametrize(
    "payload", [{"chargingLimit": {"chargingLimitSource": "SO"}}, NOTIFY | {"chargingSchedule": [{"id": 1}]}]
)
def test_a_limit_without_figures_is_there_and_unknown(payload: dict[str, Any]) -> None:
    (seen,) = told("NotifyChargingLimit", payload)

    assert seen.profiles is None


def test_the_parts_of_a_report_name_it_and_its_end() -> None:
    part, end = told("ReportChargingProfiles", REPORT)[0], told("ReportChargingProfiles", REPORT | {"tbc": False})[0]

    assert (7, False, -3) == (part.request, part.last, part.profiles[0].profile_id)
    assert end.last


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"chargingLimitSource": "CSO"}, []),
        ({"chargingLimitSource": "CSO", "tbc": False}, [("", (), True)]),
        ({"chargingProfile": [{"id": 1}], "tbc": False}, []),
    ],
    ids=["ours", "ours at the end", "nothing to be read"],
)
def test_reports_of_ours_or_of_nothing_that_can_be_read_change_no_limit(
    changes: dict[str, Any], wanted: list[Any]
) -> None:
    seen = told("ReportChargingProfiles", REPORT | changes)

    assert wanted == [(each.source, each.profiles, each.last) for each in seen]


@pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
def test_limits_of_others_are_asked_for_in_words_of_the_schema(version: OcppVersion) -> None:
    action, payload = request(ASK, version=version)

    assert "GetChargingProfiles" == action
    assert 7 == payload["requestId"]
    assert is_valid_request(version.value, action, payload)


def test_1_6_has_no_words_for_the_question() -> None:
    with pytest.raises(ValueError, match=r"OCPP 1\.6 has no message"):
        request(ASK, version=OcppVersion.V16)


def test_no_profiles_is_a_report_of_nothing() -> None:
    _, nothing = answer(ASK, {"status": "NoProfiles"}, version=OcppVersion.V201, at=AT)
    accepted = answer(ASK, {"status": "Accepted"}, version=OcppVersion.V201, at=AT)

    assert ("", (), 7, True) == (nothing.source, nothing.profiles, nothing.request, nothing.last)
    assert 1 == len(accepted)

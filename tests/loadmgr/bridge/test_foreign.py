"""Limits that others put on a station."""

from datetime import UTC, datetime
from typing import Any

import pytest

from loadmgr.bridge.from_ocpp import observations
from loadmgr.control.observation import ForeignProfiles, Observation
from loadmgr.model.ids import StationId
from loadmgr.model.profile import OcppVersion, ProfilePurpose

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SCHEDULE = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0}]}
NOTIFY = {"chargingLimit": {"chargingLimitSource": "EMS"}, "evseId": 2, "chargingSchedule": [SCHEDULE]}


def told(action: str, payload: dict[str, Any]) -> tuple[Observation, ...]:
    return observations(action, payload, version=OcppVersion.V201, station=StationId("S"), at=AT)


def test_a_limit_that_is_notified_is_an_external_constraint() -> None:
    (seen,) = told("NotifyChargingLimit", NOTIFY)

    assert isinstance(seen, ForeignProfiles)
    assert ("EMS", 2) == (seen.source, seen.number)
    assert [(ProfilePurpose.EXTERNAL_CONSTRAINTS, 10.0)] == [
        (p.purpose, p.schedules[0].periods[0].limit) for p in seen.profiles
    ]


def test_a_limit_that_is_cleared_leaves_nothing() -> None:
    (seen,) = told("ClearedChargingLimit", {"chargingLimitSource": "EMS", "evseId": 2})

    assert isinstance(seen, ForeignProfiles)
    assert () == seen.profiles


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("NotifyChargingLimit", {"chargingLimit": {"chargingLimitSource": "SO"}}),
        ("NotifyChargingLimit", NOTIFY | {"chargingSchedule": [{"id": 1}]}),
        ("ReportChargingProfiles", {"requestId": 1, "chargingLimitSource": "CSO", "evseId": 1, "chargingProfile": []}),
    ],
)
def test_what_says_nothing_of_others_limits_is_left_out(action: str, payload: dict[str, Any]) -> None:
    assert () == told(action, payload)

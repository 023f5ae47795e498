"""Typed messages against the official schemas."""

from datetime import UTC, datetime

import pytest

from ocpp_link import schemas, v16, v201

WHEN = datetime(2024, 1, 17, 12, 0, tzinfo=UTC)


def test_a_typed_profile_of_1_6_passes_the_official_schema() -> None:
    request = v16.SetChargingProfileRequest(
        connector_id=1,
        cs_charging_profiles=v16.ChargingProfile(
            charging_profile_id=3,
            stack_level=0,
            charging_profile_purpose="TxDefaultProfile",
            charging_profile_kind="Absolute",
            charging_schedule=v16.ChargingSchedule(
                charging_rate_unit="A",
                charging_schedule_period=(v16.ChargingSchedulePeriod(start_period=0, limit=16.1),),
                start_schedule=WHEN,
            ),
        ),
    )

    wire = request.to_wire()

    assert schemas.first_fault("1.6", "SetChargingProfile", wire, response=False) is None
    assert "2024-01-17T12:00:00Z" == wire["csChargingProfiles"]["chargingSchedule"]["startSchedule"]
    assert request == v16.SetChargingProfileRequest.from_wire(wire)


def test_a_typed_profile_of_2_0_1_passes_the_official_schema() -> None:
    request = v201.SetChargingProfileRequest(
        evse_id=1,
        charging_profile=v201.ChargingProfile(
            id=3,
            stack_level=0,
            charging_profile_purpose="TxProfile",
            charging_profile_kind="Relative",
            transaction_id="tx",
            charging_schedule=(
                v201.ChargingSchedule(
                    id=1,
                    charging_rate_unit="W",
                    charging_schedule_period=(v201.ChargingSchedulePeriod(start_period=0, limit=0.0),),
                ),
            ),
        ),
    )

    wire = request.to_wire()

    assert schemas.first_fault("2.0.1", "SetChargingProfile", wire, response=False) is None
    assert 0.0 == wire["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"]
    assert request == v201.SetChargingProfileRequest.from_wire(wire)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        v16.HeartbeatResponse(current_time=WHEN.replace(tzinfo=None))


def test_a_time_with_another_zone_becomes_utc() -> None:
    assert WHEN == v16.HeartbeatResponse.from_wire({"currentTime": "2024-01-17T13:00:00+01:00"}).current_time

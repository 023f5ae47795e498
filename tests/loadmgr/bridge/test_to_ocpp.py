"""Commands as messages that the official schemas let pass."""

import pytest

from loadmgr.bridge import to_ocpp
from loadmgr.control.command import (
    ClearProfile,
    Command,
    ReadBack,
    ReadCapabilities,
    ReadForeign,
    SetProfile,
    TriggerReading,
)
from loadmgr.model.ids import ProfileId, StationId
from loadmgr.model.profile import OcppVersion, ProfilePurpose, RateUnit
from ocpp_link import schemas
from tests.control_world import World, small_site
from tests.loadmgr.control.test_discharge import a_world

STATION = StationId("S1")


def sent_by_a_controller(version: OcppVersion) -> list[Command]:
    """Return everything that a controller sends to a station of a version until its vehicle charges."""
    world = World(small_site(evses=1, limit_a=60.0), versions=(version,))
    world.connect()
    world.run(10)
    world.plug("E1")
    world.run(30)
    return [c for _, c in world.commands]


@pytest.mark.parametrize("version", list(OcppVersion))
def test_whatever_a_controller_sends_keeps_to_the_schema(version):
    commands = sent_by_a_controller(version)
    commands += [
        ClearProfile(id=1, station=STATION, purpose=purpose)
        for purpose in (ProfilePurpose.TX, ProfilePurpose.TX_DEFAULT, ProfilePurpose.CHARGE_POINT_MAX)
    ]
    commands += [
        ClearProfile(id=1, station=STATION, profile_id=ProfileId(7)),
        ClearProfile(id=1, station=STATION, number=1, stack_level=3),
        ReadBack(id=1, station=STATION, number=1, duration_s=60, unit=RateUnit.W),
        TriggerReading(id=1, station=STATION, number=1),
        ReadCapabilities(id=1, station=STATION),
    ]

    kinds = {SetProfile, ClearProfile, ReadBack, ReadCapabilities, TriggerReading}
    assert kinds | (set() if version is OcppVersion.V16 else {ReadForeign}) == {type(c) for c in commands}
    for command in commands:
        action, payload = to_ocpp.request(command, version=version)
        assert None is schemas.first_fault(version.value, action, payload, response=False)


def test_a_station_of_2_1_is_asked_to_feed_back_in_words_of_its_schema():
    """A setpoint below 0 between a limit of 0 A and a discharge limit; and who is asked, was asked whether it can."""
    world = a_world().run(300)
    asked = [to_ocpp.request(c, version=OcppVersion.V21) for _, c in world.commands if c.station == STATION]
    for action, payload in asked:
        assert None is schemas.first_fault("2.1", action, payload, response=False)
    schedules = [p["chargingProfile"]["chargingSchedule"][0] for a, p in asked if a == "SetChargingProfile"]
    first = [s["chargingSchedulePeriod"][0] for s in schedules]
    back = [p for p in first if "setpoint" in p]
    assert {"startPeriod": 0, "limit": 0.0, "setpoint": -12.0, "dischargeLimit": -12.0} | {
        "operationMode": "CentralSetpoint"
    } == back[-1]
    variables = next(p["getVariableData"] for a, p in asked if a == "GetVariables")
    modes = {"name": "V2XChargingCtrlr", "evse": {"id": 1}}
    assert {"component": modes, "variable": {"name": "SupportedOperationModes"}} in variables


def test_the_same_profile_is_spelt_by_version():
    old, new = (
        [to_ocpp.request(c, version=v) for c in sent_by_a_controller(v) if isinstance(c, SetProfile)]
        for v in (OcppVersion.V16, OcppVersion.V201)
    )

    assert ["TxDefaultProfile", "ChargePointMaxProfile", "TxProfile"] == [
        p["csChargingProfiles"]["chargingProfilePurpose"] for _, p in old
    ]
    assert ["TxDefaultProfile", "ChargingStationMaxProfile", "TxProfile"] == [
        p["chargingProfile"]["chargingProfilePurpose"] for _, p in new
    ]


def test_a_transaction_profile_names_its_transaction_in_both_versions():
    for version, number in ((OcppVersion.V16, 1), (OcppVersion.V201, "1")):
        lease = sent_by_a_controller(version)[-1]
        _, payload = to_ocpp.request(lease, version=version)
        profile = payload.get("csChargingProfiles") or payload["chargingProfile"]

        assert number == profile["transactionId"]


def test_a_clear_that_names_nothing_is_refused_in_2x():
    command = ClearProfile(id=1, station=STATION)

    assert ("ClearChargingProfile", {}) == to_ocpp.request(command, version=OcppVersion.V16)
    with pytest.raises(ValueError, match=r"K10\.FR\.02"):
        to_ocpp.request(command, version=OcppVersion.V201)

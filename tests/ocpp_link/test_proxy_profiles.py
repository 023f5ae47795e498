"""The CSMS's profiles are held, and the CSMS is told the truth about them."""

from typing import Any

import pytest

from ocpp_link.interceptor import Answer, Change, Pass, Verdict
from ocpp_link.proxy import RelayedStation
from ocpp_link.proxy_profiles import HeldProfiles
from ocpp_link.proxy_server import ProxyServer
from ocpp_link.testing import ChargingStation, PlainBody
from ocpp_link.transport import Server, SystemClock
from tests.ocpp_link.test_proxy import Watcher, play
from tests.ocpp_link.waiting import until


class Far:
    """As much of a relayed station as holding needs."""

    def __init__(self, version: str = "1.6") -> None:
        self.id = "CS"
        self.version = version
        self.clock = SystemClock()


def profile_16(number: int = 1, *, purpose: str = "TxDefaultProfile", level: int = 0) -> dict[str, Any]:
    return {
        "chargingProfileId": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}]},
    }


def profile_201(number: int = 1, *, purpose: str = "TxDefaultProfile", level: int = 0) -> dict[str, Any]:
    period = {"startPeriod": 0, "limit": 16.0}
    return {
        "id": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": [{"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [period]}],
    }


def holding() -> tuple[HeldProfiles, Any, list[str]]:
    changes: list[str] = []
    return HeldProfiles(lambda station: changes.append(station.id)), Far(), changes


def install(held: HeldProfiles, station: Any, number: int, *, connector: int = 1, **changes: Any) -> Verdict:
    payload = {"connectorId": connector, "csChargingProfiles": profile_16(number, **changes)}
    return held.judge(station, "SetChargingProfile", payload)


def test_a_profile_is_held_and_replaces_its_like() -> None:
    held, station, changes = holding()

    assert Answer({"status": "Accepted"}) == install(held, station, 1)
    install(held, station, 2)  # same place
    install(held, station, 3, level=1)
    install(held, station, 3, level=2)  # same id

    assert [2, 3] == [each.id for each in held.of("CS")]
    assert 4 == len(changes)


@pytest.mark.parametrize(
    ("criteria", "left"),
    [
        ({}, []),
        ({"id": 2}, [1, 3]),
        ({"connectorId": 1}, [3]),
        ({"chargingProfilePurpose": "TxProfile"}, [1, 3]),
        ({"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 0}, [2, 3]),
        ({"id": 9}, [1, 2, 3]),
    ],
)
def test_clearing_touches_only_what_is_meant(criteria: dict[str, Any], left: list[int]) -> None:
    held, station, _ = holding()
    install(held, station, 1)
    install(held, station, 2, purpose="TxProfile")
    install(held, station, 3, connector=2, level=1)

    verdict = held.judge(station, "ClearChargingProfile", criteria)

    assert left == [each.id for each in held.of("CS")]
    assert Answer({"status": "Unknown" if len(left) == 3 else "Accepted"}) == verdict


def test_the_profile_of_a_remote_start_is_taken_out_and_ends_with_the_transaction() -> None:
    held, station, _ = holding()
    start = {"idTag": "T", "connectorId": 2, "chargingProfile": profile_16(7, purpose="TxProfile")}

    assert Change({"idTag": "T", "connectorId": 2}) == held.judge(station, "RemoteStartTransaction", start)
    assert [(2, 7)] == [(each.evse_id, each.id) for each in held.of("CS")]
    held.transaction_ended(station, 2)
    assert () == held.of("CS")


@pytest.mark.parametrize(
    ("action", "payload", "held_here"),
    [
        ("ChangeConfiguration", {"key": "MaxChargingProfilesInstalled", "value": "1"}, True),
        ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "1"}, False),
        ("GetCompositeSchedule", {"connectorId": 1, "duration": 60}, False),
        ("RemoteStartTransaction", {"idTag": "T"}, False),
        ("UsePriorityCharging", {"transactionId": "t", "activate": True}, True),
        ("UpdateDynamicSchedule", {"chargingProfileId": 1, "scheduleUpdate": {}}, True),
        ("Reset", {"type": "Soft"}, False),
    ],
)
def test_what_could_get_past_us_is_caught(action: str, payload: dict[str, Any], held_here: bool) -> None:
    held, station, _ = holding()

    assert held_here != (Pass() == held.judge(station, action, payload))


@pytest.mark.parametrize(("component", "passes"), [("SmartChargingCtrlr", False), ("OCPPCommCtrlr", True)])
def test_smart_charging_variables_are_not_changed_from_above(component: str, passes: bool) -> None:
    held, _, _ = holding()
    item = {"attributeValue": "false", "component": {"name": component}, "variable": {"name": "Enabled"}}

    verdict = held.judge(Far("2.0.1"), "SetVariables", {"setVariableData": [item]})  # type: ignore[arg-type]

    assert passes == (Pass() == verdict)


def test_held_profiles_are_reported_through_the_wire() -> None:
    pushed: list[str] = []
    held = HeldProfiles(lambda station: pushed.append(station.id))

    class Holder(Watcher):
        def on_csms_call(self, station: RelayedStation, action: str, payload: dict[str, Any]) -> Verdict:
            return held.judge(station, action, payload)

    async def scene(above: Server, proxy: ProxyServer, station: ChargingStation, body: PlainBody) -> None:
        await station.connect()
        there = above.stations["CS 1|a"]
        request = {"requestId": 5, "chargingProfile": {"chargingProfilePurpose": "TxDefaultProfile"}}
        assert {"status": "NoProfiles"} == await there.call("GetChargingProfiles", request)
        for evse_id, number in ((1, 1), (2, 2)):
            install = {"evseId": evse_id, "chargingProfile": profile_201(number)}
            assert {"status": "Accepted"} == await there.call("SetChargingProfile", install)
        assert {"status": "Accepted"} == await there.call("GetChargingProfiles", request)
        await until(lambda: not held._reports)
        assert [] == body.received

    csms = play(scene, watcher=Holder(), version="2.0.1")

    reports = [payload for _, action, payload in csms.calls if action == "ReportChargingProfiles"]
    assert [(1, True), (2, False)] == [(each["evseId"], each["tbc"]) for each in reports]
    assert ["CS 1|a"] * 2 == pushed


def test_a_dynamic_update_changes_what_is_held_and_nothing_else() -> None:
    changes: list[str] = []
    held, station = HeldProfiles(lambda each: changes.append(each.id)), Far("2.1")
    dynamic = profile_201(4) | {"chargingProfileKind": "Dynamic"}
    for number, profile in ((4, dynamic), (5, profile_201(5, level=1))):
        held.judge(station, "SetChargingProfile", {"evseId": 1, "chargingProfile": profile | {"id": number}})  # type: ignore[arg-type]
    update = {"scheduleUpdate": {"limit": 9.0, "setpoint": 8.0}}
    wanted = (("4", "Accepted", 3), ("5", "Rejected", 3), ("6", "Rejected", 3))

    for number, status, count in wanted:
        verdict = held.judge(station, "UpdateDynamicSchedule", {"chargingProfileId": int(number), **update})  # type: ignore[arg-type]
        assert Answer({"status": status}) == verdict
        assert count == len(changes)

    now_held = next(each for each in held.of("CS") if each.id == 4).profile
    assert [{"startPeriod": 0, "limit": 9.0, "setpoint": 8.0}] == now_held["chargingSchedule"][0][
        "chargingSchedulePeriod"
    ]
    assert "dynUpdateTime" in now_held
    assert 16.0 == dynamic["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"]


def test_priority_charging_is_remembered_where_a_profile_for_it_is_held() -> None:
    changes: list[str] = []
    held, station = HeldProfiles(lambda each: changes.append(each.id)), Far("2.1")

    def use(*, activate: bool) -> Verdict:
        return held.judge(station, "UsePriorityCharging", {"transactionId": "t", "activate": activate})  # type: ignore[arg-type]

    assert Answer({"status": "NoProfile"}) == use(activate=True)
    profile = profile_201(1, purpose="PriorityCharging")
    held.judge(station, "SetChargingProfile", {"evseId": 1, "chargingProfile": profile})  # type: ignore[arg-type]
    assert Answer({"status": "Accepted"}) == use(activate=True) == use(activate=True)
    assert {"t"} == held.priority_of("CS")
    assert Answer({"status": "Accepted"}) == use(activate=False)
    assert set() == held.priority_of("CS")
    assert 3 == len(changes)
    use(activate=True)
    held.transaction_ended(station, 1, transaction_id="t")  # type: ignore[arg-type]
    assert set() == held.priority_of("CS")

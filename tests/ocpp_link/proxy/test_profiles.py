"""The CSMS's profiles are held, and the CSMS is told the truth about them."""

import asyncio
import json
from datetime import datetime
from typing import Any

import pytest
import websockets

from ocpp_link.errors import CallRejected
from ocpp_link.proxy.interceptor import Answer, Change, Pass, Verdict
from ocpp_link.proxy.keeper import HeldProfiles
from ocpp_link.proxy.profiles import ProfileGuard
from ocpp_link.proxy.relay import RelayedStation
from ocpp_link.proxy.server import ProxyServer, ProxySettings, serve_proxy
from ocpp_link.proxy.settings import is_ours
from ocpp_link.testing import ChargingStation, PlainBody
from ocpp_link.transport import Server, SystemClock
from tests.ocpp_link.proxy.test_relay import Watcher, play
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


class Held(HeldProfiles):
    """The plain keeper, with what decides in front of it."""

    def judge(self, station: Any, action: str, payload: dict[str, Any]) -> Verdict:
        return ProfileGuard(self, vendors=("nice",)).judge(station, action, payload)


def holding() -> tuple[Held, Any, list[str]]:
    changes: list[str] = []
    return Held(lambda station: changes.append(station.id)), Far(), changes


def install(held: Held, station: Any, number: int, *, connector: int = 1, **changes: Any) -> Verdict:
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
        (
            "ReserveNow",
            {"connectorId": 1, "expiryDate": "2030-01-01T00:00:00Z", "idTag": "T", "reservationId": 1},
            False,
        ),
        ("DataTransfer", {"vendorId": "any", "data": "32 A"}, True),
        ("DataTransfer", {"vendorId": "nice"}, False),
        ("SetNetworkProfile", {"configurationSlot": 1, "connectionData": {}}, True),
    ],
)
def test_what_could_get_past_us_is_caught(action: str, payload: dict[str, Any], held_here: bool) -> None:
    held, station, _ = holding()

    assert held_here != (Pass() == held.judge(station, action, payload))


@pytest.mark.parametrize(
    ("component", "passes"),
    [("SmartChargingCtrlr", False), ("smartchargingctrlr", False), ("NetworkConfiguration", False), ("TxCtrlr", True)],
)
def test_smart_charging_variables_are_not_changed_from_above(component: str, passes: bool) -> None:
    held, _, _ = holding()
    item = {"attributeValue": "false", "component": {"name": component}, "variable": {"name": "Enabled"}}

    verdict = held.judge(Far("2.0.1"), "SetVariables", {"setVariableData": [item]})  # type: ignore[arg-type]

    assert passes == (Pass() == verdict)


class Holder(Watcher):
    """An interceptor that holds."""

    def __init__(self) -> None:
        super().__init__()
        self.keeper = HeldProfiles(lambda station: None)
        self.guard = ProfileGuard(self.keeper)

    def holds(self, action: str) -> bool:
        return self.guard.holds(action)

    def on_csms_call(self, station: RelayedStation, action: str, payload: dict[str, Any]) -> Verdict:
        return self.guard.judge(station, action, payload)

    def on_station_call(self, station: RelayedStation, action: str, payload: dict[str, Any]) -> Verdict:
        return self.guard.judge_station(station, action, payload)


REQUEST = {"requestId": 5, "chargingProfile": {"chargingProfilePurpose": "TxDefaultProfile"}}


def test_held_profiles_are_reported_through_the_wire() -> None:
    holder = Holder()

    async def scene(above: Server, proxy: ProxyServer, station: ChargingStation, body: PlainBody) -> None:
        await station.connect()
        there = above.stations["CS 1|a"]
        assert {"status": "NoProfiles"} == await there.call("GetChargingProfiles", REQUEST)
        for evse_id, number in ((1, 1), (2, 2)):
            install = {"evseId": evse_id, "chargingProfile": profile_201(number)}
            assert {"status": "Accepted"} == await there.call("SetChargingProfile", install)
        assert {"status": "Accepted"} == await there.call("GetChargingProfiles", REQUEST)
        await until(lambda: not holder.guard.reporting)
        assert {"GetChargingProfiles"} == {action for action, _ in body.received}

    csms = play(scene, watcher=holder, version="2.0.1")

    reports = [payload for _, action, payload in csms.calls if action == "ReportChargingProfiles"]
    assert [(1, True), (2, False)] == [(each["evseId"], each["tbc"]) for each in reports]


def test_what_others_put_on_the_station_is_reported_beside_what_is_held_and_what_is_ours_is_not() -> None:
    holder = Holder()

    class Reporting(PlainBody):
        async def on_call(self, action: str, payload: dict[str, Any], now: datetime) -> dict[str, Any]:
            if action != "GetChargingProfiles":
                return await super().on_call(action, payload, now)
            for source, more in (("CSO", True), ("EMS", False)):
                report = {"requestId": 5, "chargingLimitSource": source, "evseId": 1, "tbc": more}
                tasks.append(asyncio.create_task(self.tell(report | {"chargingProfile": [profile_201(9)]})))
            return {"status": "Accepted"}

        async def tell(self, report: dict[str, Any]) -> None:
            await self.station.call("ReportChargingProfiles", report)

    tasks: list[Any] = []
    reporting = Reporting()

    async def scene(above: Server, proxy: ProxyServer, station: ChargingStation, body: PlainBody) -> None:
        reporting.station = station  # type: ignore[attr-defined]
        reporting.version = "2.0.1"
        await station.connect()
        there = above.stations["CS 1|a"]
        install = {"evseId": 1, "chargingProfile": profile_201(1)}
        assert {"status": "Accepted"} == await there.call("SetChargingProfile", install)
        assert {"status": "Accepted"} == await there.call("GetChargingProfiles", REQUEST)
        await until(lambda: not holder.guard.reporting)

    csms = play(scene, watcher=holder, version="2.0.1", body=reporting)

    reports = [payload for _, action, payload in csms.calls if action == "ReportChargingProfiles"]
    assert [("CSO", [1], True), ("EMS", [9], False)] == [
        (each["chargingLimitSource"], [profile["id"] for profile in each["chargingProfile"]], each["tbc"])
        for each in reports
    ]


def raw_call(action: str, payload: str) -> bytes:
    return f'[2,"sly","{action}",{payload}]'.encode()


SLY_PROFILE = (
    '{"connectorId":1,"csChargingProfiles":{"chargingProfileId":1,"stackLevel":99,"chargingProfilePurpose":'
    '"TxDefaultProfile","chargingProfileKind":"Relative","chargingSchedule":{"chargingRateUnit":"A",'
    '"chargingSchedulePeriod":[{"startPeriod":0,"limit":32.05}]}}}'
)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (raw_call("SetChargingProfile", SLY_PROFILE), "PropertyConstraintViolation"),
        (raw_call("setchargingprofile", SLY_PROFILE), "NotImplemented"),
        (raw_call("SetChargingProfile.req", SLY_PROFILE), "NotImplemented"),
        (raw_call("SetChargingProfile-Signed", '{"payload":"e30","signatures":[]}'), "NotImplemented"),
        (raw_call("RemoteStartTransaction", '{"idTag":"T","ChargingProfile":{}}'), "FormationViolation"),
        (b'[2,7,"SetChargingProfile",' + SLY_PROFILE.encode() + b"]", None),
        (b'[2,"sly","SetChargingProfile",' + SLY_PROFILE.encode() + b',"more"]', None),
        (b'[6,"sly","SetChargingProfile",' + SLY_PROFILE.encode() + b"]", None),
    ],
)
def test_a_profile_in_disguise_never_reaches_the_station(text: bytes, code: str | None) -> None:
    answers: list[bytes] = []
    received: list[bytes] = []

    async def main() -> None:
        async def csms(socket: Any) -> None:
            await socket.send(text)
            await socket.send(b'[2,"after","ClearCache",{}]'.decode())
            async for answer in socket:
                answers.append(answer)  # noqa: PERF401 - seen one by one, as they come

        async with websockets.serve(csms, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as above:  # type: ignore[list-item]
            port = above.sockets[0].getsockname()[1]
            settings = ProxySettings(upstream_url=f"ws://127.0.0.1:{port}")
            proxy = await serve_proxy("127.0.0.1", 0, settings=settings, interceptor=Holder())
            url = f"ws://127.0.0.1:{proxy.port}/ocpp/CS"
            async with websockets.connect(url, subprotocols=["ocpp1.6"]) as socket:  # type: ignore[list-item]
                received.append(await socket.recv(decode=False))
                await socket.send('[3,"after",{"status":"Accepted"}]')
                await until(lambda: '[3,"after",{"status":"Accepted"}]' in answers)
            await proxy.close()

    asyncio.run(main())

    assert [b'[2,"after","ClearCache",{}]'] == received
    assert ([] if code is None else [code]) == [json.loads(answer)[2] for answer in answers[:-1]]


def test_a_key_said_twice_reaches_the_station_as_it_was_read_here() -> None:
    async def scene(above: Server, proxy: ProxyServer, station: ChargingStation, body: PlainBody) -> None:
        await station.connect()
        link = above.stations["CS 1|a"]._link
        link.write_raw(raw_call("ChangeConfiguration", '{"key":"MaxCurrent","key":"HeartbeatInterval","value":"9"}'))
        await until(lambda: bool(body.received))
        assert [("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "9"})] == body.received

    play(scene, watcher=Holder())


def test_what_fails_here_is_refused_and_not_passed_on() -> None:
    class Failing(Holder):
        def on_csms_call(self, station: RelayedStation, action: str, payload: dict[str, Any]) -> Verdict:
            raise RuntimeError(action)

    async def scene(above: Server, proxy: ProxyServer, station: ChargingStation, body: PlainBody) -> None:
        await station.connect()
        there = above.stations["CS 1|a"]
        with pytest.raises(CallRejected) as rejected:
            await there.call("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile_16()})
        assert "InternalError" == rejected.value.code
        assert {"status": "Accepted"} == await there.call("ClearCache", {})
        assert ["ClearCache"] == [action for action, _ in body.received]

    play(scene, watcher=Failing())


CORE_KEYS = (
    "AllowOfflineTxForUnknownId AuthorizationCacheEnabled AuthorizeRemoteTxRequests BlinkRepeat"
    " ClockAlignedDataInterval ConnectionTimeOut ConnectorPhaseRotation GetConfigurationMaxKeys HeartbeatInterval"
    " LightIntensity LocalAuthorizeOffline LocalPreAuthorize MaxEnergyOnInvalidId MeterValuesAlignedData"
    " MeterValuesSampledData MeterValueSampleInterval MinimumStatusDuration NumberOfConnectors ResetRetries"
    " StopTransactionOnEVSideDisconnect StopTransactionOnInvalidId StopTxnAlignedData StopTxnSampledData"
    " SupportedFeatureProfiles TransactionMessageAttempts TransactionMessageRetryInterval"
    " UnlockConnectorOnEVSideDisconnect WebSocketPingInterval LocalAuthListEnabled AuthorizationKey CpoName"
    " SecurityProfile AdditionalRootCertificateCheck ReserveConnectorZeroSupported"
)


def test_the_keys_of_the_specification_that_set_no_limit_stay_the_csmss() -> None:
    assert [] == [key for key in CORE_KEYS.split() if is_ours(key)]


LIMITING_KEYS = (
    "MaxChargingProfilesInstalled chargeprofilemaxstacklevel Station-MaxCurrent charging_power_limit DLB_enabled"
    " CentralSystemURL OcppServer NetworkConfigurationPriority MaxPowerW"
)


@pytest.mark.parametrize("key", LIMITING_KEYS.split())
def test_settings_that_limit_or_lead_away_are_not_changed_from_above(key: str) -> None:
    held, station, _ = holding()

    verdict = held.judge(station, "ChangeConfiguration", {"key": key, "value": "99"})

    assert Answer({"status": "Rejected"}) == verdict


def test_a_dynamic_update_changes_what_is_held_and_nothing_else() -> None:
    changes: list[str] = []
    held, station = Held(lambda each: changes.append(each.id)), Far("2.1")
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
    held, station = Held(lambda each: changes.append(each.id)), Far("2.1")

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

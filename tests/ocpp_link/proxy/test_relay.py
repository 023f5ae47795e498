"""A Local Controller that neither the station below nor the CSMS above can tell from a wire."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16

from ocpp_link.errors import CallRejected, ConnectFailed, InvalidRequest
from ocpp_link.proxy.interceptor import Answer, Change, Pass, Verdict
from ocpp_link.proxy.relay import RelayedStation
from ocpp_link.proxy.server import ProxyServer, ProxySettings, serve_proxy
from ocpp_link.security import AccessList, PasswordHash, StationAccess
from ocpp_link.testing import ChargingStation, PlainBody
from ocpp_link.transport import ClientPolicy, Policy, Server, SystemClock, serve
from tests.ocpp_link.csms import RecordingCsms
from tests.ocpp_link.waiting import until

PROFILE = {
    "connectorId": 1,
    "csChargingProfiles": {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}]},
    },
}


class Watcher:
    """An interceptor that sees everything, and holds what it is told to."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.verdicts: dict[str, Verdict] = {}
        self.connected: list[RelayedStation] = []
        self.ended: list[str] = []
        self.held: set[str] = set()
        self.upstream: list[bool] = []
        self.replies: list[tuple[str, str, Any]] = []

    def holds(self, action: str) -> bool:
        return action in self.held

    def on_upstream(self, station: RelayedStation, *, connected: bool) -> None:
        self.upstream.append(connected)

    def on_csms_reply(self, station: RelayedStation, action: str, payload: Any, reply: Any) -> None:
        self.replies.append(("csms", action, reply))

    def on_station_reply(self, station: RelayedStation, action: str, payload: Any, reply: Any) -> None:
        self.replies.append(("station", action, reply))

    def on_connect(self, station: RelayedStation) -> None:
        self.connected.append(station)

    def on_csms_call(self, station: RelayedStation, action: str, payload: dict[str, Any]) -> Verdict:
        self.seen.append(("csms", action))
        return self.verdicts.get(action, Pass())

    def on_station_call(self, station: RelayedStation, action: str, payload: dict[str, Any]) -> Verdict:
        self.seen.append(("station", action))
        return self.verdicts.get(action, Pass())

    def on_disconnect(self, station: RelayedStation, reason: str) -> None:
        self.ended.append(reason)


Scene = Callable[[Server, ProxyServer, ChargingStation, PlainBody], Awaitable[None]]


def play(
    scene: Scene, *, watcher: Watcher | None = None, policy: Policy | None = None, **station: Any
) -> RecordingCsms:
    csms = RecordingCsms()

    async def main() -> None:
        above = await serve("127.0.0.1", 0, handler=csms, policy=policy)
        settings = ProxySettings(upstream_url=f"ws://127.0.0.1:{above.port}/ocpp")
        proxy = await serve_proxy("127.0.0.1", 0, settings=settings, interceptor=watcher or Watcher())
        body = PlainBody()
        below = ChargingStation(
            **{
                "identity": "CS 1|a",
                "version": "1.6",
                "url": f"ws://127.0.0.1:{proxy.port}/ocpp",
                "clock": SystemClock(),
                "body": body,
                **station,
            }
        )
        async with asyncio.timeout(20):
            await scene(above, proxy, below, body)
            await below.disconnect()
            await proxy.close()
            await above.close()

    asyncio.run(main())
    return csms


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_messages_pass_both_ways_and_the_identity_stays(version: str) -> None:
    async def scene(above: Server, proxy: ProxyServer, station: ChargingStation, body: PlainBody) -> None:
        await station.connect()
        assert "Accepted" == (await station.boot()).status
        there = above.stations["CS 1|a"]
        assert version == there.version
        assert {"status": "Accepted"} == await there.call("ClearCache", {})
        with pytest.raises(CallRejected) as rejected:
            await station.call("DataTransfer", {"vendorId": "v"})
        assert "NotSupported" == rejected.value.code

    watcher = Watcher()
    csms = play(scene, watcher=watcher, version=version)

    assert ["BootNotification", "DataTransfer"] == [action for _, action, _ in csms.calls]
    assert [("station", "BootNotification"), ("csms", "ClearCache"), ("station", "DataTransfer")] == watcher.seen


def test_own_calls_go_between_and_the_csms_does_not_notice() -> None:
    watcher = Watcher()

    async def scene(above: Server, proxy: ProxyServer, station: ChargingStation, body: PlainBody) -> None:
        await station.connect()
        relayed = proxy.stations["CS 1|a"]
        there = above.stations["CS 1|a"]
        own = [relayed.call("SetChargingProfile", PROFILE) for _ in range(3)]
        theirs = [there.call("ClearCache", {}) for _ in range(3)]
        assert [{"status": "Accepted"}] * 6 == await asyncio.gather(*own, *theirs)
        with pytest.raises(InvalidRequest):
            await relayed.call("SetChargingProfile", {})
        assert {"currentTime": "2024-01-17T12:00:00Z"} == await relayed.call_csms("Heartbeat", {})

    csms = play(scene, watcher=watcher)

    assert [] == csms.events
    assert ["Heartbeat"] == [action for _, action, _ in csms.calls]
    assert ["ClearCache"] * 3 == [action for _, action in watcher.seen]


def test_a_held_profile_is_answered_here_and_a_changed_one_passes_under_its_own_id() -> None:
    watcher = Watcher()
    watcher.verdicts = {
        "SetChargingProfile": Answer({"status": "Accepted"}),
        "RemoteStartTransaction": Change({"idTag": "T", "connectorId": 2}),
        "Authorize": Answer({"idTagInfo": {"status": "Blocked"}}),
    }

    async def scene(above: Server, proxy: ProxyServer, station: ChargingStation, body: PlainBody) -> None:
        await station.connect()
        there = above.stations["CS 1|a"]
        assert {"status": "Accepted"} == await there.call("SetChargingProfile", PROFILE)
        assert {"status": "Accepted"} == await there.call("RemoteStartTransaction", {"idTag": "T", "connectorId": 1})
        assert "Blocked" == await station.authorize("T")
        assert [("RemoteStartTransaction", {"idTag": "T", "connectorId": 2})] == body.received

    csms = play(scene, watcher=watcher)

    assert [] == csms.calls


def test_what_breaks_the_schema_and_garbage_pass_as_they_are() -> None:
    async def scene(above: Server, proxy: ProxyServer, station: ChargingStation, body: PlainBody) -> None:
        await station.connect()
        assert station.link is not None
        for text in (b'[2,"a","Authorize",{"idTag": 5 }]', b"garbage", b'[9,"x"]', b'[2,"b","MakeCoffee",{}]'):
            station.link.write_raw(text)
        with pytest.raises(CallRejected):
            await station.call("DataTransfer", {"vendorId": "v"})

    csms = play(scene)

    told = [type(event).__name__ for event in csms.events]
    assert ["CallRefusedByRules", "Garbage", "Garbage", "CallRefusedByRules"] == told


def test_when_the_csms_is_lost_the_station_is_closed_and_the_other_way_round() -> None:
    watcher = Watcher()

    async def scene(above: Server, proxy: ProxyServer, station: ChargingStation, body: PlainBody) -> None:
        await station.connect()
        await above.stations["CS 1|a"].close()
        await until(lambda: not station.connected)
        await station.connect()
        await station.disconnect()
        await until(lambda: not above.stations)
        assert {} == dict(proxy.stations)

    play(scene, watcher=watcher)

    assert ["CSMS lost", "station lost"] == watcher.ended


def test_refusals_and_credentials_of_the_csms_reach_the_station() -> None:
    access = AccessList({"CS 1|a": StationAccess(profile=1, passwords=(PasswordHash.of("secret"),))})

    async def scene(above: Server, proxy: ProxyServer, station: ChargingStation, body: PlainBody) -> None:
        for identity, password, status in (("Other", "secret", 404), ("CS 1|a", "wrong", 401)):
            station.identity = identity
            station.policy = ClientPolicy(password=password)
            with pytest.raises(ConnectFailed) as failed:
                await station.connect()
            assert status == failed.value.status
        station.policy = ClientPolicy(password="secret")
        await station.connect()
        assert station.connected

    play(scene, policy=Policy(access=access))


def test_without_a_csms_the_station_is_told_to_come_back() -> None:
    async def scene(above: Server, proxy: ProxyServer, station: ChargingStation, body: PlainBody) -> None:
        await above.close()
        with pytest.raises(ConnectFailed) as failed:
            await station.connect()
        assert 503 == failed.value.status

    play(scene)


def test_a_station_that_hangs_up_while_the_csms_is_dialled_leaves_no_connection_there() -> None:
    """Else the CSMS would take it for connected, and what it says would be kept for nobody."""
    knocked, gone = asyncio.Event(), asyncio.Event()

    async def slow_csms(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        knocked.set()
        await reader.read()  # until the other end hangs up
        gone.set()
        writer.close()

    async def main() -> None:
        above = await asyncio.start_server(slow_csms, "127.0.0.1", 0)
        settings = ProxySettings(upstream_url=f"ws://127.0.0.1:{above.sockets[0].getsockname()[1]}/ocpp")
        proxy = await serve_proxy("127.0.0.1", 0, settings=settings, interceptor=Watcher())
        url = f"ws://127.0.0.1:{proxy.port}/ocpp"
        below = ChargingStation(identity="CS", version="1.6", url=url, clock=SystemClock(), body=PlainBody())
        async with asyncio.timeout(20):
            connecting = asyncio.create_task(below.connect())
            await knocked.wait()
            connecting.cancel()
            await gone.wait()
            await proxy.close()
            above.close()

    asyncio.run(main())


class CsmsPoint(ChargePoint16):  # type: ignore[misc]
    """The `ocpp` package as the CSMS above."""

    @on("BootNotification")
    async def on_boot(self, **_payload: Any) -> Any:
        return result16.BootNotification(current_time="2024-01-17T12:00:00Z", interval=300, status="Accepted")


class StationPoint(ChargePoint16):  # type: ignore[misc]
    """The `ocpp` package as the station below."""

    @on("ClearCache")
    async def on_clear_cache(self) -> Any:
        return result16.ClearCache(status="Accepted")


def test_two_strangers_talk_through_it() -> None:
    async def main() -> None:
        cleared: list[Any] = []
        done = asyncio.Event()

        async def csms(socket: Any) -> None:
            point = CsmsPoint("CS", socket)
            listening = asyncio.create_task(point.start())
            cleared.append(await point.call(call16.ClearCache()))
            done.set()
            await asyncio.gather(listening, return_exceptions=True)

        async with websockets.serve(csms, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as above:  # type: ignore[list-item]
            port = above.sockets[0].getsockname()[1]
            settings = ProxySettings(upstream_url=f"ws://127.0.0.1:{port}/steve/websocket")
            proxy = await serve_proxy("127.0.0.1", 0, settings=settings, interceptor=Watcher())
            url = f"ws://127.0.0.1:{proxy.port}/ocpp/CS"
            async with websockets.connect(url, subprotocols=["ocpp1.6"]) as socket:  # type: ignore[list-item]
                point = StationPoint("CS", socket)
                listening = asyncio.create_task(point.start())
                async with asyncio.timeout(30):
                    booted = await point.call(call16.BootNotification("model", "vendor"))
                    await done.wait()
                listening.cancel()
            await proxy.close()
        assert "Accepted" == booted.status
        assert ["Accepted"] == [answer.status for answer in cleared]

    asyncio.run(main())

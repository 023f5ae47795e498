"""A Local Controller that serves stations on without the CSMS, and tells it everything afterwards."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16

from ocpp_link import frames
from ocpp_link.errors import ConnectFailed
from ocpp_link.proxy.queue import UpstreamQueue
from ocpp_link.proxy.server import ProxyServer, ProxySettings, serve_proxy
from ocpp_link.proxy.sticky import Sticky, StickyStation
from ocpp_link.security import AccessList, PasswordHash, StationAccess
from ocpp_link.station import Station
from ocpp_link.testing import ChargingStation, PlainBody, Sample
from ocpp_link.transport import ClientPolicy, Policy, Server, SystemClock, serve
from tests.ocpp_link.csms import RecordingCsms
from tests.ocpp_link.proxy.test_relay import Watcher
from tests.ocpp_link.waiting import until


@dataclass
class World:
    """A CSMS that can be taken away, a Local Controller and one station."""

    queue: Path
    rules: dict[str, Any]
    policy: Policy | None = None
    csms: RecordingCsms = field(default_factory=RecordingCsms)
    watcher: Watcher = field(default_factory=Watcher)
    body: PlainBody = field(default_factory=PlainBody)
    port: int = 0

    async def csms_up(self) -> None:
        self.above: Server = await serve("127.0.0.1", self.port, handler=self.csms, policy=self.policy)
        self.port = self.above.port

    async def proxy_up(self) -> None:
        settings = ProxySettings(
            upstream_url=f"ws://127.0.0.1:{self.port}/ocpp",
            sticky=Sticky(queue=self.queue, first_retry_s=0.02, longest_retry_s=0.05, **self.rules),
        )
        self.proxy: ProxyServer = await serve_proxy("127.0.0.1", 0, settings=settings, interceptor=self.watcher)
        self.station.url = f"ws://127.0.0.1:{self.proxy.port}/ocpp"

    async def csms_down(self) -> None:
        await self.above.close()
        relayed = self.proxy.stations["CS"]
        await until(lambda: not relayed.upstream_connected)

    def told(self) -> list[str]:
        return [action for _, action, _ in self.csms.calls]

    def payloads(self, wanted: str) -> list[dict[str, Any]]:
        return [payload for _, action, payload in self.csms.calls if action == wanted]

    async def told_everything(self) -> None:
        base = UpstreamQueue(self.queue, now=SystemClock().now)
        await until(lambda: base.count("CS") == 0)
        base.close()


def play(
    scene: Callable[[World], Awaitable[None]],
    tmp_path: Path,
    *,
    version: Any = "1.6",
    policy: Policy | None = None,
    **rules: Any,
) -> World:
    world = World(tmp_path / "queue.sqlite", rules, policy)

    async def main() -> None:
        await world.csms_up()
        world.station = ChargingStation(identity="CS", version=version, url="", clock=SystemClock(), body=world.body)
        await world.proxy_up()
        async with asyncio.timeout(20):
            await scene(world)
            await world.station.disconnect()
            await world.proxy.close()
            await world.above.close()

    asyncio.run(main())
    return world


def test_a_session_without_csms_is_told_in_order_and_under_the_csmss_own_transaction_id(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        station = world.station
        await station.connect()
        await station.boot()
        await world.csms_down()
        world.csms.calls.clear()

        assert "Accepted" == (await station.boot(reason="Watchdog")).status
        await station.heartbeat()
        await station.status(1, "Preparing")
        assert "Accepted" == await station.authorize("T")
        started = await station.start_transaction(1, "T", meter_wh=100)
        assert "Accepted" == started.status
        await station.meter_values(1, [Sample(150.0)])
        await station.status(1, "Charging")
        await world.csms_up()
        await world.told_everything()
        there = world.above.stations["CS"]
        await until(lambda: world.proxy.stations["CS"].upstream_connected)
        await there.call("RemoteStopTransaction", {"transactionId": 7})
        await station.meter_values(1, [Sample(160.0)])
        await station.stop_transaction(1, meter_wh=200)
        await until(lambda: "StopTransaction" in world.told())
        assert [("RemoteStopTransaction", {"transactionId": int(started.transaction_id)})] == world.body.received

    world = play(scene, tmp_path, start_offline=True)

    wanted = "BootNotification StartTransaction MeterValues StatusNotification MeterValues StopTransaction"
    assert wanted == " ".join(world.told()[:6])
    assert [7, 7] == [each["transactionId"] for each in world.payloads("MeterValues")]
    assert [7] == [each["transactionId"] for each in world.payloads("StopTransaction")]
    assert ["Charging"] == [each["status"] for each in world.payloads("StatusNotification")]


def test_control_sees_and_asks_the_station_while_the_csms_is_away(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.station.connect()
        await world.csms_down()
        world.watcher.seen.clear()
        await world.station.meter_values(1, [Sample(1.0)])
        assert {"status": "Accepted"} == await world.proxy.stations["CS"].call("ClearCache", {})
        await world.csms_up()
        await world.told_everything()

    world = play(scene, tmp_path)

    assert [("station", "MeterValues")] == world.watcher.seen
    assert ["MeterValues"] == world.told()
    assert ["station lost"] == world.watcher.ended


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_events_of_later_versions_wait_in_order(tmp_path: Path, version: str) -> None:
    async def scene(world: World) -> None:
        station = world.station
        await station.connect()
        await station.boot()
        await world.csms_down()
        world.csms.calls.clear()
        await station.start_transaction(1, "T", meter_wh=0)
        for value in (1.0, 2.0, 3.0):
            await station.meter_values(1, [Sample(value)])
        await station.stop_transaction(1, meter_wh=3)
        assert {"status": "UnknownVendorId"} == await station.call("DataTransfer", {"vendorId": "v"})
        await world.csms_up()
        await world.told_everything()

    world = play(scene, tmp_path, version=version, start_offline=True)

    events = world.payloads("TransactionEvent")
    assert "BootNotification" == world.told()[0]
    assert ["Started", "Ended"] == [events[0]["eventType"], events[-1]["eventType"]]
    assert sorted(each["seqNo"] for each in events) == [each["seqNo"] for each in events]


def test_nobody_starts_without_the_csms_unless_that_is_allowed(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.station.connect()
        await world.csms_down()
        assert "Invalid" == await world.station.authorize("T")
        assert "Invalid" == (await world.station.start_transaction(1, "T", meter_wh=0)).status
        await world.csms_up()
        await world.told_everything()

    world = play(scene, tmp_path)

    assert ["StartTransaction"] == world.told()


def test_a_transaction_that_the_csms_refuses_afterwards_is_stopped(tmp_path: Path) -> None:
    async def refuse(_station: Station, action: str, _payload: dict[str, Any]) -> dict[str, Any] | None:
        refusal = {"transactionId": 9, "idTagInfo": {"status": "Blocked"}}
        return refusal if action == "StartTransaction" else None

    async def scene(world: World) -> None:
        world.csms.reaction = refuse
        await world.station.connect()
        await world.csms_down()
        started = await world.station.start_transaction(1, "T", meter_wh=0)
        await world.csms_up()
        await until(lambda: bool(world.body.received))
        assert [("RemoteStopTransaction", {"transactionId": int(started.transaction_id)})] == world.body.received

    play(scene, tmp_path, start_offline=True)


def test_a_call_in_flight_when_the_csms_is_lost_is_answered_and_told_again(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        never = asyncio.Event()

        async def hang(_station: Station, action: str, _payload: dict[str, Any]) -> dict[str, Any] | None:
            if action == "MeterValues":
                await never.wait()
            return None

        world.csms.reaction = hang
        await world.station.connect()
        asking = asyncio.create_task(world.station.meter_values(1, [Sample(5.0)]))
        await until(lambda: "MeterValues" in world.told())
        closing = asyncio.create_task(world.above.close())
        await asking
        never.set()
        await closing
        world.csms.reaction = None
        await world.csms_up()
        await world.told_everything()

    world = play(scene, tmp_path)

    assert ["MeterValues", "MeterValues"] == world.told()


def test_the_queue_outlives_the_controller_and_known_stations_come_in_meanwhile(tmp_path: Path) -> None:
    access = AccessList({"CS": StationAccess(profile=1, passwords=(PasswordHash.of("secret"),))})

    async def scene(world: World) -> None:
        station = world.station
        station.policy = ClientPolicy(password="secret")
        await station.connect()
        await station.boot()
        await world.csms_down()
        await station.meter_values(1, [Sample(1.0)])
        await station.disconnect()
        await world.proxy.close()

        await world.proxy_up()
        station.policy = ClientPolicy(password="guess")
        with pytest.raises(ConnectFailed) as refused:
            await station.connect()
        assert 503 == refused.value.status
        station.policy = ClientPolicy(password="secret")
        await station.connect()
        await station.meter_values(1, [Sample(2.0)])
        world.csms.calls.clear()
        await world.csms_up()
        await world.told_everything()

    world = play(scene, tmp_path, policy=Policy(access=access))

    values = [each["meterValue"][0]["sampledValue"][0]["value"] for each in world.payloads("MeterValues")]
    assert ["1", "2"] == [f"{float(each):g}" for each in values]
    assert ["BootNotification", "MeterValues", "MeterValues"] == world.told()


def test_a_full_queue_is_refused_so_that_the_station_keeps_its_messages(tmp_path: Path) -> None:
    queue = UpstreamQueue(tmp_path / "queue.sqlite", limit=1, now=SystemClock().now)

    async def dial() -> Any:
        raise ConnectFailed("away")

    rules = Sticky(queue=tmp_path / "queue.sqlite")
    desk = StickyStation(identity="CS", version="1.6", rules=rules, queue=queue, clock=SystemClock(), dial=dial)
    calls = [("StopTransaction", {"transactionId": 1}), ("MeterValues", {}), ("StartTransaction", {"connectorId": 1})]
    answers = [frames.parse(desk.answer(frames.Call("id", *each)) or b"") for each in calls]
    queue.close()

    assert [frames.CallResult, frames.CallError, frames.CallError] == [type(each) for each in answers]


def test_what_cannot_be_written_is_refused_so_that_the_station_keeps_it(tmp_path: Path) -> None:
    queue = UpstreamQueue(tmp_path / "queue.sqlite", now=SystemClock().now)

    async def dial() -> Any:
        raise ConnectFailed("away")

    rules = Sticky(queue=tmp_path / "queue.sqlite")
    desk = StickyStation(identity="CS", version="1.6", rules=rules, queue=queue, clock=SystemClock(), dial=dial)
    queue.close()  # as a disk that fails
    refusal = frames.parse(desk.answer(frames.Call("id", "MeterValues", {})) or b"")

    assert isinstance(refusal, frames.CallError)
    assert "InternalError" == refusal.code


def test_the_same_start_told_again_keeps_its_id_and_is_queued_once(tmp_path: Path) -> None:
    queue = UpstreamQueue(tmp_path / "queue.sqlite", now=SystemClock().now)
    first, again, other = (queue.push_start("CS", {"connectorId": n}) for n in (1, 1, 2))
    count = queue.count("CS")
    queue.close()

    assert first == again != other
    assert 2 == count


class CsmsPoint(ChargePoint16):  # type: ignore[misc]
    """The `ocpp` package as the CSMS above."""

    heard: list[str]

    @on("BootNotification")
    async def on_boot(self, **_payload: Any) -> Any:
        self.heard.append("BootNotification")
        return result16.BootNotification(current_time="2024-01-17T12:00:00Z", interval=300, status="Accepted")

    @on("StartTransaction")
    async def on_start(self, **_payload: Any) -> Any:
        self.heard.append("StartTransaction")
        return result16.StartTransaction(transaction_id=5, id_tag_info={"status": "Accepted"})

    @on("StopTransaction")
    async def on_stop(self, **payload: Any) -> Any:
        self.heard.append(f"StopTransaction {payload['transaction_id']}")
        return result16.StopTransaction()


def test_two_strangers_lose_each_other_and_miss_nothing(tmp_path: Path) -> None:
    heard: list[str] = []

    async def csms(socket: Any) -> None:
        point = CsmsPoint("CS", socket)
        point.heard = heard
        await asyncio.gather(point.start(), return_exceptions=True)

    async def main() -> None:
        above = await websockets.serve(csms, "127.0.0.1", 0, subprotocols=["ocpp1.6"])  # type: ignore[list-item]
        port = above.sockets[0].getsockname()[1]
        sticky = Sticky(queue=tmp_path / "queue.sqlite", start_offline=True, first_retry_s=0.02, longest_retry_s=0.05)
        settings = ProxySettings(upstream_url=f"ws://127.0.0.1:{port}/steve/websocket", sticky=sticky)
        proxy = await serve_proxy("127.0.0.1", 0, settings=settings, interceptor=Watcher())
        url = f"ws://127.0.0.1:{proxy.port}/ocpp/CS"
        async with websockets.connect(url, subprotocols=["ocpp1.6"]) as socket:  # type: ignore[list-item]
            point = ChargePoint16("CS", socket)
            listening = asyncio.create_task(point.start())
            await point.call(call16.BootNotification("model", "vendor"))
            above.close()
            await until(lambda: not proxy.stations["CS"].upstream_connected)
            time = "2024-01-17T12:00:00Z"
            start = await point.call(call16.StartTransaction(1, "T", 0, time))
            await point.call(call16.StopTransaction(meter_stop=9, timestamp=time, transaction_id=start.transaction_id))
            above = await websockets.serve(csms, "127.0.0.1", port, subprotocols=["ocpp1.6"])  # type: ignore[list-item]
            await until(lambda: heard[-1].startswith("StopTransaction"))
            listening.cancel()
        await proxy.close()
        above.close()

    asyncio.run(main())

    assert ["BootNotification", "BootNotification", "StartTransaction", "StopTransaction 5"] == heard

"""Server and client over real sockets, in real and in lock-stepped time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ocpp_link.dialect import Fault, Version
from ocpp_link.errors import (
    AnswerLater,
    CallRefused,
    CallRejected,
    CallTimeout,
    ConnectFailed,
    ConnectionLost,
    InvalidRequest,
    InvalidResponse,
    NotSupportedError,
    Superseded,
)
from ocpp_link.events import HandlerFailed, LateReply
from ocpp_link.station import Station
from ocpp_link.testing import ChargingStation, PlainBody, Sample
from ocpp_link.transport import Server, connect, serve
from tests.ocpp_link.csms import RecordingCsms
from tests.ocpp_link.lockstep import LockstepClock

Scene = Callable[[Server, RecordingCsms, ChargingStation, LockstepClock], Awaitable[None]]

PROFILE = {
    "connectorId": 1,
    "csChargingProfiles": {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.1}]},
    },
}


def play(scene: Scene, *, version: Version = "1.6", body: PlainBody | None = None) -> RecordingCsms:
    """Run a scene with one CSMS and one station in lock-stepped time, and check that every frame was accounted for."""
    csms = RecordingCsms()

    async def main() -> None:
        clock = LockstepClock()
        ticking = asyncio.create_task(clock.run())
        server = await serve("127.0.0.1", 0, handler=csms, clock=clock)
        url = f"ws://127.0.0.1:{server.port}/ocpp"
        station = ChargingStation(identity="CS 1/ä", version=version, url=url, clock=clock, body=body or PlainBody())
        async with asyncio.timeout(20):
            await scene(server, csms, station, clock)
            await station.disconnect()
            await server.close()
            await clock.settled()
        ticking.cancel()

    asyncio.run(main())
    return csms


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_a_station_charges_from_boot_to_stop_in_every_version(version: Version) -> None:
    async def scene(server: Server, csms: RecordingCsms, station: ChargingStation, clock: LockstepClock) -> None:
        await station.connect()
        assert (await station.boot()).status == "Accepted"
        await station.status(1, "Preparing")
        assert await station.authorize("TAG") == "Accepted"
        reply = await station.start_transaction(1, "TAG", meter_wh=1000.0)
        assert reply.status == "Accepted"
        await station.status(1, "Charging")
        await station.meter_values(1, [Sample(1234.5), Sample(16.0, "Current.Import", phase="L1")])
        await station.stop_transaction(1, meter_wh=2000.0)
        await station.status(1, "Available")

        assert {} == dict(station.transactions)

    csms = play(scene, version=version)

    said = [action for _, action, _ in csms.calls]
    if version == "1.6":
        expected = (
            "BootNotification StatusNotification Authorize StartTransaction StatusNotification MeterValues"
            " StopTransaction StatusNotification"
        )
    else:
        expected = (
            "BootNotification StatusNotification Authorize TransactionEvent TransactionEvent TransactionEvent"
            " TransactionEvent StatusNotification"
        )
        events = [payload for _, action, payload in csms.calls if action == "TransactionEvent"]
        assert [0, 1, 2, 3] == [event["seqNo"] for event in events]
    assert expected.split() == said
    assert {"CS 1/ä"} == {identity for identity, _, _ in csms.calls}


def test_heartbeats_follow_an_accepted_boot_in_simulated_time() -> None:
    async def scene(server: Server, csms: RecordingCsms, station: ChargingStation, clock: LockstepClock) -> None:
        await station.connect()
        await station.boot()
        await clock.sleep_until(1000.0)

    csms = play(scene)

    assert 3 == [action for _, action, _ in csms.calls].count("Heartbeat")


def test_the_controller_calls_the_station_and_gets_the_checked_answer() -> None:
    body = PlainBody()

    async def scene(server: Server, csms: RecordingCsms, station: ChargingStation, clock: LockstepClock) -> None:
        await station.connect()
        await station.boot()
        there = server.stations["CS 1/ä"]
        assert {"status": "Accepted"} == await there.call("SetChargingProfile", PROFILE)
        with pytest.raises(InvalidRequest, match="connectorId"):
            await there.call("SetChargingProfile", {})
        body.answers["GetLocalListVersion"] = NotSupportedError()
        with pytest.raises(CallRejected) as rejected:
            await there.call("GetLocalListVersion", {})
        assert "NotSupported" == rejected.value.code

    play(scene, body=body)

    assert [("SetChargingProfile", PROFILE), ("GetLocalListVersion", {})] == body.received


def test_a_handler_may_call_the_station_back_before_it_answers() -> None:
    body = PlainBody()

    async def scene(server: Server, csms: RecordingCsms, station: ChargingStation, clock: LockstepClock) -> None:
        async def call_back(there: Station, action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
            await there.call("SetChargingProfile", PROFILE)
            return None

        csms.reaction = call_back
        await station.connect()
        await station.boot()

    play(scene, body=body)

    assert [("SetChargingProfile", PROFILE)] == body.received


def test_calls_of_one_station_are_handled_one_at_a_time_in_order() -> None:
    running: list[int] = []

    async def scene(server: Server, csms: RecordingCsms, station: ChargingStation, clock: LockstepClock) -> None:
        async def slow(there: Station, action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
            running.append(1)
            assert 1 == sum(running)
            await asyncio.sleep(0.002)
            running.append(-1)
            return None

        csms.reaction = slow
        await station.connect()
        assert station.link is not None
        for number in range(5):  # a rude station: several calls at once
            station.link.write_raw(b'[2,"m%d","Authorize",{"idTag":"T%d"}]' % (number, number))
        await clock.settled()

    csms = play(scene)

    assert [f"T{number}" for number in range(5)] == [payload["idTag"] for _, _, payload in csms.calls]


def test_a_call_without_answer_times_out_and_the_late_answer_is_told() -> None:
    body = PlainBody({"SetChargingProfile": AnswerLater({"status": "Accepted"}, after_s=40.0)})

    async def scene(server: Server, csms: RecordingCsms, station: ChargingStation, clock: LockstepClock) -> None:
        await station.connect()
        await station.boot()
        there = server.stations["CS 1/ä"]
        began = clock.now_s()
        with pytest.raises(CallTimeout):
            await there.call("SetChargingProfile", PROFILE)
        assert 30.0 == clock.now_s() - began
        await clock.sleep_until(began + 50.0)

    csms = play(scene, body=body)

    late = [event for event in csms.events if isinstance(event, LateReply)]
    assert [("SetChargingProfile", {"status": "Accepted"})] == [(event.action, event.payload) for event in late]


def test_an_answer_that_breaks_its_schema_is_a_failed_call() -> None:
    async def scene(server: Server, csms: RecordingCsms, station: ChargingStation, clock: LockstepClock) -> None:
        await station.connect()
        there = server.stations["CS 1/ä"]
        assert station.link is not None
        station.link._machine.answer = (  # type: ignore[method-assign]
            lambda message_id, payload: station.link._machine._texts.append(
                b'[3,"%s",{"status":"Maybe"}]' % message_id.encode()
            )
        )
        with pytest.raises(InvalidResponse, match="Maybe"):
            await there.call("Reset", {"type": "Soft"})

    play(scene)


def test_the_newest_connection_of_a_station_wins() -> None:
    async def scene(server: Server, csms: RecordingCsms, station: ChargingStation, clock: LockstepClock) -> None:
        await station.connect()
        old = server.stations["CS 1/ä"]
        silent = asyncio.create_task(old.call("GetLocalListVersion", {}, timeout_s=1000.0))
        newer = ChargingStation(
            identity=station.identity, version="1.6", url=station.url, clock=clock, body=PlainBody()
        )
        station.body.answers["GetLocalListVersion"] = CallRefused(Fault.GENERIC)
        await newer.connect()
        with pytest.raises((Superseded, CallRejected)):
            await silent
        await newer.boot()
        assert server.stations["CS 1/ä"] is not old
        assert not old.connected
        with pytest.raises(ConnectionLost):
            await old.call("GetLocalListVersion", {})
        await newer.disconnect()

    csms = play(scene)

    assert "superseded" == csms.ended[0][1]
    assert ["connect", "disconnect", "connect", "BootNotification", "disconnect"] == csms.order


def test_pending_calls_fail_at_once_when_the_station_drops_off() -> None:
    async def scene(server: Server, csms: RecordingCsms, station: ChargingStation, clock: LockstepClock) -> None:
        await station.connect()
        there = server.stations["CS 1/ä"]

        class Dropping(PlainBody):
            async def on_call(self, action: str, payload: dict[str, Any], now: Any) -> dict[str, Any]:
                await station.disconnect(drop=True)
                return {"listVersion": 1}

        station.body = Dropping()
        with pytest.raises(ConnectionLost):
            await there.call("GetLocalListVersion", {})

    csms = play(scene)

    assert 1 == len(csms.ended)


def test_a_handler_that_raises_is_our_fault_and_the_peer_is_told_so() -> None:
    async def scene(server: Server, csms: RecordingCsms, station: ChargingStation, clock: LockstepClock) -> None:
        async def fail(there: Station, action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
            return {"currentTime": "no time"} if action == "Heartbeat" else {}["no such key"]

        csms.reaction = fail
        await station.connect()
        for action, payload in (("Authorize", {"idTag": "T"}), ("Heartbeat", {})):
            with pytest.raises(CallRejected) as rejected:
                await station.call(action, payload)
            assert "InternalError" == rejected.value.code

    csms = play(scene)

    assert ["Authorize", "Heartbeat"] == [each.action for each in csms.events if isinstance(each, HandlerFailed)]


def test_a_station_that_shares_no_version_is_told_so_after_the_handshake() -> None:
    async def main() -> None:
        csms = RecordingCsms()
        server = await serve("127.0.0.1", 0, handler=csms, versions=("2.0.1",))
        with pytest.raises(ConnectFailed, match="no common OCPP version"):
            await connect(f"ws://127.0.0.1:{server.port}/ocpp", identity="X", handler=csms, versions=("1.6",))
        assert {} == dict(server.stations)
        await server.close()

    asyncio.run(main())


def test_the_stations_order_of_versions_decides() -> None:
    async def main() -> None:
        csms = RecordingCsms()
        server = await serve("127.0.0.1", 0, handler=csms)
        url = f"ws://127.0.0.1:{server.port}/ocpp"
        for versions in (("1.6", "2.1"), ("2.1", "1.6"), ("2.0.1", "2.1")):
            link = await connect(url, identity="X", handler=csms, versions=versions)
            assert versions[0] == link.version
            await link.close()
        await server.close()

    asyncio.run(main())


def test_a_path_outside_the_endpoint_is_not_found() -> None:
    async def main() -> None:
        csms = RecordingCsms()
        server = await serve("127.0.0.1", 0, handler=csms)
        with pytest.raises(ConnectFailed) as refused:
            await connect(f"ws://127.0.0.1:{server.port}/elsewhere", identity="X", handler=csms)
        assert 404 == refused.value.status
        await server.close()
        with pytest.raises(ConnectFailed):
            await connect(f"ws://127.0.0.1:{server.port}/ocpp", identity="X", handler=csms)

    asyncio.run(main())

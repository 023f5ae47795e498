"""Callers who give up, stations that are rude, late or offline, connections that never become one."""

import asyncio
import gc
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from ocpp_link.desk import INBOX_LIMIT
from ocpp_link.dialect import Version
from ocpp_link.errors import CallRejected, CallTimeout, ConnectionLost
from ocpp_link.events import CallRefusedByRules, LateReply
from ocpp_link.station import Station
from ocpp_link.testing import ChargingStation, PlainBody, Sample
from ocpp_link.transport import SystemClock, connect, serve
from tests.ocpp_link.csms import RecordingCsms
from tests.ocpp_link.waiting import until


@pytest.mark.parametrize("patience_s", [0.0, 0.1])
def test_a_caller_who_gives_up_leaves_no_connection_and_no_complaint(
    patience_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[bytes] = []

    async def be_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        ended.append(await reader.read())
        writer.close()

    async def main() -> None:
        silent = await asyncio.start_server(be_silent, "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{silent.sockets[0].getsockname()[1]}/ocpp"
        asking = asyncio.create_task(connect(url, identity="CS", handler=RecordingCsms()))  # type: ignore[arg-type]
        await asyncio.sleep(patience_s)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        if patience_s > 0.0:
            async with asyncio.timeout(30):
                await until(lambda: bool(ended))
        silent.close()

    asyncio.run(main())
    gc.collect()

    assert "never retrieved" not in caplog.text


def test_a_station_is_rude_on_demand() -> None:
    csms = RecordingCsms()

    async def main() -> None:
        server = await serve("127.0.0.1", 0, handler=csms)
        url = f"ws://127.0.0.1:{server.port}/ocpp"
        body = PlainBody({"ClearCache": CallRejected("GenericError")}, delays_s={"Reset": 0.05})
        station = ChargingStation(identity="CS", version="1.6", url=url, clock=SystemClock(), body=body)
        with pytest.raises(ConnectionLost):
            station.write("[")
        await station.connect()
        station.repeat("Heartbeat", {}, times=3)
        station.write("[2,")
        there = server.stations["CS"]
        with pytest.raises(CallTimeout):
            await there.call("Reset", {"type": "Soft"}, timeout_s=0.01)
        with pytest.raises(CallRejected):
            await there.call("ClearCache", {})
        async with asyncio.timeout(30):
            await until(lambda: any(isinstance(event, LateReply) for event in csms.events))
        await station.disconnect(drop=True)
        await server.close()

    asyncio.run(main())

    assert ["Heartbeat"] == [action for _, action, _ in csms.calls]
    assert ["DuplicateCall", "DuplicateCall", "Garbage", "LateReply"] == [type(each).__name__ for each in csms.events]


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_what_happened_offline_is_told_with_its_own_time_and_marked(version: Version) -> None:
    csms = RecordingCsms()
    began, ended = (datetime(2024, 1, 17, hour, tzinfo=UTC) for hour in (8, 10))

    async def main() -> None:
        server = await serve("127.0.0.1", 0, handler=csms)
        url = f"ws://127.0.0.1:{server.port}/ocpp"
        station = ChargingStation(identity="CS", version=version, url=url, clock=SystemClock(), body=PlainBody())
        await station.connect()
        await station.start_transaction(1, "TAG", meter_wh=0.0, offline_at=began)
        await station.meter_values(1, [Sample(6.0, "Current.Import")])
        await station.stop_transaction(1, meter_wh=900.0, offline_at=ended)
        await station.disconnect()
        await server.close()

    asyncio.run(main())

    told = [payload for _, _, payload in csms.calls]
    assert ["2024-01-17T08:00:00.000Z", "2024-01-17T10:00:00.000Z"] == [told[n]["timestamp"] for n in (0, 2)]
    if version != "1.6":
        assert [True, None, True] == [each.get("offline") for each in told]
        assert [0, 1, 2] == [each["seqNo"] for each in told]


def test_a_connection_that_never_shakes_hands_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocpp_link.handshake.OPEN_TIMEOUT_S", 0.05)

    async def main() -> bytes:
        server = await serve("127.0.0.1", 0, handler=RecordingCsms())
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /ocpp/CS HTTP/1.1\r\nX-Slow: ")
        async with asyncio.timeout(30):
            with suppress(ConnectionResetError):
                assert b"" == await reader.read()
        writer.close()
        await server.close()
        return b"cut"

    assert b"cut" == asyncio.run(main())


def test_a_flood_of_calls_that_wait_for_the_handler_is_bounded() -> None:
    csms = RecordingCsms()
    free = asyncio.Event()

    async def wait(_station: Station, _action: str, _payload: dict[str, Any]) -> None:
        await free.wait()

    async def main() -> None:
        csms.reaction = wait
        server = await serve("127.0.0.1", 0, handler=csms)
        url = f"ws://127.0.0.1:{server.port}/ocpp"
        station = ChargingStation(identity="CS", version="1.6", url=url, clock=SystemClock(), body=PlainBody())
        await station.connect()
        for number in range(300):
            station.write(f'[2,"{number}","Heartbeat",{{}}]')
        async with asyncio.timeout(30):
            await until(lambda: len(csms.events) >= 300 - INBOX_LIMIT - 1)
            free.set()
            await until(lambda: len(csms.calls) >= INBOX_LIMIT)
        await station.disconnect()
        await server.close()

    asyncio.run(main())

    assert {"256 calls wait already"} == {
        each.description for each in csms.events if isinstance(each, CallRefusedByRules)
    }
    assert len(csms.calls) + len(csms.events) == 300

"""Many stations at once, slow readers, half-open sockets, restarts under load: nothing lost, nothing deadlocked."""

import asyncio
import gc
from collections import Counter
from typing import Any

import pytest

from ocpp_link.errors import ConnectFailed, ConnectionLost
from ocpp_link.profile_book import ProfileBook
from ocpp_link.station import Station
from ocpp_link.station_profile import StationProfile
from ocpp_link.testing import ChargingStation, PlainBody
from ocpp_link.transport import Policy, Server, SystemClock, serve
from ocpp_link.wire import MAX_UNSENT_BYTES
from tests.ocpp_link.csms import RecordingCsms
from tests.ocpp_link.waiting import until


def station(port: int, identity: str) -> ChargingStation:
    return ChargingStation(
        identity=identity, version="1.6", url=f"ws://127.0.0.1:{port}/ocpp", clock=SystemClock(), body=PlainBody()
    )


async def boot(each: ChargingStation) -> str:
    await each.connect()
    return (await each.boot()).status


@pytest.mark.parametrize("count", [2, 200])
def test_stations_that_reconnect_at_once_are_all_served(count: int) -> None:
    async def main() -> None:
        csms = RecordingCsms()
        server = await serve("127.0.0.1", 0, handler=csms)
        stations = [station(server.port, f"CS{number}") for number in range(count)]
        async with asyncio.timeout(60):
            for _ in range(2):
                assert {"Accepted"} == set(await asyncio.gather(*(boot(each) for each in stations)))
                assert count == len(server.stations)
                calls = [there.call("ClearCache", {}) for there in server.stations.values()]
                assert [{"status": "Accepted"}] * count == await asyncio.gather(*calls)
                await asyncio.gather(*(each.disconnect(drop=True) for each in stations))
            await until(lambda: not server.stations)
            await server.close()
        order = Counter(action for _, action, _ in csms.calls)
        assert 2 * count == order["BootNotification"]
        assert 2 * count == len(csms.connected) == len(csms.ended)

    asyncio.run(main())


def test_one_identity_from_twenty_sockets_leaves_one_station_and_clean_books() -> None:
    async def main() -> None:
        csms = RecordingCsms()
        server = await serve("127.0.0.1", 0, handler=csms)
        twins = [station(server.port, "CS") for _ in range(20)]
        async with asyncio.timeout(30):
            await asyncio.gather(*(each.connect() for each in twins))
            await until(lambda: sum(each.connected for each in twins) == 1)
            [winner] = [each for each in twins if each.connected]
            assert "Accepted" == (await winner.boot()).status
            assert {"status": "Accepted"} == await server.stations["CS"].call("ClearCache", {})
            await winner.disconnect()
            await server.close()
        assert ["connect", "disconnect"] * 19 == [each for each in csms.order if each != "BootNotification"][:38]
        assert 20 == len(csms.ended)

    asyncio.run(main())


async def talk_at(there: Station) -> None:
    """Call a station again and again without waiting for its answers."""
    payload = {"vendorId": "v", "data": "x" * 60_000}
    for _ in range(20 * MAX_UNSENT_BYTES // 60_000):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(there.call("DataTransfer", payload), 0.001)


def test_a_station_that_does_not_read_is_cut_off_and_costs_bounded_memory() -> None:
    async def main() -> None:
        csms = RecordingCsms()
        server = await serve("127.0.0.1", 0, handler=csms)
        deaf = station(server.port, "deaf")
        await deaf.connect()
        assert deaf.link is not None
        deaf.link._socket._transport.pause_reading()  # type: ignore[union-attr]
        there = server.stations["deaf"]
        async with asyncio.timeout(30):
            with pytest.raises(ConnectionLost):
                await talk_at(there)
            await server.close()
        assert ["deaf"] == [ended.id for ended, _ in csms.ended]

    asyncio.run(main())


def test_a_server_that_restarts_under_load_loses_no_transaction_message() -> None:
    """Stations send numbered starts and repeat what was not answered; every number arrives."""

    async def charge(each: ChargingStation, numbers: range, port: list[int]) -> None:
        for number in numbers:
            while True:
                try:
                    if not each.connected:
                        each.url = f"ws://127.0.0.1:{port[0]}/ocpp"
                        await each.connect()
                    payload = {
                        "connectorId": 1,
                        "idTag": "T",
                        "meterStart": number,
                        "timestamp": "2024-01-17T12:00:00Z",
                    }
                    await each.call("StartTransaction", payload, timeout_s=5.0)
                    break
                except (ConnectionLost, ConnectFailed):
                    await asyncio.sleep(0.01)

    async def main() -> None:
        csms = RecordingCsms()
        server = await serve("127.0.0.1", 0, handler=csms)
        port = [server.port]
        stations = [station(server.port, f"CS{number}") for number in range(20)]
        async with asyncio.timeout(60):
            loads = [asyncio.create_task(charge(each, range(30), port)) for each in stations]
            for _ in range(3):
                await asyncio.sleep(0.05)
                await server.close()
                server = await serve("127.0.0.1", 0, handler=csms)
                port[0] = server.port
            await asyncio.gather(*loads)
            await asyncio.gather(*(each.disconnect() for each in stations))
            await server.close()
        heard = {
            (identity, payload["meterStart"]) for identity, action, payload in csms.calls if action[0:5] == "Start"
        }
        assert {(f"CS{number}", start) for number in range(20) for start in range(30)} == heard

    asyncio.run(main())


def test_a_silent_half_open_connection_is_cut_by_pings() -> None:
    async def main() -> None:
        csms = RecordingCsms()
        server = await serve("127.0.0.1", 0, handler=csms, policy=Policy(ping_interval_s=0.05))
        alive, dead = station(server.port, "alive"), station(server.port, "dead")
        await alive.connect()
        await dead.connect()
        assert dead.link is not None
        dead.link._socket._transport.pause_reading()  # type: ignore[union-attr]
        async with asyncio.timeout(30):
            await until(lambda: "dead" not in server.stations)
            assert alive.connected
            await alive.disconnect()
            await server.close()

    asyncio.run(main())


def test_a_model_that_answers_no_pings_is_not_cut_for_it() -> None:
    async def main() -> None:
        profiles = ProfileBook(overrides={"before": StationProfile(ping=False)})
        policy = Policy(ping_interval_s=0.02, profiles=profiles)
        server = await serve("127.0.0.1", 0, handler=RecordingCsms(), policy=policy)
        known, model = station(server.port, "before"), station(server.port, "by its boot")
        model._nameplate["vendor"] = "MENNEKES"
        other = station(server.port, "other")
        for each in (known, model, other):
            await each.connect()
        await model.boot()
        for each in (known, model, other):
            assert each.link is not None
            each.link._socket._transport.pause_reading()  # type: ignore[union-attr]
        async with asyncio.timeout(30):
            await until(lambda: "other" not in server.stations)
            assert {"before", "by its boot"} == set(server.stations)
            for each in (known, model):
                assert each.link is not None
                each.link._socket.abort()
            await server.close()

    asyncio.run(main())


def test_connections_leave_nothing_behind() -> None:
    async def rounds(server: Server, count: int) -> None:
        for _ in range(count):
            each = station(server.port, "CS")
            await each.connect()
            await each.boot()
            await each.disconnect()

    async def main() -> tuple[int, int]:
        csms: Any = RecordingCsms()
        server = await serve("127.0.0.1", 0, handler=csms)
        await rounds(server, 5)
        await asyncio.sleep(0.05)
        csms.__init__()
        gc.collect()
        before = len(gc.get_objects())
        await rounds(server, 20)
        await asyncio.sleep(0.05)
        csms.__init__()
        gc.collect()
        after = len(gc.get_objects())
        await server.close()
        return before, after

    before, after = asyncio.run(main())
    assert after - before < 100

"""Two thousand stations back at once, and five thousand connected, in one process; run by hand."""

import asyncio
import random
import resource
import time
from contextlib import suppress

import pytest
import uvloop

from ocpp_link.errors import ConnectFailed, ConnectionLost
from ocpp_link.station import Station
from ocpp_link.testing import ChargingStation, PlainBody
from ocpp_link.transport import Policy, SystemClock, serve
from tests.ocpp_link.csms import RecordingCsms


def _stations(port: int, count: int) -> list[ChargingStation]:
    url = f"ws://127.0.0.1:{port}/ocpp"
    return [
        ChargingStation(
            identity=f"CS{number}", version="1.6", url=url, clock=SystemClock(), body=PlainBody(), call_timeout_s=600.0
        )
        for number in range(count)
    ]


AT_ONCE = 500


async def _come_in(each: ChargingStation) -> None:
    """Dial until the door opens: on a busy machine some wait longer than a handshake may take."""
    while not each.connected:
        with suppress(ConnectFailed):
            await each.connect()


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("count", [2000, 5000])
def test_link_serves_thousands_of_stations_in_one_process(count: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 2 * count + 200:
        pytest.skip(f"this machine allows {most} open files, {2 * count + 200} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * count + 200, most))

    async def main() -> None:
        csms = RecordingCsms()
        server = await serve("127.0.0.1", 0, handler=csms, policy=Policy(compression=False))
        stations = _stations(server.port, count)
        began_s = time.perf_counter()
        for first in range(0, count, AT_ONCE):  # all at once is another matter: on a busy machine they all time out
            await asyncio.gather(*(_come_in(each) for each in stations[first : first + AT_ONCE]))
        connected_s = time.perf_counter() - began_s
        await asyncio.gather(*(each.boot() for each in stations))
        booted_s = time.perf_counter() - began_s - connected_s
        assert count == len(server.stations)
        began_s = time.perf_counter()
        calls = [there.call("ClearCache", {}, timeout_s=600.0) for there in server.stations.values()]
        assert [{"status": "Accepted"}] * count == await asyncio.gather(*calls)
        called_s = time.perf_counter() - began_s
        print(
            f"\n{count} stations, both ends in this process: connected in {connected_s:.2f} s, booted in"
            f" {booted_s:.2f} s, each called in {called_s:.2f} s"
        )
        await server.close()
        assert count == len(csms.ended)

    uvloop.run(main())


class _OrderedCsms(RecordingCsms):
    """Keeps what it heard by station."""

    def __init__(self) -> None:
        super().__init__()
        self.by_station: dict[str, list[str]] = {}

    async def on_connect(self, station: Station) -> None:
        self.by_station.setdefault(station.id, []).append("connect")

    async def on_disconnect(self, station: Station, reason: str) -> None:
        self.by_station[station.id].append("disconnect")


async def _charge(each: ChargingStation, numbers: range, port: list[int]) -> int:
    """Tell numbered starts, each again until it is answered; return how often the connection was lost meanwhile."""
    lost = 0
    for number in numbers:
        told = {"connectorId": 1, "idTag": "T", "meterStart": number, "timestamp": "2024-01-17T12:00:00Z"}
        while True:
            try:
                if not each.connected:
                    each.url = f"ws://127.0.0.1:{port[0]}/ocpp"
                    await each.connect()
                await each.call("StartTransaction", told, timeout_s=300.0)
                break
            except (ConnectionLost, ConnectFailed):
                lost += 1
                await asyncio.sleep(0.05 + 0.1 * random.random())
    return lost


async def _be_deaf(port: int, number: int, *, half_open: bool) -> ChargingStation:
    """Connect and never read again; half of them have said something."""
    deaf = _stations(port, 1)[0]
    deaf.identity = f"DEAF{number}"
    await _come_in(deaf)
    assert deaf.link is not None
    transport = deaf.link._socket._transport
    assert transport is not None
    transport.pause_reading()
    if not half_open:
        deaf.link.write_raw(b'[2,"a","Heartbeat",{}]')
    return deaf


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("count", [200, 2000])
def test_restarts_deaf_stations_and_twins_in_a_storm_lose_nothing(count: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 20_000), most))
    starts, deaf, policy = 5, count // 20, Policy(compression=False, ping_interval_s=2.0, messages_per_s=500.0)

    async def main() -> None:
        csms = _OrderedCsms()
        server = await serve("127.0.0.1", 0, handler=csms, policy=policy)
        port = [server.port]
        stations = _stations(server.port, count)
        twins = _stations(server.port, count // 10)  # the same identities from other sockets
        gone: list[ChargingStation] = []
        began_s = time.perf_counter()
        loads = [asyncio.create_task(_charge(each, range(starts), port)) for each in (*stations, *twins)]
        for restart in range(3):
            gone += await asyncio.gather(*(_be_deaf(port[0], n, half_open=n % 2 == 0) for n in range(deaf)))
            payload = {"vendorId": "v", "data": "x" * 60_000}
            shouts = [
                asyncio.create_task(there.call("DataTransfer", payload, timeout_s=0.01))
                for identity, there in server.stations.items()
                if identity.startswith("DEAF")
                for _ in range(20)
            ]
            await asyncio.sleep(0.5 + 0.5 * restart)
            old, server = server, await serve("127.0.0.1", 0, handler=csms, policy=policy)
            port[0] = server.port
            await old.close()
            await asyncio.gather(*shouts, return_exceptions=True)
        lost = await asyncio.gather(*loads)
        took_s = time.perf_counter() - began_s
        await asyncio.gather(*(each.disconnect() for each in (*stations, *twins)))
        await server.close()
        heard = {(who, told["meterStart"]) for who, action, told in csms.calls if action == "StartTransaction"}
        wanted = {(f"CS{number}", start) for number in range(count) for start in range(starts)}
        resident_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"\n{count} stations, {len(twins)} twins, {deaf} deaf at a time, 3 restarts: {len(heard)} starts told,"
            f" {sum(lost)} connections lost on the way, {took_s:.1f} s, {resident_mb:.0f} MB at most"
        )
        assert wanted == heard
        for order in csms.by_station.values():
            assert ["connect", "disconnect"] * (len(order) // 2) == order
        for each in gone:
            assert each.link is not None
            each.link._socket.abort()
        await asyncio.sleep(0.5)
        assert 1 == len(asyncio.all_tasks())

    uvloop.run(main())

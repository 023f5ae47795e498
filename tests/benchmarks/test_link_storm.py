"""Two thousand stations back at once, and five thousand connected, in one process; run by hand."""

import asyncio
import resource
import time

import pytest

from ocpp_link.testing import ChargingStation, PlainBody
from ocpp_link.transport import Policy, SystemClock, serve
from tests.ocpp_link.csms import RecordingCsms


def _stations(port: int, count: int) -> list[ChargingStation]:
    url = f"ws://127.0.0.1:{port}/ocpp"
    return [
        ChargingStation(identity=f"CS{number}", version="1.6", url=url, clock=SystemClock(), body=PlainBody())
        for number in range(count)
    ]


@pytest.mark.timeout(600)
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
        await asyncio.gather(*(each.connect() for each in stations))
        connected_s = time.perf_counter() - began_s
        await asyncio.gather(*(each.boot() for each in stations))
        booted_s = time.perf_counter() - began_s - connected_s
        assert count == len(server.stations)
        began_s = time.perf_counter()
        calls = [there.call("ClearCache", {}) for there in server.stations.values()]
        assert [{"status": "Accepted"}] * count == await asyncio.gather(*calls)
        called_s = time.perf_counter() - began_s
        print(
            f"\n{count} stations, both ends in this process: connected in {connected_s:.2f} s, booted in"
            f" {booted_s:.2f} s, each called in {called_s:.2f} s"
        )
        await server.close()
        assert count == len(csms.ended)

    asyncio.run(main())

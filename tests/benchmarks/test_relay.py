"""What a message costs when a Local Controller relays and hears it, against a direct connection; run by hand."""

import asyncio
import time
from pathlib import Path

from loadmgr.apps.process.serving import stop
from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.upstream.upstream import Upstream, serve_stations
from loadmgr.site_file import load_site
from ocpp_link.testing import ChargingStation, PlainBody, Sample
from ocpp_link.transport import SystemClock, serve
from tests.loadmgr.apps.upstream_world import SITE
from tests.ocpp_link.csms import RecordingCsms

MESSAGES = 400
ROUNDS = 3


async def _cpu_s(url: str) -> float:
    """Return the CPU time of a MeterValues and its answer, both ends included [s]."""
    station = ChargingStation(identity="S16", version="1.6", url=url, clock=SystemClock(), body=PlainBody())
    await station.connect()
    await station.boot()
    best_s = float("inf")
    for _ in range(ROUNDS):
        began_s = time.process_time()
        for number in range(MESSAGES):
            await station.meter_values(1, [Sample(float(number))])
        best_s = min(best_s, (time.process_time() - began_s) / MESSAGES)
    await station.disconnect()
    return best_s


async def _compare(folder: Path) -> tuple[float, float]:
    site = folder / "site.yaml"
    site.write_text(SITE.replace("FUSE", "80A"))
    clock = SystemClock()
    csms = await serve("127.0.0.1", 0, handler=RecordingCsms())
    above = f"ws://127.0.0.1:{csms.port}/ocpp"
    process = SiteProcess(load_site(site), clock=clock)
    upstream = Upstream(url=above, folder=folder / "upstream")
    relay = await serve_stations(process, upstream, host="127.0.0.1", port=0, clock=clock)
    controller = asyncio.create_task(process.run())
    direct_s = await _cpu_s(above)
    relayed_s = await _cpu_s(f"ws://127.0.0.1:{relay.port}/ocpp")
    await stop(controller)
    await relay.close()
    await csms.close()
    return direct_s, relayed_s


def test_a_relayed_message_costs_a_few_times_a_direct_one(tmp_path: Path) -> None:
    direct_s, relayed_s = asyncio.run(_compare(tmp_path))
    print(
        f"direct {direct_s * 1e6:.0f} us, relayed and heard {relayed_s * 1e6:.0f} us: {relayed_s / direct_s:.1f} times"
    )

    assert relayed_s < 10.0 * direct_s

"""What ``loadmgr run`` shows of the wire, and its patience with models that want slow answers."""

import asyncio
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from loadmgr.apps.process.metrics_page import serve_metrics
from loadmgr.apps.process.serving import serve_site
from loadmgr.apps.process.site import SiteProcess
from loadmgr.site_file import load_site
from ocpp_link.testing import ChargingStation, PlainBody
from ocpp_link.transport import SystemClock
from ocpp_link.wirelog import read_line

SITE = """
schema: loadmgr/v1
site: {name: Watched, timezone: UTC, currency: EUR, voltage: 230V}
circuits:
  - {id: main, fuse: 20A, evses: [one]}
evse_defaults: {max: 16A, min: 6A, step: 1A}
evses:
  - {id: one, station: CS}
station_defaults: {keeps_profiles: yes, zero_ok: yes}
stations:
  - {id: CS, version: "1.6"}
failsafe: {strategy: zero, lease: 15min}
timing: {reaction_time: 20s, settle: 1s, meter_interval: 1s, call_timeout: 5s, clock_skew: 2s}
session_defaults: {energy: 30kWh, stay: 2h}
listen: {host: 127.0.0.1, port: 0}
tariff:
  energy: {price: 0.30/kWh}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "watched.yaml"
    path.write_text(SITE)
    return path


def station(port: int, *, vendor: str = "V") -> ChargingStation:
    url = f"ws://127.0.0.1:{port}/ocpp"
    return ChargingStation(identity="CS", version="1.6", url=url, clock=SystemClock(), body=PlainBody(), vendor=vendor)


def test_the_command_logs_every_message_and_serves_counters(site: Path, tmp_path: Path) -> None:
    log = tmp_path / "messages.jsonl"
    command = [sys.executable, "-m", "loadmgr", "run", str(site), "--quiet", "--wire-log", str(log), "--metrics", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stderr is not None
            ports: dict[str, int] = {}
            while len(ports) < 2:
                line = running.stderr.readline()
                assert line, "it ended"
                found = re.search(r"(ws|http)://127\.0\.0\.1:(\d+)/(ocpp|metrics)", line)
                if found:
                    ports[found[3]] = int(found[2])

            async def talk() -> str:
                below = station(ports["ocpp"])
                await below.connect()
                await below.boot()
                url = f"http://127.0.0.1:{ports['metrics']}/metrics"
                page = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=30).read().decode())
                await below.disconnect()
                return str(page)

            page = asyncio.run(talk())
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait(20)

    assert 0 == running.returncode
    assert "ocpp_connections 1" in page
    assert 'loadmgr_site_running{site="' in page
    assert 'ocpp_frames_total{direction="in",type="CALL",action="BootNotification"} 1' in page
    first = read_line(log.read_text().splitlines()[0])
    assert ("CS", "in", "CALL", "BootNotification") == (first.station, first.direction, first.kind, first.action)


def test_only_the_metrics_are_there() -> None:
    async def main() -> int:
        page = await serve_metrics(0, lambda: "")
        url = f"http://127.0.0.1:{page.sockets[0].getsockname()[1]}/etc/passwd"
        try:
            await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=30))
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        finally:
            page.close()
        return 200

    assert 404 == asyncio.run(main())


@pytest.mark.parametrize(("vendor", "slowly"), [("Free2move", True), ("Other", False)])
def test_a_start_is_answered_late_where_the_model_needs_it(site: Path, vendor: str, slowly: bool) -> None:
    async def main() -> float:
        clock = SystemClock()
        process = SiteProcess(load_site(site), clock=clock)
        server = await serve_site(process, host="127.0.0.1", port=0, clock=clock)
        below = station(server.port, vendor=vendor)
        await below.connect()
        await below.boot()
        began_s = time.monotonic()
        started = await below.start_transaction(1, "T", meter_wh=0)
        took_s = time.monotonic() - began_s
        await below.disconnect()
        await server.close()
        assert "Accepted" == started.status
        return took_s

    assert slowly == (asyncio.run(main()) >= 1.0)

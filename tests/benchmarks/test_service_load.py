"""What many sites and many readers cost one process.

Run by hand: pytest tests/benchmarks/test_service_load.py -s -n0   (LOADMGR_SITES, LOADMGR_STREAMS, LOADMGR_SECONDS)
"""

import asyncio
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2

from loadmgr.apps.service.app import create_app
from loadmgr.apps.service.hosted import HostedSite
from loadmgr.apps.service.running import spare_collector
from loadmgr.site_file import check_values, find_site
from ocpp_link.transport import SystemClock
from tests.loadmgr.apps.service.asking import a_service, token
from tests.loadmgr.apps.service.test_hosted import Csms

SITES = int(os.environ.get("LOADMGR_SITES", "200"))
STREAMS = int(os.environ.get("LOADMGR_STREAMS", "200"))
SECONDS = int(os.environ.get("LOADMGR_SECONDS", "30"))
EVSES = 25
CYCLE_S = 10.0


def site():
    ids = [f"E{i:02d}" for i in range(EVSES)]
    return {
        "schema": "loadmgr/v1",
        "site": {"name": "Many", "timezone": "Europe/Berlin"},
        "circuits": [{"id": "main", "fuse": "200A", "evses": ids}],
        "evses": [{"id": e, "max": "32A", "phases": "L1L2L3" if i % 2 else "L2"} for i, e in enumerate(ids)],
        "station_defaults": {"keeps_profiles": "yes", "zero_ok": "yes"},
        "failsafe": {"strategy": "zero"},
        "tariff": {"energy": {"price": "0.30/kWh"}},
    }


class Fleet(Csms):
    """The CSMS of one of the sites, with a car at every EVSE that takes what it may."""

    def __init__(self, client, hosted):
        super().__init__(client)
        self.hosted = hosted
        self.energy_wh = dict.fromkeys((e.id for e in hosted.process.site.evses), 0.0)

    async def post(self, path, body, status=200):
        found = await self.client.post(f"/v1/sites/{self.hosted.name}/{path}", json=body)
        assert status == found.status_code, found.text
        return found.json()

    async def answer_all(self):
        found = await self.client.get(f"/v1/sites/{self.hosted.name}/commands", params={"wait_s": 0})
        replies = [{"id": c["id"], "result": self.reply(c)} for c in found.json()["commands"]]
        if replies:
            await self.post("answers", {"answers": replies})
        return len(replies)

    async def plug(self):
        when = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
        payload = {"connectorId": 1, "idTag": "tag", "meterStart": 0, "timestamp": when}
        common = {"ocpp_version": "1.6", "action": "StartTransaction", "payload": payload}
        evses = self.hosted.process.site.evses
        cars = [{**common, "station": e.station, "transaction_id": i + 1} for i, e in enumerate(evses)]
        await self.post("ocpp", {"messages": cars})

    def meter_values(self, number, evse):
        limit_a = self.limits.get((evse.station, "TxProfile"), 0.0)
        self.energy_wh[evse.id] += limit_a * 230.0 * len(evse.phases) * CYCLE_S / 3600.0
        samples = [
            {"measurand": "Energy.Active.Import.Register", "unit": "Wh", "value": f"{self.energy_wh[evse.id]:.0f}"},
            *(
                {"measurand": "Current.Import", "unit": "A", "phase": f"L{i + 1}", "value": f"{limit_a:.1f}"}
                for i in range(len(evse.phases))
            ),
        ]
        values = [{"timestamp": datetime.now(UTC).isoformat(), "sampledValue": samples}]
        payload = {"connectorId": 1, "transactionId": number, "meterValue": values}
        return {"station": evse.station, "ocpp_version": "1.6", "action": "MeterValues", "payload": payload}

    async def cycle(self):
        evses = self.hosted.process.site.evses
        await self.post("ocpp", {"messages": [self.meter_values(i + 1, e) for i, e in enumerate(evses)]})
        return await self.answer_all()


async def fleets(service, client, count):
    out = []
    for index in range(count):
        name = f"site-{index}"
        hosted = HostedSite(name, check_values(site(), name=name).site_file, clock=SystemClock())
        service.hosted[name] = hosted
        hosted.start()
        fleet = Fleet(client, hosted)
        await fleet.boot(*(e.station for e in hosted.process.site.evses))
        out.append(fleet)
    quiet = 0
    while quiet < 5:
        await asyncio.sleep(0.2)
        quiet = 0 if sum([await f.answer_all() for f in out]) else quiet + 1
    for fleet in out:
        await fleet.plug()
    return out


async def controlled(count, seconds):
    """Return processor and wall-clock seconds, rounds and commands of so many sites, after a minute to settle."""
    service = a_service()
    transport = httpx2.ASGITransport(app=create_app(service))
    async with httpx2.AsyncClient(transport=transport, base_url="http://t", headers=token(service)) as client:
        many = await fleets(service, client, count)
        spare_collector()
        rounds = commands = 0
        until = time.monotonic() + 60.0
        began = (time.monotonic(), time.process_time())
        while (now := time.monotonic()) < until + seconds:
            if now < until:
                began, rounds, commands = (now, time.process_time()), 0, 0
            for fleet in many:
                commands += await fleet.cycle()
                await asyncio.sleep(0)
            rounds += 1
            await asyncio.sleep(max(0.0, now + CYCLE_S - time.monotonic()))
        spent = time.monotonic() - began[0], time.process_time() - began[1]
        obeying = sum(e.standing.value == "obeying" for f in many for e in f.hosted.process.controller.view().evses)
        for fleet in many:
            await fleet.hosted.stop()
    service.close()
    return *spent, rounds, commands, obeying


def test_many_sites_of_25_evses_at_a_cycle_of_ten_seconds():
    """Print the share of a core that the sites take, the client's JSON and the answers of the stations included."""
    wall_s, spent_s, rounds, commands, obeying = asyncio.run(controlled(SITES, SECONDS))
    memory = resident_mb(os.getpid())
    print(
        f"{SITES} sites of {EVSES} EVSEs, {rounds} rounds in {wall_s:.0f} s: {spent_s / wall_s:.2f} of a core, "
        f"{spent_s / rounds / SITES * 1e3:.2f} ms for a site and round; {commands} commands; {memory:.0f} MB"
    )
    assert SITES * EVSES == obeying


def resident_mb(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def processor_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def read_all(port, count, seconds, pid):
    """Open so many streams of the page and return what they took of the server, per second, and what came."""
    request = b"GET /v1/sites/demo/page/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    got = [0] * count

    async def follow(index):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        while chunk := await reader.read(65_536):
            got[index] += len(chunk)

    tasks = [asyncio.create_task(follow(i)) for i in range(count)]
    await asyncio.sleep(3.0)
    spent_s, before, began = processor_s(pid), sum(got), time.monotonic()
    await asyncio.sleep(seconds)
    spent_s, wall_s = processor_s(pid) - spent_s, time.monotonic() - began
    for task in tasks:
        task.cancel()
    each = (sum(got) - before) / wall_s / max(1, count)
    return spent_s / wall_s, each, resident_mb(pid), sum(g > 0 for g in got)


def test_two_hundred_readers_of_the_page_over_sockets(tmp_path):
    """Print what so many open pages of a demo take of its process; its cars have just come home."""
    garage = Path(find_site("garage"))
    text = garage.read_text().replace("data/", f"{garage.parent}/data/")
    evening = tmp_path / "evening.yaml"
    evening.write_text(text.replace("start: 2019-06-04 12:00", "start: 2019-06-04 16:00"))
    command = [sys.executable, "-m", "loadmgr", "demo", str(evening), "--headless", "--http", "0", "--speed", "60"]
    with subprocess.Popen([*command, "--for", "600"], stdout=subprocess.PIPE, text=True) as demo:
        try:
            found = re.search(r"http://127.0.0.1:(\d+)", demo.stdout.readline())
            for count in (0, 1, STREAMS):
                share, bytes_s, memory, open_ = asyncio.run(read_all(int(found.group(1)), count, SECONDS, demo.pid))
                print(f"{count:4d} pages: {share:.3f} of a core, {bytes_s:.0f} bytes/s each, {memory:.0f} MB")
                assert count == open_
        finally:
            demo.kill()

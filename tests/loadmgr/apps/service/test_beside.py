"""HTTP beside a controller that has its stations itself: state, plan, orders and events of the running process."""

import asyncio
import json

import httpx2

from loadmgr.apps.process.serving import stop
from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.service.beside import beside
from loadmgr.apps.service.running import Listening
from ocpp_link.transport import SystemClock
from tests.loadmgr.apps.service.asking import garage


def test_a_running_site_is_seen_and_ordered_over_http():
    async def play():
        clock = SystemClock()
        process = SiteProcess(garage(), clock=clock)
        running = asyncio.create_task(process.run())
        listening = Listening(host="127.0.0.1", port=0)
        async with beside(process, name="garage", clock=clock, listening=listening) as (server, token):
            base = f"http://127.0.0.1:{server.port}/v1/sites/garage"
            async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as client:
                events = asyncio.create_task(client.get(f"{base}/events", params={"most": 1, "within_s": 5}))
                await asyncio.sleep(0.2)
                order = await client.post(f"{base}/overrides", json={"evse": "A1", "pause": True})
                status, plan = await client.get(f"{base}/status"), await client.get(f"{base}/plan")
                commands = await client.get(f"{base}/commands")
                nobody = await client.get(f"{base}/status", headers={"Authorization": "Bearer x"})
                told = await events
        await stop(running)
        return order, status.json(), plan.json(), commands, nobody, told

    order, status, plan, commands, nobody, told = asyncio.run(play())
    assert (200, {"taken": 1, "dry_run": False}) == (order.status_code, order.json())
    assert 14 == len(status["evses"])
    assert {"times", "evses", "circuits", "price_per_kwh"} == set(plan)
    assert (409, 401) == (commands.status_code, nobody.status_code)
    assert "event: " in told.text
    assert json.loads(told.text.split("data: ")[2].splitlines()[0])

"""Sites under control in one worker, with a journal in a file beside the service's database."""

import asyncio
import json
from urllib.parse import urlsplit
from uuid import uuid4

import aiomqtt
import httpx2
import pytest

from loadmgr.apps.mqtt.home_assistant import slug
from loadmgr.apps.process.serving import stop
from loadmgr.apps.service.app import create_app
from loadmgr.apps.service.hosting import Hosting
from loadmgr.apps.service.tokens import Role
from loadmgr.site_file import check_values, load_site
from ocpp_link.transport import SystemClock
from tests.loadmgr.apps.service.asking import SMALL, a_service, token
from tests.loadmgr.apps.service.test_hosted import Csms, ready
from tests.loadmgr.apps.service.test_hosted_batteries import YARD
from tests.loadmgr.apps.test_mqtt_bridge import BROKER, needs_broker


def test_a_lone_worker_keeps_its_sites_until_it_ends_and_goes_on_from_its_journal(tmp_path):
    sites = {"small": check_values(SMALL, name="small").site_file}

    async def one_life(first):
        service = a_service(to_control=sites)
        hosting = Hosting(
            service, sites, clock=SystemClock(), state_folder=tmp_path, journals=lambda name: str(tmp_path / name)
        )
        running = asyncio.create_task(hosting.run())
        async with asyncio.timeout(20):
            while "small" not in service.hosted:  # noqa: ASYNC110 - the journal is opened in a thread
                await asyncio.sleep(0.02)
        transport = httpx2.ASGITransport(app=create_app(service))
        headers = token(service, Role.OPERATE)
        async with httpx2.AsyncClient(transport=transport, base_url="http://t", headers=headers) as client:
            csms = Csms(client)
            if first:
                await client.put("/v1/sites/small/limits/main/dso", json={"limit_a": 12.0})
            await csms.boot("E1", "E2")
            await csms.poll(ready)
            limits = next(c["limit_a"] for c in (await csms.state())["circuits"] if c["circuit"] == "main")
            listed = (await client.get("/v1/sites/small/journal", params={"kind": "LimitChanged"})).json()
            assert not running.done()
        await stop(running)
        assert {} == service.hosted
        service.close()
        return limits, listed

    limits, _ = asyncio.run(one_life(first=True))
    assert [12.0] * 3 == limits
    limits, listed = asyncio.run(one_life(first=False))
    assert [12.0] * 3 == limits
    assert ["dso"] == [e["body"]["source"] for e in listed]


def test_limits_that_a_site_file_names_hold_where_its_site_is_hosted(tmp_path):
    (tmp_path / "limits.json").write_text('{"limit_a": 12}')
    (tmp_path / "small.yaml").write_text(
        json.dumps({**SMALL, "external_limits": [{"id": "dso", "file": "limits.json"}]})
    )
    sites = {"small": load_site(tmp_path / "small.yaml")}

    async def play():
        service = a_service(to_control=sites)
        running = asyncio.create_task(Hosting(service, sites, clock=SystemClock(), state_folder=tmp_path).run())
        async with asyncio.timeout(20):
            while "small" not in service.hosted or not service.hosted["small"].process.controller.outside:  # noqa: ASYNC110 - a thread reads the file
                await asyncio.sleep(0.02)
        found = service.hosted["small"].process.controller.outside
        await stop(running)
        service.close()
        return found

    assert (("main", "dso"),) == asyncio.run(play())


@needs_broker
def test_a_hosted_site_is_on_the_broker_of_its_service(tmp_path):
    named = {**SMALL, "site": {"name": f"Small {uuid4().hex[:8]}", "timezone": "Europe/Berlin"}}
    sites = {"small": check_values(named, name="small").site_file}

    async def play():
        service = a_service(to_control=sites, broker=BROKER)
        running = asyncio.create_task(Hosting(service, sites, clock=SystemClock(), state_folder=tmp_path).run())
        parts = urlsplit(BROKER)
        base = f"loadmgr/{slug(named['site']['name'])}"
        async with aiomqtt.Client(parts.hostname, parts.port or 1883) as client, asyncio.timeout(20):
            await client.subscribe(f"{base}/status")
            said = str((await anext(aiter(client.messages))).payload, "utf-8")
            process = service.hosted["small"].process
            while not process.controller.outside:
                await client.publish(f"{base}/limit/main/dso/set", b'{"limit_a": 12}')
                await asyncio.sleep(0.05)
            found = process.controller.outside
            await stop(running)
            await client.publish(f"{base}/status", b"", retain=True)
        service.close()
        return said, found

    assert ("online", (("main", "MQTT dso"),)) == asyncio.run(play())


@pytest.mark.parametrize(("broker", "ordered"), [(None, ["store"]), ("mqtt://127.0.0.1:1", [])])
def test_a_battery_is_told_by_the_csms_or_over_the_broker_and_never_by_both(tmp_path, broker, ordered):
    sites = {"small": check_values(YARD, name="small").site_file}

    async def play():
        service = a_service(to_control=sites, broker=broker)
        running = asyncio.create_task(Hosting(service, sites, clock=SystemClock(), state_folder=tmp_path).run())
        told = []
        async with asyncio.timeout(30):
            while "small" not in service.hosted:  # noqa: ASYNC110 - it is started by the task above
                await asyncio.sleep(0.02)
            hosted = service.hosted["small"]
            hosted.process.on_decision.append(lambda decision: told.extend(decision.batteries))
            while not told or (ordered and not hosted.outbox.orders()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        found = [order.battery for order in hosted.outbox.orders()]
        await stop(running)
        service.close()
        return found

    assert ordered == asyncio.run(play())

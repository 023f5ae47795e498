"""Batteries of a site under control by way of a CSMS: readings in, orders out, and none that is too old."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from loadmgr.apps.service.csms_batteries import CsmsBatteries
from loadmgr.apps.service.outbox import Outbox
from loadmgr.apps.service.tokens import Role
from loadmgr.apps.service.webhooks import deliver
from loadmgr.site_file import check_values
from tests.loadmgr.apps.service.asking import SMALL
from tests.loadmgr.apps.service.test_hosted import Csms, ready, under_control
from tests.loadmgr.apps.service.test_webhooks import Receiver

STORE = {
    "id": "store",
    "circuit": "main",
    "capacity": "20kWh",
    "charge": "5kW",
    "discharge": "5kW",
    "command": {"every": "10s", "watchdog": "60s"},
}
YARD = {
    **SMALL,
    "circuits": [{**SMALL["circuits"][0], "fuse": "63A", "side_loads": [{"id": "house", "worst_case": "5A"}]}],
    "batteries": [STORE],
}


def cheap_now():
    """Return prices that are low for an hour and high afterwards."""
    now = datetime.now(UTC)
    times = [(now + timedelta(hours=h)).isoformat() for h in (-1, 1)]
    return {"prices": {"times": times, "per_kwh": [0.05, 0.90], "end": (now + timedelta(days=2)).isoformat()}}


async def say(client, power_w=0.0, full=0.2):
    reading = {"battery": "store", "power_w": power_w, "state_of_charge_ratio": full}
    found = await client.post("/v1/sites/small/meter-values", json={"battery_readings": [reading]})
    assert (200, {"taken": 1, "dry_run": False}) == (found.status_code, found.json())


async def ordered(client, after=0):
    """Return the first order of a battery that charges, asked for by long poll."""
    async with asyncio.timeout(20):
        while True:
            found = await client.get("/v1/sites/small/commands", params={"wait_s": 1.0, "after": after})
            for order in found.json()["batteries"]:
                if order["power_w"] > 0:
                    return order, found.json()["after"]


def test_a_battery_is_told_by_long_poll_what_the_plan_has_it_do():
    async def play():
        async with under_control(site=YARD) as (client, _):
            csms = Csms(client)
            await csms.boot("E1", "E2")
            await csms.poll(ready)
            await client.put("/v1/sites/small/prices", json=cheap_now())
            await say(client)
            order, after = await ordered(client)
            again = (await client.get("/v1/sites/small/commands", params={"after": after})).json()
            return order, after, again

    order, after, again = asyncio.run(play())
    assert "store" == order["battery"]
    assert 0 < order["power_w"] <= 5_000
    assert 0.0 < order["expires_in_s"] <= 10.0
    assert order["id"] <= after
    assert [] == [o for o in again["batteries"] if o["id"] <= after]


def test_who_asks_again_waits_for_a_newer_order_of_a_battery():
    async def play():
        async with under_control(site=YARD) as (client, _):
            await say(client)
            got = []
            for _ in range(3):
                began = asyncio.get_running_loop().time()
                found = await client.get("/v1/sites/small/commands", params={"wait_s": 0.4})
                got.append((asyncio.get_running_loop().time() - began >= 0.4, len(found.json()["batteries"])))
            return got

    assert [(True, 1)] * 2 == asyncio.run(play())[1:]


def test_the_order_of_a_battery_is_posted_to_the_webhook():
    receiver = Receiver(refusals=0)

    async def play():
        async with under_control(Role.ADMIN, site=YARD, private_webhooks=True) as (client, hosted):
            service = client._transport.app.state.service
            await client.put("/v1/sites/small/webhook", json={"url": receiver.url})
            hosted.accompany(deliver(service, hosted))
            await say(client)
            async with asyncio.timeout(20):
                while not any(json.loads(body)["batteries"] for _, body in receiver.got):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

    asyncio.run(play())
    receiver.server.shutdown()
    posted = [order for _, body in receiver.got for order in json.loads(body)["batteries"]]
    assert {"store"} == {order["battery"] for order in posted}


def test_a_reading_of_a_battery_that_nobody_commands_is_refused_by_its_field():
    async def play():
        async with under_control() as (client, _):
            reading = {"battery": "store", "power_w": 1.0}
            return await client.post("/v1/sites/small/meter-values", json={"battery_readings": [reading]})

    found = asyncio.run(play())
    assert (422, "battery_readings[0].battery") == (found.status_code, found.json()["errors"][0]["field"])


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.at_s = 0.0

    def now_s(self):
        return self.at_s

    def now(self):
        return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=self.at_s)


def told(*powers_w, holds=True, site_file=None):
    """Return an outbox into which orders of the battery went, and its clock."""
    clock = Clock()

    async def play():
        outbox = Outbox(clock=clock, may_send=lambda: holds)
        batteries = CsmsBatteries(outbox, site_file or check_values(YARD, name="yard").site_file)
        for power_w in powers_w:
            await batteries.set_power_w("store", power_w)
        return outbox

    return asyncio.run(play()), clock


def test_the_newest_order_of_a_battery_is_the_only_one():
    outbox, _ = told(4000, 0)
    assert [0] == [order.power_w for order in outbox.orders()]


def test_an_order_is_handed_over_no_longer_than_a_battery_has_time_to_follow():
    outbox, clock = told(4000)
    clock.at_s = 9.9
    assert 1 == len(outbox.orders())
    clock.at_s = 10.0
    assert [] == outbox.orders()


def test_a_worker_without_the_lease_hands_over_no_order_of_a_battery():
    outbox, _ = told(4000, holds=False)
    assert [] == outbox.orders()


def test_a_battery_that_is_told_over_modbus_is_not_told_by_the_csms_too():
    site_file = check_values(YARD, name="yard").site_file
    told_here = replace(site_file, battery_inputs=(SimpleNamespace(battery="store"),))
    outbox, _ = told(4000, site_file=told_here)
    assert [] == outbox.orders()

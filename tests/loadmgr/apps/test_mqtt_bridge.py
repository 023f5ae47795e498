"""A site on a real broker: state and discovery out, orders, meters and limits in."""

import asyncio
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aiomqtt
import pytest

from loadmgr.apps.mqtt.home_assistant import discoveries
from loadmgr.apps.mqtt.mqtt_bridge import MqttBridge
from loadmgr.apps.process.battery_orders import BatteryOrders
from loadmgr.apps.process.outside import Feeds
from loadmgr.apps.process.serving import stop
from loadmgr.apps.process.site import SiteProcess
from loadmgr.control.battery_facts import SetBatteryPower
from loadmgr.control.decision import Decision
from loadmgr.control.observation import BatteryReading, LimitChanged, Observation, SiteMeterReading
from loadmgr.control.outside.outside import OverrideSet
from loadmgr.errors import InputError
from loadmgr.model.equipment import Battery, BatteryLink
from loadmgr.site_file import find_site, load_site
from ocpp_link.transport import SystemClock

BROKER = os.environ.get("LOADMGR_TEST_MQTT", "mqtt://127.0.0.1:1883")


def answers(url: str) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 1883), timeout=2.0):
            return True
    except OSError:
        return False


START = datetime(2026, 3, 3, tzinfo=UTC)

needs_broker = pytest.mark.skipif(
    not answers(BROKER), reason=f"no MQTT broker at {BROKER}: name one in LOADMGR_TEST_MQTT"
)


def a_process() -> SiteProcess:
    """Return a garage under a name of its own, so that runs on one broker do not meet."""
    site_file = load_site(find_site("garage"))
    named = replace(site_file, site=replace(site_file.site, name=f"Garage {uuid4().hex[:8]}"))
    return SiteProcess(named, clock=SystemClock())


SHED = """\
schema: loadmgr/v1
site: {{name: Shed, timezone: Europe/Berlin}}
evses: [{{id: A, max: 16A}}]
tariff: {{energy: {{price: 0.30/kWh}}}}
circuits:
  - id: main
    fuse: 35A
    evses: [A]
    meter: {{id: m, interval: 5s, mqtt: {{topic: {own}/meter, current: {{L1: /a, L2: /b, L3: /c}}}}}}
external_limits:
  - id: ems
    mqtt: {{topic: {own}/limit, at: /now/kw, number_is: limit_kw}}
    heartbeat: 30s
    when_silent: {{current: 6A}}
"""

Play = Callable[[aiomqtt.Client, MqttBridge, SiteProcess], Awaitable[None]]


def on_broker(play: Play, *, of: Callable[[], SiteProcess] = a_process) -> list[Observation]:
    """Play with a running bridge; return what the process was told."""
    told: list[Observation] = []

    async def run() -> None:
        process = of()
        observe = process.observe
        process.observe = lambda fact, **rest: (told.append(fact), observe(fact, **rest))[1]  # type: ignore[assignment, func-returns-value]
        bridge = MqttBridge(process, BROKER, now=SystemClock().now)
        parts = urlsplit(BROKER)
        tasks = [asyncio.create_task(process.run()), asyncio.create_task(bridge.run())]
        async with aiomqtt.Client(parts.hostname or "", parts.port or 1883) as client:
            await play(client, bridge, process)
            await stop(*tasks)
            for topic in [t for t, _ in discoveries(process.site, base=bridge.base, prefix="homeassistant")]:
                await client.publish(topic, b"", retain=True)

    asyncio.run(run())
    return told


async def heard(client: aiomqtt.Client, topic: str, *, want: Callable[[str], bool] = lambda text: True) -> str:
    await client.subscribe(topic)
    async with asyncio.timeout(20.0):
        async for message in client.messages:
            text = message.payload.decode() if isinstance(message.payload, bytes) else ""
            if message.topic.matches(topic) and want(text):
                await client.unsubscribe(topic)
                return text
    raise AssertionError(topic)


@needs_broker
def test_the_site_is_announced_and_its_state_is_kept_by_the_broker() -> None:
    seen: dict[str, Any] = {}

    async def play(client: aiomqtt.Client, bridge: MqttBridge, process: SiteProcess) -> None:
        seen["status"] = await heard(client, f"{bridge.base}/status")
        seen["site"] = json.loads(await heard(client, f"{bridge.base}/site"))
        seen["evse"] = json.loads(await heard(client, f"{bridge.base}/evse/A1"))
        name = bridge.base.removeprefix("loadmgr/")
        seen["limit"] = json.loads(await heard(client, f"homeassistant/number/loadmgr_{name}_a1_limit/config"))

    on_broker(play)
    assert "online" == seen["status"]
    assert {"power_w", "charging", "text", "problem", "ordered_limit_a", "pause"} == set(seen["site"])
    assert (59.22, "OFF") == (seen["site"]["ordered_limit_a"], seen["site"]["pause"])
    assert "pause" in seen["evse"]
    assert seen["limit"]["command_topic"].endswith("/evse/A1/limit/set")
    assert seen["limit"]["availability_topic"].endswith("/status")


@needs_broker
def test_orders_readings_and_limits_reach_the_controller() -> None:
    async def play(client: aiomqtt.Client, bridge: MqttBridge, process: SiteProcess) -> None:
        await heard(client, f"{bridge.base}/status")
        await client.publish(f"{bridge.base}/evse/A1/limit/set", b"10")
        await client.publish(f"{bridge.base}/evse/A2/pause/set", b"ON")
        await client.publish(f"{bridge.base}/meter/main_meter/set", b'{"currents_a": [9.0, 8.5, -1.0]}')
        await client.publish(
            f"{bridge.base}/limit/main/dso/set", b'{"limit_w": 4200, "heartbeat_s": 60, "silent_limit_a": 6}'
        )
        await heard(client, f"{bridge.base}/evse/A2", want=lambda text: '"pause": "ON"' in text)

    told = on_broker(play)
    orders = {fact.evse: (fact.limit_a, fact.by) for fact in told if isinstance(fact, OverrideSet)}
    assert {"A1": (10.0, "MQTT"), "A2": (0.0, "MQTT")} == orders
    assert [(9.0, 8.5, -1.0)] == [fact.currents_a for fact in told if isinstance(fact, SiteMeterReading)]
    (limit,) = [fact for fact in told if isinstance(fact, LimitChanged)]
    assert ("main", "MQTT dso", 4200.0, 60.0, (6.0, 6.0, 6.0)) == (
        limit.circuit,
        limit.source,
        limit.limit_w,
        limit.heartbeat_s,
        limit.silent_limit_a,
    )


@needs_broker
def test_a_whole_site_is_limited_and_paused_and_goes_on() -> None:
    states: list[dict[str, Any]] = []

    async def play(client: aiomqtt.Client, bridge: MqttBridge, process: SiteProcess) -> None:
        await heard(client, f"{bridge.base}/status")
        for below, payload, word in (
            ("limit", b"25", '"ordered_limit_a": 25.0'),
            ("pause", b"ON", '"pause": "ON"'),
            ("pause", b"OFF", '"pause": "OFF"'),
            ("limit", b"", '"ordered_limit_a": 59'),
        ):
            await client.publish(f"{bridge.base}/site/{below}/set", payload)
            said = await heard(client, f"{bridge.base}/site", want=lambda text, word=word: word in text)
            states.append(json.loads(said))
        assert () == process.controller.outside

    told = [fact for fact in on_broker(play) if isinstance(fact, LimitChanged)]
    assert [(25.0, "OFF"), (25.0, "ON"), (25.0, "OFF"), (59.22, "OFF")] == [
        (state["ordered_limit_a"], state["pause"]) for state in states
    ]
    assert (0.0, True) == (told[1].limit_w, told[1].vehicles_only)


@needs_broker
def test_what_cannot_be_used_changes_nothing_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    wrong = {
        "evse/A1/limit/set": (b"lots", "limit: must be a number"),
        "evse/Z9/pause/set": (b"ON", "there is no EVSE Z9"),
        "evse/A1/boost/set": (b"maybe", "must be ON or OFF"),
        "meter/main_meter/set": (b'{"currents_a": [1, 2]}', "three numbers"),
        "meter/cellar/set": (b"{}", "no meter 'cellar'"),
        "limit/main/dso/set": (b'{"limit_w": NaN}', "limit_w"),
        "limit/main/two/set": (b"[[[[", "Expecting"),
        "limit/main/three/set": (b'{"limit_w": 1' + 400 * b"0" + b"}", "limit_w"),
        "limit/main/four/set": (b'{"limit_w": 5, "until": "0001-01-01T00:00:00+14:00"}', "until"),
        "limit/main/five/set": (
            b'{"limit_w": 5, "silent_limit_w": 5, "heartbeat_s": 1e300}',
            "heartbeat of 1e+300 s",
        ),
        "limit/main/six/set": (b'{"limit_w": 5, "silent_limit_w": -5, "heartbeat_s": 60}', "a limit of -5 cannot be"),
        "limit/main/seven/set": (b'{"limit_w": 5, "silent_limit_w": 1' + 400 * b"0" + b"}", "silent_limit_w"),
        "site/limit/set": (b"-5", "limit: must be 0 or above"),
        "site/pause/set": (b"maybe", "pause: must be ON or OFF"),
        "site/boost/set": (b"ON", "'boost' is no order of a site"),
    }

    async def play(client: aiomqtt.Client, bridge: MqttBridge, process: SiteProcess) -> None:
        await heard(client, f"{bridge.base}/status")
        for below, (payload, _) in wrong.items():
            await client.publish(f"{bridge.base}/{below}", payload)
        await client.publish(f"{bridge.base}/evse/A3/pause/set", b"ON")
        await heard(client, f"{bridge.base}/evse/A3", want=lambda text: '"pause": "ON"' in text)

    told = on_broker(play)
    assert ["A3"] == [fact.evse for fact in told if isinstance(fact, OverrideSet)]
    assert [] == [fact for fact in told if isinstance(fact, LimitChanged | SiteMeterReading)]
    for below, (_, words) in wrong.items():
        assert any(below in line and words in line for line in caplog.messages), (below, caplog.messages)


@needs_broker
def test_a_kept_order_or_reading_is_too_old_to_count_and_a_kept_limit_counts() -> None:
    async def play(client: aiomqtt.Client, bridge: MqttBridge, process: SiteProcess) -> None:
        kept = {
            "evse/A1/boost/set": b"ON",
            "meter/main_meter/set": b'{"currents_a": [0, 0, 0]}',
            "limit/main/dso/set": b'{"limit_a": 20}',
        }
        again = MqttBridge(process, BROKER, now=SystemClock().now)
        again.base = f"{bridge.base}_again"
        for below, payload in kept.items():
            await client.publish(f"{again.base}/{below}", payload, qos=1, retain=True)  # there before anybody listens
        running = asyncio.create_task(again.run())
        await heard(client, f"{again.base}/status")
        await client.publish(f"{again.base}/evse/A4/pause/set", b"ON")
        await heard(client, f"{again.base}/evse/A4", want=lambda text: '"pause": "ON"' in text)
        await stop(running)
        for below in kept:
            await client.publish(f"{again.base}/{below}", b"", retain=True)

    told = on_broker(play)
    assert ["A4"] == [fact.evse for fact in told if isinstance(fact, OverrideSet)]
    assert [] == [fact for fact in told if isinstance(fact, SiteMeterReading)]
    assert [(20.0, 20.0, 20.0)] == [fact.limit_a for fact in told if isinstance(fact, LimitChanged)]


@needs_broker
def test_topics_that_the_site_file_names_are_heard_also_those_that_a_reload_brings(tmp_path: Path) -> None:
    own = f"shed/{uuid4().hex[:8]}"
    (tmp_path / "shed.yaml").write_text(SHED.format(own=own))
    site_file = load_site(tmp_path / "shed.yaml")
    told: list[tuple[Any, str]] = []

    async def run() -> None:
        came = asyncio.Event()

        def observe(fact: Any, source: str) -> None:
            told.append((fact, source))
            came.set()

        feeds = Feeds(clock=SystemClock(), observe=observe)
        bridge = MqttBridge(a_process(), BROKER, now=SystemClock().now, listeners=lambda: feeds.listeners)
        running = asyncio.create_task(bridge.run())
        parts = urlsplit(BROKER)

        async def until(count: int, topic: str, payload: bytes) -> None:
            """Publish until so much was told: nobody says when a subscription holds."""
            while len(told) < count:
                came.clear()
                await client.publish(topic, payload)
                with suppress(TimeoutError):
                    await asyncio.wait_for(came.wait(), 0.5)

        async with aiomqtt.Client(parts.hostname or "", parts.port or 1883) as client, asyncio.timeout(20.0):
            await client.publish(f"{own}/meter", b'{"a": 99, "b": 99, "c": 99}', retain=True)
            feeds.follow(replace(site_file, external_limits=()), remembered=[])
            await until(1, f"{own}/meter", b'{"a": 8.5, "b": 4, "c": "2.5"}')
            feeds.follow(site_file, remembered=[])
            await until(3, f"{own}/limit", b'{"now": {"kw": 4.2}}')
            await until(4, f"{own}/limit", b'{"now": {"kw": "much"}}')
            await client.publish(f"{own}/meter", b"", retain=True)
            await stop(running)
        feeds.close()

    asyncio.run(run())
    (reading, meter), (begun, _), (limit, source), (trouble, _) = told
    assert ("meter m", (8.5, 4.0, 2.5)) == (meter, reading.currents_a)
    assert (30.0, (6.0, 6.0, 6.0), None) == (begun.heartbeat_s, begun.silent_limit_a, begun.limit_w)
    assert ("ems", "ems", 4200.0) == (source, limit.source, limit.limit_w)
    assert "/now/kw of the document is no number: 'much'" in trouble.cause


def kept_limit(bridge: MqttBridge, payload: bytes, *, kept: bool) -> LimitChanged:
    topic = aiomqtt.Topic(f"{bridge.base}/limit/main/dso/set")
    told: list[Any] = []
    bridge._process.observe = lambda fact, **rest: told.append(fact)  # type: ignore[method-assign]
    bridge._take(aiomqtt.Message(topic, payload, 1, kept, 0, None))
    return told[0] if told else None  # type: ignore[return-value]


def test_a_kept_limit_is_no_word_of_life_and_never_lifts_what_its_silence_brought() -> None:
    said = b'{"limit_a": 40, "heartbeat_s": 60, "silent_limit_a": 6}'
    fresh = MqttBridge(a_process(), BROKER, now=SystemClock().now)

    assert (6.0, 6.0, 6.0) == kept_limit(fresh, said, kept=True).limit_a
    assert kept_limit(fresh, said, kept=True) is None
    assert (40.0, 40.0, 40.0) == kept_limit(fresh, said, kept=False).limit_a
    assert kept_limit(fresh, said, kept=True) is None


def test_a_broker_that_is_away_is_tried_again_and_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        bridge = MqttBridge(a_process(), "mqtt://127.0.0.1:1", now=SystemClock().now)
        task = asyncio.create_task(bridge.run())
        await asyncio.sleep(0.3)
        assert not task.done()
        await stop(task)

    asyncio.run(run())
    assert any("tried again" in line for line in caplog.messages)


def test_an_address_that_is_no_broker_is_refused() -> None:
    with pytest.raises(InputError, match=r"mqtt://HOST:1883"):
        MqttBridge(a_process(), "http://127.0.0.1", now=SystemClock().now)


def a_process_with_a_battery() -> SiteProcess:
    process = a_process()
    site = process.site
    box = Battery(
        id="box",
        circuit=site.root.id,
        capacity_wh=10_000.0,
        max_charge_w=5_000.0,
        max_discharge_w=5_000.0,
        stored_wh=5_000.0,
        link=BatteryLink(every_s=1.0, watchdog_s=10.0),
    )
    return SiteProcess(replace(process.site_file, site=replace(site, batteries=(box,))), clock=SystemClock())


@needs_broker
def test_a_battery_is_told_over_the_broker_and_what_it_says_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    seen: dict[str, Any] = {}

    async def play(client: aiomqtt.Client, bridge: MqttBridge, process: SiteProcess) -> None:
        topic = f"{bridge.base}/battery/box"
        await heard(client, f"{bridge.base}/status")
        seen["told"] = await heard(client, f"{topic}/set_power")
        await client.publish(f"{topic}/set", b'{"power_w": 10, "state_of_charge": 62}')
        await client.publish(f"{bridge.base}/battery/cellar/set", b'{"power_w": 10}')
        await client.publish(f"{topic}/set", b'{"power_w": 10.5, "state_of_charge": 0.62}')
        seen["state"] = json.loads(await heard(client, topic, want=lambda text: '"state_of_charge": 0.62' in text))
        seen["again"] = await heard(client, f"{topic}/set_power")

    told = on_broker(play, of=a_process_with_a_battery)
    assert "0" == seen["told"]
    assert seen["again"].lstrip("-").isdigit()
    assert {"power_w", "state_of_charge", "state_of_charge_percent", "told_w", "reason"} == set(seen["state"])
    assert [10.5] == [fact.power_w for fact in told if isinstance(fact, BatteryReading)]
    assert "state_of_charge: must lie between 0 and 1, such as 0.62, got 62" in caplog.text
    assert "there is no battery 'cellar' with `command` in the site file; there are: box" in caplog.text


@needs_broker
def test_a_battery_that_is_told_over_modbus_is_not_told_over_the_broker_too() -> None:
    told: list[str] = []

    def two() -> SiteProcess:
        process = a_process_with_a_battery()
        box = process.site.batteries[0]
        site = replace(process.site, batteries=(box, replace(box, id="cellar")))
        own_way = (SimpleNamespace(battery="box"),)
        return SiteProcess(
            replace(process.site_file, site=site, battery_inputs=own_way),  # type: ignore[arg-type]
            clock=SystemClock(),
        )

    async def play(client: aiomqtt.Client, bridge: MqttBridge, process: SiteProcess) -> None:
        await client.subscribe(f"{bridge.base}/battery/+/set_power")
        async with asyncio.timeout(30.0):
            async for message in client.messages:
                told.append(str(message.topic).split("/")[-2])
                if len(told) == 2:
                    return

    on_broker(play, of=two)
    assert ["cellar", "cellar"] == told


def test_orders_of_batteries_are_the_newest_alone_and_none_of_a_process_that_stops() -> None:
    carried: list[tuple[str, int]] = []

    class Deaf:
        async def set_power_w(self, battery: str, power_w: int) -> None:
            carried.append((battery, power_w))
            raise OSError("nobody there")

    async def run() -> None:
        process = a_process_with_a_battery()
        orders = BatteryOrders(process)
        carrying = asyncio.create_task(orders.carry(Deaf()))
        for power_w in (100, 200):
            told = SetBatteryPower(battery="box", power_w=power_w)
            decision = Decision(
                at=START, commands=(), alarms=(), next_due=START, planned=None, ended=(), batteries=(told,)
            )
            process.on_decision[-1](decision)
        await asyncio.sleep(0.01)
        process.drain()
        process.on_decision[-1](decision)
        await asyncio.sleep(0.01)
        assert not carrying.done()
        await stop(carrying)

    asyncio.run(run())
    assert [("box", 200)] == carried

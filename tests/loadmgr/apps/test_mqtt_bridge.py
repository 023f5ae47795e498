"""A site on a real broker: state and discovery out, orders, meters and limits in."""

import asyncio
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aiomqtt
import pytest

from loadmgr.apps.home_assistant import discoveries
from loadmgr.apps.mqtt_bridge import MqttBridge
from loadmgr.apps.serving import stop
from loadmgr.apps.site import SiteProcess
from loadmgr.control.observation import LimitChanged, Observation, SiteMeterReading
from loadmgr.control.outside import OverrideSet
from loadmgr.errors import InputError
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


needs_broker = pytest.mark.skipif(
    not answers(BROKER), reason=f"no MQTT broker at {BROKER}: name one in LOADMGR_TEST_MQTT"
)


def a_process() -> SiteProcess:
    """Return a garage under a name of its own, so that runs on one broker do not meet."""
    site_file = load_site(find_site("garage"))
    named = replace(site_file, site=replace(site_file.site, name=f"Garage {uuid4().hex[:8]}"))
    return SiteProcess(named, clock=SystemClock())


Play = Callable[[aiomqtt.Client, MqttBridge, SiteProcess], Awaitable[None]]


def on_broker(play: Play) -> list[Observation]:
    """Play with a running bridge; return what the process was told."""
    told: list[Observation] = []

    async def run() -> None:
        process = a_process()
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
    assert {"power_w", "charging", "text", "problem"} == set(seen["site"])
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
            await client.publish(f"{again.base}/{below}", payload, retain=True)
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

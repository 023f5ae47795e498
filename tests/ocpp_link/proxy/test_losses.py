"""A CSMS that goes and comes, and a Local Controller that restarts meanwhile: nothing is lost, doubled or overtaken.

Whoever ends in good order waits for the answer that is under way. What a crash cuts between a message and its answer is
told again, as a station does it (1.6 section 3.7.1).
"""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from ocpp_link.dialect import VERSIONS, Version
from ocpp_link.station import Station
from tests.ocpp_link.proxy.test_sticky import World, play
from tests.ocpp_link.waiting import until

STEPS = 30


def numbered(version: Version, number: int) -> dict[str, Any]:
    """Return a MeterValues that can be told from every other one."""
    value: Any = str(number) if version == "1.6" else float(number)
    meter_value = [{"timestamp": "2024-01-17T12:00:00Z", "sampledValue": [{"value": value}]}]
    return {"connectorId" if version == "1.6" else "evseId": 1, "meterValue": meter_value}


def number_of(payload: dict[str, Any]) -> int:
    return int(float(payload["meterValue"][0]["sampledValue"][0]["value"]))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("seed", range(3))
def test_the_csms_reads_every_message_once_and_in_order(tmp_path: Path, version: Version, seed: int) -> None:
    rng = random.Random(seed)
    happened: list[str] = []

    async def restart(world: World) -> None:
        await world.station.disconnect()
        await world.proxy.close()
        await world.proxy_up()
        await world.station.connect()

    async def scene(world: World) -> None:
        await world.station.connect()
        await world.station.boot()
        said, there = 0, True
        for _ in range(STEPS):
            step = rng.choice(("say", "say", "say", "lose", "restart"))
            happened.append(step)
            match step:
                case "say":
                    said += 1
                    await world.station.call("MeterValues", numbered(version, said))
                case "lose" if there:
                    await world.told_everything()
                    await world.csms_down()
                    there = False
                case "lose":
                    await world.csms_up()
                    there = True
                case _:
                    await restart(world)
        if not there:
            await world.csms_up()
        await world.told_everything()
        assert list(range(1, said + 1)) == [number_of(each) for each in world.payloads("MeterValues")]

    play(scene, tmp_path, version=version)

    assert {"say", "lose", "restart"} == set(happened)


def test_a_station_that_comes_again_while_the_csms_reads_has_nothing_told_twice(tmp_path: Path) -> None:
    async def slowly(_: Station, action: str, __: dict[str, Any]) -> None:
        if action == "MeterValues":
            await asyncio.sleep(0.3)

    async def scene(world: World) -> None:
        await world.station.connect()
        await world.station.boot()
        await world.csms_down()
        for number in (1, 2, 3):
            await world.station.call("MeterValues", numbered("1.6", number))
        world.csms.reaction = slowly
        await world.csms_up()
        await until(lambda: world.payloads("MeterValues") != [])
        await world.station.disconnect()
        await world.station.connect()
        await world.told_everything()
        assert [1, 2, 3] == [number_of(each) for each in world.payloads("MeterValues")]

    play(scene, tmp_path)

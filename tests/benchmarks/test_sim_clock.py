"""Events per second of the lock-stepped clock, against bare loop turns in the same process."""

import asyncio
import time
from datetime import UTC, datetime

import pytest
import uvloop

from loadmgr.sim.clock import PartyClock, VirtualClock

START = datetime(2026, 3, 1, tzinfo=UTC)
PARTIES, ROUNDS = 20, 500


async def _tasks() -> float:
    clock = VirtualClock(START)

    async def sleep_often(party: PartyClock) -> None:
        for number in range(ROUNDS):
            await party.sleep_until(number)

    tasks = [asyncio.create_task(sleep_often(clock.party(f"p{i}"))) for i in range(PARTIES)]
    await asyncio.sleep(0)
    began = time.perf_counter()
    await clock.run()
    took_s = time.perf_counter() - began
    await asyncio.gather(*tasks)
    assert clock.events_released == PARTIES * ROUNDS
    return took_s


async def _timers() -> float:
    clock = VirtualClock(START)
    party = clock.party("p")

    def again() -> None:
        if clock.events_released < PARTIES * ROUNDS:
            party.call_at(clock.now_s() + 1.0, again)

    party.call_at(0.0, again)
    began = time.perf_counter()
    await clock.run()
    return time.perf_counter() - began


async def _turns() -> float:
    began = time.perf_counter()
    for _ in range(PARTIES * ROUNDS):
        await asyncio.sleep(0)
    return time.perf_counter() - began


@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run])
def test_events_per_second(runner):
    turns_s = runner(_turns())
    for name, world in (("tasks", _tasks), ("timers", _timers)):
        took_s = runner(world())
        print(
            f"{runner.__module__} {name}: {PARTIES * ROUNDS / took_s:,.0f} events/s, {took_s / turns_s:.1f} loop turns"
        )

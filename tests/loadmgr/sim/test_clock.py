"""Time is lock-stepped: order, rest, frames, tokens, speed and stalls."""

import asyncio
import time
from datetime import UTC, datetime

import pytest
import uvloop
import websockets.asyncio.client
import websockets.asyncio.server

from loadmgr.sim.clock import ClockStalledError, PartyClock, VirtualClock

START = datetime(2026, 3, 1, tzinfo=UTC)


def test_events_of_one_instant_come_by_priority_then_party_then_sequence():
    async def run() -> list[str]:
        clock, heard = VirtualClock(START), []
        late, early = clock.party("a", priority=1), clock.party("z", priority=0)
        peer = clock.party("b", priority=1)
        for party, name in ((peer, "b1"), (late, "a1"), (peer, "b2"), (early, "z1"), (late, "a2")):
            party.call_at(5.0, lambda name=name: heard.append(name))
        await clock.run()
        return heard

    assert asyncio.run(run()) == ["z1", "a1", "a2", "b1", "b2"]


def test_world_comes_to_rest_between_two_events_of_one_instant():
    """A chain of wake-ups started by the first event ends before the second event is released."""

    async def run() -> list[str]:
        clock, heard = VirtualClock(START), []
        first, second = clock.party("a"), clock.party("b")

        async def chain(depth: int) -> None:
            if depth:
                await asyncio.create_task(chain(depth - 1))
            else:
                heard.append("end of chain")

        async def chained() -> None:
            await first.sleep_until(1.0)
            await chain(20)

        task = asyncio.create_task(chained())
        await asyncio.sleep(0)
        second.call_at(1.0, lambda: heard.append("second"))
        await clock.run()
        await task
        return heard

    assert asyncio.run(run()) == ["end of chain", "second"]


def test_time_waits_for_a_busy_token():
    async def run() -> list[tuple[str, float]]:
        clock, heard = VirtualClock(START), []
        worker, other = clock.party("worker"), clock.party("other")

        async def work() -> None:
            with worker.busy():
                await asyncio.sleep(0.05)
                heard.append(("worked", clock.now_s()))

        task = asyncio.create_task(work())
        other.call_at(10.0, lambda: heard.append(("due", clock.now_s())))
        await asyncio.sleep(0)
        await clock.run()
        await task
        return heard

    assert asyncio.run(run()) == [("worked", 0.0), ("due", 10.0)]


def test_until_leaves_later_events_for_the_next_run():
    async def run() -> list[float]:
        clock, heard = VirtualClock(START), []
        party = clock.party("a")
        for when_s in (1.0, 60.0, 61.0):
            party.call_at(when_s, lambda: heard.append(clock.now_s()))
        await clock.run(until=START.replace(minute=1))
        heard.append(clock.now_s())
        await clock.run()
        return heard

    assert asyncio.run(run()) == [1.0, 60.0, 60.0, 61.0]


def test_cancelled_sleeper_does_not_move_time():
    async def run() -> float:
        clock = VirtualClock(START)
        party = clock.party("a")
        task = asyncio.create_task(party.sleep_until(1000.0))
        timer = party.call_at(2000.0, lambda: None)
        party.call_at(5.0, task.cancel)
        party.call_at(6.0, timer.cancel)
        await asyncio.sleep(0)
        await clock.run()
        return clock.now_s()

    assert asyncio.run(run()) == 6.0


def test_overdue_sleep_returns_now_and_never_in_the_past():
    async def run() -> float:
        clock = VirtualClock(START)
        party = clock.party("a")

        async def late() -> None:
            await party.sleep_until(10.0)
            await party.sleep_until(3.0)

        task = asyncio.create_task(late())
        await asyncio.sleep(0)
        await clock.run()
        await task
        return clock.now_s()

    assert asyncio.run(run()) == 10.0


def test_stall_names_the_counters():
    async def run() -> None:
        clock = VirtualClock(START, stall_s=0.05)
        sender, holder = clock.party("sender"), clock.party("holder")
        sender.call_at(1.0, sender.frame_sent)
        token = holder.busy()
        sender.call_at(1.0, token.__enter__)
        sender.call_at(5.0, lambda: None)
        await clock.run()

    with pytest.raises(ClockStalledError, match=r"1 frames in flight.*sender: sent 1, settled 0"):
        asyncio.run(run())


def test_failing_timer_ends_the_run_with_its_error():
    async def run() -> None:
        clock = VirtualClock(START)
        clock.party("a").call_at(1.0, lambda: 1 / 0)
        await clock.run()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(run())


def test_speed_is_an_upper_bound():
    async def run() -> float:
        clock = VirtualClock(START, speed=100.0)
        clock.party("a").call_at(10.0, lambda: None)
        began = time.monotonic()
        await clock.run()
        return time.monotonic() - began

    assert asyncio.run(run()) >= 0.095


@pytest.mark.parametrize("speed", [0.0, -1.0])
def test_speed_must_be_above_zero(speed: float):
    with pytest.raises(ValueError, match="speed"):
        VirtualClock(START, speed=speed)


def test_two_parties_cannot_share_a_name():
    clock = VirtualClock(START)
    clock.party("a")

    with pytest.raises(ValueError, match="'a' twice"):
        clock.party("a")


async def _echo_world(parties: int, rounds: int) -> list[tuple[float, str, str]]:
    """Parties that talk to one server over real WebSockets; both ends log what they see and when."""
    clock, log = VirtualClock(START), []
    server_clock = clock.party("server")

    async def serve(ws: websockets.asyncio.server.ServerConnection) -> None:
        async for text in ws:
            log.append((clock.now_s(), "server", str(text)))
            await asyncio.sleep(0)  # work that takes loop turns
            server_clock.frame_sent()
            await ws.send(f"{text} back")
            server_clock.frame_done()

    async def talk(party: PartyClock, port: int, index: int) -> None:
        with party.busy():
            ws = await websockets.asyncio.client.connect(f"ws://127.0.0.1:{port}", compression=None)
        for number in range(rounds):
            await party.sleep_until(number * (1 + index % 3))
            party.frame_sent()
            await ws.send(f"{party.name} {number}")
            text = await ws.recv()
            log.append((clock.now_s(), party.name, str(text)))
            party.frame_done()
        await ws.close()

    server = await websockets.asyncio.server.serve(serve, "127.0.0.1", 0, compression=None)
    port = server.sockets[0].getsockname()[1]
    tasks = [asyncio.create_task(talk(clock.party(f"p{i}"), port, i)) for i in range(parties)]
    await asyncio.sleep(0)
    await clock.run()
    await asyncio.gather(*tasks)
    server.close()
    await server.wait_closed()
    return log


@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run])
def test_same_run_over_real_sockets_three_times(runner):
    runs = [runner(_echo_world(6, 12)) for _ in range(3)]

    assert runs[0] == runs[1] == runs[2]
    assert len(runs[0]) == 2 * 6 * 12
    assert sorted(t for t, _, _ in runs[0]) == [t for t, _, _ in runs[0]]

"""A clock that is set does no harm: time never goes back, and a jump ahead is a restart in place."""

import asyncio
from datetime import UTC, datetime, timedelta

from loadmgr.apps.process.serving import serve_site, stop
from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.process.steady_clock import JUMP_S, SLEW_RATIO, SteadyClock
from loadmgr.sim.clock import VirtualClock
from loadmgr.sim.session_table import read_sessions
from loadmgr.sim.world import World, plan_world
from loadmgr.site_file import find_site, load_site
from loadmgr.store.entry import KINDS
from loadmgr.store.in_memory import InMemory
from loadmgr.store.replay import replay

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Machine:
    """The clocks of a machine, in the hands of a test."""

    def __init__(self) -> None:
        self.wall, self.seconds = START, 1000.0
        self.jumps: list[float] = []
        self.clock = SteadyClock(wall=lambda: self.wall, monotonic=lambda: self.seconds, on_jump=self.jumps.append)

    def pass_s(self, seconds: float) -> datetime:
        """Let time pass, asked for every second."""
        for _ in range(int(seconds)):
            self.wall += timedelta(seconds=1)
            self.seconds += 1.0
            self.clock.now()
        return self.clock.now()


def test_time_goes_on_with_the_machine() -> None:
    machine = Machine()
    assert START + timedelta(seconds=90) == machine.pass_s(90)
    assert [] == machine.jumps


def test_a_jump_ahead_is_taken_over_at_once_and_told_once() -> None:
    machine = Machine()
    machine.wall += timedelta(hours=1)
    assert START + timedelta(hours=1, seconds=5) == machine.pass_s(5)
    assert [3600.0] == [round(jump) for jump in machine.jumps]


def test_a_jump_back_is_approached_and_never_taken_over() -> None:
    machine = Machine()
    before = machine.pass_s(10)
    machine.wall -= timedelta(minutes=1)
    after = machine.clock.now()
    assert before <= after
    assert machine.clock.behind_s > JUMP_S
    later = machine.pass_s(1000)
    assert abs((later - after).total_seconds() - 1000.0 * (1.0 - SLEW_RATIO)) < 0.1
    assert machine.pass_s(13_000) - machine.wall < timedelta(seconds=1)
    assert [] == machine.jumps


def test_a_small_difference_is_slewed_and_a_journal_is_never_ahead_of_the_time() -> None:
    machine = Machine()
    machine.wall += timedelta(seconds=2)
    assert machine.pass_s(100) - START < timedelta(seconds=101)
    assert abs(machine.pass_s(400) - machine.wall) < timedelta(seconds=0.1)
    ends_at = START + timedelta(minutes=5)
    late = SteadyClock(not_before=ends_at, wall=lambda: START, monotonic=lambda: 0.0)
    assert ends_at == late.now()


def test_after_a_jump_everything_is_set_up_anew_and_no_limit_is_exceeded() -> None:
    async def main() -> tuple[World, SiteProcess, InMemory]:
        site_file = load_site(find_site("garage"))
        assert site_file.demo is not None
        start, book = site_file.demo.start + timedelta(hours=6), InMemory()
        clock = VirtualClock(start)
        party = clock.party("controller", priority=9)
        process = SiteProcess(site_file, clock=party, store=book)
        sessions = read_sessions(site_file.demo.sessions)
        plan = plan_world(site_file, sessions, start=start, until=start + timedelta(minutes=40), seed=0)
        server = await serve_site(process, host="127.0.0.1", port=0, clock=party)
        world = World(plan, clock=clock, url=f"ws://127.0.0.1:{server.port}/ocpp", observe=process.observe)
        clock.party("hand").call_at(1500.0, process.clock_was_set)
        controller = asyncio.create_task(process.run())
        await world.run()
        await stop(controller)
        await server.close()
        return world, process, book

    world, process, book = asyncio.run(main())
    starts = [entry for entry in book.entries() if entry.kind == "Started"]
    assert 2 == len(starts)
    assert b'"knows_all":false' in starts[1].body
    assert "Started" in KINDS
    assert {"obeying"} == {evse.standing.value for evse in process.controller.view().evses}
    assert 0.0 == world.outcome().limits.seconds_above_limit
    assert replay(book).identical

"""When charging starts: delayed at random, staggered after a blackout, outside of peak hours."""

from datetime import UTC, datetime, timedelta

from loadmgr.control.observation import OverrideSet, SessionDeclared
from loadmgr.control.settings import ControlSettings
from loadmgr.model.compliance import UK_PEAK_HOURS
from loadmgr.model.ids import EvseId
from tests.control_world import START, World, small_site


def seconds_until_on(world: World, *evses: str, most: int = 1300) -> dict[str, int]:
    """Run until vehicles draw, and return after how many seconds each began."""
    began: dict[str, int] = {}
    for second in range(most):
        world.run(1)
        for evse in evses:
            if evse not in began and max(world.station(evse).draw_a()) >= 6.0:
                began[evse] = second
        if len(began) == len(evses):
            return began
    return began


def test_a_start_is_delayed_at_random_and_each_session_by_its_own_time() -> None:
    world = World(small_site(evses=3, limit_a=120.0), settings=ControlSettings(longest_delay_s=600))
    world.connect()
    world.run(30)
    for name in ("E1", "E2", "E3"):
        world.plug(name)
    began = seconds_until_on(world, "E1", "E2", "E3")
    assert 3 == len(set(began.values()))
    assert 5 < max(began.values()) <= 640


def test_a_rise_while_charging_is_delayed_at_random_too() -> None:
    world = World(small_site(evses=2, limit_a=40.0), settings=ControlSettings(longest_delay_s=600))
    world.connect()
    world.run(30)
    world.plug("E1")
    world.plug("E2")
    world.run(1500)
    before = max(world.station("E1").draw_a())
    world.unplug("E2")
    world.run(20)
    assert before == max(world.station("E1").draw_a())
    assert f"{before:g} A, soon 32 A: rises at" in world.controller.view().evses[0].reason
    world.run(640)
    assert 32.0 == max(world.station("E1").draw_a())


def test_a_boost_is_not_delayed() -> None:
    world = World(small_site(evses=1), settings=ControlSettings(longest_delay_s=1800))
    world.connect()
    world.run(30)
    world.plug("E1")
    world.run(5)
    assert "starts at" in world.controller.view().evses[0].reason
    world.tell(OverrideSet(at=world.now, evse=EvseId("E1"), boost=True))
    assert seconds_until_on(world, "E1", most=60)


def test_a_delay_never_puts_off_a_reduction() -> None:
    world = World(small_site(evses=1), settings=ControlSettings(longest_delay_s=600))
    world.connect()
    world.run(30)
    world.plug("E1")
    seconds_until_on(world, "E1")
    world.tell(OverrideSet(at=world.now, evse=EvseId("E1"), limit_a=0.0))
    world.run(20)
    assert 0.0 == max(world.station("E1").draw_a())


def test_after_a_blackout_one_starts_after_the_other() -> None:
    world = World(small_site(evses=6, limit_a=200.0))
    world.connect()
    world.run(30)
    names = [f"E{i}" for i in range(1, 7)]
    for name in names:
        world.plug(name)
    assert len(seconds_until_on(world, *names)) == len(names)
    for name in names:
        world.unplug(name)
    world.run(10)
    for name in names:
        world.reboot(name, forgets=False)
        world.plug(name)
    began = seconds_until_on(world, *names)
    assert sorted(began, key=lambda n: began[n]) == names
    assert began["E6"] - began["E1"] >= 20
    assert [] == world.over


def test_in_peak_hours_only_those_charge_who_said_something() -> None:
    monday_four = datetime(2024, 6, 3, 14, 0, tzinfo=UTC)  # 16:00 at the site
    settings = ControlSettings(peak_hours=UK_PEAK_HOURS)
    world = World(small_site(evses=2, limit_a=80.0), settings=settings, start=monday_four)
    world.connect()
    world.run(30)
    world.plug("E1")
    world.plug("E2")
    world.tell(SessionDeclared(at=world.now, evse=EvseId("E2"), departure=world.now + timedelta(hours=1)))
    world.run(600)
    assert 0.0 == max(world.station("E1").draw_a())
    assert max(world.station("E2").draw_a()) >= 6.0
    assert "0 A: peak hours, in which nobody charges who did not say so" == world.controller.view().evses[0].reason


def test_outside_of_peak_hours_everybody_charges() -> None:
    world = World(small_site(evses=1), settings=ControlSettings(peak_hours=UK_PEAK_HOURS), start=START)
    world.connect()
    world.run(30)
    world.plug("E1")
    assert seconds_until_on(world, "E1", most=120)

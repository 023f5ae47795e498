"""Budgets of writes: counted by station and purpose, kept where safety does not ask for more."""

from datetime import timedelta

from loadmgr.control.budget import has_to_wait, may_write_maximum
from loadmgr.control.rung import LeaseForm
from loadmgr.control.settings import ControlSettings
from loadmgr.model.profile import ProfilePurpose
from tests.control_world import World, small_site

SETTINGS = ControlSettings()


def maxima(world: World, station: str = "S1") -> int:
    sent = [c for _, c in world.commands if c.station == station and getattr(c, "profile", None) is not None]
    return sum(c.profile.purpose is ProfilePurpose.CHARGE_POINT_MAX for c in sent)


def test_a_station_that_restarts_over_and_over_gets_ten_maxima_a_day_and_its_fail_safe_each_time():
    world = World(small_site(evses=1, limit_a=40.0, fallback_a=6.0))
    world.connect()
    for _ in range(16):
        world.run(40)
        world.reboot("E1", forgets=True)
    world.run(40)

    defaults = [c for _, c in world.commands if getattr(c, "profile", None) and c.profile.purpose.value == "TX_DEFAULT"]
    assert 10 == maxima(world)
    assert len(defaults) >= 17


def test_the_budget_is_of_the_last_day():
    world = World(small_site(evses=1))
    world.connect()
    world.run(20)
    state = world.controller._state
    station = state.stations[next(iter(state.stations))]
    station.maximum_writes.extend([world.now] * 10)

    assert not may_write_maximum(state, station, SETTINGS, world.now)
    assert may_write_maximum(state, station, SETTINGS, world.now + timedelta(days=1, minutes=1))


def test_who_follows_nothing_but_its_maximum_is_limited_by_the_budget_of_maxima():
    world = World(small_site(evses=1))
    world.connect()
    world.run(20)
    state = world.controller._state
    record = next(iter(state.evses.values()))
    station = state.stations[record.evse.station]
    station.maximum_writes.extend([world.now] * 10)

    assert not has_to_wait(state, record, SETTINGS, world.now)
    record.form = LeaseForm(purpose=ProfilePurpose.CHARGE_POINT_MAX)
    assert has_to_wait(state, record, SETTINGS, world.now)
    assert may_write_maximum(state, station, SETTINGS, world.now), "there it is the fail-safe"

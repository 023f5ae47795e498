"""Budgets of writes: counted by station and purpose, kept where safety does not ask for more."""

from datetime import timedelta

import pytest

from loadmgr.control.safety.assumption import limit_now_a
from loadmgr.control.safety.circuits import LoadBook
from loadmgr.control.safety.rung import LeaseForm
from loadmgr.control.sending.budget import has_to_wait, may_pause, may_write_maximum
from loadmgr.control.sending.reconcile import Wanted, reconcile
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


def test_who_has_no_time_to_spare_waits_for_no_write_while_there_is_a_budget():
    world = World(small_site(evses=1))
    world.connect()
    world.run(20)
    state = world.controller._state
    record = next(iter(state.evses.values()))
    record.writes.extend([world.now] * 20)
    soon, later = world.now + timedelta(seconds=60), world.now + timedelta(seconds=400)

    assert has_to_wait(state, record, SETTINGS, soon)
    assert has_to_wait(state, record, SETTINGS, soon, spare_s=3600.0)
    assert not has_to_wait(state, record, SETTINGS, later, spare_s=3600.0), "a tenth of an hour is over"
    assert not has_to_wait(state, record, SETTINGS, soon, spare_s=-10.0)
    record.writes.extend([world.now] * 20)
    assert has_to_wait(state, record, SETTINGS, later, spare_s=-10.0), "the budget is spent"


def test_the_share_that_is_kept_of_the_budget_is_for_who_has_no_time_to_spare():
    world = World(small_site(evses=1))
    world.connect()
    world.run(20)
    state = world.controller._state
    record = next(iter(state.evses.values()))
    record.writes.extend([world.now] * 36)
    later = world.now + timedelta(hours=2)

    assert has_to_wait(state, record, SETTINGS, later)
    assert has_to_wait(state, record, SETTINGS, later, spare_s=7200.0)
    assert not has_to_wait(state, record, SETTINGS, later, spare_s=60.0)
    assert not may_pause(state, record, SETTINGS, later)
    assert may_pause(state, record, SETTINGS, later, spare_s=60.0)
    record.writes.extend([world.now] * 3)
    assert not may_pause(state, record, SETTINGS, later, spare_s=60.0), "a pause is two writes, and one is left"


@pytest.mark.parametrize(("spare_s", "sent"), [(None, []), (7200.0, []), (300.0, ["E1"]), (-60.0, ["E1"])])
def test_others_make_room_at_once_for_who_has_no_time_to_spare(spare_s: float | None, sent: list[str]):
    world = World(small_site(evses=2, limit_a=26.0, building_worst_a=0.0, max_a=16.0))
    world.connect()
    world.run(30)
    for evse in ("E1", "E2"):
        world.plug(evse)
    world.run(600)
    controller = world.controller
    state = controller._state
    held_a = {evse: limit_now_a(state, state.evses[evse], world.now) for evse in ("E1", "E2")}
    assert [16.0, 8.0] == list(held_a.values())
    for record in state.evses.values():
        record.writes.extend([world.now] * 20)
        record.charging.spare_s = spare_s

    steps = reconcile(
        state,
        Wanted(targets_a={"E1": 13.0, "E2": 11.0}),
        book=LoadBook(state.site, controller._rows(), controller._situation.assumed, now=world.now),
        settings=SETTINGS,
        now=world.now + timedelta(seconds=60),
        first_id=10_000,
    )

    assert sent == [evse for _, _, evse in steps]

"""A vehicle's tail is fitted to what it was measured to take, makes plans begin sooner, and blocks nobody."""

import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmgr.control.feedback.acceptance import Tail, fitted_tail, is_resting, slower_s
from loadmgr.control.observation import SessionDeclared
from loadmgr.control.planning.requests import sound_request, upper_bound_a
from loadmgr.control.settings import ControlSettings
from loadmgr.model.ids import EvseId
from loadmgr.model.profile import OcppVersion, RateUnit
from loadmgr.model.series import TimeGrid
from loadmgr.model.session import EnergyNeed
from loadmgr.model.topology import CurrentType
from tests.control_world import Vehicle, World, small_site

W_PER_A = 690.0


def falling(*, full_wh: float, falls: float, spacing_wh: float = 100.0, stray_a: Iterable[float] = ()) -> list:
    strays = list(stray_a) or [0.0] * 10
    return [(i * spacing_wh, falls * (full_wh - i * spacing_wh) + s) for i, s in enumerate(strays)]


@given(
    full_wh=st.floats(2_000.0, 20_000.0),
    falls=st.floats(0.002, 0.01),
    strays=st.lists(st.floats(-0.1, 0.1), min_size=8, max_size=24),
)
def test_a_line_is_found_again_under_small_strays(full_wh, falls, strays):
    tail = fitted_tail(falling(full_wh=full_wh, falls=falls, spacing_wh=150.0, stray_a=strays))
    if tail is not None:
        assert tail.falls_a_per_wh == pytest.approx(falls, abs=0.2 / (150.0 * (len(strays) - 1)) * 3.0)
    else:
        assert falls * 150.0 * (len(strays) - 1) < 1.5 + 0.5


def test_the_time_for_the_tail_is_that_of_the_differential_equation():
    tail, taken, seconds = Tail(at_zero_a=16.0, falls_a_per_wh=0.004), 1_000.0, 0
    while taken < 3_000.0:
        taken += (16.0 - 0.004 * taken) * W_PER_A / 3600.0
        seconds += 1

    assert tail.takes_s(2_000.0, delivered_wh=1_000.0, w_per_a=W_PER_A) == pytest.approx(seconds, rel=0.01)


@given(wanted_wh=st.floats(0.0, 1e6), delivered_wh=st.floats(0.0, 1e5))
def test_the_time_is_never_endless(wanted_wh, delivered_wh):
    took = Tail(at_zero_a=16.0, falls_a_per_wh=0.004).takes_s(wanted_wh, delivered_wh=delivered_wh, w_per_a=W_PER_A)

    assert 0.0 <= took < 86_400.0
    assert math.isfinite(took)


@pytest.mark.parametrize(
    "readings",
    [
        [],
        [(0.0, 16.0), (100.0, 8.0)],
        [(100.0 * i, 10.0) for i in range(10)],
        [(100.0 * i, 5.0 + i) for i in range(10)],
        [(100.0 * i, 16.0 if i % 2 else 6.0) for i in range(10)],
        [(500.0, 16.0 - i) for i in range(10)],
    ],
)
def test_what_is_no_tail_gives_no_line(readings):
    assert fitted_tail(readings) is None


class Filling(Vehicle):
    """A vehicle that takes less and less as it fills up."""

    def take(self) -> None:
        self.max_a = max(0.0, 0.01 * (4_000.0 - self.taken_wh))


def filling(minutes: int) -> World:
    world = World(small_site(evses=1, limit_a=40.0, building_worst_a=0.0))
    world.connect()
    world.run(15)
    car = Filling(full_wh=1e9)
    world.plug("E1", car)
    for _ in range(minutes * 60):
        world.run(1)
        car.take()
    return world


def test_the_tail_of_a_session_is_fitted_and_its_deadline_moves_ahead():
    world = filling(9)
    state = world.controller._state
    record = state.evses[EvseId("E1")]
    tail = fitted_tail(record.tail)

    assert tail is not None
    assert tail.falls_a_per_wh == pytest.approx(0.01, rel=0.15)
    assert tail.left_wh(0.0) == pytest.approx(4_000.0, rel=0.1)
    record.charging.need = EnergyNeed(wanted_wh=3_800.0)
    record.charging.departure = world.now + timedelta(hours=4)
    grid = TimeGrid.uniform(world.now, step_s=300, steps=60)
    asked = {
        fits: sound_request(
            state, record, record.charging, settings=ControlSettings(fits_tails=fits), grid=grid, now=world.now
        )
        for fits in (True, False)
    }
    left_wh = asked[True].wanted_wh
    ahead_s = slower_s(record, left_wh, most_w=float(asked[True].max_a) * W_PER_A, w_per_a=W_PER_A)

    assert ahead_s > 60.0
    assert (asked[False].departure - asked[True].departure).total_seconds() == math.ceil(ahead_s)
    assert asked[True].full_wh == asked[False].full_wh
    assert asked[True].max_a == asked[False].max_a


def test_a_vehicle_is_offered_more_than_its_line_says_and_the_line_is_forgotten_when_it_takes_it():
    world = filling(9)
    state, car = world.controller._state, world.station("E1").vehicle
    record = state.evses[EvseId("E1")]
    offered = upper_bound_a(state, record, record.charging, settings=ControlSettings(), now=world.now)

    assert offered > record.draw.peak_a
    car.max_a = 32.0
    world.run(900)
    assert 0 == len(record.tail)
    assert 32.0 == world.station("E1").draw_a()[0]


def test_a_vehicle_that_rested_for_an_hour_is_still_offered_its_minimum_and_wakes():
    world = filling(9)
    state, car = world.controller._state, world.station("E1").vehicle
    record = state.evses[EvseId("E1")]
    car.max_a = 0.0
    world.run(3600)
    assert is_resting(record, world.now)
    car.max_a = 20.0
    world.run(1200)

    assert world.station("E1").draw_a()[0] == 20.0
    assert fitted_tail(record.tail) is None


def test_a_session_begins_without_the_tail_of_the_last():
    world = filling(9)
    record = world.controller._state.evses[EvseId("E1")]
    assert record.tail
    world.unplug("E1")
    world.run(5)

    assert not record.tail


def test_a_reading_of_a_held_back_vehicle_says_nothing_of_its_tail():
    world = World(small_site(evses=2, limit_a=30.0, building_worst_a=0.0))
    world.connect()
    world.run(15)
    world.plug("E1")
    world.plug("E2")
    world.run(600)

    assert {0} == {len(r.tail) for r in world.controller._state.evses.values()}


def test_the_least_of_a_dc_evse_by_its_limit_in_watts_is_reckoned_at_low_voltage_too():
    """11 A that are said as 6831 W are 9.9 A where the voltage is nominal: below 10 A the EVSE pauses anyway."""
    world = dc_world(limit_a=13.0, max_a=180.0)
    world.run(900)
    assert 0.0 == world.controller.view().evses[0].held_a

    world = dc_world(limit_a=14.0, max_a=180.0)
    world.run(900)
    assert 12.0 == world.controller.view().evses[0].held_a


def dc_world(*, limit_a, max_a):
    """Return a world with a vehicle at a DC EVSE that is limited in W."""
    site = small_site(evses=1, limit_a=limit_a, building_worst_a=2.0, max_a=200.0, fallback_a=0.0)
    evse = replace(site.evses[0], current_type=CurrentType.DC, max_w=130_000.0, min_a=10.0)
    world = World(replace(site, evses=(evse,)), versions=(OcppVersion.V201,))
    world.station("E1").units = frozenset({RateUnit.W})
    world.connect()
    world.run(30)
    world.tell(SessionDeclared(at=world.now, evse=EvseId("E1"), need=EnergyNeed(wanted_wh=200_000.0)))
    world.plug("E1", Vehicle(max_a=max_a))
    return world


def test_a_dc_vehicle_that_takes_all_it_may_by_its_limit_in_watts_is_not_taken_for_a_slow_one():
    """What is reckoned as 100 A at low voltage is 90 A at nominal: all of it, and not 10 A that were left."""
    world = dc_world(limit_a=120.0, max_a=180.0)
    held = []
    for _ in range(12):
        world.run(300)
        held.append(world.controller.view().evses[0].held_a)

    assert min(held[1:]) > 95.0
    assert [] == world.over

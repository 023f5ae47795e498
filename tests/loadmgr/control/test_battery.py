"""Stationary batteries under control: told by the plan, never relied on, never in the way of what is sent."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from loadmgr.control.observation import BatteryReading, PriceUpdated, SessionDeclared
from loadmgr.model.equipment import Battery, BatteryLink
from loadmgr.model.ids import CircuitId, EvseId
from loadmgr.model.series import StepFunction
from loadmgr.model.session import EnergyNeed
from tests.control_world import START, World, small_site

LIMIT_A = 32.0
BUILDING_A = 9.0


def a_world(*, cheap_first: bool = True, hours: float = 0.5, limit_a: float = LIMIT_A) -> World:
    """Return a site with a building, two EVSEs and a battery of 10 kW, with prices that change after some hours."""
    battery = Battery(
        id="store",
        circuit=CircuitId("main"),
        capacity_wh=20_000.0,
        max_charge_w=10_000.0,
        max_discharge_w=10_000.0,
        stored_wh=2_000.0 if cheap_first else 10_000.0,
        reserve_wh=2_000.0,
        link=BatteryLink(every_s=10.0, watchdog_s=60.0),
    )
    site = replace(small_site(evses=2, limit_a=limit_a, building_worst_a=BUILDING_A), batteries=(battery,))
    world = World(site)
    world.building_a = (8.0, 8.0, 8.0)
    before, after = (0.05, 0.9) if cheap_first else (0.9, 0.05)
    instants = (START - timedelta(days=1), START + timedelta(hours=hours), START + timedelta(hours=hours + 1.0))
    prices = StepFunction(instants, (before, after, 0.05))
    world.tell(PriceUpdated(at=world.now, prices_per_kwh=prices))
    world.connect()
    return world.run(60)


def plug(world: World, evse: str, *, wanted_wh: float = 60_000.0, hours: float = 3.0) -> None:
    need, leaves = EnergyNeed(wanted_wh=wanted_wh), world.now + timedelta(hours=hours)
    world.tell(SessionDeclared(at=world.now, evse=EvseId(evse), departure=leaves, need=need))
    world.plug(evse)


def test_a_battery_charges_while_it_is_cheap_and_feeds_the_building_while_it_is_dear() -> None:
    world = a_world().run(1740)
    store = world.batteries["store"]
    assert store.stored_wh > 5_000.0
    powers_w = [store.power_w(world.run(60).now) for _ in range(60)]
    assert min(powers_w) >= -3 * 8.0 * 230.0 - 10.0
    assert store.stored_wh < 2_600.0
    assert store.stored_wh > 1_990.0
    assert not world.over


def test_a_battery_charges_with_what_vehicles_leave() -> None:
    """A vehicle that has to be ready comes first; both together stay below the fuse at every second."""
    world = a_world()
    plug(world, "E1", wanted_wh=6_000.0, hours=1.5)
    world.run(1700)
    assert world.batteries["store"].stored_wh > 3_000.0
    world.run(3000)
    assert world.station("E1").register_wh >= 7_000.0
    assert not world.over


def test_what_a_battery_discharges_pays_for_nobodys_current() -> None:
    """It stops discharging from one second to the next, and nothing is too much."""
    world = a_world(cheap_first=False)
    plug(world, "E1")
    plug(world, "E2")
    world.run(900)
    store = world.batteries["store"]
    assert store.power_w(world.now) < -2_000.0
    store.stubborn_w = 0.0
    world.building_a = (BUILDING_A,) * 3
    world.run(300)
    assert not world.over


@pytest.mark.parametrize("mute", [False, True], ids=["it does not hear", "nothing is heard either way"])
def test_a_battery_that_cannot_be_told_rests_and_vehicles_fit_beside_it(mute: bool) -> None:
    world = a_world().run(600)
    store = world.batteries["store"]
    assert store.power_w(world.now) > 2_000.0
    store.deaf, store.mute = True, mute
    plug(world, "E1")
    plug(world, "E2")
    world.run(600)
    assert not world.over
    assert store.power_w(world.now) == 0.0
    if mute:
        assert any(a.kind == "silent battery" for a in world.controller.view().alarms)
        assert world.controller.view().batteries[0].assumed_w == 0.0
        assert sum(max(world.station(e).draw_a()) for e in ("E1", "E2")) > 20.0


def test_a_battery_that_charges_against_its_orders_counts_with_all_it_can_do() -> None:
    world = a_world(cheap_first=False).run(120)
    world.batteries["store"].stubborn_w = 6_000.0
    world.run(60)
    (view,) = world.controller.view().batteries
    assert view.assumed_w == 10_000.0
    assert any(a.kind == "disobedient battery" for a in world.controller.view().alarms)
    plug(world, "E1")
    world.run(600)
    assert not world.over
    assert 0.0 < max(world.station("E1").draw_a()) <= LIMIT_A - BUILDING_A - 10_000.0 / 690.0


def test_a_battery_is_told_again_before_its_watchdog_ends_and_in_whole_watts() -> None:
    world = a_world().run(300)
    told = [(d.at, t) for d in world.decisions for t in d.batteries]
    assert all(isinstance(t.power_w, int) for _, t in told)
    gaps = [(b - a).total_seconds() for (a, _), (b, _) in itertools.pairwise(told)]
    assert max(gaps) <= 11.0
    assert min(gaps) >= 1.0


def test_a_reading_of_a_battery_that_nobody_may_command_is_an_alarm() -> None:
    world = World(small_site())
    world.tell(BatteryReading(at=world.now, battery="cellar", power_w=0.0))
    world.run(5)
    (alarm,) = [a for a in world.controller.view().alarms if a.kind == "unknown battery"]
    assert "cellar" in alarm.cause

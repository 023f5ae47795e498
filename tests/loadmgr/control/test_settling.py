"""Old limits that may still be followed: what ends them, and what does not."""

from datetime import timedelta

import pytest

from loadmgr.control.safety.holding import Holding, Settling, measured
from loadmgr.control.sending.reconcile import limit_now_a
from loadmgr.model.ids import EvseId
from tests.control_world import START, Vehicle, World, small_site


def charging_when_connected(limit_a: float, **vehicle: float) -> World:
    """Return a world whose first vehicle charged before its station's fail-safe was acknowledged."""
    world = World(small_site(evses=2, limit_a=limit_a, max_a=16.0))
    world.connect()
    world.plug("E1", Vehicle(**vehicle))
    return world


def held_a(world: World, evse: str) -> float:
    return limit_now_a(world.controller._state, world.controller._state.evses[EvseId(evse)], world.now)


def settling(world: World, evse: str) -> list[Settling]:
    return world.controller._state.evses[EvseId(evse)].holding.settling


@pytest.mark.parametrize("limit_a", [26.0, 50.0])
def test_a_vehicle_that_charged_before_its_fail_safe_does_not_hold_its_neighbour_at_nothing(limit_a: float) -> None:
    world = charging_when_connected(limit_a)
    world.run(300)
    world.plug("E2")
    world.run(600)

    assert [] == settling(world, "E1")
    assert (16.0, 16.0 if limit_a == 50.0 else 0.0) == (held_a(world, "E1"), held_a(world, "E2"))
    assert world.longest_excursion_s() <= 5


def test_what_a_vehicle_takes_is_learnt_although_it_charged_before_its_fail_safe() -> None:
    world = charging_when_connected(32.0, max_a=8.0)
    world.run(300)
    world.plug("E2")
    world.run(900)

    assert (10.0, 12.0) == (held_a(world, "E1"), held_a(world, "E2"))


def test_a_station_that_follows_nothing_keeps_its_old_limit() -> None:
    world = charging_when_connected(26.0)
    world.station("E1").obeys = False
    world.run(300)
    world.plug("E2")
    world.run(600)

    assert 0.0 == held_a(world, "E2")


def test_a_reading_ends_an_old_limit_when_it_shows_the_present_one_followed() -> None:
    old = Settling(limit_a=16.0, below_a=0.0, since=START, until=None)
    cases = {
        "followed": {"peak_a": 8.0, "held_a": 8.0, "held_since": START + timedelta(seconds=20)},
        "not yet settled": {"peak_a": 8.0, "held_a": 8.0, "held_since": START + timedelta(seconds=55)},
        "above": {"peak_a": 12.0, "held_a": 8.0, "held_since": START + timedelta(seconds=20)},
        "proves nothing": {"peak_a": 15.0, "held_a": 15.5, "held_since": START + timedelta(seconds=20)},
    }
    ended = []
    for name, reading in cases.items():
        holding = Holding(settling=[old])
        measured(holding, at=START + timedelta(seconds=60), settle_s=10.0, tolerance_a=1.0, **reading)
        if not holding.settling:
            ended.append(name)

    assert ["followed"] == ended


def test_a_station_that_measures_only_when_asked_is_asked_again_under_its_lease() -> None:
    world = World(small_site(evses=2, limit_a=26.0, max_a=16.0), reading_s=10_000)
    world.connect()
    world.plug("E1")
    world.run(300)

    assert [] == settling(world, "E1")

"""The controller finds out by itself where room is scarce, and then plans energy before cheap energy."""

from datetime import timedelta

import pytest

from loadmgr.control.memory import remember, restored
from loadmgr.control.observation import SessionDeclared
from loadmgr.control.planning.scarcity import SCARCE_S, left_short, scarce_circuits
from loadmgr.model.ids import EvseId
from loadmgr.model.session import EnergyNeed
from tests.control_world import START, Vehicle, World, small_site


def _world(*, limit_a: float) -> World:
    world = World(small_site(evses=2, limit_a=limit_a, max_a=16.0))
    world.connect("E1", "E2")
    world.run(20)
    return world


def _charge(world: World, *, kwh: float, stays_s: int, says_s: int, vehicle: Vehicle | None = None) -> None:
    """Let two vehicles come, say what they need and when they leave, and leave."""
    leaves = world.now + timedelta(seconds=says_s)
    for evse in ("E1", "E2"):
        need = EnergyNeed(wanted_wh=kwh * 1000.0)
        world.tell(SessionDeclared(at=world.now, evse=EvseId(evse), need=need, departure=leaves))
        world.plug(evse, None if vehicle is None else Vehicle(phases=3, max_a=16.0, full_wh=vehicle.full_wh))
    world.run(stays_s)
    for evse in ("E1", "E2"):
        world.unplug(evse)
    world.run(30)


def _scarce(world: World) -> frozenset[str]:
    return scarce_circuits(world.controller._state.short_at, world.now)


def test_a_circuit_is_scarce_for_weeks_after_a_vehicle_left_short() -> None:
    """18 A of room for two vehicles that would need 32 A; known again after a restart, forgotten after four weeks."""
    world = _world(limit_a=23.0)
    assert frozenset() == _scarce(world)

    _charge(world, kwh=9.0, stays_s=3600, says_s=3600)

    assert {"main"} == _scarce(world)
    again = restored(remember(world.controller), world.controller._state.site, None)
    assert {"main"} == scarce_circuits(again._state.short_at, world.now)
    assert frozenset() == scarce_circuits(again._state.short_at, world.now + timedelta(seconds=SCARCE_S + 3600))


@pytest.mark.parametrize(
    ("limit_a", "kwh", "says_s", "full_wh"),
    [
        (60.0, 9.0, 3600, None),
        (60.0, 60.0, 3600, None),
        (23.0, 9.0, 4 * 3600, None),
        (23.0, 40.0, 3600, 2_000.0),
    ],
    ids=["room for both", "more than the vehicle could take", "left before it said", "full before it was served"],
)
def test_what_is_no_shortage_makes_nothing_scarce(
    limit_a: float, kwh: float, says_s: int, full_wh: float | None
) -> None:
    """Nobody was held back by a circuit, or nobody was short."""
    world = _world(limit_a=limit_a)

    vehicle = None if full_wh is None else Vehicle(full_wh=full_wh)
    _charge(world, kwh=kwh, stays_s=3600, says_s=says_s, vehicle=vehicle)

    assert frozenset() == _scarce(world)


def test_what_meters_and_minimum_currents_explain_is_not_short() -> None:
    """200 Wh or 2 %, whichever is more."""
    cases = ((5_000.0, 4_850.0), (5_000.0, 4_700.0), (50_000.0, 49_100.0), (50_000.0, 48_900.0))
    assert [False, True, False, True] == [left_short(wanted, got) for wanted, got in cases]
    assert frozenset() == scarce_circuits({}, START)

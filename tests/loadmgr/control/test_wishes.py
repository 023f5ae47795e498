"""A running site meets wishes that cannot be: an alarm, best effort, and nobody else loses anything by it."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from loadmgr.control.alarm import Alarm, Severity
from loadmgr.control.observation import LimitChanged, PriceUpdated, SessionDeclared, VehicleDeclared
from loadmgr.model.ids import CircuitId, EvseId
from loadmgr.model.series import StepFunction
from loadmgr.model.session import EnergyNeed, VehicleLimits
from tests.control_world import World, small_site


def _world() -> World:
    world = World(small_site(evses=2, limit_a=60.0))
    world.connect("E1", "E2")
    world.run(20)
    return world


def _held_a(world: World) -> dict[str, float]:
    return {v.evse: v.held_a or 0.0 for v in world.controller.view().evses}


def _alarm(world: World, kind: str) -> Alarm | None:
    return next((a for a in world.controller.view().alarms if a.kind == kind), None)


@pytest.mark.parametrize("wish", ["energy", "priority", "energy beyond the calendar"])
def test_an_impossible_wish_is_an_alarm_and_costs_nobody_anything(wish: str) -> None:
    """Who made it charges like a vehicle that said nothing; said again and possible, the alarm clears."""
    world = _world()
    said = {"energy": {"need": EnergyNeed(wanted_wh=1e12)}, "priority": {"priority": 10**9}}.get(
        wish, {"need": EnergyNeed(wanted_wh=1e300), "departure": world.now + timedelta(hours=2)}
    )
    world.tell(SessionDeclared(at=world.now, evse=EvseId("E1"), **said))
    world.plug("E1")
    world.plug("E2")
    world.run(300)

    alarm = _alarm(world, "impossible wish")
    assert alarm is not None
    assert alarm.subject == "E1"
    assert "must" in alarm.cause
    assert "got" in alarm.cause
    assert min(_held_a(world).values()) >= 6.0
    assert _alarm(world, "no plan") is None
    assert [] == world.over

    need = EnergyNeed(wanted_wh=20_000.0)
    world.tell(SessionDeclared(at=world.now, evse=EvseId("E1"), need=need, priority=0))
    world.run(60)

    assert _alarm(world, "impossible wish") is None


def test_what_a_vehicle_sends_for_unknown_is_no_wish() -> None:
    """-1 A and -1 Wh are cars' words for "I do not know"."""
    world = _world()
    world.plug("E1")
    station = world.station("E1").evse.station
    said = VehicleDeclared(at=world.now, station=station, number=1, energy_wh=-1.0, max_a=-1.0, min_a=float("nan"))
    world.tell(said)
    world.run(120)

    assert _alarm(world, "observation lost") is None
    assert _held_a(world)["E1"] >= 6.0


def test_a_need_out_of_reach_gets_what_there_is_and_says_so() -> None:
    """60 kWh in an hour and a half do not fit through 32 A."""
    world = _world()
    leaves = world.now + timedelta(hours=1.5)
    world.tell(SessionDeclared(at=world.now, evse=EvseId("E1"), need=EnergyNeed(wanted_wh=60_000.0), departure=leaves))
    world.plug("E1")
    world.plug("E2")
    world.run(300)

    alarm = _alarm(world, "need out of reach")
    assert alarm is not None
    assert "58.3 kWh are wanted within 1.4 h" in alarm.cause
    assert min(_held_a(world).values()) >= 6.0


def test_a_departure_in_the_past_is_said_to_be_so_until_a_later_one_is_told() -> None:
    world = _world()
    need, past = EnergyNeed(wanted_wh=20_000.0), world.now - timedelta(hours=3)
    world.tell(SessionDeclared(at=world.now, evse=EvseId("E1"), need=need, departure=past))
    world.plug("E1")
    world.run(60)

    alarm = _alarm(world, "need out of reach")
    assert alarm is not None
    assert re.fullmatch(r"1\d\.\d kWh are missing of what was wanted, and its departure is past", alarm.cause)
    assert _held_a(world)["E1"] >= 6.0

    world.tell(SessionDeclared(at=world.now, evse=EvseId("E1"), departure=world.now + timedelta(hours=8)))
    world.run(60)
    assert _alarm(world, "need out of reach") is None


@pytest.mark.parametrize(
    ("by_h", "words"),
    [
        (-1.0, r"are missing that had to be there by now"),
        (0.5, r"must be there within 0\.\d h, at most \d+\.\d kWh can come"),
    ],
)
def test_what_must_be_there_too_soon_is_a_warning_until_a_later_time_is_told(by_h: float, words: str) -> None:
    world = _world()
    need = EnergyNeed(must_wh=15_000.0, wanted_wh=20_000.0, must_by=world.now + timedelta(hours=by_h))
    leaves = world.now + timedelta(hours=9)
    world.tell(SessionDeclared(at=world.now, evse=EvseId("E1"), need=need, departure=leaves))
    world.plug("E1")
    world.run(60)

    alarm = _alarm(world, "must out of reach")
    assert alarm is not None
    assert alarm.severity is Severity.WARNING
    assert re.fullmatch(rf"1\d\.\d kWh {words}", alarm.cause)
    assert _alarm(world, "need out of reach") is None

    later = replace(need, must_by=world.now + timedelta(hours=5))
    world.tell(SessionDeclared(at=world.now, evse=EvseId("E1"), need=later))
    world.run(60)
    assert _alarm(world, "must out of reach") is None


def test_what_was_said_of_a_wish_goes_with_its_session() -> None:
    world = _world()
    past = world.now - timedelta(hours=3)
    need = EnergyNeed(must_wh=15_000.0, wanted_wh=20_000.0, must_by=past)
    world.tell(SessionDeclared(at=world.now, evse=EvseId("E1"), need=need, departure=past))
    world.plug("E1")
    world.run(60)
    assert {"need out of reach", "must out of reach"} == {a.kind for a in world.controller.view().alarms}

    world.unplug("E1")
    world.run(60)
    assert () == world.controller.view().alarms


def test_a_price_that_is_no_number_is_the_usual_price() -> None:
    """A feed that sends NaN does not stop anybody."""
    world = _world()
    world.plug("E1")
    series = StepFunction((world.now,), (float("nan"),), world.now + timedelta(days=2))
    world.tell(PriceUpdated(at=world.now, prices_per_kwh=series))
    world.run(120)

    assert _alarm(world, "no plan") is None
    assert _held_a(world)["E1"] >= 6.0


def test_a_limit_below_the_building_is_an_alarm_with_the_circuit() -> None:
    """The grid operator leaves less than the building draws: nobody charges, and a person is told why."""
    world = _world()
    world.plug("E1")
    world.run(60)
    world.tell(LimitChanged(at=world.now, circuit=CircuitId("main"), source="operator", limit_a=(2.0, 2.0, 2.0)))
    world.run(120)

    alarm = _alarm(world, "load_above_limit")
    assert alarm is not None
    assert alarm.subject == "main"
    assert "circuit main: side loads are" in alarm.cause


@pytest.mark.parametrize("field", ["min_a", "max_a", "max_w"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_vehicle_limits_that_cannot_be_are_refused(field: str, value: float) -> None:
    """By name, value and range."""
    with pytest.raises(ValueError, match=rf"{field} must be 0 or above and finite, got {value}"):
        VehicleLimits(**{field: value})

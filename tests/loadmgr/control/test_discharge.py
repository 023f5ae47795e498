"""Vehicles that feed back: asked only where everybody said yes, never relied on, never below their floor."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from loadmgr.control.command import Command, SetProfile
from loadmgr.control.observation import Outcome, PriceUpdated, SessionDeclared
from loadmgr.control.settings import ControlSettings
from loadmgr.model.ids import EvseId
from loadmgr.model.profile import OcppVersion, OperationMode
from loadmgr.model.series import StepFunction
from loadmgr.model.session import DischargeTerms, EnergyNeed
from tests.control_world import START, Vehicle, World, small_site

LIMIT_A = 26.0
BUILDING_A = 5.0


def dear_first(*, hours: float = 2.0) -> StepFunction:
    """Return prices that are dear for some hours and cheap afterwards."""
    return StepFunction((START - timedelta(days=1), START + timedelta(hours=hours)), (0.8, 0.1))


def a_world(
    *,
    version: OcppVersion = OcppVersion.V21,
    able: bool = True,
    discharge_a: float = 16.0,
    room_wh: float = 8_000.0,
    fallback_a: float = 0.0,
) -> World:
    """Return a site where E1 has what it wants and may feed back, and E2 has to charge at the dear hour."""
    site = small_site(evses=2, limit_a=LIMIT_A, fallback_a=fallback_a, building_worst_a=BUILDING_A)
    first = replace(site.evses[0], discharge_a=discharge_a)
    world = World(
        replace(site, evses=(first, *site.evses[1:])),
        versions=(version, OcppVersion.V16),
        settings=ControlSettings(min_on_s=0, min_off_s=0),
    )
    world.station("E1").follows_setpoints = able
    world.tell(PriceUpdated(at=world.now, prices_per_kwh=dear_first()))
    world.connect()
    world.run(30)
    for name, wanted_wh, hours in (("E1", 2_000.0, 10.0), ("E2", 40_000.0, 4.0)):
        world.tell(
            SessionDeclared(
                at=world.now,
                evse=EvseId(name),
                departure=world.now + timedelta(hours=hours),
                need=EnergyNeed(wanted_wh=wanted_wh),
                discharge=DischargeTerms(max_a=12.0, room_wh=room_wh),
            )
        )
    world.plug("E1", Vehicle(back_a=16.0))
    world.run(120)  # it shows what it is
    world.plug("E2")
    return world


def setpoints(world: World) -> list[float]:
    """Return every setpoint below 0 that was sent [A]."""
    periods = [p for _, c in world.commands if isinstance(c, SetProfile) for p in c.profile.schedules[0].periods]
    return [p.setpoint for p in periods if p.setpoint is not None]


def test_a_vehicle_feeds_back_when_it_is_dear_and_is_charged_again_before_it_leaves() -> None:
    world = a_world().run(2 * 3600)
    fake = world.station("E1")
    assert fake.vehicle is not None
    assert fake.exported_wh > 3_000.0
    assert min(setpoints(world)) >= -12.0
    world.run(7 * 3600)
    assert fake.vehicle.taken_wh >= 2_000.0
    assert not world.over


def test_a_lease_that_asks_for_feeding_back_lets_nothing_be_charged_and_ends() -> None:
    """Beside each setpoint stands a limit of 0 A, and it is asked for no longer than a lease lasts."""
    world = a_world().run(1800)
    asked = [c.profile for _, c in world.commands if isinstance(c, SetProfile)]
    asked = [p for p in asked if p.schedules[0].periods[0].setpoint is not None]
    assert asked
    for profile in asked:
        schedule = profile.schedules[0]
        assert schedule.periods[0].operation_mode is OperationMode.CENTRAL_SETPOINT
        assert [0.0] * len(schedule.periods) == [p.limit for p in schedule.periods]
        assert schedule.duration_s is not None


def test_what_is_fed_back_never_pays_for_the_current_of_others() -> None:
    """The vehicle that feeds back stops at once, unasked; nothing is too much for an instant."""
    world = a_world().run(900)
    fake = world.station("E1")
    assert fake.vehicle is not None
    assert min(fake.draw_a()) < -6.0
    assert max(world.station("E2").draw_a()) <= LIMIT_A - BUILDING_A
    fake.vehicle.back_a = 0.0
    world.building_a = (BUILDING_A,) * 3
    world.run(600)
    assert not world.over


@pytest.mark.parametrize("fallback_a", [0.0, 6.0])
def test_the_floor_holds_with_the_controller_dead(fallback_a: float) -> None:
    """A lease ends before the vehicle is below its floor, whoever is there to renew it."""
    world = a_world(room_wh=1_500.0, fallback_a=fallback_a).run(600)
    assert setpoints(world)
    world.alive = False
    world.run(3 * 3600)
    fake = world.station("E1")
    assert fake.exported_wh / 0.75 <= 1_500.0 + fake.register_wh - 1000.0 + 100.0
    assert not world.over


@pytest.mark.parametrize(
    "said",
    [
        {"able": False},
        {"version": OcppVersion.V201},
        {"discharge_a": 0.0},
    ],
    ids=["a station that did not say so", "an older version", "an EVSE that cannot"],
)
def test_nobody_is_discharged_unless_everybody_said_yes(said: dict[str, object]) -> None:
    world = a_world(**said).run(1800)  # type: ignore[arg-type]
    assert [] == setpoints(world)
    assert 0.0 == world.station("E1").exported_wh


def test_permission_can_be_taken_back() -> None:
    world = a_world().run(900)
    assert min(world.station("E1").draw_a()) < -6.0
    world.tell(SessionDeclared(at=world.now, evse=EvseId("E1"), discharge=DischargeTerms(max_a=0.0)))
    world.run(30)
    assert min(world.station("E1").draw_a()) >= 0.0
    assert "feeds back" not in world.controller.view().evses[0].reason


def test_a_station_that_refuses_to_feed_back_is_asked_once_and_limited_as_before() -> None:
    world = a_world()

    def policy(rng: random.Random, command: Command) -> tuple[float, Outcome, bool]:
        periods = command.profile.schedules[0].periods if isinstance(command, SetProfile) else ()
        back = any(p.setpoint is not None for p in periods)
        return (0.0, Outcome.REJECTED, False) if back else (0.0, Outcome.ACCEPTED, True)

    world.policy = policy
    world.run(3600)
    assert 1 == len(setpoints(world))
    assert any(a.kind == "more than a limit refused" for a in world.controller.view().alarms)
    world.run(4 * 3600)
    assert world.station("E1").register_wh >= 3_000.0
    assert not world.over

"""What stations tell of others' limits: unasked, when asked, in parts, and no more."""

import pytest

from loadmgr.control.command import ReadForeign
from loadmgr.control.observation import CompositeReported, ForeignProfiles
from loadmgr.control.safety.failsafe import READ_BACK_S
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    OcppVersion,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    SchedulePeriod,
)
from tests.control_world import Vehicle, World, small_site


def limit(world: World, limit_a: float, *, profile_id: int = -1, level: int = 0) -> ChargingProfile:
    schedule = ChargingSchedule(unit=RateUnit.A, start=world.now, periods=(SchedulePeriod(start_s=0, limit=limit_a),))
    return ChargingProfile(
        profile_id=profile_id,
        stack_level=level,
        purpose=ProfilePurpose.EXTERNAL_CONSTRAINTS,
        kind=ProfileKind.ABSOLUTE,
        schedules=(schedule,),
    )


def charging(version: OcppVersion = OcppVersion.V201) -> World:
    world = World(small_site(evses=1, limit_a=90.0), versions=(version,))
    world.connect()
    world.run(20)
    world.plug("E1")
    return world.run(60)


def tell(world: World, *profiles: ChargingProfile, source: str = "EMS", **more) -> None:
    station = world.station("E1").evse.station
    told = {"at": world.now, "station": station, "number": 1, "source": source, "profiles": profiles} | more
    world.tell(ForeignProfiles(**{"by_station": True} | told))


def setpoint_a(world: World) -> float:
    world.run(30)
    return world.controller.view().evses[0].setpoint_a


def asked(world: World) -> list[int]:
    return [c.id for _, c in world.commands if isinstance(c, ReadForeign)]


@pytest.mark.parametrize(("version", "times"), [(OcppVersion.V16, 0), (OcppVersion.V201, 1), (OcppVersion.V21, 1)])
def test_a_station_is_asked_once_what_others_limit(version, times):
    assert times == len(asked(charging(version)))


def test_the_parts_of_a_report_add_up_and_end_what_it_does_not_repeat():
    world = charging()
    (request,) = asked(world)
    tell(world, limit(world, 7.0), source="SO")
    tell(world, limit(world, 20.0), request=request)
    tell(world, limit(world, 12.0, profile_id=-2, level=1), request=request)
    both = setpoint_a(world)
    tell(world, source="", number=0, request=request, last=True)

    assert (7.0, 12.0) == (both, setpoint_a(world))


def test_a_report_that_somebody_else_asked_for_changes_nothing():
    """It may leave out what was not asked for."""
    world = charging()
    tell(world, limit(world, 7.0))
    tell(world, limit(world, 20.0), request=4711, last=True)

    assert 7.0 == setpoint_a(world)


def test_what_others_than_the_station_told_outlives_its_report():
    world = charging()
    (request,) = asked(world)
    tell(world, limit(world, 9.0), source="CSMS", by_station=False)
    tell(world, source="", number=0, request=request, last=True)

    assert 9.0 == setpoint_a(world)


def test_a_limit_without_figures_is_asked_for():
    world = charging()
    tell(world, profiles=None)
    world.run(5)

    assert 2 == len(asked(world))


def read_back(world: World, limit_a: float) -> None:
    schedule = ChargingSchedule(
        unit=RateUnit.A, periods=(SchedulePeriod(start_s=0, limit=limit_a),), duration_s=READ_BACK_S
    )
    world.tell(
        CompositeReported(
            at=world.now, command=0, station=world.station("E1").evse.station, number=1, schedule=schedule
        )
    )


def drawing(limit_a: float, version: OcppVersion = OcppVersion.V16) -> World:
    """Return a world whose vehicle draws what somebody else allows, of more that it was given."""
    world = World(small_site(evses=1, limit_a=90.0), versions=(version,))
    world.connect()
    world.run(20)
    world.plug("E1", Vehicle(max_a=limit_a))
    return world.run(60)


def test_a_composite_schedule_below_what_was_set_is_the_limit_of_somebody_whom_1_6_cannot_name():
    world = drawing(10.0)
    read_back(world, 10.0)
    limited = setpoint_a(world), world.controller.view().evses[0].reason
    world.run(READ_BACK_S + 60)

    assert (10.0, "10 A: all that its own composite schedule allows") == limited
    assert "composite" not in world.controller.view().evses[0].reason  # nobody has said so since


@pytest.mark.parametrize(
    ("version", "draws_a", "says_a"),
    [
        pytest.param(OcppVersion.V16, 16.0, 10.0, id="the vehicle draws more"),
        pytest.param(OcppVersion.V16, 10.0, 32.0, id="it says what it was given"),
        pytest.param(OcppVersion.V201, 10.0, 10.0, id="its version has words for it"),
    ],
)
def test_a_composite_schedule_is_nobody_s_limit_where(version, draws_a, says_a):
    world = drawing(draws_a, version)
    read_back(world, says_a)
    world.run(5)

    assert not any(world.controller._state.evses["E1"].foreign.values())

"""Limits that others put on an EVSE: kept to the second and to the ampere, each source by itself."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.bridge.foreign import foreign_profiles
from loadmgr.control.command import SetProfile
from loadmgr.control.observation import ForeignProfiles
from loadmgr.control.outside.others import caps_over
from loadmgr.control.planning.formulate import plan_grid
from loadmgr.control.settings import ControlSettings
from loadmgr.model.ids import EvseId, ProfileId
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    OcppVersion,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    SchedulePeriod,
)
from tests.control_world import World, small_site


def charging(evses: int = 1) -> World:
    world = World(small_site(evses=evses, limit_a=90.0), reading_s=10)
    world.connect()
    world.run(20)
    for evse in world.site.evses:
        world.plug(evse.id)
    return world.run(60)


def tell(
    world: World,
    source: str,
    *steps: tuple[int, float],
    number: int = 1,
    purpose: ProfilePurpose = ProfilePurpose.EXTERNAL_CONSTRAINTS,
) -> None:
    periods = tuple(SchedulePeriod(start_s=s, limit=a) for s, a in steps)
    profile = ChargingProfile(
        profile_id=ProfileId(-1),
        stack_level=0,
        purpose=purpose,
        kind=ProfileKind.ABSOLUTE,
        schedules=(ChargingSchedule(unit=RateUnit.A, start=world.now, periods=periods),),
    )
    station = world.station("E1").evse.station
    world.tell(
        ForeignProfiles(at=world.now, station=station, number=number, source=source, profiles=(profile,) * bool(steps))
    )


def view(world: World):
    return world.controller.view().evses[0]


def test_of_two_sources_the_lower_counts() -> None:
    world = charging()
    tell(world, "CSMS", (0, 12.0))
    tell(world, "EMS", (0, 20.0))
    world.run(30)

    assert (12.0, "12 A: all that CSMS allows") == (view(world).setpoint_a, view(world).reason)


@pytest.mark.parametrize("limits_a", [(12.0, 20.0), (20.0, 12.0), (20.0, 12.0, 16.0)])
def test_of_several_schedules_of_one_source_the_lowest_counts(limits_a: tuple[float, ...]) -> None:
    world = charging()
    said = {"evseId": 1, "chargingLimit": {"chargingLimitSource": "EMS", "isGridCritical": False}}
    schedules = [
        {
            "id": number,
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit_a}],
        }
        for number, limit_a in enumerate(limits_a)
    ]
    station = world.station("E1").evse.station
    told = foreign_profiles(
        "NotifyChargingLimit",
        {**said, "chargingSchedule": schedules},
        version=OcppVersion.V201,
        station=station,
        at=world.now,
    )
    for each in told:
        world.tell(each)
    world.run(30)

    assert (12.0, "12 A: all that EMS allows") == (view(world).setpoint_a, view(world).reason)


def test_a_later_period_is_kept_from_its_first_second() -> None:
    world = charging()
    tell(world, "CSMS", (0, 20.0), (100, 8.0), (200, 4.0))
    began = world.now
    world.run(250)

    falls = [
        (at - began, c.profile.schedules[0].periods[0].limit)
        for at, c in world.commands
        if isinstance(c, SetProfile) and at >= began
    ]
    assert [(timedelta(seconds=100), 8.0), (timedelta(seconds=200), 0.0)] == falls[1:]
    assert "0 A: CSMS allows 4 A" == view(world).reason


def test_a_limit_that_is_only_a_little_lower_is_sent_at_once() -> None:
    world = charging()
    tell(world, "CSMS", (0, 20.0))
    world.run(30)
    tell(world, "CSMS", (0, 19.9))
    world.run(3)

    assert 19.0 == view(world).held_a


def test_a_plan_waits_for_the_hour_in_which_others_allow_more() -> None:
    world = charging()
    tell(world, "CSMS", (0, 0.0), (1800, 16.0))
    world.run(30)
    plan = world.controller._plan
    assert plan is not None
    planned = plan.currents_a[EvseId("E1")]
    times = plan.grid.times

    later = {a for a, at in zip(planned, times[:-1], strict=True) if at >= world.now + timedelta(seconds=1800)}
    before = {a for a, at in zip(planned, times[1:], strict=True) if at <= world.now + timedelta(seconds=1700)}
    assert ({0.0}, 16.0) == (before, max(later))


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 80_000), st.integers(0, 32)), max_size=12, unique_by=lambda each: each[0]))
def test_each_step_of_a_plan_has_the_lowest_limit_that_falls_in_it(later: list[tuple[int, int]]) -> None:
    world = World(small_site(evses=1))
    steps = [(0, 20.0), *((s, float(a)) for s, a in sorted(later))]
    tell(world, "CSMS", *steps)
    for told in world._queue:
        world.controller.observe(told)
    state = world.controller._state
    grid = plan_grid(world.now, ControlSettings())
    caps = caps_over(state, state.evses[EvseId("E1")], grid)

    def at(second: int) -> float:
        return [a for s, a in steps if s <= second][-1]

    edges = grid.offsets_s
    expected = [min(at(a), *(limit for s, limit in steps if a <= s < b), 99.0) for a, b in pairwise(edges)]
    assert [20.0, *expected[1:]] == list(caps)


@pytest.mark.parametrize("purpose", [ProfilePurpose.PRIORITY_CHARGING, ProfilePurpose.LOCAL_GENERATION])
def test_a_profile_of_others_that_lets_more_flow_counts_with_the_installed_maximum(purpose: ProfilePurpose) -> None:
    world = charging(evses=3)
    tell(world, "EMS", (0, 10.0), purpose=purpose)
    world.run(60)
    state = world.controller._state
    first, *others = (e for e in world.controller.view().evses)

    assert 32.0 == max(first.assumed_a)
    assert sum(e.held_a for e in others) <= 90.0 - 5.0 - 32.0, "whoever had most of the room before"
    assert "others" in first.reason
    assert state.evses[first.evse].obedience.disobeying_since is None
    tell(world, "EMS", purpose=purpose)
    world.run(60)
    assert max(view(world).assumed_a) == view(world).held_a

"""One phase where three have no room: chosen, changed without current, kept for a while, and never relied on."""

import random
from dataclasses import replace

import pytest

from loadmgr.allocation import AllocationOptions, Policy
from loadmgr.control.command import Command, SetProfile
from loadmgr.control.observation import LimitChanged, Outcome, SessionDeclared
from loadmgr.control.settings import ControlSettings
from loadmgr.model.ids import CircuitId, EvseId
from loadmgr.model.profile import OcppVersion
from loadmgr.model.session import EnergyNeed
from loadmgr.model.topology import PhaseLimits
from tests.control_world import World, small_site

BUILDING_A = 2.0
FULL = (10.0, 5.0, 5.0)
"""Limits under which three phases have no room for 6 A, and the first alone has."""


def a_world(
    *,
    version: OcppVersion = OcppVersion.V16,
    switches: bool = True,
    fallback_a: float = 0.0,
    evses: int = 1,
    policy: Policy = "least_missing",
) -> World:
    site = small_site(evses=evses, limit_a=40.0, building_worst_a=BUILDING_A, fallback_a=fallback_a)
    site = replace(site, evses=tuple(replace(e, switches_phases=switches) for e in site.evses))
    options = AllocationOptions(policy=policy, milp_evses=0)
    settings = ControlSettings(min_on_s=0, min_off_s=0, allocation=options)
    world = World(site, versions=(version,), settings=settings)
    world.building_a = (1.0, 1.0, 1.0)
    world.connect()
    return world.run(30)


def limit(world: World, limit_a: PhaseLimits) -> None:
    world.tell(LimitChanged(at=world.now, circuit=CircuitId("main"), source="dso", limit_a=limit_a))


def plug(world: World, evse: str = "E1") -> None:
    world.tell(SessionDeclared(at=world.now, evse=EvseId(evse), need=EnergyNeed(wanted_wh=60_000.0)))
    world.plug(evse)


def over_since(world: World, begin: int) -> list[str]:
    """Return what was above the limits that the world knows."""
    return [place for _, place, _ in world.over[begin:]]


@pytest.mark.parametrize("version", list(OcppVersion))
def test_a_vehicle_goes_on_with_one_phase_where_three_have_no_room(version: OcppVersion) -> None:
    world = a_world(version=version)
    plug(world)
    world.run(120)
    assert min(world.station("E1").draw_a()) > 20.0
    limit(world, FULL)
    world.run(120)
    assert (8.0, 0.0, 0.0) == world.station("E1").draw_a()
    last = [c for _, c in world.commands if isinstance(c, SetProfile)][-1]
    assert 1 == last.profile.schedules[0].periods[0].phases
    view = world.controller.view().evses[0]
    assert view.assumed_a == (8.0, 0.0, 0.0)


def test_the_phases_change_only_without_current() -> None:
    world = a_world()
    plug(world)
    world.run(120)
    fake, changes, before = world.station("E1"), [], 3
    limit(world, FULL)
    for _ in range(200):
        drawn = max(fake.draw_a())
        world.run(1)
        if fake.phases != before:
            changes.append(drawn)
            before = fake.phases
    assert [0.0] == changes


def test_it_goes_back_to_three_phases_after_a_while_and_not_before() -> None:
    world = a_world()
    plug(world)
    world.run(120)
    limit(world, FULL)
    world.run(120)
    assert 1 == world.station("E1").phases
    limit(world, (40.0, 40.0, 40.0))
    world.run(300)
    assert 1 == world.station("E1").phases
    assert world.station("E1").draw_a()[0] > 20.0
    world.run(400)
    assert 3 == world.station("E1").phases
    assert min(world.station("E1").draw_a()) > 20.0
    assert not world.over


def test_one_that_draws_on_a_phase_it_was_to_leave_counts_on_all_and_stays_on_three() -> None:
    world = a_world()
    world.station("E1").deaf_to_phases = True
    plug(world)
    world.run(120)
    limit(world, FULL)
    world.run(400)
    assert (0.0, 0.0, 0.0) == world.station("E1").draw_a()
    assert 8.0 >= max(world.controller.view().evses[0].assumed_a)
    limit(world, (40.0, 40.0, 40.0))
    world.run(120)
    assert min(world.station("E1").draw_a()) > 20.0


@pytest.mark.parametrize(
    "said", [{"switches": False}, {"fallback_a": 6.0}], ids=["nobody said that it can", "it falls back to 6 A"]
)
def test_nobody_is_switched_without_need_and_permission(said: dict[str, object]) -> None:
    world = a_world(**said)  # type: ignore[arg-type]
    plug(world)
    world.run(120)
    limit(world, FULL)
    world.run(300)
    phases = {p.phases for _, c in world.commands if isinstance(c, SetProfile) for p in c.profile.schedules[0].periods}
    assert {None} == phases


def test_two_vehicles_share_what_one_phase_each_leaves() -> None:
    """With equal shares both get something where three phases have room for one alone, and nothing is too much."""
    world = a_world(evses=2, policy="equal_share")
    plug(world, "E1")
    plug(world, "E2")
    world.run(240)
    limit(world, (16.0, 6.0, 6.0))
    world.run(900)
    drawn = [world.station(e).draw_a() for e in ("E1", "E2")]
    assert all(max(each) >= 6.0 for each in drawn)
    assert sum(each[0] for each in drawn) <= 14.0
    assert sum(each[1] for each in drawn) <= 4.0
    assert not world.over


def test_a_station_that_refuses_to_change_its_phases_is_asked_once_and_limited_as_before() -> None:
    world = a_world()

    def policy(rng: random.Random, command: Command) -> tuple[float, Outcome, bool]:
        named = isinstance(command, SetProfile) and command.profile.schedules[0].periods[0].phases is not None
        return (0.0, Outcome.REJECTED, False) if named else (0.0, Outcome.ACCEPTED, True)

    world.policy = policy
    plug(world)
    world.run(120)
    limit(world, FULL)
    world.run(900)
    named = [c for _, c in world.commands if isinstance(c, SetProfile) and c.profile.schedules[0].periods[0].phases]
    assert 1 == len(named)
    assert (0.0, 0.0, 0.0) == world.station("E1").draw_a()
    limit(world, (40.0, 40.0, 40.0))
    world.run(120)
    assert min(world.station("E1").draw_a()) > 20.0

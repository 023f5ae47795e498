"""Stations that take no defaults, or have no room for leases beside them, are limited in the one way that is left."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from loadmgr.control.command import Command, SetProfile
from loadmgr.control.controller import SiteController
from loadmgr.control.decision import Standing
from loadmgr.control.observation import CommandAnswered, Outcome, StationBooted, StationConnected, StationTraits
from loadmgr.control.sending.form import pauses_at_zero
from loadmgr.control.sending.profiles import STACK_LEVELS
from loadmgr.control.state import StationRecord
from loadmgr.model.ids import StationId
from loadmgr.model.profile import OcppVersion, ProfileKind, ProfilePurpose, RateUnit
from loadmgr.model.topology import Station, Trust
from tests.control_world import START, World, small_site

TX, DEFAULT, MAXIMUM = ProfilePurpose.TX, ProfilePurpose.TX_DEFAULT, ProfilePurpose.CHARGE_POINT_MAX


def refusing(*purposes: ProfilePurpose, outcome: Outcome = Outcome.REJECTED):
    """Return the ways of a station that refuses profiles of some purposes."""

    def policy(_rng: random.Random, command: Command) -> tuple[float, Outcome, bool]:
        refused = isinstance(command, SetProfile) and command.profile.purpose in purposes
        return (0.1, outcome, False) if refused else (0.0, Outcome.ACCEPTED, True)

    return policy


def sent(world: World, purpose: ProfilePurpose) -> list[SetProfile]:
    return [c for _, c in world.commands if isinstance(c, SetProfile) and c.profile.purpose is purpose]


def standing(world: World) -> Standing:
    return next(v for v in world.controller.view().evses if v.evse == "E1").standing


def alarms(world: World) -> set[str]:
    return {alarm.kind for alarm in world.controller.view().alarms}


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.FAILED])
def test_a_station_that_takes_nothing_but_its_maximum_is_found_out_and_limited_by_that(outcome):
    world = World(small_site(evses=1, fallback_a=6.0), policy=refusing(TX, DEFAULT, outcome=outcome))
    world.connect()
    world.run(60)

    assert [ProfileKind.RELATIVE, ProfileKind.ABSOLUTE] == [c.profile.kind for c in sent(world, DEFAULT)]
    assert Standing.OBEYING is standing(world)
    assert "no fail-safe" not in alarms(world)
    assert 6.0 == world.station("E1").limit_a(world.now)

    world.plug("E1")
    world.run(300)
    assert world.station("E1").limit_a(world.now) > 20.0
    world.unplug("E1")
    world.run(1500)

    assert 6.0 == world.station("E1").limit_a(world.now)  # leases ran out, the fail-safe is below them
    assert [] == sent(world, TX)
    assert [] == world.over


def test_what_is_known_of_the_model_spares_the_attempts_and_a_restart_sets_it_again():
    world = World(small_site(evses=1), policy=refusing(TX, DEFAULT))
    world.tell(StationTraits(at=world.now, station=StationId("S1"), takes_tx_default=False))
    world.connect()
    world.run(60)
    world.reboot("E1", forgets=True)
    world.run(60)

    assert [] == sent(world, DEFAULT)
    assert Standing.OBEYING is standing(world)
    assert 0.0 == world.station("E1").limit_a(world.now)


def test_a_station_that_takes_nothing_at_all_counts_with_its_installed_maximum_and_is_asked_at_a_pace():
    world = World(small_site(evses=1), policy=refusing(TX, DEFAULT, MAXIMUM))
    world.connect()
    world.run(600)

    view = next(v for v in world.controller.view().evses if v.evse == "E1")
    assert (32.0, 32.0, 32.0) == tuple(view.assumed_a)
    assert "no fail-safe" in alarms(world)
    asked = len(sent(world, DEFAULT)) + len(sent(world, MAXIMUM))
    assert 6 <= asked <= 60


def test_each_evse_of_a_station_is_asked_in_every_form():
    """They are asked at the same time: the refusals of one form are one step to the next form."""
    pair = small_site(evses=2)
    second = replace(pair.evses[1], station=StationId("S1"), number=2)
    site = replace(pair, evses=(pair.evses[0], second), stations=pair.stations[:1])
    controller, now = SiteController(site, None), START
    controller.observe(StationConnected(at=now, station=StationId("S1"), version=OcppVersion.V16))
    controller.observe(StationBooted(at=now, station=StationId("S1")))
    asked: dict[int, list[tuple[int, ProfileKind]]] = {1: [], 2: []}
    for _ in range(200):
        now += timedelta(seconds=1)
        for command in controller.decide(now).commands:
            refused = isinstance(command, SetProfile) and command.profile.purpose is DEFAULT
            if refused:
                asked[command.number].append((command.profile.stack_level, command.profile.kind))
            outcome = Outcome.REJECTED if refused else Outcome.ACCEPTED
            controller.observe(CommandAnswered(at=now, command=command.id, outcome=outcome))

    every = [(level, kind) for level in STACK_LEVELS for kind in (ProfileKind.RELATIVE, ProfileKind.ABSOLUTE)]
    assert every == asked[1][: len(every)]
    assert asked[1] == asked[2]


@pytest.mark.parametrize(
    ("room", "lease", "maximum"), [(1, False, False), (2, True, False), (3, True, True), (0, True, True)]
)
def test_no_more_profiles_are_installed_than_the_station_holds(room, lease, maximum):
    """One is the default, one the lease, one the station maximum; a room of none is no answer."""
    world = World(small_site(evses=1))
    world.tell(StationTraits(at=world.now, station=StationId("S1"), max_profiles=room))
    world.connect()
    world.run(20)
    world.plug("E1")
    world.run(200)

    assert (lease, maximum) == (bool(sent(world, TX)), bool(sent(world, MAXIMUM)))
    held = world.station("E1").store.profiles
    assert room == 0 or len(held) <= room
    assert world.station("E1").limit_a(world.now) > 20.0
    world.unplug("E1")
    world.run(60)
    defaults = [each.profile for each in world.station("E1").store.profiles if each.profile.purpose is DEFAULT]
    assert [0.0] == [each.schedules[0].periods[0].limit for each in defaults]


@pytest.mark.parametrize(
    ("proved", "model", "pauses"),
    [
        (Trust.YES, None, True),
        (Trust.UNKNOWN, None, True),
        (Trust.NO, None, False),
        (Trust.UNKNOWN, False, False),
        (Trust.YES, False, False),
        (Trust.NO, True, False),
    ],
)
def test_a_station_is_paused_at_0_a_only_where_neither_proof_nor_model_speaks_against_it(proved, model, pauses):
    station = StationRecord(station=Station(id=StationId("S1"), zero_ok=proved))
    if model is not None:
        station.traits = StationTraits(at=START, station=StationId("S1"), zero_ok=model)

    assert pauses == pauses_at_zero(station)


def lease_of(world: World) -> SetProfile:
    world.connect()
    world.run(20)
    world.plug("E1")
    world.run(120)
    return sent(world, TX)[-1]


def test_a_lease_is_absolute_and_in_utc():
    """So nothing shifts by an hour where clocks are changed (quirk 41), and its start lies in the past (quirk 8)."""
    world = World(small_site(evses=1))
    schedule = lease_of(world).profile.schedules[0]

    assert schedule.start is not None
    assert timedelta(0) == schedule.start.utcoffset()
    assert schedule.start <= world.now - timedelta(seconds=60)


@pytest.mark.parametrize(("whole", "limit"), [(True, 11.0), (False, 11.8)])
def test_whole_limits_are_rounded_down(whole, limit):
    """Some take no fractions (quirk 25); a limit is never rounded up."""
    site = small_site(evses=1, limit_a=16.8)
    world = World(replace(site, evses=(replace(site.evses[0], step_a=0.1),)))
    world.tell(StationTraits(at=world.now, station=StationId("S1"), whole_limits=whole))
    world.building_a = (5.0, 5.0, 5.0)

    assert limit == lease_of(world).profile.schedules[0].periods[0].limit


def test_a_station_that_takes_only_watts_is_limited_in_watts():
    """And as if all of it could flow on one phase, at 0.9 of the voltage, until phases are measured (quirk 9)."""
    world = World(small_site(evses=1))
    world.station("E1").units = frozenset({RateUnit.W})
    lease_of(world)
    first, last = (c.profile.schedules[0] for c in (sent(world, TX)[0], sent(world, TX)[-1]))

    assert (RateUnit.W, RateUnit.W) == (first.unit, last.unit)
    assert first.periods[0].limit <= 32.0 * 0.9 * 230.0
    assert last.periods[0].limit <= 32.0 * 0.9 * 230.0 * 3


def test_a_vehicle_on_three_phases_is_not_taken_for_one_that_takes_nothing_where_limits_are_in_watts():
    """On each phase it is offered a third of what is reckoned on one, and that may be less than it charges with."""
    world = World(small_site(evses=1, limit_a=80.0))
    world.station("E1").units = frozenset({RateUnit.W})
    world.connect()
    world.run(20)
    world.plug("E1")
    world.run(300)

    assert 28.0 <= min(world.station("E1").draw_a())
    assert [] == world.over

"""Alarms end with their cause: what stands is wrong now, or nobody would read it."""

import random
from dataclasses import replace

import pytest

from loadmgr.control.command import Command, ReadBack, SetProfile
from loadmgr.control.memory import moved
from loadmgr.control.observation import (
    EvseState,
    EvseStatus,
    Outcome,
    StationBooted,
    StationConnected,
)
from loadmgr.model.ids import StationId
from loadmgr.model.profile import OcppVersion, ProfilePurpose
from tests.control_world import World, prompt, small_site


def standing(world: World) -> list[tuple[str, str]]:
    return [(alarm.kind, alarm.subject) for alarm in world.controller.view().alarms]


@pytest.mark.parametrize(
    ("kind", "refused"),
    [
        ("not read back", lambda c: isinstance(c, ReadBack)),
        (
            "no station maximum",
            lambda c: isinstance(c, SetProfile) and c.profile.purpose is ProfilePurpose.CHARGE_POINT_MAX,
        ),
    ],
)
def test_an_alarm_about_what_a_station_refused_ends_when_it_does_it_after_a_restart(kind, refused) -> None:
    mended = False

    def broken(rng: random.Random, command: Command) -> tuple[float, Outcome, bool]:
        if refused(command) and not mended:
            return 0.0, Outcome.REJECTED, False
        return prompt(rng, command)

    world = World(small_site(evses=1), policy=broken)
    world.connect()
    world.run(60)
    assert kind in [each for each, _ in standing(world)]

    mended = True
    world.tell(StationBooted(at=world.now, station=StationId("S1")))
    world.run(60)

    assert [] == standing(world)


def test_a_changed_site_has_no_alarms_of_what_it_lost_or_of_what_it_was_missing() -> None:
    world = World(small_site(evses=3))
    world.tell(StationConnected(at=world.now, station=StationId("S9"), version=OcppVersion.V16))
    world.tell(EvseStatus(at=world.now, station=StationId("S1"), number=4, state=EvseState.AVAILABLE))
    world.tell(EvseStatus(at=world.now, station=StationId("S3"), number=1, state=EvseState.FAULTED))
    world.run(2)
    assert [("faulted", "E3"), ("unknown EVSE", "S1/4"), ("unknown station", "S9")] == standing(world)

    site = world.site
    smaller = replace(site, evses=site.evses[:2], stations=site.stations[:2])
    world.controller = moved(world.controller, smaller, None)
    world.controller.decide(world.now)

    assert [] == standing(world)

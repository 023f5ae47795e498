"""What a station as a whole may draw, and the station maximum that says so to it."""

from dataclasses import replace

import pytest

from loadmgr.control.command import SetProfile
from loadmgr.control.memory import moved
from loadmgr.control.sending.installed import installed_a, installed_w
from loadmgr.model.ids import CircuitId, StationId
from loadmgr.model.profile import RateUnit
from loadmgr.model.topology import Circuit, Phase, Site
from tests.control_world import World, small_site

POLE = StationId("S1")


def poles(*, fuse_a: float | None) -> Site:
    """Return a station with two EVSEs of 16 A, on three phases and on one, behind a fuse of its own."""
    site = small_site(evses=2, limit_a=100.0, fallback_a=6.0, max_a=16.0)
    first, second = site.evses
    pole = CircuitId("pole")
    evses = (
        replace(first, circuit=pole),
        replace(second, circuit=pole, station=POLE, number=2, phases=(Phase.L2,)),
    )
    feed = Circuit(id=pole, parent=site.root.id, limit_a=(fuse_a,) * 3, rated_a=(fuse_a,) * 3)
    return replace(site, circuits=(*site.circuits, feed), evses=evses, stations=site.stations[:1])


@pytest.mark.parametrize(
    ("fuse_a", "most_a", "most_w"),
    [(None, 32.0, 4 * 16.0 * 230.0), (40.0, 32.0, 4 * 16.0 * 230.0), (20.0, 20.0, 3 * 20.0 * 230.0)],
)
def test_a_station_draws_what_is_installed_or_what_its_own_supply_carries(fuse_a, most_a, most_w):
    site = poles(fuse_a=fuse_a)

    assert (most_a, pytest.approx(most_w)) == (installed_a(site, POLE), installed_w(site, POLE))


def test_a_circuit_that_feeds_others_too_says_nothing_of_a_station():
    site = small_site(evses=2, limit_a=20.0)

    assert 32.0 == installed_a(site, POLE)


def behind(fuse_a: float) -> Site:
    """Return a station with one EVSE of 32 A behind a fuse of its own."""
    site = small_site(evses=1, limit_a=100.0)
    feed = Circuit(id=CircuitId("pole"), parent=site.root.id, limit_a=(fuse_a,) * 3, rated_a=(fuse_a,) * 3)
    return replace(site, circuits=(*site.circuits, feed), evses=(replace(site.evses[0], circuit=feed.id),))


def maxima(world: World) -> list[float | None]:
    """Return the station maxima that were sent, in order."""
    sent = [c.profile for _, c in world.commands if isinstance(c, SetProfile) and c.number == 0]
    return [p.schedules[0].periods[0].limit for p in sent]


@pytest.mark.parametrize(("unit", "limit"), [(RateUnit.A, 20.0), (RateUnit.W, 3 * 20.0 * 230.0)])
def test_the_station_maximum_is_what_its_own_supply_carries(unit, limit):
    world = World(behind(20.0))
    world.station("E1").units = frozenset({unit})
    world.connect()
    world.run(30)

    assert [limit] == maxima(world)


@pytest.mark.parametrize(
    ("before_a", "after_a", "sent"), [(20.0, 25.0, [25.0]), (25.0, 20.0, [20.0]), (20.0, 20.0, [])]
)
def test_a_station_maximum_follows_a_changed_supply(before_a, after_a, sent):
    world = World(behind(before_a))
    world.connect()
    world.plug("E1")
    world.run(120)
    world.site = behind(after_a)
    world.controller = moved(world.controller, world.site, None)
    world.run(240)

    assert [before_a, *sent] == maxima(world)
    assert world.station("E1").limit_a(world.now) <= after_a

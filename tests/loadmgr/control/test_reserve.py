"""Current kept for vehicles that are about to plug in: for all idle EVSEs, or for so many at a time."""

from dataclasses import replace

import pytest

from loadmgr.control.safety.certificate import build_certificate
from loadmgr.model.failsafe import FailSafe
from loadmgr.model.topology import Phase, Site
from tests.control_world import Vehicle, World, small_site


def seven(starts: int | None) -> Site:
    """Return seven EVSEs with a fallback of 6 A behind 50 A, 5 A of them for the building."""
    site = small_site(evses=7, limit_a=50.0, fallback_a=6.0)
    return replace(site, failsafe=replace(site.failsafe, reserve_starts=starts))


def one_charges(site: Site) -> World:
    world = World(site)
    world.connect()
    for evse in site.evses:
        world.unplug(str(evse.id))  # each says that it is free
    world.run(60)
    world.plug("E1")
    return world.run(400)


@pytest.mark.parametrize(("starts", "given_a"), [(None, 9.0), (2, 32.0), (5, 15.0)])
def test_what_is_not_kept_for_starts_is_given_to_who_charges(starts: int | None, given_a: float) -> None:
    world = one_charges(seven(starts))
    assert given_a == world.station("E1").offered[-1]
    assert [] == world.over


def two_charge_with_all_there_is(site: Site) -> World:
    """Return a site with the building at its worst and two vehicles that take whatever is given."""
    world = one_charges(site)
    world.building_a = (5.0, 5.0, 5.0)
    world.plug("E2")
    return world.run(400)


def test_so_many_may_plug_in_at_once_and_nothing_is_exceeded() -> None:
    world = two_charge_with_all_there_is(seven(2))
    assert 2 * 16.0 == world.draw_a(world.site.root.id)[0]  # of 50 A less 5 A and two fallbacks of 6 A
    world.plug("E3")
    world.plug("E4")
    world.run(400)
    assert [] == world.over


def test_if_more_plug_in_it_is_over_within_the_reaction_time() -> None:
    world = two_charge_with_all_there_is(seven(1))
    for name in ("E3", "E4", "E5", "E6", "E7"):
        world.plug(name)
    world.run(400)
    times = [at for at, _, _ in world.over]
    assert times
    assert (max(times) - min(times)).total_seconds() <= seven(1).timing.reaction_time_s


@pytest.mark.parametrize(("starts", "given_a"), [(None, 29.0), (1, 29.0)])
def test_with_the_controller_dead_a_vehicle_on_more_phases_may_take_the_place_of_another(
    starts: int | None, given_a: float
) -> None:
    site = small_site(evses=2, limit_a=40.0, fallback_a=6.0, building_worst_a=5.0)
    first, second = site.evses
    evses = (first, replace(second, phases=(Phase.L2, Phase.L3)))
    world = World(replace(site, evses=evses, failsafe=replace(site.failsafe, reserve_starts=starts)))
    world.building_a = (5.0, 5.0, 5.0)
    world.connect()
    world.run(20)
    world.plug("E1", Vehicle(phases=1))
    world.plug("E2", Vehicle(phases=2))
    world.run(400)
    assert given_a == world.station("E2").offered[-1]

    world.alive = False
    world.unplug("E1")
    world.run(20)
    world.plug("E1")
    world.run(300)

    assert 6.0 == world.station("E1").offered[-1]
    assert [] == world.over


def test_the_certificate_says_what_happens_if_more_plug_in() -> None:
    (line,) = [text for text in build_certificate(seven(2)).document["assumptions"] if "reserve_starts" in text]
    assert "no more than 2 vehicles plug in at once" in line
    assert "could exceed main by 30 A, for 45 s under control" in line
    assert not [text for text in build_certificate(seven(None)).document["assumptions"] if "reserve_starts" in text]


def test_a_reserve_for_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="reserve_starts must be 1 or above, got 0"):
        FailSafe(reserve_starts=0)

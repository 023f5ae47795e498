"""Current kept for vehicles that are about to plug in: for all idle EVSEs, or for so many at a time."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.control.observation import OverrideSet
from loadmgr.control.safety.certificate import build_certificate
from loadmgr.model.failsafe import FailSafe
from loadmgr.model.ids import EvseId
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


@pytest.mark.parametrize("starts", [None, 1])
def test_with_the_controller_dead_a_vehicle_may_take_the_place_of_one_that_was_held_lower(starts: int | None) -> None:
    site = small_site(evses=2, limit_a=37.0, fallback_a=6.0, building_worst_a=5.0)
    world = World(replace(site, failsafe=replace(site.failsafe, reserve_starts=starts)))
    world.building_a = (5.0, 5.0, 5.0)
    world.connect()
    world.run(20)
    world.plug("E1")
    world.plug("E2")
    world.tell(OverrideSet(at=world.now, evse=EvseId("E1"), by="ann", limit_a=0.0))
    world.run(400)
    assert 0.0 == world.station("E1").offered[-1]
    assert 26.0 == world.station("E2").offered[-1]

    world.alive = False
    world.unplug("E1")
    world.run(20)
    world.plug("E1")
    world.run(600)

    assert 6.0 == world.station("E1").offered[-1]
    assert [] == world.over


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_with_the_controller_dead_whoever_comes_in_whose_place_nothing_is_exceeded(seed: int) -> None:
    rng = random.Random(seed)
    count = rng.randint(2, 4)
    site = small_site(evses=count, limit_a=6.0 * count + 5.0 + rng.choice([0.0, 8.0, 20.0]), fallback_a=6.0)
    world = World(site, seed=seed)
    world.building_a = (5.0, 5.0, 5.0)
    world.connect()
    world.run(20)
    for evse in rng.sample([str(e.id) for e in site.evses], rng.randint(1, count)):
        world.plug(evse, Vehicle(phases=rng.choice([1, 3])))
        if rng.random() < 0.4:
            order = OverrideSet(at=world.now, evse=EvseId(evse), by="ann", limit_a=rng.choice([0.0, 8.0]))
            world.tell(order)
        world.run(rng.randint(5, 200))
    world.alive = False
    before = len(world.over)
    for _ in range(6):
        fake = world.station(str(rng.choice(site.evses).id))
        if fake.transaction is not None:
            world.unplug(str(fake.evse.id))
        else:
            world.plug(str(fake.evse.id), Vehicle(phases=rng.choice([1, 3])))
        world.run(rng.choice([5, 60, 400]))
    assert [] == world.over[before:]


def test_the_certificate_says_what_happens_if_more_plug_in() -> None:
    (line,) = [text for text in build_certificate(seven(2)).document["assumptions"] if "reserve_starts" in text]
    assert "no more than 2 vehicles plug in at once" in line
    assert "could exceed main by 30 A, for 45 s under control" in line
    assert not [text for text in build_certificate(seven(None)).document["assumptions"] if "reserve_starts" in text]


def test_a_reserve_for_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="reserve_starts must be 1 or above, got 0"):
        FailSafe(reserve_starts=0)

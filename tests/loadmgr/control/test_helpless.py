"""A circuit that a station which ignores its limits fills alone: nobody else can make room, so it has to go."""

import pytest

from loadmgr.control.settings import ControlSettings
from tests.control_world import World, small_site


@pytest.mark.parametrize("reading_s", [5, 10])
@pytest.mark.parametrize("minutes_before", [3, 20])
def test_who_ignores_its_limit_and_overloads_a_circuit_alone_is_stopped_within_the_reaction_time(
    reading_s: int, minutes_before: int
) -> None:
    site = small_site(evses=2, limit_a=28.0, building_worst_a=2.0)
    world = World(site, settings=ControlSettings(), reading_s=reading_s)
    world.connect()
    world.run(20)
    world.plug("E1")
    world.run(60 * minutes_before)
    assert [] == world.over
    liar = world.station("E1")
    liar.obeys, began_at = False, world.now
    world.run(600)

    assert liar.transaction is None
    assert world.over, "the fault has to show"
    assert (world.over[-1][0] - began_at).total_seconds() <= site.timing.reaction_time_s


def test_who_obeys_again_after_the_first_word_is_not_paused() -> None:
    world = World(small_site(evses=2, limit_a=28.0, building_worst_a=2.0), reading_s=10)
    world.connect()
    world.run(20)
    world.plug("E1")
    world.run(200)
    liar = world.station("E1")
    liar.obeys = False
    while not any("ignores" in command.reason for _, command in world.commands):
        world.run(1)
    liar.obeys = True
    world.run(600)

    assert liar.transaction is not None
    assert liar.draw_a()[0] >= 6.0

"""A controller that was killed goes on where its journal ends."""

import random

import pytest

from loadmgr.control.command import Command
from loadmgr.control.memory import remember
from loadmgr.control.observation import Outcome
from loadmgr.model.topology import Site
from loadmgr.store.in_memory import InMemory
from loadmgr.store.memory_json import MemoryCodec
from loadmgr.store.recall import recall
from tests.control_world import START, Vehicle, World, small_site
from tests.loadmgr.store.journalled import Journalled


def often_lost(rng: random.Random, command: Command) -> tuple[float, Outcome, bool]:
    """Lose three of ten messages, half of them on the way back."""
    return (0.0, Outcome.ACCEPTED, True) if rng.random() < 0.7 else (9.0, Outcome.TIMED_OUT, rng.random() < 0.5)


def busy_world(site: Site, book: InMemory, *, lossy: bool = False) -> World:
    """Return a world with a journal, after ten minutes with three vehicles."""
    world = World(site)
    if lossy:
        world.policy = often_lost
    world.controller = Journalled(book, site, now=START)  # type: ignore[assignment]
    world.connect()
    world.run(120)
    world.plug("E1", Vehicle(phases=1, full_wh=9000.0))
    world.run(60)
    world.plug("E2")
    world.run(200)
    world.unplug("E1")
    world.plug("E3", Vehicle(phases=2))
    return world.run(220)


def text(site: Site, world: World) -> bytes:
    return MemoryCodec(site).encode(remember(world.controller.controller))  # type: ignore[attr-defined]


@pytest.mark.parametrize("lossy", [False, True])
def test_a_journal_gives_back_exactly_what_the_controller_knows(lossy: bool) -> None:
    site, book = small_site(evses=3), InMemory()
    world = busy_world(site, book, lossy=lossy)
    found = recall(book)
    assert found is not None
    assert found.exact
    assert text(site, world) == MemoryCodec(site).encode(remember(found.controller))


def test_a_controller_that_was_swapped_for_its_memory_decides_as_if_it_had_never_stopped() -> None:
    site = small_site(evses=3)
    decisions = []
    for swaps in (False, True):
        book = InMemory()
        world = busy_world(site, book, lossy=True)
        for _ in range(10):
            world.run(37)
            if swaps:
                found = recall(book)
                assert found is not None
                world.controller.controller = found.controller  # type: ignore[attr-defined]
        decisions.append(world.decisions)
    assert decisions[0] == decisions[1]

"""The order of change, explored: no interleaving of lost, late, repeated and reordered messages overloads the fuse.

Small depths here; ``python -m tests.loadmgr.control.two_stations 5`` by hand goes further.
"""

import pytest

from loadmgr.control.safety.circuits import LoadBook
from loadmgr.control.safety.holding import Holding
from tests.loadmgr.control.two_stations import after, explore, settled_pair, truth_a, violations


def swung(*, fallback_a: float = 6.0, proven: bool = True):
    """Return the state in which 26 A and 6 A have just been asked to change places."""
    return after(settled_pair(fallback_a=fallback_a, proven=proven), ("swing", 0))


def told(found) -> str:
    return "\n".join(f"{path}: {wrong}" for path, wrong in found)


def test_every_sequence_of_three_events_after_a_swing_keeps_to_the_fuse():
    explored = explore(swung(), 3)

    assert () == explored.found, told(explored.found)
    assert explored.states > 1000


@pytest.mark.parametrize(("fallback_a", "proven"), [(0.0, False), (6.0, False)])
def test_every_pair_of_events_keeps_to_the_fuse_where_nothing_is_proven(fallback_a, proven):
    explored = explore(swung(fallback_a=fallback_a, proven=proven), 2)

    assert () == explored.found, told(explored.found)


@pytest.mark.parametrize("fallback_a", [0.0, 6.0])
def test_a_lost_answer_then_whatever_happens_keeps_to_the_fuse(fallback_a):
    start = swung(fallback_a=fallback_a)
    for event in (("arrives", 0), ("answer lost", 0), ("time", 1)):
        start = after(start, event)
    explored = explore(start, 2)

    assert () == explored.found, told(explored.found)


def test_the_change_of_places_comes_to_an_end_when_nothing_is_lost():
    two = swung()
    for _ in range(6):
        for side in (0, 1):
            while two.wires[side]:
                two = after(two, ("arrives", side))
        while two.answers:
            two = after(two, ("answered", 0))
        two = after(two, ("time", 0))

    assert [6.0, 26.0] == [truth_a(two, side) for side in (0, 1)]
    assert [] == violations(two)


def test_a_controller_that_raises_before_the_reduction_is_acknowledged_is_found_out(monkeypatch):
    monkeypatch.setattr(LoadBook, "grant_a", lambda self, evse, wanted_a, *, until_s, anew: (wanted_a, None))

    assert explore(swung(), 2).found


def test_a_controller_that_believes_what_was_not_acknowledged_is_found_out(monkeypatch):
    monkeypatch.setattr(Holding, "worlds", lambda self, **_: (tuple(self.certain.values()),))

    assert explore(after(swung(), ("lost", 0)), 3).found or explore(swung(), 3).found

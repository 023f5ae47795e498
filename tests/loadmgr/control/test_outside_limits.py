"""Limits from outside: of vehicles alone, with a dead man, and the evidence of when they came and were obeyed."""

from datetime import timedelta

import pytest

from loadmgr.control.observation import LimitChanged
from loadmgr.control.outside.told import Evidence
from loadmgr.model.compliance import dimmed_power_w
from loadmgr.model.ids import CircuitId
from tests.control_world import World, ready, small_site, view_of

MAIN = CircuitId("main")


def charging(*, building_a: float = 2.0, evses: int = 2) -> World:
    """Return a site with everybody charging and room for all."""
    world = World(small_site(evses=evses, limit_a=100.0, building_worst_a=20.0))
    world.building_a = (building_a,) * 3
    world.connect()
    world.run(20)
    for index in range(1, evses + 1):
        world.plug(f"E{index}")
    return world.run(200)


def evidence(world: World) -> list[Evidence]:
    return [e for d in world.decisions for e in d.evidence]


def vehicles_w(world: World) -> float:
    return sum(world.draw_a(MAIN)) * 230.0


@pytest.mark.parametrize("building_a", [0.0, 15.0])
def test_a_limit_of_vehicles_alone_leaves_the_building_out(building_a):
    world = charging(building_a=building_a)
    limit_w = dimmed_power_w(2)
    world.tell(LimitChanged(at=world.now, circuit=MAIN, source="14a", limit_w=limit_w, vehicles_only=True))
    world.run(int(world.site.timing.reaction_time_s))
    assert vehicles_w(world) <= limit_w
    world.run(600)

    assert 6 * 3 * 230.0 <= vehicles_w(world) <= limit_w


def test_a_limit_of_the_whole_circuit_counts_the_building():
    world = charging(building_a=15.0)
    world.tell(LimitChanged(at=world.now, circuit=MAIN, source="dso", limit_w=22_000.0))
    world.run(200)

    assert vehicles_w(world) + 3 * 15.0 * 230.0 <= 22_000.0


def test_evidence_says_when_a_limit_came_and_when_the_meter_obeyed():
    world = charging()
    told_at = world.now
    world.tell(LimitChanged(at=told_at, circuit=MAIN, source="dso", limit_a=(40.0, 40.0, 40.0)))
    world.run(90)
    came, obeyed = evidence(world)

    assert ("told", told_at, None) == (came.why, came.at, came.obeyed_at)
    assert obeyed.obeyed_at is not None
    assert timedelta(0) < obeyed.obeyed_at - told_at <= timedelta(seconds=world.site.timing.reaction_time_s)
    assert "meter meter" == obeyed.measured_by
    assert obeyed.measured_a is not None
    assert max(obeyed.measured_a) <= 40.0


def test_a_repeat_is_no_new_evidence_and_the_end_is_told():
    world = charging()
    until = world.now + timedelta(seconds=200)
    for _ in range(4):
        world.tell(LimitChanged(at=world.now, circuit=MAIN, source="dso", limit_a=(40.0, 40.0, 40.0), until=until))
        world.run(20)
    world.run(200)

    assert ["told", "told", "over"] == [e.why for e in evidence(world)]


def test_the_limit_for_silence_is_evidence_of_its_own():
    world = charging()
    world.tell(
        LimitChanged(
            at=world.now,
            circuit=MAIN,
            source="14a",
            heartbeat_s=60.0,
            silent_limit_w=dimmed_power_w(2),
            vehicles_only=True,
        )
    )
    world.run(55)
    assert [] == evidence(world)
    world.run(100)
    came, obeyed = evidence(world)

    assert ("silent", dimmed_power_w(2)) == (came.why, came.limit_w)
    assert obeyed.obeyed_at is not None
    assert "readings of the EVSEs" == obeyed.measured_by
    assert vehicles_w(world) <= dimmed_power_w(2)


def test_a_source_whose_limit_ended_is_still_expected_to_repeat_itself():
    world = charging()
    said = {"circuit": MAIN, "source": "grid", "heartbeat_s": 300.0, "silent_limit_a": (25.0, 25.0, 25.0)}
    until = world.now + timedelta(seconds=30)
    world.tell(LimitChanged(at=world.now, limit_a=(40.0, 40.0, 40.0), until=until, **said))
    world.run(250)
    assert max(world.draw_a(MAIN)) > 40.0
    world.run(50 + int(world.site.timing.reaction_time_s))

    assert max(world.draw_a(MAIN)) <= 25.0
    assert "silent source" in {a.kind for a in world.controller.view().alarms}


def test_a_limit_from_outside_is_obeyed_within_the_reaction_time_and_ends_by_itself():
    world = ready(World(small_site(evses=2, limit_a=60.0, building_worst_a=0.0)))
    world.building_a = (0.0, 0.0, 0.0)
    world.plug("E1")
    world.plug("E2")
    world.run(120)
    until = world.now + timedelta(seconds=600)
    world.tell(
        LimitChanged(at=world.now, circuit=CircuitId("main"), source="grid", limit_a=(20.0, 20.0, 20.0), until=until)
    )
    world.run(int(world.site.timing.reaction_time_s))
    assert max(world.draw_a(CircuitId("main"))) <= 20.0
    world.run(700)
    assert max(world.draw_a(CircuitId("main"))) > 40.0


def test_a_source_that_falls_silent_leaves_the_limit_for_its_silence():
    world = ready(World(small_site(evses=1, limit_a=60.0, building_worst_a=0.0)))
    world.building_a = (0.0, 0.0, 0.0)
    world.plug("E1")
    told = {"circuit": CircuitId("main"), "source": "grid", "heartbeat_s": 60.0, "silent_limit_a": (10.0, 10.0, 10.0)}
    for _ in range(4):
        world.tell(LimitChanged(at=world.now, **told))
        world.run(50)
    assert 32.0 == view_of(world, "E1").held_a
    world.run(60)
    assert 8.0 <= view_of(world, "E1").held_a <= 10.0
    assert "silent source" in {a.kind for a in world.controller.view().alarms}

    world.tell(LimitChanged(at=world.now, **told))
    world.run(30)
    assert 32.0 == view_of(world, "E1").held_a
    assert "silent source" not in {a.kind for a in world.controller.view().alarms}


def test_a_power_limit_is_kept():
    world = ready(World(small_site(evses=2, limit_a=60.0, building_worst_a=0.0)))
    world.building_a = (0.0, 0.0, 0.0)
    world.plug("E1")
    world.plug("E2")
    world.tell(LimitChanged(at=world.now, circuit=CircuitId("main"), source="contract", limit_w=11_040.0))
    world.run(200)

    drawn = world.draw_a(CircuitId("main"))
    assert 6 * 230.0 <= sum(drawn) * 230.0 <= 11_040.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit_w": float("nan")},
        {"limit_w": -1.0},
        {"limit_a": (16.0, float("inf"), None)},
        {"limit_a": (16.0, 16.0, 16.0), "silent_limit_w": -5.0, "heartbeat_s": 60.0},
        {"limit_a": (16.0, 16.0, 16.0), "heartbeat_s": 1e300},
        {"limit_a": (16.0, 16.0, 16.0), "heartbeat_s": float("nan")},
        {"limit_a": (16.0, 16.0, 16.0), "heartbeat_s": 0.0},
    ],
)
def test_a_limit_that_cannot_be_is_told_and_leaves_the_one_before_in_force(wrong):
    world = charging()
    world.tell(LimitChanged(at=world.now, circuit=MAIN, source="ems", limit_a=(40.0, 40.0, 40.0)))
    world.run(90)
    world.tell(LimitChanged(at=world.now, circuit=MAIN, source="ems", **wrong))
    world.run(600)

    assert 16.0 < max(world.draw_a(MAIN)) <= 40.0
    kinds = {a.kind for a in world.controller.view().alarms}
    assert "unusable limit" in kinds
    assert "no plan" not in kinds
    world.tell(LimitChanged(at=world.now, circuit=MAIN, source="ems", limit_a=(20.0, 20.0, 20.0)))
    world.run(90)
    assert max(world.draw_a(MAIN)) <= 20.0
    assert "unusable limit" not in {a.kind for a in world.controller.view().alarms}


@pytest.mark.parametrize(("every_s", "why"), [(60, ["told"]), (62, ["told"] + ["silent", "told"] * 5)])
def test_a_heartbeat_that_comes_in_time_is_none_and_one_that_comes_late_is_silence_until_it_comes(every_s, why):
    world = charging()
    said = {"circuit": MAIN, "source": "ems", "heartbeat_s": 60.0, "silent_limit_a": (10.0, 10.0, 10.0)}
    world.tell(LimitChanged(at=world.now, limit_a=(40.0, 40.0, 40.0), **said))
    for _ in range(5):
        world.run(every_s)
        world.tell(LimitChanged(at=world.now, limit_a=(40.0, 40.0, 40.0), **said))

    world.run(1)
    assert why == [e.why for e in evidence(world) if e.obeyed_at is None]


def test_of_two_sources_on_one_circuit_the_lower_holds_whoever_comes_last():
    world = charging()
    for source, limit_a in (("ems", 20.0), ("dso", 45.0), ("ems", 60.0), ("dso", 0.0), ("ems", 50.0)):
        world.tell(LimitChanged(at=world.now, circuit=MAIN, source=source, limit_a=(limit_a,) * 3))
        world.run(90)
        held = {e.source: e.limit_a[0] for e in evidence(world) if e.limit_a is not None}
        building_a = 2.0
        assert max(world.draw_a(MAIN)) <= max(0.0, min(held.values()) - building_a) + 1e-6

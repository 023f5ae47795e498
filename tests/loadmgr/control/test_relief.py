"""What the meter has just shown is answered with reductions before a plan is made."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from loadmgr.control.command import SetProfile, Urgency
from loadmgr.control.decision import Decision
from loadmgr.control.observation import LimitChanged, SessionDeclared, SiteMeterReading
from loadmgr.control.planning.relief import relieved_a
from loadmgr.control.safety.assumption import Assumed
from loadmgr.control.safety.envelope import from_points
from loadmgr.control.settings import ControlSettings
from loadmgr.model.ids import CircuitId, EvseId, MeterId
from loadmgr.model.profile import ProfilePurpose
from loadmgr.store.codec import Codec
from tests.control_world import Vehicle, World, small_site


def charging(evses: int = 4, limit_a: float = 100.0, **options: float) -> World:
    """Return a world where every vehicle charges and every station has shown that it obeys."""
    world = World(small_site(evses=evses, limit_a=limit_a, building_worst_a=0.0, **options))
    world.connect()
    world.run(15)
    for i in range(1, evses + 1):
        world.plug(f"E{i}")
    return world.run(200)


def leases(decision: Decision) -> dict[str, float]:
    return {
        c.station: float(c.profile.schedules[0].periods[0].limit or 0.0)
        for c in decision.commands
        if isinstance(c, SetProfile) and c.profile.purpose is ProfilePurpose.TX
    }


def overloaded(world: World, building_a: float) -> Decision:
    """Let the meter show more, and return what is decided at once."""
    drawn = sum(fake.draw_a()[0] for fake in world.stations.values())
    reading = SiteMeterReading(at=world.now, meter=MeterId("meter"), currents_a=(building_a + drawn,) * 3)
    world.controller.observe(reading)
    return decided(world)


def decided(world: World) -> Decision:
    """Return what is decided now, and let the stations hear of it."""
    decision = world.controller.decide(world.now)
    for command in decision.commands:
        world._fare(command)
    return decision


def test_an_overload_is_answered_before_a_plan_is_made_and_the_plan_follows_at_once():
    world = charging()
    held = {e: world.station(e).limit_a(world.now) for e in ("E1", "E2", "E3", "E4")}
    first = overloaded(world, building_a=30.0)
    second = decided(world)

    assert first.planned is None
    assert world.now == first.next_due
    sent = leases(first)
    assert sent
    assert all(limit < held[f"E{station[1:]}"] for station, limit in sent.items())
    assert all(c.urgency is Urgency.SAFETY for c in first.commands if isinstance(c, SetProfile))
    assert sum({f"S{e[1:]}": a for e, a in held.items()}.values()) > 70.0
    assert sum(({f"S{e[1:]}": a for e, a in held.items()} | sent).values()) <= 70.0
    assert second.planned is not None
    assert "above its limit" in second.planned


def test_few_are_lowered_and_the_last_to_leave_goes_first():
    world = charging(limit_a=130.0)
    for i in range(1, 5):
        leaves = world.now + timedelta(hours=2 * i)
        world.tell(SessionDeclared(at=world.now, evse=EvseId(f"E{i}"), departure=leaves, source="driver"))
    world.run(60)
    sent = leases(overloaded(world, building_a=5.0))

    assert ["S4"] == list(sent)


def test_a_lower_limit_from_outside_is_answered_first_too():
    world = charging()
    world.controller.observe(
        LimitChanged(at=world.now, circuit=CircuitId("main"), source="grid", limit_a=(40.0, 40.0, 40.0))
    )
    first = decided(world)

    assert first.planned is None
    assert leases(first)


def test_where_nobody_can_be_lowered_nothing_is_put_off():
    world = World(small_site(evses=2, limit_a=40.0, building_worst_a=0.0))
    world.connect()
    world.run(60)
    decision = overloaded(world, building_a=60.0)

    assert decision.next_due > decision.at


def test_a_journal_that_does_not_speak_of_relief_was_written_without():
    codec = Codec()
    old = codec.plain(ControlSettings(), ControlSettings)
    del old["relief_first"]

    assert codec.value(old, ControlSettings).relief_first is False
    assert codec.value(codec.plain(ControlSettings(), ControlSettings), ControlSettings).relief_first is True


def test_without_relief_the_plan_answers_as_it_did_before():
    world = World(
        small_site(evses=2, limit_a=60.0, building_worst_a=0.0), settings=replace(ControlSettings(), relief_first=False)
    )
    world.connect()
    world.run(15)
    world.plug("E1")
    world.plug("E2", Vehicle(phases=1))
    world.run(300)

    assert overloaded(world, building_a=30.0).planned is not None


def test_the_first_answer_never_raises_and_the_second_plans():
    world, rng, relieved = charging(evses=3, limit_a=110.0), random.Random(1), 0
    for base in range(10, 110, 7):  # it rises: an estimate of the building falls only after minutes
        before = {s: fake.limit_a(world.now) for s, fake in world.stations.items()}
        decision = overloaded(world, building_a=base + rng.uniform(0.0, 6.0))
        if decision.next_due == decision.at:
            relieved += 1
            assert decision.planned is None
            assert all(limit <= before[s] + 1e-6 for s, limit in leases(decision).items())
            assert decided(world).planned is not None
        world.run(30)

    assert relieved > 4


@pytest.mark.parametrize("building_a", [20.0, 45.0, 80.0])
def test_the_circuit_is_under_its_limit_within_the_reaction_time(building_a: float):
    world = charging()
    world.building_a = (building_a,) * 3
    world.run(60)
    world.over.clear()
    world.run(120)

    assert [] == world.over


@pytest.mark.parametrize(("after_s", "lowered"), [(300.0, True), (2000.0, False)])
def test_what_another_may_draw_after_leases_have_ended_lowers_nobody_now(after_s: float, lowered: bool) -> None:
    world = World(small_site(evses=3, limit_a=64.0, building_worst_a=0.0))
    world.building_a = (0.0, 0.0, 0.0)
    world.connect()
    world.run(15)
    for evse in ("E1", "E2"):
        world.plug(evse)
    world.run(300)
    controller, now_s = world.controller, world.now.timestamp()
    opens = from_points([(now_s, 0.0), (now_s + after_s, 6.0)])
    three = world.site.evse_by_id[EvseId("E3")].phases
    assumed = controller._situation.assumed | {EvseId("E3"): Assumed(opens, three)}

    lower = relieved_a(controller._state, controller._targets, assumed=assumed, rows=controller._rows(), now=world.now)

    assert lowered == (lower is not None)


def test_a_draw_above_a_limit_that_is_no_disobedience_yet_counts_beside_the_limit() -> None:
    site = small_site(evses=2, limit_a=32.0, building_worst_a=0.0)
    unmetered = replace(site.root, side_loads=())
    world = World(replace(site, circuits=(unmetered,), meters=()))
    world.meter_works, world.building_a = False, (0.0, 0.0, 0.0)
    world.connect()
    world.run(20)
    world.plug("E1")
    world.plug("E2")
    world.run(400)
    fake = world.station("E1")
    obeys = fake.draw_a
    fake.draw_a = lambda: tuple(a and a + 1.0 for a in obeys())  # type: ignore[method-assign, assignment, return-value]
    world.run(60)
    before = len(world.over)
    world.run(600)

    assert [] == world.over[before:]
    assert not [a for a in world.controller._state.alarms.standing if a[0] == "disobedient"]
    assert max(fake.draw_a()) > 1.0

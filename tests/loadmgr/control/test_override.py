"""What people order about an EVSE: followed within the limits, ended in time, and told."""

from datetime import timedelta

from loadmgr.control.observation import OverrideSet
from loadmgr.control.settings import ControlSettings
from loadmgr.model.ids import EvseId
from tests.control_world import World, small_site

E1, E2 = EvseId("E1"), EvseId("E2")


def charging(*, limit_a: float = 60.0, settings: ControlSettings | None = None) -> World:
    """Return two vehicles that charge, settled."""
    world = World(small_site(evses=2, limit_a=limit_a), settings=settings)
    world.connect()
    world.run(60)
    world.plug("E1")
    world.plug("E2")
    return world.run(400)


def given_a(world: World, evse: EvseId) -> float:
    return world.station(evse).offered[-1]


def order(world: World, **said: object) -> None:
    world.tell(OverrideSet(at=world.now, by="ann", **{"evse": E1, **said}))  # type: ignore[arg-type]
    world.run(60)


def reason(world: World) -> str:
    return next(e.reason for e in world.controller.view().evses if e.evse == E1)


def test_a_limit_holds_until_it_ends_and_others_get_what_it_frees() -> None:
    world = charging(limit_a=40.0)
    before = given_a(world, E2)
    order(world, limit_a=8.0, until=world.now + timedelta(minutes=10))
    assert 8.0 == given_a(world, E1)
    assert "8 A: limited to 8 A by ann until 22:17" == reason(world)
    world.run(240)
    assert given_a(world, E2) > before
    world.unplug("E2")
    world.run(600)
    assert given_a(world, E1) > 8.0


def test_a_pause_is_at_once_whatever_the_shortest_time_on() -> None:
    world = charging(settings=ControlSettings(min_on_s=7200, tx_writes_per_day=4))
    assert given_a(world, E1) >= 6.0
    order(world, limit_a=0.0)
    assert 0.0 == given_a(world, E1)
    assert "0 A: paused by ann" == reason(world)


def test_an_order_without_an_end_is_over_with_the_session() -> None:
    world = charging()
    order(world, limit_a=0.0)
    world.unplug("E1")
    world.run(60)
    world.plug("E1")
    world.run(120)
    assert given_a(world, E1) >= 6.0
    assert world.controller.view().evses[0].override is None


def test_an_order_without_an_end_while_nobody_is_there_is_for_the_next_session_alone() -> None:
    world = charging()
    world.unplug("E1")
    world.run(60)
    order(world, limit_a=0.0)
    world.plug("E1")
    world.run(120)
    assert 0.0 == given_a(world, E1)
    world.unplug("E1")
    world.run(60)
    world.plug("E1")
    world.run(120)
    assert given_a(world, E1) >= 6.0


def test_it_is_taken_back() -> None:
    world = charging()
    order(world, limit_a=0.0)
    order(world)
    world.run(300)
    assert given_a(world, E1) >= 6.0


def test_a_boost_goes_first_but_never_beyond_the_circuit() -> None:
    world = charging(limit_a=30.0)
    order(world, boost=True)
    world.run(400)
    assert given_a(world, E1) > given_a(world, E2)
    assert [] == world.over
    assert reason(world).endswith("(first by order of ann)")


def test_an_order_about_nobody_is_a_note() -> None:
    world = charging()
    order(world, evse=EvseId("Z9"), boost=True)
    (alarm,) = [a for a in world.controller.view().alarms if a.kind == "unknown EVSE"]
    assert alarm.cause.startswith("ann gave an order about Z9")

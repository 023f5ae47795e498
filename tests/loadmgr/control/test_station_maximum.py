"""Stations that are limited by their station maximum alone: somebody else may set whatever else on them."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.control.command import ClearProfile, SetProfile
from loadmgr.control.controller import SiteController
from loadmgr.control.decision import Standing
from loadmgr.control.handed_over import ProfilesReported
from loadmgr.control.memory import moved
from loadmgr.control.observation import StationBooted, StationCapabilities, StationConnected
from loadmgr.control.outside.others import leaves_room
from loadmgr.control.sending.profiles import MAXIMUM_ID
from loadmgr.model.ids import CircuitId, EvseId, ProfileId, StationId
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    OcppVersion,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    SchedulePeriod,
)
from loadmgr.model.topology import LimitBy, Site, Trust
from tests.control_world import START, World, small_site


def shared(site: Site, limit_by: LimitBy = LimitBy.STATION_MAXIMUM) -> Site:
    """Return a site whose stations are all limited so."""
    return replace(site, stations=tuple(replace(s, limit_by=limit_by) for s in site.stations))


def ready(*, evses: int = 1, **more: object) -> World:
    world = World(shared(small_site(evses=evses, **more)), reading_s=10)  # type: ignore[arg-type]
    world.connect()
    return world.run(30)


def theirs(limit_a: float, purpose: ProfilePurpose, *, level: int = 8) -> ChargingProfile:
    """Return a profile of a backend that would lift any limit of the same purpose."""
    return ChargingProfile(
        profile_id=ProfileId(50 + level),
        stack_level=level,
        purpose=purpose,
        kind=ProfileKind.ABSOLUTE,
        schedules=(
            ChargingSchedule(
                unit=RateUnit.A, start=START - timedelta(days=1), periods=(SchedulePeriod(start_s=0, limit=limit_a),)
            ),
        ),
    )


def set_by_others(world: World, evse: str, limit_a: float) -> None:
    """Let a backend set a default and, where a transaction runs, a profile of it, on the highest level."""
    fake = world.station(evse)
    for purpose in (ProfilePurpose.TX_DEFAULT, ProfilePurpose.TX):
        if purpose is ProfilePurpose.TX_DEFAULT or fake.transaction is not None:
            fake.store.load(1, theirs(limit_a, purpose, level=8 if purpose is ProfilePurpose.TX else 7), now=world.now)


def room(world: World, evse: str = "E1") -> bool:
    return leaves_room(world.controller._state, world.station(evse).evse.station)


def test_every_limit_is_a_station_maximum_and_other_purposes_stay_untouched() -> None:
    world = ready()
    world.plug("E1")
    world.run(60)

    sent = [c for _, c in world.commands if isinstance(c, SetProfile)]
    assert {(0, ProfilePurpose.CHARGE_POINT_MAX)} == {(c.number, c.profile.purpose) for c in sent}
    assert 32.0 == world.station("E1").limit_a(world.now)
    assert room(world)


def test_without_the_controller_the_fail_safe_comes_back_by_itself() -> None:
    world = ready(fallback_a=6.0)
    world.plug("E1")
    world.run(60)
    world.alive = False
    assert 32.0 == world.station("E1").limit_a(world.now)
    world.run(1100)

    assert 6.0 == world.station("E1").limit_a(world.now)


def test_a_clock_that_is_reset_leaves_the_fail_safe_in_force() -> None:
    world = ready(fallback_a=6.0)
    world.plug("E1")
    world.run(60)
    world.station("E1").clock_off_s = -7 * 365 * 86400.0

    assert 6.0 == world.station("E1").limit_a(world.now)


def test_a_lease_is_renewed_as_long_as_somebody_controls() -> None:
    world = ready(fallback_a=6.0)
    world.plug("E1")
    world.run(4000)

    assert 32.0 == world.station("E1").limit_a(world.now)
    ids = {c.profile.profile_id for _, c in world.commands if isinstance(c, SetProfile)}
    assert {MAXIMUM_ID, MAXIMUM_ID + 1} == ids


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.floats(0.0, 80.0), st.integers(1, 90)), max_size=6))
def test_whatever_others_set_no_limit_is_ever_exceeded(sets: list[tuple[int, float, int]]) -> None:
    world = ready(evses=3, limit_a=50.0)
    for evse in ("E1", "E2", "E3"):
        world.plug(evse)
    world.run(40)
    for number, limit_a, wait_s in sets:
        assert room(world, f"E{number}")
        set_by_others(world, f"E{number}", limit_a)
        world.run(wait_s)
    world.alive = False
    world.run(200)

    assert [] == world.over


def test_no_room_is_left_before_the_maximum_is_acknowledged_and_read_back() -> None:
    world = World(shared(small_site(evses=1)))
    assert not room(world)
    world.connect()
    rooms = [room(world.run(1)) for _ in range(20)]

    first = rooms.index(True)
    assert first > 0
    assert all(rooms[first:])
    standing = world.controller.view().evses[0].standing
    assert Standing.OBEYING is standing


@pytest.mark.parametrize(("keeps", "left"), [(Trust.NO, False), (Trust.UNKNOWN, False)])
def test_a_restart_takes_the_room_away_until_the_maximum_is_proven_again(keeps: Trust, left: bool) -> None:
    world = ready(keeps=keeps)
    assert room(world)
    world.controller.observe(StationBooted(at=world.now, station=StationId("S1")))

    assert left is room(world)
    world.run(20)
    assert room(world)


def test_profiles_of_another_way_to_limit_are_cleared_last_and_only_ours() -> None:
    world = World(small_site(evses=1), reading_s=10)
    world.connect()
    world.run(30)
    world.plug("E1")
    world.run(60)
    before = world.station("E1").limit_a(world.now)
    began = world.now
    world.site = shared(world.site)
    world.controller = moved(world.controller, world.site, None)
    for _ in range(60):
        world.run(1)
        assert world.station("E1").limit_a(world.now) <= before

    sent = [c for at, c in world.commands if at >= began]
    first = next(i for i, c in enumerate(sent) if isinstance(c, ClearProfile))
    assert any(isinstance(c, SetProfile) and c.profile.profile_id == MAXIMUM_ID for c in sent[:first])
    assert [1001, 2001] == [c.profile_id for c in sent if isinstance(c, ClearProfile)]
    assert all(c.purpose is None for c in sent if isinstance(c, ClearProfile))
    assert room(world)
    held = {i.profile.purpose for i in world.station("E1").store.profiles}
    assert {ProfilePurpose.CHARGE_POINT_MAX} == held


def test_back_to_transaction_profiles_the_fail_safe_stands_before_the_maximum_goes() -> None:
    world = ready(evses=1)
    world.plug("E1")
    world.run(60)
    began = world.now
    world.site = shared(world.site, LimitBy.TRANSACTION)
    world.controller = moved(world.controller, world.site, None)
    world.run(1)
    assert not room(world)
    world.run(400)  # it starts again after its pause

    sent = [c for at, c in world.commands if at >= began]
    clear = next(i for i, c in enumerate(sent) if isinstance(c, ClearProfile))
    assert MAXIMUM_ID + 1 == sent[clear].profile_id  # type: ignore[union-attr]
    set_before = [c.profile.purpose for c in sent[:clear] if isinstance(c, SetProfile)]
    assert ProfilePurpose.TX_DEFAULT in set_before
    assert 32.0 == world.station("E1").limit_a(world.now)
    assert (0.0, 0.0, 0.0) != world.draw_a(CircuitId("main"))
    assert world.controller.view().evses[0].evse == EvseId("E1")


def test_what_somebody_else_set_is_not_in_the_way_of_a_maximum_that_is_reported() -> None:
    site = shared(small_site(evses=1, fallback_a=6.0))
    made = SiteController(site, None)
    made.observe(StationCapabilities(at=START, station=StationId("S1")))
    made.observe(StationConnected(at=START, station=StationId("S1"), version=OcppVersion.V201))
    installed = (
        *made.standing_profiles(StationId("S1")),
        InstalledProfile(evse_id=1, profile=theirs(32.0, ProfilePurpose.TX_DEFAULT)),
    )
    made.observe(ProfilesReported(at=START, station=StationId("S1"), installed=installed))
    decision = made.decide(START + timedelta(minutes=1))

    assert Standing.OBEYING is made.view().evses[0].standing
    assert [1001] == [c.profile_id for c in decision.commands if isinstance(c, ClearProfile)]  # ours of another way
    assert not any(isinstance(c, SetProfile) for c in decision.commands)


def test_that_a_station_is_limited_so_is_no_knowledge_of_its_model() -> None:
    world = ready()
    world.plug("E1")
    world.run(120)
    learnt = world.controller.learnt(StationId("S1"), at=world.now)

    assert (None, None) == (learnt.takes_tx, learnt.takes_tx_default)

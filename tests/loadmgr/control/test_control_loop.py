"""The closed loop on a small site: what is sent when, and what then flows."""

import itertools
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from loadmgr.control.command import ClearProfile, Command, SetProfile
from loadmgr.control.decision import Standing
from loadmgr.control.observation import (
    ForeignProfiles,
    Outcome,
    SessionDeclared,
)
from loadmgr.model.ids import CircuitId, EvseId, ProfileId, StationId, TransactionId
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    SchedulePeriod,
)
from loadmgr.model.session import EnergyNeed
from loadmgr.model.topology import Trust
from tests.control_world import START, World, prompt, ready, small_site, view_of


def leases(world: World, evse: str) -> list[SetProfile]:
    """Return the transaction profiles that were sent to an EVSE."""
    station = world.station(evse).evse.station
    return [
        c
        for _, c in world.commands
        if isinstance(c, SetProfile) and c.station == station and c.profile.purpose is ProfilePurpose.TX
    ]


def alarms(world: World) -> set[str]:
    return {a.kind for a in world.controller.view().alarms}


def test_a_station_gets_its_fail_safe_and_is_read_back_before_anything_else():
    world = ready(World(small_site(evses=1)))
    world.plug("E1")
    world.run(5)

    kinds = [(type(c).__name__, c.reason) for _, c in world.commands]
    assert [
        ("ReadCapabilities", "what it can do"),
        ("SetProfile", "fail-safe"),
        ("SetProfile", "station maximum"),
        ("ReadBack", "fail-safe read back"),
        ("SetProfile", "0 A to 32 A"),
    ] == kinds


def test_the_fail_safe_sits_on_the_highest_level_and_has_no_end():
    world = ready(World(small_site(evses=1, fallback_a=6.0)))

    profile = next(c.profile for _, c in world.commands if c.reason == "fail-safe")
    schedule = profile.schedules[0]
    assert (ProfilePurpose.TX_DEFAULT, 8, None, None) == (
        profile.purpose,
        profile.stack_level,
        profile.valid_to,
        schedule.duration_s,
    )
    assert [6.0] == [p.limit for p in schedule.periods]


def test_a_station_never_seen_counts_with_its_installed_maximum():
    world = ready(World(small_site(evses=2, limit_a=40.0)), "E1")
    world.plug("E1")
    world.run(100)

    assert Standing.UNKNOWN is view_of(world, "E2").standing
    assert 0.0 == view_of(world, "E1").held_a
    assert "never seen" in alarms(world)


def test_nothing_is_given_before_the_read_back_is_answered():
    def no_read_back(rng: random.Random, command: Command) -> tuple[float, Outcome, bool]:
        slow = command.reason == "fail-safe read back"
        return (30.0 if slow else 0.0), Outcome.ACCEPTED, True

    world = World(small_site(evses=1, limit_a=60.0), policy=no_read_back)
    world.connect()
    world.run(5)
    world.plug("E1")
    world.run(20)

    assert [] == leases(world, "E1")
    world.run(30)
    assert [] != leases(world, "E1")


def test_a_raise_waits_until_the_reduction_that_pays_for_it_is_acknowledged():
    def slow_answers(rng: random.Random, command: Command) -> tuple[float, Outcome, bool]:
        return (15.0 if command.reason.startswith("3") else 0.0), Outcome.ACCEPTED, True

    world = ready(World(small_site(evses=2, limit_a=40.0), policy=slow_answers))
    world.plug("E1")
    world.run(120)
    assert 32.0 == view_of(world, "E1").held_a

    urgent = SessionDeclared(
        at=world.now, evse=EvseId("E2"), need=EnergyNeed(wanted_wh=40_000.0), priority=3, departure=_in(world, 2.0)
    )
    world.tell(urgent)
    world.plug("E2")
    world.run(12)
    assert [] == [c for c in leases(world, "E2") if c.profile.schedules[0].periods[0].limit > 6.0]
    world.run(120)

    assert [] == world.over
    assert view_of(world, "E2").held_a > 20.0


def _in(world: World, hours: float):
    return world.now + timedelta(hours=hours)


def test_a_reduction_that_timed_out_is_not_done():
    lost: set[str] = set()

    def lossy(rng: random.Random, command: Command) -> tuple[float, Outcome, bool]:
        if command.station in lost and isinstance(command, SetProfile):
            return 20.0, Outcome.TIMED_OUT, False
        return prompt(rng, command)

    world = ready(World(small_site(evses=2, limit_a=40.0), policy=lossy))
    world.plug("E1")
    world.run(120)
    lost.add(StationId("S1"))
    world.tell(SessionDeclared(at=world.now, evse=EvseId("E2"), need=EnergyNeed(wanted_wh=40_000.0), priority=3))
    world.plug("E2")
    world.run(300)

    assert 32.0 == view_of(world, "E1").held_a
    assert view_of(world, "E2").held_a <= 40.0 - 5.0 - 32.0
    assert "no answer" in alarms(world)
    assert [] == world.over


def test_a_refused_limit_leaves_what_was_held_and_is_tried_in_another_form():
    def refuses(rng: random.Random, command: Command) -> tuple[float, Outcome, bool]:
        if isinstance(command, SetProfile) and command.profile.kind is ProfileKind.ABSOLUTE:
            tx = command.profile.purpose is ProfilePurpose.TX
            return 0.0, Outcome.REJECTED if tx else Outcome.ACCEPTED, not tx
        return prompt(rng, command)

    world = ready(World(small_site(evses=1), policy=refuses))
    world.plug("E1")
    world.run(150)

    kinds = [ProfileKind.ABSOLUTE, ProfileKind.ABSOLUTE, ProfileKind.RELATIVE]
    assert kinds == [c.profile.kind for c in leases(world, "E1")][:3]
    assert 32.0 == view_of(world, "E1").held_a


def test_leases_are_renewed_at_half_their_life():
    world = ready(World(small_site(evses=1, lease_s=600)))
    world.plug("E1")
    world.run(1500)

    sent = [at for at, c in world.commands if c in leases(world, "E1")]
    gaps = [round((b - a).total_seconds()) for a, b in itertools.pairwise(sent)]
    assert len(gaps) >= 3
    assert all(280 <= gap <= 320 for gap in gaps)
    assert 32.0 == world.station("E1").limit_a(world.now)


def test_a_dead_controller_leaves_the_fail_safe_behind():
    world = ready(World(small_site(evses=2, limit_a=40.0, fallback_a=6.0)))
    world.plug("E1")
    world.plug("E2")
    world.run(300)
    world.alive = False
    world.run(2200)

    assert [6.0, 6.0] == [world.station(e).limit_a(world.now) for e in ("E1", "E2")]
    assert [] == world.over


def test_a_paused_neighbour_gets_its_fallback_back_only_after_the_lease_that_used_it():
    site = small_site(evses=3, limit_a=40.0, fallback_a=10.0, building_worst_a=0.0, lease_s=600)
    world = ready(World(replace(site, failsafe=replace(site.failsafe, reserve_starts=1))))
    world.building_a = (0.0, 0.0, 0.0)
    for evse in ("E1", "E2", "E3"):
        world.plug(evse)
    world.tell(SessionDeclared(at=world.now, evse=EvseId("E1"), need=EnergyNeed(wanted_wh=60_000.0), priority=9))
    world.run(400)
    assert view_of(world, "E1").held_a > 20.0
    world.alive = False
    world.run(3000)

    assert [] == world.over
    assert [10.0] * 3 == [world.station(e).limit_a(world.now) for e in ("E1", "E2", "E3")]


def test_a_station_that_ignores_its_limit_counts_fully_until_it_proves_itself():
    world = ready(World(small_site(evses=2, limit_a=45.0)))
    world.plug("E1")
    world.plug("E2")
    world.run(200)
    held = {e: view_of(world, e).held_a for e in ("E1", "E2")}
    rude = min(held, key=lambda e: held[e])
    other = next(e for e in held if e != rude)
    world.station(rude).obeys = False
    world.run(90)

    assert Standing.DISOBEYING is view_of(world, rude).standing
    assert "disobedient" in alarms(world)
    assert (32.0, 32.0, 32.0) == view_of(world, rude).assumed_a
    assert view_of(world, other).held_a <= 45.0 - 5.0 - 32.0 + 1e-6
    assert world.longest_excursion_s() <= world.site.timing.reaction_time_s

    world.station(rude).obeys = True
    world.run(420)
    assert Standing.OBEYING is view_of(world, rude).standing
    assert "disobedient" not in alarms(world)


@pytest.mark.parametrize("keeps", [Trust.YES, Trust.UNKNOWN])
def test_a_station_that_restarts_and_forgets_is_set_up_again(keeps: Trust):
    world = ready(World(small_site(evses=2, limit_a=45.0, keeps=keeps)))
    world.plug("E1")
    world.plug("E2")
    world.run(200)
    world.reboot("E1", forgets=True)
    world.run(90)

    assert Standing.OBEYING is view_of(world, "E1").standing
    assert 2 == len([c for _, c in world.commands if c.station == "S1" and c.reason == "fail-safe"])
    assert world.longest_excursion_s() <= world.site.timing.reaction_time_s
    assert 0.0 < world.station("E1").limit_a(world.now) + world.station("E2").limit_a(world.now) <= 40.0


def test_a_leftover_profile_is_found_by_reading_back_and_cleared():
    world = World(small_site(evses=1, limit_a=60.0))
    leftover = ChargingProfile(
        profile_id=ProfileId(77),
        stack_level=20,
        purpose=ProfilePurpose.TX_DEFAULT,
        kind=ProfileKind.RELATIVE,
        schedules=(ChargingSchedule(unit=RateUnit.A, periods=(SchedulePeriod(start_s=0, limit=25.0),)),),
    )
    fake = world.station("E1")
    fake.store.load(1, leftover, now=START)
    transaction = world.plug("E1")
    world.connect()
    world.run(30)

    assert any(isinstance(c, ClearProfile) for _, c in world.commands)
    assert ProfileId(77) not in [p.profile.profile_id for p in fake.store.profiles]
    assert Standing.OBEYING is view_of(world, "E1").standing
    assert transaction == view_of(world, "E1").session.transaction


def test_an_offline_station_counts_with_what_it_holds_if_it_keeps_it_and_fully_if_not():
    for keeps, assumed in ((Trust.YES, 32.0), (Trust.NO, 32.0)):
        world = ready(World(small_site(evses=2, limit_a=60.0, keeps=keeps, lease_s=600)))
        world.plug("E1")
        world.run(60)
        world.disconnect("E1")
        world.run(5)
        assert assumed == max(view_of(world, "E1").assumed_a)
        world.run(1500)
        later = 0.0 if keeps is Trust.YES else 32.0
        assert later == max(view_of(world, "E1").assumed_a)


def test_a_building_above_its_worst_case_makes_room_by_lowering_vehicles():
    world = ready(World(small_site(evses=2, limit_a=50.0, building_worst_a=5.0)))
    world.plug("E1")
    world.plug("E2")
    world.run(200)
    world.building_a = (30.0, 5.0, 5.0)
    world.run(120)

    assert world.longest_excursion_s() <= world.site.timing.reaction_time_s
    assert max(world.draw_a(CircuitId("main"))) <= 20.0


def test_a_silent_meter_is_an_alarm_and_makes_no_headroom():
    world = ready(World(small_site(evses=1, limit_a=50.0, building_worst_a=20.0)))
    world.building_a = (30.0, 30.0, 30.0)
    world.plug("E1")
    world.run(120)
    assert 20.0 >= view_of(world, "E1").held_a
    world.meter_works = False
    world.run(60)

    assert "stale meter" in alarms(world)
    assert 20.0 >= view_of(world, "E1").setpoint_a


def test_every_evse_has_a_reason():
    world = ready(World(small_site(evses=4, limit_a=30.0)))
    for evse in ("E1", "E2", "E3"):
        world.plug(evse)
    world.run(60)

    reasons = {v.evse: v.reason for v in world.controller.view().evses}
    assert "free" == reasons[EvseId("E4")]
    assert all(reasons.values())
    assert any("main on L" in text for text in reasons.values())


def test_the_same_world_gives_the_same_commands():
    def once() -> list[tuple[str, str]]:
        world = ready(World(small_site(evses=3, limit_a=40.0), seed=4))
        for evse in ("E1", "E2", "E3"):
            world.plug(evse)
            world.run(50)
        world.run(600)
        return [(at.isoformat(), repr(c)) for at, c in world.commands]

    assert once() == once()


def test_observations_of_one_instant_may_come_in_any_order():
    def once(order: tuple[str, ...]) -> set[str]:
        world = ready(World(small_site(evses=3, limit_a=40.0)))
        numbers = {"E1": 1, "E2": 2, "E3": 3}
        for evse in order:
            world._number = numbers[evse] - 1
            world.plug(evse)
        world.run(30)
        return {repr(c.profile) for _, c in world.commands if isinstance(c, SetProfile)}

    assert once(("E1", "E2", "E3")) == once(("E3", "E1", "E2"))


def test_small_changes_are_not_sent():
    world = ready(World(small_site(evses=2, limit_a=60.0)))
    world.plug("E1")
    world.plug("E2")
    world.run(3600)

    assert all(len(leases(world, e)) <= 12 for e in ("E1", "E2"))


def test_an_ended_transaction_frees_its_current_for_others():
    world = ready(World(small_site(evses=2, limit_a=37.0)))
    world.plug("E1")
    world.run(60)
    world.plug("E2")
    world.run(60)
    world.unplug("E1")
    world.run(30)

    assert 32.0 == view_of(world, "E2").held_a
    assert TransactionId("1") not in {c.profile.transaction_id for c in leases(world, "E2")}


def test_a_limit_that_somebody_else_put_on_a_station_is_planned_with_until_it_is_released():
    world = ready(World(small_site(evses=1, limit_a=60.0)))
    world.plug("E1")
    world.run(60)
    before = view_of(world, "E1").setpoint_a
    period = SchedulePeriod(start_s=0, limit=9.0)
    profile = ChargingProfile(
        profile_id=ProfileId(-1),
        stack_level=0,
        purpose=ProfilePurpose.EXTERNAL_CONSTRAINTS,
        kind=ProfileKind.ABSOLUTE,
        schedules=(ChargingSchedule(unit=RateUnit.A, start=world.now, periods=(period,)),),
    )
    station = world.station("E1").evse.station
    world.tell(ForeignProfiles(at=world.now, station=station, number=1, source="EMS", profiles=(profile,)))
    world.run(60)
    during = view_of(world, "E1").setpoint_a
    world.tell(ForeignProfiles(at=world.now, station=station, number=1, source="EMS"))
    world.run(60)

    assert (9.0, before) == (during, view_of(world, "E1").setpoint_a)

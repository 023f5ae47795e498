"""What is done about a station that accepts its limit and draws more, rung by rung."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from loadmgr.control.command import Command, SetAvailability, SetProfile, StopTransaction
from loadmgr.control.decision import Standing
from loadmgr.control.observation import Outcome, OverrideSet, SessionDeclared, StationTraits
from loadmgr.control.settings import ControlSettings
from loadmgr.control.traits import PauseMode
from loadmgr.model.ids import EvseId, StationId
from loadmgr.model.profile import ProfileKind, ProfilePurpose, RateUnit
from loadmgr.model.session import EnergyNeed
from tests.control_world import START, World, prompt, small_site


def charging(
    *,
    limit_a: float = 60.0,
    fallback_a: float = 0.0,
    quarantine_s: int = 1800,
    start: datetime = START,
    **e1: object,
) -> World:
    """Return two EVSEs that charge, E2 first; E1, whose limit is below what its vehicle takes, is the one to watch."""
    site = small_site(evses=2, limit_a=limit_a, fallback_a=fallback_a)
    world = World(site, settings=ControlSettings(quarantine_s=quarantine_s), start=start)
    for name, value in e1.items():
        setattr(world.station("E1"), name, value)
    world.connect()
    world.run(20)
    first = EnergyNeed(wanted_wh=60_000.0)
    world.tell(SessionDeclared(at=world.now, evse=EvseId("E2"), need=first, priority=9))
    world.plug("E1")
    world.plug("E2")
    return world.run(200)


def hold_below_the_fallback(world: World) -> None:
    world.tell(OverrideSet(at=world.now, evse=EvseId("E1"), by="ann", limit_a=12.0))


def record(world: World):
    return world.controller._state.evses[EvseId("E1")]


def standing(world: World) -> Standing:
    return next(v for v in world.controller.view().evses if v.evse == "E1").standing


def answers_of(world: World) -> list[str]:
    """Return what was tried on E1, in order."""
    return [c.reason.removeprefix("it ignores its limit: ") for _, c in world.commands if "ignores" in c.reason]


def test_the_whole_ladder_is_climbed_one_rung_at_a_time_while_nothing_helps():
    world = charging(units=frozenset(RateUnit), quarantine_s=400)
    world.station("E1").obeys = False
    world.run(450)

    assert [
        "to send its limit again",
        "to send its limit again",
        "its limit in the other unit",
        "its limit in the other kind of schedule",
        "its limit as the default of any transaction",
        "its limit as the maximum of the station",
        "to pause it at 0 A",
        "out of service",
        "its transaction is stopped",
    ] == answers_of(world)
    assert not world.station("E1").operative
    assert world.station("E1").transaction is None
    assert Standing.DISOBEYING is standing(world)


@pytest.mark.parametrize(
    ("deafness", "form"),
    [
        ({"ignored_kinds": frozenset({ProfileKind.ABSOLUTE})}, "its limit in the other kind of schedule"),
        ({"ignores": frozenset({ProfilePurpose.TX})}, "its limit as the default of any transaction"),
        (
            {"ignores": frozenset({ProfilePurpose.TX, ProfilePurpose.TX_DEFAULT})},
            "its limit as the maximum of the station",
        ),
        (
            {"ignored_units": frozenset({RateUnit.A}), "units": frozenset(RateUnit)},
            "its limit in the other unit",
        ),
    ],
)
def test_the_form_that_a_station_follows_is_found_kept_and_used(deafness, form):
    world = charging(limit_a=45.0, fallback_a=20.0, **deafness)
    hold_below_the_fallback(world)
    fake = world.station("E1")
    world.run(600)

    assert form == answers_of(world)[-1]
    assert Standing.OBEYING is standing(world)
    assert None is record(world).escalation
    before = len(answers_of(world))
    world.run(1500)
    assert before == len(answers_of(world))
    assert Standing.OBEYING is standing(world)
    assert world.longest_excursion_s() <= world.site.timing.reaction_time_s
    assert fake.draw_a()[0] > 0.0


@pytest.mark.parametrize("lost", [False, True])
def test_a_lease_that_its_station_ignores_is_neither_renewed_nor_sent_again(lost):
    world = charging(limit_a=45.0, fallback_a=20.0, ignores=frozenset({ProfilePurpose.TX}))
    hold_below_the_fallback(world)
    world.run(600)
    held = record(world).holding
    assert (ProfilePurpose.TX,) == held.ignored
    if lost:
        (lease,) = [i for i in held.certain.values() if i.profile.purpose is ProfilePurpose.TX]
        held.sent(1, lease)
    before = len(world.commands)
    world.run(1500)

    sent = [c for _, c in world.commands[before:] if isinstance(c, SetProfile) and c.station == "S1"]
    assert 3 >= len(sent)


def test_a_limit_that_stays_is_taken_back_when_the_session_ends():
    world = charging(ignores=frozenset({ProfilePurpose.TX, ProfilePurpose.TX_DEFAULT}))
    fake = world.station("E1")
    world.run(700)
    world.unplug("E1")
    world.run(60)

    held = {p.profile.purpose: p.profile.schedules[0].periods[0].limit for p in fake.store.profiles}
    assert {ProfilePurpose.TX_DEFAULT: 0.0, ProfilePurpose.CHARGE_POINT_MAX: 0.0} == held


def test_a_refused_rung_gives_way_to_the_next_at_once():
    def refuses(rng: random.Random, command: Command) -> tuple[float, Outcome, bool]:
        if isinstance(command, SetProfile) and "default of any" in command.reason:
            return 0.0, Outcome.REJECTED, False
        return prompt(rng, command)

    world = charging()
    world.policy = refuses
    world.station("E1").obeys = False
    world.run(300)
    times = {c.reason.removeprefix("it ignores its limit: "): at for at, c in world.commands if "ignores" in c.reason}

    refused, following = (
        times["its limit as the default of any transaction"],
        times["its limit as the maximum of the station"],
    )
    assert following - refused <= timedelta(seconds=2)


def test_a_session_is_not_stopped_while_the_circuits_hold_what_it_draws_and_goes_on_when_it_obeys_again():
    world = charging(quarantine_s=900)
    fake = world.station("E1")
    fake.obeys = False
    world.run(600)
    assert "to pause it at 0 A" == answers_of(world)[-1]
    fake.obeys = True
    world.run(950)

    assert not any(isinstance(c, StopTransaction | SetAvailability) for _, c in world.commands)
    assert 6.0 == fake.limit_a(world.now)
    world.run(400)
    assert Standing.OBEYING is standing(world)
    assert fake.transaction is not None


def test_a_station_maximum_limits_also_in_years_that_lie_back():
    world = charging(
        ignores=frozenset({ProfilePurpose.TX, ProfilePurpose.TX_DEFAULT}), start=datetime(2012, 2, 29, tzinfo=UTC)
    )
    world.run(700)

    assert "its limit as the maximum of the station" == answers_of(world)[-1]
    assert Standing.OBEYING is standing(world)


def test_what_is_known_of_the_model_leaves_rungs_out():
    world = charging(quarantine_s=150)
    world.tell(
        StationTraits(
            at=world.now,
            station=StationId("S1"),
            kind=ProfileKind.ABSOLUTE,
            takes_tx_default=False,
            takes_maximum=False,
            pause_mode=PauseMode.REMOTE_STOP,
            change_availability=False,
        )
    )
    world.station("E1").obeys = False
    world.run(200)

    assert [
        "to send its limit again",
        "to send its limit again",
        "its transaction is stopped",
    ] == answers_of(world)
    assert world.station("E1").operative


def test_a_model_that_follows_no_transaction_profiles_gets_its_limits_as_default():
    world = World(small_site(evses=1))
    traits = StationTraits(at=world.now, station=StationId("S1"), takes_tx=False)
    world.station("E1").ignores = frozenset({ProfilePurpose.TX})
    world.connect()
    world.tell(traits)
    world.run(20)
    world.plug("E1")
    world.run(300)

    assert [] == [c for _, c in world.commands if isinstance(c, SetProfile) and c.profile.purpose is ProfilePurpose.TX]
    assert 32.0 == world.station("E1").limit_a(world.now)
    assert Standing.OBEYING is standing(world)
    world.unplug("E1")
    world.run(30)
    assert [0.0] == [
        p.profile.schedules[0].periods[0].limit
        for p in world.station("E1").store.profiles
        if p.profile.purpose is ProfilePurpose.TX_DEFAULT
    ]


def test_where_its_maximum_fits_nowhere_it_is_paused_without_trying_forms():
    world = World(small_site(evses=1, limit_a=30.0))
    world.connect()
    world.run(20)
    world.plug("E1")
    world.run(60)
    world.station("E1").obeys = False
    world.run(150)

    assert "to pause it at 0 A" in answers_of(world)
    assert "its limit as the default of any transaction" not in answers_of(world)


def test_a_pause_is_no_proof_and_is_tried_with_the_minimum_after_a_quiet_while():
    world = charging(quarantine_s=300)
    world.station("E1").obeys = False
    world.run(60)
    climbing = True
    while climbing:
        world.run(5)
        climbing = "to pause it at 0 A" not in answers_of(world)
    world.station("E1").obeys = True
    world.run(250)
    assert Standing.DISOBEYING is standing(world)
    assert 0.0 == world.station("E1").limit_a(world.now)

    world.run(120)
    assert 6.0 == world.station("E1").limit_a(world.now)
    world.run(400)
    assert Standing.OBEYING is standing(world)


def test_after_quarantine_it_serves_again_with_its_maximum_reserved_until_it_is_proven():
    world = charging(quarantine_s=300)
    world.station("E1").obeys = False
    world.run(400)
    assert any(isinstance(c, StopTransaction) for _, c in world.commands)
    assert not world.station("E1").operative
    world.station("E1").obeys = True
    world.run(400)

    assert [False, True] == [c.operative for _, c in world.commands if isinstance(c, SetAvailability)]
    view = next(v for v in world.controller.view().evses if v.evse == "E1")
    assert (Standing.DISOBEYING, (32.0, 32.0, 32.0)) == (view.standing, view.assumed_a)

    world.plug("E1")
    world.run(400)
    assert Standing.OBEYING is standing(world)


def test_the_alarm_says_what_was_tried():
    world = charging()
    world.station("E1").obeys = False
    world.run(120)

    alarm = next(a for a in world.controller.view().alarms if a.kind == "disobedient")
    assert "it was tried" in alarm.cause
    assert "switch it off" in alarm.advice

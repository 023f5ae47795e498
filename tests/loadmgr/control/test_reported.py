"""A station's report takes the place of what was believed of it, and is trusted only as far as it is safe."""

from dataclasses import replace
from datetime import timedelta

import pytest

from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.control.command import ClearProfile, ReadBack, SetProfile
from loadmgr.control.controller import SiteController
from loadmgr.control.decision import Standing
from loadmgr.control.observation import (
    CommandAnswered,
    CompositeReported,
    Outcome,
    ProfilesReported,
    StationCapabilities,
    StationConnected,
    TransactionStarted,
    VehicleKnown,
)
from loadmgr.model.profile import ChargingSchedule, OcppVersion, ProfilePurpose, RateUnit, SchedulePeriod
from tests.control_world import START, small_site

AT = START + timedelta(minutes=1)


def controller(**site):
    made = SiteController(small_site(evses=1, **site), None)
    made.observe(StationCapabilities(at=START, station="S1"))
    made.observe(StationConnected(at=START, station="S1", version=OcppVersion.V201))
    return made


def reported(made, *installed):
    made.observe(ProfilesReported(at=AT, station="S1", installed=installed))
    decision = made.decide(AT)
    return made.view().evses[0], decision.commands


def writes_while_reading_back(limit_a, *, minutes):
    """Return when profiles were set on a station whose read-backs show a limit [s]."""
    made, sent = controller(fallback_a=6.0), []
    now, end = AT, AT + timedelta(minutes=minutes)
    schedule = ChargingSchedule(unit=RateUnit.A, periods=(SchedulePeriod(start_s=0, limit=limit_a),))
    while now < end:
        decision = made.decide(now)
        for command in decision.commands:
            made.observe(CommandAnswered(at=now, command=command.id, outcome=Outcome.ACCEPTED))
            if isinstance(command, SetProfile):
                sent.append((now - AT).total_seconds())
            if isinstance(command, ReadBack):
                made.observe(CompositeReported(at=now, command=command.id, station="S1", number=1, schedule=schedule))
        assert len(sent) < 100
        if not decision.commands:
            now = max(decision.next_due, now + timedelta(milliseconds=1))
    return sent


def test_a_station_that_never_reads_back_what_it_was_sent_is_not_written_to_death():
    sent = writes_while_reading_back(16.0, minutes=60)

    assert [0.0, 0.0, 0.0] == sent[:3]  # fail-safe and maximum, and after a clear the fail-safe again at once
    assert 6 <= len(sent) <= 12


def test_a_station_that_reads_back_what_it_was_sent_is_written_to_once():
    assert 2 == len(writes_while_reading_back(6.0, minutes=60))


def limited(profile, limit):
    schedule = profile.schedules[0]
    periods = tuple(replace(p, limit=limit) for p in schedule.periods)
    return replace(profile, schedules=(replace(schedule, periods=periods),))


@pytest.mark.parametrize("fallback_a", [0.0, 6.0])
def test_a_station_that_holds_its_fail_safe_is_relied_on_at_once(fallback_a):
    made = controller(fallback_a=fallback_a)
    view, commands = reported(made, *made.standing_profiles("S1"))
    assert (Standing.OBEYING, fallback_a, ()) == (view.standing, view.held_a, commands)


def test_a_station_that_holds_nothing_counts_with_its_maximum_and_gets_its_fail_safe():
    view, commands = reported(controller())
    assert (Standing.SETTING_UP, 32.0) == (view.standing, view.held_a)
    assert [ProfilePurpose.TX_DEFAULT] == [c.profile.purpose for c in commands if isinstance(c, SetProfile)]


def test_a_fail_safe_that_is_too_high_or_ends_is_none():
    for change in (
        lambda p: limited(p, 7.0),
        lambda p: replace(p, valid_to=AT + timedelta(hours=3)),
        lambda p: replace(p, schedules=(replace(p.schedules[0], duration_s=86_400),)),
    ):
        made = controller(fallback_a=6.0)
        failsafe, maximum = made.standing_profiles("S1")
        changed = InstalledProfile(evse_id=failsafe.evse_id, profile=change(failsafe.profile))
        view, commands = reported(made, changed, maximum)
        assert Standing.SETTING_UP is view.standing
        assert commands


def test_what_others_left_above_the_fail_safe_is_cleared_first():
    made = controller()
    failsafe, maximum = made.standing_profiles("S1")
    left = replace(limited(failsafe.profile, 32.0), profile_id=77, stack_level=failsafe.profile.stack_level + 1)
    view, commands = reported(made, failsafe, maximum, InstalledProfile(evse_id=1, profile=left))
    assert Standing.SETTING_UP is view.standing
    assert all(isinstance(c, ClearProfile) for c in commands)


def test_what_was_known_of_a_vehicle_is_taken_over():
    made = controller()
    made.observe(TransactionStarted(at=AT, station="S1", number=1, transaction="7", started_at=AT))
    known = VehicleKnown(at=AT, evse="E1", transaction="7", delivered_wh=4000.0, phases=(0,), accepts_a=16.0, told=True)
    made.observe(known)
    made.observe(replace(known, transaction="8", delivered_wh=9.0))
    made.observe(replace(known, phases=(0, 5)))
    view, _ = reported(made, *made.standing_profiles("S1"))
    assert (4000.0, 1) == (view.session.delivered_wh, view.phases)
    assert (known.phases, known.accepts_a, known.told) == (view.known.phases, view.known.accepts_a, view.known.told)

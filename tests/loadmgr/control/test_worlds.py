"""Profiles that were sent and never answered: whichever of them a station took, its limit is no higher than assumed."""

from datetime import timedelta
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.composite.settings import StationSettings
from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.composite.transaction import StationTransaction
from loadmgr.control.safety.holding import MOST_WORLDS, Holding, Terms, limit_envelope
from loadmgr.model.ids import ProfileId, TransactionId
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    OcppVersion,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    SchedulePeriod,
)
from tests.control_world import START

PURPOSES = (ProfilePurpose.CHARGE_POINT_MAX, ProfilePurpose.TX_DEFAULT, ProfilePurpose.TX)
TERMS = Terms(
    number=1,
    settings=StationSettings(version=OcppVersion.V16, evses=1),
    transaction=StationTransaction(evse_id=1, transaction_id=TransactionId("7"), started_at=START),
    max_a=32.0,
    w_per_a=207.0,
)


def profile(purpose: ProfilePurpose, limit_a: float) -> InstalledProfile:
    return InstalledProfile(
        evse_id=0 if purpose is ProfilePurpose.CHARGE_POINT_MAX else 1,
        profile=ChargingProfile(
            profile_id=ProfileId(1 + PURPOSES.index(purpose)),
            stack_level=1,
            purpose=purpose,
            kind=ProfileKind.ABSOLUTE,
            transaction_id=TransactionId("7") if purpose is ProfilePurpose.TX else None,
            schedules=(
                ChargingSchedule(
                    unit=RateUnit.A,
                    start=START - timedelta(hours=1),
                    periods=(SchedulePeriod(start_s=0, limit=limit_a),),
                ),
            ),
        ),
    )


def limit_a(worlds) -> float:
    return limit_envelope(worlds, TERMS, start=START, duration_s=1).at(START.timestamp())


sent = st.lists(st.builds(profile, st.sampled_from(PURPOSES), st.sampled_from([0.0, 6.0, 16.0, 32.0])), max_size=6)


@settings(deadline=None)
@given(acknowledged=sent, unanswered=sent)
def test_whichever_of_several_doubtful_profiles_were_taken_the_limit_is_no_higher_than_assumed(
    acknowledged, unanswered
):
    holding = Holding()
    for command, installed in enumerate(acknowledged):
        holding.acknowledged(command, installed)
    for command, installed in enumerate(unanswered, start=100):
        holding.sent(command, installed)

    assumed_a = limit_a(holding.worlds())
    for taken in product([False, True], repeat=len(unanswered)):
        truth = dict(holding.certain)
        truth |= {i.profile.profile_id: i for i, took in zip(unanswered, taken, strict=True) if took}
        assert limit_a([tuple(truth.values())]) <= assumed_a


def test_where_too_much_is_in_doubt_nothing_counts():
    holding = Holding()
    for command in range(2 * MOST_WORLDS):
        holding.sent(command, profile(PURPOSES[command % 3], 6.0))

    assert 32.0 == limit_a(holding.worlds())
    assert len(holding.worlds()) <= 2

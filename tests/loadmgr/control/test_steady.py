"""Limits that never change are found once and kept: they are what the composite schedule says each time."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from loadmgr.composite.schedule import composite_schedule
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.composite.store import ProfileStore
from loadmgr.composite.transaction import StationTransaction
from loadmgr.control.safety.holding import Terms, limit_envelope
from loadmgr.model.ids import ProfileId, TransactionId
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    OcppVersion,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    Recurrency,
    SchedulePeriod,
)

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
SETTINGS = StationSettings(version=OcppVersion.V201, evses=2, voltage_v=230.0)
DAY_S = 86_400

STARTS = st.sampled_from((datetime(2000, 1, 1, tzinfo=UTC), NOW - timedelta(hours=1), NOW + timedelta(hours=2), None))


@st.composite
def installed_profiles(draw):
    """Draw a profile; most say the same at every instant, and each of the rest differs in one way."""
    purpose = draw(st.sampled_from((ProfilePurpose.TX_DEFAULT, ProfilePurpose.CHARGE_POINT_MAX)))
    kind = draw(st.sampled_from((ProfileKind.ABSOLUTE, ProfileKind.RELATIVE, ProfileKind.RECURRING)))
    if purpose is ProfilePurpose.CHARGE_POINT_MAX and kind is ProfileKind.RELATIVE:
        kind = ProfileKind.ABSOLUTE
    start = None if kind is ProfileKind.RELATIVE else draw(STARTS) or NOW - timedelta(days=3)
    unit = draw(st.sampled_from((RateUnit.A, RateUnit.W)))
    scale = 1.0 if unit is RateUnit.A else 230.0
    amps = draw(st.lists(st.integers(0, 40), min_size=1, max_size=2))
    steps = [
        SchedulePeriod(start_s=1800 * i, limit=a * scale, phases=draw(st.sampled_from((None, 1, 3))))
        for i, a in enumerate(amps)
    ]
    profile = ChargingProfile(
        profile_id=ProfileId(draw(st.integers(1, 5))),
        stack_level=draw(st.integers(0, 2)),
        purpose=purpose,
        kind=kind,
        recurrency=Recurrency.DAILY if kind is ProfileKind.RECURRING else None,
        valid_to=draw(st.sampled_from((None, None, NOW + timedelta(hours=3)))),
        schedules=(
            ChargingSchedule(
                unit=unit, periods=tuple(steps), start=start, duration_s=draw(st.sampled_from((None, None, 3600)))
            ),
        ),
    )
    return InstalledProfile(evse_id=draw(st.integers(0, 1)), profile=profile)


@given(
    world=st.lists(installed_profiles(), max_size=3, unique_by=lambda i: i.profile.profile_id),
    charging_for_s=st.sampled_from((None, 0, 600, 7200)),
    ahead_s=st.integers(0, 4 * DAY_S),
)
def test_a_limit_that_is_kept_is_the_one_that_the_composite_schedule_says(world, charging_for_s, ahead_s):
    start = NOW + timedelta(seconds=ahead_s)
    transaction = None
    if charging_for_s is not None:
        began = start - timedelta(seconds=charging_for_s)
        transaction = StationTransaction(evse_id=1, transaction_id=TransactionId("t7"), started_at=began)
    terms = Terms(number=1, settings=SETTINGS, transaction=transaction, max_a=32.0, w_per_a=207.0)
    envelope = limit_envelope([tuple(world)], terms, start=start, duration_s=DAY_S)

    store = ProfileStore(SETTINGS)
    if transaction is not None:
        store.start_transaction(transaction, now=start)
    for each in world:
        store.load(each.evse_id, each.profile, now=start)
    unit = RateUnit.W if any(i.profile.schedules[0].unit is RateUnit.W for i in world) else RateUnit.A
    said = composite_schedule(store, evse_id=1, start=start, duration_s=DAY_S, unit=unit)
    per_unit = 1.0 if unit is RateUnit.A else 1.0 / 207.0
    for period in said.periods:
        limit_a = 32.0 if period.limit is None else min(32.0, period.limit * per_unit)
        assert limit_a == envelope.at(said.start.timestamp() + period.start_s)

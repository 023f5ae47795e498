"""What must hold for every station: caps, rounding, order of installation, half-open windows."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from loadmgr.bridge.profile_json import profile_from_json, profile_to_json
from loadmgr.composite import layers
from loadmgr.composite.bound import MAX_PIECES
from loadmgr.composite.conversion import conversion, thousandths
from loadmgr.composite.lanes import lanes
from loadmgr.composite.schedule import composite_schedule
from loadmgr.model.profile import OcppVersion, ProfileKind, ProfilePurpose, RateUnit, Recurrency
from tests.loadmgr.composite.naive import second
from tests.loadmgr.composite.station_cases import NOON, profile, station, with_schedule
from tests.loadmgr.composite.worlds import instants, store_of, worlds

bounded = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
versions = st.sampled_from(OcppVersion)
CAPS = (ProfilePurpose.CHARGE_POINT_MAX, ProfilePurpose.EXTERNAL_CONSTRAINTS)


@st.composite
def asked(draw):
    world, day = draw(worlds(draw(versions)))
    return world, draw(instants(day, back_days=1)), draw(st.sampled_from([60, 3600, 90_000]))


def limit_steps(store, start, duration_s, unit, *, evse_id=1):
    """Limits of a schedule as (start, limit)."""
    rows = composite_schedule(store, evse_id=evse_id, start=start, duration_s=duration_s, unit=unit).rows
    return [(row[0], row[1]) for row in rows]


def value_at(rows, at):
    return [limit for begin, limit in rows if begin <= at][-1]


@given(asked(), st.sampled_from([0, 1]))
@bounded
def test_the_schedule_is_never_above_a_cap(question, evse_id):
    """Neither above the station maximum nor an external constraint, plus what is generated (2.1)."""
    world, start, duration_s = question
    world.evses, world.hardware, world.station_hardware = 1, None, None
    store = store_of(world)
    rows = limit_steps(store, start, duration_s, RateUnit.A, evse_id=evse_id)
    for purpose in CAPS:
        world.installed, every = [i for i in world.installed if i[1].purpose is purpose], world.installed
        generated = [i for i in every if i[1].purpose is ProfilePurpose.LOCAL_GENERATION]
        world.installed += generated
        alone = limit_steps(store_of(world), start, duration_s, RateUnit.A, evse_id=evse_id)
        world.installed = every
        for at in {begin for begin, _ in rows} | {begin for begin, _ in alone}:
            cap = value_at(alone, at)
            if cap < 48.0:  # there is a cap, and nothing but it speaks
                assert value_at(rows, at) <= cap + 1e-9


@given(asked())
@bounded
def test_an_added_cap_never_raises_a_limit(question):
    """A station maximum of 7 A on top."""
    world, start, duration_s = question
    assume(all(p.purpose is not ProfilePurpose.LOCAL_GENERATION for _, p in world.installed))
    before = limit_steps(store_of(world), start, duration_s, RateUnit.A)
    capped = store_of(world)
    capped.load(0, profile(99, {0: 7}, purpose=CAPS[0], level=9, start=datetime(1999, 1, 1, tzinfo=UTC)), now=NOON)
    after = limit_steps(capped, start, duration_s, RateUnit.A)

    for at, limit in after:
        assert limit <= 7.0
        assert limit <= max(value_at(before, at), 7.0)


@given(asked(), st.randoms(use_true_random=False))
@bounded
def test_the_order_of_installation_does_not_matter_without_ties(question, random):
    """It does only between profiles of one purpose and level."""
    world, start, duration_s = question
    ranks = [(p.purpose, p.stack_level) for _, p in world.installed]
    assume(len(set(ranks)) == len(ranks))
    order = list(range(len(ranks)))
    random.shuffle(order)

    one = composite_schedule(store_of(world), evse_id=1, start=start, duration_s=duration_s, unit=RateUnit.W)
    other = composite_schedule(
        store_of(world, order=order), evse_id=1, start=start, duration_s=duration_s, unit=RateUnit.W
    )

    assert [row[:3] for row in one.rows] == [row[:3] for row in other.rows]
    assert one.rich == other.rich


@given(asked(), st.integers(1, 59))
@bounded
def test_a_window_that_starts_later_says_the_same(question, later_s):
    """Absolute times do not depend on the question; a simulated transaction begins with it."""
    world, start, _ = question
    world.transactions.setdefault(1, ("7", start))
    store = store_of(world)
    whole = limit_steps(store, start, 600, RateUnit.A)
    tail = limit_steps(store, start.astimezone(UTC) + timedelta(seconds=later_s), 600 - later_s, RateUnit.A)

    for at, limit in tail:
        assert limit == value_at(whole, at + later_s)


@given(worlds(OcppVersion.V21) | worlds(OcppVersion.V201) | worlds(OcppVersion.V16))
@bounded
def test_writing_and_reading_a_profile_are_inverse(question):
    """For every profile of every version; on the wire a time has an offset, not a zone."""
    world, _ = question
    for _, p in world.installed:
        written = profile_to_json(
            p if world.version is OcppVersion.V16 else with_schedule(p, schedule_id=4), world.version
        )
        read = profile_from_json(written, world.version)
        assert written == profile_to_json(read, world.version)
        assert read == profile_from_json(profile_to_json(read, world.version), world.version)


@given(
    st.integers(0, 10**9).map(lambda n: n / 1000),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([110.0, 120.0, 230.0, 230.94, 398.4]),
)
@bounded
def test_a_limit_is_never_rounded_up(value, phases, voltage_v):
    """Neither in its own unit nor in the other; in its own it comes back cut to a tenth."""
    made = conversion(voltage_v=voltage_v, direct_current=False, dc_phases=False, silent=False)
    for unit, other in ((RateUnit.A, RateUnit.W), (RateUnit.W, RateUnit.A)):
        key = thousandths(value) * made.scales(unit)[phases][0]
        same = made.tenths(key, unit, phases) / 10
        assert same <= value + 1e-9 < same + 0.1 + 1e-6
        there = made.tenths(key, other, phases) / 10
        factor = voltage_v * phases if unit is RateUnit.A else 1.0 / (voltage_v * phases)
        assert there <= value * factor * (1 + 1e-12) + 1e-7
        assert made.tenths(-key, unit, phases) == -made.tenths(key, unit, phases)


@given(asked())
@bounded
def test_lanes_lead_exactly_where_their_profile_does(question):
    """What leads in the picture is what the schedule was made of."""
    world, start, duration_s = question
    store = store_of(world)
    schedule = composite_schedule(store, evse_id=1, start=start, duration_s=duration_s, unit=RateUnit.A)
    found = lanes(store, schedule)
    first = second(start)
    for (begin, _, _), deciders in zip(schedule.rows, schedule.deciders, strict=True):
        for _, _, owner, period in deciders:
            pieces = [p for lane in found if lane.profile is owner.profile for p in lane.pieces]
            here = [p for p in pieces if second(p.start) <= first + begin < second(p.end)]
            assert [(period, True)] == [(p.period, p.leads) for p in here]


def test_ten_years_of_a_daily_schedule_are_answered_in_full():
    """Section "bad input": bounded work."""
    store = station(transaction_at=None)
    daily = {"kind": ProfileKind.RECURRING, "recurrency": Recurrency.DAILY}
    store.load(1, profile(1, {3600 * k: 6 + k % 2 for k in range(24)}, **daily), now=NOON)
    duration_s = 3653 * 86_400

    schedule = composite_schedule(store, evse_id=1, start=NOON, duration_s=duration_s, unit=RateUnit.A)

    assert duration_s == schedule.duration_s
    assert 3653 * 24 == len(schedule.rows)


def test_ten_thousand_periods_for_ten_years_shorten_the_answer_and_say_so():
    """Never cut in silence: the duration tells how far the answer reaches."""
    store = station(transaction_at=None)
    daily = {"kind": ProfileKind.RECURRING, "recurrency": Recurrency.DAILY}
    store.load(1, profile(1, {8 * k: 6 + k % 2 for k in range(10_000)}, **daily), now=NOON)

    schedule = composite_schedule(store, evse_id=1, start=NOON, duration_s=3653 * 86_400, unit=RateUnit.A)

    assert 90 * 86_400 < schedule.duration_s < 100 * 86_400
    assert len(schedule.rows) <= MAX_PIECES


@pytest.mark.parametrize("duration_s", [10**12, 10**30])
def test_a_window_without_end_is_shortened_to_a_hundred_years(duration_s):
    """Nothing recurs, so nothing but the calendar bounds it."""
    store = station(OcppVersion.V21, transaction_at=None)
    store.load(1, with_schedule(profile(1, {0: 6}), use_local_time=True), now=NOON)
    late = datetime(9998, 1, 1, tzinfo=UTC)

    schedule = composite_schedule(store, evse_id=1, start=late, duration_s=duration_s, unit=RateUnit.A)

    assert 100 * 366 * 86_400 == schedule.duration_s
    assert [6.0] == [row[1] for row in schedule.rows]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"duration_s": -1}, "duration_s must be 0 or more"),
        ({"evse_id": 2}, r"evse_id must lie in 0\.\.1"),
        ({"start": datetime(2024, 1, 1)}, "must carry a time zone"),  # noqa: DTZ001 - that is the fault
    ],
)
def test_a_wrong_question_is_a_value_error(change, message):
    """The message names the argument."""
    question = {"evse_id": 1, "start": NOON, "duration_s": 60, "unit": RateUnit.A} | change
    with pytest.raises(ValueError, match=message):
        composite_schedule(station(), **question)


def test_the_sum_of_ten_thousand_evses_is_bounded(monkeypatch):
    """Those with nothing of their own are reckoned once; the others shorten the answer, and it says so."""
    monkeypatch.setattr(layers, "MAX_PIECES", 20_000)
    store = station(transaction_at=None, evses=10_000)
    store.load(0, profile(1, {s: 6 + s % 2 for s in range(1000)}), now=NOON)
    ask = {"evse_id": 0, "start": NOON, "duration_s": 2000, "unit": RateUnit.A}

    whole = composite_schedule(store, **ask)
    for evse_id in range(1, 40):
        store.load(evse_id, profile(evse_id + 1, {0: 5}, level=9, start=NOON + timedelta(days=1)), now=NOON)
    shortened = composite_schedule(store, **ask)

    assert (2000, 1000) == (whole.duration_s, len(whole.rows))
    assert (0, 60_000.0) == whole.rows[0][:2]
    assert 450 < shortened.duration_s < 550
    assert whole.rows[: len(shortened.rows)] == shortened.rows

"""Which limit is in force: stack levels, purposes, validity and windows."""

from datetime import UTC, datetime, timedelta

import pytest

from loadmgr.model.ids import TransactionId
from loadmgr.model.profile import OcppVersion, ProfileKind, ProfilePurpose, RateUnit, Recurrency
from tests.loadmgr.composite.station_cases import NOON, profile, start, station, steps

TX = {"purpose": ProfilePurpose.TX, "transaction_id": TransactionId("7")}
MAX = {"purpose": ProfilePurpose.CHARGE_POINT_MAX}
DAILY = {"kind": ProfileKind.RECURRING, "recurrency": Recurrency.DAILY}


def hours(n: float) -> timedelta:
    return timedelta(hours=n)


def test_the_window_is_half_open_and_the_default_fills_it():
    """Section 3.3: an absolute hour asked from a second before to a second after."""
    store = station()
    store.load(1, profile(1, {0: 32, 1800: 31, 2700: 30}, duration_s=3600), now=NOON)

    got = steps(store, 3602, at=NOON - timedelta(seconds=1))

    assert {0: 48.0, 1: 32.0, 1801: 31.0, 2701: 30.0, 3601: 48.0} == got


def test_a_higher_level_leads_only_while_it_has_a_period():
    """K01.FR.17: after its duration the lower level leads."""
    store = station()
    store.load(1, profile(1, {0: 6, 100: 8, 200: 10}, duration_s=400), now=NOON)
    store.load(1, profile(2, {0: 7, 100: 9}, level=1, duration_s=150), now=NOON)

    assert {0: 7.0, 100: 9.0, 150: 8.0, 200: 10.0} == steps(store, 350)


def test_a_tx_profile_overrules_defaults_of_any_level_in_both_directions():
    """K02.FR.08: level 0 of TxProfile beats level 9 of TxDefaultProfile, higher or lower."""
    store = station()
    store.load(1, profile(1, {0: 10}, level=9), now=NOON)
    store.load(1, profile(2, {0: 20, 60: 6}, duration_s=120, **TX), now=NOON)

    assert {0: 20.0, 60: 6.0, 120: 10.0} == steps(store, 200)


def test_the_minimum_is_taken_across_purposes():
    """SC.01, K08.FR.04."""
    store = station()
    store.load(0, profile(1, {0: 10, 100: 30}, **MAX), now=NOON)
    store.load(1, profile(2, {0: 16}), now=NOON)

    assert {0: 10.0, 100: 16.0} == steps(store, 200)


def test_each_limit_is_converted_with_its_own_phase_count():
    """K01.FR.50: 11 kW on three phases is 15.9 A a phase, also where only one phase is used."""
    store = station()
    store.load(0, profile(1, {0: (11000, 3)}, unit=RateUnit.W, **MAX), now=NOON)
    store.load(1, profile(2, {0: (32, 1), 60: (10, 1)}), now=NOON)

    assert {0: (15.9, 1), 60: (10.0, 1)} == steps(store, 100, phases=True)
    assert {0: (3666.6, 1), 60: (2300.0, 1)} == steps(store, 100, unit=RateUnit.W, phases=True)


def test_a_recurring_profile_joins_in_at_the_right_offset():
    """Section 3.3: valid from noon, daily from eight."""
    eight = NOON.replace(day=1, hour=8)
    noon = NOON.replace(day=1)
    store = station(transaction_at=eight)
    daily = profile(1, {0: 32, 36000: 7}, start=eight, valid_from=noon, valid_to=noon + hours(96), **DAILY)
    store.load(1, daily, now=noon)

    assert {0: 48.0, 300: 32.0} == steps(store, 600, at=noon - timedelta(minutes=5))
    assert {0: 7.0, 300: 32.0} == steps(store, 600, at=eight + hours(24) - timedelta(minutes=5))
    assert {0: 32.0, 300: 48.0} == steps(store, 600, at=noon + hours(96) - timedelta(minutes=5))


def test_nothing_recurs_before_its_start():
    """K01.FR.30."""
    store = station()
    store.load(1, profile(1, {0: 16}, start=NOON + hours(48), **DAILY), now=NOON)

    assert {0: 48.0} == steps(store, 86400)


def test_a_station_may_be_said_to_repeat_backwards():
    """An option, for stations that do not obey K01.FR.30; the start only sets the time of day then."""
    daily = {"kind": ProfileKind.RECURRING, "recurrency": Recurrency.DAILY, "duration_s": 60}
    store = station(recurs_before_start=True)
    store.load(1, profile(1, {0: 6}, start=NOON + timedelta(days=3), **daily), now=NOON)

    assert {0: 6.0, 60: 48.0} == steps(store, 120)


def test_a_relative_profile_counts_from_the_transaction_even_before_its_validity():
    """Section 3.3: plugged in at ten, valid from noon: six, not thirty-two."""
    store = station(transaction_at=NOON - hours(2))
    relative = profile(1, {0: 32, 3600: 6}, kind=ProfileKind.RELATIVE, valid_from=NOON, valid_to=NOON + hours(8))
    store.load(1, relative, now=NOON)

    assert {0: 48.0, 60: 6.0} == steps(store, 120, at=NOON - timedelta(seconds=60))


def test_equal_neighbours_of_different_occurrences_are_one_period():
    """Twenty to midnight and midnight to eight."""
    store = station()
    daily = profile(1, {0: 11, 28800: 6, 72000: 11}, start=NOON.replace(hour=0), **DAILY)
    store.load(1, daily, now=NOON)

    assert {0: 6.0, 28800: 11.0, 72000: 6.0} == steps(store, 108000)


def test_without_a_transaction_the_default_is_simulated_in_the_answer_only():
    """K08.FR.06 for GetCompositeSchedule; enforcement simulates nothing."""
    store = station(transaction_at=None)
    store.load(1, profile(1, {0: 16, 60: 8}, kind=ProfileKind.RELATIVE), now=NOON)
    store.load(1, profile(2, {0: 20}, **TX), now=NOON)

    assert {0: 16.0, 60: 8.0} == steps(store, 120, at=NOON + hours(1))
    assert store.limit_at(1, NOON).limit_a is None


@pytest.mark.parametrize("version", list(OcppVersion))
def test_a_default_on_0_applies_to_every_evse(version):
    """K01.FR.14; 1.6 section 3.13.1."""
    store = station(version, evses=2)
    store.load(0, profile(1, {0: 16}), now=NOON)

    assert [{0: 16.0}, {0: 16.0}] == [steps(store, 60, evse_id=e) for e in (1, 2)]


def test_the_station_answers_with_the_sum_under_its_maximum():
    """K08.FR.03: the maximum caps the sum, an EVSE without a profile counts with the default."""
    store = station(OcppVersion.V201, evses=3)
    start(store, 2, NOON, "8")
    store.load(1, profile(1, {0: 10}), now=NOON)
    store.load(2, profile(2, {0: 12}), now=NOON)
    store.load(0, profile(3, {0: 100, 60: 50}, **MAX), now=NOON)

    assert {0: 70.0, 60: 50.0} == steps(store, 120, evse_id=0)


def test_the_limit_now_names_its_end_and_its_profile():
    """The same stacking for one instant."""
    store = station()
    store.load(0, profile(1, {0: 10, 100: 30}, **MAX), now=NOON)
    store.load(1, profile(2, {0: (16, 1)}, duration_s=300), now=NOON)

    first, second, third = (store.limit_at(1, NOON + timedelta(seconds=s)) for s in (0, 100, 300))

    assert (10.0, 1, NOON + timedelta(seconds=100), (1,)) == (first.limit_a, first.phases, first.until, first.because)
    assert (16.0, 1, NOON + timedelta(seconds=300), (2,)) == (
        second.limit_a,
        second.phases,
        second.until,
        second.because,
    )
    assert (30.0, None, None, (1,)) == (third.limit_a, third.phases, third.until, third.because)


def test_a_window_of_no_length_answers_the_limit_in_force():
    """Undefined in OCPP; one period with the limit at the start."""
    store = station()
    store.load(1, profile(1, {0: 16}), now=NOON)

    assert {0: 16.0} == steps(store, 0)


def test_a_limit_of_zero_is_a_limit():
    """Section 4.1: no charging, not "absent"; and a big number is the way to say "no limit" on a higher level."""
    store = station()
    store.load(1, profile(1, {0: 16}), now=NOON)
    store.load(1, profile(2, {0: 0, 60: 999_999}, level=1), now=NOON)

    assert {0: 0.0, 60: 999_999.0} == steps(store, 120)
    assert 0.0 == store.limit_at(1, NOON).limit_a


def test_the_least_charging_rate_is_no_floor():
    """K01.FR.21: a cap of zero stays zero."""
    store = station()
    store.load(1, profile(1, {0: 0}, schedule_fields={"min_charging_rate": 6.0}), now=NOON)

    assert {0: 0.0} == steps(store, 60)


def test_fractions_of_a_second_are_floored_at_starts_and_ends_alike():
    """Section 3.2: durations stay whole."""
    late = timedelta(milliseconds=900)
    store = station()
    what = profile(1, {0: 16}, start=NOON + late, valid_from=NOON + late, valid_to=NOON + late + timedelta(seconds=60))
    store.load(1, what, now=NOON)

    assert {0: 16.0, 60: 48.0} == steps(store, 120, at=NOON + timedelta(milliseconds=500))


def test_of_two_on_one_rank_the_newest_leads():
    """Section 10, ties: only direct loading makes them."""
    store = station(OcppVersion.V201)
    store.load(1, profile(1, {0: 16}), now=NOON)
    store.load(1, profile(2, {0: 8}, duration_s=60), now=NOON)

    assert {0: 8.0, 60: 16.0} == steps(store, 120)


def test_periods_loaded_in_disorder_are_put_in_order():
    """No rule lets them in but direct loading does; before the first start there is no period."""
    store = station()
    store.load(1, profile(1, {120: 10, 60: 8}), now=NOON)

    assert {0: 48.0, 60: 8.0, 120: 10.0} == steps(store, 180)
    assert (None, NOON + timedelta(seconds=60)) == (store.limit_at(1, NOON).limit_a, store.limit_at(1, NOON).until)


def test_a_weekly_day_is_free():
    """Weekly with one schedule of 24 h: the "every Sunday" idiom."""
    sunday = datetime(2024, 1, 14, tzinfo=UTC)
    store = station()
    store.load(1, profile(1, {0: 6}, start=sunday - timedelta(days=700), **DAILY), now=NOON)
    weekly = {"kind": ProfileKind.RECURRING, "recurrency": Recurrency.WEEKLY}
    store.load(1, profile(2, {0: 32}, start=sunday, duration_s=86_400, level=1, **weekly), now=NOON)

    assert {0: 6.0, 4 * 86_400 - 43_200: 32.0, 5 * 86_400 - 43_200: 6.0} == steps(store, 7 * 86_400)

"""The ledger of a session, the building behind the meter, obedience, alarms."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmgr.control.alarm import AlarmBook, Severity
from loadmgr.control.feedback.building import Bounds, BuildingEstimate, after_reading, load_now_a
from loadmgr.control.feedback.energy import Ledger, with_power, with_register, with_value
from loadmgr.control.feedback.obedience import Obedience, judge
from loadmgr.control.settings import ControlSettings

T0 = datetime(2024, 1, 1, tzinfo=UTC)
NOBODY = Bounds((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("registers", "delivered_wh"),
    [
        ([1000, 2000, 3500], 2500.0),
        ([1000, 2000, 2000, 2000], 1000.0),
        ([5000, 6000, 400, 900], 1900.0),  # reset: 1000, then 400 and 500 on the new count
        ([5000, 6000, 5900, 6100], 1100.0),  # late data: the lower value changes nothing
        ([5000, 6000, 3500, 3900, 4500], 2000.0),  # stays lower and rises: counted from where that was seen
        ([0, 1000, 900_000, 901_000], 1000.0 + 22_000.0 * 1.1 + 200.0 + 1000.0),  # a jump is believed to full power
    ],
)
def test_energy_comes_from_differences_of_a_register(registers, delivered_wh):
    ledger = Ledger(at=T0)
    for index, value in enumerate(registers):
        ledger = with_register(ledger, float(value), at=after(3600.0 * index), max_w=22_000.0)

    assert pytest.approx(delivered_wh) == ledger.delivered_wh


@given(
    st.lists(st.integers(min_value=1, max_value=300), min_size=1, max_size=12).flatmap(
        lambda gains: st.tuples(st.just(gains), st.permutations(range(len(gains))))
    )
)
def test_the_order_in_which_values_of_one_register_arrive_changes_nothing(drawn):
    gains, order = drawn
    values = [1000.0 + sum(gains[: n + 1]) for n in range(len(gains))]
    ledger = Ledger(at=T0, register_wh=1000.0)
    for place, n in enumerate(order):
        arrives = after(60.0 * (len(gains) + place))
        ledger = with_value(ledger, values[n], measured_at=after(60.0 * (n + 1)), at=arrives, max_w=22_000.0)

    assert (pytest.approx(float(sum(gains))), 0) == (ledger.delivered_wh, ledger.resets)


def test_a_register_that_starts_anew_among_values_that_waited_counts_from_there():
    ledger = Ledger(at=T0, register_wh=1000.0)
    for n, value in enumerate((1400.0, 1800.0, 100.0, 500.0)):
        ledger = with_value(ledger, value, measured_at=after(60.0 * n), at=after(600.0 + n), max_w=22_000.0)

    assert (1300.0, 1) == (ledger.delivered_wh, ledger.resets)


def test_energy_without_a_register_is_power_over_time():
    ledger = with_power(Ledger(at=T0), 11_000.0, at=after(1800.0), max_w=22_000.0)

    assert pytest.approx(5500.0) == ledger.delivered_wh


def test_a_late_power_reading_adds_nothing():
    ledger = with_power(Ledger(at=after(60.0)), 11_000.0, at=T0, max_w=22_000.0)

    assert (0.0, after(60.0)) == (ledger.delivered_wh, ledger.at)


def test_a_building_is_what_the_meter_shows_beyond_the_vehicles():
    estimate = BuildingEstimate()
    after_reading(estimate, (30.0, 20.0, 10.0), Bounds((16.0, 16.0, 0.0), (16.0, 16.0, 0.0)), at=T0)

    assert (14.0, 4.0, 10.0) == estimate.load_a


def test_a_building_is_never_below_nothing():
    estimate = BuildingEstimate()
    after_reading(estimate, (3.0, 0.0, -12.0), NOBODY, at=T0)

    assert (3.0, 0.0, 0.0) == estimate.load_a


def test_a_difference_of_unlike_timestamps_makes_no_headroom():
    estimate = BuildingEstimate()
    after_reading(estimate, (10.0, 10.0, 10.0), NOBODY, at=T0)
    unknown = Bounds((0.0, 0.0, 0.0), (32.0, 32.0, 32.0))
    after_reading(estimate, (20.0, 20.0, 20.0), unknown, at=after(10.0))
    assert (10.0, 10.0, 10.0) == estimate.load_a

    after_reading(estimate, (50.0, 20.0, 20.0), unknown, at=after(20.0))
    assert (18.0, 10.0, 10.0) == estimate.load_a


def test_a_building_falls_only_to_its_highest_of_the_last_minutes():
    estimate = BuildingEstimate()
    loads = []
    for minute, load in enumerate((20.0, 5.0, 8.0, 5.0, 5.0, 5.0, 5.0, 5.0)):
        after_reading(estimate, (load, 0.0, 0.0), NOBODY, at=after(60.0 * minute))
        loads.append(estimate.load_a[0])

    assert [20.0, 20.0, 20.0, 20.0, 8.0, 8.0, 5.0, 5.0] == loads


def test_a_stale_meter_leaves_the_worst_case_or_what_was_last_seen_above_it():
    estimate = BuildingEstimate(load_a=(4.0, 30.0, 4.0), at=T0)
    worst = (20.0, 20.0, 20.0)

    assert ((4.0, 30.0, 4.0), True) == load_now_a(estimate, worst, now=after(10.0), stale_after_s=30.0)
    assert ((20.0, 30.0, 20.0), False) == load_now_a(estimate, worst, now=after(31.0), stale_after_s=30.0)
    assert (worst, False) == load_now_a(BuildingEstimate(), worst, now=T0, stale_after_s=30.0)


def judged(record: Obedience, peak_a: float, allowed_a: float, seconds: float) -> bool:
    return judge(record, peak_a=peak_a, allowed_a=allowed_a, max_a=32.0, at=after(seconds), settings=ControlSettings())


def test_one_reading_above_limit_and_tolerance_is_disobedience():
    record = Obedience(proven=True)

    assert not judged(record, 17.7, 16.0, 0.0)
    assert judged(record, 17.9, 16.0, 10.0)
    assert (after(10.0), False, 1) == (record.disobeying_since, record.proven, record.offences)


def test_trust_comes_back_after_a_stretch_of_readings_within_a_limit_worth_the_name():
    record = Obedience(disobeying_since=T0)

    assert not any(judged(record, 0.0, 32.0, s) for s in range(10, 1000, 60))
    assert [False, False, False, True] == [judged(record, 6.0, 6.0, 1000.0 + s) for s in (0, 60, 250, 300)]
    assert record.disobeying_since is None


def test_one_excess_begins_the_stretch_anew():
    record = Obedience(disobeying_since=T0)
    for s in (0, 100, 200):
        judged(record, 6.0, 6.0, s)
    judged(record, 20.0, 6.0, 290.0)

    assert not judged(record, 6.0, 6.0, 310.0)


def test_an_alarm_is_raised_once_counted_and_cleared():
    book = AlarmBook()
    for s in range(3):
        book.raise_alarm("offline", "S1", at=after(s), severity=Severity.WARNING, cause="gone", advice="look")
    raised = book.take_changed()
    book.raise_alarm("offline", "S1", at=after(9), severity=Severity.WARNING, cause="gone", advice="look")
    quiet = book.take_changed()
    book.clear("offline", "S1", at=after(20))

    assert [("offline", "S1", None)] == [(a.kind, a.subject, a.cleared) for a in raised]
    assert () == quiet
    assert [(4, after(20))] == [(a.count, a.cleared) for a in book.take_changed()]
    assert () == book.all_standing()

"""Peaks that a tariff charges for: the mean over windows of the clock, kept for the month."""

from datetime import UTC, datetime, timedelta

import pytest

from loadmgr.control.feedback.peaks import PeakMemory, demand_charges, fold_power
from loadmgr.model.calendar import ClockWindow
from loadmgr.model.series import TimeGrid
from loadmgr.model.tariff import DemandCharge, FixedRate, Tariff

T0 = datetime(2024, 6, 3, 12, 0, tzinfo=UTC)
EVERY_DAY = frozenset(range(7))
ALL_YEAR = frozenset(range(1, 13))


def tariff(*charges: DemandCharge) -> Tariff:
    return Tariff(time_zone="UTC", energy=FixedRate(price_per_kwh=0.3), demand=charges)


QUARTER = DemandCharge(name="capacity", price_per_kw=10.0, window_s=900)


def fed(memory: PeakMemory, what: Tariff, *powers_w: float, start: datetime = T0, step_s: int = 300) -> PeakMemory:
    for index, power in enumerate(powers_w):
        fold_power(memory, what, power, at=start + timedelta(seconds=step_s * index), silent_s=600.0)
    return memory


def test_the_peak_is_the_highest_mean_of_a_window_and_never_of_a_moment():
    memory = fed(PeakMemory(), tariff(QUARTER), 30_000.0, 0.0, 0.0, 12_000.0, 12_000.0, 12_000.0, 0.0)

    assert {("capacity", "2024-06"): pytest.approx(12_000.0)} == memory.peaks_w


def test_feeding_in_makes_no_peak():
    assert {("capacity", "2024-06"): 0.0} == fed(PeakMemory(), tariff(QUARTER), -9000.0, -9000.0).peaks_w


def test_a_silent_meter_is_not_believed_for_ever():
    memory = fed(PeakMemory(), tariff(QUARTER), 9000.0, 0.0, step_s=7200)

    assert {("capacity", "2024-06"): pytest.approx(6000.0)} == memory.peaks_w


def test_a_new_month_starts_at_nothing():
    memory = fed(PeakMemory(), tariff(QUARTER), 9000.0, 9000.0, 9000.0, 9000.0)
    later = datetime(2024, 7, 1, tzinfo=UTC)
    fed(memory, tariff(QUARTER), 3000.0, 3000.0, 3000.0, 3000.0, start=later)

    assert pytest.approx(3000.0) == memory.peaks_w[("capacity", "2024-07")]


def test_only_windows_in_which_load_counts_make_a_peak():
    evening = ClockWindow(months=ALL_YEAR, weekdays=EVERY_DAY, start_s=17 * 3600, end_s=20 * 3600)
    what = tariff(DemandCharge(name="evening", price_per_kw=10.0, window_s=900, when=(evening,)))

    assert {} == fed(PeakMemory(), what, 9000.0, 9000.0, 9000.0).peaks_w


def test_a_plan_is_told_what_is_paid_already_and_what_runs():
    what = tariff(QUARTER)
    memory = fed(PeakMemory(), what, 9000.0, 9000.0, 9000.0, 6000.0, 6000.0)
    (charge,) = demand_charges(memory, what, TimeGrid.uniform(T0 + timedelta(seconds=1200), step_s=300, steps=6))

    assert (10.0, 900, pytest.approx(9000.0), pytest.approx(500.0), True) == (
        charge.price_per_kw,
        charge.window_s,
        charge.peak_so_far_w,
        charge.running_energy_wh,
        bool(charge.applies.all()),
    )

"""Tariffs and bills: by hand to the cent, minute by minute, and the plan's cost equal to the bill."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.model.bill import Bill, BillLine, LineKind, bill
from loadmgr.model.calendar import ClockWindow
from loadmgr.model.series import StepFunction, TimeGrid
from loadmgr.model.tariff import (
    DemandCharge,
    DynamicRate,
    FixedFee,
    FixedRate,
    Levy,
    Ratchet,
    RatePeriod,
    Surcharge,
    Tariff,
    Tier,
    TimeOfUseRate,
    billed_w,
    demand_windows,
    peaks_w,
    prices,
    used_kwh,
)  # fmt: skip
from tests.tariff_samples import BERLIN, DAY_AHEAD, EVENING, HOUR, NIGHT, TIME_OF_USE, berlin


def _hours(start: datetime, count: int) -> TimeGrid:
    return TimeGrid.uniform(start, step_s=HOUR, steps=count)


def test_a_fixed_price_carries_surcharges_and_tax() -> None:
    tariff = Tariff(
        time_zone="UTC",
        energy=FixedRate(price_per_kwh=0.10),
        surcharges=(Surcharge(name="grid", rate=FixedRate(price_per_kwh=0.05)),),
        tax_ratio=0.2,
    )
    assert prices(tariff, _hours(berlin(2024, 7, 1), 2)) == pytest.approx([0.18, 0.18])


def test_time_of_use_follows_the_local_clock_through_the_spring_change() -> None:
    tariff = Tariff(time_zone=BERLIN, energy=TIME_OF_USE)
    day = prices(tariff, _hours(berlin(2024, 3, 31), 23))
    # 23 hours: 00-05 is four hours long, because 02-03 is skipped; 31 March 2024 is a Sunday, so there is no peak.
    assert day == pytest.approx([0.20] * 4 + [0.30] * 18 + [0.20])


def test_time_of_use_follows_the_local_clock_through_the_autumn_change() -> None:
    tariff = Tariff(time_zone=BERLIN, energy=TIME_OF_USE)
    day = prices(tariff, _hours(berlin(2024, 10, 27), 25))
    assert day == pytest.approx([0.20] * 6 + [0.30] * 18 + [0.20])


def test_a_step_across_two_periods_has_the_mean_price_weighted_by_time() -> None:
    tariff = Tariff(time_zone=BERLIN, energy=TIME_OF_USE)
    grid = TimeGrid(berlin(2024, 7, 1, 16, 45), (HOUR,))
    assert prices(tariff, grid) == pytest.approx([0.25 * 0.30 + 0.75 * 0.42])


def test_a_dynamic_series_that_ends_too_early_is_refused_with_its_place() -> None:
    start = berlin(2024, 7, 1)
    rate = DynamicRate(price_per_kwh=StepFunction((start,), (0.1,), start + timedelta(hours=1)))
    tariff = Tariff(time_zone=BERLIN, energy=rate)
    assert prices(tariff, _hours(start, 1)) == [0.1]
    with pytest.raises(ValueError, match=r"no price for energy: .*2024-06-30T23:00:00"):
        prices(tariff, _hours(start, 2))
    with pytest.raises(ValueError, match="no price for energy"):
        bill(tariff, _hours(start, 2), [1.0, 1.0])


def test_a_bill_by_hand_to_the_cent() -> None:
    """Friday 5 July 2024, 10 kW from 16:00 to 22:00, 2 kW sold at noon.

    Energy 40 kWh in the peak at 0.42 and 20 kWh by day at 0.30 = 16.80 + 6.00; grid fee 60 x 0.08 = 4.80; capacity
    10 kW at 9.50 = 95.00; tax 19 % of 122.60 = 23.294; export 2 kWh at 0.07 = 0.14.
    """
    tariff = Tariff(
        time_zone=BERLIN,
        energy=TIME_OF_USE,
        surcharges=(Surcharge(name="grid fee", rate=FixedRate(price_per_kwh=0.08)),),
        tax_ratio=0.19,
        export=FixedRate(price_per_kwh=0.07),
        demand=(DemandCharge(name="capacity", price_per_kw=9.50),),
    )
    load_w = [0.0] * 24
    load_w[16:22] = [10_000.0] * 6
    load_w[12] = -2_000.0
    made = bill(tariff, _hours(berlin(2024, 7, 5), 24), load_w)
    shown = [(line.kind, line.name, round(line.quantity, 3), line.unit, round(line.amount, 3)) for line in made.lines]
    assert shown == [
        (LineKind.ENERGY, "energy day", 20.0, "kWh", 6.0),
        (LineKind.ENERGY, "energy peak", 40.0, "kWh", 16.8),
        (LineKind.SURCHARGE, "grid fee", 60.0, "kWh", 4.8),
        (LineKind.DEMAND, "capacity", 10.0, "kW", 95.0),
        (LineKind.TAX, "tax", 122.6, "EUR", 23.294),
        (LineKind.EXPORT, "export", 2.0, "kWh", -0.14),
    ]
    assert made.total == pytest.approx(145.754)
    assert made.amount(LineKind.ENERGY, LineKind.SURCHARGE) == pytest.approx(27.6)


def test_every_line_of_a_bill_is_quantity_times_price() -> None:
    tariff = Tariff(
        time_zone=BERLIN,
        energy=DAY_AHEAD,
        tax_ratio=0.07,
        export=DAY_AHEAD,
        demand=(DemandCharge(name="c", price_per_kw=3.0),),
    )
    made = bill(tariff, _hours(berlin(2024, 1, 30), 96), [1000.0 * (i % 5 - 1) for i in range(96)])
    assert {line.month for line in made.lines} == {"2024-01", "2024-02"}
    for line in made.lines:
        assert line.quantity * line.price == pytest.approx(line.amount, abs=1e-12)


@given(st.integers(0, 7 * 24 * 60), st.lists(st.integers(1, 150), min_size=1, max_size=12), st.randoms())
@settings(max_examples=40, deadline=None)
def test_the_bill_equals_a_reading_of_the_meter_minute_by_minute(
    offset: int, minutes: list[int], random: object
) -> None:
    start = berlin(2024, 10, 24) + timedelta(minutes=offset)
    grid = TimeGrid(start, tuple(60 * m for m in minutes))
    load_w = [random.uniform(-3000.0, 9000.0) for _ in minutes]  # type: ignore[attr-defined]
    tariff = Tariff(
        time_zone=BERLIN,
        energy=TIME_OF_USE,
        surcharges=(Surcharge(name="market", rate=DAY_AHEAD),),
        tax_ratio=0.19,
        export=DAY_AHEAD,
    )
    expected, at = [], start
    for load, length in zip(load_w, minutes, strict=True):
        for _ in range(length):
            local = at.astimezone(ZoneInfo(BERLIN))
            market = 0.05 + 0.001 * (local.weekday() * 24 + local.hour)
            kwh = load / 60_000.0
            expected.append(kwh * (TIME_OF_USE.lookup(local)[1] + market) * 1.19 if kwh > 0.0 else kwh * market)
            at += timedelta(minutes=1)
    assert bill(tariff, grid, load_w).total == pytest.approx(math.fsum(expected), abs=1e-9)


def test_tiers_count_the_energy_of_the_month_and_start_anew() -> None:
    """300 kWh in July, of which 120 above 180; 20 in August."""
    rate = FixedRate(price_per_kwh=0.10, tiers=(Tier(above=100.0, price=0.20), Tier(above=180.0, price=0.40)))
    tariff = Tariff(time_zone=BERLIN, energy=rate)
    made = bill(tariff, _hours(berlin(2024, 7, 31, 9), 17), [20_000.0] * 15 + [10_000.0] * 2)
    assert [(line.month, line.name, round(line.quantity, 6), round(line.amount, 6)) for line in made.lines] == [
        ("2024-07", "energy", 100.0, 10.0),
        ("2024-07", "energy, above 100 kWh", 80.0, 16.0),
        ("2024-07", "energy, above 180 kWh", 120.0, 48.0),
        ("2024-08", "energy", 20.0, 2.0),
    ]


def test_the_memory_of_tiers_carries_a_bill_over_from_one_grid_to_the_next() -> None:
    rate = FixedRate(price_per_kwh=0.10, tiers=(Tier(above=100.0, price=0.20),))
    tariff = Tariff(time_zone=BERLIN, energy=rate)
    whole = _hours(berlin(2024, 7, 1), 30)
    first, second = _hours(berlin(2024, 7, 1), 11), _hours(berlin(2024, 7, 1, 11), 19)
    used = used_kwh(tariff, first, [5000.0] * 11)
    assert used == {("energy", "2024-07"): 55.0}
    halves = bill(tariff, first, [5000.0] * 11).total + bill(tariff, second, [5000.0] * 19, used=used).total
    assert halves == pytest.approx(bill(tariff, whole, [5000.0] * 30).total)
    assert used_kwh(tariff, second, [5000.0] * 19, before=used) == {("energy", "2024-07"): 150.0}


def test_levies_are_on_their_kinds_and_tax_is_on_everything() -> None:
    """100 kWh at 0.20 + 0.05, 10 kW at 3, a fee of 1 a day: 20 + 5 + 30 + 1; 10 % on energy, 19 % on all 58."""
    tariff = Tariff(
        time_zone=BERLIN,
        energy=FixedRate(price_per_kwh=0.20),
        surcharges=(Surcharge(name="grid", rate=FixedRate(price_per_kwh=0.05)),),
        demand=(DemandCharge(name="capacity", price_per_kw=3.0),),
        fees=(FixedFee(name="meter", per_day=1.0),),
        levies=(Levy(name="town", ratio=0.10, on=frozenset({LineKind.ENERGY})),),
        tax_ratio=0.19,
    )
    made = bill(tariff, _hours(berlin(2024, 7, 1), 24), [10_000.0] * 10 + [0.0] * 14)
    assert [(line.kind.value, round(line.amount, 6)) for line in made.lines] == [
        ("energy", 20.0), ("surcharge", 5.0), ("demand", 30.0), ("fee", 1.0), ("levy", 2.0), ("tax", 11.02),
    ]  # fmt: skip
    assert made.total == pytest.approx(69.02)


def test_a_monthly_fee_is_billed_by_the_share_of_days_also_when_the_clocks_change() -> None:
    tariff = Tariff(
        time_zone=BERLIN, energy=FixedRate(price_per_kwh=0.0), fees=(FixedFee(name="meter", per_month=31.0),)
    )
    march = bill(tariff, _hours(berlin(2024, 3, 1), 31 * 24 - 1), [0.0] * (31 * 24 - 1))
    assert march.total == pytest.approx(31.0)
    day = bill(tariff, _hours(berlin(2024, 3, 31), 23), [0.0] * 23)
    assert day.total == pytest.approx(1.0)


@pytest.mark.parametrize(("year", "days"), [(2023, 28), (2024, 29)])
def test_a_season_that_ends_with_february_has_29_days_in_a_leap_year(year: int, days: int) -> None:
    winter = ClockWindow(season=((12, 1), (2, 29)))
    tariff = Tariff(
        time_zone=BERLIN,
        energy=TimeOfUseRate(
            periods=(RatePeriod(name="winter", price_per_kwh=0.4, windows=(winter,)),), otherwise_per_kwh=0.2
        ),
        fees=(FixedFee(name="meter", per_month=float(days)),),
        demand=(DemandCharge(name="capacity", price_per_kw=10.0),),
    )
    february = bill(tariff, _hours(berlin(year, 2, 1), days * 24), [1000.0] * days * 24)
    assert {line.month for line in february.lines} == {f"{year}-02"}
    assert february.total == pytest.approx(days * 24 * 0.4 + days + 10.0)
    last = bill(tariff, _hours(berlin(year, 2, days), 48), [1000.0] * 48)
    assert last.amount(LineKind.ENERGY) == pytest.approx(24 * 0.4 + 24 * 0.2)
    assert last.amount(LineKind.FEE) == pytest.approx(1.0 + days / 31.0)


def _demand(made: Bill) -> list[BillLine]:
    return [line for line in made.lines if line.kind is LineKind.DEMAND]


def test_a_ratchet_bills_a_share_of_the_highest_earlier_peak_until_it_is_forgotten() -> None:
    charge = DemandCharge(name="c", price_per_kw=10.0, ratchet=Ratchet(ratio=0.8, months=11))
    tariff = Tariff(time_zone=BERLIN, energy=FixedRate(price_per_kwh=0.0), demand=(charge,))
    summer = {("c", "2023-07"): 20_000.0}
    may = bill(tariff, _hours(berlin(2024, 5, 1), 2), [5000.0, 0.0], before=summer)
    assert [(line.name, line.quantity, line.amount) for line in _demand(may)] == [
        ("c (80% of an earlier peak)", 16.0, 160.0)
    ]
    july = bill(tariff, _hours(berlin(2024, 7, 1), 2), [5000.0, 0.0], before=summer)
    assert [(line.name, line.quantity, line.amount) for line in _demand(july)] == [("c", 5.0, 50.0)]
    (window, _) = demand_windows(
        replace(tariff, demand=(replace(charge, window_s=3600),)), _hours(berlin(2024, 5, 1), 2), before=summer
    )
    assert window.floor_w == 16_000.0


def test_a_ratchet_may_remember_the_summer_only() -> None:
    charge = DemandCharge(
        name="c", price_per_kw=1.0, ratchet=Ratchet(ratio=0.5, months=11, of_months=frozenset({6, 7, 8}))
    )
    peaks = {("c", "2024-01"): 90_000.0, ("c", "2023-08"): 40_000.0, ("other", "2023-08"): 80_000.0}
    assert billed_w(charge, "2024-04", peaks) == 20_000.0


def test_a_minimum_is_billed_where_the_peak_stays_below() -> None:
    charge = DemandCharge(name="c", price_per_kw=4.0, minimum_kw=2.5)
    tariff = Tariff(time_zone=BERLIN, energy=FixedRate(price_per_kwh=0.0), demand=(charge,))
    made = bill(tariff, _hours(berlin(2024, 5, 1), 2), [1000.0, 0.0])
    assert [(line.name, line.quantity, line.amount) for line in _demand(made)] == [("c (minimum)", 2.5, 10.0)]


def test_tiers_of_demand_are_billed_line_by_line() -> None:
    """130 kW: 100 at 24.368 and 30 at 17.031, the first published tiers of a US utility."""
    charge = DemandCharge(name="c", price_per_kw=24.368, tiers=(Tier(above=100.0, price=17.031),))
    tariff = Tariff(time_zone=BERLIN, energy=FixedRate(price_per_kwh=0.0), demand=(charge,))
    made = bill(tariff, _hours(berlin(2024, 5, 1), 1), [130_000.0])
    assert [(line.name, line.quantity, round(line.amount, 3)) for line in _demand(made)] == [
        ("c", 100.0, 2436.8), ("c, above 100 kW", 30.0, 510.93),
    ]  # fmt: skip


def test_only_the_hours_of_the_grids_own_peak_count_where_demand_is_coincident() -> None:
    charge = DemandCharge(
        name="c", price_per_kw=1.0, window_s=3600, coincident=(berlin(2024, 7, 1, 17), berlin(2024, 7, 9, 18))
    )
    tariff = Tariff(time_zone=BERLIN, energy=FixedRate(price_per_kwh=0.0), demand=(charge,))
    load_w = [50_000.0] * 24
    load_w[17] = 3000.0
    assert peaks_w(tariff, _hours(berlin(2024, 7, 1), 24), load_w) == {("c", "2024-07"): 3000.0}


def test_prices_of_demand_may_change_with_the_month() -> None:
    charge = DemandCharge(name="c", price_per_kw=0.0, month_prices=(1.0,) * 5 + (7.0,) * 7)
    tariff = Tariff(time_zone=BERLIN, energy=FixedRate(price_per_kwh=0.0), demand=(charge,))
    made = bill(tariff, _hours(berlin(2024, 5, 31, 23), 2), [1000.0, 2000.0])
    assert [(line.month, line.amount) for line in _demand(made)] == [("2024-05", 1.0), ("2024-06", 14.0)]


def test_demand_takes_the_highest_clock_window_of_the_month_not_a_rolling_one() -> None:
    tariff = Tariff(
        time_zone=BERLIN, energy=FixedRate(price_per_kwh=0.0), demand=(DemandCharge(name="c", price_per_kw=1.0),)
    )
    # 6 kW from 12:07:30 to 12:22:30: half of two windows, so 3 kW in each.
    grid = TimeGrid(berlin(2024, 7, 1, 12), (450, 900, 450))
    assert peaks_w(tariff, grid, [0.0, 6000.0, 0.0]) == {("c", "2024-07"): 3000.0}


def test_the_memory_of_a_month_keeps_the_higher_peak_and_starts_anew_in_the_next() -> None:
    tariff = Tariff(
        time_zone=BERLIN, energy=FixedRate(price_per_kwh=0.0), demand=(DemandCharge(name="c", price_per_kw=1.0),)
    )
    july = _hours(berlin(2024, 7, 31, 23), 2)
    before = {("c", "2024-07"): 5000.0}
    assert peaks_w(tariff, july, [4000.0, 1000.0], before=before) == {
        ("c", "2024-07"): 5000.0,
        ("c", "2024-08"): 1000.0,
    }


def test_demand_counts_only_in_its_hours_and_never_from_export() -> None:
    charge = DemandCharge(
        name="day", price_per_kw=1.0, window_s=3600, when=(ClockWindow(start_s=8 * HOUR, end_s=20 * HOUR),)
    )
    tariff = Tariff(time_zone=BERLIN, energy=FixedRate(price_per_kwh=0.0), demand=(charge,))
    grid = _hours(berlin(2024, 7, 1), 24)
    load_w = [9000.0 if hour < 8 or hour >= 20 else -500.0 for hour in range(24)]
    assert peaks_w(tariff, grid, load_w) == {("day", "2024-07"): 0.0}
    load_w[19] = 700.0
    assert peaks_w(tariff, grid, load_w) == {("day", "2024-07"): 700.0}


def test_a_window_that_began_before_the_grid_counts_what_was_metered_in_it() -> None:
    tariff = Tariff(
        time_zone=BERLIN, energy=FixedRate(price_per_kwh=0.0), demand=(DemandCharge(name="c", price_per_kw=1.0),)
    )
    grid = TimeGrid(berlin(2024, 7, 1, 12, 10), (300,))
    (window,) = demand_windows(tariff, grid)
    assert window.start == berlin(2024, 7, 1, 12)
    assert window.mean_w([3000.0]) == pytest.approx(1000.0)
    assert window.mean_w([3000.0], before_wh=500.0) == pytest.approx(3000.0)


def test_hourly_windows_begin_on_the_local_hour_where_zones_are_off_by_quarters() -> None:
    tariff = Tariff(
        time_zone="Asia/Kathmandu",
        energy=FixedRate(price_per_kwh=0.0),
        demand=(DemandCharge(name="c", price_per_kw=1.0, window_s=3600),),
    )
    grid = TimeGrid.uniform(datetime(2024, 7, 1, tzinfo=UTC), step_s=900, steps=8)
    starts = [w.start.astimezone(ZoneInfo("Asia/Kathmandu")).strftime("%H:%M") for w in demand_windows(tariff, grid)]
    assert starts == ["05:00", "06:00", "07:00"]


def test_periods_that_overlap_or_leave_a_gap_are_refused_by_name() -> None:
    late = RatePeriod(name="late", price_per_kwh=0.1, windows=(ClockWindow(start_s=20 * HOUR, end_s=22 * HOUR),))
    with pytest.raises(ValueError, match="periods must not overlap: peak and late do"):
        TimeOfUseRate(periods=(EVENING, late), otherwise_per_kwh=0.3)
    with pytest.raises(ValueError, match=r"no period covers Monday 05:00, as from 1 January"):
        TimeOfUseRate(periods=(EVENING, NIGHT))


def test_a_load_that_does_not_match_the_grid_is_refused() -> None:
    tariff = Tariff(time_zone="UTC", energy=FixedRate(price_per_kwh=0.1))
    with pytest.raises(ValueError, match="load_w must hold 2 values"):
        bill(tariff, _hours(berlin(2024, 7, 1), 2), [1.0])


@pytest.mark.parametrize(
    ("keys", "said"), [({"window_s": 7 * 60}, "must divide an hour"), ({"price_per_kw": -1.0}, "must be 0 or above")]
)
def test_a_demand_charge_that_cannot_be_is_refused(keys: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DemandCharge(**{"name": "c", "price_per_kw": 1.0, **keys})  # type: ignore[arg-type]


def test_names_of_charges_must_differ() -> None:
    charge = DemandCharge(name="c", price_per_kw=1.0)
    with pytest.raises(ValueError, match="names of demand must be unique, c occurs twice"):
        Tariff(time_zone="UTC", energy=FixedRate(price_per_kwh=0.1), demand=(charge, charge))

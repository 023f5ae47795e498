"""The cost that a planner counts for a load is the bill of that load, for any tariff."""

import math
from calendar import monthrange
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.model.bill import LineKind, bill
from loadmgr.model.calendar import ClockWindow, local_days
from loadmgr.model.series import TimeGrid
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
    demand_cost,
    demand_windows,
    energy_blocks,
    export_prices,
    peaks_w,
    prices,
    ratchet_w,
)  # fmt: skip
from tests.tariff_samples import BERLIN, DAY_AHEAD, HOUR, berlin


@st.composite
def tiers(draw: st.DrawFn, top: float) -> tuple[Tier, ...]:
    bounds = sorted(draw(st.sets(st.floats(1.0, top), max_size=2)))
    return tuple(Tier(above=above, price=draw(st.floats(0.0, 20.0))) for above in bounds)


def _without_tiers(
    rate: FixedRate | TimeOfUseRate | DynamicRate | None,
) -> FixedRate | TimeOfUseRate | DynamicRate | None:
    match rate:
        case FixedRate():
            return replace(rate, tiers=())
        case TimeOfUseRate():
            return replace(rate, periods=tuple(replace(p, tiers=()) for p in rate.periods))
        case _:
            return rate


@st.composite
def demand_charges(draw: st.DrawFn, name: str) -> DemandCharge:
    monthly = draw(st.booleans())
    return DemandCharge(
        name=name,
        price_per_kw=draw(st.floats(0.0, 20.0)),
        window_s=draw(st.sampled_from([900, 3600])),
        when=draw(st.sampled_from([(), (ClockWindow(start_s=8 * HOUR, end_s=20 * HOUR),)])),
        coincident=draw(st.sampled_from([(), tuple(berlin(2024, 3, 30, hour) for hour in range(12, 18))])),
        month_prices=tuple(float(m) for m in range(12)) if monthly else (),
        tiers=() if monthly else draw(tiers(15.0)),
        ratchet=draw(st.none() | st.builds(Ratchet, ratio=st.floats(0.1, 1.0), months=st.integers(1, 12))),
        minimum_kw=draw(st.sampled_from([0.0, 2.5])),
    )


LEVIED = (LineKind.ENERGY, LineKind.SURCHARGE, LineKind.DEMAND, LineKind.FEE)


@st.composite
def rates(draw: st.DrawFn) -> FixedRate | TimeOfUseRate | DynamicRate:
    price = st.floats(-0.2, 0.6)
    kind = draw(st.sampled_from(["fixed", "clock", "cycle"]))
    if kind == "fixed":
        return FixedRate(price_per_kwh=draw(price), tiers=draw(tiers(50.0)))
    if kind == "cycle":
        return DAY_AHEAD
    start, length = draw(st.integers(0, 95)), draw(st.integers(1, 95))
    window = ClockWindow(
        weekdays=draw(st.frozensets(st.integers(0, 6), min_size=1)),
        start_s=start * 900,
        end_s=(start + length) % 96 * 900,
    )
    period = RatePeriod(name="p", price_per_kwh=draw(price), windows=(window,), tiers=draw(tiers(50.0)))
    return TimeOfUseRate(periods=(period,), otherwise_per_kwh=draw(price))


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    return Tariff(
        time_zone=draw(st.sampled_from([BERLIN, "America/New_York", "Asia/Kathmandu", "UTC"])),
        energy=draw(rates()),
        surcharges=tuple(Surcharge(name=str(i), rate=draw(rates())) for i in range(draw(st.integers(0, 2)))),
        tax_ratio=draw(st.floats(0.0, 0.3)),
        export=_without_tiers(draw(st.none() | rates())),
        demand=tuple(draw(demand_charges(str(i))) for i in range(draw(st.integers(0, 2)))),
        fees=tuple(draw(st.sampled_from([(), (FixedFee(name="meter", per_month=12.0, per_day=0.4),)]))),
        levies=tuple(
            Levy(
                name=str(i),
                ratio=draw(st.floats(0.0, 0.2)),
                on=draw(st.frozensets(st.sampled_from(LEVIED), min_size=1)),
            )
            for i in range(draw(st.integers(0, 2)))
        ),
    )


MEMORIES = ({}, {("0", "2024-02"): 9000.0, ("0", "2024-03"): 1000.0, ("1", "2023-07"): 12_000.0})
USED = ({}, {("energy", "2024-03"): 30.0, ("energy p", "2024-03"): 5.0, ("0", "2024-03"): 70.0})


def _cost_of_plan(
    tariff: Tariff,
    grid: TimeGrid,
    load_w: list[float],
    *,
    before: dict[tuple[str, str], float],
    used: dict[tuple[str, str], float],
) -> float:
    """Return what a planner counts: prices, blocks, demand above what is billed anyway, and what it cannot change."""
    bought = [p * max(w, 0.0) * h / 1000.0 for p, w, h in zip(prices(tariff, grid), load_w, grid.hours, strict=True)]
    sold = [
        p * max(-w, 0.0) * h / 1000.0 for p, w, h in zip(export_prices(tariff, grid), load_w, grid.hours, strict=True)
    ]
    blocks = [part.cost(load_w) for part in energy_blocks(tariff, grid, used=used)]
    months = local_days(tariff.zone, grid.start, grid.end)
    billed = {(charge.name, month): billed_w(charge, month, before) for charge in tariff.demand for month in months}
    for window in demand_windows(tariff, grid, before=before):
        key = (window.charge, window.month)
        assert window.floor_w <= billed[key]
        # A ratchet may turn to a peak that the grid itself holds in an earlier month.
        billed[key] = max(billed[key], window.mean_w(load_w))
    charges = {charge.name: charge for charge in tariff.demand}
    for month in sorted(months):
        for name, charge in charges.items():
            billed[name, month] = max(
                billed[name, month], ratchet_w(charge, month, peaks_w(tariff, grid, load_w, before=before))
            )
    demand = [demand_cost(charges[name], month, w / 1000.0) for (name, month), w in billed.items()]
    fees = [
        fee.per_day * days + fee.per_month * days / monthrange(int(month[:4]), int(month[5:]))[1]
        for month, days in months.items()
        for fee in tariff.fees
    ]
    return (
        math.fsum(bought)
        - math.fsum(sold)
        + math.fsum(blocks)
        + math.fsum(demand) * tariff.factor(LineKind.DEMAND)
        + math.fsum(fees) * tariff.factor(LineKind.FEE)
    )


@given(
    tariffs(),
    st.integers(0, 3000),
    st.lists(st.tuples(st.integers(60, 9000), st.floats(-2e4, 2e4)), min_size=1, max_size=20),
    st.sampled_from(MEMORIES),
    st.sampled_from(USED),
)
@settings(max_examples=150, deadline=None)
def test_the_cost_that_a_plan_sees_is_the_bill_of_its_load(
    tariff: Tariff,
    minutes: int,
    steps: list[tuple[int, float]],
    before: dict[tuple[str, str], float],
    used: dict[tuple[str, str], float],
) -> None:
    grid = TimeGrid(berlin(2024, 3, 29) + timedelta(minutes=minutes), tuple(s for s, _ in steps))
    load_w = [w for _, w in steps]
    made = bill(tariff, grid, load_w, before=before, used=used)
    assert made.total == pytest.approx(
        _cost_of_plan(tariff, grid, load_w, before=before, used=used), rel=1e-9, abs=1e-9
    )
    for line in made.lines:
        assert line.quantity * line.price == pytest.approx(line.amount, rel=1e-12, abs=1e-12)

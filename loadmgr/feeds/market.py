"""A tariff with the prices of a market in it, as far as they are known."""

from dataclasses import replace
from datetime import datetime, timedelta

from loadmgr.model.rates import DynamicRate, rate_series
from loadmgr.model.series import StepFunction, TimeGrid
from loadmgr.model.tariff import Tariff, prices

STEP_S = 900
"""Prices in all are told by the quarter of an hour: surcharges may change within a price of the market."""


def with_market(tariff: Tariff, market: StepFunction, *, start: datetime, end: datetime) -> Tariff:
    """Return a tariff whose energy costs what the market says, and where it says nothing what it costs else.

    Parameters
    ----------
    start, end : datetime
        The span in which both are needed.
    """
    own = rate_series(tariff.energy, zone=tariff.zone, start=start, end=end)
    known = [t for t in (*market.times, *([market.end] if market.end is not None else [])) if start < t < end]
    times = sorted({start, *(t for t in own.times if start < t < end), *known})
    pairs = [(t, own.at(t) if (told := market.at(t)) is None else told) for t in times]
    sound = [(t, price) for t, price in pairs if price is not None]
    series = StepFunction(tuple(t for t, _ in sound), tuple(price for _, price in sound), end)
    return replace(tariff, energy=DynamicRate(price_per_kwh=series))


def prices_in_all(tariff: Tariff, market: StepFunction) -> StepFunction:
    """Return what imported energy costs as far as the market is known: surcharges, levies and tax included.

    Raises
    ------
    ValueError
        If a surcharge has no price there.
    """
    assert market.end is not None
    start, end = market.times[0], market.end
    steps = -int((start - end).total_seconds() // STEP_S)  # the last step reaches a little further where it is cut
    last = start + timedelta(seconds=steps * STEP_S)
    longer = StepFunction(market.times, market.values, max(end, last))
    found = prices(
        replace(tariff, energy=DynamicRate(price_per_kwh=longer)), TimeGrid.uniform(start, step_s=STEP_S, steps=steps)
    )
    times = [start + timedelta(seconds=index * STEP_S) for index in range(steps)]
    kept = [0, *(i for i in range(1, steps) if found[i] != found[i - 1])]
    return StepFunction(tuple(times[i] for i in kept), tuple(found[i] for i in kept), end)

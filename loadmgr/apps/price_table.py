"""What energy costs in the hours to come: the prices of a market where they are known, else the tariff's own."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from loadmgr.apps.process.outside import price_feed
from loadmgr.apps.process.places import beside_journal, default_journal, state_folder
from loadmgr.errors import InputError
from loadmgr.feeds.http_get import place_name
from loadmgr.feeds.market import with_market
from loadmgr.model.series import StepFunction, TimeGrid
from loadmgr.model.tariff import Tariff, prices
from loadmgr.site_file import SiteFile
from loadmgr.site_file.sources import HttpPrices, OpenAdrPlace

STEP_S = 900
LONGEST_BAR = 30
NEAR = timedelta(days=3)
"""Nobody is asked for prices of a plan that is further from now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """What is known: prices of the market (``None`` without), why not more, and the price in all of each step."""

    market: StepFunction | None
    trouble: str | None
    grid: TimeGrid
    in_all: tuple[float, ...]


def default_cache(site_file: SiteFile) -> Path:
    """Return where a site's prices are kept."""
    place = str(default_journal(site_file.path))
    return beside_journal(place, site=site_file.site.name, folder=state_folder())["prices"]


def market_of(site_file: SiteFile, now: datetime) -> tuple[StepFunction | None, str | None]:
    """Return the prices that hold now, from the disk or from who publishes them, and why there are none."""
    feed = price_feed(site_file, cache=default_cache(site_file))
    if feed is None:
        return None, None
    try:
        feed.poll(now)
    except InputError as error:
        return feed.known, f"{feed.id}: {error}"
    return feed.known, None


def tariff_for(
    site_file: SiteFile, now: datetime, *, tell: Callable[[str], None]
) -> Callable[[datetime, datetime], Tariff]:
    """Return what gives the tariff to plan with between two instants: with prices of the market, where they are near.

    Parameters
    ----------
    tell : callable
        Takes why the market's prices are not in it.
    """

    def between(start: datetime, end: datetime) -> Tariff:
        if end < now - NEAR or start > now + NEAR:
            return site_file.tariff
        market, trouble = market_of(site_file, now)
        if trouble is not None:
            tell(trouble)
        return site_file.tariff if market is None else with_market(site_file.tariff, market, start=start, end=end)

    return between


def priced(site_file: SiteFile, now: datetime, *, hours: int) -> Priced:
    """Return what energy costs from the last full hour on.

    Raises
    ------
    InputError
        If the tariff has no price for a part of it.
    """
    start = now.replace(minute=0, second=0, microsecond=0)
    grid = TimeGrid.uniform(start, step_s=STEP_S, steps=hours * 3600 // STEP_S)
    market, trouble = market_of(site_file, now)
    tariff = site_file.tariff
    if market is not None:
        tariff = with_market(tariff, market, start=grid.start, end=grid.end)
    try:
        found = tuple(prices(tariff, grid))
    except ValueError as error:
        raise InputError(f"{site_file.path}: {error}") from error
    return Priced(market=market, trouble=trouble, grid=grid, in_all=found)


def price_document(site_file: SiteFile, known: Priced) -> dict[str, Any]:
    """Return prices as JSON values, by the quarter of an hour."""
    times = known.grid.times
    market = [None if known.market is None else known.market.mean(a, b) for a, b in itertools.pairwise(times)]
    return {
        "site": site_file.site.name,
        "currency": site_file.site.currency,
        "from": None if site_file.prices is None else _name(site_file.prices),
        "known_until": None if known.market is None or known.market.end is None else known.market.end.isoformat(),
        "trouble": known.trouble,
        "prices": [
            {"start": start.isoformat(), "market_per_kwh": told, "price_per_kwh": round(price, 6)}
            for start, told, price in zip(times, market, known.in_all, strict=False)
        ],
    }


def price_lines(site_file: SiteFile, known: Priced) -> Iterator[str]:
    """Yield a table by the hour, with bars."""
    zone, currency = ZoneInfo(site_file.site.time_zone), site_file.site.currency
    yield _heading(site_file, known, zone)
    per_hour = 3600 // STEP_S
    hourly = [sum(known.in_all[i : i + per_hour]) / per_hour for i in range(0, len(known.in_all), per_hour)]
    low, high = min(0.0, *hourly), max(hourly)
    yield f"{'':<12}{'market':>10}{'in all':>10}  {currency} per kWh"
    for index, price in enumerate(hourly):
        start = known.grid.start + timedelta(hours=index)
        told = None if known.market is None else known.market.mean(start, start + timedelta(hours=1))
        shown = "-" if told is None else f"{told:.4f}"
        bar = "#" * round(LONGEST_BAR * (price - low) / (high - low)) if high > low else ""
        yield f"{start.astimezone(zone):%a %d %H:%M}{shown:>10}{price:>10.4f}  {bar}".rstrip()


def _heading(site_file: SiteFile, known: Priced, zone: ZoneInfo) -> str:
    where = site_file.prices
    if where is None:
        return f"{site_file.site.name}: the tariff's own prices; the site file names no others (tariff.prices)"
    name = _name(where)
    if known.market is None or known.market.end is None:
        return f"{site_file.site.name}: {name}: none known; the tariff's own prices hold"
    until = known.market.end.astimezone(zone)
    return f"{site_file.site.name}: {name}; known until {until:%a %d %b %H:%M}, then the tariff's own prices hold"


def _name(where: HttpPrices | OpenAdrPlace) -> str:
    if isinstance(where, OpenAdrPlace):
        return f"OpenADR program {where.program} of {place_name(where.url)}"
    zone = where.zone or where.preset.zone
    return where.preset.name + (f", {zone}" if "{zone}" in where.preset.url else "")

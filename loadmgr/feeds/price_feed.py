"""Prices that somebody publishes a day ahead: fetched when they are due, kept on disk, and missed aloud.

Rules
-----
1. Prices are asked for when they are published, and again every quarter of an hour until they are there. After a fault
   the pauses double, up to an hour: those who publish are not to suffer for it.
2. What was fetched is kept on disk, so that a restart neither asks again nor plans without prices.
3. Where prices are not known the tariff's own hold. That is told as trouble once less than a few hours are known.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from loadmgr.control.observation import PriceUpdated
from loadmgr.errors import InputError
from loadmgr.feeds.http_get import fetch_json
from loadmgr.feeds.market import prices_in_all
from loadmgr.feeds.price_rows import prices_in
from loadmgr.model.series import StepFunction
from loadmgr.model.tariff import Tariff
from loadmgr.site_file.sources import HttpPlace, HttpPrices, PricePreset

TIMEOUT_S = 15.0
AGAIN_S = 900.0
FIRST_PAUSE_S = 60.0
LONGEST_PAUSE_S = 3600.0
SPREAD_S = 600
"""Sites ask at different times within this span after prices are published [s]."""

KEPT = timedelta(days=3)
"""Prices of so long ago are kept, for what sessions have cost."""

SHORT_OF = timedelta(hours=6)
"""Less than this is known: trouble, if no more can be had."""

Fetch = Callable[[HttpPrices, datetime], Any]


def fetched(where: HttpPrices, now: datetime) -> Any:
    """Return the answer of who publishes prices.

    Raises
    ------
    InputError
        If there is none.
    """
    preset = where.preset
    place = HttpPlace(url=filled(preset, where.zone, now), secret=where.secret)
    return fetch_json(place, body=None if preset.body is None else json.loads(preset.body), timeout_s=TIMEOUT_S)


def filled(preset: PricePreset, zone: str | None, now: datetime) -> str:
    """Return the address of a preset with its places filled in."""
    first = _midnight(preset, now)
    last = _midnight(preset, now, days=2)
    return preset.url.format(
        zone=quote(zone or preset.zone or "", safe=""),
        first_day=f"{first.astimezone(ZoneInfo(preset.clock)):%Y-%m-%d}",
        last_day=f"{_midnight(preset, now, days=1).astimezone(ZoneInfo(preset.clock)):%Y-%m-%d}",
        from_ms=int(first.timestamp() * 1000),
        to_ms=int(last.timestamp() * 1000),
        from_utc=f"{first:%Y-%m-%dT%H:%M:%SZ}",
        to_utc=f"{last:%Y-%m-%dT%H:%M:%SZ}",
    )


def _midnight(preset: PricePreset, now: datetime, *, days: int = 0, seconds: int = 0) -> datetime:
    """Return a time of day, so many days from today, on the preset's clock, in UTC."""
    zone = ZoneInfo(preset.clock)
    day = now.astimezone(zone).date() + timedelta(days=days)
    clock = datetime(day.year, day.month, day.day) + timedelta(seconds=seconds)  # noqa: DTZ001 - a local clock
    return clock.replace(tzinfo=zone).astimezone(UTC)


class PriceFeed:
    """Day-ahead prices.

    Parameters
    ----------
    where : HttpPrices
    tariff : Tariff
        Whose surcharges, levies and tax are put on top.
    cache : Path, optional
        Where prices are kept.
    site : str
        Spreads those who ask.
    fetch : callable
        Returns the answer of who publishes them.
    """

    def __init__(
        self, where: HttpPrices, tariff: Tariff, *, cache: Path | None = None, site: str = "", fetch: Fetch = fetched
    ) -> None:
        self.id = f"prices {where.preset.id}"
        self.known: StepFunction | None = None
        self._where, self._tariff, self._cache, self._fetch = where, tariff, cache, fetch
        self._spread = timedelta(seconds=int.from_bytes(hashlib.sha256(site.encode()).digest()[:4]) % SPREAD_S)
        self._due: datetime | None = None
        self._pause_s = FIRST_PAUSE_S
        self._fault: str | None = None

    def poll(self, now: datetime) -> list[PriceUpdated]:
        """Return prices that are new.

        Raises
        ------
        InputError
            If too little is known and no more can be had; the next poll goes on.
        """
        news = self._kept(now) if self._due is None else []
        if self._due is None or now >= self._due:
            news += self._asked(now)
        if self._fault is not None and (self.known is None or (self.known.end or now) - now < SHORT_OF) and not news:
            raise InputError(f"{self._fault}; {self._known_words()}")
        return news

    def _kept(self, now: datetime) -> list[PriceUpdated]:
        """Return prices that are kept on disk; where they reach far enough nobody is asked."""
        found = None if self._cache is None else read_cache(self._cache, self._where)
        if found is None or found.at(now) is None:
            return []
        self.known = found
        if found.end is not None and found.end >= self._wanted(now):
            self._due = self._next_day(now)
        return [self._told(found, now)]

    def _asked(self, now: datetime) -> list[PriceUpdated]:
        try:
            found = _holding(prices_in(self._fetch(self._where, now), self._where.preset), now)
        except InputError as error:
            self._fault = str(error)
            self._due = now + timedelta(seconds=self._pause_s)
            self._pause_s = min(2.0 * self._pause_s, LONGEST_PAUSE_S)
            return []
        self._pause_s, complete = FIRST_PAUSE_S, found.end is not None and found.end >= self._wanted(now)
        self._fault = None if complete else "tomorrow's prices are not there yet"
        self._due = self._next_day(now) if complete else now + timedelta(seconds=AGAIN_S)
        found = continued(self.known, found, since=now - KEPT)
        if found == self.known:
            return []
        self.known = found
        if self._cache is not None:
            write_cache(self._cache, self._where, found)
        return [self._told(found, now)]

    def _told(self, market: StepFunction, now: datetime) -> PriceUpdated:
        try:
            return PriceUpdated(at=now, prices_per_kwh=prices_in_all(self._tariff, market))
        except ValueError as error:
            raise InputError(str(error)) from error

    def _wanted(self, now: datetime) -> datetime:
        """Return until when prices ought to be known: to the end of tomorrow once they are published, else of today."""
        preset = self._where.preset
        days = 1 if now >= self._published(now) else 0
        reach = preset.reaches_s or 24 * 3600
        return _midnight(preset, now, days=days, seconds=reach)

    def _published(self, now: datetime, *, days: int = 0) -> datetime:
        return _midnight(self._where.preset, now, days=days, seconds=self._where.preset.published_s)

    def _next_day(self, now: datetime) -> datetime:
        """Return when to ask again: at the next publication."""
        today = self._published(now) + self._spread
        return today if now < today else self._published(now, days=1) + self._spread

    def _known_words(self) -> str:
        if self.known is None or self.known.end is None:
            return "the tariff's own price holds"
        return f"known until {self.known.end:%Y-%m-%d %H:%M} UTC, then the tariff's own price holds"


def _holding(found: StepFunction, now: datetime) -> StepFunction:
    if found.at(now) is None:
        raise InputError("none of the prices holds now")
    return found


def continued(known: StepFunction | None, found: StepFunction, *, since: datetime) -> StepFunction:
    """Return new prices, after those that were known before them; a hole is not bridged."""
    begin = found.times[0]
    if known is None or known.end is None or known.end < begin:
        return found
    before = [(t, price) for t, price in zip(known.times, known.values, strict=True) if since <= t < begin]
    times = (*(t for t, _ in before), *found.times)
    return StepFunction(times, (*(price for _, price in before), *found.values), found.end)


def read_cache(path: Path, where: HttpPrices) -> StepFunction | None:
    """Return the prices of a place that are kept in a file; ``None`` where there are none that can be used."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if (said["preset"], said["zone"]) != (where.preset.id, where.zone):
            return None
        rows = [(datetime.fromisoformat(start), float(price)) for start, price in said["rows"]]
        return StepFunction(
            tuple(start for start, _ in rows), tuple(price for _, price in rows), datetime.fromisoformat(said["end"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or broken: prices are asked for anew


def write_cache(path: Path, where: HttpPrices, known: StepFunction) -> None:
    """Keep prices in a file, as a whole or not at all; a disk that does not take them costs a question more."""
    rows = [[start.isoformat(), price] for start, price in zip(known.times, known.values, strict=True)]
    end = None if known.end is None else known.end.isoformat()
    text = json.dumps({"preset": where.preset.id, "zone": where.zone, "end": end, "rows": rows})
    beside = path.with_name(f"{path.name}.new")
    try:
        beside.write_text(text + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)

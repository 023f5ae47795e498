"""Limits and prices from an OpenADR 3 server.

Rules
-----
1. Every answer that can be read is a word of life of a source of limits. Of limits at one time the lowest holds.
2. What was announced for later comes into force also while the server is away, but is no word of life then: it is told
   as of the last answer, and the dead man goes on counting.
3. A price that is told with a currency of others, or per something else than energy, is refused with its event. Where
   nothing is told the tariff's own price holds; of prices at one time that of the event with the lowest number does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from loadmgr.control.observation import LimitChanged, PriceUpdated
from loadmgr.errors import InputError
from loadmgr.feeds.dead_man import DeadMan
from loadmgr.feeds.market import prices_in_all, with_market
from loadmgr.feeds.openadr import LAST, Value, Vtn
from loadmgr.model.rates import rate_series
from loadmgr.model.series import StepFunction
from loadmgr.model.tariff import Tariff
from loadmgr.model.topology import PhaseLimits
from loadmgr.site_file.sources import OpenAdrPlace
from loadmgr.site_file.values import Cap

LIMIT, SIMPLE, PRICE = "IMPORT_CAPACITY_LIMIT", "SIMPLE", "PRICE"
KILO = 1000.0

AHEAD = timedelta(days=3)
"""Prices further ahead are not looked at."""

Values = Callable[[Sequence[str]], list[Value]]


@dataclass(frozen=True, slots=True)
class _Cap:
    limit_a: PhaseLimits | None
    limit_w: float | None
    until: datetime | None


class OpenAdrLimitFeed:
    """Limits of a program.

    Parameters
    ----------
    dead_man : DeadMan
    values : callable
        Returns what the program's events tell.
    levels : sequence of Cap
        What levels 1, 2 and 3 of SIMPLE events mean; empty where they mean nothing.
    remembered : bool
        What the source last said is known.
    """

    def __init__(
        self, dead_man: DeadMan, values: Values, *, levels: Sequence[Cap] = (), remembered: bool = False
    ) -> None:
        self.id = dead_man.source
        self._dead_man, self._values, self._levels = dead_man, values, levels
        self._known: list[Value] = []
        self._heard_at: datetime | None = None
        self._told: _Cap | None = None
        self._told_at: datetime | None = None
        self._began = remembered

    def poll(self, now: datetime) -> list[LimitChanged]:
        """Return the limit that holds now if it is new, or due to be repeated.

        Raises
        ------
        InputError
            If the server cannot be used, or tells what cannot be read.
        """
        first = [] if self._began else self._dead_man.begin(now)
        self._began = True
        if first:
            self._told_at = now
        try:
            found = self._values([LIMIT, SIMPLE] if self._levels else [LIMIT])
            for value in found:
                self._cap(value)
            self._known, self._heard_at = found, now
        except InputError:
            news = [] if self._heard_at is None else self._news(now, self._heard_at)
            if first or news:
                return first + news
            raise
        return first + self._news(now, now)

    def _news(self, now: datetime, heard_at: datetime) -> list[LimitChanged]:
        held = self._held(now)
        if held == self._told and not (heard_at == now and self._dead_man.is_due(self._told_at, now)):
            return []
        self._told, self._told_at = held, heard_at
        word = {"limit_a": held.limit_a, "limit_w": held.limit_w, "until": held.until}
        return [self._dead_man.word(word, heard_at)]

    def _held(self, now: datetime) -> _Cap:
        caps = [self._cap(value) for value in self._known if value.start <= now < value.end]
        amps = min((c.limit_a[0] or 0.0 for c in caps if c.limit_a is not None), default=None)
        watts = min((c.limit_w for c in caps if c.limit_w is not None), default=None)
        ends = [c.until for c in caps if c.until is not None and (c.limit_a is not None or c.limit_w is not None)]
        single = len(caps) == 1 and len(ends) == 1  # of several the first end is not that of all
        return _Cap(None if amps is None else (amps, amps, amps), watts, ends[0] if single else None)

    def _cap(self, value: Value) -> _Cap:
        until = None if value.end >= LAST else value.end
        if value.kind == SIMPLE:
            level = int(value.value)
            if level <= 0:
                return _Cap(None, None, until)
            cap = self._levels[min(level, len(self._levels)) - 1]
            lowest = None if cap.current_a is None else min((a for a in cap.current_a if a is not None), default=None)
            return _Cap(None if lowest is None else (lowest, lowest, lowest), cap.power_w, until)
        if value.value < 0.0:
            raise InputError(f"an import limit of {value.value:g} is below 0")
        unit = value.unit.upper()
        if unit in ("KW", "W"):
            return _Cap(None, value.value * (KILO if unit == "KW" else 1.0), until)
        if unit in ("AMPS", "A"):
            return _Cap((value.value, value.value, value.value), None, until)
        raise InputError(f"an import limit in {value.unit or 'no unit'}: its descriptor must say KW or AMPS")


class OpenAdrPriceFeed:
    """Prices of a program.

    Parameters
    ----------
    tariff : Tariff
        Whose surcharges, levies and tax are put on top.
    """

    def __init__(self, values: Values, tariff: Tariff) -> None:
        self.id = "prices openadr"
        self.known: StepFunction | None = None
        self._values, self._tariff = values, tariff
        self._told: tuple[Value, ...] | None = None

    def poll(self, now: datetime) -> list[PriceUpdated]:
        """Return prices that are new, or that reach further by now.

        Raises
        ------
        InputError
            If the server cannot be used, or tells what cannot be read.
        """
        found = tuple(v for v in self._values([PRICE]) if v.end > now and v.start < now + AHEAD)
        end = max((min(v.end, _hour(now) + AHEAD) for v in found), default=now)
        reaches = self.known is None or self.known.end is None or self.known.end >= min(end, now + AHEAD / 2)
        if found == self._told and reaches:
            return []
        self.known = self._energy(found, start=_hour(now), end=end)
        self._told = found
        told = StepFunction((), ()) if self.known is None else prices_in_all(self._tariff, self.known)
        return [PriceUpdated(at=now, prices_per_kwh=told)]

    def _energy(self, values: Sequence[Value], *, start: datetime, end: datetime) -> StepFunction | None:
        """Return what energy costs between two instants: what is told, and the tariff's own in between."""
        if not values:
            return None
        tariff = self._tariff
        for value in sorted(values, key=lambda v: (-v.priority, v.start)):  # the last one put in holds
            told = StepFunction((max(value.start, start),), (self._per_kwh(value),), min(value.end, end))
            tariff = with_market(tariff, told, start=start, end=end)
        return rate_series(tariff.energy, zone=tariff.zone, start=start, end=end)

    def _per_kwh(self, value: Value) -> float:
        unit = value.unit.upper()
        if unit not in ("KWH", "MWH"):
            raise InputError(f"a price per {value.unit or 'nothing'}: its descriptor must say KWH")
        if value.currency and value.currency.upper() != self._tariff.currency:
            raise InputError(f"a price in {value.currency}, and the site pays in {self._tariff.currency}")
        return value.value / (KILO if unit == "MWH" else 1.0)


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def limit_feed_of(
    place: OpenAdrPlace, dead_man: DeadMan, *, levels: Sequence[Cap], remembered: bool
) -> OpenAdrLimitFeed:
    """Return the feed of a program's limits on its server."""
    return OpenAdrLimitFeed(dead_man, Vtn(place).values, levels=levels, remembered=remembered)


def price_feed_of(place: OpenAdrPlace, tariff: Tariff) -> OpenAdrPriceFeed:
    """Return the feed of a program's prices on its server."""
    return OpenAdrPriceFeed(Vtn(place).values, tariff)

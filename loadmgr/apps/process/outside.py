"""What comes from outside at work: the meters, limits and prices that a site file names, and the evidence of limits."""

import asyncio
import logging
from collections.abc import Callable, Collection, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol, cast

from loadmgr.control.decision import Decision
from loadmgr.control.observation import LimitChanged, PriceUpdated
from loadmgr.errors import InputError
from loadmgr.feeds.dead_man import DeadMan
from loadmgr.feeds.evidence_log import EvidenceLog
from loadmgr.feeds.json_limit import HttpLimitFeed, JsonLimits
from loadmgr.feeds.json_meter import HttpMeter, JsonMeter
from loadmgr.feeds.limit_file import LimitFile
from loadmgr.feeds.polling import Clock, Fact, Feed, Troubles, poll_feeds
from loadmgr.feeds.price_feed import PriceFeed
from loadmgr.feeds.relay import Relay, command, value_file
from loadmgr.feeds.topic import Listener, Taker
from loadmgr.model.ids import CircuitId
from loadmgr.model.series import StepFunction
from loadmgr.site_file import SiteFile
from loadmgr.site_file.sources import BatteryInput, MeterInput, OpenAdrPlace
from loadmgr.site_file.values import OutsideSource, TopicLimits

log = logging.getLogger(__name__)

PRICES_EVERY_S = 30.0
"""How often it is looked whether prices are due [s]."""

Maker = tuple[Callable[[], Feed], float]
"""What makes a feed, and how often it is asked [s]."""


def dead_man_of(source: OutsideSource) -> DeadMan:
    """Return what is agreed with a source."""
    silent = source.silent
    return DeadMan(
        source=source.id,
        circuit=source.circuit,
        heartbeat_s=source.heartbeat_s,
        silent_limit_a=None if silent is None else silent.current_a,
        silent_limit_w=None if silent is None else silent.power_w,
        vehicles_only=source.vehicles_only,
    )


def limit_feed(source: OutsideSource, *, remembered: bool) -> Feed:
    """Return the feed of a source of limits that is asked.

    Parameters
    ----------
    remembered : bool
        What it last said is known from before a restart, so that it need not begin with a word of its own.

    Raises
    ------
    InputError
        If it takes a package that is not installed.
    """
    dead_man, http, relay = dead_man_of(source), source.http, source.relay
    if source.openadr is not None:
        with _extra("openadr", f"external limit {source.id}"):
            from loadmgr.feeds.openadr_feeds import limit_feed_of
        return limit_feed_of(source.openadr.place, dead_man, levels=source.openadr.levels, remembered=remembered)
    if http is not None:
        limits = JsonLimits(dead_man, at=http.at, number_is=http.number_is, remembered=remembered)
        return HttpLimitFeed(limits, http.place)
    if relay is None:
        return LimitFile(source.file or Path(), dead_man, remembered=remembered)
    read = command(relay.command) if relay.command is not None else value_file(relay.value_file or Path())
    return Relay(
        read,
        dead_man,
        active=relay.active,
        idle=relay.idle,
        limit_a=relay.limit.current_a,
        limit_w=relay.limit.power_w,
        remembered=remembered,
    )


def meter_feed(how: MeterInput) -> Feed:
    """Return the feed of a meter that is asked.

    Raises
    ------
    InputError
        If it takes a package that is not installed.
    """
    if how.http is not None:
        return HttpMeter(how)
    with _extra("modbus", f"meter {how.meter}"):
        from loadmgr.feeds.modbus_meter import ModbusMeter
    return ModbusMeter(how)


class BatteryFeed(Feed, Protocol):
    """A feed of a battery that can be told what to do."""

    battery: str

    def tell(self, power_w: int) -> None:
        """Tell it what to do [W]; raises InputError where it could not be told."""


def battery_feed(how: BatteryInput) -> BatteryFeed:
    """Return the feed of a battery.

    Raises
    ------
    InputError
        If it takes a package that is not installed.
    """
    with _extra("modbus", f"battery {how.battery}"):
        from loadmgr.feeds.modbus_battery import ModbusBattery
    return ModbusBattery(how)


class MarketFeed(Feed, Protocol):
    """A feed of prices."""

    known: StepFunction | None
    """What energy costs before surcharges, levies and tax, as far as that is known."""


def price_feed(site_file: SiteFile, *, cache: Path | None) -> MarketFeed | None:
    """Return the feed of the prices that a site file names.

    Parameters
    ----------
    cache : Path, optional
        Where they are kept.

    Raises
    ------
    InputError
        If they take a package that is not installed.
    """
    where = site_file.prices
    if isinstance(where, OpenAdrPlace):
        with _extra("openadr", "prices over OpenADR"):
            from loadmgr.feeds.openadr_feeds import price_feed_of
        return price_feed_of(where, site_file.tariff)
    if where is None:
        return None
    return PriceFeed(where, site_file.tariff, cache=cache, site=site_file.site.name)


def _required_price_feed(site_file: SiteFile, cache: Path | None) -> Feed:
    found = price_feed(site_file, cache=cache)
    assert found is not None  # asked only where the site file names prices
    return found


@contextmanager
def _extra(name: str, what: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(f"{what} needs {error.name}: pip install 'loadmgr[{name}]'") from None


def heard_on_broker(site_file: SiteFile) -> list[str]:
    """Return what of a site file is heard on a broker, in words."""
    limits = [f"external limit {each.id}" for each in site_file.external_limits if each.mqtt is not None]
    return limits + [f"meter {each.meter}" for each in site_file.meter_inputs if each.topic is not None]


BROKER_FORM = "--mqtt: write mqtt://HOST:1883, or mqtts://USER:PASSWORD@HOST:8883 with TLS"


def require_broker(site_file: SiteFile, broker: str | None) -> None:
    """Refuse a site file that listens to topics where there is no broker.

    Raises
    ------
    InputError
        With what listens.
    """
    heard = heard_on_broker(site_file)
    if heard and broker is None:
        verb = "listens" if len(heard) == 1 else "listen"
        raise InputError(f"{' and '.join(heard)} {verb} to MQTT, but there is no broker: say --mqtt mqtt://HOST:1883")


class Feeds:
    """The feeds of a site, each asked at its own pace on a thread of its own, and what is listened to on a broker.

    Parameters
    ----------
    clock : Clock
    observe : callable
        Takes what they say, and the name of who said it.
    prices : Path, optional
        Where prices are kept.
    """

    def __init__(self, *, clock: Clock, observe: Callable[[Fact, str], None], prices: Path | None = None) -> None:
        self._clock, self._observe, self._prices = clock, observe, prices
        self._priced = False
        self._limits: tuple[OutsideSource, ...] = ()
        self._asked: dict[Hashable, Asked] = {}
        self._heard: dict[Hashable, Listener] = {}

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """What is listened to on the broker."""
        return tuple(self._heard.values())

    async def set_power_w(self, battery: str, power_w: int) -> None:
        """Tell a battery what to do [W], above 0 to charge; nothing where it is not told from here.

        Raises
        ------
        OSError
            If it could not be told.
        """
        key = next((key for key in self._asked if isinstance(key, BatteryInput) and key.battery == battery), None)
        if key is None:
            return
        feed = cast("BatteryFeed", self._asked[key].feed)
        try:
            await asyncio.to_thread(feed.tell, power_w)
        except InputError as error:
            raise OSError(str(error)) from error

    def follow(self, site_file: SiteFile, *, remembered: Collection[tuple[str, str]]) -> None:
        """Ask and hear what a site file names from now on, and what only the one before named no longer.

        Parameters
        ----------
        remembered : collection of (circuit, source)
            Limits that are known; those of sources that were asked before and are gone are taken away.

        Raises
        ------
        InputError
            If a source takes a package that is not installed; then everything stays as it was.
        """
        before, limits = self._limits, site_file.external_limits
        makers = self._makers(site_file, remembered)
        new = {key: (make(), every_s) for key, (make, every_s) in makers.items() if key not in self._asked}
        for key in self._asked.keys() - makers.keys():
            self._asked.pop(key).close()
        for key, (feed, every_s) in new.items():
            self._asked[key] = Asked(feed, clock=self._clock, every_s=every_s, observe=self._observe)
        self._listen(site_file, remembered)
        self._limits = limits
        if self._priced and site_file.prices is None:
            nothing = PriceUpdated(at=self._clock.now(), prices_per_kwh=StepFunction((), ()))
            self._observe(nothing, "prices")
        self._priced = site_file.prices is not None
        gone = {each.id for each in before} - {each.id for each in limits}
        for circuit, source in sorted(remembered):
            if source in gone:
                said = LimitChanged(at=self._clock.now(), circuit=CircuitId(circuit), source=source)
                self._observe(said, source)

    def _makers(self, site_file: SiteFile, remembered: Collection[tuple[str, str]]) -> dict[Hashable, Maker]:
        """Return how the feeds of a site file are made, by what the file says of them."""
        makers: dict[Hashable, Maker] = {
            each: (partial(limit_feed, each, remembered=(each.circuit, each.id) in remembered), each.every_s)
            for each in site_file.external_limits
            if each.mqtt is None
        }
        for how in site_file.meter_inputs:
            if how.topic is None:
                makers[how] = (partial(meter_feed, how), how.every_s)
        for told in site_file.battery_inputs:
            makers[told] = (partial(battery_feed, told), told.every_s)
        if site_file.prices is not None:
            made = partial(_required_price_feed, site_file, self._prices)
            makers[site_file.prices, site_file.tariff] = (made, PRICES_EVERY_S)
        return makers

    def _listen(self, site_file: SiteFile, remembered: Collection[tuple[str, str]]) -> None:
        known, self._heard = self._heard, {}
        for source in site_file.external_limits:
            if source.mqtt is not None:
                self._heard[source] = known.get(source) or self._limits_on(source, source.mqtt, remembered)
        for how in site_file.meter_inputs:
            if how.topic is not None:
                self._heard[how] = known.get(how) or self._listener(how.topic, JsonMeter(how))

    def _limits_on(
        self, source: OutsideSource, place: TopicLimits, remembered: Collection[tuple[str, str]]
    ) -> Listener:
        is_known = (source.circuit, source.id) in remembered
        limits = JsonLimits(dead_man_of(source), at=place.at, number_is=place.number_is, remembered=is_known)
        for fact in limits.begin(self._clock.now()):
            self._observe(fact, source.id)
        return self._listener(place.topic, limits)

    def _listener(self, topic: str, taker: Taker) -> Listener:
        def observe(fact: Fact) -> None:
            self._observe(fact, taker.id)

        return Listener(topic, taker, observe, Troubles(observe))

    def close(self) -> None:
        """Ask nobody any more."""
        for asked in self._asked.values():
            asked.close()
        self._asked, self._heard = {}, {}


class Asked:
    """A feed that is asked until it is closed, on a thread of its own: one that hangs holds up nobody."""

    def __init__(self, feed: Feed, *, clock: Clock, every_s: float, observe: Callable[[Fact, str], None]) -> None:
        self.feed = feed
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=feed.id)
        self._task = asyncio.create_task(
            poll_feeds(
                [feed],
                clock=clock,
                observe=lambda fact: observe(fact, feed.id),
                every_s=every_s,
                executor=self._executor,
            )
        )

    def close(self) -> None:
        """Ask no more."""
        self._task.cancel()
        self._executor.shutdown(wait=False, cancel_futures=True)


class EvidenceKeeper:
    """Writes the evidence of decisions; a disk that does not take it never stops control.

    Parameters
    ----------
    path : Path
        Chained lines, made with the first entry.

    Raises
    ------
    InputError
        If the file exists and its end cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._log = EvidenceLog(path)
        self.trouble: str | None = None

    def take(self, decision: Decision) -> None:
        """Append the evidence of a decision."""
        for entry in decision.evidence:
            try:
                self._log.write(entry)
            except OSError as error:
                self.trouble = str(error)
                log.warning("%s: the evidence cannot be written: %s: %s", self._log.path, error, entry)
            else:
                self.trouble = None

"""``loadmgr run`` behind its command: real clock, real sockets, the journal, signals."""

import asyncio
import logging
import signal
import ssl
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.logging import RichHandler

from loadmgr.apps.process.audit import Audit
from loadmgr.apps.process.battery_orders import BatteryOrders
from loadmgr.apps.process.broker import bridge_of
from loadmgr.apps.process.doorway import Doorway
from loadmgr.apps.process.local_control import Reload, serve_local
from loadmgr.apps.process.outside import EvidenceKeeper, Feeds, require_broker
from loadmgr.apps.process.passwords import Passwords
from loadmgr.apps.process.places import beside_journal, default_journal, state_folder
from loadmgr.apps.process.pseudonyms import pseudonyms_beside
from loadmgr.apps.process.reloading import changed, reread
from loadmgr.apps.process.serving import stop
from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.process.station_certificates import StationCertificates
from loadmgr.apps.process.steady_clock import SteadyClock
from loadmgr.apps.process.watching import Screen, Watch
from loadmgr.apps.upstream.upstream import Relay, Upstream, serve_stations
from loadmgr.control.decision import Decision
from loadmgr.errors import InputError, JournalError
from loadmgr.site_file import SiteFile
from loadmgr.store.database import is_url
from loadmgr.store.open import open_store, shown
from loadmgr.store.writer import Writer
from ocpp_link.profile_book import ProfileBook, ProfileFile
from ocpp_link.renewal import Renewals
from ocpp_link.security import AccessList
from ocpp_link.station_profile import StationProfile
from ocpp_link.transport import Policy, Server
from ocpp_link.wirelog import WireLog

log = logging.getLogger(__name__)

AHEAD = timedelta(hours=1)
"""A journal that ends so much later than now was written by a clock that was wrong, or is read by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the command line says.

    Parameters
    ----------
    journal : str, optional
        Path or URL; ``None`` keeps none.
    keep_days : float, optional
        How long the journal is kept; ``None`` is for ever.
    socket : Path
        By which the process is spoken to.
    certified : bool
        Whether a proof of the fail-safe is asked for, also of a changed site file.
    upstream : Upstream, optional
        The CSMS to which stations are relayed.
    doorway : Doorway
        Who may connect, and how.
    overrides : mapping
        What the operator says of stations' ways, by id.
    http_port, http_open, http_tokens : optional
        Where HTTP is served on the loopback address, whether nobody needs a token, and where tokens are kept.
    mqtt : str, optional
        The URL of a broker.
    """

    host: str
    port: int
    quiet: bool
    journal: str | None
    keep_days: float | None
    socket: Path
    certified: bool = True
    upstream: Upstream | None = None
    doorway: Doorway = field(default_factory=Doorway)
    overrides: Mapping[str, StationProfile] = field(default_factory=dict)
    wire_log: Path | None = None
    metrics_port: int | None = None
    http_port: int | None = None
    http_open: bool = False
    http_tokens: str | None = None
    mqtt: str | None = None


class _Keeping:
    """What outlives the process: the journal, the key of its names, and what is known of stations' models."""

    def __init__(self, site_file: SiteFile, options: RunOptions) -> None:
        self.store: Writer | None = None
        self._models: ProfileFile | None = None
        self.models = ProfileBook(overrides=options.overrides)
        self.pseudonym = None
        beside = beside_journal(
            options.journal or str(default_journal(site_file.path)), site=site_file.site.name, folder=state_folder()
        )
        self.evidence = EvidenceKeeper(beside["evidence"])
        self.prices = beside["prices"]
        if options.journal is None:
            return
        place, name = options.journal, site_file.site.name
        keep = None if options.keep_days is None else timedelta(days=options.keep_days)
        self.store = open_store(place, site=name, state_folder=state_folder(), keep=keep)
        self.pseudonym = pseudonyms_beside(beside["key"]).of
        self._models = ProfileFile(beside["stations"])
        self.models = ProfileBook(overrides=options.overrides, memory=self._models)
        log.info("journal: %s", shown(place) if is_url(place) else place)

    def clock(self) -> SteadyClock:
        """Return the clock; it starts where the journal ends, should the machine's be behind.

        Raises
        ------
        JournalError
            If it is far behind.
        """
        ends_at = None if self.store is None else self.store.ends_at()
        clock = SteadyClock(not_before=ends_at)
        clock.now()
        if ends_at is not None and clock.behind_s > AHEAD.total_seconds():
            raise JournalError(
                f"the journal ends at {ends_at:%Y-%m-%d %H:%M} UTC, which is later than this machine's clock says now: "
                "set the clock right, or start a new journal with --journal"
            )
        return clock

    def close(self) -> None:
        if self.store is not None:
            self.store.close()
        if self._models is not None:
            self._models.close()


@contextmanager
def _quiet_recall() -> Iterator[None]:
    """Keep the lines of decisions that are only repeated out of the log."""
    spoken = logging.getLogger("loadmgr.control.controller")
    level = spoken.level
    spoken.setLevel(logging.WARNING)
    try:
        yield
    finally:
        spoken.setLevel(level)


async def _main(site_file: SiteFile, options: RunOptions, keeping: _Keeping, watch: Watch) -> None:
    console = Console()
    screen = Screen(console)
    clock = keeping.clock()

    def take(decision: Decision) -> None:
        keeping.evidence.take(decision)
        screen.take(decision)

    with _quiet_recall():
        process = SiteProcess(
            site_file,
            clock=clock,
            on_decision=take,
            store=keeping.store,
            pseudonym=keeping.pseudonym,
            models=keeping.models,
            watching=options.upstream is not None and options.upstream.shadow,
        )
    loop = asyncio.get_running_loop()

    def jumped(_: float) -> None:
        loop.call_soon(process.clock_was_set)

    clock.on_jump = jumped
    ended = asyncio.Event()

    feeds = Feeds(clock=clock, observe=lambda fact, source: process.observe(fact, source=source), prices=keeping.prices)

    def reload() -> list[str]:
        return _reload(process, feeds, options)

    async with AsyncExitStack() as closing:
        access, renewals = await _open_local(closing, process, options, clock, reload=reload)
        tap = watch.tap(clock)
        policy = options.doorway.policy(process, tap=tap, access=access, renewals=renewals)
        server = await _open_to_stations(closing, process, options, clock=clock, tap=tap, policy=policy)
        old_tls = await _open_to_old(server, options)
        await watch.open(process, clock)
        await _open_to_others(closing, process, feeds, options, clock=clock)
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, ended.set)
        loop.add_signal_handler(signal.SIGHUP, _reload_and_say, reload, options, (policy.tls, old_tls))
        _say_start(process, options, server.port)
        feeds.follow(site_file, remembered=process.controller.outside)
        closing.callback(feeds.close)
        closing.push_async_callback(stop, asyncio.create_task(BatteryOrders(process).carry(feeds)))
        controller = asyncio.create_task(process.run())
        controller.add_done_callback(lambda _: ended.set())
        closing.push_async_callback(stop, controller)
        await _shown(screen, process, ended, console=None if options.quiet else console)
        log.info("ends: stations keep what they hold; leases run out and fail-safes take over")
        if isinstance(server, Server):
            server.drain()
        process.drain()
        await controller


async def _open_local(
    closing: AsyncExitStack, process: SiteProcess, options: RunOptions, clock: SteadyClock, *, reload: Reload
) -> tuple[AccessList | None, Renewals | None]:
    """Listen to the people of this machine; return what they can change: who may connect, and who signs for them."""
    access = options.doorway.access_list()
    renewals = options.doorway.renewals(access, now=clock.now)
    audit = Audit(options.doorway.access, now=clock.now)
    later = {
        "password": Passwords(process, access, audit=audit).change,
        "certificate": StationCertificates(process, renewals, audit=audit).renew,
    }
    local = await serve_local(options.socket, process, now=clock.now, reload=reload, later=later)
    closing.callback(options.socket.unlink, missing_ok=True)
    closing.callback(local.close)
    return access, renewals


async def _open_to_stations(
    closing: AsyncExitStack,
    process: SiteProcess,
    options: RunOptions,
    *,
    clock: SteadyClock,
    tap: WireLog | None,
    policy: Policy,
) -> Server | Relay:
    """Listen to the stations; where their certificates are signed here, have them renewed in time."""
    server = await serve_stations(
        process, options.upstream, host=options.host, port=options.port, clock=clock, tap=tap, policy=policy
    )
    closing.push_async_callback(server.close)
    if policy.renewals is not None and isinstance(server, Server):
        closing.push_async_callback(policy.renewals.close)
        closing.push_async_callback(stop, asyncio.create_task(policy.renewals.watch(server.stations.values)))
    return server


async def _open_to_old(server: Server | Relay, options: RunOptions) -> ssl.SSLContext | None:
    """Listen for stations that speak TLS 1.0 or 1.1 only, where that is asked for; return its settings."""
    port = options.doorway.legacy_port
    if port is None or not isinstance(server, Server):
        return None
    tls = options.doorway.tls(legacy=True)
    assert tls is not None, "a doorway with a legacy port has a certificate"
    bound = await server.also_listen(options.host, port, tls=tls)
    log.info("stations of old TLS connect to wss://%s:%d/ocpp/<station id>", options.host, bound)
    return tls


async def _open_to_others(
    closing: AsyncExitStack, process: SiteProcess, feeds: Feeds, options: RunOptions, *, clock: SteadyClock
) -> None:
    if options.http_port is not None:
        await _open_http(closing, process, options, clock)
    require_broker(process.site_file, options.mqtt)
    if options.mqtt is not None:
        _open_mqtt(closing, process, feeds, options.mqtt, clock=clock)


async def _open_http(closing: AsyncExitStack, process: SiteProcess, options: RunOptions, clock: SteadyClock) -> None:
    from loadmgr.apps.service.beside import beside
    from loadmgr.apps.service.running import Listening

    name = process.site_file.path.stem
    listening = Listening(host="127.0.0.1", port=options.http_port or 0, is_open=options.http_open)
    server, token = await closing.enter_async_context(
        beside(
            process,
            name=name,
            clock=clock,
            listening=listening,
            database=options.http_tokens,
            journal=options.journal,
        )
    )
    log.info("http://127.0.0.1:%d/v1/sites/%s/status answers over HTTP", server.port, name)
    if token is not None:
        print(f"token, good until this process ends: {token}")  # never into a log


def _open_mqtt(closing: AsyncExitStack, process: SiteProcess, feeds: Feeds, url: str, *, clock: SteadyClock) -> None:
    bridge = bridge_of(process, url, feeds=feeds, now=clock.now)
    closing.push_async_callback(stop, asyncio.create_task(bridge.run()))
    log.info("MQTT: %s/#", bridge.base)


async def _shown(screen: Screen, process: SiteProcess, ended: asyncio.Event, *, console: Console | None) -> None:
    """Show the live table on a terminal until the end; elsewhere just wait for it."""
    if console is None or not console.is_terminal:
        await ended.wait()
        return
    with Live(console=console, auto_refresh=False) as live:
        painter = asyncio.create_task(screen.paint(live, process))
        await ended.wait()
        await stop(painter)


def _say_start(process: SiteProcess, options: RunOptions, port: int) -> None:
    scheme = "ws" if options.doorway.certificate is None else "wss"
    log.info("%s: stations connect to %s://%s:%d/ocpp/<station id>", process.site.name, scheme, options.host, port)
    if options.upstream is not None:
        log.info("they are relayed to %s/<station id>", options.upstream.url.rstrip("/"))
    recalled = process.recalled
    if recalled is not None:
        log.info(
            "goes on from %s UTC: %d sessions known, %d entries repeated",
            recalled.until.strftime("%Y-%m-%d %H:%M:%S"),
            process.sessions,
            recalled.repeated,
        )


def _reload(process: SiteProcess, feeds: Feeds, options: RunOptions) -> list[str]:
    new = reread(process.site_file.path, certified=options.certified)
    differences = changed(process.site_file, new)
    if differences:
        require_broker(new, options.mqtt)
        process.change_site(new)
        feeds.follow(new, remembered=process.controller.outside)
    return differences


def _reload_and_say(
    reload: Callable[[], list[str]], options: RunOptions, contexts: tuple[ssl.SSLContext | None, ...]
) -> None:
    try:
        if options.doorway.renew(*contexts):
            log.info("certificate read again: it is shown to those who connect from now on")
    except InputError as error:
        log.warning("the certificate stays as it was: %s", error)
    try:
        differences = reload()
    except Exception as error:
        log.warning("the site file stays as it was: %s", error)
        return
    for difference in differences or ["nothing"]:
        log.info("site file read again: %s changed", difference)


def run_process(site_file: SiteFile, options: RunOptions) -> None:
    """Run a site's controller until SIGINT or SIGTERM; stations keep their fail-safe profiles afterwards.

    Raises
    ------
    OSError
        If a port, the socket or the wire log cannot be opened.
    LoadManagerError
        If the journal cannot be opened or trusted, or what is kept of the CSMS cannot be read.
    """
    show_lines = options.quiet or not sys.stdout.isatty()
    logging.basicConfig(
        level=logging.INFO if show_lines else logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=Console(stderr=True), show_path=False)] if not show_lines else None,
    )
    watch = Watch(wire_log=options.wire_log, metrics_port=options.metrics_port)
    keeping = _Keeping(site_file, options)
    try:
        asyncio.run(_main(site_file, options, keeping, watch))
    finally:
        keeping.close()
        watch.close()

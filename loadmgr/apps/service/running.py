"""``loadmgr serve`` behind its command: a real clock, a listening socket, the log."""

import asyncio
import gc
import ipaddress
import logging
import os
import secrets
import socket
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from rich.console import Console
from starlette.middleware.trustedhost import TrustedHostMiddleware

from loadmgr.apps.process.outside import BROKER_FORM, require_broker
from loadmgr.apps.process.places import state_folder
from loadmgr.apps.process.serving import stop
from loadmgr.apps.service.app import create_app
from loadmgr.apps.service.citrineos import CitrineSites
from loadmgr.apps.service.hosting import Hosting
from loadmgr.apps.service.json_log import JsonLines
from loadmgr.apps.service.leases import LeaseBook
from loadmgr.apps.service.patience import PatientProtocol
from loadmgr.apps.service.rates import Rate
from loadmgr.apps.service.service import Service, build_service
from loadmgr.apps.service.tables import IN_MEMORY
from loadmgr.apps.service.tokens import Role
from loadmgr.errors import InputError
from loadmgr.site_file import SiteFile
from loadmgr.store.database import is_url
from ocpp_link.transport import SystemClock

MOST_CONNECTIONS = 1000
KEEP_ALIVE_S = 30
LOOPBACK_NAMES = ["127.0.0.1", "localhost", "[::1]", "::1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where and how a service listens."""

    host: str
    port: int
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    plain_http: bool = False
    is_open: bool = False

    @property
    def scheme(self) -> str:
        """What a URL of it begins with."""
        return "http" if self.tls_cert is None else "https"


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """What a service does and remembers.

    Parameters
    ----------
    database : str, optional
        A file or a ``postgresql://`` URL; with the latter several workers share sites by leases.
    control : bool
        Its sites are under control, instead of being known by name alone.
    private_webhooks : bool
        Webhooks may lead to private addresses.
    citrineos, own_url : str, optional
        Where a CitrineOS is whose stations are controlled, and where it reaches this service.
    mqtt : str, optional
        The URL of the broker on which the controlled sites are.
    """

    database: str | None = None
    rate_per_s: float = 50.0
    workers: int | None = None
    json_log: bool = False
    control: bool = False
    private_webhooks: bool = False
    citrineos: str | None = None
    own_url: str | None = None
    mqtt: str | None = None


def run_service(sites: Mapping[str, SiteFile], listening: Listening, working: Working) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises
    ------
    InputError
        If tokens would travel in the clear, or anybody could ask.
    JournalError
        If the database cannot be opened.
    OSError
        If the port or a certificate cannot be opened.
    """
    check_listening(listening)
    check_broker(sites, working)
    set_up_log(as_json=working.json_log)
    rate = Rate(per_s=working.rate_per_s, burst=max(1, round(working.rate_per_s * 4)))
    service = build_service(
        sites,
        now=now_utc,
        database=working.database or IN_MEMORY,
        is_open=listening.is_open,
        rate=rate,
        workers=working.workers,
        to_control=sites if working.control else (),
        private_webhooks=working.private_webhooks,
        citrineos=citrineos_of(working, os.environ),
        broker=working.mqtt,
    )
    _say_hello(service, listening, lasting=working.database is not None)
    try:
        asyncio.run(_serve(service, sites, listening, working))
    finally:
        service.close()


async def _serve(service: Service, sites: Mapping[str, SiteFile], listening: Listening, working: Working) -> None:
    spare_collector()
    server = uvicorn.Server(server_config(create_app(service), listening))
    if not working.control:
        await server.serve()
        return
    hosting = asyncio.create_task(hosting_of(service, sites, working.database).run())
    try:
        await server.serve()
    finally:
        await stop(hosting)


def citrineos_of(working: Working, environment: Mapping[str, str]) -> CitrineSites | None:
    """Return the sites behind a CitrineOS; ``None`` where none is named.

    Raises
    ------
    InputError
        If it is not said where CitrineOS reaches this service, or nothing is controlled.
    """
    if working.citrineos is None:
        return None
    if working.own_url is None or not working.control:
        raise InputError("--citrineos needs --control, and --own-url: where CitrineOS reaches this service")
    for name, url in (("--citrineos", working.citrineos), ("--own-url", working.own_url)):
        if not url.startswith(("http://", "https://")):
            raise InputError(f"{name} {url!r} must begin with http:// or https://")
    token = environment.get("LOADMGR_CITRINEOS_TOKEN")
    secret = environment.get("LOADMGR_CITRINEOS_SECRET") or secrets.token_hex(32)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return CitrineSites(api=working.citrineos, own_url=working.own_url, secret=secret, headers=headers)


def spare_collector() -> None:
    """Take what is loaded as there to stay: looking through it again and again is what the slowest answers wait for."""
    gc.collect()
    gc.freeze()


def hosting_of(service: Service, sites: Mapping[str, SiteFile], database: str | None) -> Hosting:
    """Return what keeps sites under control: with PostgreSQL by leases, and with any database with journals."""
    folder = state_folder()
    folder.mkdir(parents=True, exist_ok=True)
    shared = database is not None and is_url(database)
    holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"

    def journal(name: str) -> str:
        return str(database) if shared else f"{database}.{name}.journal"

    return Hosting(
        service,
        sites,
        clock=SystemClock(),
        state_folder=folder,
        journals=None if database is None else journal,
        leases=LeaseBook(service.tables, holder=holder) if shared else None,
    )


def check_broker(sites: Mapping[str, SiteFile], working: Working) -> None:
    """Refuse a broker that nobody would use, one that cannot be, and controlled sites that listen to none.

    Raises
    ------
    InputError
    """
    if working.mqtt is not None and not working.control:
        raise InputError("--mqtt needs --control: only sites under control are on a broker")
    for site_file in sites.values() if working.control else ():
        require_broker(site_file, working.mqtt)
    if working.mqtt is not None and not working.mqtt.startswith(("mqtt://", "mqtts://")):
        raise InputError(BROKER_FORM)


def check_listening(listening: Listening) -> None:
    """Refuse what would let anybody in, or tokens be read on the way.

    Raises
    ------
    InputError
    """
    if (listening.tls_cert is None) != (listening.tls_key is None):
        raise InputError("--tls-cert and --tls-key go together: give both")
    if listening.tls_client_ca is not None and listening.tls_cert is None:
        raise InputError("--tls-client-ca needs --tls-cert and --tls-key")
    for path in (listening.tls_cert, listening.tls_key, listening.tls_client_ca):
        if path is not None and not path.is_file():
            raise InputError(f"{path}: there is no such file")
    if is_loopback(listening.host):
        return
    if listening.is_open:
        raise InputError(f"--open is for the loopback address alone, not for {listening.host}: make a token instead")
    if listening.tls_cert is None and not listening.plain_http:
        raise InputError(
            f"{listening.host} is beyond this machine, and tokens would travel in the clear: give --tls-cert and "
            "--tls-key, or --plain-http where a proxy in front has TLS"
        )


def server_config(app: FastAPI, listening: Listening) -> uvicorn.Config:
    """Return how the server runs."""
    if listening.is_open:
        # A page elsewhere could have a browser ask a service without tokens under a name of its own (DNS rebinding).
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK_NAMES)
    ca = listening.tls_client_ca
    return uvicorn.Config(
        app,
        host=listening.host,
        port=listening.port,
        ssl_certfile=None if listening.tls_cert is None else str(listening.tls_cert),
        ssl_keyfile=None if listening.tls_key is None else str(listening.tls_key),
        ssl_ca_certs=None if ca is None else str(ca),
        ssl_cert_reqs=ssl.CERT_NONE if ca is None else ssl.CERT_REQUIRED,
        http=PatientProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=10,
    )


def set_up_log(*, as_json: bool) -> None:
    """Log to standard error: lines for people, or JSON for machines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("uvicorn", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _say_hello(service: Service, listening: Listening, *, lasting: bool) -> None:
    console = Console(soft_wrap=True, highlight=False)
    url = f"{listening.scheme}://{listening.host}:{listening.port}"
    names = ", ".join(service.shelf.named) or "none named: requests send theirs along"
    console.print(f"loadmgr serves {url}/v1/schedule   (sites: {names})")
    if listening.is_open:
        console.print("open: nobody on this machine needs a token")
    elif not lasting:
        token = service.tokens.issue(name="first", role=Role.ADMIN, now=service.now())
        console.print(f"token, good until this process ends: {token}")
    else:
        console.print(f"tokens are those of the database: loadmgr token issue NAME --database ... (pid {os.getpid()})")


def now_utc() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


def is_loopback(host: str) -> bool:
    """Return whether an address is of this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

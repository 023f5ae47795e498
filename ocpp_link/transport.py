"""The shell of the link: a server for stations, a client for a station's end, and the real clock."""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidURI
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI, parse_uri

from ocpp_link.clock import Clock
from ocpp_link.dialect import SUBPROTOCOLS, VERSIONS, Role, Version
from ocpp_link.door import StationDoor
from ocpp_link.errors import ConnectFailed
from ocpp_link.handshake import MAX_MESSAGE_BYTES, OPEN_TIMEOUT_S, Dialer, Greeter, Policy, Porter
from ocpp_link.limits import TokenBucket
from ocpp_link.link import Link
from ocpp_link.link_handler import LinkHandler
from ocpp_link.protocol import Protocol
from ocpp_link.security import basic_header
from ocpp_link.station import Handler, Station
from ocpp_link.wire import WebSocket
from ocpp_link.wirelog import Tap

__all__ = ["ClientPolicy", "Policy", "Server", "SystemClock", "connect", "serve"]

logger = logging.getLogger(__name__)

BACKLOG = 4096
"""A power cut ends for all stations at once: let them queue in the kernel instead of being turned away."""


class SystemClock:
    """Real time."""

    def now(self) -> datetime:
        """Return the time of day in UTC."""
        return datetime.now(UTC)

    now_s = staticmethod(time.monotonic)  # asked for every message: no call of ours in between

    async def sleep_until(self, when_s: float) -> None:
        """Return at ``when_s`` [s]."""
        await asyncio.sleep(max(0.0, when_s - time.monotonic()))

    def busy(self) -> AbstractContextManager[None]:
        """Return a token without effect: real time stands still for nobody."""
        return nullcontext()

    def frame_sent(self) -> None:
        """Nothing."""

    def frame_done(self) -> None:
        """Nothing."""


class Server:
    """Stations that connect here. Made by `serve`."""

    def __init__(self, door: StationDoor, porter: Porter, listener: asyncio.Server) -> None:
        self._door = door
        self._porter = porter
        self._listeners = [listener]
        self.port: int = listener.sockets[0].getsockname()[1]
        """The port that is listened on."""

    @property
    def stations(self) -> Mapping[str, Station]:
        """The connected stations by id."""
        return MappingProxyType(self._door.stations)

    @property
    def registrations(self) -> Mapping[str, str]:
        """What each station's last BootNotification was answered, connected or not."""
        return {identity: each.status for identity, each in self._door.registrations.items() if each.status}

    def drain(self) -> None:
        """Turn every newcomer away (503) from now on; those inside stay until `close`."""
        self._porter.draining = True

    async def also_listen(self, host: str, port: int, *, tls: ssl.SSLContext) -> int:
        """Listen on another port with other TLS settings, for the same stations; return the port.

        Raises
        ------
        OSError
            If the port cannot be listened on.
        """
        listener = await _listen(self._porter, host, port, tls)
        self._listeners.append(listener)
        bound: int = listener.sockets[0].getsockname()[1]
        return bound

    def renew_certificate(self, certificate: Path, key: Path) -> None:
        """Show a new certificate to those who connect from now on; nobody is dropped.

        Raises
        ------
        ValueError
            If the server does not listen with TLS.
        """
        if self._porter.policy.tls is None:
            raise ValueError("policy.tls must be set to renew a certificate, this server listens without TLS")
        self._porter.policy.tls.load_cert_chain(certificate, key)

    async def close(self, *, drop: bool = False) -> None:
        """Stop listening, close every connection (1001) and wait until every handler has been told.

        With ``drop`` connections break off without a closing handshake, as they do when a process is killed.
        """
        for listener in self._listeners:
            listener.close()
        self._porter.draining = True  # whoever is in the handshake now
        links = self._door.links()
        await asyncio.gather(*(link.drop() if drop else link.close(code=1001, reason="server stops") for link in links))
        await asyncio.gather(*(link.wait_finished() for link in links))


async def serve(
    host: str,
    port: int,
    *,
    handler: Handler,
    clock: Clock | None = None,
    versions: Sequence[Version] = VERSIONS,
    call_timeout_s: float = 30.0,
    policy: Policy | None = None,
) -> Server:
    """Listen for charging stations on ``ws://HOST:PORT/ocpp/<station id>``.

    Parameters
    ----------
    host, port
        Where to listen; port 0 lets the system choose.
    handler
        Who hears of stations and answers them.
    clock
        Where time comes from; real time if absent.
    versions
        The OCPP versions to speak.
    call_timeout_s
        Default time [s] for a station to answer.
    policy
        Whom to admit and how to read them; the defaults of `Policy` if absent.

    Returns
    -------
    Server
        Already listening.

    Raises
    ------
    OSError
        If the port cannot be listened on.
    """
    time_source = clock if clock is not None else SystemClock()
    rules = policy if policy is not None else Policy()
    door = StationDoor(
        handler, trigger_boot_after_s=rules.trigger_boot_after_s, profiles=rules.profiles, renewals=rules.renewals
    )
    link_of = _link_maker(rules, door, time_source, call_timeout_s)
    rate_per_s = rules.connections_per_s
    porter = Porter(
        policy=rules,
        versions=versions,
        clock=time_source,
        welcome=lambda *who: door.admit(link_of(*who)),
        bucket=TokenBucket(rate_per_s, burst=rules.connections_at_once) if rate_per_s is not None else None,
    )
    return Server(door, porter, await _listen(porter, host, port, rules.tls))


async def _listen(porter: Porter, host: str, port: int, tls: ssl.SSLContext | None) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Greeter(porter).socket, host, port, ssl=tls, backlog=BACKLOG)


def _link_maker(
    rules: Policy, door: StationDoor, clock: Clock, call_timeout_s: float
) -> Callable[[str, Version, WebSocket], Link]:
    """Return what makes the server's end of a connection."""

    def link_of(identity: str, version: Version, socket: WebSocket) -> Link:
        return Link(
            identity=identity,
            machine=Protocol(role=Role.CSMS, version=version, call_timeout_s=call_timeout_s, strict=rules.strict),
            socket=socket,
            clock=clock,
            handler=door,
            messages_per_s=rules.messages_per_s,
            tap=rules.tap,
        )

    return link_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientPolicy:
    """How a station's end logs in and reads."""

    password: str | bytes | None = field(default=None, repr=False)
    """For Basic authentication (profiles 1 and 2)."""
    tls: ssl.SSLContext | None = None
    """For ``wss``; see `ocpp_link.security.station_context`. The system's authorities if absent."""
    strict: bool = True
    """Refuse what breaks the schema, as stations do, instead of mending it."""
    tap: Tap | None = None
    """Gets every text of the connection."""


async def connect(
    url: str,
    *,
    identity: str,
    handler: LinkHandler,
    clock: Clock | None = None,
    versions: Sequence[Version] = ("1.6",),
    call_timeout_s: float = 30.0,
    policy: ClientPolicy | None = None,
) -> Link:
    """Connect to a CSMS as a charging station.

    Parameters
    ----------
    url
        The endpoint, for example ``ws://127.0.0.1:9000/ocpp``; the identity is appended to it.
    identity
        The station's id.
    handler
        Who answers the CSMS.
    clock
        Where time comes from; real time if absent.
    versions
        The OCPP versions to offer, in order of preference.
    call_timeout_s
        Default time [s] for the CSMS to answer.
    policy
        How to log in and read; the defaults of `ClientPolicy` if absent.

    Raises
    ------
    ValueError
        If ``url`` is no address of a WebSocket server.
    ConnectFailed
        If the server cannot be reached, refuses the handshake or speaks none of the versions.
    """
    time_source = clock if clock is not None else SystemClock()
    rules = policy if policy is not None else ClientPolicy()
    uri = _address(url, identity)

    def welcome(version: Version, socket: WebSocket) -> Link:
        machine = Protocol(role=Role.STATION, version=version, call_timeout_s=call_timeout_s, strict=rules.strict)
        link = Link(
            identity=identity, machine=machine, socket=socket, clock=time_source, handler=handler, tap=rules.tap
        )
        link.open()
        return link

    with time_source.busy():
        offered = [Subprotocol(SUBPROTOCOLS[version]) for version in versions]
        core = ClientProtocol(uri, subprotocols=offered, max_size=MAX_MESSAGE_BYTES, logger=logger)
        dialer = Dialer(core, welcome, headers=_login(identity, rules))
        return await _dial(dialer, url, uri, tls=rules.tls)


def _address(url: str, identity: str) -> WebSocketURI:
    """Return where a station connects: the endpoint with its id, which may hold any character."""
    try:
        return parse_uri(f"{url.rstrip('/')}/{quote(identity, safe='')}")
    except InvalidURI as error:
        raise ValueError(f"url must be as ws://HOST:PORT/PATH or wss://HOST:PORT/PATH, got {url!r}") from error


async def _dial(dialer: Dialer, url: str, uri: WebSocketURI, *, tls: ssl.SSLContext | None) -> Link:
    """Open the connection and wait for the other end's half of the handshake."""
    context = (tls or ssl.create_default_context()) if uri.secure else None
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: dialer.socket, uri.host, uri.port, ssl=context)
            return await dialer.link
    except TimeoutError as error:
        raise ConnectFailed(f"{url}: no handshake within {OPEN_TIMEOUT_S:g} s") from error
    except OSError as error:
        raise ConnectFailed(f"{url}: {str(error) or type(error).__name__}") from error
    finally:
        dialer.give_up()


def _login(identity: str, rules: ClientPolicy) -> Headers:
    if rules.password is None:
        return Headers()
    password = rules.password.encode() if isinstance(rules.password, str) else rules.password
    return Headers({"Authorization": basic_header(identity, password)})

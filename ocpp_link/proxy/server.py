"""The shell of a Local Controller: each station that connects below is dialled through to the CSMS above."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast
from urllib.parse import quote

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader
from websockets.headers import parse_subprotocol
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI, parse_uri

from ocpp_link.clock import Clock
from ocpp_link.errors import ConnectFailed
from ocpp_link.handshake import (
    MAX_MESSAGE_BYTES,
    OPEN_TIMEOUT_S,
    VERSION_OF,
    identity_of,
    knock_of,
    refused_response,
)
from ocpp_link.proxy.door import ProxyDoor
from ocpp_link.proxy.interceptor import Interceptor
from ocpp_link.proxy.queue import Backlog, UpstreamQueue
from ocpp_link.proxy.relay import RelayedStation
from ocpp_link.proxy.sticky import Sticky, StickyStation, Upstream
from ocpp_link.security import AccessList, Refusal, basic_header
from ocpp_link.transport import BACKLOG, SystemClock
from ocpp_link.wire import WebSocket
from ocpp_link.wirelog import Tap

logger = logging.getLogger(__name__)

_CSMS_AWAY = (None, 502, 503, 504)
"""Handshake outcomes that say nothing about the station."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """How a Local Controller connects."""

    upstream_url: str
    """The CSMS's endpoint; identities are appended to it."""
    endpoint: str = "/ocpp"
    """The path that stations use, before their id."""
    tls: ssl.SSLContext | None = None
    """Listen with TLS."""
    upstream_tls: ssl.SSLContext | None = None
    """For ``wss`` upstream; the system's authorities if absent."""
    call_timeout_s: float = 30.0
    identities: Collection[str] | None = None
    """The stations that are let in; any other is told 404, unheard by the CSMS. ``None``: whoever comes."""
    access: AccessList | None = None
    """Who is let in, and with which login, before the CSMS hears of it; ``None``: whoever the CSMS lets in."""
    upstream_passwords: Mapping[str, str] = field(default_factory=dict)
    """What stations log in with at the CSMS, by id, where they do not bring it themselves."""
    ping_interval_s: float | None = None
    """Ping both ends this often [s] of real time, and cut an end that is silent for three times as long."""
    tap: Tap | None = None
    """Gets every text to and from stations, for example an `ocpp_link.wirelog.WireLog`."""
    upstream_tap: Tap | None = None
    """Gets every text to and from the CSMS."""
    unreachable: Callable[[str], None] | None = None
    """Told the id of each station that is turned away because the CSMS cannot be reached."""
    sticky: Sticky | None = None
    """Serve stations on when the CSMS is lost; otherwise they are closed, as 2.x part 4 chapter 6 has it."""


class ProxyServer:
    """A Local Controller at work. Made by `serve_proxy`."""

    def __init__(self, door: ProxyDoor, listener: asyncio.Server, queue: UpstreamQueue | None) -> None:
        self._door = door
        self._queue = queue
        self._listener = listener
        self.port: int = listener.sockets[0].getsockname()[1]
        """The port that is listened on."""

    @property
    def stations(self) -> Mapping[str, RelayedStation]:
        """The stations that are connected through."""
        return self._door.stations

    def backlog(self) -> Mapping[str, Backlog]:
        """Return what the CSMS has yet to be told, by station; nothing where stations are not served without it."""
        return {} if self._queue is None else self._queue.backlog()

    async def close(self) -> None:
        """Stop listening and close every connection."""
        self._listener.close()
        await self._door.end_all()
        await asyncio.sleep(0)
        if self._queue is not None:
            self._queue.close()


async def serve_proxy(
    host: str, port: int, *, settings: ProxySettings, interceptor: Interceptor, clock: Clock | None = None
) -> ProxyServer:
    """Listen for stations and relay each to the CSMS.

    Parameters
    ----------
    host, port
        Where to listen; port 0 lets the system choose.
    settings
        Where the CSMS is, and how to get there.
    interceptor
        Who sees and holds messages.
    clock
        Where time comes from; real time if absent.

    Raises
    ------
    OSError
        If the port cannot be listened on.
    sqlite3.Error
        If the queue's file cannot be opened.
    """
    door = ProxyDoor()
    time_source = clock if clock is not None else SystemClock()
    queue = UpstreamQueue(settings.sticky.queue, now=time_source.now) if settings.sticky is not None else None
    listener = await asyncio.get_running_loop().create_server(
        lambda: _Doorman(settings=settings, interceptor=interceptor, clock=time_source, door=door, queue=queue).socket,
        host,
        port,
        ssl=settings.tls,
        backlog=BACKLOG,
    )
    return ProxyServer(door, listener, queue)


class _Doorman:
    """Owner of a station's socket until the CSMS has answered the same handshake."""

    def __init__(
        self,
        *,
        settings: ProxySettings,
        interceptor: Interceptor,
        clock: Clock,
        door: ProxyDoor,
        queue: UpstreamQueue | None,
    ) -> None:
        self._queue = queue
        self._settings = settings
        self._interceptor = interceptor
        self._clock = clock
        self._door = door
        self._chosen: Subprotocol | None = None
        doorman = self

        def choose(_core: ServerProtocol, _wanted: object) -> Subprotocol | None:
            return doorman._chosen

        self._core = ServerProtocol(select_subprotocol=choose, max_size=MAX_MESSAGE_BYTES, logger=logger)
        self.socket = WebSocket(self._core, self)
        self._timer = asyncio.get_running_loop().call_later(2 * OPEN_TIMEOUT_S, self.socket.abort)
        self._dialling: asyncio.Task[None] | None = None

    def handshake_received(self, message: Request | Response) -> None:
        """Dial the CSMS before answering."""
        request = cast("Request", message)
        identity = identity_of(request.path, endpoint=self._settings.endpoint)
        known = self._settings.identities
        if identity is None or (known is not None and identity not in known):
            said = "no station id\n" if identity is None else "unknown station\n"
            self._core.send_response(self._core.reject(HTTPStatus.NOT_FOUND, said))
            return
        refusal = self._refusal(identity, request)
        if refusal is not None:
            logger.warning("%s: refused: %s", identity, refusal.reason)
            self._core.send_response(refused_response(self._core, refusal))
            return
        self._dialling = asyncio.create_task(self._dial(identity, request))

    def _refusal(self, identity: str, request: Request) -> Refusal | None:
        if self._settings.access is None:
            return None
        return self._settings.access.judge(knock_of(identity, request, self.socket))

    def text_received(self, text: bytes) -> None:
        """Discard: nobody may speak before the handshake is over."""
        self._clock.frame_done()

    def closing(self) -> None:
        """Nothing."""

    def closed(self, code: int, reason: str) -> None:
        """Stop dialling for a station that has gone."""
        self._timer.cancel()
        if self._dialling is not None:
            self._dialling.cancel()

    async def _dial(self, identity: str, request: Request) -> None:
        with self._clock.busy():
            authorization = request.headers.get("Authorization", "")
            dialler: _Dialler | None = None
            try:
                await self._door.parted(identity)
                dialler = await _dial_upstream(self._settings, identity, request)
                self._chosen = dialler.socket.core.subprotocol
            except ConnectFailed as error:
                self._chosen = self._known(identity, authorization, error.status)
                if self._chosen is None:
                    self._turn_away(identity, error)
                    return
            self._timer.cancel()
            self._dialling = None
            if self._accept(request):
                if dialler is not None and self._queue is not None and self._chosen is not None:
                    self._queue.logged_in(identity, subprotocol=self._chosen, authorization=authorization)
                self._admit(identity, request, dialler)
            elif dialler is not None:
                dialler.socket.close(1002, "no common OCPP version")

    def _known(self, identity: str, authorization: str, status: int | None) -> Subprotocol | None:
        """Return the subprotocol of a station that may come in while the CSMS cannot be asked."""
        if self._queue is None or status not in _CSMS_AWAY:
            return None
        found = self._queue.admits(identity, authorization=authorization)
        return None if found is None else Subprotocol(found)

    def _turn_away(self, identity: str, error: ConnectFailed) -> None:
        status = error.status if error.status not in (None, 101) else HTTPStatus.SERVICE_UNAVAILABLE
        logger.warning("%s: not connected through: %s", identity, error)
        if self._settings.unreachable is not None and error.status in _CSMS_AWAY:
            self._settings.unreachable(identity)
        self._core.send_response(self._core.reject(HTTPStatus(status or 503), f"{error}\n"))
        self.socket.flush()

    def _accept(self, request: Request) -> bool:
        response = self._core.accept(request)
        self._core.send_response(response)
        self.socket.flush()
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS and self._chosen in VERSION_OF:
            return True
        self.socket.close(1002, "no common OCPP version")
        return False

    def _admit(self, identity: str, request: Request, dialler: "_Dialler | None") -> None:
        chosen = self._chosen
        if chosen is None:
            return
        version = VERSION_OF[chosen]
        standin: StickyStation | None = None
        if self._settings.sticky is not None and self._queue is not None:

            async def dial_again() -> Upstream:
                again = await _dial_upstream(self._settings, identity, request)
                if again.socket.core.subprotocol != chosen:
                    again.socket.close(1002, "another OCPP version than before")
                    raise ConnectFailed("the CSMS speaks another OCPP version than before")
                return again.socket, again.early

            standin = StickyStation(
                identity=identity,
                version=version,
                rules=self._settings.sticky,
                queue=self._queue,
                clock=self._clock,
                dial=dial_again,
            )
        station = RelayedStation(
            identity=identity,
            version=version,
            down=self.socket,
            clock=self._clock,
            interceptor=self._interceptor,
            call_timeout_s=self._settings.call_timeout_s,
            standin=standin,
            tap=self._settings.tap,
            upstream_tap=self._settings.upstream_tap,
        )
        if self._settings.ping_interval_s is not None:
            self.socket.keep_alive(self._settings.ping_interval_s)
        if dialler is None:
            self._door.admit(station, None, ())
        else:
            self._door.admit(station, dialler.socket, dialler.early)


async def _dial_upstream(settings: ProxySettings, identity: str, request: Request) -> "_Dialler":
    """Repeat a station's handshake with the CSMS: same identity, same offer, same credentials."""
    uri = parse_uri(f"{settings.upstream_url.rstrip('/')}/{quote(identity, safe='')}")
    try:
        offered = [
            name for value in request.headers.get_all("Sec-WebSocket-Protocol") for name in parse_subprotocol(value)
        ]
    except InvalidHeader as error:
        raise ConnectFailed("the offered subprotocols cannot be read", status=HTTPStatus.BAD_REQUEST) from error
    password = settings.upstream_passwords.get(identity)
    given = (
        request.headers.get_all("Authorization") if password is None else [basic_header(identity, password.encode())]
    )
    headers = Headers([("Authorization", each) for each in given])
    core = ClientProtocol(uri, subprotocols=offered or None, max_size=MAX_MESSAGE_BYTES, logger=logger)
    dialler = _Dialler(core, headers)
    try:
        await _opened(dialler, uri, tls=settings.upstream_tls)
    except BaseException:  # also where the station went meanwhile: the CSMS must not take it for connected
        dialler.socket.abort()
        raise
    if settings.ping_interval_s is not None:
        dialler.socket.keep_alive(settings.ping_interval_s)
    return dialler


async def _opened(dialler: "_Dialler", uri: WebSocketURI, *, tls: ssl.SSLContext | None) -> None:
    """Open the connection to the CSMS and wait for its half of the handshake."""
    context = (tls or ssl.create_default_context()) if uri.secure else None
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: dialler.socket, uri.host, uri.port, ssl=context)
            await dialler.opened
    except TimeoutError as error:
        raise ConnectFailed("the CSMS does not answer", status=HTTPStatus.GATEWAY_TIMEOUT) from error
    except OSError as error:
        raise ConnectFailed(f"the CSMS cannot be reached: {error}", status=HTTPStatus.SERVICE_UNAVAILABLE) from error


class _Dialler:
    """Owner of the upstream socket until its handshake is over."""

    def __init__(self, core: ClientProtocol, headers: Headers) -> None:
        self._core = core
        self.socket = WebSocket(core, self, headers=headers)
        self.early: list[bytes] = []
        """What the CSMS said before a relay owned the socket."""
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def handshake_received(self, message: Request | Response) -> None:
        """Take the CSMS's answer."""
        status = cast("Response", message).status_code
        if self.opened.done():
            return
        if self._core.handshake_exc is not None:
            self.opened.set_exception(ConnectFailed(f"the CSMS answers {status}", status=status))
        else:
            self.opened.set_result(None)

    def text_received(self, text: bytes) -> None:
        """Keep: the relay takes it."""
        self.early.append(text)

    def closing(self) -> None:
        """Nothing."""

    def closed(self, code: int, reason: str) -> None:
        """Fail if the connection ended before the handshake did."""
        if not self.opened.done():
            self.opened.set_exception(ConnectFailed(f"the CSMS hung up ({code})"))

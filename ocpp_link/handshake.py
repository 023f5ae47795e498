"""The opening handshake, at both ends: who comes, what is spoken, who stays outside.

Rules: OCPP 1.6J section 3, 2.x part 4 section 3. The station's order of subprotocols decides; none in common completes
the handshake without the header and closes at once. Whoever is refused is refused before the upgrade.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from ocpp_link.clock import Clock
from ocpp_link.dialect import SUBPROTOCOLS, Version
from ocpp_link.errors import ConnectFailed
from ocpp_link.limits import TokenBucket
from ocpp_link.link import Link
from ocpp_link.security import MAX_IDENTITY_LENGTH, AccessList, Knock, Refusal
from ocpp_link.wire import WebSocket
from ocpp_link.wirelog import Tap

if TYPE_CHECKING:
    from ocpp_link.profile_book import ProfileBook
    from ocpp_link.renewal import Renewals

logger = logging.getLogger(__name__)

OPEN_TIMEOUT_S = 10.0
"""Wall time [s] for a peer to complete the opening handshake."""

MAX_MESSAGE_BYTES = 1 << 20
"""Larger than any OCPP message in the field; a local list or a report comes in parts."""

NO_COMMON_VERSION = 1002
RETRY_AFTER_S = 10

VERSION_OF = {name: version for version, name in SUBPROTOCOLS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Whom a server admits and how it reads them."""

    endpoint: str = "/ocpp"
    """The path before the station id."""
    access: AccessList | None = None
    """Who may connect and how; ``None`` admits every station without credentials, for trusted networks and tests."""
    knows: Callable[[str], bool] | None = None
    """Tells whether there is a station of an id at all; others are turned away (404)."""
    tls: ssl.SSLContext | None = None
    """Listen with TLS (profiles 2 and 3); see `ocpp_link.security.server_context`."""
    strict: bool = False
    """Refuse what breaks the schema instead of mending it: for test labs."""
    compression: bool = True
    """Take permessage-deflate where a station offers it; a CSMS of 2.x must, at some memory for each connection."""
    assume_ocpp16_when_missing: bool = False
    """Take a station that names no subprotocol at all for a 1.6 one (Grizzl-E and others)."""
    trigger_boot_after_s: float | None = 5.0
    """A station that never booted here is asked to after this silence [s]; ``None``: never."""
    ping_interval_s: float | None = None
    """Ping stations this often [s] of real time, cut those silent for three times as long; not for simulated time."""
    max_message_bytes: int = MAX_MESSAGE_BYTES
    """A larger message ends the connection (1009)."""
    connections_per_s: float | None = None
    """Handshakes beyond this rate, and `connections_at_once`, are told to come back (503)."""
    connections_at_once: float = 10.0
    """Handshakes at once that the rate does not mind; not fewer than there are stations, which may all come at once."""
    tap: Tap | None = None
    """Gets every text of every station, for example an `ocpp_link.wirelog.WireLog`."""
    messages_per_s: float | None = None
    """A station that sends more than this, and fifty at once, is read more slowly."""
    renewals: "Renewals | None" = None
    """Signs the certificates that stations ask for; ``None`` leaves them to the handler."""
    profiles: "ProfileBook | None" = None
    """What is known of stations: one that answers no pings gets none, one that must not be asked to boot is not."""
    identity_by_address: Mapping[str, str] = field(default_factory=dict)
    """Stations that leave their id out of the path are known by their network address."""
    ignore_case: bool = False
    """Take a station whose id differs from one of the access list in upper and lower case only for that one."""


def identity_of(path: str, *, endpoint: str) -> str | None:
    """Return the station id of a request path, ``None`` if the path is not below the endpoint.

    The path is split before it is decoded, so that an encoded slash stays part of the id.

    Examples
    --------
    >>> identity_of("/ocpp/RDAM%7C123?x=1", endpoint="/ocpp")
    'RDAM|123'
    >>> identity_of("/ocpp/", endpoint="/ocpp") is None
    True
    """
    segments, wanted = _segments(path), _segments(endpoint)
    if segments[: len(wanted)] != wanted or len(segments) <= len(wanted):
        return None
    return unquote(segments[-1])


def _segments(path: str) -> list[str]:
    return [part for part in path.split("?")[0].split("/") if part]


def knock_of(identity: str, request: Request, socket: WebSocket) -> Knock:
    """Return how a station knocks: who it says it is, and what it shows."""
    authorization = request.headers.get_all("Authorization")
    return Knock(
        identity=identity,
        secure=socket.tls is not None,
        authorization=authorization[0] if authorization else None,
        certificate=socket.tls.getpeercert() if socket.tls is not None else None,
    )


def refused_response(core: ServerProtocol, refusal: Refusal) -> Response:
    """Return the answer to a handshake that is refused."""
    response = core.reject(refusal.status, f"{refusal.reason}.\n")
    if refusal.status is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Basic realm="ocpp"'
    if refusal.status is HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


@dataclass(slots=True)
class Porter:
    """What every handshake of one server shares."""

    policy: Policy
    versions: Sequence[Version]
    clock: Clock
    welcome: Callable[[str, Version, WebSocket], None]
    bucket: TokenBucket | None
    draining: bool = False

    def judge(self, request: Request, socket: WebSocket) -> str | Refusal:
        """Return the identity of a station that may come in, or why it may not."""
        if self.draining or (self.bucket is not None and not self.bucket.try_take(self.clock.now_s())):
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "come back later")
        identity = self._identity(request.path, socket)
        if identity is None or len(identity) > MAX_IDENTITY_LENGTH or not identity.isprintable():
            return Refusal(HTTPStatus.NOT_FOUND, f"stations connect to {self.policy.endpoint}/<station id>")
        if self.policy.knows is not None and not self.policy.knows(identity):
            return Refusal(HTTPStatus.NOT_FOUND, "unknown station")
        if self.policy.access is None:
            return identity
        return self.policy.access.judge(knock_of(identity, request, socket)) or identity

    def _identity(self, path: str, socket: WebSocket) -> str | None:
        """Return who knocks: by the path, else by the address; where case is ignored, as the access list has it."""
        named = identity_of(path, endpoint=self.policy.endpoint)
        if named is None and _segments(path) == _segments(self.policy.endpoint):
            return self.policy.identity_by_address.get(socket.peer_address)
        if named is None or self.policy.access is None or not self.policy.ignore_case:
            return named
        return self.policy.access.spelled(named)


def _chooser(versions: Sequence[Version]) -> Callable[[ServerProtocol, Sequence[Subprotocol]], Subprotocol | None]:
    spoken = {SUBPROTOCOLS[version] for version in versions}

    def choose(_core: ServerProtocol, wanted: Sequence[Subprotocol]) -> Subprotocol | None:
        """Choose the first that the station names and we speak: the order is the station's."""
        return next((name for name in wanted if name in spoken), None)

    return choose


class Greeter:
    """Owner of a server's socket until the opening handshake is over."""

    def __init__(self, porter: Porter) -> None:
        self._porter = porter
        self._core = ServerProtocol(
            extensions=[ServerPerMessageDeflateFactory()] if porter.policy.compression else None,
            select_subprotocol=_chooser(porter.versions),
            max_size=porter.policy.max_message_bytes,
            logger=logger,
        )
        self.socket = WebSocket(self._core, self)
        self._timer = asyncio.get_running_loop().call_later(OPEN_TIMEOUT_S, self.socket.abort)

    def handshake_received(self, message: Request | Response) -> None:
        """Answer the request and hand the socket to a link."""
        self._timer.cancel()
        request = cast("Request", message)
        judged = self._porter.judge(request, self.socket)
        if isinstance(judged, Refusal):
            self._refuse(judged)
            return
        response = self._core.accept(request)
        self._core.send_response(response)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            logger.warning("%s: handshake refused with %d", judged, response.status_code)
            return
        version = self._version(request.headers)
        if version is None:
            logger.warning("%s: no common OCPP version", judged)
            self.socket.close(NO_COMMON_VERSION, "no common OCPP version")
            return
        if self._porter.policy.ping_interval_s is not None and self._answers_pings(judged):
            self.socket.keep_alive(self._porter.policy.ping_interval_s)
        self._porter.welcome(judged, version, self.socket)

    def _answers_pings(self, identity: str) -> bool:
        profiles = self._porter.policy.profiles
        return profiles is None or profiles.profile(identity).ping is not False

    def _version(self, headers: Headers) -> Version | None:
        if self._core.subprotocol is not None:
            return VERSION_OF[self._core.subprotocol]
        named = headers.get_all("Sec-WebSocket-Protocol")
        assumed = self._porter.policy.assume_ocpp16_when_missing and not named and "1.6" in self._porter.versions
        return "1.6" if assumed else None

    def _refuse(self, refusal: Refusal) -> None:
        logger.warning("%s: refused: %s", self.socket.peer_address, refusal.reason)
        self._core.send_response(refused_response(self._core, refusal))

    def text_received(self, text: bytes) -> None:
        """Discard: the connection is ending."""
        self._porter.clock.frame_done()

    def closing(self) -> None:
        """Nothing."""

    def closed(self, code: int, reason: str) -> None:
        """Stop waiting for a handshake."""
        self._timer.cancel()


_REFUSALS = {401: ": its login is not good", 404: ": this station is not known there", 503: ": no newcomers now"}
"""What refusals of a handshake mean in OCPP-J."""


class Dialer:
    """Owner of a client's socket until the opening handshake is over."""

    def __init__(
        self, core: ClientProtocol, welcome: Callable[[Version, WebSocket], Link], *, headers: Headers
    ) -> None:
        self._core = core
        self._welcome = welcome
        self.socket = WebSocket(core, self, headers=headers)
        self.link: asyncio.Future[Link] = asyncio.get_running_loop().create_future()

    def give_up(self) -> None:
        """Cut the connection unless it became a link: nobody waits for it any more, in time, in vain or cancelled."""
        if not self.link.done() or self.link.cancelled():
            self.link.cancel()
            self.socket.abort()

    def handshake_received(self, message: Request | Response) -> None:
        """Make a link of an accepted handshake."""
        response = cast("Response", message)
        if self._core.handshake_exc is not None:
            status = response.status_code
            why = _REFUSALS.get(status, "")
            self._fail(ConnectFailed(f"handshake refused with HTTP {status}{why}", status=status))
        elif self._core.subprotocol is None:
            self._fail(ConnectFailed("no common OCPP version"))
        elif not self.link.done():
            self.link.set_result(self._welcome(VERSION_OF[self._core.subprotocol], self.socket))

    def text_received(self, text: bytes) -> None:
        """Discard: a server that shares no version has nothing to say."""

    def closing(self) -> None:
        """Nothing."""

    def closed(self, code: int, reason: str) -> None:
        """Fail if the connection ended before the handshake did."""
        cause = self._core.handshake_exc
        self._fail(ConnectFailed(f"connection closed in the handshake: {cause or reason or code}"))

    def _fail(self, error: ConnectFailed) -> None:
        if not self.link.done():
            self.link.set_exception(error)

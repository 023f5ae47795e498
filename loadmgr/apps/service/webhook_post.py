"""One signed POST to an address that somebody gave us, and to nowhere else.

Rules
-----
1. The name is resolved once, every address of it must be public, and that very address is connected to: a name that
   changes its mind in between leads nowhere.
2. No redirect is followed, no proxy is asked, and no more of an answer is read than its status.
3. The signature covers the time and the body: a copy that is sent again later is known by its time.
"""

import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

TIMEOUT_S = 10.0
LONGEST_URL = 2000


class BadTarget(Exception):  # noqa: N818 - it says what it is
    """An address to which nothing is posted; the message says why."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """How a POST ended: the status that came, or what hindered it."""

    status: int | None
    trouble: str = ""

    @property
    def good(self) -> bool:
        """Whether it was taken."""
        return self.status is not None and 200 <= self.status < 300


def check_target(url: str, *, private: bool) -> SplitResult:
    """Return the parts of a URL to which may be posted, as far as that can be told without resolving its name.

    Raises
    ------
    BadTarget
    """
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise BadTarget("must be a URL of up to 2000 printable ASCII characters")
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise BadTarget("has a port that is none") from None
    if parts.scheme not in (("https", "http") if private else ("https",)) or not parts.hostname:
        raise BadTarget("must begin with https:// and name a host")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise BadTarget("must hold neither a login nor a fragment")
    if port == 0:
        raise BadTarget("has port 0")
    if not private:
        try:
            literal = ipaddress.ip_address(parts.hostname)
        except ValueError:
            return parts
        if not is_public(literal):
            raise BadTarget(f"{parts.hostname} is no public address")
    return parts


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Return whether an address is one of the open internet, also where one of the old kind hides in a new one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _embedded(address)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the old address in the last 32 bits of a translated (NAT64, RFC 6052) or compatible one (RFC 4291)."""
    if any(address in network for network in _TRANSLATED):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


_TRANSLATED = tuple(ipaddress.IPv6Network(text) for text in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48"))


def resolved(parts: SplitResult, *, private: bool) -> tuple[str, int]:
    """Return the address and port to connect to.

    Raises
    ------
    BadTarget
        If the name cannot be resolved, or one of its addresses is not public.
    """
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise BadTarget(f"{parts.hostname} cannot be resolved: {error}") from error
    addresses = [str(info[4][0]) for info in found]
    if not addresses:
        raise BadTarget(f"{parts.hostname} has no address")
    for each in addresses:
        if not private and not is_public(ipaddress.ip_address(each.partition("%")[0])):
            raise BadTarget(f"{parts.hostname} leads to {each}, which is no public address")
    return addresses[0], port


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """Return what the header ``Loadmgr-Signature`` holds: HMAC-SHA-256 of ``<timestamp>.<body>``.

    Examples
    --------
    >>> signature("s", 1, b"{}")[:15]
    'v1=b253639bcd70'
    """
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1={digest.hexdigest()}"


def post_signed(url: str, body: bytes, *, secret: str, timestamp: int, delivery: str, private: bool) -> Delivered:
    """Post a body and return how that ended; never raises on what the other side does."""
    try:
        parts = check_target(url, private=private)
        address, port = resolved(parts, private=private)
    except BadTarget as error:
        return Delivered(None, str(error))
    host = str(parts.hostname)
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        sock: socket.socket = socket.create_connection((address, port), timeout=TIMEOUT_S)
        connection.sock = sock
        if parts.scheme == "https":
            connection.sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "loadmgr",
            "Loadmgr-Delivery": delivery,
            "Loadmgr-Timestamp": str(timestamp),
            "Loadmgr-Signature": signature(secret, timestamp, body),
        }
        connection.request("POST", path, body=body, headers=headers)
        return Delivered(connection.getresponse().status)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Delivered(None, f"{type(error).__name__}: {error}")
    finally:
        connection.close()

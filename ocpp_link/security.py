"""Security profiles 0 to 3: who may connect, and how (1.6 security whitepaper ed. 3, section 2; 2.x part 2 A).

Rule 1: a decision is a value: `AccessList.judge` says welcome or with which HTTP status the door stays shut.
Rule 2: passwords are kept as salted hashes of every byte form that a station may send, and compared in constant time.
Rule 3: a station's profile never gets lower. A higher one is offered, counts from the first connection that uses it,
    and from then on the old one is refused.
"""

import base64
import binascii
import hashlib
import hmac
import os
import ssl
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

SecurityProfile = Literal[0, 1, 2, 3]

MAX_IDENTITY_LENGTH = 255
"""2.x allows 48 characters; 1.6 names no limit, and real ids stay far below this."""

_ITERATIONS = 2000
"""Keys are 16 random bytes or more, so what matters is that a thousand stations may log in at once after an outage."""

_SCHEME = f"pbkdf2-sha256-{_ITERATIONS}"
_DIGEST_BYTES = 32

_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-RSA-AES256-GCM-SHA384:AES128-GCM-SHA256:AES256-GCM-SHA384"
)
"""The suites of the whitepaper; the last two, with RSA key exchange, are off in OpenSSL unless named."""

_LEGACY_CIPHERS = (
    f"{_CIPHERS}:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:AES128-SHA256:AES128-SHA:AES256-SHA:@SECLEVEL=0"
)
"""What controllers of before 2015 offer. OpenSSL speaks TLS 1.0 and 1.1 at security level 0 only."""


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """A password that nobody can read back."""

    salt: bytes = field(repr=False)
    digests: tuple[bytes, ...] = field(repr=False)
    """One for each byte form that a station may send."""

    @classmethod
    def of(cls, password: str, *, salt: bytes | None = None) -> "PasswordHash":
        """Hash a password or a 1.6 AuthorizationKey.

        A key is written as hexadecimal; some stations send its bytes, others the hexadecimal text: both are accepted.
        """
        chosen = os.urandom(16) if salt is None else salt
        return cls(chosen, tuple(_digest(form, chosen) for form in _byte_forms(password)))

    def text(self) -> str:
        """Return the hash as a text, to be kept in a file; `parse` reads it."""
        return "$".join([_SCHEME, self.salt.hex(), *(each.hex() for each in self.digests)])

    @classmethod
    def parse(cls, text: str) -> "PasswordHash":
        """Read what `text` wrote.

        Raises
        ------
        ValueError
            If it is no such hash. The message does not repeat it: it may be a password by mistake.
        """
        scheme, *parts = text.split("$")
        try:
            salt, *digests = map(bytes.fromhex, parts)
        except ValueError:
            digests = []
        if scheme != _SCHEME or not digests or any(len(each) != _DIGEST_BYTES for each in digests):
            raise ValueError(f"a password hash must be as `python -m ocpp_link.access_file` prints it: {_SCHEME}$...")
        return cls(salt, tuple(digests))

    def matches(self, sent: bytes) -> bool:
        """Compare what a station sent, in constant time."""
        digest = _digest(sent, self.salt)
        return any([hmac.compare_digest(digest, each) for each in self.digests])  # noqa: C419 - all are compared


def _digest(password: bytes, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password, salt, _ITERATIONS)


def _byte_forms(password: str) -> list[bytes]:
    forms = [password.encode()]
    try:
        forms.append(bytes.fromhex(password))
    except ValueError:
        return forms  # no AuthorizationKey
    other_case = password.upper() if password != password.upper() else password.lower()
    return [*forms, other_case.encode()]


@dataclass(frozen=True, slots=True, kw_only=True)
class StationAccess:
    """How one station may connect."""

    profile: SecurityProfile
    passwords: tuple[PasswordHash, ...] = ()
    """The one in force first; a second one was offered to the station and not yet used."""
    offered_profile: SecurityProfile | None = None
    """A higher profile that the station was told to use and has not used yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """What a station shows at the door."""

    identity: str
    secure: bool
    """Whether the connection is TLS."""
    authorization: str | None = field(default=None, repr=False)
    """The Authorization header."""
    certificate: Mapping[str, Any] | None = None
    """The client certificate, verified by TLS, as `ssl.SSLSocket.getpeercert` returns it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the door stays shut."""

    status: HTTPStatus
    reason: str


class AccessList:
    """The stations that may connect.

    Parameters
    ----------
    stations
        How each may connect, by id.
    organisation
        The O of client certificates (profile 3); ``None`` accepts any that the certificate authority signed.
    on_change
        Called with id and access whenever a station's access changes, to be kept: without that, a restart would take
        an old key or a lower profile again.
    """

    def __init__(
        self,
        stations: Mapping[str, StationAccess],
        *,
        organisation: str | None = None,
        on_change: Callable[[str, StationAccess], None] | None = None,
    ) -> None:
        self._stations = dict(stations)
        self._organisation = organisation
        self._on_change = on_change

    def __getitem__(self, identity: str) -> StationAccess:
        return self._stations[identity]

    @property
    def organisation(self) -> str | None:
        """The O of client certificates; ``None`` accepts any."""
        return self._organisation

    def spelled(self, identity: str) -> str:
        """Return an id as this list has it, if it differs in case only; the id itself if none or several do."""
        if identity in self._stations:
            return identity
        alike = [each for each in self._stations if each.casefold() == identity.casefold()]
        return alike[0] if len(alike) == 1 else identity

    def judge(self, knock: Knock) -> Refusal | None:
        """Decide about a handshake; ``None`` means welcome. A login settles pending changes of key and profile."""
        access = self._stations.get(knock.identity)
        if access is None:
            return Refusal(HTTPStatus.NOT_FOUND, "unknown station")
        shown = self._shown_profile(knock)
        if shown not in (access.profile, access.offered_profile):
            return Refusal(HTTPStatus.UNAUTHORIZED, f"security profile {shown}, {access.profile} is expected")
        if shown == 3:
            if not self._is_of(knock):
                return Refusal(HTTPStatus.UNAUTHORIZED, "the certificate is not this station's")
        elif shown != 0:
            used = _used_password(access, knock)
            if used is None:
                return Refusal(HTTPStatus.UNAUTHORIZED, "wrong password")
            access = replace(access, passwords=(used,))
        if shown == access.offered_profile:
            access = replace(access, profile=shown, offered_profile=None)
        self._change(knock.identity, access)
        return None

    def offer_password(self, identity: str, password: str) -> None:
        """Accept a new password beside the one in force, until the station has used either."""
        access = self._stations[identity]
        self._change(identity, replace(access, passwords=(*access.passwords[:1], PasswordHash.of(password))))

    def confirm_password(self, identity: str) -> None:
        """Drop the old password: the station said that it took the new one."""
        access = self._stations[identity]
        self._change(identity, replace(access, passwords=access.passwords[-1:]))

    def withdraw_password(self, identity: str) -> None:
        """Drop the offered password: the station refused it."""
        access = self._stations[identity]
        self._change(identity, replace(access, passwords=access.passwords[:1]))

    def offer_profile(self, identity: str, profile: SecurityProfile) -> None:
        """Accept a higher profile from the next connection that uses it.

        Raises
        ------
        ValueError
            If it is not higher than the one in force.
        """
        access = self._stations[identity]
        if profile <= access.profile:
            raise ValueError(f"profile must be above {access.profile}, the one in force, got {profile}")
        self._change(identity, replace(access, offered_profile=profile))

    def _change(self, identity: str, access: StationAccess) -> None:
        if access == self._stations[identity]:
            return
        self._stations[identity] = access
        if self._on_change is not None:
            self._on_change(identity, access)

    def _shown_profile(self, knock: Knock) -> SecurityProfile:
        if knock.secure:
            return 3 if knock.certificate else 2
        return 1 if knock.authorization is not None else 0

    def _is_of(self, knock: Knock) -> bool:
        names = {name: value for group in (knock.certificate or {}).get("subject", ()) for name, value in group}
        right_station = knock.identity in (names.get("commonName"), names.get("serialNumber"))
        return right_station and self._organisation in (None, names.get("organizationName"))


def _used_password(access: StationAccess, knock: Knock) -> PasswordHash | None:
    sent = basic_password(knock.authorization, identity=knock.identity)
    if sent is None:
        return None
    return next((each for each in access.passwords if each.matches(sent)), None)


def basic_password(header: str | None, *, identity: str) -> bytes | None:
    """Return the password bytes of an Authorization header; ``None`` if it is not Basic or not for this identity.

    The password may hold a colon and need not be UTF-8; the identity is known, so it is cut off as a prefix.

    Examples
    --------
    >>> basic_password(basic_header("CS:1", b"a:b"), identity="CS:1")
    b'a:b'
    """
    scheme, _, encoded = (header or "").strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    prefix = identity.encode() + b":"
    return decoded[len(prefix) :] if decoded.startswith(prefix) else None


def basic_header(identity: str, password: bytes) -> str:
    """Return the Authorization header with which a station logs in."""
    return "Basic " + base64.b64encode(identity.encode() + b":" + password).decode()


def server_context(
    certificate: Path, key: Path, *, client_authority: Path | None = None, legacy: bool = False
) -> ssl.SSLContext:
    """Return the TLS settings of a server for profiles 2 and 3.

    Parameters
    ----------
    certificate, key
        PEM files. To renew them, load new ones into the same context: connections that stand are not touched.
    client_authority
        PEM file with the authorities that sign stations' certificates; a station may then show one, and one of
        profile 3 has to.
    legacy
        Admit TLS 1.0 and 1.1 and the ciphers of that time. A00.FR.312 forbids it where it can be avoided: give such
        stations a port of their own, so that nobody else can be talked down to it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_COMPRESSION
    if legacy:
        context.set_ciphers(_LEGACY_CIPHERS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it is what is asked for
            context.minimum_version = ssl.TLSVersion.TLSv1
    else:
        context.set_ciphers(_CIPHERS)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if client_authority is not None:
        context.load_verify_locations(client_authority)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def station_context(
    authority: Path | None, *, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Return the TLS settings of a station's end.

    Parameters
    ----------
    authority
        PEM file with the authority that signs the server's certificate; the system's authorities if absent.
    certificate, key
        The station's own (profile 3).
    """
    context = ssl.create_default_context(cafile=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context

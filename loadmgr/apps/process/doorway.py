"""How stations come in to ``loadmgr run``: TLS, logins, liveness, and what a rude one may cost."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from loadmgr.apps.process.site import SiteProcess
from loadmgr.errors import InputError
from loadmgr.model.ids import StationId
from ocpp_link.access_file import load_access
from ocpp_link.profile_book import load_overrides
from ocpp_link.renewal import Renewals
from ocpp_link.security import AccessList, server_context
from ocpp_link.station_profile import StationProfile
from ocpp_link.transport import Policy
from ocpp_link.wirelog import Tap

T = TypeVar("T")

PING_INTERVAL_S = 30.0
"""A station whose network failed is known to be gone after three of these, as its own limits run on [s]."""

MESSAGES_PER_S = 50.0
"""A station that tells more than this for long is read more slowly; a busy one tells one or two."""

CONNECTIONS_PER_S = 20.0
"""Handshakes that are let through for long; after a power cut every station of the site comes at once, and may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorway:
    """What the command line says of it."""

    access: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    client_authority: Path | None = None
    legacy_port: int | None = None
    """A port beside the usual one where old TLS is spoken."""
    sign_certificate: Path | None = None
    """The certificate of the authority that signs what stations ask for."""
    sign_key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) is not (self.key is None):
            raise InputError("--tls-certificate and --tls-key need each other")
        if self.client_authority is not None and self.certificate is None:
            raise InputError("--tls-client-ca needs --tls-certificate and --tls-key")
        if self.legacy_port is not None and self.certificate is None:
            raise InputError("--tls-legacy-port needs --tls-certificate and --tls-key")
        if (self.sign_certificate is None) is not (self.sign_key is None):
            raise InputError("--tls-sign-ca and --tls-sign-key need each other")
        if self.sign_key is not None and (self.access is None or self.client_authority is None):
            raise InputError("--tls-sign-key needs --access, which says who a station is, and --tls-client-ca")

    def tls(self, *, legacy: bool = False) -> ssl.SSLContext | None:
        """Return the TLS settings; ``None`` for plain connections.

        Raises
        ------
        InputError
            If a file cannot be read or does not fit the others.
        """
        if self.certificate is None or self.key is None:
            return None
        try:
            return server_context(self.certificate, self.key, client_authority=self.client_authority, legacy=legacy)
        except (ssl.SSLError, OSError) as error:
            files = ", ".join(str(each) for each in (self.certificate, self.key, self.client_authority) if each)
            raise InputError(f"{files}: no usable certificate and key in PEM: {error}") from error

    def renew(self, *contexts: ssl.SSLContext | None) -> bool:
        """Read the certificate again, for those who connect from now on; return whether there is one.

        Raises
        ------
        InputError
            If a file cannot be read or does not fit the other: the old certificate stays.
        """
        if self.certificate is None or self.key is None:
            return False
        self.tls()  # a key that does not fit is found before the context in use is touched
        for tls in contexts:
            if tls is not None:
                tls.load_cert_chain(self.certificate, self.key)
        return True

    def access_list(self) -> AccessList | None:
        """Return who may connect; ``None`` admits every station of the site without login.

        Raises
        ------
        InputError
            If the file cannot be read.
        """
        return None if self.access is None else _read(self.access, load_access)

    def renewals(self, access: AccessList | None, *, now: Callable[[], datetime]) -> Renewals | None:
        """Return who signs stations' certificates; ``None`` where nobody does.

        Raises
        ------
        InputError
            If a file cannot be read, does not fit the other, or ``cryptography`` is not installed.
        """
        if self.sign_certificate is None or self.sign_key is None or access is None:
            return None
        try:
            from ocpp_link.authority import Authority
        except ModuleNotFoundError as error:
            raise InputError(f"--tls-sign-key needs {error.name}: pip install 'loadmgr[certificates]'") from None
        try:
            authority = Authority.load(self.sign_certificate, self.sign_key)
        except (OSError, ValueError) as error:
            raise InputError(f"{self.sign_certificate}, {self.sign_key}: {error}") from error
        return Renewals(authority, access, now=now)

    def policy(
        self, process: SiteProcess, *, tap: Tap | None, access: AccessList | None, renewals: Renewals | None = None
    ) -> Policy:
        """Return the rules of the endpoint.

        Parameters
        ----------
        access : AccessList, optional
            As ``access_list`` gives it.
        renewals : Renewals, optional
            As ``renewals`` gives it.

        Raises
        ------
        InputError
            If a file cannot be read.
        """
        return Policy(
            knows=lambda identity: StationId(identity) in process.site.station_by_id,
            access=access,
            tls=self.tls(),
            ping_interval_s=PING_INTERVAL_S,
            connections_per_s=CONNECTIONS_PER_S,
            connections_at_once=10.0 + 2.0 * len(process.site.station_by_id),
            messages_per_s=MESSAGES_PER_S,
            profiles=process.models,
            renewals=renewals,
            tap=tap,
        )


def overrides_of(path: Path | None, process_stations: frozenset[str]) -> dict[str, StationProfile]:
    """Return what the operator says of stations' ways.

    Raises
    ------
    InputError
        If the file cannot be read, or names a station that the site does not have.
    """
    if path is None:
        return {}
    found = _read(path, load_overrides)
    strangers = sorted(set(found) - process_stations)
    if strangers:
        known = ", ".join(sorted(process_stations))
        raise InputError(f"{path}: station {strangers[0]} is not in the site file; there are {known}")
    return found


def _read(path: Path, read: Callable[[Path], T]) -> T:
    try:
        return read(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(str(error)) from error

"""API tokens: who may do what at which sites. What is kept of a token is a digest, which opens nothing.

Rules
-----
1. A token is 256 random bits, so a plain SHA-256 of it cannot be searched; it is compared in constant time.
2. A role holds the ones below it: admin does what operate does, and operate what read does.
3. A token that is not there, over, revoked or wrong is refused in the same words.
"""

import enum
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from loadmgr.apps.service.tables import Tables
from loadmgr.errors import InputError

PREFIX = "lm"
"""A token reads ``lm_<id>_<secret>``: scanners of source code find one that was left there."""


class Role(enum.IntEnum):
    """What a token may do: look, act, and rule over tokens and others' limits."""

    READ = 1
    OPERATE = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who a request comes from.

    Parameters
    ----------
    sites : frozenset of str, optional
        Sites that it may know of; ``None`` is all.
    """

    token: str
    name: str
    role: Role
    sites: frozenset[str] | None = None

    def may_see(self, site: str) -> bool:
        """Return whether the caller may know of a site."""
        return self.sites is None or site in self.sites


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEntry:
    """A token as it is listed: everything but its secret."""

    id: str
    name: str
    role: Role
    sites: frozenset[str] | None
    created: datetime
    expires: datetime | None
    revoked: datetime | None


class TokenBook:
    """The tokens of a service.

    Parameters
    ----------
    tables : Tables
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def issue(
        self,
        *,
        name: str,
        role: Role,
        now: datetime,
        sites: Iterable[str] | None = None,
        expires: datetime | None = None,
    ) -> str:
        """Make a token and return it; it is shown this once.

        Raises
        ------
        InputError
            If a site's name cannot be kept.
        """
        scope = None if sites is None else sorted(set(sites))
        if scope is not None and any("\n" in each or not each for each in scope):
            raise InputError("sites: a name is empty or has several lines")
        token, secret = secrets.token_hex(6), secrets.token_hex(32)
        self._tables.rows(
            "INSERT INTO service_token VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
            (
                token,
                name,
                role.name.lower(),
                None if scope is None else "\n".join(scope),
                _digest(secret),
                _us(now),
                None if expires is None else _us(expires),
            ),
        )
        return f"{PREFIX}_{token}_{secret}"

    def find(self, text: str, *, now: datetime) -> Caller | None:
        """Return who a token is of; ``None`` where it opens nothing."""
        prefix, _, rest = text.partition("_")
        token, _, secret = rest.partition("_")
        if prefix != PREFIX or not token.isalnum() or not secret.isalnum() or len(text) > 200:
            return None
        found = self._tables.rows("SELECT * FROM service_token WHERE id = ?", (token,))
        kept = bytes(found[0][4]) if found else b"\0" * 32
        right = hmac.compare_digest(kept, _digest(secret))
        if not found or not right:
            return None
        entry = _entry(found[0])
        if entry.revoked is not None or (entry.expires is not None and entry.expires <= now):
            return None
        return Caller(token=entry.id, name=entry.name, role=entry.role, sites=entry.sites)

    def revoke(self, token: str, *, now: datetime) -> bool:
        """End a token; return whether there was one."""
        known = self._tables.rows("SELECT id FROM service_token WHERE id = ? AND revoked_us IS NULL", (token,))
        self._tables.rows(
            "UPDATE service_token SET revoked_us = ? WHERE id = ? AND revoked_us IS NULL", (_us(now), token)
        )
        return bool(known)

    def listed(self) -> list[TokenEntry]:
        """Return every token, the oldest first."""
        return [_entry(row) for row in self._tables.rows("SELECT * FROM service_token ORDER BY created_us, id")]


def _entry(row: tuple[Any, ...]) -> TokenEntry:
    token, name, role, sites, _, created, expires, revoked = row
    return TokenEntry(
        id=token,
        name=name,
        role=Role[role.upper()],
        sites=None if sites is None else frozenset(sites.split("\n")) - {""},
        created=_instant(created),
        expires=None if expires is None else _instant(expires),
        revoked=None if revoked is None else _instant(revoked),
    )


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _us(when: datetime) -> int:
    return int(when.timestamp() * 1_000_000)


def _instant(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1_000_000, UTC)

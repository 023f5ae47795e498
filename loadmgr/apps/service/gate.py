"""The gate of the service: who asks, whether he may, and whether he asks too often.

Rules
-----
1. Without a token nothing but health is answered, unless the service was opened by name on the loopback address.
2. A site that a token may not see is not there: the same answer as for one that does not exist.
3. Whoever shows wrong tokens is slowed down by address, before his tokens are looked at.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

from starlette.requests import Request

from loadmgr.apps.service.problems import Refused
from loadmgr.apps.service.rates import Buckets, Rate
from loadmgr.apps.service.tokens import Caller, Role, TokenBook

KEPT_S = 5.0
"""A token that was found is taken for so long without looking again; a revoked one opens nothing after that [s]."""

MOST_KEPT = 1000

GUESSES = Rate(per_s=0.2, burst=20)

EVERYBODY = Caller(token="open", name="anybody on this machine", role=Role.ADMIN)


class Gate:
    """Lets callers in.

    Parameters
    ----------
    tokens : TokenBook
    now : callable
    rate : Rate
        Of each token.
    is_open : bool
        Nobody needs a token.
    """

    def __init__(self, tokens: TokenBook, *, now: Callable[[], datetime], rate: Rate, is_open: bool = False) -> None:
        self._tokens = tokens
        self._now = now
        self._requests = Buckets(rate)
        self._guesses = Buckets(GUESSES)
        self._is_open = is_open
        self._known: dict[str, tuple[float, Caller]] = {}

    async def admit(self, request: Request, role: Role, *, site: str | None = None) -> Caller:
        """Return who asks.

        Raises
        ------
        Refused
            401 without a good token, 403 where the role is too low, 404 where the site is not his, 429 too often.
        """
        caller = EVERYBODY if self._is_open else await self._caller(request)
        request.state.caller = caller
        wait_s = self._requests.wait_s(caller.token, now_s=time.monotonic())
        if wait_s > 0.0:
            raise _too_often(wait_s)
        if site is not None and not caller.may_see(site):
            raise no_site(site)
        if caller.role < role:
            text = f"this needs the role {role.name.lower()}, and the token has {caller.role.name.lower()}"
            raise Refused(403, "role-too-low", text)
        return caller

    async def _caller(self, request: Request) -> Caller:
        address = request.client.host if request.client else ""
        now_s = time.monotonic()
        if self._guesses.is_empty(address, now_s=now_s):
            raise _too_often(1.0 / GUESSES.per_s)
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        text = text.strip()
        caller = await self._known_or_found(text, now_s) if scheme.lower() == "bearer" and text else None
        if caller is None:
            self._guesses.wait_s(address, now_s=now_s)
            challenge = {"WWW-Authenticate": 'Bearer realm="loadmgr"'}
            raise Refused(401, "no-token", "send a good token: Authorization: Bearer lm_...", headers=challenge)
        return caller

    async def _known_or_found(self, text: str, now_s: float) -> Caller | None:
        kept = self._known.get(text)
        if kept is not None and now_s - kept[0] < KEPT_S:
            return kept[1]
        caller = await asyncio.to_thread(self._tokens.find, text, now=self._now())
        if len(self._known) >= MOST_KEPT:
            self._known.clear()
        if caller is None:
            self._known.pop(text, None)
        else:
            self._known[text] = (now_s, caller)
        return caller


def no_site(site: str) -> Refused:
    """Return the refusal of a site that is not there, or that the caller may not see."""
    return Refused(404, "no-such-site", f"there is no site {site[:80]!r}")


def _too_often(wait_s: float) -> Refused:
    headers = {"Retry-After": str(max(1, round(wait_s)))}
    return Refused(429, "too-often", "too many requests: wait as Retry-After says", headers=headers)

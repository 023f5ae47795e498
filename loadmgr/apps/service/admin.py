"""Routes for those who rule: tokens, and the audit."""

import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, Field

from loadmgr.apps.service.answers import Answer, json_answer
from loadmgr.apps.service.audit import AuditEntry
from loadmgr.apps.service.bodies import read_model
from loadmgr.apps.service.facts import in_bounds
from loadmgr.apps.service.openapi import json_body
from loadmgr.apps.service.problems import FieldFault, Refused, documented, invalid
from loadmgr.apps.service.service import Service
from loadmgr.apps.service.snapshot import Identity, Strict
from loadmgr.apps.service.tokens import Caller, Role, TokenEntry

REFUSALS = (400, 401, 403, 408, 413, 415, 422, 429)


class TokenRequest(Strict):
    """A token to be made."""

    name: Identity = Field(description="Whose it is, for the list and the audit.")
    role: Annotated[str, Field(pattern="^(read|operate|admin)$")]
    sites: list[Identity] | None = Field(default=None, max_length=10_000, description="Left out: every site.")
    expires: AwareDatetime | None = None


class TokenAnswer(Answer):
    """A token that was made; it is shown this once."""

    token: str


class TokenListed(Answer):
    """A token without its secret."""

    id: str
    name: str
    role: str
    sites: list[str] | None
    created: datetime
    expires: datetime | None
    revoked: datetime | None


class AuditListed(Answer):
    """Something that was done, or refused."""

    at: datetime
    request: str
    token: str | None
    address: str | None
    action: str
    site: str | None
    status: int
    detail: str | None


def admin_routes(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1", tags=["admin"])

    @router.post(
        "/tokens",
        status_code=201,
        responses={201: {"model": TokenAnswer}, **documented(*REFUSALS)},
        response_model=None,
        openapi_extra=json_body("TokenRequest"),
    )
    async def issue(request: Request) -> Response:
        """Make a token of one's own sites or fewer."""
        caller = await service.gate.admit(request, Role.ADMIN)
        asked = await read_model(request, TokenRequest)
        expires = None if asked.expires is None else in_bounds(asked.expires)
        if asked.expires is not None and (expires is None or expires <= service.now()):
            raise invalid([FieldFault("expires", "lies in the past or out of range", "write a time to come")])
        sites = _scope(caller, asked.sites)
        token = await asyncio.to_thread(
            service.tokens.issue,
            name=asked.name,
            role=Role[asked.role.upper()],
            now=service.now(),
            sites=sites,
            expires=expires,
        )
        await service.audit.note(request, "token issued", status=201, detail=f"{asked.name}: {asked.role}")
        return json_answer({"token": token}, status=201)

    @router.get("/tokens", responses={200: {"model": list[TokenListed]}, **documented(401, 403, 429)})
    async def listed(request: Request) -> list[TokenListed]:
        """Return every token without its secret."""
        _everywhere(await service.gate.admit(request, Role.ADMIN))
        return [_listed(entry) for entry in await asyncio.to_thread(service.tokens.listed)]

    @router.delete(
        "/tokens/{token_id}",
        status_code=204,
        responses={204: {"description": "It opens nothing from now on."}, **documented(401, 403, 404, 422, 429)},
        response_model=None,
    )
    async def revoke(request: Request, token_id: str) -> Response:
        """End a token."""
        _everywhere(await service.gate.admit(request, Role.ADMIN))
        there = token_id.isascii() and token_id.isalnum()
        if not there or not await asyncio.to_thread(service.tokens.revoke, token_id, now=service.now()):
            raise Refused(404, "no-such-token", "there is no such token, or it is revoked already")
        await service.audit.note(request, "token revoked", status=204, detail=token_id)
        return Response(status_code=204)

    @router.get("/audit", responses={200: {"model": list[AuditListed]}, **documented(401, 403, 422, 429)})
    async def audit(request: Request, most: Annotated[int, Query(ge=1, le=10_000)] = 100) -> list[AuditListed]:
        """Return what was done and refused, the newest first."""
        caller = await service.gate.admit(request, Role.ADMIN)
        found = await asyncio.to_thread(service.audit.listed, sites=caller.sites, most=most)
        return [_audited(entry) for entry in found]

    return router


def _scope(caller: Caller, sites: list[str] | None) -> list[str] | None:
    if caller.sites is None:
        return sites
    beyond = sorted(set(sites) - caller.sites) if sites is not None else ["every site"]
    if beyond:
        raise Refused(
            403,
            "beyond-scope",
            "a token of some sites makes no token of others",
            faults=[
                FieldFault("sites", f"not yours: {', '.join(beyond)[:200]}", f"name some of {sorted(caller.sites)}")
            ],
        )
    return sites


def _everywhere(caller: Caller) -> None:
    if caller.sites is not None:
        raise Refused(403, "beyond-scope", "this needs an admin token of every site")


def _listed(entry: TokenEntry) -> TokenListed:
    return TokenListed(
        id=entry.id,
        name=entry.name,
        role=entry.role.name.lower(),
        sites=None if entry.sites is None else sorted(entry.sites),
        created=entry.created,
        expires=entry.expires,
        revoked=entry.revoked,
    )


def _audited(entry: AuditEntry) -> AuditListed:
    return AuditListed(
        at=entry.at,
        request=entry.request,
        token=entry.token,
        address=entry.address,
        action=entry.action,
        site=entry.site,
        status=entry.status,
        detail=entry.detail,
    )

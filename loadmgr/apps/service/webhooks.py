"""Commands carried to a CSMS by webhook: signed, tried again until they are taken or too old."""

import asyncio
import logging
import secrets
from dataclasses import dataclass

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import Field

from loadmgr.apps.service.answers import Answer, json_answer
from loadmgr.apps.service.bodies import read_model
from loadmgr.apps.service.hosted import HostedSite
from loadmgr.apps.service.openapi import json_body
from loadmgr.apps.service.problems import FieldFault, Refused, documented, invalid
from loadmgr.apps.service.service import Service
from loadmgr.apps.service.site_routes import READS, WRITES, outgoing_json, site_of
from loadmgr.apps.service.snapshot import Strict
from loadmgr.apps.service.tokens import Role
from loadmgr.apps.service.webhook_post import BadTarget, check_target, post_signed, resolved
from loadmgr.store.database import DatabaseLost

log = logging.getLogger(__name__)

FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 8.0
LOOK_S = 5.0
"""How often a site without a webhook looks whether it got one [s]."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where commands of a site go, and the secret that signs them."""

    url: str
    secret: str


class WebhookRequest(Strict):
    """Where commands are to go."""

    url: str = Field(max_length=2000, description="https, at a public address.")


class WebhookAnswer(Answer):
    """A webhook that was set; the secret is shown this once."""

    url: str
    secret: str


class WebhookListed(Answer):
    """Where commands go."""

    url: str


async def webhook_of(service: Service, site: str) -> Webhook | None:
    """Return the webhook of a site.

    Raises
    ------
    DatabaseLost
    """
    found = await service.tables.ask("SELECT url, secret FROM service_webhook WHERE site = ?", (site,))
    return Webhook(*found[0]) if found else None


async def deliver(service: Service, hosted: HostedSite) -> None:
    """Carry a site's commands to its webhook until cancelled; what nobody takes expires, and counts as not done."""
    after, retry_s = 0, FIRST_RETRY_S
    outbox = hosted.outbox
    while outbox is not None:
        try:
            hook = await webhook_of(service, hosted.name)
        except DatabaseLost as error:
            log.warning("%s: webhook: %s", hosted.name, error, extra={"site": hosted.name})
            hook = None
        if hook is None:
            await asyncio.sleep(LOOK_S)
            continue
        found = await outbox.wait(after=after, within_s=LOOK_S)
        orders = outbox.orders(after=after)
        if not found and not orders:
            continue
        told = outgoing_json(service, hosted, found, orders, after=after)
        ended = await asyncio.to_thread(
            post_signed,
            hook.url,
            orjson.dumps({"site": hosted.name, **told}),
            secret=hook.secret,
            timestamp=int(service.now().timestamp()),
            delivery=secrets.token_hex(8),
            private=service.private_webhooks,
        )
        if ended.good:
            outbox.handed_over(orders)
            after, retry_s = told["after"], FIRST_RETRY_S
            continue
        why = ended.trouble or f"it answered {ended.status}"
        log.warning("%s: webhook: %s; again in %g s", hosted.name, why, retry_s, extra={"site": hosted.name})
        await asyncio.sleep(retry_s)
        retry_s = min(2.0 * retry_s, LONGEST_RETRY_S)


def webhook_routes(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1", tags=["sites"])
    path = "/sites/{site}/webhook"

    @router.put(
        path,
        responses={200: {"model": WebhookAnswer}, **documented(*WRITES)},
        response_model=None,
        openapi_extra=json_body("WebhookRequest"),
    )
    async def put(request: Request, site: str) -> Response:
        """Have commands of a site posted to a URL, signed with a new secret."""
        await site_of(service, request, site, Role.ADMIN)
        asked = await read_model(request, WebhookRequest)
        try:
            parts = check_target(asked.url, private=service.private_webhooks)
            await asyncio.to_thread(resolved, parts, private=service.private_webhooks)
        except BadTarget as error:
            raise invalid([FieldFault("url", str(error), "give an https URL at a public address")]) from None
        secret = secrets.token_hex(32)
        await service.tables.ask(
            "INSERT INTO service_webhook VALUES (?, ?, ?)"
            " ON CONFLICT (site) DO UPDATE SET url = excluded.url, secret = excluded.secret",
            (site, asked.url, secret),
        )
        await service.audit.note(request, "webhook set", status=200, site=site, detail=parts.hostname)
        return json_answer({"url": asked.url, "secret": secret})

    @router.get(path, responses={200: {"model": WebhookListed}, **documented(*READS)}, response_model=None)
    async def get(request: Request, site: str) -> Response:
        """Return where commands of a site are posted."""
        await site_of(service, request, site, Role.ADMIN)
        found = await webhook_of(service, site)
        if found is None:
            raise Refused(404, "no-webhook", "this site has no webhook")
        return json_answer({"url": found.url})

    @router.delete(
        path, status_code=204, responses={204: {"description": "Gone."}, **documented(*READS)}, response_model=None
    )
    async def delete(request: Request, site: str) -> Response:
        """Have commands posted no more."""
        await site_of(service, request, site, Role.ADMIN)
        await service.tables.ask("DELETE FROM service_webhook WHERE site = ?", (site,))
        await service.audit.note(request, "webhook removed", status=204, site=site)
        return Response(status_code=204)

    return router

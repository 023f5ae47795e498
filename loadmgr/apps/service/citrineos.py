"""Sites whose stations are behind a CitrineOS: its subscriptions and answers come in here, commands go out to it.

Rules
-----
1. What CitrineOS posts carries no token, so the address that it is given has a secret in it; without that there is
   nothing. The secret is made of the operator's, so that it is the same on every worker and after a restart.
2. A station is subscribed to once: CitrineOS keeps every subscription that it was ever given.
3. A worker that does not control a site posts nothing for it.
"""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from loadmgr.apps.service.bodies import read_json
from loadmgr.apps.service.hosted import HostedSite
from loadmgr.apps.service.problems import Refused
from loadmgr.csms.citrineos import CitrineOs
from loadmgr.csms.http_json import HttpAnswer, Sender, send_json

log = logging.getLogger(__name__)

AGAIN_S = 10.0
"""How long after a failure stations are subscribed to again [s]."""


class CitrineSites:
    """The sites of this process whose stations are behind a CitrineOS.

    Parameters
    ----------
    api : str
        Where CitrineOS's message API is.
    own_url : str
        Where CitrineOS reaches this service.
    secret : str
        Makes the addresses that CitrineOS posts to.
    headers : mapping, optional
        Such as an Authorization for its API.
    tenant : int
    """

    def __init__(
        self,
        *,
        api: str,
        own_url: str,
        secret: str,
        headers: Mapping[str, str] | None = None,
        tenant: int = 1,
        send: Sender = send_json,
    ) -> None:
        self._api = api.rstrip("/")
        self._own_url = own_url.rstrip("/")
        self._secret = secret
        self._headers = dict(headers or {})
        self._tenant = tenant
        self._send = send
        self._gateways: dict[str, CitrineOs] = {}

    def address(self, site: str) -> str:
        """Return where CitrineOS posts what concerns a site."""
        return f"{self._own_url}/v1/sites/{site}/citrineos/{self._word(site)}"

    async def accompany(self, hosted: HostedSite, *, may_send: Callable[[], bool]) -> None:
        """Stand between a site and CitrineOS as long as the site is controlled here."""

        async def send(method: str, url: str, headers: Mapping[str, str], body: Any) -> HttpAnswer:
            if not may_send():
                raise OSError("another worker controls this site now")
            return await self._send(method, url, headers, body)

        gateway = CitrineOs(
            hosted.process,
            api=self._api,
            callbacks=f"{self.address(hosted.name)}/answers",
            tenant=self._tenant,
            headers=self._headers,
            send=send,
        )
        self._gateways[hosted.name] = gateway
        try:
            await self._subscribe(hosted, gateway, send)
            await asyncio.Event().wait()
        finally:
            if self._gateways.get(hosted.name) is gateway:
                del self._gateways[hosted.name]

    def gateway(self, site: str, word: str) -> CitrineOs:
        """Return the way to CitrineOS of a site.

        Raises
        ------
        Refused
            404 without the right secret, and where the site is not controlled here.
        """
        found = self._gateways.get(site)
        if not hmac.compare_digest(word.encode(), self._word(site).encode()) or found is None:
            raise Refused(404, "not-found", "there is nothing at this path: see /openapi.json")
        return found

    async def _subscribe(self, hosted: HostedSite, gateway: CitrineOs, send: Sender) -> None:
        """Have CitrineOS tell of every station of a site; try again until it does."""
        url = f"{self.address(hosted.name)}/notifications"
        missing = [str(s.id) for s in hosted.process.site.stations]
        while missing:
            try:
                missing = [name for name in missing if not await self._subscribed(name, url, gateway, send)]
            except OSError as error:
                log.warning("%s: CitrineOS cannot be reached: %s", hosted.name, error, extra={"site": hosted.name})
            if missing:
                await asyncio.sleep(AGAIN_S)
        log.info("%s: CitrineOS tells of its stations", hosted.name, extra={"site": hosted.name})

    async def _subscribed(self, station: str, url: str, gateway: CitrineOs, send: Sender) -> bool:
        place = f"{self._api}/data/ocpprouter/subscription"
        query = urlencode({"stationId": station, "tenantId": self._tenant})
        known = await send("GET", f"{place}?{query}", self._headers, None)
        listed = [each for each in known.body if isinstance(each, dict)] if isinstance(known.body, list) else []
        ours = url.partition("/citrineos/")[0] + "/citrineos/"
        for old in listed:  # made with another secret: it would be told of all that happens, for nothing
            if str(old.get("url", "")).startswith(ours) and old["url"] != url:
                stale = urlencode({"id": old.get("id"), "tenantId": self._tenant})
                await send("DELETE", f"{place}?{stale}", self._headers, None)
        if any(each.get("url") == url for each in listed):
            return True
        made = await send("POST", f"{place}?{query}", self._headers, gateway.subscription(station, url))
        if not 200 <= made.status < 300:
            log.warning("station %s: CitrineOS took no subscription (HTTP %d)", station, made.status)
        return 200 <= made.status < 300

    def _word(self, site: str) -> str:
        return hmac.new(self._secret.encode(), f"citrineos {site}".encode(), hashlib.sha256).hexdigest()[:40]


def citrineos_routes(sites: CitrineSites) -> APIRouter:
    """Return the routes to which CitrineOS posts; they are between it and us, and no part of the interface."""
    router = APIRouter(prefix="/v1/sites/{site}/citrineos/{word}", include_in_schema=False)

    @router.post("/notifications")
    async def notifications(request: Request, site: str, word: str) -> Response:
        gateway = sites.gateway(site, word)
        gateway.notified(await read_json(request))
        return Response(status_code=204)

    @router.post("/answers/{name}")
    async def answers(request: Request, site: str, word: str, name: str) -> Response:
        gateway = sites.gateway(site, word)
        gateway.answered(name, await read_json(request))
        return Response(status_code=204)

    return router

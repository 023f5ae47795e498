"""CitrineOS: commands through its message API, stations' messages by its subscriptions.

Its public interface, as of its 1.5 to 1.8 sources: a call is posted to ``/ocpp/<version>/<module>/<action>`` with
``identifier``, ``tenantId`` and ``callbackUrl``, and its answer is posted to the callback; a subscription posts
``{stationId, event, origin, message, info}`` for connections, closes and messages of both directions.

Rules
-----
1. CitrineOS goes on answering every call; this only listens to both directions.
2. Each command has a callback of its own, which nobody can guess: an answer says only what, not to which command.
3. What is posted here that makes no sense changes nothing.
"""

import asyncio
import json
import logging
import secrets
from typing import Any, Unpack, get_args
from urllib.parse import urlencode

from loadmgr.csms.http_json import Sender, send_json
from loadmgr.csms.site_door import Manner, SiteDoor
from ocpp_link.dialect import Version
from ocpp_link.errors import CallRejected, CallTimeout, ConnectionLost

log = logging.getLogger(__name__)

MODULES = {
    "SetChargingProfile": "smartcharging",
    "ClearChargingProfile": "smartcharging",
    "GetCompositeSchedule": "smartcharging",
    "GetChargingProfiles": "smartcharging",
    "GetVariables": "monitoring",
    "GetConfiguration": "configuration",
    "ChangeConfiguration": "configuration",
    "SetVariables": "monitoring",
    "TriggerMessage": "configuration",
    "ChangeAvailability": "configuration",
    "RequestStopTransaction": "evdriver",
    "RemoteStopTransaction": "evdriver",
}
"""Which of its modules takes which message."""

USUAL_TIMEOUT_S = 30.0
_CALL, _RESULT = 2, 3
_STATION, _CSMS = "cs", "csms"


class CitrineOs:
    """A CitrineOS whose stations are controlled.

    Parameters
    ----------
    site : SiteDoor
        Such as `loadmgr.apps.process.site.SiteProcess`.
    api : str
        Where its message API is, such as ``http://citrineos:8080``.
    callbacks : str
        Where `answered` is reachable for CitrineOS; a command's secret name is appended to it.
    tenant : int
    headers : dict, optional
        Such as an Authorization for its API.
    send : callable, optional
        Sends HTTP requests.
    """

    def __init__(
        self,
        site: SiteDoor,
        *,
        api: str,
        callbacks: str,
        tenant: int = 1,
        headers: dict[str, str] | None = None,
        send: Sender = send_json,
    ) -> None:
        self._site = site
        self._api = api.rstrip("/")
        self._callbacks = callbacks.rstrip("/")
        self._tenant = tenant
        self._headers = headers or {}
        self._send = send
        self._links: dict[str, CitrineLink] = {}
        self._starts: dict[tuple[str, str], dict[str, Any]] = {}
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}

    def subscription(self, station: str, url: str) -> dict[str, Any]:
        """Return what is to be posted to ``/data/ocpprouter/subscription`` for a station."""
        return {
            "stationId": station,
            "onConnect": True,
            "onClose": True,
            "onMessage": True,
            "sentMessage": True,
            "url": url,
        }

    def notified(self, body: Any) -> None:
        """Take what a subscription posted; never raises on what it holds."""
        try:
            self._take(body)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            log.warning("a notification of CitrineOS makes no sense: %r", error)

    def answered(self, name: str, body: Any) -> bool:
        """Take the answer to the command with a secret name; return whether one waited for it."""
        waiting = self._waiting.pop(name, None)
        if waiting is None or waiting.done():
            return False
        code = None
        if isinstance(body, dict):
            code = body.get("_errorCode") or body.get("errorCode")
        if code is not None or not isinstance(body, dict):
            waiting.set_exception(CallRejected(str(code or "InternalError"), "told by CitrineOS"))
        else:
            waiting.set_result(body)
        return True

    async def ask(self, link: "CitrineLink", action: str, payload: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """Post a command and return its answer.

        Raises
        ------
        OcppError
        """
        module = MODULES.get(action)
        if module is None:
            raise CallRejected("NotSupported", f"{action} is not among the messages that are sent through CitrineOS")
        name = secrets.token_urlsafe(24)
        query = urlencode({"identifier": link.id, "tenantId": self._tenant, "callbackUrl": f"{self._callbacks}/{name}"})
        url = f"{self._api}/ocpp/{link.version}/{module}/{action[0].lower()}{action[1:]}?{query}"
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[name] = answer
        try:
            async with asyncio.timeout(timeout_s):
                found = await self._send("POST", url, self._headers, payload)
                _check_taken(found.status, found.body, action)
                return await answer
        except TimeoutError:
            raise CallTimeout(f"{action}: no answer within {timeout_s:g} s") from None
        except OSError as error:
            raise ConnectionLost(f"CitrineOS cannot be reached: {error}") from error
        finally:
            self._waiting.pop(name, None)

    def _take(self, body: dict[str, Any]) -> None:
        station, event = str(body["stationId"]), body["event"]
        if event == "closed":
            link = self._links.pop(station, None)
            if link is not None:
                self._site.detach(link, "CitrineOS lost it")
        elif event == "message":
            protocol = str((body.get("info") or {}).get("protocol", "")).removeprefix("ocpp")
            frame = json.loads(body["message"]) if isinstance(body["message"], str) else body["message"]
            link = self._link(station, protocol)
            if link is not None:
                self._hear(link, body.get("origin"), frame)

    def _link(self, station: str, version: str) -> "CitrineLink | None":
        """Return the way to a station; it is known from its first message on, which names the version."""
        found = self._links.get(station)
        if found is None or (version in get_args(Version) and found.version != version):
            if version not in get_args(Version):
                return None
            found = self._links[station] = CitrineLink(station, version, self)
            self._site.attach(found)
        return found

    def _hear(self, link: "CitrineLink", origin: Any, frame: list[Any]) -> None:
        if frame[0] == _CALL and origin == _STATION:
            action, payload = str(frame[2]), frame[3]
            if action == "StartTransaction":
                self._starts[link.id, str(frame[1])] = payload
            else:
                self._site.hear(link, action, payload)
        elif frame[0] == _RESULT and origin == _CSMS:
            payload = self._starts.pop((link.id, str(frame[1])), None)
            if payload is not None:
                self._site.hear(link, "StartTransaction", payload, transaction=str(frame[2]["transactionId"]))


class CitrineLink:
    """A way to a station that is connected to CitrineOS."""

    def __init__(self, station: str, version: str, gateway: CitrineOs) -> None:
        self.id = station
        self.version = version
        self._gateway = gateway

    async def call(self, action: str, payload: dict[str, Any], **manner: Unpack[Manner]) -> dict[str, Any]:
        """Ask the station by the message API."""
        return await self._gateway.ask(self, action, payload, manner.get("timeout_s") or USUAL_TIMEOUT_S)

    async def close(self, *, code: int = 1000, reason: str = "") -> None:
        """Nothing: the station stays connected to CitrineOS."""
        del code, reason


def _check_taken(status: int, body: Any, action: str) -> None:
    """Raise where CitrineOS did not pass a message on."""
    first = body[0] if isinstance(body, list) and body else body
    if 200 <= status < 300 and isinstance(first, dict) and first.get("success") is True:
        return
    why = first.get("payload") or first.get("message") if isinstance(first, dict) else None
    raise ConnectionLost(f"{action}: CitrineOS did not pass it on (HTTP {status}): {why or 'no reason given'}")

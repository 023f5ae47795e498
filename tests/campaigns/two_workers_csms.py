"""A plain CSMS in front of several workers: it answers stations, passes on what they say, and carries commands to them.

Rules
-----
1. Stations are answered at once, whoever controls the site; what they said waits until a worker has taken it.
2. A worker that refuses or is gone is left for the next one, which is told first who is connected.
3. Commands with a lower fence than any before are not carried: their worker has lost the site.
"""

import asyncio
import time
from typing import Any

import httpx2

from loadmgr.control.observation import Observation, SiteMeterReading
from loadmgr.sim.clock import PartyClock
from ocpp_link.answers import TransactionIds, csms_answer
from ocpp_link.errors import OcppError
from ocpp_link.events import Event
from ocpp_link.station import Station

Fact = tuple[str, dict[str, Any]]
"""A route of the service, and one entry of its body."""

LISTS = {"ocpp": "messages", "stations": "stations", "meter-values": "meter_readings"}


class Csms:
    """The CSMS.

    Parameters
    ----------
    ports : list of int
        Of the workers, on 127.0.0.1.
    clock : PartyClock
        Of the stations' world.

    Attributes
    ----------
    owner : int
        Port of the worker that controls the site, as far as is known.
    answered_s : float
        When a worker last did what it was asked [s, monotonic].
    """

    def __init__(self, ports: list[int], *, token: str, site: str, clock: PartyClock) -> None:
        self.clock = clock
        self.owner = ports[0]
        self.answered_s = 0.0
        self.commands = self.refused = self.fence = 0
        self._ports, self._site = ports, site
        self._client = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=8.0)
        self._ids = TransactionIds(first_id=int(time.time()))
        self._stations: dict[str, Station] = {}
        self._waiting: asyncio.Queue[Fact] = asyncio.Queue()
        self._calls: set[asyncio.Task[None]] = set()
        self._introduced = 0  # the worker that was told who is connected

    # What stations and meters say.

    async def on_connect(self, station: Station) -> None:
        self._stations[station.id] = station
        self._waiting.put_nowait(("stations", self._connection(station, connected=True)))

    async def on_call(self, station: Station, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        number = self._ids.id_for(station.id, payload) if action == "StartTransaction" else None
        message = {
            "station": station.id,
            "ocpp_version": station.version,
            "action": action,
            "payload": payload,
            "transaction_id": number,
        }
        self._waiting.put_nowait(("ocpp", message))
        return csms_answer(station.version, action, payload, now=self.clock.now(), transaction_id=number or 0)

    async def on_disconnect(self, station: Station, reason: str) -> None:
        self._stations.pop(station.id, None)
        self._waiting.put_nowait(("stations", self._connection(station, connected=False)))

    def on_event(self, station: Station, event: Event) -> None:
        """Nothing."""

    def measured(self, observation: Observation) -> None:
        """Take what a meter of the site says; what drivers say goes nowhere."""
        if isinstance(observation, SiteMeterReading):
            reading = {"meter": observation.meter, "currents_a": list(observation.currents_a)}
            self._waiting.put_nowait(("meter-values", reading))

    # What goes to and fro.

    async def first_owner(self) -> None:
        """Wait until some worker controls the site."""
        while await self._ask("GET", "commands") is None:  # noqa: ASYNC110 - polled over HTTP
            await asyncio.sleep(0.2)

    async def forward(self) -> None:
        """Pass on what stations say, in order, until cancelled."""
        while True:
            route, entry = await self._waiting.get()
            while not await self._passed_on(route, [entry]):  # noqa: ASYNC110 - polled over HTTP
                await asyncio.sleep(0.2)

    async def fetch(self) -> None:
        """Carry commands until cancelled."""
        after, of = 0, self.owner
        while True:
            if of != self.owner:
                after, of = 0, self.owner
            found = await self._ask("GET", f"commands?wait_s=3&after={after}")
            if found is None:
                await asyncio.sleep(0.2)
                continue
            if found["fence"] < self.fence:
                self.refused += len(found["commands"])
                continue
            self.fence, after = found["fence"], found["after"]
            for command in found["commands"]:
                self.commands += 1
                task = asyncio.create_task(self._carry(command))
                self._calls.add(task)
                task.add_done_callback(self._calls.discard)

    async def close(self) -> None:
        """End."""
        for task in self._calls:
            task.cancel()
        await self._client.aclose()

    async def _passed_on(self, route: str, entries: list[dict[str, Any]]) -> bool:
        if self._introduced != self.owner:
            here = [self._connection(s, connected=True) for s in self._stations.values()]
            if here and await self._ask("POST", "stations", {"stations": here}) is None:
                return False
            self._introduced = self.owner
        return await self._ask("POST", route, {LISTS[route]: entries}) is not None

    async def _carry(self, command: dict[str, Any]) -> None:
        station, reply = self._stations.get(command["station"]), {"id": command["id"]}
        try:
            if station is None:
                reply["error"] = "NotConnected"
            else:
                reply["result"] = await station.call(command["action"], command["payload"], timeout_s=15.0)
        except OcppError as error:
            reply |= {"error": type(error).__name__, "description": str(error)[:900]}
        await self._ask("POST", "answers", {"answers": [reply]})

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """Ask the owner; where it refuses or is gone, think of the next one as the owner and return ``None``."""
        asked = self.owner
        try:
            found = await self._client.request(
                method, f"http://127.0.0.1:{asked}/v1/sites/{self._site}/{path}", json=body
            )
        except httpx2.TransportError:
            found = None
        if found is not None and found.status_code == 200:
            self.answered_s = time.monotonic()
            return dict(found.json())
        if found is not None and found.status_code not in (409, 429, 503):
            raise AssertionError(f"{method} {path}: {found.status_code} {found.text[:500]}")
        if self.owner == asked:
            self.owner = self._ports[(self._ports.index(asked) + 1) % len(self._ports)]
        return None

    @staticmethod
    def _connection(station: Station, *, connected: bool) -> dict[str, Any]:
        return {"station": station.id, "ocpp_version": station.version, "connected": connected}

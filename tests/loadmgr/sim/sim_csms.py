"""A plain CSMS and small sites for the tests of simulated stations."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from loadmgr.model.session import SessionRecord
from loadmgr.model.topology import Circuit, Evse, Meter, Site, Station
from loadmgr.sim.arrivals import plan_arrivals
from loadmgr.sim.clock import VirtualClock
from loadmgr.sim.manners import Spell
from loadmgr.sim.world import World, WorldPlan
from ocpp_link.transport import serve

START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


class PlainCsms:
    """Accepts everything, remembers everything, and decides nothing."""

    def __init__(self, clock: Any, *, deny: frozenset[str] = frozenset()) -> None:
        self.clock = clock
        self.deny = deny
        self.stations: dict[str, Any] = {}
        self.heard: list[tuple[float, str, str, dict[str, Any]]] = []
        self.transactions = 0
        self.pulled: dict[str, Any] = {"status": "Rejected"}

    async def on_connect(self, station: Any) -> None:
        self.stations[station.id] = station

    async def on_call(self, station: Any, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        self.heard.append((self.clock.now_s(), station.id, action, payload))
        now = self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        token = {"status": "Invalid" if self.deny else "Accepted"}
        match action:
            case "BootNotification":
                return {"status": "Accepted", "interval": 3600, "currentTime": now}
            case "Heartbeat":
                return {"currentTime": now}
            case "Authorize":
                return {"idTagInfo" if station.version == "1.6" else "idTokenInfo": token}
            case "PullDynamicScheduleUpdate":
                return self.pulled
            case "StartTransaction":
                self.transactions += 1
                return {"transactionId": self.transactions, "idTagInfo": token}
            case _:
                return {}

    async def on_disconnect(self, station: Any, reason: str) -> None:
        self.heard.append((self.clock.now_s(), station.id, "disconnect", {}))
        if self.stations.get(station.id) is station:
            del self.stations[station.id]

    def on_event(self, station: Any, event: Any) -> None:
        raise AssertionError(f"{station.id}: {event}")

    def actions(self, station: str) -> list[str]:
        return [action for _, name, action, _ in self.heard if name == station]

    def payloads(self, action: str) -> list[dict[str, Any]]:
        return [payload for _, _, heard, payload in self.heard if heard == action]


def small_site(**evse: Any) -> Site:
    """Two stations on a riser, one of each version."""
    return Site(
        name="pair",
        time_zone="UTC",
        circuits=(
            Circuit(id="grid", limit_a=(40.0,) * 3, rated_a=(40.0,) * 3),
            Circuit(id="riser", parent="grid", limit_a=(20.0,) * 3, rated_a=(20.0,) * 3),
        ),
        evses=(
            Evse(id="A", station="S16", circuit="riser", max_a=16.0, **evse),
            Evse(id="B", station="S201", circuit="riser", max_a=16.0, **evse),
        ),
        stations=(Station(id="S16", version="1.6"), Station(id="S201", version="2.0.1")),
        meters=(Meter(id="m", circuit="grid", interval_s=60.0, stale_after_s=200.0),),
    )


def session(name: str, evse: str, *, at_min: float = 5.0, stay_min: float = 30.0, **more: Any) -> SessionRecord:
    arrival = START + timedelta(minutes=at_min)
    fields = {"energy_requested_wh": 20_000.0, "max_a": 16.0, "phases": 3} | more
    return SessionRecord(
        session_id=name, evse=evse, arrival=arrival, departure=arrival + timedelta(minutes=stay_min), **fields
    )


def small_plan(
    *sessions: SessionRecord,
    minutes: float = 60.0,
    spells: tuple[tuple[str, Spell], ...] = (),
    on: Site | None = None,
    without_profiles: frozenset[str] = frozenset(),
    **site: Any,
) -> WorldPlan:
    until = START + timedelta(minutes=minutes)
    where = on or small_site(**site)
    return WorldPlan(
        site=where,
        arrivals=plan_arrivals(where, sessions, start=START, until=until, seed=1),
        start=START,
        until=until,
        spells=spells,
        no_smart_charging=without_profiles,
    )


class Run:
    """A world, the CSMS it talks to, and a script that runs beside them."""

    def __init__(self, plan: WorldPlan, **csms: Any) -> None:
        self.plan = plan
        self.clock = VirtualClock(START)
        self.party = self.clock.party("csms", priority=9)
        self.csms = PlainCsms(self.party, **csms)
        self.observed: list[Any] = []
        self.world: World

    async def at(self, minute: float) -> None:
        await self.party.sleep_until(60.0 * minute)

    async def call(self, station: str, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        return await self.csms.stations[station].call(action, payload)

    @asynccontextmanager
    async def living(self):
        server = await serve("127.0.0.1", 0, handler=self.csms, clock=self.party, versions=("1.6", "2.0.1", "2.1"))
        url = f"ws://127.0.0.1:{server.port}/ocpp"
        self.world = World(self.plan, clock=self.clock, url=url, observe=self.observed.append)
        try:
            yield self
        finally:
            await server.close()


def lived(plan: WorldPlan, script: Any = None, **csms: Any) -> Run:
    """Let a world live to its end beside a script, which must end before it."""

    async def run() -> Run:
        async with Run(plan, **csms).living() as living:
            beside = asyncio.create_task(script(living)) if script is not None else None
            await living.world.run()
            if beside is not None:
                await beside
            return living

    return asyncio.run(run())

"""A site below a CSMS: the ``ocpp`` package above, simulated stations below, loadmgr between, all on real sockets."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v21 import ChargePoint as ChargePoint21
from ocpp.v21 import call as call21
from ocpp.v21 import call_result as result21
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201

from loadmgr.apps.field.station_run import RealClock, _station, _visit
from loadmgr.apps.process.serving import stop
from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.upstream.upstream import Relay, Upstream, serve_stations
from loadmgr.sim.arrivals import Visit
from loadmgr.sim.station import SimStation
from loadmgr.site_file import load_site
from ocpp_link.transport import SystemClock
from ocpp_link.wirelog import WireLog
from tests.emulated_stations import stations_plan

SITE = """
schema: loadmgr/v1
site: {name: Below a CSMS, timezone: UTC, currency: EUR, voltage: 230V}
circuits:
  - {id: main, fuse: FUSE, evses: [a, b, c]}
evse_defaults: {max: 16A, min: 6A, step: 1A}
evses:
  - {id: a, station: S16}
  - {id: b, station: S201}
  - {id: c, station: S21}
station_defaults: {keeps_profiles: yes, zero_ok: yes}
stations:
  - {id: S16, version: "1.6"}
  - {id: S201, version: "2.0.1"}
  - {id: S21, version: "2.1"}
failsafe: {strategy: zero, lease: 15min}
timing: {reaction_time: 20s, settle: 1s, meter_interval: 1s, call_timeout: 5s, clock_skew: 2s}
session_defaults: {energy: 30kWh, stay: 2h}
listen: {host: 127.0.0.1, port: 0}
tariff:
  energy: {price: 0.30/kWh}
"""

VERSIONS = {"S16": "1.6", "S201": "2.0.1", "S21": "2.1"}


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Recording:
    """What a charge point of the CSMS heard: every text as it came."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.texts: list[str] = []
        self.reports: list[dict[str, Any]] = []
        self.sent: list[str] = []

    async def _send(self, message: str) -> None:
        self.sent.append(message)
        await super()._send(message)  # type: ignore[misc]

    async def route_message(self, raw_msg: str) -> None:
        self.texts.append(raw_msg)
        await super().route_message(raw_msg)  # type: ignore[misc]


class Point16(Recording, ChargePoint16):
    """A charge point of OCPP 1.6, as the CSMS has it."""

    @on("BootNotification")
    def on_boot(self, **_: Any) -> Any:
        return result16.BootNotification(current_time=now(), interval=300, status="Accepted")

    @on("StatusNotification")
    def on_status(self, **_: Any) -> Any:
        return result16.StatusNotification()

    @on("Heartbeat")
    def on_heartbeat(self) -> Any:
        return result16.Heartbeat(current_time=now())

    @on("Authorize")
    def on_authorize(self, **_: Any) -> Any:
        return result16.Authorize(id_tag_info={"status": "Accepted"})

    @on("StartTransaction")
    def on_start(self, **_: Any) -> Any:
        return result16.StartTransaction(transaction_id=4711, id_tag_info={"status": "Accepted"})

    @on("MeterValues")
    def on_meter_values(self, **_: Any) -> Any:
        return result16.MeterValues()

    @on("StopTransaction")
    def on_stop(self, **_: Any) -> Any:
        return result16.StopTransaction()


def point_2x(base: Any, result: Any) -> Any:
    """Return a charging station of OCPP 2.x, as the CSMS has it."""

    class Point2x(Recording, base):  # type: ignore[misc]
        @on("BootNotification")
        def on_boot(self, **_: Any) -> Any:
            return result.BootNotification(current_time=now(), interval=300, status="Accepted")

        @on("StatusNotification")
        def on_status(self, **_: Any) -> Any:
            return result.StatusNotification()

        @on("Heartbeat")
        def on_heartbeat(self) -> Any:
            return result.Heartbeat(current_time=now())

        @on("Authorize")
        def on_authorize(self, **_: Any) -> Any:
            return result.Authorize(id_token_info={"status": "Accepted"})

        @on("TransactionEvent")
        def on_transaction(self, **_: Any) -> Any:
            return result.TransactionEvent()

        @on("MeterValues")
        def on_meter_values(self, **_: Any) -> Any:
            return result.MeterValues()

        @on("ReportChargingProfiles")
        def on_report(self, **said: Any) -> Any:
            self.reports.append(said)
            return result.ReportChargingProfiles()

    return Point2x


POINTS = {
    "ocpp1.6": Point16,
    "ocpp2.0.1": point_2x(ChargePoint201, result201),
    "ocpp2.1": point_2x(ChargePoint21, result21),
}


def quick(visit: Visit) -> Visit:
    """Return a visit of a vehicle that follows its limit within the second."""
    return replace(visit, vehicle=replace(visit.vehicle, lag_s=0.2))


@dataclass
class Csms:
    """The CSMS: its charge points by id, the newest connection of each."""

    points: dict[str, Any] = field(default_factory=dict)
    logins: dict[str, str | None] = field(default_factory=dict)
    server: Any = None
    port: int = 0
    tls: ssl.SSLContext | None = None

    async def open(self) -> None:
        self.server = await websockets.serve(
            self._serve, "127.0.0.1", self.port, subprotocols=["ocpp1.6", "ocpp2.0.1", "ocpp2.1"], ssl=self.tls
        )
        self.port = self.server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self.server.close()
        await self.server.wait_closed()

    async def _serve(self, connection: Any) -> None:
        identity = connection.request.path.rpartition("/")[2]
        self.logins[identity] = connection.request.headers.get("Authorization")
        point = self.points[identity] = POINTS[connection.subprotocol](identity, connection)
        try:
            await point.start()
        except websockets.ConnectionClosed:
            return


@dataclass
class World:
    """Everything that runs."""

    csms: Csms
    folder: Path
    fuse: str = "80A"
    limit_by: str = "transaction"
    process: SiteProcess | None = None
    relay: Any = None
    stations: dict[str, SimStation] = field(default_factory=dict)
    controller: asyncio.Task[None] | None = None
    lives: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def start_controller(self, *, port: int = 0, tap: WireLog | None = None, **options: Any) -> None:
        site = self.folder / "site.yaml"
        self.write_site()
        clock = SystemClock()
        self.process = SiteProcess(load_site(site), clock=clock, watching=bool(options.get("shadow")))
        upstream = Upstream(
            url=f"{'ws' if self.csms.tls is None else 'wss'}://127.0.0.1:{self.csms.port}/ocpp",
            folder=self.folder / "site.upstream",
            **options,
        )
        self.relay = await serve_stations(self.process, upstream, host="127.0.0.1", port=port, clock=clock, tap=tap)
        assert isinstance(self.relay, Relay)
        self.controller = asyncio.create_task(self.process.run())

    def write_site(self) -> None:
        ways = f"station_defaults: {{limit_by: {self.limit_by}, "
        site = SITE.replace("FUSE", self.fuse).replace("station_defaults: {", ways)
        (self.folder / "site.yaml").write_text(site)

    async def stop_controller(self) -> None:
        assert self.controller is not None
        await stop(self.controller)
        await self.relay.close()

    def start_station(self, identity: str, **changes: Any) -> SimStation:
        url = f"ws://127.0.0.1:{self.relay.port}/ocpp"
        plan = stations_plan(url, identity, version=VERSIONS[identity], **changes)
        station = self.stations[identity] = _station(plan, identity, RealClock())
        visits = {n: [quick(_visit(plan, bay.outlet.evse))] for n, bay in station.bays.items()}
        self.lives[identity] = asyncio.create_task(station.live(visits, start_s=0.0))
        return station

    def csms_lost(self) -> frozenset[str]:
        assert self.process is not None
        assert self.process.csms is not None
        return self.process.csms.without

    def draw_a(self, identity: str) -> float:
        return self.stations[identity].bays[1].outlet.current_a

    def setpoint_a(self, identity: str) -> float | None:
        assert self.process is not None
        if not self.process.decided:
            return None
        evse = next(e for e in self.process.site.evses if e.station == identity)
        view = next(v for v in self.process.controller.view().evses if v.evse == evse.id)
        return view.setpoint_a

    async def until(self, true: Callable[[], Any], *, within_s: float = 30.0) -> None:
        async with asyncio.timeout(within_s):
            while not true():  # noqa: ASYNC110 - what is waited for is in another process's hands
                await asyncio.sleep(0.02)


@asynccontextmanager
async def world(
    folder: Path,
    *,
    fuse: str = "80A",
    limit_by: str = "transaction",
    tls: ssl.SSLContext | None = None,
    **options: Any,
) -> AsyncIterator[World]:
    csms = Csms(tls=tls)
    await csms.open()
    made = World(csms=csms, folder=folder, fuse=fuse, limit_by=limit_by)
    await made.start_controller(**options)
    try:
        yield made
    finally:
        for life in made.lives.values():
            life.cancel()
        await asyncio.gather(*made.lives.values(), return_exceptions=True)
        for station in made.stations.values():
            await station.wire.disconnect()
        await made.stop_controller()
        await csms.close()


Scene = Callable[[World], Awaitable[None]]


def play(scene: Scene, folder: Path, **options: Any) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), world(folder, **options) as made:
            await scene(made)

    asyncio.run(main())


CALLS = {"S16": call16, "S201": call201, "S21": call21}


async def ask(made: World, identity: str, action: str, **fields: Any) -> Any:
    """Have the CSMS ask a station."""
    call = getattr(CALLS[identity], action)(**fields)
    return await made.csms.points[identity].call(call, suppress=False)


def profile(identity: str, limit: float, *, purpose: str = "TxDefaultProfile", number: int = 77) -> dict[str, Any]:
    """Return a profile as the CSMS writes it."""
    schedule = {
        "charging_rate_unit": "A",
        "start_schedule": "2024-01-01T00:00:00Z",
        "charging_schedule_period": [{"start_period": 0, "limit": limit}],
    }
    common = {"stack_level": 3, "charging_profile_purpose": purpose, "charging_profile_kind": "Absolute"}
    if identity == "S16":
        return common | {"charging_profile_id": number, "charging_schedule": schedule}
    return common | {"id": number, "charging_schedule": [schedule | {"id": 1}]}


async def set_profile(made: World, identity: str, limit: float, **more: Any) -> Any:
    """Have the CSMS set a profile on the only EVSE of a station."""
    written = profile(identity, limit, **more)
    if identity == "S16":
        return await ask(made, identity, "SetChargingProfile", connector_id=1, cs_charging_profiles=written)
    return await ask(made, identity, "SetChargingProfile", evse_id=1, charging_profile=written)

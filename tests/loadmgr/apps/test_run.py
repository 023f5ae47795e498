"""The controller process with a stranger's stations: the ``ocpp`` package's client, in real time."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201

from loadmgr.apps.process.serving import serve_site, stop
from loadmgr.apps.process.site import SiteProcess
from loadmgr.site_file import load_site
from ocpp_link.transport import SystemClock

SITE = """
schema: loadmgr/v1
site: {name: Two strangers, timezone: UTC, currency: EUR, voltage: 230V}
circuits:
  - {id: main, fuse: 20A, evses: [one, two]}
evse_defaults: {max: 16A, min: 6A, step: 1A}
evses:
  - {id: one, station: OLD}
  - {id: two, station: NEW}
station_defaults: {keeps_profiles: yes, zero_ok: yes}
stations:
  - {id: OLD, version: "1.6"}
  - {id: NEW, version: "2.0.1"}
failsafe: {strategy: zero, lease: 15min}
timing: {reaction_time: 20s, settle: 1s, meter_interval: 1s, call_timeout: 5s, clock_skew: 2s}
session_defaults: {energy: 30kWh, stay: 2h}
listen: {host: 127.0.0.1, port: 0}
tariff:
  energy: {price: 0.30/kWh}
"""


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Old(ChargePoint16):
    """A charge point of OCPP 1.6 that remembers its limits."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.limits: dict[str, float] = {}

    @on("SetChargingProfile")
    def on_profile(self, connector_id: int, cs_charging_profiles: dict[str, Any], **_: Any) -> Any:
        period = cs_charging_profiles["charging_schedule"]["charging_schedule_period"][0]
        self.limits[cs_charging_profiles["charging_profile_purpose"]] = float(period["limit"])
        return result16.SetChargingProfile(status="Accepted")

    @on("GetConfiguration")
    def on_configuration(self, **_: Any) -> Any:
        return result16.GetConfiguration(configuration_key=[], unknown_key=[])

    @on("GetCompositeSchedule")
    def on_composite(self, connector_id: int, duration: int, **_: Any) -> Any:
        schedule = {"duration": duration, "charging_rate_unit": "A"}
        schedule["charging_schedule_period"] = [{"start_period": 0, "limit": self.limits.get("TxDefaultProfile", 16.0)}]
        return result16.GetCompositeSchedule(
            status="Accepted", connector_id=connector_id, schedule_start=now(), charging_schedule=schedule
        )

    async def measure(self) -> None:
        current = {"value": str(self.limit() or 0.0), "measurand": "Current.Import", "unit": "A"}
        sampled = [current | {"phase": phase} for phase in ("L1", "L2", "L3")]
        meter = [{"timestamp": now(), "sampled_value": sampled}]
        await self.call(call16.MeterValues(connector_id=1, meter_value=meter))

    async def plug_in(self) -> None:
        await self.call(call16.BootNotification(charge_point_model="M", charge_point_vendor="V"))
        await self.call(call16.StatusNotification(connector_id=1, error_code="NoError", status="Preparing"))
        await self.call(call16.StartTransaction(connector_id=1, id_tag="CARD", meter_start=0, timestamp=now()))

    def limit(self) -> float | None:
        return self.limits.get("TxProfile")


class New(ChargePoint201):
    """A charging station of OCPP 2.0.1 that remembers its limits."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.limits: dict[str, float] = {}
        self._seq_no = 0

    @on("SetChargingProfile")
    def on_profile(self, evse_id: int, charging_profile: dict[str, Any], **_: Any) -> Any:
        period = charging_profile["charging_schedule"][0]["charging_schedule_period"][0]
        self.limits[charging_profile["charging_profile_purpose"]] = float(period["limit"])
        return result201.SetChargingProfile(status="Accepted")

    @on("GetCompositeSchedule")
    def on_composite(self, duration: int, evse_id: int, **_: Any) -> Any:
        limit = self.limits.get("TxDefaultProfile", 16.0)
        schedule = {"evse_id": evse_id, "duration": duration, "schedule_start": now(), "charging_rate_unit": "A"}
        schedule["charging_schedule_period"] = [{"start_period": 0, "limit": limit, "number_phases": 3}]
        return result201.GetCompositeSchedule(status="Accepted", schedule=schedule)

    async def measure(self) -> None:
        self._seq_no += 1
        current = {"value": self.limit() or 0.0, "measurand": "Current.Import"}
        sampled = [current | {"phase": phase} for phase in ("L1", "L2", "L3")]
        await self.call(
            call201.TransactionEvent(
                event_type="Updated",
                timestamp=now(),
                trigger_reason="MeterValuePeriodic",
                seq_no=self._seq_no,
                transaction_info={"transaction_id": "tx-1", "charging_state": "Charging"},
                evse={"id": 1, "connector_id": 1},
                meter_value=[{"timestamp": now(), "sampled_value": sampled}],
            )
        )

    async def plug_in(self) -> None:
        station = {"model": "M", "vendor_name": "V"}
        await self.call(call201.BootNotification(charging_station=station, reason="PowerUp"))
        await self.call(
            call201.TransactionEvent(
                event_type="Started",
                timestamp=now(),
                trigger_reason="CablePluggedIn",
                seq_no=0,
                transaction_info={"transaction_id": "tx-1", "charging_state": "Charging"},
                evse={"id": 1, "connector_id": 1},
                id_token={"id_token": "CARD", "type": "ISO14443"},
            )
        )

    def limit(self) -> float | None:
        return self.limits.get("TxProfile")


async def controlled(site: Path, wanted: list[tuple[str, str, type]]) -> list[float]:
    """Return the limits of stations once each has one for its transaction."""
    site_file = load_site(site)
    clock = SystemClock()
    process = SiteProcess(site_file, clock=clock)
    server = await serve_site(process, host="127.0.0.1", port=0, clock=clock)
    controller = asyncio.create_task(process.run())
    tasks, stations = [controller], []
    try:
        for identity, subprotocol, kind in wanted:
            url = f"ws://127.0.0.1:{server.port}/ocpp/{identity}"
            socket_ = await websockets.connect(url, subprotocols=[subprotocol])  # type: ignore[list-item]
            station = kind(identity, socket_)
            tasks.append(asyncio.create_task(station.start()))
            await station.plug_in()
            stations.append(station)
        async with asyncio.timeout(60):
            while any(s.limit() in (None, 0.0) for s in stations):
                for station in stations:
                    await station.measure()
                await asyncio.sleep(0.2)
        return [s.limit() for s in stations]
    finally:
        for task in tasks[1:]:
            task.cancel()
        await stop(controller)
        await server.close()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "strangers.yaml"
    path.write_text(SITE)
    return path


def test_strangers_of_both_versions_share_a_fuse(site: Path) -> None:
    limits = asyncio.run(controlled(site, [("OLD", "ocpp1.6", Old), ("NEW", "ocpp2.0.1", New)]))

    assert all(6.0 <= limit <= 16.0 for limit in limits)
    assert 20.0 >= sum(limits)


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_port_in_use_is_one_line_and_exit_status_2(site: Path) -> None:
    with taken_port() as port:
        ended = subprocess.run(
            [sys.executable, "-m", "loadmgr", "run", str(site), "--port", str(port), "--quiet"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert 2 == ended.returncode
    assert "Traceback" not in ended.stderr
    assert "in use" in ended.stderr

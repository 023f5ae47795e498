"""An independent peer in both roles and three versions: the `ocpp` package."""

import asyncio
from typing import Any

import pytest
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

from ocpp_link.dialect import Version
from ocpp_link.station import Station
from ocpp_link.testing import ChargingStation, PlainBody, Sample
from ocpp_link.transport import SystemClock, serve
from tests.ocpp_link.csms import RecordingCsms
from tests.ocpp_link.waiting import until

PROFILE_16 = {
    "connectorId": 1,
    "csChargingProfiles": {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "transactionId": 7,
        "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.1}]},
    },
}
PROFILE_201 = {
    "evseId": 1,
    "chargingProfile": {
        "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "transactionId": "tx-1",
        "chargingSchedule": [
            {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.1}]}
        ],
    },
}
TIME = "2024-01-17T12:00:00Z"


class Stranger16(ChargePoint16):
    """A 1.6 charge point that notes the profiles that it gets."""

    profiles: list[Any]

    @on("SetChargingProfile")
    async def on_profile(self, connector_id: int, cs_charging_profiles: dict[str, Any]) -> Any:
        self.profiles.append(cs_charging_profiles)
        return result16.SetChargingProfile(status="Accepted")


class Stranger201(ChargePoint201):
    """A 2.0.1 charging station that notes the profiles that it gets."""

    profiles: list[Any]

    @on("SetChargingProfile")
    async def on_profile(self, evse_id: int, charging_profile: dict[str, Any]) -> Any:
        self.profiles.append(charging_profile)
        return result201.SetChargingProfile(status="Accepted")


class Stranger21(ChargePoint21):
    """A 2.1 charging station that notes the profiles that it gets."""

    profiles: list[Any]

    @on("SetChargingProfile")
    async def on_profile(self, evse_id: int, charging_profile: dict[str, Any]) -> Any:
        self.profiles.append(charging_profile)
        return result21.SetChargingProfile(status="Accepted")


async def charge_16(point: Stranger16) -> None:
    assert "Accepted" == (await point.call(call16.BootNotification("model", "vendor"))).status
    await point.call(call16.StatusNotification(connector_id=1, error_code="NoError", status="Preparing"))
    assert "Accepted" == (await point.call(call16.Authorize("TAG"))).id_tag_info["status"]
    started = await point.call(call16.StartTransaction(1, "TAG", 0, TIME))
    assert 7 == started.transaction_id
    sample = {"value": "16.0", "measurand": "Current.Import", "unit": "A", "phase": "L1"}
    await point.call(
        call16.MeterValues(1, meter_value=[{"timestamp": TIME, "sampledValue": [sample]}], transaction_id=7)
    )
    await point.call(call16.StopTransaction(meter_stop=5, timestamp=TIME, transaction_id=7))
    await point.call(call16.Heartbeat())


async def charge_2(point: Stranger201 | Stranger21) -> None:
    call: Any = call201 if isinstance(point, Stranger201) else call21
    station = {"model": "model", "vendorName": "vendor"}
    assert "Accepted" == (await point.call(call.BootNotification(charging_station=station, reason="PowerUp"))).status
    await point.call(call.StatusNotification(timestamp=TIME, connector_status="Occupied", evse_id=1, connector_id=1))
    token = {"idToken": "TAG", "type": "ISO14443"}
    assert "Accepted" == (await point.call(call.Authorize(id_token=token))).id_token_info["status"]
    for number, kind in enumerate(("Started", "Updated", "Ended")):
        event = call.TransactionEvent(
            event_type=kind,
            timestamp=TIME,
            trigger_reason="Authorized",
            seq_no=number,
            transaction_info={"transactionId": "tx-1"},
            evse={"id": 1},
        )
        await point.call(event)
    await point.call(call.Heartbeat())


STRANGERS: dict[str, type[Any]] = {"1.6": Stranger16, "2.0.1": Stranger201, "2.1": Stranger21}


@pytest.mark.parametrize("version", STRANGERS)
def test_a_strangers_station_charges_and_takes_a_profile(version: str) -> None:
    async def main() -> tuple[RecordingCsms, list[Any]]:
        csms = RecordingCsms()
        answers: list[dict[str, Any]] = []

        async def control(there: Station, action: str, payload: dict[str, Any]) -> None:
            if action in ("MeterValues", "TransactionEvent") and not answers:
                request = PROFILE_16 if there.version == "1.6" else PROFILE_201
                answers.append(await there.call("SetChargingProfile", request))

        csms.reaction = control
        server = await serve("127.0.0.1", 0, handler=csms)
        url = f"ws://127.0.0.1:{server.port}/ocpp/stranger"
        async with websockets.connect(url, subprotocols=[f"ocpp{version}"]) as socket:  # type: ignore[list-item]
            point = STRANGERS[version]("stranger", socket)
            point.profiles = []
            listening = asyncio.create_task(point.start())
            async with asyncio.timeout(30):
                await (charge_16(point) if version == "1.6" else charge_2(point))
            listening.cancel()
        await server.close()
        assert [{"status": "Accepted"}] == answers
        return csms, point.profiles

    csms, profiles = asyncio.run(main())

    assert 1 == len(profiles)
    assert "Heartbeat" == csms.calls[-1][1]
    assert [] == csms.events
    assert 1 == len(csms.ended)


class Csms16(ChargePoint16):
    """The package as a 1.6 CSMS."""

    @on("BootNotification")
    async def on_boot(self, **_payload: Any) -> Any:
        return result16.BootNotification(current_time=TIME, interval=300, status="Accepted")

    @on("StatusNotification")
    async def on_status(self, **_payload: Any) -> Any:
        return result16.StatusNotification()

    @on("Authorize")
    async def on_authorize(self, **_payload: Any) -> Any:
        return result16.Authorize(id_tag_info={"status": "Accepted"})

    @on("StartTransaction")
    async def on_start(self, **_payload: Any) -> Any:
        return result16.StartTransaction(transaction_id=9, id_tag_info={"status": "Accepted"})

    @on("MeterValues")
    async def on_meter_values(self, **_payload: Any) -> Any:
        return result16.MeterValues()

    @on("StopTransaction")
    async def on_stop(self, **_payload: Any) -> Any:
        return result16.StopTransaction()


def csms_2(point: type[Any], results: Any) -> type[Any]:
    """Return the package as a CSMS of 2.0.1 or 2.1."""

    class Csms2(point):  # type: ignore[misc]
        @on("BootNotification")
        async def on_boot(self, **_payload: Any) -> Any:
            return results.BootNotification(current_time=TIME, interval=300, status="Accepted")

        @on("StatusNotification")
        async def on_status(self, **_payload: Any) -> Any:
            return results.StatusNotification()

        @on("Authorize")
        async def on_authorize(self, **_payload: Any) -> Any:
            return results.Authorize(id_token_info={"status": "Accepted"})

        @on("TransactionEvent")
        async def on_event(self, **_payload: Any) -> Any:
            return results.TransactionEvent()

    return Csms2


CSMS: dict[str, tuple[type[Any], Any]] = {
    "1.6": (Csms16, call16.SetChargingProfile(1, PROFILE_16["csChargingProfiles"])),
    "2.0.1": (
        csms_2(ChargePoint201, result201),
        call201.SetChargingProfile(evse_id=1, charging_profile=PROFILE_201["chargingProfile"]),
    ),
    "2.1": (
        csms_2(ChargePoint21, result21),
        call21.SetChargingProfile(evse_id=1, charging_profile=PROFILE_201["chargingProfile"]),
    ),
}


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_our_station_charges_at_a_strangers_csms_and_takes_its_profile(version: Version) -> None:
    point, profile = CSMS[version]
    answers: list[str] = []

    async def connected(socket: Any) -> None:
        csms = point("CS", socket)
        listening = asyncio.create_task(csms.start())
        answers.append((await csms.call(profile)).status)
        await asyncio.gather(listening, return_exceptions=True)

    async def main() -> PlainBody:
        body = PlainBody()
        async with websockets.serve(connected, "127.0.0.1", 0, subprotocols=[f"ocpp{version}"]) as server:  # type: ignore[list-item]
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/central"
            station = ChargingStation(identity="CS", version=version, url=url, clock=SystemClock(), body=body)
            async with asyncio.timeout(30):
                await station.connect()
                assert "Accepted" == (await station.boot()).status
                await station.status(1, "Preparing")
                assert "Accepted" == await station.authorize("TAG")
                await station.start_transaction(1, "TAG", meter_wh=0.0)
                await station.status(1, "Charging")
                await station.meter_values(1, [Sample(16.0, "Current.Import", phase="L1")])
                await station.stop_transaction(1, meter_wh=10.0)
                await until(lambda: bool(answers))
                await station.disconnect()
        return body

    body = asyncio.run(main())

    assert ["Accepted"] == answers
    assert ["SetChargingProfile"] == [action for action, _ in body.received]

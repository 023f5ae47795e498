"""A CSMS on the `ocpp` package keeps its handlers, and its stations are held under a fuse."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import ocpp.v16
import ocpp.v201
import pytest
import websockets
from ocpp.routing import on
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201

from loadmgr.apps.process.serving import stop
from loadmgr.apps.process.site import SiteProcess
from loadmgr.csms.ocpp_package import ChargePointLink, attached
from loadmgr.site_file import check_values
from ocpp_link.errors import CallRejected, CallTimeout, ConnectionLost
from ocpp_link.transport import SystemClock
from tests.loadmgr.apps.service.asking import SMALL

STAMP = "2026-03-01T18:00:00Z"


class Csms16(ocpp.v16.ChargePoint):
    """What the CSMS had before."""

    @on("BootNotification")
    def boot(self, **_):
        return result16.BootNotification(current_time=STAMP, interval=300, status="Accepted")

    @on("StatusNotification")
    def status(self, **_):
        return result16.StatusNotification()

    @on("StartTransaction")
    def start_transaction(self, **_):
        return result16.StartTransaction(transaction_id=4711, id_tag_info={"status": "Accepted"})


class Csms201(ocpp.v201.ChargePoint):
    @on("BootNotification")
    def boot(self, **_):
        return result201.BootNotification(current_time=STAMP, interval=300, status="Accepted")

    @on("StatusNotification")
    def status(self, **_):
        return result201.StatusNotification()

    @on("TransactionEvent")
    def event(self, **_):
        return result201.TransactionEvent()


async def csms(site):
    """Start the CSMS; what was added for load management is one line and the site."""

    async def connected(websocket):
        name = websocket.request.path.rpartition("/")[2]
        kind = Csms16 if websocket.subprotocol == "ocpp1.6" else Csms201
        charge_point = kind(name, websocket)
        async with attached(charge_point, site):
            with suppress(websockets.exceptions.ConnectionClosed):
                await charge_point.start()

    return await websockets.serve(connected, "127.0.0.1", 0, subprotocols=["ocpp1.6", "ocpp2.0.1"])


class Station16(ocpp.v16.ChargePoint):
    limits = None

    @on("GetConfiguration")
    def configuration(self, **_):
        return result16.GetConfiguration(configuration_key=[], unknown_key=[])

    @on("SetChargingProfile")
    def profile(self, cs_charging_profiles, **_):
        profile = cs_charging_profiles
        limit = profile["charging_schedule"]["charging_schedule_period"][0]["limit"]
        self.limits[profile["charging_profile_purpose"]] = (float(limit), profile.get("transaction_id"))
        return result16.SetChargingProfile(status="Accepted")

    @on("GetCompositeSchedule")
    def composite(self, **_):
        schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 0}]}
        return result16.GetCompositeSchedule(status="Accepted", connector_id=1, charging_schedule=schedule)


class Station201(ocpp.v201.ChargePoint):
    limits = None

    @on("GetVariables")
    def variables(self, get_variable_data, **_):
        found = [{**each, "attribute_status": "UnknownVariable"} for each in get_variable_data]
        return result201.GetVariables(get_variable_result=found)

    @on("SetChargingProfile")
    def profile(self, charging_profile, **_):
        limit = charging_profile["charging_schedule"][0]["charging_schedule_period"][0]["limit"]
        purpose = charging_profile["charging_profile_purpose"]
        self.limits[purpose] = (limit, charging_profile.get("transaction_id"))
        return result201.SetChargingProfile(status="Accepted")

    @on("GetCompositeSchedule")
    def composite(self, **_):
        schedule = {
            "evse_id": 1, "duration": 600, "schedule_start": STAMP, "charging_rate_unit": "A",
            "charging_schedule_period": [{"start_period": 0, "limit": 0}],
        }  # fmt: skip
        return result201.GetCompositeSchedule(status="Accepted", schedule=schedule)


async def station(kind, url, name):
    websocket = await websockets.connect(
        f"{url}/{name}", subprotocols=["ocpp1.6" if kind is Station16 else "ocpp2.0.1"]
    )
    made = kind(name, websocket)
    made.limits = {}
    return made, asyncio.create_task(made.start())


async def come_true(what, within_s=25):
    async with asyncio.timeout(within_s):
        while not what():  # noqa: ASYNC110 - several parties bring it about
            await asyncio.sleep(0.05)


async def speak(one, two):
    now = datetime.now(UTC).isoformat()
    await one.call(call16.BootNotification(charge_point_model="M", charge_point_vendor="V"))
    await one.call(call16.StatusNotification(connector_id=1, error_code="NoError", status="Available"))
    await two.call(call201.BootNotification(charging_station={"model": "M", "vendor_name": "V"}, reason="PowerUp"))
    available = call201.StatusNotification(timestamp=now, connector_status="Available", evse_id=1, connector_id=1)
    await two.call(available)
    await come_true(lambda: all("TxDefaultProfile" in s.limits for s in (one, two)))
    await one.call(call16.StartTransaction(connector_id=1, id_tag="tag", meter_start=0, timestamp=now))
    began = call201.TransactionEvent(
        event_type="Started", timestamp=now, trigger_reason="CablePluggedIn", seq_no=0,
        transaction_info={"transaction_id": "tx-2", "charging_state": "Charging"}, evse={"id": 1, "connector_id": 1},
    )  # fmt: skip
    await two.call(began)
    await come_true(lambda: all(s.limits.get("TxProfile", (0.0,))[0] >= 6.0 for s in (one, two)))


def test_stations_of_the_csms_share_the_fuse_and_its_own_numbers_of_transactions_are_used():
    async def play():
        site = SiteProcess(check_values(SMALL, name="small").site_file, clock=SystemClock())
        running = asyncio.create_task(site.run())
        server = await csms(site)
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        (one, first), (two, second) = await station(Station16, url, "E1"), await station(Station201, url, "E2")
        await speak(one, two)
        connected = set(site.connected)
        await one._connection.close()
        await come_true(lambda: "E1" not in site.connected)
        await two._connection.close()
        await asyncio.gather(first, second, return_exceptions=True)
        server.close()
        await stop(running)
        return one.limits, two.limits, connected

    one, two, connected = asyncio.run(play())
    assert {"E1", "E2"} == connected
    assert (4711, "tx-2") == (one["TxProfile"][1], two["TxProfile"][1])
    assert 25.0 >= one["TxProfile"][0] + two["TxProfile"][0]


class Deaf:
    """A ChargePoint whose station does what a test wants."""

    id = "E1"
    _ocpp_version = "1.6"

    def __init__(self, error):
        self.error = error

    async def call(self, message, *, suppress):
        assert suppress is False
        raise self.error


@pytest.mark.parametrize(
    ("error", "ends_as"),
    [
        (TimeoutError("Waited 30s for response"), CallTimeout),
        (ocpp.exceptions.NotSupportedError(description="no"), CallRejected),
        (websockets.exceptions.ConnectionClosedOK(None, None), ConnectionLost),
        (RuntimeError("whatever"), ConnectionLost),
    ],
)
def test_whatever_the_package_raises_ends_as_an_error_of_the_link(error, ends_as):
    with pytest.raises(ends_as):
        asyncio.run(ChargePointLink(Deaf(error)).call("Reset", {"type": "Soft"}))


def test_a_charge_point_of_a_version_that_is_not_known_is_refused():
    other = Deaf(None)
    other._ocpp_version = "1.5"
    with pytest.raises(ValueError, match=r"1\.5"):
        ChargePointLink(other)

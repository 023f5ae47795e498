"""A stand-in for CitrineOS over real HTTP, made from its public interface, with stations that obey."""

import asyncio
import itertools
import json
import threading
import urllib.parse
import urllib.request
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from loadmgr.apps.process.serving import stop
from loadmgr.apps.process.site import SiteProcess
from loadmgr.csms.citrineos import CitrineOs
from loadmgr.site_file import check_values
from ocpp_link.errors import CallRejected, CallTimeout, ConnectionLost
from ocpp_link.schemas import first_fault
from ocpp_link.transport import SystemClock
from tests.loadmgr.apps.service.asking import SMALL


class HttpHost:
    """An HTTP server that hands posted JSON to a function, which returns status and body."""

    def __init__(self, take):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.answer(*take(self.path, body))

            def do_GET(self):
                self.answer(*take(f"{self.command} {self.path}", None))

            def do_DELETE(self):
                self.do_GET()

            def answer(self, status, answer):
                raw = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status


def call_back(url, answer):
    """Post an answer to whoever asked; at the end of a test he may be gone."""
    with suppress(OSError):
        post(url, answer)


class StandIn:
    """CitrineOS as it looks from outside: a message API with callbacks, and one subscription for everything."""

    def __init__(self):
        self.host = HttpHost(self.called)
        self.hook = None
        self.limits = {}
        self.paths = set()
        self.ids = itertools.count(1)

    def called(self, path, payload):
        parts = urllib.parse.urlsplit(path)
        query = {k: v[0] for k, v in urllib.parse.parse_qs(parts.query).items()}
        _, ocpp, version, module, action = parts.path.split("/")
        action = action[0].upper() + action[1:]
        assert ("ocpp", "1", None) == (ocpp, query["tenantId"], first_fault(version, action, payload, response=False))
        self.paths.add(f"{version}/{module}/{action}")
        answer = self.of_station(query["identifier"], version, action, payload)
        threading.Thread(target=call_back, args=(query["callbackUrl"], answer)).start()
        return 200, [{"success": True}]

    def of_station(self, station, version, action, payload):
        if action == "SetChargingProfile":
            old = version == "1.6"
            profile = payload["csChargingProfiles" if old else "chargingProfile"]
            schedule = profile["chargingSchedule"] if old else profile["chargingSchedule"][0]
            limit = schedule["chargingSchedulePeriod"][0]["limit"]
            self.limits[station, profile["chargingProfilePurpose"]] = (limit, profile.get("transactionId"))
        if action in ("GetVariables", "GetChargingProfiles"):
            return {"_errorCode": "NotImplemented", "_errorDetails": {}}
        if action == "GetConfiguration":
            return {"configurationKey": []}
        return {"status": "Rejected" if action == "GetCompositeSchedule" else "Accepted"}

    def says(self, station, version, action, payload, answer):
        """Let a station call, and CitrineOS answer."""
        number = str(next(self.ids))
        info = {"correlationId": number, "protocol": f"ocpp{version}", "action": action}
        for origin, frame in (("cs", [2, number, action, payload]), ("csms", [3, number, answer])):
            body = {"stationId": station, "event": "message", "origin": origin, "message": json.dumps(frame)}
            post(self.hook, {**body, "info": {**info, "origin": origin}})


def test_stations_of_citrineos_share_the_fuse():
    async def play():
        loop = asyncio.get_running_loop()
        site = SiteProcess(check_values(SMALL, name="small").site_file, clock=SystemClock())
        running = asyncio.create_task(site.run())
        citrine = StandIn()

        def taken(path, body):
            if path.startswith("/callback/"):
                loop.call_soon_threadsafe(gateway.answered, path.removeprefix("/callback/"), body)
            else:
                loop.call_soon_threadsafe(gateway.notified, body)
            return 200, {}

        ours = HttpHost(taken)
        gateway = CitrineOs(site, api=citrine.host.url, callbacks=f"{ours.url}/callback")
        citrine.hook = gateway.subscription("E1", f"{ours.url}/hook")["url"]
        await asyncio.to_thread(tell, citrine)
        async with asyncio.timeout(30):
            while len([k for k, v in citrine.limits.items() if k[1] == "TxProfile" and v[0] >= 6.0]) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        connected = set(site.connected)
        gateway.notified({"stationId": "E1", "event": "closed"})
        left = set(site.connected)
        for junk in (None, {}, {"stationId": "E2", "event": "message", "message": "no json"}, [1]):
            gateway.notified(junk)
        await stop(running)
        for host in (ours, citrine.host):
            host.server.shutdown()
        return citrine, connected, left

    citrine, connected, left = asyncio.run(play())
    assert ({"E1", "E2"}, {"E2"}) == (connected, left)
    one, two = citrine.limits["E1", "TxProfile"], citrine.limits["E2", "TxProfile"]
    assert (99, "tx-2") == (one[1], two[1])
    assert 25.0 >= one[0] + two[0]
    assert {"1.6/smartcharging/SetChargingProfile", "2.0.1/smartcharging/SetChargingProfile"} <= citrine.paths


def tell(citrine):
    """Let two stations boot and begin to charge."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    accepted = {"currentTime": stamp, "interval": 300, "status": "Accepted"}
    boot = {"chargePointVendor": "V", "chargePointModel": "M"}
    citrine.says("E1", "1.6", "BootNotification", boot, accepted)
    started = {"connectorId": 1, "idTag": "t", "meterStart": 0, "timestamp": stamp}
    citrine.says("E1", "1.6", "StartTransaction", started, {"transactionId": 99, "idTagInfo": {"status": "Accepted"}})
    boot = {"chargingStation": {"model": "M", "vendorName": "V"}, "reason": "PowerUp"}
    citrine.says("E2", "2.0.1", "BootNotification", boot, accepted)
    event = {
        "eventType": "Started", "timestamp": stamp, "triggerReason": "CablePluggedIn", "seqNo": 0,
        "transactionInfo": {"transactionId": "tx-2", "chargingState": "Charging"}, "evse": {"id": 1, "connectorId": 1},
    }  # fmt: skip
    citrine.says("E2", "2.0.1", "TransactionEvent", event, {})


@pytest.mark.parametrize(
    ("status", "body", "ends_as"),
    [
        (200, [{"success": False, "payload": "not connected"}], ConnectionLost),
        (500, None, ConnectionLost),
        (200, [{"success": True}], CallTimeout),
    ],
)
def test_what_citrineos_does_not_pass_on_ends_as_an_error_of_the_link(status, body, ends_as):
    host = HttpHost(lambda path, payload: (status, body))

    async def play():
        gateway = CitrineOs(Nobody(), api=host.url, callbacks="http://127.0.0.1:9/x")
        gateway.notified(
            {"stationId": "E1", "event": "message", "origin": "cs", "message": '[2,"1","Heartbeat",{}]',
             "info": {"protocol": "ocpp1.6"}}
        )  # fmt: skip
        link = gateway._site.link
        with pytest.raises(CallRejected):
            await link.call("Reset", {}, timeout_s=1.0)
        with pytest.raises(ends_as):
            await link.call("SetChargingProfile", {}, timeout_s=1.0)

    asyncio.run(play())
    host.server.shutdown()


class Nobody:
    def attach(self, link):
        self.link = link

    def hear(self, *_, **__):
        """Nothing."""

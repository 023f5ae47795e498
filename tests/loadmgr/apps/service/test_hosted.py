"""A site under control whose stations are behind a CSMS: facts in, commands out, people in between."""

import asyncio
import json
import logging
import re
from contextlib import asynccontextmanager

import httpx2
import pytest

from loadmgr.apps.service.app import create_app
from loadmgr.apps.service.hosted import HostedSite
from loadmgr.apps.service.tokens import Role
from loadmgr.site_file import check_values
from ocpp_link.schemas import first_fault
from ocpp_link.transport import SystemClock
from tests.loadmgr.apps.service.asking import SMALL, a_service, token


@asynccontextmanager
async def under_control(role=Role.OPERATE, *, site=SMALL, **options):
    """Yield a client of a service that controls the small site, or another one by its name."""
    service = a_service(**options)
    hosted = HostedSite("small", check_values(site, name="small").site_file, clock=SystemClock())
    service.hosted["small"] = hosted
    hosted.start()
    transport = httpx2.ASGITransport(app=create_app(service))
    async with httpx2.AsyncClient(transport=transport, base_url="http://t", headers=token(service, role)) as client:
        try:
            yield client, hosted
        finally:
            await hosted.stop()
            service.close()


def ready(state):
    return all(e["standing"] == "obeying" for e in state.get("evses", [{"standing": "?"}]))


class Csms:
    """A CSMS of two stations that take what they are told, by long poll."""

    def __init__(self, client):
        self.client = client
        self.sent = []
        self.limits = {}

    async def post(self, path, body, status=200):
        found = await self.client.post(f"/v1/sites/small/{path}", json=body)
        assert status == found.status_code, found.text
        return found.json()

    async def boot(self, *stations):
        boot = {"chargePointVendor": "V", "chargePointModel": "M"}
        status = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
        messages = []
        for station in stations:
            common = {"station": station, "ocpp_version": "1.6"}
            messages += [
                {**common, "action": "BootNotification", "payload": boot},
                {**common, "action": "StatusNotification", "payload": status},
            ]
        await self.post("ocpp", {"messages": messages})

    async def start(self, station, number):
        payload = {"connectorId": 1, "idTag": "04A1B2C3SECRET", "meterStart": 0, "timestamp": "2026-03-01T18:00:00Z"}
        message = {"station": station, "ocpp_version": "1.6", "action": "StartTransaction", "payload": payload}
        await self.post("ocpp", {"messages": [{**message, "transaction_id": number}]})

    async def poll(self, done, wait_s=0.5):
        """Fetch commands and answer them as stations do, until something holds."""
        async with asyncio.timeout(20):
            while not done(await self.state()):
                found = await self.client.get("/v1/sites/small/commands", params={"wait_s": wait_s})
                assert 200 == found.status_code, found.text
                replies = [{"id": c["id"], "result": self.reply(c)} for c in found.json()["commands"]]
                if replies:
                    assert len(replies) == (await self.post("answers", {"answers": replies}))["taken"]

    async def state(self):
        return (await self.client.get("/v1/sites/small")).json()

    def reply(self, command):
        assert None is first_fault("1.6", command["action"], command["payload"], response=False)
        self.sent.append(command)
        match command["action"]:
            case "SetChargingProfile":
                profile = command["payload"]["csChargingProfiles"]
                limit = profile["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
                self.limits[command["station"], profile["chargingProfilePurpose"]] = limit
                return {"status": "Accepted"}
            case "GetCompositeSchedule":
                schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 0}]}
                return {"status": "Accepted", "connectorId": 1, "chargingSchedule": schedule}
            case "GetConfiguration":
                return {"configurationKey": [], "unknownKey": []}
            case _:
                return {"status": "Accepted"}


def test_stations_behind_a_csms_are_set_up_and_given_current():
    async def play():
        async with under_control() as (client, hosted):
            csms = Csms(client)
            await csms.boot("E1", "E2")
            await csms.poll(ready)
            await csms.start("E1", 41)
            await csms.poll(lambda _: csms.limits.get(("E1", "TxProfile"), 0.0) > 0.0)
            state = await csms.state()
            why = (await client.get("/v1/sites/small/evses/E1")).json()
            return csms, state, why, hosted

    csms, state, why, hosted = asyncio.run(play())
    assert 0.0 == csms.limits["E1", "TxDefaultProfile"]
    assert 16.0 >= csms.limits["E1", "TxProfile"] >= 6.0
    assert ["obeying", "obeying"] == [e["standing"] for e in state["evses"]]
    assert "41" == why["evse"]["session"]["transaction"]
    assert why["evse"]["reason"]
    assert [] == hosted.outbox.waiting()


def test_what_nobody_answers_counts_as_not_done_and_comes_again_until_then():
    async def play():
        async with under_control() as (client, _):
            csms = Csms(client)
            await csms.boot("E1")
            first = (await client.get("/v1/sites/small/commands", params={"wait_s": 2})).json()
            again = (await client.get("/v1/sites/small/commands")).json()
            on = (await client.get("/v1/sites/small/commands", params={"after": first["after"]})).json()
            late = await csms.post("answers", {"answers": [{"id": 5, "result": {}}]})
            ended = await csms.post(
                "answers", {"answers": [{"id": first["commands"][0]["id"], "error": "InternalError"}]}
            )
            return first, again, on, late, ended

    first, again, on, late, ended = asyncio.run(play())
    assert [c["id"] for c in first["commands"]] == [c["id"] for c in again["commands"]]
    assert first["commands"]
    assert [] == on["commands"]
    assert [5] == late["unknown"]
    assert 1 == ended["taken"]


def test_facts_wishes_limits_and_orders_reach_the_controller():
    async def play():
        async with under_control() as (client, _):
            csms = Csms(client)
            await csms.boot("E1", "E2")
            await csms.poll(ready)
            session = {"evse": "E1", "transaction_id": 7}
            await csms.post("transactions", {"started": [session]})
            put = "/v1/sites/small"
            wish = {"departure": "2030-01-01T00:00:00Z", "wanted_wh": 9000, "must_wh": 4000} | {
                "must_by": "2029-12-31T12:00:00Z"
            }
            statuses = [
                (await client.put(f"{put}/evses/E1/wish", json=wish)).status_code,
                (await client.put(f"{put}/limits/main/dso", json={"limit_a": 12.0})).status_code,
                (await client.put(f"{put}/evses/E1/order", json={"limit_a": 8.0, "for_s": 600})).status_code,
                (await client.put(f"{put}/evses/E1/order", json={"limit_a": 99.0, "dry_run": True})).status_code,
            ]
            await csms.post("meter-values", {"evse_readings": [{"evse": "E1", "current_a": 0.0}]})
            await csms.poll(lambda _: csms.limits.get(("E1", "TxProfile"), 0.0) > 0.0)
            state = await csms.state()
            back = (await client.delete(f"{put}/limits/main/dso")).status_code
            await csms.post("transactions", {"ended": [{"evse": "E1", "transaction_id": 7}]})
            await csms.poll(lambda state: state["evses"][0]["session"] is None)
            over = await csms.state()
            return statuses, state, back, over, csms

    statuses, state, back, over, csms = asyncio.run(play())
    assert [200, 200, 200, 200, 200] == [*statuses, back]
    session = state["evses"][0]["session"]
    assert (9000.0, "driver") == (session["wanted_wh"], session["source"])
    assert 8.0 >= csms.limits["E1", "TxProfile"] >= 6.0
    assert [12.0] * 3 == next(c for c in state["circuits"] if c["circuit"] == "main")["limit_a"]
    assert None is over["evses"][0]["session"]
    assert [25.0] * 3 == next(c for c in over["circuits"] if c["circuit"] == "main")["limit_a"]


CALL = {"station": "E1", "ocpp_version": "1.6", "action": "Heartbeat", "payload": {}}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("ocpp", {"messages": [{**CALL, "station": "X"}]}, "messages[0].station"),
        ("ocpp", {"messages": [{**CALL, "action": "Nonsense"}]}, "messages[0].action"),
        ("ocpp", {"messages": [{**CALL, "action": "BootNotification"}]}, "messages[0].payload.payload"),
        ("stations", {"stations": [{"station": "X", "ocpp_version": "1.6"}]}, "stations[0].station"),
        ("meter-values", {"evse_readings": [{"evse": "X", "current_a": 1}]}, "evse_readings[0].evse"),
        ("transactions", {"ended": [{"evse": "X", "transaction_id": 1}]}, "ended[0].evse"),
        ("answers", {"answers": [{"id": 1}]}, "answers[0]"),
    ],
)  # fmt: skip
def test_facts_that_cannot_be_are_refused_and_nothing_is_taken(path, body, field):
    async def play():
        async with under_control() as (client, hosted):
            found = await client.post(f"/v1/sites/small/{path}", json=body)
            return found, hosted.process.connected

    found, connected = asyncio.run(play())
    assert 422 == found.status_code, found.text
    assert field == found.json()["errors"][0]["field"]
    assert () == connected


def test_who_may_only_look_changes_nothing_and_others_see_nothing():
    async def play():
        async with under_control(Role.READ) as (client, _):
            order = await client.put("/v1/sites/small/evses/E1/order", json={"pause": True})
            look = await client.get("/v1/sites/small")
            return order.status_code, look.status_code, (await client.get("/v1/sites/elsewhere")).status_code

    assert (403, 200, 404) == asyncio.run(play())


def test_decisions_are_streamed_as_they_come():
    async def play():
        async with under_control() as (client, hosted):
            reading = asyncio.create_task(client.get("/v1/sites/small/events", params={"most": 1, "within_s": 5}))
            while not len(hosted.streams):  # noqa: ASYNC110 - the stream opens when its request is served
                await asyncio.sleep(0.01)
            await Csms(client).boot("E1")
            return (await reading), len(hosted.streams)

    found, left = asyncio.run(play())
    assert "text/event-stream" in found.headers["content-type"]
    kinds = [line.removeprefix("event: ") for line in found.text.splitlines() if line.startswith("event: ")]
    assert ["hello", "decision"] == kinds or ["hello", "alarm"] == kinds
    assert json.loads(found.text.split("data: ")[2].splitlines()[0])
    assert 0 == left


def test_metrics_and_readiness_tell_of_the_site_to_those_who_may_see_it():
    async def play():
        async with under_control() as (client, hosted):
            csms = Csms(client)
            await csms.boot("E1")
            await csms.poll(lambda state: "evses" in state)
            service = client._transport.app.state.service
            page = (await client.get("/metrics")).text
            theirs = (await client.get("/metrics", headers=token(service, Role.READ, ["elsewhere"]))).text
            good = (await client.get("/readyz")).json()
            await hosted.stop()
            bad = await client.get("/readyz")
            return page, theirs, good, bad

    page, theirs, good, bad = asyncio.run(play())
    assert 'loadmgr_stations_connected{site="small"} 1' in page
    assert 'loadmgr_circuit_limit_amperes{site="small",circuit="main",phase="L2"} 25.0' in page
    assert "small" not in theirs
    assert good["checks"]["sites"].startswith("ok: 1 controlled here")
    assert 503 == bad.status_code
    assert bad.json()["checks"]["sites"].startswith("failed: 1 of 1")


def test_a_site_of_others_is_to_every_request_as_one_that_does_not_exist():
    """Every path that names a site, with a token for another one: the answers differ in nothing but the name."""

    async def play():
        async with under_control(Role.ADMIN) as (client, _):
            app = client._transport.app
            theirs = token(app.state.service, Role.ADMIN, ["elsewhere"])
            paths = {path: list(methods) for path, methods in app.openapi()["paths"].items() if "{site}" in path}
            paths |= {"/v1/sites/{site}/page": ["get"], "/v1/sites/{site}/page/events": ["get"]}
            found = {}
            for where, method in [(path, method) for path, methods in paths.items() for method in methods]:
                path = re.sub(r"\{(?!site)\w+\}", "E1", where)
                answers = [
                    await client.request(method, path.replace("{site}", name), headers=theirs, json={})
                    for name in ("small", "nowhere")
                ]
                found[method, where] = [
                    (a.status_code, a.text.replace("small", "nowhere").replace(a.headers["x-request-id"], ""))
                    for a in answers
                ]
            return found

    found = asyncio.run(play())
    assert len(found) > 20
    assert {} == {where: answers for where, answers in found.items() if answers[0] != answers[1]}
    assert {404, 422} >= {status for answers in found.values() for status, _ in answers}  # 422: no `circuit` in a query


def test_a_drivers_token_and_the_callers_are_not_in_the_log(caplog):
    async def play():
        async with under_control() as (client, hosted):
            csms = Csms(client)
            await csms.boot("E1")
            await csms.poll(lambda state: state.get("evses", [{}])[0].get("standing") == "obeying")
            await csms.start("E1", 41)
            await csms.poll(lambda _: csms.limits.get(("E1", "TxProfile"), 0.0) > 0.0)
            return client.headers["authorization"], hosted.process.controller.view().evses[0].session.id_token

    with caplog.at_level(logging.DEBUG):
        authorization, id_token = asyncio.run(play())
    ours = "\n".join(
        f"{r.getMessage()} {vars(r)}" for r in caplog.records if r.name.startswith(("loadmgr", "ocpp_link"))
    )
    assert "SetProfile" in ours
    assert "04A1B2C3SECRET" == id_token
    for secret in ("04A1B2C3SECRET", authorization.split("_")[2]):
        assert secret not in ours


def test_a_display_that_fails_does_not_stop_the_control(caplog):
    def broken(_):
        raise KeyError("what is shown")

    async def play():
        async with under_control() as (client, hosted):
            hosted.process.on_decision.insert(0, broken)
            csms = Csms(client)
            await csms.boot("E1", "E2")
            await csms.poll(ready)
            return hosted.running

    assert asyncio.run(play())
    assert "a display of decisions failed" in caplog.text

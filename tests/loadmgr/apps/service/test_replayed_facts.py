"""Facts that a CSMS posts again, because it saw no answer, change nothing: with an idempotency key or without."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.loadmgr.apps.service.test_hosted import Csms, ready, under_control

KEYS = ({}, {"Idempotency-Key": "once-more"})


def told():
    """Return what is posted of a session, in order; each may come twice."""
    now = datetime.now(UTC)
    call = {"station": "E1", "ocpp_version": "1.6"}
    start = {
        "connectorId": 1,
        "idTag": "tag",
        "meterStart": 1000,
        "timestamp": (now - timedelta(minutes=5)).isoformat(),
    }
    samples = [
        {"value": "1400", "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
        {"value": "0.0", "measurand": "Current.Import", "phase": "L1", "unit": "A"},
    ]
    values = [{"timestamp": (now - timedelta(seconds=2)).isoformat(), "sampledValue": samples}]
    meter = {"connectorId": 1, "transactionId": 41, "meterValue": values}
    reading = {"evse": "E1", "at": (now - timedelta(seconds=1)).isoformat(), "currents_a": [0.0, 0.0, 0.0]}
    return {
        "a station that came": ("stations", {"stations": [{"station": "E1", "ocpp_version": "1.6"}]}),
        "StartTransaction": (
            "ocpp",
            {"messages": [{**call, "action": "StartTransaction", "payload": start, "transaction_id": 41}]},
        ),
        "MeterValues": ("ocpp", {"messages": [{**call, "action": "MeterValues", "payload": meter}]}),
        "a reading": ("meter-values", {"evse_readings": [reading]}),
        "a session": ("transactions", {"started": [{"evse": "E1", "transaction_id": 41}]}),
    }


async def settled(csms):
    """Let the site act until it asks no more, and return how it stands."""
    quiet = 0
    while quiet < 2:
        found = (await csms.client.get("/v1/sites/small/commands", params={"wait_s": 0.2})).json()["commands"]
        replies = [{"id": c["id"], "result": csms.reply(c)} for c in found]
        if replies:
            await csms.post("answers", {"answers": replies})
        quiet = 0 if replies else quiet + 1
    state = await csms.state()
    return {name: state[name] for name in ("evses", "circuits", "stations", "limits", "alarms")}


def plain(state):
    """Return a state without what time alone changes: when it was looked at, and the forecast."""
    for evse in state["evses"]:
        if evse["session"] is not None:
            evse["session"].pop("expected_wh")
            evse["session"].pop("full_by")
            evse["known"].pop("at")
        evse.pop("plan_a")
    return state


@pytest.mark.parametrize("headers", KEYS, ids=("without a key", "with a key"))
def test_facts_that_come_twice_leave_the_site_as_it_is(headers):
    async def play():
        async with under_control() as (client, hosted):
            client.headers.update(headers)
            csms = Csms(client)
            await csms.boot("E1", "E2")
            await csms.poll(ready)
            facts = told()
            for path, body in facts.values():
                await csms.post(path, body)
            before, sent = plain(await settled(csms)), len(csms.sent)
            delivered = [hosted.process.controller.view().evses[0].session.delivered_wh]
            changed = {}
            for name, (path, body) in facts.items():
                await csms.post(path, body)
                after = plain(await settled(csms))
                changed |= {name: (before, after)} if after != before else {}
            delivered.append(hosted.process.controller.view().evses[0].session.delivered_wh)
            return changed, delivered, [c["action"] for c in csms.sent[sent:]]

    changed, delivered, sent = asyncio.run(play())
    assert {} == changed
    assert [400.0, 400.0] == delivered
    assert [] == sent


def test_a_session_that_ended_is_not_begun_again_by_a_start_that_comes_twice():
    async def play():
        async with under_control() as (client, _):
            csms = Csms(client)
            await csms.boot("E1", "E2")
            await csms.poll(ready)
            facts = told()
            ends = ("transactions", {"ended": [{"evse": "E1", "transaction_id": 41}]})
            for path, body in (*facts.values(), ends):
                await csms.post(path, body)
            before = plain(await settled(csms))
            # A reading counts as read again: a vehicle that draws without a transaction has to be seen.
            for path, body in (facts["StartTransaction"], facts["a session"], ends):
                await csms.post(path, body)
            return before, plain(await settled(csms))

    before, after = asyncio.run(play())
    assert None is before["evses"][0]["session"]
    assert before == after

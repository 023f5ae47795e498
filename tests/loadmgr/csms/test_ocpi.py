"""Charging profiles to a CPO over OCPI 2.2.1: what goes out, what comes back, and what becomes of silence."""

import asyncio
import base64
import urllib.parse
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmgr.csms.http_json import HttpAnswer
from loadmgr.csms.ocpi import OcpiError, OcpiSender, charging_profile
from tests.loadmgr.csms.test_citrineos import HttpHost

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def sender(send, **more):
    return OcpiSender(
        receiver="https://cpo.example/ocpi/2.2.1/chargingprofiles/",
        token="s3cret",
        responses="https://us.example/ocpi/responses",
        from_party=("DE", "LMG"),
        to_party=("NL", "CPO"),
        send=send,
        **more,
    )


class Cpo:
    """A CPO that takes requests and lets its station answer."""

    def __init__(self, *, first=None, result="ACCEPTED", profile=None):
        self.first = {"result": "ACCEPTED", "timeout": 1} if first is None else first
        self.result = result
        self.profile = profile
        self.asked = []
        self.sender = sender(self.take)

    async def take(self, method, url, headers, body):
        self.asked.append((method, url, headers, body))
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
        response_url = body["response_url"] if body else query["response_url"][0]
        if self.result is not None:
            answer = {"result": self.result} | ({"profile": self.profile} if self.profile else {})
            asyncio.get_running_loop().call_later(0.01, self.sender.responded, response_url.rpartition("/")[2], answer)
        return HttpAnswer(200, {"status_code": 1000, "timestamp": "2026-03-01T12:00:00Z", "data": self.first})


def test_a_profile_is_put_with_the_headers_of_the_standard_and_its_result_awaited():
    cpo = Cpo()
    profile = charging_profile([(NOON, 16.0)], end=NOON + timedelta(hours=1))
    outcome = asyncio.run(cpo.sender.set_profile("session/1", profile))
    (method, url, headers, body) = cpo.asked[0]
    assert outcome.accepted
    assert ("PUT", "https://cpo.example/ocpi/2.2.1/chargingprofiles/session%2F1") == (method, url)
    assert "s3cret" == base64.b64decode(headers["Authorization"].removeprefix("Token ")).decode()
    assert ("DE", "LMG", "NL", "CPO") == tuple(
        headers[f"OCPI-{n}"] for n in ("from-country-code", "from-party-id", "to-country-code", "to-party-id")
    )
    assert profile == body["charging_profile"]
    assert body["response_url"].startswith("https://us.example/ocpi/responses/")
    assert headers["X-Request-ID"] != headers["X-Correlation-ID"]


def test_the_active_profile_is_asked_for_and_a_profile_is_cleared():
    cpo = Cpo(profile={"start_date_time": "2026-03-01T12:00:00Z", "charging_profile": {}})

    async def play():
        return await cpo.sender.active_profile("s", duration_s=900), await cpo.sender.clear_profile("s")

    active, cleared = asyncio.run(play())
    assert ("ACCEPTED", cpo.profile) == (active.result, active.profile)
    assert cleared.accepted
    assert ["GET", "DELETE"] == [a[0] for a in cpo.asked]
    assert "duration=900&response_url=https%3A%2F%2Fus.example" in cpo.asked[0][1]


@pytest.mark.parametrize(
    ("cpo", "result"),
    [
        (Cpo(first={"result": "TOO_OFTEN", "timeout": 30}), "TOO_OFTEN"),
        (Cpo(result="REJECTED"), "REJECTED"),
        (Cpo(first={"result": "ACCEPTED", "timeout": 0.05}, result=None), "TIMED_OUT"),
    ],
)
def test_what_is_not_accepted_is_an_outcome_and_no_fault(cpo, result):
    assert result == asyncio.run(cpo.sender.set_profile("s", {})).result


@pytest.mark.parametrize(
    "body", [None, [], {"status_code": 3000}, {"status_code": 1000}, {"status_code": 1000, "data": {"result": 7}}]
)
def test_answers_that_are_no_ocpi_are_faults_that_say_so(body):
    async def send(*_):
        return HttpAnswer(500, body)

    with pytest.raises(OcpiError, match="CPO"):
        asyncio.run(sender(send).set_profile("s", {}))


def test_over_real_http_and_nobody_there():
    host = HttpHost(lambda path, body: (200, {"status_code": 2001, "status_message": "invalid"}))

    async def play(receiver):
        made = OcpiSender(
            receiver=receiver, token="t", responses="http://us", from_party=("DE", "A"), to_party=("NL", "B")
        )
        await made.clear_profile("s")

    with pytest.raises(OcpiError, match="cannot be reached"):
        asyncio.run(play("http://127.0.0.1:9/x"))
    with pytest.raises(OcpiError, match="OCPI"):
        asyncio.run(play(host.url))
    host.server.shutdown()


@given(st.lists(st.tuples(st.integers(1, 7200), st.floats(0.0, 80.0)), min_size=1, max_size=20), st.integers(1, 86_400))
def test_a_profile_never_allows_more_than_its_setpoints(steps, last_s):
    at, setpoints = NOON, []
    for length_s, amps in steps:
        setpoints.append((at, amps))
        at += timedelta(seconds=length_s)
    profile = charging_profile(setpoints, end=setpoints[-1][0] + timedelta(seconds=last_s))
    periods = profile["charging_profile_period"]
    for when, amps in setpoints:
        second = (when - NOON).total_seconds()
        limit = [p["limit"] for p in periods if p["start_period"] <= second][-1]
        assert amps - 0.1 - 1e-6 <= limit <= amps + 1e-9
    assert profile["duration"] > periods[-1]["start_period"]


@pytest.mark.parametrize("setpoints", [[], [(NOON, -1.0)], [(NOON, float("nan"))], [(NOON, 1.0), (NOON, 2.0)]])
def test_setpoints_that_cannot_be_are_refused(setpoints):
    with pytest.raises(ValueError, match="setpoints"):
        charging_profile(setpoints, end=NOON + timedelta(hours=1))

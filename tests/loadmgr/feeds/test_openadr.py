"""Prices and limits from an OpenADR 3 server: a stand-in on a real socket, made from the public specification.

Its events, descriptors, paging and login are those of OpenADR 3.1 (3.0.1 where it differs): POST /auth/token with the
client's credentials, GET /programs/{id}, GET /events?programID=...&skip=...&limit=...
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from loadmgr.control.outside.outside import LimitChanged
from loadmgr.errors import InputError
from loadmgr.feeds.dead_man import DeadMan
from loadmgr.feeds.openadr import Vtn
from loadmgr.feeds.openadr_feeds import OpenAdrLimitFeed, OpenAdrPriceFeed, limit_feed_of, price_feed_of
from loadmgr.model.ids import CircuitId
from loadmgr.model.rates import FixedRate
from loadmgr.model.series import StepFunction
from loadmgr.model.tariff import Tariff
from loadmgr.site_file.sources import OpenAdrPlace, Secret
from loadmgr.site_file.values import Cap
from tests.loadmgr.feeds.http_double import WebDouble

T0 = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
GUARDED = DeadMan(
    source="utility", circuit=CircuitId("main"), heartbeat_s=600.0, silent_limit_w=10_000.0, vehicles_only=False
)
LEVELS = (Cap(power_w=20_000.0), Cap(power_w=20_000.0), Cap(current_a=(6.0, 6.0, 6.0)))
TARIFF = Tariff(time_zone="Europe/Berlin", energy=FixedRate(price_per_kwh=0.30), tax_ratio=0.25)


def after(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def event(kind: str, *values: float, start: datetime | str = T0, each: str = "PT1H", **more: Any) -> dict[str, Any]:
    """Return an event whose intervals follow each other."""
    unit = {"PRICE": {"units": "KWH", "currency": "EUR"}, "IMPORT_CAPACITY_LIMIT": {"units": "KW"}}.get(kind, {})
    return {
        "id": f"{kind}-{values}",
        "objectType": "EVENT",
        "programID": "p1",
        "eventName": "test",
        "payloadDescriptors": [{"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": kind, **unit}],
        "intervalPeriod": {"start": start if isinstance(start, str) else stamp(start), "duration": each},
        "intervals": [{"id": i, "payloads": [{"type": kind, "values": [v]}]} for i, v in enumerate(values)],
        **more,
    }


class VtnDouble:
    """A server of one program; the token that it gives is good for so many answers."""

    def __init__(self, web: WebDouble) -> None:
        self.web, self.events, self.good_for, self.logins = web, list[dict[str, Any]](), 1000, 0
        self.program: dict[str, Any] = {"id": "p1", "programName": "Peaks"}
        web.answers["/oadr/auth/server"] = {"tokenURL": f"{web.url}/oadr/auth/token"}
        web.answers["/oadr/auth/token"] = self._token
        web.answers["/oadr/events"] = self._events
        web.answers["/oadr/programs/p1"] = lambda _: self.program

    def _token(self, _: str) -> Any:
        self.logins += 1
        return {"access_token": f"token-{self.logins}", "token_type": "Bearer"}

    def _events(self, path: str) -> Any:
        self.good_for -= 1
        if self.good_for == 0:
            return 401, b"{}"
        asked = parse_qs(urlsplit(path).query)
        skip, limit = int(asked["skip"][0]), int(asked["limit"][0])
        return [e for e in self.events if e["programID"] == asked["programID"][0]][skip : skip + limit]


@pytest.fixture
def vtn() -> Iterator[VtnDouble]:
    with WebDouble().running() as web:
        yield VtnDouble(web)


def place(vtn: VtnDouble, **more: Any) -> OpenAdrPlace:
    return OpenAdrPlace(url=f"{vtn.web.url}/oadr", program="p1", **more)


def limits(vtn: VtnDouble, **more: Any) -> OpenAdrLimitFeed:
    return limit_feed_of(place(vtn, **more), GUARDED, levels=LEVELS, remembered=True)


def told(news: list[LimitChanged]) -> list[tuple[object, object, object]]:
    return [(n.limit_w, n.limit_a, n.until) for n in news]


def test_a_capacity_limit_holds_for_its_interval_and_says_when_it_ends(vtn: VtnDouble) -> None:
    feed = limits(vtn)
    vtn.events = [event("IMPORT_CAPACITY_LIMIT", 15.0, 7.5, start=after(10))]
    assert [(None, None, None)] == told(feed.poll(T0))
    assert [(15_000.0, None, after(70))] == told(feed.poll(after(10)))
    assert [(7_500.0, None, after(130))] == told(feed.poll(after(70)))
    assert [(None, None, None)] == told(feed.poll(after(130)))


def test_an_answer_is_a_word_of_life_that_is_passed_on_within_half_of_the_heartbeat(vtn: VtnDouble) -> None:
    feed = limits(vtn)
    vtn.events = [event("IMPORT_CAPACITY_LIMIT", 15.0, each="P9999Y", start="0001-01-01")]
    assert [(15_000.0, None, None)] == told(feed.poll(T0))
    assert [] == feed.poll(after(4.9))
    (word,) = feed.poll(after(5))
    assert (after(5), 600.0, 10_000.0) == (word.at, word.heartbeat_s, word.silent_limit_w)


def test_what_was_announced_comes_into_force_while_the_server_is_away_and_is_no_word_of_life(vtn: VtnDouble) -> None:
    feed = limits(vtn)
    vtn.events = [event("IMPORT_CAPACITY_LIMIT", 15.0, start=after(10))]
    feed.poll(T0)
    vtn.web.answers["/oadr/events"] = (503, b"")
    with pytest.raises(InputError, match="/oadr: answers 503 to /oadr/events"):
        feed.poll(after(5))
    (word,) = feed.poll(after(10))
    assert (T0, 15_000.0) == (word.at, word.limit_w)


def test_before_anything_is_heard_the_heartbeat_counts(vtn: VtnDouble) -> None:
    vtn.web.answers["/oadr/events"] = (503, b"")
    feed = limit_feed_of(place(vtn), GUARDED, levels=(), remembered=False)
    (word,) = feed.poll(T0)
    assert (None, 600.0) == (word.limit_w, word.heartbeat_s)
    with pytest.raises(InputError):
        feed.poll(after(1))


def test_of_limits_at_one_time_the_lowest_holds_also_of_levels(vtn: VtnDouble) -> None:
    vtn.events = [
        event("IMPORT_CAPACITY_LIMIT", 15.0, each="PT2H"),
        event("IMPORT_CAPACITY_LIMIT", 12.0, priority=5),
        event("SIMPLE", 1, 3, 0),
    ]
    feed = limits(vtn)
    assert [(12_000.0, None, None)] == told(feed.poll(T0))
    assert [(15_000.0, (6.0, 6.0, 6.0), None)] == told(feed.poll(after(60)))
    assert [(None, None, None)] == told(feed.poll(after(120)))


def test_levels_mean_nothing_where_nobody_says_what(vtn: VtnDouble) -> None:
    vtn.events = [event("SIMPLE", 3)]
    feed = limit_feed_of(place(vtn), GUARDED, levels=(), remembered=True)
    assert [(None, None, None)] == told(feed.poll(T0))


def test_a_limit_in_amperes_and_a_unit_that_the_program_names(vtn: VtnDouble) -> None:
    said = event("IMPORT_CAPACITY_LIMIT", 20.0)
    del said["payloadDescriptors"]
    vtn.events = [said]
    vtn.program["payloadDescriptors"] = [{"payloadType": "IMPORT_CAPACITY_LIMIT", "units": "AMPS"}]
    assert [(None, (20.0, 20.0, 20.0), after(60))] == told(limits(vtn).poll(T0))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ({"payloadDescriptors": []}, "an import limit in no unit: its descriptor must say KW or AMPS"),
        ({"intervals": [{"id": 0, "payloads": [{"type": "IMPORT_CAPACITY_LIMIT", "values": [-1]}]}]}, "below 0"),
        ({"intervals": [{"id": 0, "payloads": [{"type": "IMPORT_CAPACITY_LIMIT", "values": ["x"]}]}]}, "event test: "),
        ({"intervals": [{"id": 0, "payloads": [{"values": [1]}]}]}, "event test: 'type' is missing"),
        ({"intervalPeriod": {"start": "soon", "duration": "PT1H"}}, "event test: "),
        ({"intervalPeriod": {"start": stamp(T0), "duration": "PT0S"}}, "event test: a duration of 'PT0S'"),
        ({"intervals": "all day"}, "event test: "),
    ],
)
def test_an_event_that_cannot_be_read_is_named_and_is_no_word_of_life(
    vtn: VtnDouble, spoil: dict[str, Any], said: str
) -> None:
    vtn.events = [event("IMPORT_CAPACITY_LIMIT", 15.0) | spoil]
    with pytest.raises(InputError, match=said):
        limits(vtn).poll(T0)


@pytest.mark.parametrize("answer", [(200, b"<html>"), (200, b'{"problem": 1}'), (500, b"")])
def test_a_server_that_answers_something_else_is_a_fault_with_its_address(vtn: VtnDouble, answer: Any) -> None:
    vtn.web.answers["/oadr/events"] = answer
    with pytest.raises(InputError, match=rf"{vtn.web.url}/oadr: "):
        limits(vtn).poll(T0)


def test_events_for_others_are_passed_over(vtn: VtnDouble) -> None:
    vtn.events = [
        event("IMPORT_CAPACITY_LIMIT", 9.0, targets=["west"]),
        event("IMPORT_CAPACITY_LIMIT", 8.0, targets=[{"type": "GROUP", "values": ["south"]}]),
        event("IMPORT_CAPACITY_LIMIT", 15.0, targets=["east", "north"]),
        event("IMPORT_CAPACITY_LIMIT", 7.0, programID="p2"),
    ]
    assert 15_000.0 == limits(vtn, targets=("north",)).poll(T0)[0].limit_w
    assert 8_000.0 == limits(vtn).poll(T0)[0].limit_w


def test_more_events_than_one_page_holds_are_all_read(vtn: VtnDouble) -> None:
    vtn.events = [event("IMPORT_CAPACITY_LIMIT", 100.0 - i) for i in range(60)]
    assert 41_000.0 == limits(vtn).poll(T0)[0].limit_w


def test_a_login_is_made_once_and_again_when_its_token_has_run_out(
    vtn: VtnDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OADR_SECRET", "hunter2")
    vtn.events, vtn.good_for = [event("IMPORT_CAPACITY_LIMIT", 15.0)], 3
    feed = limits(vtn, client="shed", secret=Secret(env="OADR_SECRET"))
    for minute in range(4):
        feed.poll(after(minute))
    posted = [body.decode() for path, _, body in vtn.web.asked if path == "/oadr/auth/token"]
    shown = [headers.get("Authorization") for path, headers, _ in vtn.web.asked if "/events" in path]

    assert 2 == vtn.logins
    assert all("client_id=shed" in body and "client_secret=hunter2" in body for body in posted)
    assert ("Bearer token-1", "Bearer token-2") == (shown[0], shown[-1])


def test_a_login_that_fails_tells_no_secret(vtn: VtnDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OADR_SECRET", "hunter2")
    vtn.web.answers["/oadr/auth/token"] = (400, b'{"error": "invalid_client"}')
    with pytest.raises(InputError, match="answers 400 to /oadr/auth/token") as raised:
        limits(vtn, client="shed", secret=Secret(env="OADR_SECRET")).poll(T0)
    assert "hunter2" not in str(raised.value)


def test_prices_hold_where_they_are_told_and_the_tariff_s_own_between(vtn: VtnDouble) -> None:
    vtn.events = [
        event("PRICE", 0.40, 0.10),
        event("PRICE", 0.90, start=after(240)),
        event("PRICE", 0.0, start=after(60), priority=0),
    ]
    (news,) = price_feed_of(place(vtn), TARIFF).poll(T0)
    series = news.prices_per_kwh

    expected = [0.40 * 1.25, 0.0, 0.30 * 1.25, 0.30 * 1.25, 0.90 * 1.25, None]
    found = [series.at(after(60 * hour)) for hour in range(6)]
    assert [None if p is None else round(p, 9) for p in expected] == [None if p is None else round(p, 9) for p in found]


def test_prices_are_told_when_they_change_and_a_program_without_any_leaves_the_tariff(vtn: VtnDouble) -> None:
    feed: OpenAdrPriceFeed = price_feed_of(place(vtn), TARIFF)
    assert [StepFunction((), ())] == [fact.prices_per_kwh for fact in feed.poll(T0)]
    vtn.events = [event("PRICE", 0.40, each="P9999Y", start="0001-01-01T00:00:00")]
    assert [1, 0] == [len(feed.poll(after(minute))) for minute in (1, 2)]
    later = feed.poll(after(2 * 24 * 60))
    assert later[0].prices_per_kwh.end == after(5 * 24 * 60)


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        ({"units": "KWH", "currency": "USD"}, "a price in USD, and the site pays in EUR"),
        ({"units": "THERM"}, "a price per THERM"),
        ({}, "a price per nothing"),
    ],
)
def test_prices_of_another_kind_are_refused(vtn: VtnDouble, unit: dict[str, str], said: str) -> None:
    vtn.events = [event("PRICE", 0.4, payloadDescriptors=[{"payloadType": "PRICE", **unit}])]
    with pytest.raises(InputError, match=said):
        price_feed_of(place(vtn), TARIFF).poll(T0)


def test_a_price_per_megawatt_hour_is_one_per_kilowatt_hour(vtn: VtnDouble) -> None:
    said = [{"payloadType": "PRICE", "units": "MWH"}]
    vtn.events = [event("PRICE", 200.0, payloadDescriptors=said)]
    (news,) = price_feed_of(place(vtn), replace(TARIFF, tax_ratio=0.0)).poll(T0)
    assert 0.2 == news.prices_per_kwh.at(T0)


def test_nobody_there_is_a_fault() -> None:
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:1/oadr: .*refused"):
        Vtn(OpenAdrPlace(url="http://127.0.0.1:1/oadr", program="p1")).values(["PRICE"])

"""Meters and limits that are fetched over HTTP, from a web server on a real socket."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loadmgr.control.outside.outside import LimitChanged
from loadmgr.errors import InputError
from loadmgr.feeds.dead_man import DeadMan
from loadmgr.feeds.http_get import fetch_json
from loadmgr.feeds.json_limit import HttpLimitFeed, JsonLimits
from loadmgr.feeds.json_meter import HttpMeter, JsonMeter
from loadmgr.model.ids import CircuitId, MeterId
from loadmgr.site_file.sources import HttpPlace, JsonPlaces, MeterInput, Secret
from tests.control_world import World, small_site
from tests.loadmgr.feeds.http_double import WebDouble

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MAIN = CircuitId("main")
GUARDED = DeadMan(source="ems", circuit=MAIN, heartbeat_s=60.0, silent_limit_a=(10.0, 10.0, 10.0))
SHELLY = {
    "a_current": 5.1, "b_current": 3.0, "c_current": "1.5",
    "a_act_power": 1170.0, "b_act_power": -690.0, "c_act_power": 340.0,
    "a_voltage": 230.1, "b_voltage": 229.8, "c_voltage": 230.4,
}  # fmt: skip
PLACES = JsonPlaces(
    current=("/em/a_current", "/em/b_current", "/em/c_current"),
    power=("/em/a_act_power", "/em/b_act_power", "/em/c_act_power"),
    voltage=("/em/a_voltage", "/em/b_voltage", "/em/c_voltage"),
)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


@pytest.fixture
def web() -> Iterator[WebDouble]:
    with WebDouble().running() as double:
        yield double


def meter(web: WebDouble, **more: Any) -> HttpMeter:
    place = HttpPlace(url=f"{web.url}/rpc", **more)
    return HttpMeter(MeterInput(meter=MeterId("main"), every_s=1.0, http=place, places=PLACES))


def limits(web: WebDouble, dead_man: DeadMan = GUARDED, **more: Any) -> HttpLimitFeed:
    return HttpLimitFeed(JsonLimits(dead_man, **more), HttpPlace(url=f"{web.url}/limit"))


def told(news: list[LimitChanged]) -> list[tuple[str, object, object]]:
    return [(n.circuit, n.limit_a, n.limit_w) for n in news]


def test_a_meter_is_read_by_pointers_and_its_power_gives_the_sign(web: WebDouble) -> None:
    web.answers["/rpc"] = {"em": SHELLY}
    assert (5.1, -3.0, 1.5) == meter(web).poll(T0)[0].currents_a


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"em": {**SHELLY, "b_current": None}}, "/em/b_current of the document is no number: 'None'"),
        ({"em": {**SHELLY, "b_current": "NaN"}}, "/em/b_current of the document is no number"),
        ({"em": []}, "there is nothing at /em/a_current of the document"),
        ((200, b"<html>"), "answers no JSON"),
        ((200, b"[" * 100_000), "answers no JSON"),
        ((503, b"busy"), "/rpc answers 503"),
        ((302, b"http://127.0.0.1:1/"), "/rpc answers 302"),
    ],
)
def test_what_is_no_reading_is_a_fault_with_its_address(web: WebDouble, answer: Any, said: str) -> None:
    web.answers["/rpc"] = answer
    with pytest.raises(InputError, match=said) as raised:
        meter(web).poll(T0)
    assert str(raised.value).startswith(web.url)


def test_nobody_there_is_a_fault(web: WebDouble) -> None:
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:1/rpc: .*refused"):
        fetch_json(HttpPlace(url="http://127.0.0.1:1/rpc"))


def test_a_frozen_document_and_one_that_the_broker_kept_are_no_readings() -> None:
    frozen = JsonMeter(MeterInput(meter=MeterId("main"), every_s=1.0, places=PLACES, frozen_s=10.0))
    assert [] == frozen.take({"em": SHELLY}, T0, kept=True)
    assert 1 == len(frozen.take({"em": SHELLY}, T0))
    with pytest.raises(InputError, match="the same to the last digit"):
        frozen.take({"em": SHELLY}, after(11))


def test_secrets_are_shown_as_the_place_wants_them_and_stand_in_no_fault(
    web: WebDouble, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("METER_TOKEN", "hunter2")
    (tmp_path / "secret").write_text("hunter2\n")
    web.answers["/rpc"] = (401, b"")
    ways = {
        "Bearer hunter2": Secret(env="METER_TOKEN"),
        "hunter2": Secret(file=tmp_path / "secret", header="X-Api-Key"),
        "Basic bWU6aHVudGVyMg==": Secret(env="METER_TOKEN", user="me"),
        "/rpc?key=hunter2": Secret(env="METER_TOKEN", query="key"),
    }
    for shown, secret in ways.items():
        with pytest.raises(InputError, match="answers 401") as raised:
            meter(web, secret=secret).poll(T0)
        path, headers, _ = web.asked.pop()
        assert shown in (path, headers.get("Authorization"), headers.get("X-Api-Key"))
        assert "hunter2" not in str(raised.value)


def test_a_secret_that_is_not_there_is_named_by_its_place(web: WebDouble, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the environment has no NOT_THERE"):
        meter(web, secret=Secret(env="NOT_THERE")).poll(T0)
    with pytest.raises(InputError, match="gone: the secret cannot be read"):
        meter(web, secret=Secret(file=tmp_path / "gone")).poll(T0)
    assert [] == web.asked


def test_limits_are_told_when_they_change_and_within_half_of_the_heartbeat(web: WebDouble) -> None:
    web.answers["/limit"] = {"grid": {"limits": [{"limit_w": 4200}, {"circuit": "riser", "limit_a": 16}]}}
    feed = limits(web, at="/grid")
    assert [("main", None, None), ("main", None, 4200.0), ("riser", (16.0, 16.0, 16.0), None)] == told(feed.poll(T0))
    assert [] == feed.poll(after(29))
    assert 2 == len(feed.poll(after(30)))
    web.answers["/limit"] = {"grid": {"limit_a": 20}}
    assert [("main", (20.0, 20.0, 20.0), None), ("riser", None, None)] == told(feed.poll(after(31)))


@pytest.mark.parametrize(
    ("number_is", "value", "expected"),
    [
        ("limit_a", 20, ("main", (20.0, 20.0, 20.0), None)),
        ("limit_kw", "4.2", ("main", None, 4200.0)),
        ("limit_w", None, ("main", None, None)),
    ],
)
def test_one_number_may_be_a_limit(web: WebDouble, number_is: str, value: object, expected: object) -> None:
    web.answers["/limit"] = {"now": value}
    assert [expected] == told(limits(web, at="/now", number_is=number_is, remembered=True).poll(T0))


def test_a_number_of_hundreds_of_digits_is_none(web: WebDouble) -> None:
    web.answers["/limit"] = {"now": 10**400}
    with pytest.raises(InputError, match="/now of the document is no number"):
        limits(web, at="/now", number_is="limit_w", remembered=True).poll(T0)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"limit": 3}, "limit 1: field limit is not known"),
        ({"limit_a": -3}, "limit 1: field limit_a: must be a number of 0 or above"),
        ([3], "limit 1: must be an object"),
    ],
)
def test_what_is_no_limit_is_a_fault_and_no_word_of_life(web: WebDouble, answer: object, said: str) -> None:
    web.answers["/limit"] = answer
    with pytest.raises(InputError, match=said):
        limits(web, remembered=True).poll(T0)


def test_a_limit_that_the_broker_kept_never_lifts_what_silence_brought() -> None:
    feed = JsonLimits(GUARDED)
    assert [("main", (10.0, 10.0, 10.0), None)] == told(feed.take({"limit_a": 40}, T0, kept=True))
    assert [("main", (40.0, 40.0, 40.0), None)] == told(feed.take({"limit_a": 40}, after(1)))
    assert [] == feed.take({"limit_a": 40}, after(2), kept=True)


def test_a_site_is_held_by_a_fetched_limit_and_by_its_silence(web: WebDouble) -> None:
    world = World(small_site(evses=2, limit_a=100.0))
    world.connect()
    world.run(20)
    world.plug("E1")
    world.plug("E2")
    feed = limits(web, at="/limit_a", number_is="limit_a")

    def run(seconds: int) -> float:
        for _ in range(seconds):
            try:
                for fact in feed.poll(world.now):
                    world.tell(fact)
            except InputError:
                pass
            world.run(1)
        return max(world.draw_a(MAIN))

    web.answers["/limit"] = {"limit_a": 20}
    assert 10.0 < run(120) <= 20.0
    web.answers["/limit"] = (500, b"")
    assert run(60 + 45) <= 10.0
    web.answers["/limit"] = {"limit_a": None}
    assert run(600) > 40.0
    evidence = [(e.why, e.limit_a and e.limit_a[0]) for d in world.decisions for e in d.evidence if not e.obeyed_at]
    assert [("told", 20.0), ("silent", 10.0), ("told", None)] == [e for e in evidence if e != ("silent", None)][-3:]

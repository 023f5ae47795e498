"""Day-ahead prices, from a web server on a real socket that answers in the shapes of those who publish them."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from loadmgr.errors import InputError
from loadmgr.feeds.market import with_market
from loadmgr.feeds.price_feed import FIRST_PAUSE_S, SPREAD_S, PriceFeed, filled
from loadmgr.feeds.price_rows import prices_in
from loadmgr.model.rates import FixedRate, RatePeriod, TimeOfUseRate
from loadmgr.model.series import StepFunction, TimeGrid
from loadmgr.model.tariff import Surcharge, Tariff, prices
from loadmgr.site_file.price_preset import preset_names, shipped_preset
from loadmgr.site_file.sources import HttpPrices, PricePreset, Secret
from tests.loadmgr.feeds.http_double import WebDouble

BERLIN = ZoneInfo("Europe/Berlin")
FIXED = Tariff(time_zone="Europe/Berlin", energy=FixedRate(price_per_kwh=0.30))
TAXED = replace(FIXED, surcharges=(Surcharge(name="grid", rate=FixedRate(price_per_kwh=0.10)),), tax_ratio=0.19)
NOON = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)
SUMMER_BEGINS = datetime(2026, 3, 29, 8, 0, tzinfo=UTC)
SUMMER_ENDS = datetime(2026, 10, 25, 8, 0, tzinfo=UTC)


def local_days(now: datetime, days: int, *, zone: str = "Europe/Berlin", step_s: int = 3600) -> list[datetime]:
    """Return the starts of all steps of some local days, in UTC."""
    first = now.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    last = (first + timedelta(days=days)).replace(fold=0)
    at, out = first.astimezone(UTC), []
    while at < last.astimezone(UTC):
        out.append(at)
        at += timedelta(seconds=step_s)
    return out


def cents(index: int) -> float:
    return round(50.0 + 3.0 * (index % 24) - 60.0 * (index == 5), 2)


def energy_charts(starts: list[datetime]) -> Any:
    return {
        "license_info": "CC BY 4.0",
        "unix_seconds": [int(at.timestamp()) for at in starts],
        "price": [cents(i) for i in range(len(starts))],
        "unit": "EUR / MWh",
        "deprecated": False,
    }


def awattar(starts: list[datetime]) -> Any:
    rows = [
        {
            "start_timestamp": int(at.timestamp() * 1000),
            "end_timestamp": int(at.timestamp() * 1000) + 3_600_000,
            "marketprice": cents(i),
            "unit": "Eur/MWh",
        }
        for i, at in enumerate(starts)
    ]
    return {"object": "list", "data": rows, "url": "/at/v1/marketdata"}


def tibber(starts: list[datetime]) -> Any:
    rows = [
        {"total": cents(i) / 1000.0, "startsAt": at.astimezone(BERLIN).isoformat(timespec="milliseconds")}
        for i, at in enumerate(starts)
    ]
    days = {"today": rows[: len(rows) // 2], "tomorrow": rows[len(rows) // 2 :]}
    return {"data": {"viewer": {"homes": [{"currentSubscription": {"priceInfo": days}}]}}}


def octopus(starts: list[datetime]) -> Any:
    rows = [
        {
            "value_exc_vat": 0.0,
            "value_inc_vat": cents(i) / 10.0,
            "valid_from": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "valid_to": f"{at + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
            "payment_method": None,
        }
        for i, at in enumerate(starts)
    ]
    return {"count": len(rows), "next": None, "previous": None, "results": rows[::-1]}


def spot_hinta(starts: list[datetime]) -> Any:
    return [
        {"Rank": 1, "DateTime": at.astimezone(BERLIN).isoformat(), "PriceNoTax": cents(i) / 1000.0, "PriceWithTax": 9.0}
        for i, at in enumerate(starts)
    ]


SHAPES = {
    "energy_charts": energy_charts,
    "awattar_de": awattar,
    "awattar_at": awattar,
    "tibber": tibber,
    "octopus_agile": octopus,
    "spot_hinta": spot_hinta,
}


def test_every_preset_has_a_shape_here() -> None:
    assert set(preset_names()) == set(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(("now", "hours"), [(NOON, 48), (SUMMER_BEGINS, 47), (SUMMER_ENDS, 49)])
def test_every_preset_is_read_to_the_last_hour_also_on_days_of_other_lengths(
    name: str, now: datetime, hours: int
) -> None:
    starts = local_days(now, 2)
    found = prices_in(SHAPES[name](starts), shipped_preset(name))

    assert hours == len(starts) == len(found.times)
    assert (starts[0], starts[-1] + timedelta(hours=1)) == (found.times[0], found.end)
    assert [round(cents(i) / 1000.0, 9) for i in range(hours)] == list(found.values)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda said: said["data"].pop(7), "there is a gap in the prices: one ends at 2026-03-02 06:00 UTC, the next"),
        (lambda said: said["data"].append({**said["data"][3], "marketprice": 1.0}), "two prices from 2026-03-02 02:00"),
        (lambda said: said["data"][3].update(end_timestamp=said["data"][5]["start_timestamp"]), "there is an overlap"),
        (lambda said: said["data"][3].update(marketprice=None), "/marketprice of the document is no number"),
        (lambda said: said["data"][3].update(marketprice=1e9), "a price of 1e\\+06 per kWh cannot be"),
        (lambda said: said["data"][3].update(start_timestamp="2026-03-02T03:00:00"), "has no zone: twice a year"),
        (lambda said: said["data"][3].update(start_timestamp="soon"), "'soon' is no time"),
        (lambda said: said["data"][3].update(start_timestamp=True), "'True' is no time"),
        (lambda said: said["data"].clear(), "there is no price in the document"),
        (lambda said: said.pop("data"), "there is nothing at /data of the document"),
        (lambda said: said.update(data={}), "/data of the document is not a list"),
    ],
)
def test_prices_that_cannot_be_planned_with_are_refused_as_a_whole(spoil: Any, said: str) -> None:
    document = awattar(local_days(NOON, 2))
    spoil(document)
    with pytest.raises(InputError, match=said):
        prices_in(document, shipped_preset("awattar_de"))


def test_a_hole_in_quarters_of_an_hour_is_a_gap_and_no_longer_price() -> None:
    said = energy_charts(local_days(NOON, 1, step_s=900))
    for column in ("unix_seconds", "price"):
        del said[column][10:13]
    with pytest.raises(InputError, match="there is a gap"):
        prices_in(said, shipped_preset("energy_charts"))


def test_addresses_ask_for_today_and_tomorrow_on_the_preset_s_clock() -> None:
    late = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
    assert "bzn=DK1&start=2026-03-29&end=2026-03-30" in filled(shipped_preset("energy_charts"), "DK1", late)
    asked = filled(shipped_preset("awattar_de"), None, late)
    hours = (int(asked.rpartition("=")[2]) - int(asked.partition("start=")[2].partition("&")[0])) / 3_600_000
    assert 47.0 == hours
    assert "bzn=a%2Fb%3Fc" in filled(shipped_preset("energy_charts"), "a/b?c", late)


@pytest.fixture
def web() -> Iterator[WebDouble]:
    with WebDouble().running() as double:
        yield double


def local(web: WebDouble, **more: Any) -> HttpPrices:
    preset: PricePreset = replace(
        shipped_preset("energy_charts"), url=f"{web.url}/price?bzn={{zone}}&start={{first_day}}"
    )
    return HttpPrices(preset=preset, **more)


def polls(feed: PriceFeed, now: datetime) -> list[StepFunction] | str:
    try:
        return [fact.prices_per_kwh for fact in feed.poll(now)]
    except InputError as error:
        return str(error)


def test_prices_come_with_surcharges_and_tax_on_top(web: WebDouble) -> None:
    web.answers["/price"] = energy_charts(local_days(NOON, 1))
    (told,) = PriceFeed(local(web), TAXED).poll(NOON)

    assert round((cents(12) / 1000.0 + 0.10) * 1.19, 9) == round(told.prices_per_kwh.at(NOON) or 0.0, 9)
    assert datetime(2026, 3, 2, 23, 0, tzinfo=UTC) == told.prices_per_kwh.end


def test_a_surcharge_that_changes_within_a_price_of_the_market_is_told_where_it_does(web: WebDouble) -> None:
    from loadmgr.model.calendar import ClockWindow

    evening = RatePeriod(name="evening", price_per_kwh=0.20, windows=(ClockWindow(start_s=63_000, end_s=79_200),))
    grid = Surcharge(name="grid", rate=TimeOfUseRate(periods=(evening,), otherwise_per_kwh=0.05))
    web.answers["/price"] = energy_charts(local_days(NOON, 1))
    (told,) = PriceFeed(local(web), replace(FIXED, surcharges=(grid,))).poll(NOON)
    half_past_five = datetime(2026, 3, 2, 16, 30, tzinfo=UTC)

    before, after = (told.prices_per_kwh.at(half_past_five + timedelta(minutes=m)) or 0.0 for m in (-1, 1))
    assert 0.15 == round(after - before, 9)


def test_tomorrow_is_asked_for_when_it_is_published_and_until_it_is_there(web: WebDouble) -> None:
    web.answers["/price"] = energy_charts(local_days(NOON, 1))
    feed = PriceFeed(local(web), FIXED, site="Shed")
    assert 1 == len(polls(feed, NOON))
    published = datetime(2026, 3, 2, 12, 15, tzinfo=UTC)
    polls(feed, published - timedelta(seconds=1))
    assert 1 == len(web.asked)

    late = published + timedelta(seconds=SPREAD_S)
    assert [] == polls(feed, late)
    assert [] == polls(feed, late + timedelta(seconds=899))
    assert 2 == len(web.asked)
    web.answers["/price"] = energy_charts(local_days(NOON, 2))
    (told,) = polls(feed, late + timedelta(seconds=900))
    assert isinstance(told, StepFunction)
    assert datetime(2026, 3, 3, 23, 0, tzinfo=UTC) == told.end
    polls(feed, published + timedelta(hours=20))
    assert 3 == len(web.asked)


def test_who_fails_is_asked_less_and_less_and_it_is_told_when_little_is_known(web: WebDouble) -> None:
    web.answers["/price"] = energy_charts(local_days(NOON, 1))
    feed = PriceFeed(local(web), FIXED)
    polls(feed, NOON)
    web.answers["/price"] = (503, b"")
    now, asked, told = NOON + timedelta(hours=2), [], []
    while now < NOON + timedelta(hours=14):
        before = len(web.asked)
        said = polls(feed, now)
        if len(web.asked) > before:
            asked.append(now)
        if isinstance(said, str):
            told.append((now, said))
        now += timedelta(seconds=30)
    pauses = [(b - a).total_seconds() for a, b in itertools.pairwise(asked)]

    assert pauses == sorted(pauses)
    assert (FIRST_PAUSE_S, 3600.0) == (pauses[0], pauses[-1])
    assert told[0][0] > NOON + timedelta(hours=6) - timedelta(minutes=1)
    assert "503" in told[0][1]
    assert told[0][1].endswith("known until 2026-03-02 23:00 UTC, then the tariff's own price holds")
    assert 1 == len({text for _, text in told})


def test_nothing_at_all_is_told_at_once(web: WebDouble) -> None:
    web.answers["/price"] = (500, b"")
    feed = PriceFeed(local(web), FIXED)
    said = polls(feed, NOON)
    assert isinstance(said, str)
    assert said.endswith("the tariff's own price holds")
    web.answers["/price"] = energy_charts(local_days(NOON, 2))
    assert 1 == len(polls(feed, NOON + timedelta(seconds=FIRST_PAUSE_S)))


def test_prices_of_another_day_are_none(web: WebDouble) -> None:
    web.answers["/price"] = energy_charts(local_days(NOON - timedelta(days=3), 2))
    assert "none of the prices holds now" in polls(PriceFeed(local(web), FIXED), NOON)


def test_what_is_on_disk_is_told_after_a_restart_without_asking(web: WebDouble, tmp_path: Path) -> None:
    cache = tmp_path / "prices.json"
    web.answers["/price"] = energy_charts(local_days(NOON, 1))
    (first,) = PriceFeed(local(web), FIXED, cache=cache).poll(NOON)
    (again,) = PriceFeed(local(web), FIXED, cache=cache).poll(NOON + timedelta(minutes=5))
    assert first.prices_per_kwh == again.prices_per_kwh
    assert 1 == len(web.asked)

    PriceFeed(local(web, zone="AT"), FIXED, cache=cache).poll(NOON)
    assert 2 == len(web.asked)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"preset": "energy_charts", "zone": null, "rows": [["x", 1]]}'])
def test_a_broken_file_on_disk_is_asked_anew(web: WebDouble, tmp_path: Path, text: str) -> None:
    cache = tmp_path / "prices.json"
    cache.write_text(text)
    web.answers["/price"] = energy_charts(local_days(NOON, 1))
    assert 1 == len(polls(PriceFeed(local(web), FIXED, cache=cache), NOON))
    assert "energy_charts" == json.loads(cache.read_text())["preset"]


def test_a_disk_that_takes_nothing_costs_no_prices(web: WebDouble, tmp_path: Path) -> None:
    web.answers["/price"] = energy_charts(local_days(NOON, 1))
    assert 1 == len(polls(PriceFeed(local(web), FIXED, cache=tmp_path / "no" / "such" / "folder"), NOON))


def test_prices_of_the_days_before_are_kept_for_what_sessions_cost(web: WebDouble) -> None:
    web.answers["/price"] = energy_charts(local_days(NOON, 1))
    feed = PriceFeed(local(web), FIXED)
    polls(feed, NOON)
    later = NOON + timedelta(days=1)
    web.answers["/price"] = energy_charts(local_days(later, 1))
    (told,) = polls(feed, later)
    assert isinstance(told, StepFunction)
    assert local_days(NOON, 1)[0] == told.times[0]


def test_a_login_is_shown_and_a_body_is_posted(web: WebDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIBBER_TOKEN", "hunter2")
    web.answers["/gql"] = tibber(local_days(NOON, 2))
    preset = replace(shipped_preset("tibber"), url=f"{web.url}/gql")
    PriceFeed(HttpPrices(preset=preset, secret=Secret(env="TIBBER_TOKEN")), FIXED).poll(NOON)
    _, headers, body = web.asked[0]
    assert "Bearer hunter2" == headers["Authorization"]
    assert "QUARTER_HOURLY" in json.loads(body)["query"]


def test_a_tariff_has_the_market_s_prices_where_they_are_known_and_its_own_else() -> None:
    market = prices_in(energy_charts(local_days(NOON, 1)), shipped_preset("energy_charts"))
    start = datetime(2026, 3, 2, 20, 30, tzinfo=UTC)
    grid = TimeGrid.uniform(start, step_s=1800, steps=8)
    mixed = with_market(TAXED, market, start=grid.start, end=grid.end)

    own = round((0.30 + 0.10) * 1.19, 9)
    told = [round((cents(i) / 1000.0 + 0.10) * 1.19, 9) for i in (21, 22, 22, 23, 23)]
    assert [*told, own, own, own] == [round(p, 9) for p in prices(mixed, grid)]

"""Prices of a market in what people see: the table, a plan, a running site and its page."""

import asyncio
import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loadmgr.apps.cli import app
from loadmgr.apps.page.page_feed import PageFeed
from loadmgr.apps.process.outside import Feeds
from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.service.plan_json import _prices
from loadmgr.control.observation import PriceUpdated
from loadmgr.errors import InputError
from loadmgr.model.series import TimeGrid
from loadmgr.site_file import SiteFile, load_site
from ocpp_link.transport import SystemClock
from tests.loadmgr.feeds.http_double import WebDouble

SITE = """\
schema: loadmgr/v1
site: {name: Shed, timezone: Europe/Berlin}
circuits: [{id: main, fuse: 35A, evses: [A]}]
evses: [{id: A, max: 16A}]
"""
PRESET = """\
name: Ours
source: this test
url: URL/prices
rows: [/data]
start: /at
price: /eur
unit: EUR/kWh
published: "00:00"
clock: UTC
"""
DEAR, CHEAP = 0.90, 0.05


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebDouble]:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = [
        {"at": (midnight + timedelta(hours=h)).isoformat(), "eur": CHEAP if h % 24 in (3, 4, 5) else DEAR}
        for h in range(48)
    ]
    with WebDouble().running() as double:
        double.answers["/prices"] = {"data": rows}
        (tmp_path / "ours.yaml").write_text(PRESET.replace("URL", double.url))
        yield double


def shed(folder: Path, *, priced: bool = True) -> SiteFile:
    path = folder / "shed.yaml"
    market = ", prices: {http: {preset: ours.yaml}}" if priced else ""
    path.write_text(f"{SITE}tariff: {{energy: {{price: 0.30/kWh}}{market}}}\n")
    return load_site(path)


def said(*words: str) -> str:
    done = CliRunner(env={"COLUMNS": "300"}).invoke(app, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_prices_are_shown_by_the_hour_and_told_in_full_as_json(web: WebDouble, tmp_path: Path) -> None:
    path = str(shed(tmp_path).path)
    shown = said("prices", path, "--hours", "60")
    told = json.loads(said("prices", path, "--hours", "60", "--json"))

    assert shown.startswith("Shed: Ours; known until ")
    assert " 0.0500    0.0500" in shown
    assert "         -    0.3000" in shown
    assert (None, 240, 0.3) == (told["trouble"], len(told["prices"]), told["prices"][-1]["price_per_kwh"])
    assert {DEAR, CHEAP, None} == {row["market_per_kwh"] for row in told["prices"]}
    assert 1 == len(web.asked)


def test_where_nobody_answers_the_tariff_s_own_price_is_shown_and_why(web: WebDouble, tmp_path: Path) -> None:
    web.answers.clear()
    shown = said("prices", str(shed(tmp_path).path), "--hours", "3")
    assert "none known; the tariff's own prices hold" in shown
    assert "prices ours: " in shown
    assert "answers 404" in shown


def test_presets_are_listed_and_a_site_is_asked_for() -> None:
    assert "energy_charts" in said("prices", "--presets")
    with pytest.raises(InputError, match="name a site file"):
        said("prices")


def test_a_plan_of_these_days_goes_by_the_market(web: WebDouble, tmp_path: Path) -> None:
    site_file = shed(tmp_path)
    tonight = datetime.now(UTC).replace(hour=23, minute=0, second=0, microsecond=0)
    with (tmp_path / "sessions.csv").open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["session_id", "evse", "arrival", "departure", "energy_requested_wh", "energy_delivered_wh"])
        rows.writerow(["s", "A", tonight.isoformat(), (tonight + timedelta(hours=9)).isoformat(), 15_000, 15_000])
    plan = json.loads(said("plan", str(site_file.path), "--sessions", str(tmp_path / "sessions.csv"), "--json"))

    (evse,) = plan["evses"]
    charged = [t for t, amps in zip(plan["times"], evse["current_a"], strict=True) if amps > 0.0]
    assert charged
    assert {3, 4, 5} >= {datetime.fromisoformat(at).astimezone(UTC).hour for at in charged}


async def told_to(site_files: list[SiteFile]) -> tuple[SiteProcess, list[PriceUpdated], list[float]]:
    """Follow site files with a process beside; return what it was told, and what its page shows in the end."""
    clock = SystemClock()
    process = SiteProcess(site_files[0], clock=clock)
    came = asyncio.Event()
    facts: list[PriceUpdated] = []

    def observe(fact: object, source: str) -> None:
        assert isinstance(fact, PriceUpdated)
        facts.append(fact)
        process.controller.observe(fact)
        came.set()

    feeds = Feeds(clock=clock, observe=observe)
    for site_file in site_files:
        feeds.follow(site_file, remembered=[])
        async with asyncio.timeout(20.0):
            await came.wait()
        came.clear()
    feeds.close()
    page = PageFeed(lambda: process, now=clock.now)
    return process, facts, [price for _, price in page._price_band(clock.now())]


def test_a_running_site_plans_and_its_page_shows_what_the_market_says(web: WebDouble, tmp_path: Path) -> None:
    process, _, band = asyncio.run(told_to([shed(tmp_path)]))
    grid = TimeGrid.uniform(datetime.now(UTC).replace(minute=0, second=0, microsecond=0), step_s=3600, steps=24)

    assert {CHEAP, DEAR} == set(band)
    assert {CHEAP, DEAR} == {round(p, 9) for p in _prices(process, grid)}


def test_prices_that_a_changed_site_file_no_longer_names_do_not_hold_any_more(web: WebDouble, tmp_path: Path) -> None:
    site_files = [shed(tmp_path), shed(tmp_path, priced=False)]
    _, facts, band = asyncio.run(told_to(site_files))

    assert () == facts[-1].prices_per_kwh.times
    assert {0.3} == set(band)

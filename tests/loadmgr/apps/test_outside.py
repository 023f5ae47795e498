"""What a site file names outside, at work: meters on real sockets, limits, a reload, and what is missing."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loadmgr.apps.cli import app
from loadmgr.apps.process.outside import Feeds, require_broker
from loadmgr.apps.rules_text import rules_in_words, secrets_not_here
from loadmgr.control.observation import LimitChanged, SiteMeterReading, SourceTrouble
from loadmgr.errors import InputError
from loadmgr.feeds.polling import Fact
from loadmgr.site_file import SiteFile, load_site
from loadmgr.site_file.register_map import shipped_map
from ocpp_link.transport import SystemClock
from tests.loadmgr.feeds.http_double import WebDouble
from tests.loadmgr.feeds.modbus_meter_double import UNIT, MeterDouble

SITE = """\
schema: loadmgr/v1
site: {name: Shed, timezone: Europe/Berlin}
evses: [{id: A, max: 16A}, {id: B, max: 16A}]
tariff: {energy: {price: 0.30/kWh}}
"""


def site_of(folder: Path, *, meter: str = "", limits: str = "") -> SiteFile:
    path = folder / "shed.yaml"
    held = f", meter: {meter}" if meter else ""
    more = f"external_limits: {limits}\n" if limits else ""
    path.write_text(f"{SITE}circuits: [{{id: main, fuse: 35A, evses: [A, B]{held}}}]\n{more}")
    return load_site(path)


def modbus(double: MeterDouble, *, interval: str = "1s") -> str:
    where = f"host: 127.0.0.1, port: {double.port}, unit: {UNIT}, map: eastron_sdm630"
    return f"{{id: m, interval: {interval}, modbus: {{{where}}}}}"


def heard(files: list[SiteFile], enough: Callable[[list[tuple[Fact, str]]], bool]) -> list[tuple[Fact, str]]:
    """Follow one site file after another, each until enough was heard; return what was."""
    seen: list[tuple[Fact, str]] = []

    async def run() -> None:
        came = asyncio.Event()

        def observe(fact: Fact, source: str) -> None:
            seen.append((fact, source))
            came.set()

        feeds = Feeds(clock=SystemClock(), observe=observe)
        for site_file in files:
            seen.clear()
            feeds.follow(site_file, remembered=[("main", "ems")])
            async with asyncio.timeout(20.0):
                while not enough(seen):
                    came.clear()
                    await came.wait()
        feeds.close()

    asyncio.run(run())
    return seen


def test_a_meter_of_the_site_file_is_read_and_its_loss_is_told(tmp_path: Path) -> None:
    double = MeterDouble(shipped_map("eastron_sdm630"))
    double.tell([8.0, 4.0, 2.0], [1840.0, -920.0, 460.0], [230.0, 231.0, 229.0])
    site_file = site_of(tmp_path, meter=modbus(double, interval="1s"))
    with double.running():
        seen = heard([site_file], lambda facts: len(facts) >= 1)
    ((reading, source),) = seen
    assert isinstance(reading, SiteMeterReading)
    assert ("meter m", (8.0, -4.0, 2.0)) == (source, reading.currents_a)

    ((trouble, _),) = heard([site_file], lambda facts: len(facts) >= 1)
    assert isinstance(trouble, SourceTrouble)
    assert trouble.cause is not None
    assert "meter m cannot be used: 127.0.0.1" in trouble.cause


def test_a_source_that_a_changed_site_file_no_longer_names_is_taken_away(tmp_path: Path) -> None:
    with WebDouble().running() as web:
        web.answers["/limit"] = {"limit_a": 20}
        before = site_of(tmp_path, limits=f"[{{id: ems, http: {{url: '{web.url}/limit'}}}}]")
        seen = heard([before, site_of(tmp_path)], lambda facts: len(facts) >= 1)
    ((fact, source),) = seen
    assert isinstance(fact, LimitChanged)
    assert ("ems", None, None) == (source, fact.limit_a, fact.limit_w)


@pytest.mark.parametrize(
    ("extra", "module", "site"),
    [
        ("modbus", "pymodbus", {"meter": "{id: m, modbus: {host: h, map: janitza_umg}}"}),
        ("openadr", "openadr3", {"limits": "[{id: dso, openadr: {url: 'http://h', program: p}}]"}),
    ],
)
def test_a_package_that_is_not_installed_is_named_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: str, module: str, site: dict[str, str]
) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == module or n.startswith("loadmgr.feeds.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=rf"needs {module}: pip install 'loadmgr\[{extra}\]'"):
        heard([site_of(tmp_path, **site)], lambda facts: True)


def test_topics_need_a_broker(tmp_path: Path) -> None:
    site_file = site_of(
        tmp_path,
        meter="{id: m, mqtt: {topic: a/b, current: {L1: /a}}}",
        limits="[{id: ems, mqtt: {topic: c/d}}]",
    )
    with pytest.raises(InputError, match="external limit ems and meter m listen to MQTT, but there is no broker"):
        require_broker(site_file, None)
    require_broker(site_file, "mqtt://127.0.0.1")


def test_check_says_how_meters_are_read(tmp_path: Path) -> None:
    meter = "{id: m, interval: 5s, modbus: {host: 10.0.0.5, map: eastron_sdm630}}"
    (line,) = rules_in_words(site_of(tmp_path, meter=meter))
    assert line.startswith("meter m: read from 10.0.0.5:502 unit 1 as Eastron SDM630")
    assert line.endswith("never tried on the device: compare `loadmgr meter read`) every 5 s")


@pytest.mark.parametrize(
    ("cap", "warned"), [("current: 13A", False), ("current: 11A", True), ("power: 9kW", False), ("power: 8kW", True)]
)
def test_check_says_where_fallbacks_are_above_a_limit_from_outside(tmp_path: Path, cap: str, warned: bool) -> None:
    limits = f"[{{id: dso, file: limits.json, heartbeat: 60s, when_silent: {{{cap}}}}}]"
    (line,) = rules_in_words(site_of(tmp_path, limits=limits))
    assert warned is line.endswith("; nobody obeys it with the controller dead: fallbacks come to 12 A, 8.28 kW")
    (line,) = rules_in_words(
        site_of(tmp_path, limits=limits.replace("file: limits.json", "relay: {value_file: p, limit: {current: 6A}}"))
    )
    assert line.endswith("12 A, 8.28 kW")


def test_check_names_prices_and_secrets_that_are_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = site_of(
        tmp_path,
        meter="{id: m, http: {url: 'http://h', power: {L1: /a}, secret: {env: METER_TOKEN}}}",
        limits="[{id: a, http: {url: 'http://h', secret: {file: a.secret}}}]",
    ).path
    path.write_text(
        path.read_text().replace("0.30/kWh}", "0.30/kWh}, prices: {http: {preset: tibber, secret: {env: TIBBER}}}")
    )
    monkeypatch.setenv("TIBBER", "hunter2")
    site_file = load_site(path)
    assert any(line.startswith("prices: Tibber, what the first home") for line in rules_in_words(site_file))
    assert [
        "not here: the environment has no METER_TOKEN, which the site file names for a secret",
        f"not here: {tmp_path}/a.secret: the secret cannot be read",
    ] == [line.partition(": [Errno")[0] for line in secrets_not_here(site_file)]


def said(*words: str) -> str:
    done = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["meter", *words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_a_meter_is_shown_phase_by_phase_with_what_looks_wrong(tmp_path: Path) -> None:
    with MeterDouble(shipped_map("eastron_sdm630")).running() as double:
        double.tell([8.0, 4.0, 2.0], [1840.0, -920.0, 100.0], [230.0, 231.0, 229.0])
        shown = said("read", str(site_of(tmp_path, meter=modbus(double)).path))
        alone = said(
            "read", "--host", "127.0.0.1", "--port", str(double.port), "--unit", str(UNIT), "--map", "eastron_sdm630"
        )
    assert "L1         8.0 A    1840.0 W     230.0 V   8.0 A drawn on L1" in shown
    assert "L2         4.0 A    -920.0 W     231.0 V   4.0 A fed in on L2" in shown
    assert "doubtful: L3 has 100 W of 458 VA" in shown
    assert "a current transformer is turned" in shown
    assert shown.splitlines()[1:] == alone.splitlines()[1:]


def test_maps_are_listed_and_printed_to_start_ones_own_from() -> None:
    assert "janitza_umg" in said("maps")
    assert "current: {at: {L1: 19012" in said("maps", "janitza_umg")


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["read"], "name a site file, or a meter"),
        (["read", "--host", "h"], "--host needs --map"),
        (["read", "garage"], "no meter says how it is read"),
        (["maps", "nonsense"], "nonsense is no register map"),
    ],
)
def test_what_cannot_be_read_is_said(words: list[str], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        said(*words)

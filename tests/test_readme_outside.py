"""What the README says of meters, limits and prices, followed word by word."""

import asyncio
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import jsonschema_rs
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from loadmgr.apps.cli import app
from loadmgr.apps.service.app import create_app
from loadmgr.apps.service.hosted import HostedSite
from loadmgr.apps.service.tokens import Role
from loadmgr.control.observation import LimitChanged, SiteMeterReading
from loadmgr.site_file import json_schema, load_site
from loadmgr.site_file.register_map import shipped_map
from ocpp_link.transport import SystemClock
from tests.loadmgr.apps.service.asking import a_service, token
from tests.loadmgr.feeds.modbus_meter_double import MeterDouble

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## Meters, limits and prices from outside\n")[2].partition("\n## ")[0]
SNIPPETS = re.findall(r"```yaml\n(.*?)```", SECTION, flags=re.DOTALL)
COMMANDS = [
    line.removeprefix("$ ").partition("  #")[0].strip()
    for block in re.findall(r"```console\n(.*?)```", SECTION, flags=re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]
FRAME = {
    "schema": "loadmgr/v1",
    "site": {"name": "Shed", "timezone": "Europe/Berlin"},
    "evses": [{"id": f"A{n}"} for n in range(1, 5)],
    "circuits": [{"id": "main", "fuse": "63A", "evses": ["A1..A4"]}],
    "tariff": {"energy": {"price": "0.30/kWh"}},
}


def site_of(folder: Path, snippet: str) -> Path:
    """Return a site file that has what a snippet says, and what every site has besides."""
    path = folder / "my-site.yaml"
    with path.open("w") as out:
        YAML().dump(FRAME | YAML(typ="safe").load(snippet), out)
    return path


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_every_snippet_is_part_of_a_site_file(tmp_path: Path, snippet: str) -> None:
    checked = CliRunner().invoke(app, ["check", str(site_of(tmp_path, snippet))])
    assert 0 == checked.exit_code, checked.output
    site_file = load_site(tmp_path / "my-site.yaml")
    assert site_file.meter_inputs or site_file.external_limits or site_file.prices


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_editors_take_every_snippet_by_the_schema(snippet: str) -> None:
    jsonschema_rs.validator_for(json_schema()).validate(FRAME | YAML(typ="safe").load(snippet))


@contextmanager
def a_meter() -> Iterator[MeterDouble]:
    double = MeterDouble(shipped_map("eastron_sdm630"), unit=1)
    double.tell([8.0, 4.0, 2.0], [1840.0, 920.0, 450.0], [230.0, 231.0, 229.0])
    with double.running():
        yield double


def test_the_meter_s_recipe_is_followed_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    with a_meter() as double:
        for command in [c for c in COMMANDS if c.startswith("loadmgr meter")]:
            words = shlex.split(command.replace("192.168.1.50", f"127.0.0.1 --port {double.port}"))
            into = words.pop() if words[-2] == ">" else None
            done = CliRunner().invoke(app, [word for word in words[1:] if word != ">"])
            assert 0 == done.exit_code, (command, done.output)
            said.append(done.output)
            if into is not None:
                Path(into).write_text(done.output)
                where = f"{{host: 127.0.0.1, port: {double.port}, map: {into}}}"
                site_of(tmp_path, SNIPPETS[0].replace("{host: 192.168.1.50, map: eastron_sdm630}", where))
    assert 4 == len(said)
    assert said[1].splitlines()[1:] == said[3].splitlines()[1:]


def test_the_prices_recipe_lists_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.setattr("loadmgr.feeds.price_feed.fetch_json", quarter_hours)
    site_of(tmp_path, SNIPPETS[0])
    listed, shown = (
        CliRunner().invoke(app, shlex.split(c)[1:]).output for c in COMMANDS if c.startswith("loadmgr prices")
    )
    assert all(name in listed for name in ("energy_charts", "awattar_de", "tibber", "octopus_agile", "spot_hinta"))
    assert shown.startswith("Shed: Energy-Charts, day-ahead prices of European bidding zones, DE-LU; known until ")
    assert f"{0.08:10.4f}{(0.08 + 0.13) * 1.19:10.4f}" in shown


def quarter_hours(*_: object, **__: object) -> Any:
    first = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    starts = [int((first + timedelta(minutes=15 * i)).timestamp()) for i in range(4 * 96)]
    return {"unix_seconds": starts, "price": [80.0] * len(starts)}


async def told_by(method: str, folder: Path) -> tuple[int, list[Any]]:
    """Do to a site of the README's name what its curl does; return the status, and what the controller was told."""
    (words,) = (shlex.split(c) for c in COMMANDS if c.startswith(f"curl -X {method}"))
    path = re.sub(r"^http://127\.0\.0\.1:8080", "", words[3])
    service = a_service()
    told: list[Any] = []
    hosted = HostedSite("my-site", load_site(site_of(folder, SNIPPETS[0])), clock=SystemClock())
    hosted.start()
    hosted.process.observe = lambda fact, **_: told.append(fact)  # type: ignore[method-assign, assignment, arg-type]
    service.hosted["my-site"] = hosted
    transport = httpx2.ASGITransport(app=create_app(service))
    headers = token(service, Role.OPERATE) | {"Content-Type": "application/json"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://t", headers=headers) as client:
        answer = await client.request(method, path, content=words[words.index("-d") + 1])
    await hosted.stop()
    service.close()
    return answer.status_code, told


def test_a_limit_and_a_reading_are_told_as_the_commands_say(tmp_path: Path) -> None:
    status, told = asyncio.run(told_by("PUT", tmp_path))
    limit = next(fact for fact in told if isinstance(fact, LimitChanged))
    assert (200, 20_000.0, 60.0, (10.0, 10.0, 10.0)) == (status, limit.limit_w, limit.heartbeat_s, limit.silent_limit_a)

    status, told = asyncio.run(told_by("POST", tmp_path))
    reading = next(fact for fact in told if isinstance(fact, SiteMeterReading))
    assert (200, "grid", (12.1, 8.0, 9.5)) == (status, reading.meter, reading.currents_a)


def test_all_commands_of_the_section_are_tried_here() -> None:
    tried = ("loadmgr meter", "loadmgr prices", "curl -X P", "pip install")
    assert [] == [command for command in COMMANDS if not command.startswith(tried)]

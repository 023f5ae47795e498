"""The archive for those who help: what is in it, and what never is."""

import asyncio
import json
import shutil
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loadmgr.apps.bundle import without_drivers
from loadmgr.apps.cli import app
from loadmgr.apps.masking import masked
from loadmgr.apps.process.pseudonyms import Pseudonyms
from loadmgr.apps.process.site import SiteProcess
from loadmgr.control.observation import SourceTrouble
from loadmgr.site_file import find_site, load_site
from loadmgr.store.open import open_store
from ocpp_link.transport import SystemClock


@pytest.fixture
def site(tmp_path: Path) -> Path:
    garage = Path(find_site("garage"))
    shutil.copytree(garage.parent / "data", tmp_path / "data")
    (tmp_path / "site.yaml").write_text(garage.read_text() + "\n# password: hunter2\n")
    return tmp_path / "site.yaml"


def test_a_bundle_holds_what_there_is_and_names_what_there_is_not(site: Path, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "j.db"), site=load_site(site).site.name, state_folder=tmp_path)
    SiteProcess(load_site(site), clock=SystemClock(), store=store)
    store.close()

    said = CliRunner().invoke(
        app, ["bundle", str(site), str(tmp_path / "help.zip"), "--journal", str(tmp_path / "j.db")]
    )

    assert 0 == said.exit_code, said.output
    with zipfile.ZipFile(tmp_path / "help.zip") as archive:
        assert {"versions.txt", "site.yaml", "check.json", "journal.jsonl", "missing.txt"} <= set(archive.namelist())
        assert "status.json" in archive.read("missing.txt").decode()
        assert "loadmgr " in archive.read("versions.txt").decode()
        first = json.loads(archive.read("journal.jsonl").splitlines()[0])
        assert {"number", "at", "kind", "body"} == set(first)


def test_an_archive_that_exists_is_not_replaced(site: Path, tmp_path: Path) -> None:
    (tmp_path / "help.zip").write_text("mine")
    said = CliRunner().invoke(app, ["bundle", str(site), str(tmp_path / "help.zip")])

    assert 0 != said.exit_code
    assert "mine" == (tmp_path / "help.zip").read_text()


@pytest.mark.parametrize(
    "text",
    [
        "password: hunter2",
        "password: hunter2, and more hunter2",
        "  api_token = hunter2",
        "- secret_key: hunter2",
        "# old password: hunter2",
        "MQTT_PASSWORD: hunter2",
        'password: "hunter2, hunter2"',
        "password: 'it''s hunter2'",
        'password: "hun\\"hunter2"',
        'token: "line\n  hunter2"',
        "password: |\n  hunter2\n  hunter2\nnext: 1",
        "- token: >-\n    hunter2\n",
        "mqtt: {user: me, password: hunter2, topic: a}",
        "tokens: [hunter2, hunter2]",
        '{"a": 1, "password": "hunter2"}',
        '"AuthorizationKey": "hunter2"',
        "secret: hunter2",
        "secret: {env: hunter2}",
        'secret: {"env": "hunter2-hunter2"}',
        "secret:\n  env: hunter2\n",
        "place: postgresql://me:hunter2@db/x",
        "broker: mqtts://me:hunter2@hub:8883",
        "url: https://hunter2@prices.example/v1",
        "url: https://:hunter2@prices.example/v1",
        "url: https://prices.example/v1?zone=AT&securityToken=hunter2",
        "Authorization: Bearer hunter2hunter2",
        "401 for Bearer hunter2hunter2 at http://h",
    ],
)
def test_secrets_are_masked_however_they_are_written(text: str) -> None:
    assert "hunter2" not in masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "secret: {env: METER_TOKEN, query: key}",
        "secret:\n  file: meter.secret\n  header: X-Api-Key\n",
        "circuits: [{id: main, fuse: 63A}]  # the monkey's keeper",
        "station_defaults: {keeps_profiles: yes}",
        "url: http://10.0.0.5/rpc/EM.GetStatus?id=0",
    ],
)
def test_what_is_no_secret_stays_readable(text: str) -> None:
    assert text.replace("query: key", "") == masked(text).replace("query: key", "")


PLANTED = """\
schema: loadmgr/v1
site: {name: Shed, timezone: Europe/Berlin}
evses: [{id: A, max: 16A}]
circuits:
  - id: main
    fuse: 35A
    evses: [A]
    meter:
      id: m
      http: {url: "http://me:hunter2@10.0.0.5/", power: {L1: /a}, secret: {env: hunter2}}
external_limits:
  - {id: a, http: {url: "http://10.0.0.6/?token=hunter2"}}
  - {id: b, openadr: {url: "https://vtn/", program: p, client: c, secret: {file: x, user: u}, token_url: "https://hunter2@vtn/"}}
  - {id: c, relay: {command: "curl -H 'Authorization: Bearer hunter2hunter2' http://h", limit: {power: 4kW}}}
tariff:
  energy: {price: 0.30/kWh}
  prices: {http: {preset: tibber, secret: {env: "hunter2-is-the-token"}, password: hunter2}}
# mqtt://me:hunter2@hub
"""


def test_an_archive_holds_none_of_the_secrets_that_were_planted_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "shed.yaml"
    path.write_text(PLANTED)
    store = open_store(str(tmp_path / "j.db"), site="Shed", state_folder=tmp_path)
    process = SiteProcess(load_site(find_site("garage")), clock=SystemClock(), store=store)
    now = SystemClock().now()
    for cause in (
        "http://me:hunter2@h/ answers 401",
        "https://h/?api_key=hunter2: refused",
        "no Bearer hunter2hunter2",
    ):
        process.observe(SourceTrouble(at=now, source=f"meter {cause[:9]}", cause=cause))

    async def decide_once() -> None:
        process._act(now)

    asyncio.run(decide_once())
    store.close()
    said = CliRunner().invoke(
        app, ["bundle", str(path), str(tmp_path / "help.zip"), "--journal", str(tmp_path / "j.db")]
    )

    assert 0 == said.exit_code, said.output
    with zipfile.ZipFile(tmp_path / "help.zip") as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert "SourceTrouble" in texts["journal.jsonl"]
    assert {} == {name: text[: text.index("hunter2") + 7] for name, text in texts.items() if "hunter2" in text}
    assert "hunter2" not in said.output


def test_drivers_have_other_names_and_the_same_driver_the_same_one() -> None:
    said = {"evses": [{"session": {"id_token": "04A2"}}, {"id_token": "04a2"}, {"id_token": "~kept"}]}
    hidden = without_drivers(said, Pseudonyms(bytes(range(32))))

    assert "04A2" not in json.dumps(hidden).upper()
    assert hidden["evses"][0]["session"]["id_token"] == hidden["evses"][1]["id_token"]
    assert "~kept" == hidden["evses"][2]["id_token"]

"""The archive for those who help: what is in it, and what never is."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loadmgr.apps.bundle import masked, without_drivers
from loadmgr.apps.cli import app
from loadmgr.apps.pseudonyms import Pseudonyms
from loadmgr.apps.site import SiteProcess
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
        "  api_token = hunter2",
        "- secret_key: hunter2",
        "place: postgresql://me:hunter2@db/x",
        "MQTT_PASSWORD: hunter2",
    ],
)
def test_secrets_are_masked_wherever_they_stand(text: str) -> None:
    assert "hunter2" not in masked(text)


def test_drivers_have_other_names_and_the_same_driver_the_same_one() -> None:
    said = {"evses": [{"session": {"id_token": "04A2"}}, {"id_token": "04a2"}, {"id_token": "~kept"}]}
    hidden = without_drivers(said, Pseudonyms(bytes(range(32))))

    assert "04A2" not in json.dumps(hidden).upper()
    assert hidden["evses"][0]["session"]["id_token"] == hidden["evses"][1]["id_token"]
    assert "~kept" == hidden["evses"][2]["id_token"]

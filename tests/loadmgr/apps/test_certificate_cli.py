"""The proof that ``loadmgr check`` writes, and the script that verifies it alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from loadmgr.site_file import find_site, site_names


def loadmgr(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loadmgr", "check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def verifier(tmp_path: Path) -> Path:
    script = tmp_path / "verify.py"
    script.write_text(loadmgr("--verifier").stdout)
    return script


def verified(verifier: Path, certificate: Path) -> int:
    isolated = [sys.executable, "-I", "-S", str(verifier), str(certificate)]
    return subprocess.run(isolated, capture_output=True, timeout=60, check=False).returncode


@pytest.mark.parametrize("sample", site_names())
def test_the_proof_of_a_sample_is_verified_by_a_script_of_the_standard_library(
    sample: str, tmp_path: Path, verifier: Path
) -> None:
    certificate = tmp_path / "certificate.json"

    said = loadmgr(sample, "--certificate", str(certificate))

    assert (0, 0) == (said.returncode, verified(verifier, certificate))
    assert "proven: with the controller dead no circuit exceeds its limit" in said.stdout


def test_a_tampered_certificate_is_refused(tmp_path: Path, verifier: Path) -> None:
    certificate = tmp_path / "certificate.json"
    loadmgr("workplace", "--certificate", str(certificate))
    document = json.loads(certificate.read_text())
    for circuit in document["circuits"]:
        circuit["limit_a"] = [5.0, 5.0, 5.0]
    certificate.write_text(json.dumps(document))

    assert 0 != verified(verifier, certificate)


def test_check_without_a_site_says_what_it_wants() -> None:
    said = loadmgr()

    assert 2 == said.returncode
    assert "name a site file, or a sample such as garage" in said.stderr


def test_check_says_for_how_long_it_holds_and_what_it_costs() -> None:
    said = loadmgr("workplace")

    assert "it holds without end" in said.stdout
    assert "fallback of every EVSE, for vehicles that plug in" in said.stdout
    assert "240 A" in said.stdout


def test_run_refuses_a_site_without_a_certificate_and_says_how_to_get_one(tmp_path: Path) -> None:
    source = find_site("garage")
    (tmp_path / "data").symlink_to(source.parent / "data")
    site = tmp_path / "garage.yaml"
    site.write_text(source.read_text().replace("{keeps_profiles: yes, zero_ok: yes}", "{zero_ok: yes}"))
    command = [sys.executable, "-m", "loadmgr", "run", str(site), "--port", "0"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert 2 == said.returncode
    assert "there is no certificate; prove its stations" in said.stderr
    assert "riser_a on L1: " in said.stderr
    assert "UTC when nobody controls it" in said.stderr

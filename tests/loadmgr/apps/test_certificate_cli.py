"""The proof that ``loadmgr check`` writes, and the script that verifies it alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


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


@pytest.mark.parametrize("sample", ["garage", "workplace"])
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

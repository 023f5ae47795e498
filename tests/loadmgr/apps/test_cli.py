"""The command line as a stranger meets it."""

import subprocess
import sys

import pytest

HEAVY = ("numpy", "highspy", "pulp", "websockets", "pandas", "matplotlib", "pydantic", "ruamel", "jsonschema_rs")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadmgr", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_help_names_every_verb() -> None:
    shown = run("--help").stdout

    for verb in ("demo", "run", "check", "schema", "plan", "composite"):
        assert f" {verb} " in shown


def test_help_keeps_what_is_written_in_brackets() -> None:
    shown = " ".join(run("run", "--help").stdout.replace("│", " ").split())

    assert "ws://HOST:PORT/ocpp/<station id>" in shown
    assert "Address to listen on. [default: the site file's]" in shown


def test_help_and_import_load_nothing_heavy() -> None:
    script = f"import sys, loadmgr, ocpp_link, loadmgr.apps.cli\nprint([m for m in {HEAVY!r} if m in sys.modules])"

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert "[]" == loaded.strip()


@pytest.mark.parametrize("verb", ["demo", "run", "check", "plan"])
def test_a_site_that_does_not_exist_is_one_line_and_exit_status_2(verb: str) -> None:
    extra = ["--sessions", "nothing.csv"] if verb == "plan" else []

    ended = run(verb, "no-such-site.yaml", *extra)

    assert 2 == ended.returncode
    assert "no-such-site.yaml" in ended.stderr
    assert "Traceback" not in ended.stderr

"""Importing costs nothing, and the examples in the docstrings run."""

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys

import pytest

import ocpp_link

MODULES = [f"ocpp_link.{module.name}" for module in pkgutil.iter_modules(ocpp_link.__path__)]


def test_the_package_says_where_each_of_its_modules_belongs() -> None:
    table = (ocpp_link.__doc__ or "").split("what   ")[1]
    named = set(re.findall(r"\w+", table))

    assert set() == {name.removeprefix("ocpp_link.") for name in MODULES} - named


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ["pydantic", "jsonschema_rs", "websockets", "ocpp", "numpy", "asyncio"]
    code = f"import sys, ocpp_link; print([name for name in {heavy} if name in sys.modules])"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert "[]" == loaded.strip()


def test_the_server_needs_no_message_models() -> None:
    code = "import sys, ocpp_link.transport; print('pydantic' in sys.modules, 'ocpp' in sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert "False False" == loaded.strip()


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    failures, _ = doctest.testmod(importlib.import_module(name))

    assert 0 == failures

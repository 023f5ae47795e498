"""The examples in the docstrings of the model and the site file run."""

import doctest
import importlib
import pkgutil

import pytest

import loadmgr.model
import loadmgr.site_file

MODULES = [
    name
    for package in (loadmgr.model, loadmgr.site_file)
    for _, name, _ in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0

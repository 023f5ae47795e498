"""What a changed site file is told to differ in: whatever it says differently is taken over."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from loadmgr.apps.process.reloading import changed
from loadmgr.model.topology import Site
from loadmgr.site_file import SiteFile, load_site
from tests.loadmgr.test_site_file_outside import SITE, written

DRIVERS = "drivers: {rules: [{id_tokens: [FLEET], leaves: '07:00', energy: 20kWh}]}\n"


def test_other_rules_for_drivers_are_a_difference(tmp_path: Path) -> None:
    before = load_site(written(tmp_path, SITE + DRIVERS))
    after = load_site(written(tmp_path, SITE + DRIVERS.replace("07:00", "06:00")))

    assert ["drivers"] == changed(before, after)
    assert [] == changed(before, before)


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(SiteFile) if f.name not in ("path", "site")])
def test_no_part_of_a_site_file_is_changed_without_being_told(name: str, tmp_path: Path) -> None:
    before = load_site(written(tmp_path, SITE))
    after = dataclasses.replace(before, **{name: "otherwise"})

    assert changed(before, after)[0].startswith(name.replace("_", " "))


def test_no_part_of_a_site_is_changed_without_being_told(tmp_path: Path) -> None:
    before = load_site(written(tmp_path, SITE))

    for field in dataclasses.fields(Site):
        other = dataclasses.replace(before)
        value = getattr(before.site, field.name)
        site = dataclasses.replace(before.site)
        one = SimpleNamespace(id="new")
        object.__setattr__(site, field.name, (*value, one) if isinstance(value, tuple) else "otherwise")
        object.__setattr__(other, "site", site)
        assert changed(before, other), field.name

"""Site files: YAML in, a site and its tariff out, and every fault with line and column.

pydantic and ruamel.yaml load on the first reading, not on import.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadmgr.site_file.find import find_site, sample_folder, site_names
from loadmgr.site_file.values import (
    BuildingLoad,
    Demo,
    Listen,
    PvProfile,
    Rudeness,
    RudeStation,
    SessionDefaults,
    SiteFile,
)

if TYPE_CHECKING:
    from loadmgr.model.tariff import Tariff
    from loadmgr.site_file.faults import Fault
    from loadmgr.site_file.load import SiteCheck

__all__ = [
    "BuildingLoad",
    "Demo",
    "Listen",
    "PvProfile",
    "RudeStation",
    "Rudeness",
    "SessionDefaults",
    "SiteFile",
    "check_site",
    "check_tariff",
    "check_values",
    "find_site",
    "json_schema",
    "load_site",
    "sample_folder",
    "site_names",
]


def load_site(path: str | Path) -> SiteFile:
    """Return the content of a site file, given by path or by the name of a sample.

    Raises
    ------
    SiteFileError
        With one line per fault: file, line, column, what is wrong; what would be right.
    InputError
        If there is no such file.
    """
    from loadmgr.site_file.load import load_site as load

    return load(find_site(path))


def check_site(path: str | Path) -> "SiteCheck":
    """Return the content of a site file with every fault and warning."""
    from loadmgr.site_file.load import check_site as check

    return check(find_site(path))


def check_values(value: object, *, name: str) -> "SiteCheck":
    """Return a site that came as plain values, such as JSON, with every fault and its path in them."""
    from loadmgr.site_file.load import check_values as check

    return check(value, name=name)


def check_tariff(value: object, *, time_zone: str, currency: str) -> "tuple[Tariff | None, tuple[Fault, ...]]":
    """Return a tariff that came as plain values, with every fault and its path in them."""
    from loadmgr.site_file.load import check_tariff as check

    return check(value, time_zone=time_zone, currency=currency)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a site file, for editors."""
    from loadmgr.site_file.schema import json_schema as schema

    return schema()

"""No flag of a station's own ways is without something that acts on it."""

import re
from pathlib import Path
from typing import Any

import pytest

from ocpp_link.energy_scale import scale_energies
from ocpp_link.station_profile import StationProfile, profile_from

ROOT = Path(__file__).parents[2]
SAID = {
    "connectors",
    "max_periods",
    "max_profiles",
    "max_stack_level",
    "measurands",
    "meter_interval_s",
    "phase_switching",
    "rate_units",
    "remote_trigger",
    "smart_charging",
}
"""What stations say of themselves: kept, shown, and as StationCapabilities the controller's."""

WAYS = sorted(set(profile_from({}).__slots__) - SAID)
CODE = "\n".join(
    path.read_text()
    for path in [*(ROOT / "ocpp_link").glob("*.py"), *(ROOT / "loadmgr").rglob("*.py")]
    if path.name not in ("station_profile.py", "capabilities.py")
)


@pytest.mark.parametrize("flag", WAYS)
def test_something_acts_on_every_flag(flag: str) -> None:
    assert re.search(rf"\.{flag}\b", CODE) is not None


def test_every_field_is_either_said_or_a_way() -> None:
    assert SAID < set(StationProfile.__slots__)


def sampled(value: Any, **fields: Any) -> dict[str, Any]:
    return {"meterValue": [{"timestamp": "2024-01-17T12:00:00Z", "sampledValue": [{"value": value} | fields]}]}


@pytest.mark.parametrize(
    ("value", "fields", "meant"),
    [
        ("1.5", {}, "1500"),  # energy is what is meant where nothing is said
        ("1,5", {"measurand": "Energy.Active.Import.Register"}, "1500"),
        (1.5, {"measurand": "Energy.Active.Export.Register"}, 1500.0),
        ("1.5", {"measurand": "Power.Active.Import"}, "1.5"),
        ("NaN", {}, "NaN"),
        (None, {}, None),
    ],
)
def test_energies_alone_are_scaled(value: Any, fields: dict[str, Any], meant: Any) -> None:
    said = sampled(value, **fields)

    assert sampled(meant, **fields) == scale_energies(said, 1000.0)
    assert sampled(value, **fields) == said


@pytest.mark.parametrize("payload", [{}, {"meterValue": 1}, {"meterValue": [1, {"sampledValue": [1]}]}])
def test_what_has_no_energies_stays(payload: dict[str, Any]) -> None:
    assert payload == scale_energies(payload, 1000.0)

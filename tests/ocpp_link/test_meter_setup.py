"""A station's meter is set up with as few writes as possible, and never with what it cannot bear."""

import asyncio
from typing import Any

import pytest

from ocpp_link.errors import CallRejected
from ocpp_link.meter_setup import set_up_meter
from ocpp_link.schemas import is_valid_request
from ocpp_link.station_profile import StationProfile

NEEDED = ("Energy.Active.Import.Register", "Current.Import")


class Asked:
    """A station that takes what it likes."""

    def __init__(self, version: Any, *, bears: set[str] | None = None, status: str = "Accepted") -> None:
        self.version = version
        self.bears = bears
        self.status = status
        self.written: list[str] = []

    async def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        assert is_valid_request(self.version, action, payload)
        each = payload if self.version == "1.6" else payload["setVariableData"][0]
        value = each["value"] if self.version == "1.6" else each.pop("attributeValue")
        self.written.append(value)
        if self.bears is not None and not set(value.split(",")) <= self.bears and not value.isdigit():
            raise CallRejected("PropertyConstraintViolation")
        if self.version == "1.6":
            return {"status": self.status}
        return {"setVariableResult": [each | {"attributeStatus": self.status}]}


def set_up(station: Asked, **known: Any) -> StationProfile:
    return asyncio.run(set_up_meter(station.version, station.call, StationProfile(**known), interval_s=10.0))


@pytest.mark.parametrize(
    ("known", "written"),
    [
        ({}, []),  # it says nothing of itself
        ({"meter_interval_s": 10.0, "measurands": (*NEEDED, "SoC")}, []),
        ({"meter_interval_s": 5.0, "measurands": NEEDED}, []),
        ({"meter_interval_s": 0.0}, ["10"]),  # it does not measure at all
        ({"meter_interval_s": 60.0}, ["10"]),
        ({"meter_interval_s": 60.0, "min_meter_interval_s": 30.0}, ["30"]),
        ({"meter_interval_s": 30.0, "min_meter_interval_s": 30.0}, []),
        ({"measurands": ("Voltage",)}, [",".join((*NEEDED, "Voltage", "Power.Active.Import", "SoC"))]),
        (
            {"measurands": ("Temperature", "Voltage"), "probe_measurands": False},
            [",".join((*NEEDED, "Voltage", "Power.Active.Import"))],
        ),
        (
            {"measurands": (), "fragile_measurands": ("Voltage",), "probe_measurands": False},
            [",".join((*NEEDED, "Power.Active.Import"))],
        ),
    ],
)
@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_only_what_falls_short_is_written(version: str, known: dict[str, Any], written: list[str]) -> None:
    station = Asked(version)

    set_up(station, **known)

    assert written == station.written


def test_a_refused_list_is_tried_once_without_the_fragile() -> None:
    station = Asked("1.6", bears={*NEEDED, "Voltage", "Power.Active.Import"})

    taken = set_up(station, measurands=("Voltage", "SoC"))

    assert 2 == len(station.written)
    assert (*NEEDED, "Voltage", "Power.Active.Import") == taken.measurands


@pytest.mark.parametrize("status", ["Rejected", "NotSupported"])
def test_what_is_refused_is_not_taken_for_known(status: str) -> None:
    station = Asked("1.6", status=status)

    assert {} == set_up(station, meter_interval_s=60.0, measurands=("SoC",)).known()
    assert 3 == len(station.written)

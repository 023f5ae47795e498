"""What is known of a station: asked, by model, learnt, overruled."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ocpp_link.dialect import Version
from ocpp_link.errors import CallRejected
from ocpp_link.station_profile import (
    KEYS_16,
    ProfileBook,
    StationProfile,
    ask,
    from_configuration,
    from_variables,
    known_quirks,
    load_quirks,
    profile_from,
)


@pytest.mark.parametrize("text", ["Current", "A", "'A'", ' "current" ', "a"])
def test_rate_units_are_read_in_every_spelling(text: str) -> None:
    assert ("A",) == from_configuration({"CHARGINGSCHEDULEALLOWEDCHARGINGRATEUNIT": text}).rate_units


def test_configuration_keys_become_a_profile() -> None:
    profile = from_configuration(
        {
            "SupportedFeatureProfiles": "Core, SmartCharging",
            "ChargeProfileMaxStackLevel": "9",
            "MaxChargingProfilesInstalled": "1",
            "ConnectorSwitch3to1PhaseSupported": "TRUE",
            "MeterValueSampleInterval": "30",
            "ChargingScheduleMaxPeriods": "many",
        }
    )

    assert (
        StationProfile(
            smart_charging=True,
            remote_trigger=False,
            max_stack_level=9,
            max_profiles=1,
            phase_switching="idle",
            meter_interval_s=30.0,
        )
        == profile
    )


def test_variables_become_a_profile_and_silence_stays_silence() -> None:
    def result(name: str, value: str, status: str = "Accepted") -> dict[str, Any]:
        place = {"component": {"name": "SmartChargingCtrlr"}, "variable": {"name": name}}
        return {"attributeStatus": status, "attributeValue": value, **place}

    profile = from_variables([result("RateUnit", "A,W"), result("Available", "true", "UnknownVariable")])

    assert StationProfile(rate_units=("A", "W"), remote_trigger=True) == profile
    assert False is from_variables([result("Enabled", "false"), result("Available", "true")]).smart_charging


class Scripted:
    """A station that answers from a table, or refuses long lists."""

    def __init__(self, version: Version, values: dict[str, str], *, longest: int = 99) -> None:
        self.version = version
        self.values = values
        self.longest = longest

    async def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        keys = payload.get("key", ())
        if action != "GetConfiguration" or len(keys) > self.longest:
            raise CallRejected("NotSupported")
        known = [{"key": key, "readonly": True, "value": self.values[key]} for key in keys if key in self.values]
        return {"configurationKey": known}


def test_a_station_that_refuses_long_lists_is_asked_key_by_key() -> None:
    station = Scripted("1.6", {KEYS_16[1]: "7"}, longest=1)

    assert 7 == asyncio.run(ask(station)).max_stack_level


def test_a_station_that_tells_nothing_has_an_empty_profile() -> None:
    assert StationProfile() == asyncio.run(ask(Scripted("2.0.1", {})))


@pytest.mark.parametrize("quirk", load_quirks(), ids=lambda quirk: quirk.name)
def test_every_shipped_quirk_says_something(quirk: Any) -> None:
    assert StationProfile() != quirk.profile


@pytest.mark.parametrize(
    ("vendor", "model", "field", "value"),
    [
        ("EVBox", "Elvi", "stack_level", 0),
        ("EVBox", "BusinessLine", "stack_level", None),
        ("HUAWEI", "SCharger-22KT-S0", "pause_mode", "remote_stop"),
        ("Free2Move eSolutions", "eProWallbox", "reply_delay_s", 1.0),
        ("ABB", "Terra AC W22", "probe_measurands", False),
        ("Nobody", "Nothing", "stack_level", None),
    ],
)
def test_models_are_known_by_vendor_and_model(vendor: str, model: str, field: str, value: Any) -> None:
    assert value == getattr(known_quirks(vendor, model), field)


def test_the_operators_word_is_the_last() -> None:
    book = ProfileBook(overrides={"CS": StationProfile(stack_level=5)})
    book.asked("CS", StationProfile(max_stack_level=9, rate_units=("A", "W"), zero_ok=True))
    book.booted("CS", {"chargePointVendor": "Huawei", "chargePointModel": "SCharger"})
    book.learn("CS", StationProfile(pause_mode="min", stack_level=1))

    profile = book.profile("CS")

    assert (9, ("W",), False, "min", 5) == (
        profile.max_stack_level,
        profile.rate_units,
        profile.zero_ok,
        profile.pause_mode,
        profile.stack_level,
    )
    assert profile == _after_restart(book).profile("CS")
    assert StationProfile() == book.profile("Stranger")


def _after_restart(book: ProfileBook) -> ProfileBook:
    again = ProfileBook(overrides={"CS": StationProfile(stack_level=5)}, learnt=book.learnt)
    again.asked("CS", StationProfile(max_stack_level=9, rate_units=("A", "W"), zero_ok=True))
    again.booted("CS", {"chargePointVendor": "Huawei", "chargePointModel": "SCharger"})
    return again


def test_faults_of_a_quirk_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "quirks.yaml"
    path.write_text("- {name: X, vendor: x, profile: {stack: 1}}")

    with pytest.raises(ValueError, match=r"quirk X: .*stack"):
        load_quirks(path)
    with pytest.raises(ValueError, match="nonsense"):
        profile_from({"nonsense": 1})

"""What is known of a station: what it says when it is asked, and what is known of its model."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ocpp_link.capabilities import KEYS_16, ask, from_configuration, from_variables, question, read_answer
from ocpp_link.dialect import Version
from ocpp_link.errors import CallRejected
from ocpp_link.quirks import known_quirks, load_quirks
from ocpp_link.schemas import is_valid_request
from ocpp_link.station_profile import StationProfile, profile_from


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
            phase_switching="live",
            meter_interval_s=30.0,
        )
        == profile
    )


@pytest.mark.parametrize(
    ("values", "switching"),
    [
        ({"ConnectorSwitch3to1PhaseSupported": "true", "ACPhaseSwitchingSupported": "true"}, "live"),
        ({"ConnectorSwitch3to1PhaseSupported": "false", "ACPhaseSwitchingSupported": "true"}, "idle"),
        ({"ConnectorSwitch3to1PhaseSupported": "false"}, "none"),
        ({"ConnectorSwitch3to1PhaseSupported": "perhaps"}, None),
        ({}, None),
    ],
)
def test_phase_switching_is_within_a_transaction_before_one_or_none(values: dict[str, str], switching: Any) -> None:
    assert switching == from_configuration(values).phase_switching


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"configurationKey": None, "getVariableResult": 7},
        {"configurationKey": [None, {"value": 3}], "getVariableResult": [None, {"attributeStatus": "Accepted"}]},
        {"getVariableResult": [{"attributeStatus": "Accepted", "attributeValue": "9", "component": 1, "variable": []}]},
    ],
)
def test_an_answer_that_no_schema_would_let_pass_says_nothing(version: Version, answer: dict[str, Any]) -> None:
    assert StationProfile() == replace(read_answer(version, answer), remote_trigger=None)


def test_variables_become_a_profile_and_silence_stays_silence() -> None:
    def result(name: str, value: str, status: str = "Accepted") -> dict[str, Any]:
        place = {"component": {"name": "SmartChargingCtrlr"}, "variable": {"name": name}}
        return {"attributeStatus": status, "attributeValue": value, **place}

    profile = from_variables([result("RateUnit", "A,W"), result("Available", "true", "UnknownVariable")])

    assert StationProfile(rate_units=("A", "W"), remote_trigger=True) == profile
    assert False is from_variables([result("Enabled", "false"), result("Available", "true")]).smart_charging


class Scripted:
    """A station that answers from a table, or refuses long lists."""

    def __init__(
        self, version: Version, values: dict[str, str], *, longest: int = 99, refusal: str = "NotSupported"
    ) -> None:
        self.version = version
        self.values = values
        self.longest = longest
        self.refusal = refusal
        self.asked = 0

    async def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        self.asked += 1
        assert is_valid_request(self.version, action, payload)
        listed = payload.get("key", payload.get("getVariableData", ()))
        if action == "GetCompositeSchedule" or len(listed) > self.longest:
            raise CallRejected(self.refusal)
        if action == "GetConfiguration":
            known = [{"key": key, "readonly": True, "value": self.values[key]} for key in listed if key in self.values]
            return {"configurationKey": known}
        results = []
        for each in listed:
            value = self.values.get(each["variable"]["name"])
            status = "UnknownVariable" if value is None else "Accepted"
            results.append(each | {"attributeStatus": status} | ({} if value is None else {"attributeValue": value}))
        return {"getVariableResult": results}


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_what_is_asked_is_asked_in_the_words_of_the_version(version: Version) -> None:
    assert is_valid_request(version, *question(version))


def test_a_station_that_refuses_long_lists_is_asked_key_by_key() -> None:
    assert 7 == asyncio.run(ask(Scripted("1.6", {KEYS_16[1]: "7"}, longest=1))).max_stack_level
    assert 3 == asyncio.run(ask(Scripted("2.1", {"Entries": "3"}, longest=1, refusal="GenericError"))).max_profiles


def test_a_station_that_does_not_know_the_question_is_not_asked_it_ten_times() -> None:
    station = Scripted("1.6", {}, longest=0)

    assert StationProfile(smart_charging=False) == asyncio.run(ask(station))
    assert 3 == station.asked


@pytest.mark.parametrize(("refusal", "knows"), [("NotImplemented", False), ("GenericError", True)])
def test_who_is_silent_about_smart_charging_shows_it_by_its_answer(refusal: str, knows: bool) -> None:
    assert knows is asyncio.run(ask(Scripted("2.0.1", {}, refusal=refusal))).smart_charging


@pytest.mark.parametrize("quirk", load_quirks(), ids=lambda quirk: quirk.name)
def test_every_shipped_quirk_says_something(quirk: Any) -> None:
    assert {} != quirk.profile.known()


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


def test_faults_of_a_quirk_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "quirks.yaml"
    for text, fault in (
        ("- {name: X, vendor: x, profile: {stack: 1}}", r"quirks.yaml: quirk X: stack is no field .* stack_level"),
        ("- {name: X, vendor: '(', profile: {zero_ok: true}}", r"quirk X: .*position"),
        ("- {name: X, vendr: x, profile: {zero_ok: true}}", r"quirk X: has vendr; an entry has .*vendor"),
        ("- {vendor: x}", r"entry 1 must have a name"),
        ("name: X", r"must be a list"),
        ("- [", r"line \d"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=fault):
            load_quirks.__wrapped__(path)


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("zero_ok", "no", "true or false"),
        ("stack_level", True, "whole number"),
        ("rate_units", ["VA"], "list of A and W"),
        ("reply_delay_s", -1, "seconds"),
        ("reply_delay_s", float("nan"), "seconds"),
        ("pause_mode", "off", "one of zero, min"),
        ("energy_scale", 0, "above 0"),
        ("measurands", "SoC", "list of words"),
        ("ping", None, "true or false"),
    ],
)
def test_a_field_that_takes_something_else_is_named(field: str, value: object, wanted: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be .*{wanted}"):
        profile_from({field: value})

"""Each mend by its name: what a station sent, what is read, and what stays refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_link import schemas
from ocpp_link.dialect import Role, Version
from ocpp_link.events import CallReceived, CallRefusedByRules, Garbage, Mended
from ocpp_link.protocol import Protocol
from ocpp_link.repair import NEVER, mend
from ocpp_link.repair_text import mend_text
from tests.ocpp_link.payloads import example

TIME = "2024-01-17T12:00:00Z"


def meter_values(**sample: Any) -> dict[str, Any]:
    good = {"value": "1"}
    values = [{"timestamp": TIME, "sampledValue": [good, {"value": "2", **sample}]}]
    return {"connectorId": 1, "meterValue": values}


def second_sample(payload: Any) -> Any:
    return payload["meterValue"][0]["sampledValue"][1:]


def status(**changes: Any) -> dict[str, Any]:
    return {"connectorId": 1, "errorCode": "NoError", "status": "Available", **changes}


def start(**changes: Any) -> dict[str, Any]:
    return {"connectorId": 1, "idTag": "T", "meterStart": 5, "timestamp": TIME, **changes}


def event(**changes: Any) -> dict[str, Any]:
    return {
        "eventType": "Updated",
        "timestamp": TIME,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": 3,
        "transactionInfo": {"transactionId": "tx"},
        **changes,
    }


CASES: list[tuple[str, Version, str, Any, Any]] = [
    # mend, version, action, as sent, as read
    ("null_payload", "1.6", "Heartbeat", None, {}),
    ("null_dropped", "1.6", "StatusNotification", status(info=None), status()),
    ("number_as_text", "1.6", "StartTransaction", start(idTag=1234), start(idTag="1234")),
    ("text_as_number", "1.6", "StartTransaction", start(meterStart=" 7 "), start(meterStart=7)),
    ("whole_float_as_integer", "1.6", "StartTransaction", start(meterStart=7.0), start(meterStart=7)),
    ("register_rounded", "1.6", "StartTransaction", start(meterStart=7.6), start(meterStart=8)),
    ("text_as_boolean", "2.0.1", "TransactionEvent", event(offline="True"), event(offline=True)),
    ("unexpected_field_dropped", "1.6", "StatusNotification", status(vendorExtra={"a": 1}), status()),
    ("enum_case", "1.6", "StatusNotification", status(status="available "), status()),
    (
        "unknown_enum_as_other",
        "1.6",
        "StatusNotification",
        status(errorCode="Error"),
        status(errorCode="OtherError"),
    ),
    ("text_shortened", "1.6", "StatusNotification", status(info="x" * 60), status(info="x" * 50)),
    ("time_without_zone", "1.6", "StartTransaction", start(timestamp="2024-01-17T12:00:00"), start()),
    (
        "time_format",
        "1.6",
        "StartTransaction",
        start(timestamp="2024-01-17 12:00:00+0100"),
        start(timestamp="2024-01-17T12:00:00+01:00"),
    ),
    ("unreadable_time", "1.6", "StartTransaction", start(timestamp="noon"), start(timestamp=NEVER)),
    (
        "missing_timestamp",
        "1.6",
        "StartTransaction",
        {key: value for key, value in start().items() if key != "timestamp"},
        start(timestamp=NEVER),
    ),
    ("missing_errorCode", "1.6", "StatusNotification", {"connectorId": 1, "status": "Available"}, status()),
    (
        "missing_chargePointModel",
        "1.6",
        "BootNotification",
        {"chargePointVendor": "v"},
        {"chargePointVendor": "v", "chargePointModel": ""},
    ),
    (
        "empty_list_kept",
        "1.6",
        "MeterValues",
        {"connectorId": 1, "meterValue": []},
        {"connectorId": 1, "meterValue": []},
    ),
    (
        "single_as_list",
        "2.0.1",
        "TransactionEvent",
        event(meterValue={"timestamp": TIME, "sampledValue": [{"value": 1}]}),
        event(meterValue=[{"timestamp": TIME, "sampledValue": [{"value": 1}]}]),
    ),
    (
        "empty_text_dropped",
        "2.0.1",
        "TransactionEvent",
        event(numberOfPhasesUsed=""),
        event(),
    ),
]


@pytest.mark.parametrize(("name", "version", "action", "sent", "read"), CASES, ids=[case[0] for case in CASES])
def test_a_mend_reads_what_was_meant(name: str, version: Version, action: str, sent: Any, read: Any) -> None:
    assert schemas.first_fault(version, action, sent, response=False) is not None

    mended = mend(version, action, json.loads(json.dumps(sent)), response=False)

    assert (read, (name,), None) == mended


@pytest.mark.parametrize(
    "sample",
    [{"measurand": "Vendor.Magic"}, {"unit": "Ampere"}, {"phase": "R"}, {"value": [1]}],
)
def test_an_unreadable_sample_is_dropped_and_the_others_stay(sample: dict[str, Any]) -> None:
    mended = mend("1.6", "MeterValues", meter_values(**sample), response=False)

    assert [] == second_sample(mended.payload)
    assert ("unreadable_sample_dropped",) == mended.mends
    assert {"value": "1"} == mended.payload["meterValue"][0]["sampledValue"][0]


def test_a_numeric_sample_of_1_6_becomes_a_text() -> None:
    mended = mend("1.6", "MeterValues", meter_values(value=16.5), response=False)

    assert [{"value": "16.5"}] == second_sample(mended.payload)


def test_several_bad_samples_are_dropped_without_touching_the_good() -> None:
    samples = [
        {"value": "0"},
        {"value": "1", "unit": "?"},
        {"value": "2"},
        {"value": "3", "phase": "?"},
        {"value": "4"},
    ]
    payload = {"connectorId": 1, "meterValue": [{"timestamp": TIME, "sampledValue": samples}]}

    mended = mend("1.6", "MeterValues", payload, response=False)

    assert ["0", "2", "4"] == [each["value"] for each in mended.payload["meterValue"][0]["sampledValue"]]


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("Authorize", {"idTag": "x" * 21}),  # an identifier is never shortened
        ("Authorize", {"idTag": 123}),  # nor guessed, where the station can simply ask again
        ("Authorize", {"idTag": "x", "extra": 1}),
        ("StartTransaction", {"connectorId": 1}),  # a register cannot be invented
        ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Sleeping"}),
        ("BootNotification", "no object"),
    ],
)
def test_what_no_mend_covers_stays_refused(action: str, payload: Any) -> None:
    protocol = Protocol(role=Role.CSMS, version="1.6")

    [refused] = protocol.receive(json.dumps([2, "a", action, payload]), 0.0)

    assert isinstance(refused, CallRefusedByRules)


TEXTS = [
    ("stray_comma", b'[,2,"a","Heartbeat",{}]'),
    ("stray_comma", b'[2,"a","Heartbeat",{},]'),
    ("lone_backslash", b'[2,"a","DataTransfer",{"vendorId":"C:\\dir"}]'),
    ("control_character", b'[2,"a","DataTransfer",{"vendorId":"two\nlines"}]'),
    ("byte_order_mark", b'\xef\xbb\xbf[2,"a","Heartbeat",{}]'),
    ("padding", b'[2,"a","Heartbeat",{}]\x00\x00'),
]


@pytest.mark.parametrize(("name", "text"), TEXTS)
def test_a_text_that_is_almost_json_is_read(name: str, text: bytes) -> None:
    protocol = Protocol(role=Role.CSMS, version="1.6")

    mended, received = protocol.receive(text, 0.0)

    assert Mended("", (name,)) == mended
    assert isinstance(received, CallReceived)


def test_not_a_number_becomes_null_and_is_dropped_with_its_sample() -> None:
    protocol = Protocol(role=Role.CSMS, version="2.0.1")
    payload = {
        "evseId": 1,
        "meterValue": [{"timestamp": TIME, "sampledValue": [{"value": 1}, {"value": float("nan")}]}],
    }

    _, mended, received = protocol.receive(json.dumps([2, "a", "MeterValues", payload]), 0.0)

    assert Mended("MeterValues", ("null_dropped", "unreadable_sample_dropped")) == mended
    assert [{"value": 1}] == received.payload["meterValue"][0]["sampledValue"]  # type: ignore[union-attr]


def test_a_comma_inside_a_text_is_left_alone() -> None:
    assert (b'["a,]",1]', ("stray_comma",)) == mend_text(b'["a,]",1,]')


def test_a_truncated_text_stays_garbage() -> None:
    [garbage] = Protocol(role=Role.CSMS, version="1.6").receive('[2,"a","StatusNotification",{"info":"cu', 0.0)

    assert isinstance(garbage, Garbage)


def test_a_strict_machine_reads_only_json() -> None:
    [garbage] = Protocol(role=Role.CSMS, version="1.6", strict=True).receive('[2,"a","Heartbeat",{},]', 0.0)

    assert isinstance(garbage, Garbage)


PLAIN = (
    st.none() | st.booleans() | st.text(max_size=8) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)


@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6))
def test_clean_json_is_never_changed(value: Any) -> None:
    text = json.dumps(value).encode()

    assert (text, ()) == mend_text(text)


@pytest.mark.parametrize("value", [1e21, -1e300, 2**70, "1180591620717411303424", "-1e300"])
@pytest.mark.parametrize(
    ("version", "action", "place"),
    [
        ("1.6", "StatusNotification", ("connectorId",)),
        ("1.6", "StartTransaction", ("meterStart",)),
        ("2.0.1", "NotifyEVChargingNeeds", ("chargingNeeds", "dcChargingParameters", "stateOfCharge")),
        ("2.1", "TransactionEvent", ("numberOfPhasesUsed",)),
    ],
)
def test_a_number_beyond_all_sense_raises_nothing_and_is_no_integer(
    version: Version, action: str, place: tuple[str, ...], value: object
) -> None:
    payload = example(version, action, response=False, full=True)
    node = payload
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = value
    machine = Protocol(role=Role.CSMS, version=version)

    [refused] = machine.receive(json.dumps([2, "1", action, payload]), 0.0)

    assert isinstance(refused, CallRefusedByRules)
    assert [4, "1"] == json.loads(machine.texts_to_send()[0])[:2]

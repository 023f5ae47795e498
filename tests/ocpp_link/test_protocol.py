"""The sans-I/O machine: frames in, events and frames out."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_link.dialect import Fault, Role, Version
from ocpp_link.errors import CallRejected, InvalidRequest
from ocpp_link.events import (
    CallAnswered,
    CallFailed,
    CallReceived,
    CallRefusedByRules,
    Garbage,
    Mended,
    UnsolicitedReply,
)
from tests.ocpp_link.machine import HEARTBEAT_REPLY, TIME, machine, sent

# --- what every endpoint must take ---

PROFILE = {"chargingProfileKind": "Absolute", "stackLevel": 0}
EXAMPLES: list[tuple[Version, Role, list[Any]]] = [
    (
        "1.6",
        Role.CSMS,
        [2, "boot-001", "BootNotification", {"chargePointVendor": "OCPPLab", "chargePointModel": "Emulator-v1"}],
    ),
    (
        "1.6",
        Role.CSMS,
        [
            2,
            "tx-001",
            "StartTransaction",
            {"connectorId": 1, "idTag": "RFID-ABC123", "meterStart": 1500, "timestamp": TIME},
        ],
    ),
    (
        "1.6",
        Role.CSMS,
        [
            2,
            "status-001",
            "StatusNotification",
            {
                "connectorId": 1,
                "errorCode": "NoError",
                "status": "Charging",
                "timestamp": TIME,
                "info": "Vehicle connected and charging at 7.2kW",
                "vendorId": "OCPPLab",
                "vendorErrorCode": "",
            },
        ],
    ),
    (
        "1.6",
        Role.CSMS,
        [
            2,
            "meter-001",
            "MeterValues",
            {
                "connectorId": 1,
                "transactionId": 42,
                "meterValue": [
                    {
                        "timestamp": TIME,
                        "sampledValue": [
                            {"value": "1.85", "measurand": "Energy.Active.Import.Register", "unit": "kWh"},
                            {"value": "31.3", "context": "Sample.Periodic", "measurand": "Current.Import", "unit": "A"},
                        ],
                    }
                ],
            },
        ],
    ),
    (
        "2.0.1",
        Role.CSMS,
        [
            2,
            "boot-001",
            "BootNotification",
            {"reason": "PowerUp", "chargingStation": {"model": "Emulator-Pro", "vendorName": "OCPPLab"}},
        ],
    ),
    (
        "2.0.1",
        Role.CSMS,
        [
            2,
            "tx-002",
            "TransactionEvent",
            {
                "eventType": "Ended",
                "timestamp": TIME,
                "triggerReason": "EVDeparted",
                "seqNo": 15,
                "transactionInfo": {"transactionId": "TX-20250320-001", "stoppedReason": "EVDisconnected"},
                "meterValue": [
                    {"timestamp": TIME, "sampledValue": [{"value": 32.5, "unitOfMeasure": {"unit": "kWh"}}]}
                ],
            },
        ],
    ),
    (  # Absolute without startSchedule: real back ends send it
        "1.6",
        Role.STATION,
        [
            2,
            "profile-001",
            "SetChargingProfile",
            {
                "connectorId": 1,
                "csChargingProfiles": {
                    "chargingProfileId": 100,
                    "stackLevel": 0,
                    "chargingProfilePurpose": "TxDefaultProfile",
                    "chargingProfileKind": "Absolute",
                    "chargingSchedule": {
                        "chargingRateUnit": "A",
                        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}],
                    },
                },
            },
        ],
    ),
    (  # a recurring maximum on connector 0
        "1.6",
        Role.STATION,
        [
            2,
            "profile-002",
            "SetChargingProfile",
            {
                "connectorId": 0,
                "csChargingProfiles": {
                    "chargingProfileId": 200,
                    "stackLevel": 1,
                    "chargingProfilePurpose": "ChargePointMaxProfile",
                    "chargingProfileKind": "Recurring",
                    "recurrencyKind": "Daily",
                    "chargingSchedule": {
                        "startSchedule": TIME,
                        "chargingRateUnit": "A",
                        "chargingSchedulePeriod": [
                            {"startPeriod": 0, "limit": 16.0},
                            {"startPeriod": 25200, "limit": 8.0},
                            {"startPeriod": 72000, "limit": 32.0},
                        ],
                    },
                },
            },
        ],
    ),
    (  # a start that carries its profile
        "1.6",
        Role.STATION,
        [
            2,
            "remote-001",
            "RemoteStartTransaction",
            {
                "connectorId": 1,
                "idTag": "APP-USER-456",
                "chargingProfile": {
                    "chargingProfileId": 300,
                    "stackLevel": 0,
                    "chargingProfilePurpose": "TxProfile",
                    "chargingProfileKind": "Absolute",
                    "chargingSchedule": {
                        "chargingRateUnit": "W",
                        "chargingSchedulePeriod": [
                            {"startPeriod": 0, "limit": 7400.0},
                            {"startPeriod": 7200, "limit": 11000.0},
                        ],
                    },
                },
            },
        ],
    ),
]


@pytest.mark.parametrize(
    ("version", "role", "frame"), EXAMPLES, ids=lambda each: each[1] if type(each) is list else None
)
def test_ordinary_calls_are_taken_and_answered(version: Version, role: Role, frame: list[Any]) -> None:
    protocol = machine(version, role, strict=True)

    events = protocol.receive(json.dumps(frame), 0.0)

    assert [CallReceived(frame[1], frame[2], frame[3])] == events
    assert [] == sent(protocol)


def test_our_own_call_gets_its_answer() -> None:
    protocol = machine(role=Role.STATION)

    message_id, _ = protocol.call("Heartbeat", {}, now_s=0.0)
    events = protocol.receive(json.dumps([3, message_id, HEARTBEAT_REPLY]), 1.0)

    assert [[2, "m1", "Heartbeat", {}]] == sent(protocol)
    assert [CallAnswered("m1", "Heartbeat", HEARTBEAT_REPLY)] == events
    assert protocol.next_deadline_s() is None


def test_a_refusal_of_our_call_carries_what_the_peer_said() -> None:
    protocol = machine(role=Role.STATION)
    protocol.call("Heartbeat", {}, now_s=0.0)

    [event] = protocol.receive('[4,"m1","InternalError","Database connection timeout",{"retryAfter":30}]', 1.0)

    assert isinstance(event, CallFailed)
    assert isinstance(event.error, CallRejected)
    assert ("InternalError", {"retryAfter": 30}) == (event.error.code, event.error.details)


# --- what is refused, and how each version says so ---

BOOT_201 = '{"reason":"PowerUp","chargingStation":{"model":"m","vendorName":"v"%s}%s}'
REFUSALS: list[tuple[str, str, str | None, str | None]] = [
    # frame, what 1.6 answers (None: nothing), what 2.0.1 answers
    ("not json", "{", None, "-1 RpcFrameworkError"),
    ("not an array", "{}", None, "-1 RpcFrameworkError"),
    ("empty array", "[]", None, "-1 RpcFrameworkError"),
    ("no type number", '["2","a","Heartbeat",{}]', None, "-1 RpcFrameworkError"),
    ("too few elements", '[2,"a"]', "a FormationViolation", "a RpcFrameworkError"),
    ("too many elements", '[2,"a","Heartbeat",{},1]', "a FormationViolation", "a RpcFrameworkError"),
    ("number as id", '[2,17,"Heartbeat",{}]', "17 FormationViolation", "17 RpcFrameworkError"),
    ("null as id", '[2,null,"Heartbeat",{}]', None, "-1 RpcFrameworkError"),
    ("long id", f'[2,"{"x" * 37}","Heartbeat",{{}}]', "x FormationViolation", "x RpcFrameworkError"),
    ("action no text", '[2,"a",5,{}]', "a FormationViolation", "a RpcFrameworkError"),
    ("unknown type number", '[9,"a","Heartbeat",{}]', None, "a MessageTypeNotSupported"),
    ("send before 2.1", '[6,"a","NotifyPeriodicEventStream",{}]', None, "a MessageTypeNotSupported"),
    ("unknown action", '[2,"a","MakeCoffee",{}]', "a NotImplemented", "a NotImplemented"),
    ("action in wrong case", '[2,"a","heartbeat",{}]', "a NotImplemented", "a NotImplemented"),
    ("wrong direction", '[2,"a","Reset",{}]', "a NotSupported", "a NotSupported"),
    ("payload a list", '[2,"a","Authorize",[]]', "a FormationViolation", "a FormatViolation"),
    ("payload a text", '[2,"a","Authorize","x"]', "a FormationViolation", "a FormatViolation"),
    ("missing field", '[2,"a","Authorize",{}]', "a OccurenceConstraintViolation", "a OccurrenceConstraintViolation"),
    ("answer without id", "[3,null,{}]", None, None),
    ("bare answer", "[3]", None, None),
    ("bare error", '[4,"a"]', None, None),
    ("error of nobody", '[4,"-1","RpcFrameworkError","",{}]', None, None),
]


@pytest.mark.parametrize(("text", "v16", "v201"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_what_cannot_be_taken_is_answered_as_the_version_prescribes(
    text: str, v16: str | None, v201: str | None
) -> None:
    for version, expected in (("1.6", v16), ("2.0.1", v201)):
        protocol = machine(version, strict=True)  # type: ignore[arg-type]
        events = protocol.receive(text, 0.0)
        answers = [f"{frame[1].strip('x') or 'x'} {frame[2]}" for frame in sent(protocol)]

        assert ([] if expected is None else [expected]) == answers
        assert isinstance(events[0], Garbage | CallRefusedByRules | UnsolicitedReply)


def test_2_1_ignores_an_unknown_message_type() -> None:
    protocol = machine("2.1")

    [event] = protocol.receive('[9,"a","Heartbeat",{}]', 0.0)

    assert isinstance(event, Garbage)
    assert [] == sent(protocol)


@pytest.mark.parametrize(
    ("payload", "code", "field", "rule", "value"),
    [
        ({"idTag": 5}, "TypeConstraintViolation", "idTag", "type: string", "5"),
        ({"idTag": "x" * 21}, "PropertyConstraintViolation", "idTag", "maxLength: 20", f'"{"x" * 21}"'),
        ({"idTag": "x", "extra": 1}, "FormationViolation", "payload", "additionalProperties: extra", None),
    ],
)
def test_a_refusal_names_field_rule_and_value(
    payload: dict[str, Any], code: str, field: str, rule: str, value: str | None
) -> None:
    protocol = machine(strict=True)

    protocol.receive(json.dumps([2, "a", "Authorize", payload]), 0.0)
    [[kind, _, said, description, details]] = sent(protocol)

    assert (4, code) == (kind, said)
    assert (field, rule) == (details["field"], details["rule"])
    assert value is None or value == details["value"]
    assert description.isascii()


def test_a_nested_fault_is_placed_exactly() -> None:
    protocol = machine(strict=True)
    sample = {"value": "1", "unit": "Ampere"}
    payload = {"connectorId": 1, "meterValue": [{"timestamp": TIME, "sampledValue": [sample]}]}

    protocol.receive(json.dumps([2, "a", "MeterValues", payload]), 0.0)
    [[_, _, code, _, details]] = sent(protocol)

    assert "PropertyConstraintViolation" == code
    assert "meterValue[0].sampledValue[0].unit" == details["field"]
    assert '"Ampere"' == details["value"]


# --- what is mended ---


def test_null_and_missing_payloads_count_as_empty() -> None:
    for text in ('[2,"a","Heartbeat",null]', '[2,"a","Heartbeat"]'):
        assert [Mended("Heartbeat", ("null_payload",)), CallReceived("a", "Heartbeat", {})] == machine().receive(
            text, 0.0
        )


def test_a_strict_machine_mends_nothing() -> None:
    protocol = machine(strict=True)

    [event] = protocol.receive('[2,"a","Heartbeat",null]', 0.0)

    assert CallRefusedByRules("a", "Heartbeat", Fault.FORMAT, event.description) == event  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("action", "payload"),
    [("Reset", {}), ("Reset", {"type": "Warm"}), ("Heartbeat", {}), ("MakeCoffee", {}), ("Reset", {"type": object()})],
)
def test_what_we_may_not_send_is_refused_before_it_is_sent(action: str, payload: dict[str, Any]) -> None:
    protocol = machine()

    with pytest.raises(InvalidRequest):
        protocol.call(action, payload, now_s=0.0)
    assert [] == sent(protocol)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
ACTIONS = st.sampled_from(["Heartbeat", "MeterValues", "TransactionEvent", "BootNotification", "Authorize", "X"])
FRAMES = st.tuples(st.sampled_from([2, 3, 4, 5, 6, 0, "2"]), st.text(max_size=3), ACTIONS | JSON_VALUES, JSON_VALUES)


@given(
    st.text() | st.binary() | JSON_VALUES.map(json.dumps) | FRAMES.map(json.dumps),
    st.sampled_from(["1.6", "2.0.1", "2.1"]),
)
def test_no_text_whatever_raises(text: str | bytes, version: Version) -> None:
    protocol = machine(version)
    protocol.call("ClearCache", {}, now_s=0.0)

    protocol.receive(text, 1.0)
    for answer in protocol.texts_to_send():
        assert type(json.loads(answer)) is list

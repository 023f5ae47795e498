"""Every action of every version, generated from the official schemas: taken, answered, and refused when broken."""

import json
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from ocpp_link import schemas
from ocpp_link.answers import csms_answer, station_answer
from ocpp_link.dialect import VERSIONS, Action, Fault, Role, actions, error_code
from ocpp_link.errors import InvalidResponse, NotSupportedError
from ocpp_link.events import CallAnswered, CallFailed, CallReceived, CallRefusedByRules, SendReceived
from ocpp_link.protocol import Protocol
from tests.ocpp_link.payloads import example, mutations

ROWS = [row for version in VERSIONS for row in actions(version).values()]
NOW = datetime(2024, 1, 17, 12, tzinfo=UTC)


def name_of(row: Action) -> str:
    return f"{row.version} {row.name}"


def ends(row: Action) -> tuple[Protocol, Protocol]:
    """Return a strict sender and a strict receiver for the action."""
    sender = Role.STATION if row.from_station else Role.CSMS
    receiver = Role.CSMS if row.from_station else Role.STATION
    return (
        Protocol(role=sender, version=row.version, strict=True),
        Protocol(role=receiver, version=row.version, strict=True),
    )


def test_the_catalogue_is_that_of_the_schemas() -> None:
    for version in VERSIONS:
        stems = {path.stem.removesuffix("Response") for path in schemas.schema_folder(version).glob("*.json")}
        assert {stem if version == "1.6" else stem.removesuffix("Request") for stem in stems} == set(actions(version))


@pytest.mark.parametrize("row", ROWS, ids=name_of)
@pytest.mark.parametrize("full", [False, True], ids=["smallest", "fullest"])
def test_a_valid_request_and_response_travel_both_ways(row: Action, full: bool) -> None:
    sender, receiver = ends(row)
    request = example(row.version, row.name, response=False, full=full)
    if not row.has_response:
        sender.send(row.name, request)
        [text] = sender.texts_to_send()
        assert [SendReceived(row.name, request)] == receiver.receive(text, 0.0)
        return
    response = example(row.version, row.name, response=True, full=full)

    message_id, _ = sender.call(row.name, request, now_s=0.0)
    [text] = sender.texts_to_send()
    received = receiver.receive(text, 0.0)
    assert receiver.answer(message_id, response) is None
    [reply] = receiver.texts_to_send()
    answered = sender.receive(reply, 0.0)

    assert [CallReceived(message_id, row.name, request)] == received
    assert [CallAnswered(message_id, row.name, response)] == answered


@pytest.mark.parametrize("row", [row for row in ROWS if row.has_response], ids=name_of)
def test_each_broken_request_is_refused_with_the_right_code(row: Action) -> None:
    _, receiver = ends(row)

    for number, (what, payload, fault) in enumerate(mutations(row.version, row.name, response=False)):
        [event] = receiver.receive(json.dumps([2, str(number), row.name, payload]), 0.0)
        [text] = receiver.texts_to_send()
        kind, message_id, code, _, details = json.loads(text)
        assert isinstance(event, CallRefusedByRules), what
        assert (4, str(number), error_code(row.version, fault)) == (kind, message_id, code), what
        assert {"field", "rule", "value"} == set(details), what


@pytest.mark.parametrize("row", [row for row in ROWS if row.has_response], ids=name_of)
def test_each_broken_response_fails_the_call(row: Action) -> None:
    sender, _ = ends(row)
    request = example(row.version, row.name, response=False, full=False)

    for what, payload, fault in mutations(row.version, row.name, response=True):
        message_id, _ = sender.call(row.name, request, now_s=0.0)
        sender.texts_to_send()
        [event] = sender.receive(json.dumps([3, message_id, payload]), 0.0)
        told = [json.loads(text)[:3] for text in sender.texts_to_send()]
        assert isinstance(event, CallFailed), what
        assert isinstance(event.error, InvalidResponse), what
        code = error_code(row.version, fault)
        assert ([[5, message_id, code]] if row.version == "2.1" else []) == told, what


@pytest.mark.parametrize("row", [row for row in ROWS if row.from_station], ids=name_of)
@pytest.mark.parametrize("full", [False, True], ids=["smallest", "fullest"])
def test_every_call_of_a_station_has_a_sensible_answer_out_of_the_box(row: Action, full: bool) -> None:
    request = example(row.version, row.name, response=False, full=full)

    answer = csms_answer(row.version, row.name, request, now=NOW)

    check_answer(row, answer)


@pytest.mark.parametrize("row", [row for row in ROWS if row.from_csms], ids=name_of)
@pytest.mark.parametrize("full", [False, True], ids=["smallest", "fullest"])
def test_every_call_of_a_csms_has_a_plain_answer(row: Action, full: bool) -> None:
    request = example(row.version, row.name, response=False, full=full)

    check_answer(row, station_answer(row.version, row.name, request))


def check_answer(row: Action, answer: dict[str, Any]) -> None:
    if row.has_response:
        assert schemas.first_fault(row.version, row.name, answer, response=True) is None
    else:
        assert {} == answer


@pytest.mark.parametrize("row", [row for row in ROWS if row.from_csms != row.from_station], ids=name_of)
def test_an_action_from_the_wrong_side_is_not_supported(row: Action) -> None:
    request = example(row.version, row.name, response=False, full=False)
    wrong = Protocol(role=Role.STATION if row.from_station else Role.CSMS, version=row.version)

    [event] = wrong.receive(json.dumps([2, "a", row.name, request]), 0.0)

    assert CallRefusedByRules("a", row.name, Fault.NOT_SUPPORTED, "this action does not come from your side") == event
    answer_of_the_other_side = partial(csms_answer, now=NOW) if row.from_csms else station_answer
    with pytest.raises(NotSupportedError):
        answer_of_the_other_side(row.version, row.name, request)

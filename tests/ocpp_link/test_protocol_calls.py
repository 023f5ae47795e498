"""The sans-I/O machine: one call at a time each way, deadlines, late and repeated answers, the queue."""

import json

from ocpp_link.errors import CallExpired, CallTimeout, ConnectionLost, InvalidResponse
from ocpp_link.events import (
    CallFailed,
    CallReceived,
    DuplicateCall,
    LateReply,
    OurReplyFaulted,
    SendReceived,
    UnsolicitedReply,
)
from ocpp_link.outbox import Priority
from ocpp_link.theirs import REMEMBERED_IDS
from tests.ocpp_link.machine import HEARTBEAT_REPLY, TIME, machine, sent


def test_one_call_of_ours_is_in_flight_and_the_peers_calls_are_answered_meanwhile() -> None:
    protocol = machine()
    protocol.call("ClearCache", {}, now_s=0.0)
    protocol.call("GetConfiguration", {}, now_s=0.0)
    [received] = protocol.receive('[2,"a","Heartbeat",{}]', 0.0)
    protocol.answer("a", HEARTBEAT_REPLY)

    assert isinstance(received, CallReceived)
    assert [[2, "m1", "ClearCache", {}], [3, "a", HEARTBEAT_REPLY]] == sent(protocol)
    protocol.receive('[3,"m1",{"status":"Accepted"}]', 1.0)
    assert [[2, "m2", "GetConfiguration", {}]] == sent(protocol)


def test_a_call_without_answer_times_out_and_the_next_goes_out() -> None:
    protocol = machine(timeout_s=10.0)
    protocol.call("ClearCache", {}, now_s=5.0)
    protocol.call("GetConfiguration", {}, now_s=5.0)
    sent(protocol)

    assert 15.0 == protocol.next_deadline_s()
    assert [] == protocol.tick(14.9)
    [event] = protocol.tick(15.0)

    assert isinstance(event, CallFailed)
    assert isinstance(event.error, CallTimeout)
    assert [[2, "m2", "GetConfiguration", {}]] == sent(protocol)
    assert 25.0 == protocol.next_deadline_s()


def test_a_late_answer_is_told_with_the_request_and_matched_to_nothing() -> None:
    protocol = machine(timeout_s=10.0)
    protocol.call("Reset", {"type": "Soft"}, now_s=0.0)
    protocol.tick(10.0)

    assert [LateReply("m1", "Reset", {"type": "Soft"}, {"status": "Accepted"}, None)] == protocol.receive(
        '[3,"m1",{"status":"Accepted"}]', 11.0
    )
    assert [UnsolicitedReply("m1", None)] == protocol.receive('[3,"m1",{"status":"Accepted"}]', 12.0)


def test_an_invalid_answer_fails_the_call_and_2_1_tells_the_peer() -> None:
    for version, told in (("2.0.1", []), ("2.1", [[5, "m1", "PropertyConstraintViolation"]])):
        protocol = machine(version)  # type: ignore[arg-type]
        protocol.call("ClearCache", {}, now_s=0.0)
        sent(protocol)
        [event] = protocol.receive('[3,"m1",{"status":"Maybe"}]', 1.0)

        assert isinstance(event, CallFailed)
        assert isinstance(event.error, InvalidResponse)
        assert told == [frame[:3] for frame in sent(protocol)]


def test_2_1_takes_a_send_and_a_fault_found_in_our_answer() -> None:
    protocol = machine("2.1")
    stream = {"id": 1, "pending": 0, "basetime": TIME, "data": [{"t": 0.0, "v": "1"}]}

    assert [SendReceived("NotifyPeriodicEventStream", stream)] == protocol.receive(
        json.dumps([6, "a", "NotifyPeriodicEventStream", stream]), 0.0
    )
    protocol.receive('[2,"b","Heartbeat",{}]', 0.0)
    protocol.answer("b", HEARTBEAT_REPLY)
    assert [OurReplyFaulted("b", "Heartbeat", "FormatViolation", "hm")] == protocol.receive(
        '[5,"b","FormatViolation","hm",{}]', 0.0
    )
    assert [[3, "b", HEARTBEAT_REPLY]] == sent(protocol)


def test_a_repeated_id_in_progress_is_refused_and_afterwards_gets_the_same_answer() -> None:
    protocol = machine("2.0.1")
    text = '[2,"a","Heartbeat",{}]'
    protocol.receive(text, 0.0)

    assert DuplicateCall("a", "Heartbeat") == protocol.receive(text, 0.1)[0]
    assert [[4, "a", "RpcFrameworkError"]] == [frame[:3] for frame in sent(protocol)]
    protocol.answer("a", HEARTBEAT_REPLY)
    sent(protocol)
    assert [DuplicateCall("a", "Heartbeat")] == protocol.receive(text, 0.2)
    assert [[3, "a", HEARTBEAT_REPLY]] == sent(protocol)


def test_an_old_id_with_another_content_is_a_new_call() -> None:
    protocol = machine()
    protocol.receive('[2,"a","Heartbeat",{}]', 0.0)
    protocol.answer("a", HEARTBEAT_REPLY)

    assert [CallReceived("a", "Authorize", {"idTag": "T"})] == protocol.receive(
        '[2,"a","Authorize",{"idTag":"T"}]', 1.0
    )


def test_remembered_ids_are_bounded() -> None:
    protocol = machine()
    for number in range(1000):
        protocol.receive(f'[2,"{number}","Heartbeat",{{}}]', 0.0)
        protocol.answer(str(number), HEARTBEAT_REPLY)

    assert len(protocol._theirs) <= REMEMBERED_IDS
    assert [CallReceived("0", "Heartbeat", {})] == protocol.receive('[2,"0","Heartbeat",{}]', 0.0)


def test_safety_goes_first_and_newer_replaces_older() -> None:
    protocol = machine()
    protocol.call("ClearCache", {}, now_s=0.0)  # takes the slot
    protocol.call("GetConfiguration", {}, now_s=0.0, priority=Priority.BULK)
    protocol.call("Reset", {"type": "Soft"}, now_s=0.0, priority=Priority.SAFETY, coalesce="limit")
    _, [replaced] = protocol.call("Reset", {"type": "Hard"}, now_s=0.0, priority=Priority.SAFETY, coalesce="limit")

    assert "m3" == replaced.message_id  # type: ignore[union-attr]
    assert isinstance(replaced.error, CallExpired)  # type: ignore[union-attr]
    for answered in ("m1", "m4", "m2"):
        assert answered == sent(protocol)[0][1]
        protocol.receive(json.dumps([4, answered, "GenericError", "", {}]), 1.0)


def test_a_queued_call_expires_unsent() -> None:
    protocol = machine()
    protocol.call("ClearCache", {}, now_s=0.0)
    protocol.call("GetConfiguration", {}, now_s=0.0, ttl_s=5.0)

    assert 5.0 == protocol.next_deadline_s()
    [event] = protocol.tick(5.0)

    assert isinstance(event, CallFailed)
    assert isinstance(event.error, CallExpired)
    protocol.receive('[3,"m1",{"status":"Accepted"}]', 6.0)
    assert ["m1"] == [frame[1] for frame in sent(protocol)]


def test_closing_fails_everything_that_waits_in_order() -> None:
    protocol = machine()
    protocol.call("ClearCache", {}, now_s=0.0)
    protocol.call("GetConfiguration", {}, now_s=0.0)

    events = protocol.close(ConnectionLost("gone"))

    assert ["m1", "m2"] == [event.message_id for event in events]  # type: ignore[union-attr]

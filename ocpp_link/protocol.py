"""One OCPP-J connection as a machine over text: no socket, no clock, no task.

Rule 1: text in, events out (`receive`); intentions in, text out (`call`, `answer`, ... then `texts_to_send`).
Rule 2: received text never raises. What cannot be used becomes an event, and an answer where the rules ask for one.
Rule 3: at most one call of ours is in flight (2.x part 4 section 4.1.1); that says nothing about the peer's calls,
    which are answered while ours waits.
Rule 4: time is `now_s`, passed in; `next_deadline_s` says when `tick` wants to be called.
Rule 5: the machine must not know who uses it: no station state, no handlers, no profiles.
"""

import uuid
from collections.abc import Callable, Hashable
from typing import Any

from ocpp_link import frames, repair, repair_text, schemas
from ocpp_link.dialect import (
    MAX_ERROR_DESCRIPTION_LENGTH,
    MAX_MESSAGE_ID_LENGTH,
    TRANSACTION_ACTIONS,
    UNREADABLE_ID,
    Action,
    Fault,
    Role,
    Version,
    actions,
    calls_of,
    error_code,
)
from ocpp_link.errors import CallExpired, CallRejected, CallTimeout, InvalidRequest, InvalidResponse, OcppError
from ocpp_link.events import (
    GARBAGE_BYTES,
    CallAnswered,
    CallFailed,
    CallReceived,
    CallRefusedByRules,
    DuplicateCall,
    Event,
    Garbage,
    LateReply,
    Mended,
    OurReplyFaulted,
    SendReceived,
    UnsolicitedReply,
)
from ocpp_link.outbox import GivenUp, OurCall, Outbox, Priority
from ocpp_link.theirs import TheirCalls


def new_message_id() -> str:
    """Return a fresh message id: UUID4, 36 characters, unique over all connections of an identity."""
    return str(uuid.uuid4())


class Protocol:
    """Sans-I/O implementation of one OCPP-J connection, for either end.

    Parameters
    ----------
    role
        Which end we are.
    version
        The version that the subprotocol chose.
    call_timeout_s
        Default time [s] to wait for an answer.
    strict
        Refuse what breaks the schema instead of mending it: for test labs, and for the station's end.
    new_id
        Source of message ids.
    """

    def __init__(
        self,
        *,
        role: Role,
        version: Version,
        call_timeout_s: float = 30.0,
        strict: bool = False,
        new_id: Callable[[], str] = new_message_id,
    ) -> None:
        self.role = role
        self.version: Version = version
        self._peer = Role.STATION if role is Role.CSMS else Role.CSMS
        self._actions = actions(version)
        self._their_actions = calls_of(version, self._peer)
        self._call_timeout_s = call_timeout_s
        self._strict = strict
        self._new_id = new_id
        self._texts: list[bytes] = []
        self._outbox = Outbox()
        self._pending: OurCall | None = None
        self._given_up = GivenUp()
        self._theirs = TheirCalls()

    # Public methods for receiving.

    def receive(self, text: str | bytes, now_s: float) -> list[Event]:
        """Take one text from the peer and return what it means; then fetch `texts_to_send`."""
        frame = frames.parse(text)
        if type(frame) is frames.Call:
            return self._receive_call(frame, hash(text))
        if type(frame) is not frames.BadFrame or frame.message_type is not None or self._strict:
            return self._receive_frame(frame, text, now_s)
        mended, mends = repair_text.mend_text(frames.as_bytes(text))
        again = frames.parse(mended) if mends else frame
        if type(again) is frames.BadFrame:
            return self._receive_bad(frame, text)
        return [Mended("", mends), *self._receive_frame(again, mended, now_s)]

    def _receive_frame(self, frame: frames.Frame | frames.BadFrame, text: str | bytes, now_s: float) -> list[Event]:
        match frame:
            case frames.Call():
                return self._receive_call(frame, hash(text))
            case frames.CallResult():
                return self._receive_result(frame, now_s)
            case frames.CallError():
                return self._receive_error(frame, now_s)
            case frames.BadFrame():
                return self._receive_bad(frame, text)
            case frames.CallResultError(message_id, code, description) if self.version == "2.1":
                return [OurReplyFaulted(message_id, self._theirs.action(message_id), code, description)]
            case frames.Send() if self.version == "2.1":
                return self._receive_send(frame)
            case _:
                kind = 5 if isinstance(frame, frames.CallResultError) else 6
                reason = f"unknown message type number {kind}"
                return self._receive_bad(frames.BadFrame(reason, kind, frame.message_id), text)

    def texts_to_send(self) -> list[bytes]:
        """Return the texts to write now, in order, and forget them."""
        texts, self._texts = self._texts, []
        return texts

    # Public methods for time.

    def next_deadline_s(self) -> float | None:
        """Return when `tick` wants to be called; ``None`` while nothing waits."""
        expiry_s = self._outbox.next_expiry_s() if self._outbox else None
        if self._pending is None:
            return expiry_s
        return self._pending.deadline_s if expiry_s is None else min(expiry_s, self._pending.deadline_s)

    def tick(self, now_s: float) -> list[Event]:
        """Give up what is overdue and send what may go next."""
        events: list[Event] = []
        pending = self._pending
        if pending is not None and pending.deadline_s <= now_s:
            self._give_up(pending)
            late = CallTimeout(f"no answer to {pending.action} within {pending.timeout_s:g} s")
            events.append(CallFailed(pending.message_id, pending.action, late))
        for call in self._outbox.drop_expired(now_s):
            expired = CallExpired(f"{call.action} waited too long to be sent")
            events.append(CallFailed(call.message_id, call.action, expired))
        self._start_next(now_s)
        return events

    def close(self, error: OcppError) -> list[Event]:
        """End the connection: every call of ours that waits fails with ``error``."""
        waiting = self._outbox.drain()
        if self._pending is not None:
            waiting.insert(0, self._pending)
        self._pending = None
        self._texts.clear()
        return [CallFailed(call.message_id, call.action, error) for call in waiting]

    # Public methods for sending.

    def call(
        self,
        action: str,
        payload: dict[str, Any],
        *,
        now_s: float,
        timeout_s: float | None = None,
        priority: Priority = Priority.NORMAL,
        ttl_s: float | None = None,
        coalesce: Hashable | None = None,
    ) -> tuple[str, list[Event]]:
        """Queue a call; return its message id and the failures of calls that it replaces.

        Parameters
        ----------
        action, payload, now_s
            What to ask, and the time [s].
        timeout_s
            How long to wait for the answer once sent [s].
        priority
            Place in the queue.
        ttl_s
            How long the call may wait in the queue [s].
        coalesce
            A queued call with the same key is replaced by this one, because it says the same thing later.

        Raises
        ------
        InvalidRequest
            If the action is unknown or not ours to send, or the payload breaks its schema.
        """
        row = self._own_action(action)
        if not row.has_response:
            raise InvalidRequest(f"{action} is a SEND, use send()")
        message_id = self._new_id()
        call = OurCall(
            message_id=message_id,
            action=action,
            payload=payload,
            text=self._serialise_request(frames.Call(message_id, action, payload)),
            timeout_s=self._call_timeout_s if timeout_s is None else timeout_s,
            expires_s=None if ttl_s is None else now_s + ttl_s,
            priority=priority,
            coalesce=coalesce,
        )
        replaced = self._outbox.push(call)
        self._start_next(now_s)
        if replaced is None:
            return message_id, []
        error = CallExpired(f"a newer {replaced.action} replaced this one before it was sent")
        return message_id, [CallFailed(replaced.message_id, replaced.action, error)]

    def forget(self, message_id: str, now_s: float) -> None:
        """Drop a call whose caller no longer waits: unsent if it is queued, else its answer counts as late."""
        if self._pending is not None and self._pending.message_id == message_id:
            self._give_up(self._pending)
            self._start_next(now_s)
        else:
            self._outbox.drop(message_id)

    def send(self, action: str, payload: dict[str, Any]) -> str:
        """Write a SEND (2.1), which nobody answers.

        Raises
        ------
        InvalidRequest
            If the action is no SEND of ours, or the payload breaks its schema.
        """
        if self._own_action(action).has_response:
            raise InvalidRequest(f"{action} is a CALL, use call()")
        message_id = self._new_id()
        self._texts.append(self._serialise_request(frames.Send(message_id, action, payload)))
        return message_id

    def answer(self, message_id: str, payload: dict[str, Any]) -> schemas.SchemaFault | None:
        """Answer a call of the peer; a payload of ours that breaks its schema becomes InternalError and is returned."""
        action = self._theirs.waiting_action(message_id)
        if action is None:
            raise ValueError(f"message_id must name a call that waits for its answer, got {message_id!r}")
        fault = schemas.first_fault(self.version, action, payload, response=True)
        if fault is not None:
            self.refuse(message_id, Fault.INTERNAL, "the answer would have broken its schema")
            return fault
        self._texts.append(self._theirs.answered(message_id, frames.result_text(message_id, payload)))
        return None

    def refuse(
        self, message_id: str, fault: Fault, description: str = "", details: dict[str, Any] | None = None
    ) -> None:
        """Answer a call of the peer with a CALLERROR."""
        text = description.encode("ascii", "backslashreplace").decode()[:MAX_ERROR_DESCRIPTION_LENGTH]
        answer = frames.serialise(frames.CallError(message_id, error_code(self.version, fault), text, details or {}))
        self._texts.append(self._theirs.answered(message_id, answer))

    # Private methods for receiving.

    def _receive_call(self, frame: frames.Call, fingerprint: int) -> list[Event]:
        message_id, name, payload = frame
        if len(message_id) > MAX_MESSAGE_ID_LENGTH and (self._strict or name not in TRANSACTION_ACTIONS):
            return self._refused(message_id, name, Fault.RPC_FRAMEWORK, "the message id is longer than 36 characters")
        if not self._theirs.is_new(message_id):
            repeated = self._receive_repeated(frame, fingerprint)
            if repeated is not None:
                return repeated
        if name not in self._their_actions:
            if name not in self._actions:
                return self._refused(message_id, name, Fault.NOT_IMPLEMENTED, "unknown action")
            return self._refused(message_id, name, Fault.NOT_SUPPORTED, "this action does not come from your side")
        if schemas.request_check(self.version, name)(payload):
            self._theirs.begin(message_id, name, fingerprint)
            return [tuple.__new__(CallReceived, frame)]  # of the same fields; see `frames.parse`
        payload, mends, fault = self._mend(name, payload, response=False)
        if fault is not None:
            return self._refused_by_schema(message_id, name, fault)
        self._theirs.begin(message_id, name, fingerprint)
        return [Mended(name, mends), CallReceived(message_id, name, payload)]

    def _receive_repeated(self, frame: frames.Call, fingerprint: int) -> list[Event] | None:
        """Answer a call whose id was used before; ``None`` if only the id is the same."""
        message_id, name = frame.message_id, frame.action
        if self._theirs.in_progress(message_id):
            text = "this message id is being worked on"
            return [DuplicateCall(message_id, name), *self._refused(message_id, name, Fault.RPC_FRAMEWORK, text)]
        again = self._theirs.repeated_answer(message_id, fingerprint)
        if again is None:
            return None
        self._texts.append(again)
        return [DuplicateCall(message_id, name)]

    def _receive_send(self, frame: frames.Send) -> list[Event]:
        row = self._actions.get(frame.action)
        if row is None or row.has_response or not row.may_come_from(self._peer):
            return [Garbage(f"{frame.action} is no SEND of the peer", b"")]
        payload, mends, fault = self._mend(frame.action, frame.payload, response=False)
        if fault is not None:
            return [Garbage(f"SEND {frame.action}: {fault.description}", b"")]
        received = SendReceived(frame.action, payload)
        return [Mended(frame.action, mends), received] if mends else [received]

    def _receive_result(self, frame: frames.CallResult, now_s: float) -> list[Event]:
        call = self._pending
        if call is None or call.message_id != frame.message_id:
            return self._receive_late(frame.message_id, frame.payload, None)
        self._pending = None
        self._start_next(now_s)
        payload = frame.payload
        if schemas.response_check(self.version, call.action)(payload):
            return [CallAnswered(call.message_id, call.action, payload)]
        payload, mends, fault = self._mend(call.action, payload, response=True)
        if fault is None:
            return [Mended(call.action, mends), CallAnswered(call.message_id, call.action, payload)]
        if self.version == "2.1":
            code = error_code(self.version, fault.fault)
            error = frames.CallResultError(call.message_id, code, fault.description, {})
            self._texts.append(frames.serialise(error))
        reason = InvalidResponse(f"{call.action}: {fault.description}")
        return [CallFailed(call.message_id, call.action, reason)]

    def _receive_error(self, frame: frames.CallError, now_s: float) -> list[Event]:
        call = self._pending
        error = CallRejected(frame.code, frame.description, frame.details)
        if call is None or call.message_id != frame.message_id:
            return self._receive_late(frame.message_id, None, error)
        self._pending = None
        self._start_next(now_s)
        return [CallFailed(call.message_id, call.action, error)]

    def _receive_late(self, message_id: str, payload: Any, error: CallRejected | None) -> list[Event]:
        call = self._given_up.take(message_id)
        if call is None:
            return [UnsolicitedReply(message_id, error)]
        return [LateReply(message_id, call.action, call.payload, payload, error)]

    def _receive_bad(self, bad: frames.BadFrame, text: str | bytes) -> list[Event]:
        event = Garbage(bad.reason, frames.as_bytes(text)[:GARBAGE_BYTES])
        if bad.message_type in (frames.CALL_RESULT, frames.CALL_ERROR):
            return [event]  # answers are never answered
        known_type = bad.message_type is None or bad.message_type == frames.CALL
        if not known_type and self.version != "2.0.1":
            return [event]  # 1.6J section 4.1.3 and 2.1 part 4 section 4.1.3: ignore unknown message types
        if bad.message_id is None and self.version == "1.6":
            return [event]  # 1.6 has no id for the unreadable
        self.refuse(
            bad.message_id or UNREADABLE_ID, Fault.RPC_FRAMEWORK if known_type else Fault.MESSAGE_TYPE, bad.reason
        )
        return [event]

    def _mend(self, action: str, payload: Any, *, response: bool) -> repair.Mended:
        if self._strict:
            return repair.Mended(payload, (), schemas.first_fault(self.version, action, payload, response=response))
        return repair.mend(self.version, action, payload, response=response)

    def _refused(self, message_id: str, action: str, fault: Fault, text: str) -> list[Event]:
        error = frames.CallError(message_id[:MAX_MESSAGE_ID_LENGTH], error_code(self.version, fault), text, {})
        self._texts.append(frames.serialise(error))
        return [CallRefusedByRules(message_id, action, fault, text)]

    def _refused_by_schema(self, message_id: str, action: str, fault: schemas.SchemaFault) -> list[Event]:
        code = error_code(self.version, fault.fault)
        self._texts.append(frames.serialise(frames.CallError(message_id, code, fault.description, fault.details())))
        return [CallRefusedByRules(message_id, action, fault.fault, fault.description)]

    # Private methods for sending.

    def _own_action(self, action: str) -> Action:
        row = self._actions.get(action)
        if row is None:
            raise InvalidRequest(f"OCPP {self.version} has no action {action!r}")
        if not row.may_come_from(self.role):
            raise InvalidRequest(f"{action} does not come from the {self.role.value} in OCPP {self.version}")
        return row

    def _serialise_request(self, frame: frames.Call | frames.Send) -> bytes:
        fault = schemas.first_fault(self.version, frame.action, frame.payload, response=False)
        if fault is not None:
            raise InvalidRequest(f"{frame.action}: {fault.description}")
        try:
            return frames.serialise(frame)
        except TypeError as error:
            raise InvalidRequest(f"{frame.action}: {error}") from error

    def _start_next(self, now_s: float) -> None:
        if self._pending is not None:
            return
        call = self._outbox.pop()
        if call is not None:
            call.deadline_s = now_s + call.timeout_s
            self._pending = call
            self._texts.append(call.text)

    def _give_up(self, pending: OurCall) -> None:
        self._pending = None
        self._given_up.remember(pending)

"""The five frames of OCPP-J: CALL 2, CALLRESULT 3, CALLERROR 4, CALLRESULTERROR 5, SEND 6 (2.x part 4 section 4).

Rule 1: `parse` never raises; what cannot be read becomes a `BadFrame` that says how much of it could.
Rule 2: nothing here knows a version or an action; a frame is only its shape.
"""

from typing import Any, NamedTuple

import orjson

CALL = 2
CALL_RESULT = 3
CALL_ERROR = 4
CALL_RESULT_ERROR = 5
SEND = 6


class Call(NamedTuple):
    """A request: ``[2, id, action, payload]``."""

    message_id: str
    action: str
    payload: Any


class CallResult(NamedTuple):
    """The answer to a request: ``[3, id, payload]``."""

    message_id: str
    payload: Any


class CallError(NamedTuple):
    """The refusal of a request: ``[4, id, code, description, details]``."""

    message_id: str
    code: str
    description: str
    details: dict[str, Any]


class CallResultError(NamedTuple):
    """The refusal of an answer (2.1): ``[5, id, code, description, details]``."""

    message_id: str
    code: str
    description: str
    details: dict[str, Any]


class Send(NamedTuple):
    """A message without answer (2.1): ``[6, id, action, payload]``."""

    message_id: str
    action: str
    payload: Any


class BadFrame(NamedTuple):
    """A text that is no frame."""

    reason: str
    message_type: int | None
    """The message type number, where one could be read."""
    message_id: str | None
    """The message id, where one could be read."""


Frame = Call | CallResult | CallError | CallResultError | Send


def parse(text: str | bytes) -> Frame | BadFrame:
    """Read one frame; never raises.

    Examples
    --------
    >>> parse('[2,"1","Heartbeat",{}]')
    Call(message_id='1', action='Heartbeat', payload={})
    >>> parse('[2,"1"]')
    BadFrame(reason='a CALL has 4 elements, this one 2', message_type=2, message_id='1')
    """
    try:
        items = orjson.loads(text)
    except (orjson.JSONDecodeError, RecursionError) as error:
        return BadFrame(f"not JSON: {error}", None, None)
    if type(items) is not list:
        return BadFrame("not a JSON array", None, None)
    count = len(items)
    if count == 4 and items[0] == CALL and type(items[1]) is str and type(items[2]) is str:
        return tuple.__new__(Call, items[1:])  # Call(...) does the same at twice the time, for every message
    if count == 3 and items[0] == CALL_RESULT and type(items[1]) is str:
        return CallResult(items[1], items[2])
    return _parse_rare(items)


def _parse_rare(items: list[Any]) -> Frame | BadFrame:
    kind = items[0] if items and type(items[0]) is int else None
    if kind is None:
        return BadFrame("no message type number", None, None)
    raw_id = items[1] if len(items) > 1 else None
    message_id = raw_id if type(raw_id) is str and raw_id else None
    if kind not in (CALL, CALL_RESULT, CALL_ERROR, CALL_RESULT_ERROR, SEND):
        return BadFrame(f"unknown message type number {kind}", kind, message_id)
    if message_id is None:
        # A number is still text enough for the sender to recognise its own call in the answer.
        readable = str(raw_id) if type(raw_id) is int else None
        return BadFrame("the message id is not a text", kind, readable)
    if kind in (CALL_ERROR, CALL_RESULT_ERROR):
        return _parse_error(kind, message_id, items)
    wanted = 3 if kind == CALL_RESULT else 4
    if len(items) == 3 and wanted == 4 and type(items[2]) is str:
        items = [*items, None]  # a missing payload of a parameterless action; the schema check says the rest
    if len(items) != wanted:
        name = {CALL: "CALL", CALL_RESULT: "CALLRESULT", SEND: "SEND"}[kind]
        return BadFrame(f"a {name} has {wanted} elements, this one {len(items)}", kind, message_id)
    if kind == CALL_RESULT:
        return CallResult(message_id, items[2])
    if type(items[2]) is not str:
        return BadFrame("the action is not a text", kind, message_id)
    return (Call if kind == CALL else Send)(message_id, items[2], items[3])


def _parse_error(kind: int, message_id: str, items: list[Any]) -> Frame | BadFrame:
    """Read an error frame tolerantly: an error that is refused can never be told to anybody."""
    if len(items) < 3 or type(items[2]) is not str:
        return BadFrame("an error frame without error code", kind, message_id)
    description = items[3] if len(items) > 3 and type(items[3]) is str else ""
    details = items[4] if len(items) > 4 and type(items[4]) is dict else {}
    return (CallError if kind == CALL_ERROR else CallResultError)(message_id, items[2], description, details)


def serialise(frame: Frame) -> bytes:
    """Write one frame as UTF-8 JSON.

    Raises
    ------
    TypeError
        If the payload holds something that JSON has no form for.

    Examples
    --------
    >>> serialise(CallError("1", "NotImplemented", "", {}))
    b'[4,"1","NotImplemented","",{}]'
    """
    return orjson.dumps((_NUMBERS[type(frame)], *frame))


def result_text(message_id: str, payload: Any) -> bytes:
    """Write a CALLRESULT, as `serialise` does, without a frame in between: one for each message of a station."""
    return orjson.dumps((CALL_RESULT, message_id, payload))


_NUMBERS: dict[type[Any], int] = {
    Call: CALL,
    CallResult: CALL_RESULT,
    CallError: CALL_ERROR,
    CallResultError: CALL_RESULT_ERROR,
    Send: SEND,
}


def as_bytes(text: str | bytes) -> bytes:
    """Return a text as it came or would come over the wire; what UTF-8 has no form for is kept as it is."""
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text

"""What a connection reports: the closed union `Event`.

Values only; `protocol` makes them, `link` acts on them, and a handler's `on_event` sees those that concern people.
"""

from typing import Any, NamedTuple

from ocpp_link.dialect import Fault
from ocpp_link.errors import CallRejected, OcppError

GARBAGE_BYTES = 512
"""How much of an unusable text an event carries."""


class CallReceived(NamedTuple):
    """The peer calls, and its payload is valid; answer or refuse it."""

    message_id: str
    action: str
    payload: dict[str, Any]


class SendReceived(NamedTuple):
    """The peer sent a message that wants no answer (2.1)."""

    action: str
    payload: dict[str, Any]


class CallAnswered(NamedTuple):
    """The peer answered our call, and the answer is valid."""

    message_id: str
    action: str
    payload: dict[str, Any]


class CallFailed(NamedTuple):
    """Our call ended without a usable answer."""

    message_id: str
    action: str
    error: OcppError


class LateReply(NamedTuple):
    """An answer came after its call was given up: the state that the call asked for is probably in force."""

    message_id: str
    action: str
    request: dict[str, Any]
    payload: Any
    """The answer, unchecked; ``None`` for a CALLERROR."""
    error: CallRejected | None


class UnsolicitedReply(NamedTuple):
    """An answer to no call of ours."""

    message_id: str
    error: CallRejected | None


class DuplicateCall(NamedTuple):
    """The peer used a message id again within this connection."""

    message_id: str
    action: str


class CallRefusedByRules(NamedTuple):
    """The peer's call was answered with a CALLERROR before any handler saw it."""

    message_id: str
    action: str
    fault: Fault
    description: str


class Mended(NamedTuple):
    """A message of the peer was mended before use."""

    action: str
    mends: tuple[str, ...]


class Garbage(NamedTuple):
    """A text that is no usable frame."""

    reason: str
    text: bytes
    """The beginning of what was received."""


class OurReplyFaulted(NamedTuple):
    """The peer found fault with an answer of ours (CALLRESULTERROR, 2.1)."""

    message_id: str
    action: str | None
    code: str
    description: str


class HandlerFailed(NamedTuple):
    """Our own handler raised, or answered with a payload that breaks its schema; the peer got InternalError."""

    action: str
    reason: str


Event = (
    CallReceived
    | SendReceived
    | CallAnswered
    | CallFailed
    | LateReply
    | UnsolicitedReply
    | DuplicateCall
    | CallRefusedByRules
    | Mended
    | Garbage
    | OurReplyFaulted
    | HandlerFailed
)

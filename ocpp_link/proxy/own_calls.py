"""Calls of our own between relayed ones: with ids that never collide, and answers that go nowhere else."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ocpp_link import frames, schemas
from ocpp_link.dialect import Version
from ocpp_link.errors import CallRejected, CallTimeout, ConnectionLost, InvalidRequest, InvalidResponse, OcppError
from ocpp_link.outbox import Priority
from ocpp_link.protocol import new_message_id
from ocpp_link.proxy.hop import Hop, HopCall, Reply
from ocpp_link.repair import mend


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCall:
    """A call of ours."""

    action: str
    payload: dict[str, Any]
    priority: Priority
    timeout_s: float | None = None
    check: bool = True
    """Whether the schema is checked before."""


async def own_call(hop: Hop, call: OwnCall, *, version: Version, gone: Callable[[], bool]) -> dict[str, Any]:
    """Send a call of ours over a hop and return the payload of its answer.

    Parameters
    ----------
    hop, call, version
        The call and its way.
    gone
        Tells, when there is no answer, whether that end is lost.

    Raises
    ------
    InvalidRequest, CallRejected, InvalidResponse, CallTimeout, ConnectionLost
    """
    fault = schemas.first_fault(version, call.action, call.payload, response=False) if call.check else None
    if fault is not None:
        raise InvalidRequest(f"{call.action}: {fault.description}")
    answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    message_id = new_message_id()

    def answered(reply: Reply, _text: bytes) -> None:
        if answer.done():
            return
        outcome = _outcome(version, call.action, reply)
        if isinstance(outcome, OcppError):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    def given_up() -> None:
        if not answer.done():
            what = f"no answer to {call.action}"
            answer.set_exception(ConnectionLost(what) if gone() else CallTimeout(what))

    text = frames.serialise(frames.Call(message_id, call.action, call.payload))
    hop.push(
        HopCall(
            message_id=message_id,
            text=text,
            priority=call.priority,
            answered=answered,
            given_up=given_up,
            timeout_s=call.timeout_s,
        )
    )
    return await answer


def _outcome(version: Version, action: str, reply: Reply) -> dict[str, Any] | OcppError:
    if isinstance(reply, frames.CallError):
        return CallRejected(reply.code, reply.description, reply.details)
    payload, _, fault = mend(version, action, reply.payload, response=True)
    return payload if fault is None else InvalidResponse(f"{action}: {fault.description}")

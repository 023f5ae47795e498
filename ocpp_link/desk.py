"""Where a link's handler answers the calls of the peer.

Rule 1: an answer that needs no waiting is given from the reader, if nothing is before it: of a plain function, and of
    a coroutine that happens to wait for nothing.
Rule 2: everything else goes through the inbox, one call at a time in order of arrival.
Rule 3: whatever a handler does, its call is answered exactly once.
"""

import asyncio
import logging
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from ocpp_link import events
from ocpp_link.dialect import Fault
from ocpp_link.errors import AnswerLater, CallRefused
from ocpp_link.inbox import Inbox
from ocpp_link.link_handler import Answer, LinkHandler
from ocpp_link.protocol import Protocol

if TYPE_CHECKING:
    from ocpp_link.link import Link

logger = logging.getLogger(__name__)

INBOX_LIMIT = 256
"""Calls of one peer that wait for the handler; a peer that obeys has one."""


class Desk:
    """Takes calls to the handler and answers to the machine.

    Parameters
    ----------
    link
        Whose calls these are.
    machine
        Its sans-I/O half.
    handler
        Who answers.
    inbox
        What waits for the handler.
    """

    __slots__ = ("_handler", "_inbox", "_late_answers", "_link", "_machine")

    def __init__(self, link: "Link", machine: Protocol, handler: LinkHandler, inbox: Inbox) -> None:
        self._link = link
        self._machine = machine
        self._handler = handler
        self._inbox = inbox
        self._late_answers: set[asyncio.Task[None]] = set()

    def admit(self, event: events.CallReceived) -> bool:
        """Answer a call or queue it; True if the handler keeps it for later."""
        if not self._inbox.idle:
            return self._queue(event)
        try:
            answer = self._handler.on_call(self._link, event.action, event.payload)
            if isinstance(answer, CoroutineType):
                answer = self._inbox.begin(answer)
        except (Exception, asyncio.CancelledError) as error:
            self._fail(event, error)
            return False
        if isinstance(answer, dict):
            self._answer(event, answer)
            return False
        self._inbox.push(lambda: self._handle_call(event, answer))
        return True

    def admit_send(self, event: events.SendReceived) -> None:
        """Queue a message that wants no answer (2.1)."""
        self._inbox.push(lambda: self._handle_send(event))

    def close(self) -> None:
        """Forget the answers that were to be given later."""
        for task in self._late_answers:
            task.cancel()

    # Private methods.

    def _queue(self, event: events.CallReceived) -> bool:
        if len(self._inbox) >= INBOX_LIMIT:
            text = f"{INBOX_LIMIT} calls wait already"
            self._machine.refuse(event.message_id, Fault.GENERIC, text)
            self._link.report(events.CallRefusedByRules(event.message_id, event.action, Fault.GENERIC, text))
            return False
        self._inbox.push(lambda: self._handle_call(event, None))
        return True

    async def _handle_call(self, event: events.CallReceived, answer: Answer | None) -> None:
        try:
            if answer is None:
                answer = self._handler.on_call(self._link, event.action, event.payload)
            self._answer(event, answer if isinstance(answer, dict) else await answer)
        except Exception as error:
            self._fail(event, error)
        finally:
            self._link.write()
            self._link.clock.frame_done()

    async def _handle_send(self, event: events.SendReceived) -> None:
        try:
            answer = self._handler.on_call(self._link, event.action, event.payload)
            if not isinstance(answer, dict):
                await answer
        except CallRefused:
            self._link.report(events.CallRefusedByRules("", event.action, Fault.NOT_SUPPORTED, "SEND not served"))
        except Exception as error:
            logger.exception("%s: handler of %s failed", self._link.id, event.action)
            self._link.report(events.HandlerFailed(event.action, repr(error)))
        finally:
            self._link.clock.frame_done()

    def _answer(self, event: events.CallReceived, payload: dict[str, Any]) -> None:
        fault = self._machine.answer(event.message_id, payload)
        if fault is not None:
            reason = f"answer breaks its schema: {fault.description}"
            logger.error("%s: %s: %s", self._link.id, event.action, reason)
            self._link.report(events.HandlerFailed(event.action, reason))

    def _fail(self, event: events.CallReceived, error: BaseException) -> None:
        """Answer a call whose handler raised."""
        match error:
            case AnswerLater():
                if error.after_s is not None:
                    due_s = self._link.clock.now_s() + error.after_s
                    task = asyncio.create_task(self._answer_at(due_s, event, error.payload))
                    self._late_answers.add(task)
                    task.add_done_callback(self._late_answers.discard)
            case CallRefused():
                self._machine.refuse(event.message_id, error.fault, error.description, error.details)
            case _:
                logger.error("%s: handler of %s failed", self._link.id, event.action, exc_info=error)
                self._machine.refuse(event.message_id, Fault.INTERNAL, "the handler failed")
                self._link.report(events.HandlerFailed(event.action, repr(error)))

    async def _answer_at(self, due_s: float, event: events.CallReceived, payload: dict[str, Any]) -> None:
        await self._link.clock.sleep_until(due_s)
        self._answer(event, payload)
        self._link.write()

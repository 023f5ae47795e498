"""What a link asks of its user."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Protocol

from ocpp_link import events

if TYPE_CHECKING:
    from ocpp_link.link import Link

Answer = dict[str, Any] | Awaitable[dict[str, Any]]
"""What a handler of calls returns: the response's payload, at once or awaited."""


class LinkHandler(Protocol):
    """What a link asks of its user.

    For one link: ``on_connect``, then calls one at a time in order, then ``on_disconnect``.
    """

    async def on_connect(self, link: "Link") -> None:
        """Take note of the open connection. Do not await calls here: the peer's own first call waits behind it."""

    def on_call(self, link: "Link", action: str, payload: dict[str, Any]) -> Answer:
        """Answer a call with the payload of the response, or raise `CallRefused`; plain or ``async``."""

    async def on_disconnect(self, link: "Link", reason: str) -> None:
        """Take note of the end of the connection."""

    def on_event(self, link: "Link", event: events.Event) -> None:
        """Take note of what the protocol found: repairs, late answers, garbage, refusals."""

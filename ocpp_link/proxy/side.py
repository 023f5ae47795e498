"""One of the two sockets of a relayed station, as its owner."""

from collections.abc import Callable
from typing import Protocol

from ocpp_link.clock import Clock
from ocpp_link.wire import WebSocket
from ocpp_link.wirelog import Tap


class Relay(Protocol):
    """Who relays between two sides."""

    id: str
    clock: Clock

    def side_closing(self, side: "Side") -> None:
        """Deal with the end of a side."""

    def reads(self, side: "Side") -> bool:
        """Tell whether what a side says still counts."""


class Side:
    """Owner of one of a relay's two sockets.

    Parameters
    ----------
    relay
        Who relays.
    socket
        The open connection.
    take
        Takes each text.
    tap
        Gets every text of both directions, if anybody listens.
    """

    def __init__(
        self,
        relay: Relay,
        socket: WebSocket,
        take: Callable[[bytes], None],
        *,
        tap: Tap | None = None,
    ) -> None:
        self._relay = relay
        self._take = take
        self._tap = tap
        self.socket = socket
        socket.owner = self

    def write(self, text: bytes) -> None:
        """Write a text; lost if this end is closing."""
        if self.socket.send_text(text):
            self._relay.clock.frame_sent()
            if self._tap is not None:
                self._tap(self._relay.id, "out", text)

    def handshake_received(self, message: object) -> None:
        """Nothing: the handshake is over."""

    def text_received(self, text: bytes) -> None:
        """Relay a text."""
        if self._relay.reads(self):
            if self._tap is not None:
                self._tap(self._relay.id, "in", text)
            self._take(text)
        self._relay.clock.frame_done()

    def closing(self) -> None:
        """Let the relay know."""
        self._relay.side_closing(self)

    def closed(self, code: int, reason: str) -> None:
        """Nothing: ``closing`` came before."""

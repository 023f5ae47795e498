"""What a Local Controller asks of whoever decides about relayed messages, and of whoever stands in for a lost CSMS."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ocpp_link import frames
from ocpp_link.dialect import Fault

if TYPE_CHECKING:
    from ocpp_link.proxy.relay import RelayedStation


@dataclass(frozen=True, slots=True)
class Pass:
    """Let a call through as it is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer a call here; the other end never sees it."""

    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Later:
    """Answer a call here, as soon as the answer is known; the other end never sees it."""

    payload: Awaitable[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Change:
    """Let a call through with another payload, under its own id."""

    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer a call with a CALLERROR; the other end never sees it."""

    fault: Fault
    description: str
    details: dict[str, Any] = field(default_factory=dict)


Verdict = Pass | Answer | Later | Change | Refuse


class Interceptor(Protocol):
    """What a Local Controller sees and holds. All methods return at once."""

    def holds(self, action: str) -> bool:
        """Tell whether a call of the CSMS with this action must never reach the station unread.

        One that breaks its schema, or that hides its name, is refused then instead of relayed.
        """

    def on_connect(self, station: "RelayedStation") -> None:
        """Take note of a station, connected to both ends."""

    def on_upstream(self, station: "RelayedStation", *, connected: bool) -> None:
        """Take note that the CSMS of a station that goes on without it is lost, or back."""

    def on_csms_call(self, station: "RelayedStation", action: str, payload: dict[str, Any]) -> Verdict:
        """Decide about a call of the CSMS."""

    def on_station_call(self, station: "RelayedStation", action: str, payload: dict[str, Any]) -> Verdict:
        """Decide about a call of the station: what control must see comes by here, mended where that was needed."""

    def on_csms_reply(
        self, station: "RelayedStation", action: str, payload: dict[str, Any], reply: dict[str, Any] | None
    ) -> None:
        """Take note of what a station's call was answered; ``None``: refused, or not at all."""

    def on_station_reply(
        self, station: "RelayedStation", action: str, payload: dict[str, Any], reply: dict[str, Any] | None
    ) -> None:
        """Take note of what a call of the CSMS was answered; ``None``: refused, or not at all."""

    def on_disconnect(self, station: "RelayedStation", reason: str) -> None:
        """Take note of the end."""


class Standin(Protocol):
    """Who stands in for a CSMS that is lost: see `ocpp_link.proxy.sticky`. All methods return at once."""

    def started(self, station: "RelayedStation") -> None:
        """Take note of a station; its CSMS may be there or not."""

    def upstream_lost(self, station: "RelayedStation") -> None:
        """Take note that the CSMS is gone, before anything is asked of `answer`."""

    def answer(self, call: frames.Call) -> bytes | None:
        """Answer a station's call; None while the CSMS answers itself."""

    def for_csms(self, call: frames.Call) -> frames.Call:
        """Return a station's call as the CSMS has to read it."""

    def for_station(self, call: frames.Call) -> frames.Call:
        """Return a call of the CSMS as the station has to read it."""

    def ended(self) -> "asyncio.Task[None] | None":
        """Take note that the station is gone; return what still waits for an answer of the CSMS, if anything does."""

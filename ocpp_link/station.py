"""What a controller sees of a connected station."""

from collections.abc import Hashable, MutableMapping
from datetime import datetime
from typing import Any, Protocol

from ocpp_link.boot import Registration
from ocpp_link.dialect import Version
from ocpp_link.errors import NotAllowedYetError
from ocpp_link.events import Event
from ocpp_link.link import Link
from ocpp_link.link_handler import Answer
from ocpp_link.outbox import Priority


class WireMessage(Protocol):
    """A typed message: see `ocpp_link.v16` and `ocpp_link.v201`."""

    def to_wire(self) -> dict[str, Any]:
        """Return the payload as it goes over the wire."""


class Station:
    """A connected charging station; a reconnect makes a new one.

    Parameters
    ----------
    link
        The connection.
    registrations
        How stations stand with the server, by id.

    Notes
    -----
    The actions are those of the station's own version; `ocpp_link.dialect.actions` lists them.
    """

    def __init__(self, link: Link, registrations: MutableMapping[str, Registration]) -> None:
        self._link = link
        self._registrations = registrations

    @property
    def id(self) -> str:
        """The station's identity: the last segment of its URL, decoded."""
        return self._link.id

    @property
    def version(self) -> Version:
        """The OCPP version of the connection: ``1.6``, ``2.0.1`` or ``2.1``."""
        return self._link.version

    @property
    def connected(self) -> bool:
        """Whether calls can be made."""
        return self._link.connected

    @property
    def registration(self) -> str | None:
        """What its last BootNotification was answered: ``Accepted``, ``Pending``, ``Rejected``; ``None``: none seen."""
        known = self._registrations.get(self.id)
        return known.status if known is not None else None

    @property
    def peer_address(self) -> str:
        """The station's network address."""
        return self._link.peer_address

    @property
    def certificate_ends(self) -> datetime | None:
        """Until when the certificate is good that it showed (security profile 3); ``None``: it showed none."""
        return self._link.peer_certificate_ends

    @property
    def mends(self) -> dict[str, int]:
        """How often each repair was needed on this connection."""
        return dict(self._link.mends)

    async def call(
        self,
        action: str,
        payload: dict[str, Any] | WireMessage,
        *,
        timeout_s: float | None = None,
        priority: Priority = Priority.NORMAL,
        ttl_s: float | None = None,
        coalesce: Hashable | None = None,
    ) -> dict[str, Any]:
        """Ask the station and return the payload of its answer, which passed the official schema.

        Parameters
        ----------
        action
            For example ``SetChargingProfile``.
        payload
            As on the wire, or a typed message.
        timeout_s
            How long to wait once sent [s]; the server's default if absent.
        priority
            Place in the queue while another call is in flight: one is at a time.
        ttl_s
            How long the call may wait in that queue [s].
        coalesce
            A queued call with the same key is replaced by this one; its caller gets `CallExpired`.

        Raises
        ------
        CallRejected
            The station answered with a CALLERROR.
        InvalidResponse
            Its answer breaks the schema.
        CallTimeout, CallExpired, ConnectionLost
            No answer, not sent in time or replaced, or the connection ended (`Superseded`: a newer one won).
        InvalidRequest
            The payload breaks the schema; nothing was sent.
        NotAllowedYetError
            The station's boot is pending or rejected, and this has to wait; nothing was sent.
        """
        wire = payload if isinstance(payload, dict) else payload.to_wire()
        known = self._registrations.get(self.id)
        if known is not None and known.status != "Accepted":
            if not known.may_send(action):
                raise NotAllowedYetError(f"{self.id}: boot is {known.status}, {action} has to wait")
            self._registrations[self.id] = known.asked(action, wire)
        return await self._link.call(
            action, wire, timeout_s=timeout_s, priority=priority, ttl_s=ttl_s, coalesce=coalesce
        )

    async def close(self, *, code: int = 1000, reason: str = "") -> None:
        """End the connection in good order."""
        await self._link.close(code=code, reason=reason)

    def __repr__(self) -> str:
        return f"Station({self.id!r}, version={self.version!r}, connected={self.connected})"


class Handler(Protocol):
    """What a server asks of its user.

    For one station strictly in this order: ``on_connect``, then its calls one at a time in order of arrival, then
    ``on_disconnect``; the next connection of the same station begins after that.
    """

    async def on_connect(self, station: Station) -> None:
        """Take note of a station. Do not await calls here: the station's own first call waits behind it."""

    def on_call(self, station: Station, action: str, payload: dict[str, Any]) -> Answer:
        """Answer a call of the station with the payload of the response.

        Raise `NotSupportedError` for what is not served, `CallRefused` for another CALLERROR. Usually ``async def``;
        such a handler may call the station back. A plain ``def`` costs less where there is nothing to wait for.
        """

    async def on_disconnect(self, station: Station, reason: str) -> None:
        """Take note that the connection has ended."""

    def on_event(self, station: Station, event: Event) -> None:
        """Take note of what the protocol found: repairs, late answers, garbage, refusals (`ocpp_link.events`)."""

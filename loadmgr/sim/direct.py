"""Stations joined to a controller without a wire: payloads are handed over, no frame is written, nothing is validated.

Rules kept here
---------------
1. Both ends behave as on a link: one hears of the connection, of calls in order, and of the end; a call that is not
   answered in time ends as :class:`ocpp_link.errors.CallTimeout`, in simulated time.
2. What happens here takes no simulated time of its own.
"""

import asyncio
from typing import Any, Protocol, cast

from ocpp_link.clock import Clock
from ocpp_link.dialect import Version, error_code
from ocpp_link.errors import CallRefused, CallRejected, CallTimeout, ConnectFailed, ConnectionLost
from ocpp_link.link import Link
from ocpp_link.station import Handler, Station
from ocpp_link.testing import ChargingStation

Payload = dict[str, Any]

CALL_TIMEOUT_S = 30.0
"""How long either end waits where nobody says [s]."""


class Dial(Protocol):
    """How a station gets its connection."""

    async def __call__(self, wire: ChargingStation) -> None:
        """Connect a station's end of the wire."""


async def dial_url(wire: ChargingStation) -> None:
    """Connect as a station does: to its URL."""
    await wire.connect()


class DirectHub:
    """A controller's end without a socket; its ``dial`` joins stations to it.

    Parameters
    ----------
    handler : Handler
        What would be behind ``ocpp_link.transport.serve``.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.open = True

    async def dial(self, wire: ChargingStation) -> None:
        """Join a station's end of the wire to the handler."""
        if not self.open:
            raise ConnectFailed("nobody listens")
        join = _Join(wire, self._handler)
        wire.link = cast(Link, join.near)  # the few methods that a station's end uses
        await self._handler.on_connect(cast(Station, join.far))


class _Join:
    """Both ends of one connection."""

    def __init__(self, wire: ChargingStation, handler: Handler) -> None:
        self.wire = wire
        self.handler = handler
        self.connected = True
        self.near = _NearEnd(self)
        self.far = _FarEnd(self)

    async def end(self, reason: str) -> None:
        if self.connected:
            self.connected = False
            await self.wire.on_disconnect(cast(Link, self.near), reason)
            await self.handler.on_disconnect(cast(Station, self.far), reason)


class _NearEnd:
    """What a station sees of its connection."""

    def __init__(self, join: _Join) -> None:
        self._join = join

    @property
    def connected(self) -> bool:
        return self._join.connected

    async def call(self, action: str, payload: Payload, *, timeout_s: float | None = None) -> Payload:
        join = self._join
        if not join.connected:
            raise ConnectionLost("the connection has ended")
        answer = join.handler.on_call(cast(Station, join.far), action, payload)
        return await _answered(answer, clock=join.wire.clock, version=join.wire.version, timeout_s=timeout_s)

    async def close(self, *, code: int = 1000, reason: str = "") -> None:
        await self._join.end(reason or "closed by the station")

    async def drop(self) -> None:
        await self._join.end("dropped by the station")


class _FarEnd:
    """What a controller sees of a station."""

    def __init__(self, join: _Join) -> None:
        self._join = join
        self._order = asyncio.Lock()  # one call at a time, as on a link

    @property
    def id(self) -> str:
        return self._join.wire.identity

    @property
    def version(self) -> Version:
        return self._join.wire.version

    @property
    def connected(self) -> bool:
        return self._join.connected

    async def call(
        self, action: str, payload: Payload, *, timeout_s: float | None = None, **urgency: object
    ) -> Payload:
        wire = self._join.wire
        async with self._order:
            if not self._join.connected:
                raise ConnectionLost(f"{self.id} is not connected")
            answer = wire.on_call(cast(Link, self._join.near), action, payload)
            return await _answered(answer, clock=wire.clock, version=wire.version, timeout_s=timeout_s)

    async def close(self, *, code: int = 1000, reason: str = "") -> None:
        await self._join.end(reason or "closed by the controller")


async def _answered(answer: Any, *, clock: Clock, version: Version, timeout_s: float | None) -> Payload:
    """Wait for an answer in simulated time."""
    waiting: asyncio.Task[Payload] = asyncio.ensure_future(answer)
    await asyncio.sleep(0)
    if not waiting.done():
        limit_s = CALL_TIMEOUT_S if timeout_s is None else timeout_s
        deadline = asyncio.ensure_future(clock.sleep_until(clock.now_s() + limit_s))
        await asyncio.wait([waiting, deadline], return_when=asyncio.FIRST_COMPLETED)
        deadline.cancel()
        if not waiting.done():
            raise CallTimeout(f"no answer within {limit_s:g} s")
    try:
        return waiting.result()
    except CallRefused as refusal:
        raise CallRejected(error_code(version, refusal.fault), refusal.description, refusal.details) from refusal

"""Commands on their way to stations and batteries through a CSMS: kept until they are answered, or too old.

Rules
-----
1. What is to go out is handed over at least once; the id tells a repeat. An answer removes it, or its end of life.
2. The more urgent goes first; of two that set the same profile the newer one alone is handed over.
3. A site that is not ours to control hands nothing over.
4. What a battery is told is answered by its readings alone. The newest order of a battery is the only one, and is not
   handed over when it is too old.
"""

import asyncio
import itertools
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Unpack

from loadmgr.csms.site_door import Manner
from ocpp_link.clock import Clock
from ocpp_link.dialect import Version
from ocpp_link.errors import CallExpired, CallRejected, CallTimeout, ConnectionLost
from ocpp_link.outbox import Priority

USUAL_TIMEOUT_S = 30.0

MOST_WAITING = 10_000
"""Messages to a CSMS that fetches none; the oldest are not kept beyond it."""


@dataclass(slots=True, kw_only=True, eq=False)
class Outgoing:
    """A message to a station that waits for its answer.

    Parameters
    ----------
    id : int
        Rises with every message of the site.
    expires_s : float
        When it is given up, by the outbox's clock [s].
    """

    id: int
    station: str
    version: Version
    action: str
    payload: dict[str, Any]
    priority: Priority
    expires_s: float
    slot: Hashable | None = None
    answer: asyncio.Future[dict[str, Any]] = field(default_factory=asyncio.Future)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryOrder:
    """What a battery is to do [W], above 0 to charge.

    Parameters
    ----------
    id : int
        Of the same series as those of messages.
    expires_s : float
        When it must not be passed on any more, by the outbox's clock [s].
    """

    id: int
    battery: str
    power_w: int
    expires_s: float


class Outbox:
    """The messages of one site.

    Parameters
    ----------
    clock : Clock
    may_send : callable
        Whether this process controls the site now.
    """

    def __init__(self, *, clock: Clock, may_send: Callable[[], bool]) -> None:
        self._clock = clock
        self._may_send = may_send
        self._ids = itertools.count(int(clock.now().timestamp() * 1000))
        self._waiting: dict[int, Outgoing] = {}
        self._orders: dict[str, BatteryOrder] = {}
        self._handed_over = 0  # the newest order that was: nobody is woken for it again
        self._news = asyncio.Event()
        self._closed = False

    def close(self) -> None:
        """Give up everything, and take nothing more."""
        self._closed = True
        for message in list(self._waiting.values()):
            self._end(message, ConnectionLost("the controller stops"))

    def put(self, link: "CsmsLink", action: str, payload: dict[str, Any], *, timeout_s: float, priority: Priority,
            slot: Hashable | None) -> Outgoing:  # fmt: skip
        """Take a message in.

        Raises
        ------
        ConnectionLost
            If too many wait already, or nothing is sent any more.
        """
        if self._closed or not self._may_send():
            raise ConnectionLost("the controller stops" if self._closed else "this worker does not hold the site")
        if len(self._waiting) >= MOST_WAITING:
            raise ConnectionLost(f"{MOST_WAITING} messages wait already: nobody fetches them")
        for older in [o for o in self._waiting.values() if slot is not None and o.slot == slot]:
            self._end(older, CallExpired("overtaken by a later one"))
        message = Outgoing(
            id=next(self._ids),
            station=link.id,
            version=link.version,
            action=action,
            payload=payload,
            priority=priority,
            expires_s=self._clock.now_s() + timeout_s,
            slot=slot,
        )
        self._waiting[message.id] = message
        self._news.set()
        return message

    def waiting(self, *, after: int = 0) -> list[Outgoing]:
        """Return the messages with a higher id that are to be sent, the most urgent first."""
        if not self._may_send():
            return []
        found = [m for m in self._waiting.values() if m.id > after and not m.answer.done()]
        return sorted(found, key=lambda m: (m.priority, m.id))

    def order(self, battery: str, power_w: int, *, lasts_s: float) -> None:
        """Take in what a battery is to do [W], in place of what it was to do before; it is passed on so long [s]."""
        if not self._closed:
            expires_s = self._clock.now_s() + lasts_s
            self._orders[battery] = BatteryOrder(
                id=next(self._ids), battery=battery, power_w=power_w, expires_s=expires_s
            )
            self._news.set()

    def orders(self, *, after: int = 0) -> list[BatteryOrder]:
        """Return the newest order of each battery that has a higher id and is not too old."""
        if self._closed or not self._may_send():
            return []
        now_s = self._clock.now_s()
        return [o for o in self._orders.values() if o.id > after and o.expires_s > now_s]

    def handed_over(self, orders: list[BatteryOrder]) -> None:
        """Take note that orders were passed on."""
        self._handed_over = max([self._handed_over, *(o.id for o in orders)])

    async def wait(self, *, after: int, within_s: float) -> list[Outgoing]:
        """Return the messages with a higher id once there is one, or a new order; none where that takes too long."""
        until_s = self._clock.now_s() + within_s
        while True:
            found = self.waiting(after=after)
            left_s = until_s - self._clock.now_s()
            if found or left_s <= 0.0 or self.orders(after=max(after, self._handed_over)):
                return found
            self._news.clear()
            try:
                async with asyncio.timeout(left_s):
                    await self._news.wait()
            except TimeoutError:
                return self.waiting(after=after)

    def of(self, message_id: int) -> Outgoing | None:
        """Return a message that waits for its answer."""
        return self._waiting.get(message_id)

    def answered(self, message: Outgoing, payload: dict[str, Any]) -> None:
        """Take a station's answer."""
        if not message.answer.done():
            message.answer.set_result(payload)

    def failed(self, message: Outgoing, code: str, description: str) -> None:
        """Take a station's, or the CSMS's, refusal."""
        self._end(message, CallRejected(code, description))

    def lost(self, station: str) -> None:
        """Give up what a station that is gone was asked."""
        for message in [m for m in self._waiting.values() if m.station == station]:
            self._end(message, ConnectionLost(f"station {station} is gone"))

    def remove(self, message: Outgoing) -> None:
        """Forget a message."""
        self._waiting.pop(message.id, None)

    def _end(self, message: Outgoing, error: Exception) -> None:
        self.remove(message)
        if not message.answer.done():
            message.answer.set_exception(error)


class CsmsLink:
    """A way to a station that is connected to a CSMS: what it is asked waits in an outbox."""

    def __init__(self, station: str, version: Version, outbox: Outbox) -> None:
        self.id = station
        self.version = version
        self._outbox = outbox

    async def call(self, action: str, payload: dict[str, Any], **manner: Unpack[Manner]) -> dict[str, Any]:
        """Ask the station by way of the outbox; `CallTimeout` if no answer is brought in time."""
        given_s = manner.get("timeout_s")
        patience_s = USUAL_TIMEOUT_S if given_s is None else given_s
        priority, slot = manner.get("priority", Priority.NORMAL), manner.get("coalesce")
        message = self._outbox.put(self, action, payload, timeout_s=patience_s, priority=priority, slot=slot)
        try:
            async with asyncio.timeout(patience_s):
                return await message.answer
        except TimeoutError:
            raise CallTimeout(f"{action}: no answer was brought within {patience_s:g} s") from None
        finally:
            self._outbox.remove(message)

    async def close(self, *, code: int = 1000, reason: str = "") -> None:
        """Give up what the station was asked; its connection is the CSMS's."""
        del code, reason
        self._outbox.lost(self.id)

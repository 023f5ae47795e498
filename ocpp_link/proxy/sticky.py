"""Standing in for a lost CSMS: stations are served on, what they tell is kept on disk and told later, in order.

Rule 1: what a station tells (transactions, security events, reports) is stored, then acknowledged; of statuses only the
    latest of each EVSE is worth telling. What a station asks is answered as a CSMS would that knows nothing.
Rule 2: the CSMS has the last word: a transaction that it refuses afterwards is stopped.
Rule 3: until everything is told, nothing new overtakes: the first boot, then the queue, then the wire again.
Rule 4: a transaction that began without the CSMS has an id of ours (1.6); the CSMS reads its own id, the station ours.
"""

import asyncio
import logging
import random
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ocpp_link import frames, schemas
from ocpp_link.answers import csms_answer
from ocpp_link.clock import Clock
from ocpp_link.dialect import Fault, Version, error_code
from ocpp_link.errors import CallRejected, ConnectFailed, InvalidResponse, NotSupportedError, OcppError
from ocpp_link.proxy.queue import Queued, UpstreamQueue
from ocpp_link.proxy.relay import RelayedStation
from ocpp_link.timestamps import to_wire
from ocpp_link.wire import WebSocket

logger = logging.getLogger(__name__)

_TOLD_NAMES = (
    "StartTransaction StopTransaction MeterValues TransactionEvent StatusNotification SecurityEventNotification"
    " FirmwareStatusNotification SignedFirmwareStatusNotification DiagnosticsStatusNotification"
    " LogStatusNotification NotifyChargingLimit ClearedChargingLimit NotifyEvent NotifyReport"
    " ReservationStatusUpdate NotifySettlement BatterySwap"
)
_TOLD = frozenset(_TOLD_NAMES.split())
_ATTEMPTS = 3
_RETRY_S = 5.0
_SHORTEST_BOOT_RETRY_S = 10.0

Upstream = tuple[WebSocket, Sequence[bytes]]
"""A connection to the CSMS, and what it has already said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sticky:
    """How to go on without the CSMS."""

    queue: Path
    """The SQLite file that keeps what the CSMS has to be told."""
    start_offline: bool = False
    """Whether anybody may start charging meanwhile; otherwise tokens are answered ``Invalid``."""
    heartbeat_interval_s: int = 300
    first_retry_s: float = 1.0
    longest_retry_s: float = 60.0


class StickyStation:
    """Stands in for one station's CSMS: the `Standin` of a `RelayedStation`.

    Parameters
    ----------
    identity, version
        The station.
    rules
        How to go on.
    queue
        What has to be told.
    clock
        Where time comes from.
    dial
        Connects to the CSMS as the station did; raises `ConnectFailed`.
    """

    def __init__(
        self,
        *,
        identity: str,
        version: Version,
        rules: Sticky,
        queue: UpstreamQueue,
        clock: Clock,
        dial: Callable[[], Awaitable[Upstream]],
    ) -> None:
        self._id = identity
        self._version: Version = version
        self._rules = rules
        self._queue = queue
        self._clock = clock
        self._dial = dial
        self._live = False
        self._boot_due = False
        self._ids = queue.transaction_ids(identity)
        self._task: asyncio.Task[None] | None = None
        self._telling = False
        self._ended = False

    def started(self, station: RelayedStation) -> None:
        """Begin; what an earlier connection left is told first."""
        self._live = station.upstream_connected and self._queue.first(self._id) is None
        if not self._live:
            self._boot_due = True
            self._task = asyncio.create_task(self._come_back(station))

    def upstream_lost(self, station: RelayedStation) -> None:
        """Serve on, and try to come back."""
        self._live = False
        self._boot_due = True
        if self._task is None or self._task.done():
            logger.warning("%s: the CSMS is lost, serving on", self._id)
            self._task = asyncio.create_task(self._come_back(station))

    def ended(self) -> asyncio.Task[None] | None:
        """Stop, for the station has gone: at once, or when the message under way is answered."""
        self._ended = True
        if self._task is not None and not self._telling:
            self._task.cancel()
        return self._task if self._telling else None

    def answer(self, call: frames.Call) -> bytes | None:
        """Answer in place of the CSMS; None when it is there to answer itself."""
        payload = call.payload if isinstance(call.payload, dict) else {}
        try:
            if call.action == "BootNotification":
                self._queue.booted(self._id, payload)
                self._boot_due = True
            if self._live:
                return None
            return frames.serialise(frames.CallResult(call.message_id, self._payload(call.action, payload)))
        except NotSupportedError:
            return self._refusal(call, Fault.NOT_SUPPORTED, "not while the CSMS is away")
        except (FileNotFoundError, KeyError, ValueError):
            return self._refusal(call, Fault.FORMAT, "cannot be answered while the CSMS is away")
        except (OverflowError, sqlite3.Error) as error:
            logger.warning("%s: %s cannot be kept: %s", self._id, call.action, error)
            if self._live:
                return None
            return self._refusal(call, Fault.INTERNAL, str(error))

    def for_csms(self, call: frames.Call) -> frames.Call:
        """Return a station's call with the CSMS's ids."""
        if not self._ids or not isinstance(call.payload, dict):
            return call
        payload = self._renamed(call.payload, self._ids)
        return call if payload is call.payload else call._replace(payload=payload)

    def for_station(self, call: frames.Call) -> frames.Call:
        """Return a call of the CSMS with the station's ids."""
        if not self._ids or not isinstance(call.payload, dict):
            return call
        ours = {upstream: local for local, upstream in self._ids.items()}
        payload = self._renamed(call.payload, ours)
        profile = payload.get("csChargingProfiles")
        if isinstance(profile, dict):
            inner = self._renamed(profile, ours)
            payload = payload if inner is profile else {**payload, "csChargingProfiles": inner}
        return call if payload is call.payload else call._replace(payload=payload)

    # Private methods.

    @staticmethod
    def _renamed(payload: dict[str, Any], names: dict[int, int]) -> dict[str, Any]:
        known = payload.get("transactionId")
        return {**payload, "transactionId": names[known]} if isinstance(known, int) and known in names else payload

    def _payload(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Store what is told, and return the answer."""
        transaction_id: int | None = 0
        if action not in _TOLD and schemas.first_fault(self._version, action, payload, response=False) is not None:
            raise ValueError(action)
        status = "Accepted" if self._rules.start_offline else "Invalid"
        if action == "TransactionEvent" and payload.get("eventType") == "Ended":
            status = "Accepted"
        answer = csms_answer(
            self._version,
            action,
            payload,
            now=self._clock.now(),
            heartbeat_interval_s=self._rules.heartbeat_interval_s,
            token_status=status,
        )
        if action == "StartTransaction":
            transaction_id = self._queue.push_start(self._id, payload)
            answer["transactionId"] = transaction_id
        elif action in _TOLD:
            marked = _marked(self._version, action, payload, self._clock.now())
            if not self._queue.push(self._id, action, marked, replaces=_replaces(action, payload)):
                transaction_id = None
        if transaction_id is None:
            raise OverflowError("too much waits for the CSMS: keep it")
        return answer

    def _refusal(self, call: frames.Call, fault: Fault, text: str) -> bytes:
        return frames.serialise(frames.CallError(call.message_id, error_code(self._version, fault), text, {}))

    async def _come_back(self, station: RelayedStation) -> None:
        """Connect again, tell everything, and step aside."""
        wait_s = self._rules.first_retry_s
        while station.connected:
            if not station.upstream_connected:
                await self._sleep(wait_s * random.uniform(0.5, 1.0))  # not all at once
                wait_s = min(2.0 * wait_s, self._rules.longest_retry_s)
                try:
                    socket, early = await self._dial()
                except ConnectFailed as error:
                    logger.info("%s: still without CSMS: %s", self._id, error)
                    continue
                station.attach(socket, early)
            try:
                await self._tell_everything(station)
            except (OcppError, sqlite3.Error) as error:
                logger.warning("%s: without the CSMS again: %s", self._id, error)
                station.lose_upstream()
            else:
                if self._ended:
                    return
                logger.info("%s: the CSMS is back and knows everything", self._id)
                return

    async def _tell_everything(self, station: RelayedStation) -> None:
        while not (self._live or self._ended):
            boot = self._queue.boot_of(self._id) if self._boot_due else None
            if boot is not None:
                self._boot_due = False
                answer = await station.call_csms("BootNotification", boot, check=False)
                if answer["status"] != "Accepted":
                    self._boot_due = True
                    await self._sleep(max(answer["interval"], _SHORTEST_BOOT_RETRY_S))
            elif not await self._tell_first(station):
                self._live = station.upstream_connected
                return

    async def _tell_first(self, station: RelayedStation) -> bool:
        """Tell the oldest message, after an earlier connection of the station is done with it; False if none waits."""
        async with self._queue.turn(self._id):
            message = self._queue.first(self._id)
            if message is None:
                return False
            self._telling = True
            try:
                await self._tell(station, message)
            finally:
                self._telling = False
        return True

    async def _tell(self, station: RelayedStation, message: Queued) -> None:
        """Tell one message; one that is refused again and again is given up, as stations do (1.6 section 3.7.1)."""
        payload = self._renamed(message.payload, self._ids)
        for attempt in range(_ATTEMPTS):
            try:
                answer = await station.call_csms(message.action, payload, check=False)
            except InvalidResponse as error:
                logger.warning("%s: %s: %s", self._id, message.action, error)
                answer = {}  # it was read
            except CallRejected as error:
                logger.warning("%s: the CSMS refuses %s: %s", self._id, message.action, error)
                if self._ended:
                    return
                await self._sleep(_RETRY_S * (attempt + 1))
                continue
            upstream_id = answer.get("transactionId") if message.local_id is not None else None
            self._queue.done(message, upstream_id=upstream_id)
            if message.local_id is not None and upstream_id is not None:
                self._ids[message.local_id] = upstream_id
            await self._stop_if_refused(station, message, answer)
            return
        logger.error("%s: given up: %s %s", self._id, message.action, message.payload)
        self._queue.done(message)

    async def _stop_if_refused(self, station: RelayedStation, message: Queued, answer: dict[str, Any]) -> None:
        known = answer.get("idTagInfo") or answer.get("idTokenInfo") or {}
        if known.get("status", "Accepted") == "Accepted":
            return
        try:
            if message.action == "StartTransaction":
                await station.call("RemoteStopTransaction", {"transactionId": message.local_id})
            elif message.action == "TransactionEvent" and message.payload.get("eventType") != "Ended":
                transaction = message.payload["transactionInfo"]["transactionId"]
                await station.call("RequestStopTransaction", {"transactionId": transaction})
        except OcppError as error:
            logger.warning("%s: a refused transaction goes on: %s", self._id, error)

    async def _sleep(self, seconds_s: float) -> None:
        await self._clock.sleep_until(self._clock.now_s() + seconds_s)


def _marked(version: Version, action: str, payload: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Return a message with what its reader needs to know when it comes late."""
    if action == "TransactionEvent":
        return {**payload, "offline": True}  # 2.x E04: it happened while the CSMS could not be told
    if action == "StatusNotification" and version == "1.6" and "timestamp" not in payload:
        return {**payload, "timestamp": to_wire(now)}
    return payload


def _replaces(action: str, payload: dict[str, Any]) -> str | None:
    """Return what an out-of-date message is known by: only a connector's latest status is of use."""
    if action != "StatusNotification":
        return None
    return f"status {payload.get('evseId', '')} {payload.get('connectorId', '')}"

"""The wire half of a scriptable charging station, for tests, simulations and the emulator.

Rule 1: this file knows messages, not electricity: what the station does with a profile, a vehicle or a meter is its
    `Body`'s business.
Rule 2: the methods mean the same in every version; what differs on the wire is decided here and nowhere else.
Rule 3: the station obeys the rules that real ones should: transaction messages in order, seqNo without gaps, no
    status told twice. It is rude on demand: it drops the line (``disconnect(drop=True)``), answers late or in error
    (`PlainBody`), says things twice (`ChargingStation.repeat`) and says anything (`ChargingStation.write`).

A session against a CSMS of our own, in real time; against another, only the address differs:

>>> from ocpp_link.answers import csms_answer
>>> from ocpp_link.transport import SystemClock, serve
>>> class Csms:
...     async def on_connect(self, station): ...
...     async def on_disconnect(self, station, reason): ...
...     def on_event(self, station, event): ...
...     def on_call(self, station, action, payload):
...         print(station.id, action)
...         return csms_answer(station.version, action, payload, now=SystemClock().now(), transaction_id=7)
>>> async def session():
...     server = await serve("127.0.0.1", 0, handler=Csms())
...     url = f"ws://127.0.0.1:{server.port}/ocpp"
...     body = PlainBody({"Reset": {"status": "Rejected"}})
...     station = ChargingStation(identity="CS1", version="1.6", url=url, clock=SystemClock(), body=body)
...     await station.connect()
...     await station.boot()
...     started = await station.start_transaction(1, "TAG", meter_wh=0.0)
...     await station.meter_values(1, [Sample(16.0, "Current.Import", phase="L1")])
...     print(await server.stations["CS1"].call("Reset", {"type": "Soft"}))
...     await station.stop_transaction(1, meter_wh=120.0)
...     await station.disconnect()
...     await server.close()
>>> asyncio.run(session())
CS1 BootNotification
CS1 StartTransaction
CS1 MeterValues
{'status': 'Rejected'}
CS1 StopTransaction
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from ocpp_link import events
from ocpp_link.answers import station_answer
from ocpp_link.clock import Clock
from ocpp_link.dialect import Version
from ocpp_link.errors import AnswerLater, CallTimeout, ConnectionLost, OcppError
from ocpp_link.frames import Call, serialise
from ocpp_link.link import Link
from ocpp_link.protocol import new_message_id
from ocpp_link.testing_wire import BootReply, Sample, StartReply, StationTalk, Transaction, talk_of
from ocpp_link.timestamps import from_wire
from ocpp_link.transport import ClientPolicy, connect

if TYPE_CHECKING:
    from ocpp_link.testing_certificate import ClientCertificate

__all__ = ["Body", "BootReply", "ChargingStation", "PlainBody", "Sample", "StartReply", "Transaction"]


class Body(Protocol):
    """What is inside a charging station: profiles, vehicles, meters, configuration."""

    async def on_call(self, action: str, payload: dict[str, Any], now: datetime) -> dict[str, Any]:
        """Answer a call of the CSMS with the payload of the response; raise `NotSupportedError` for the unserved."""

    def on_disconnect(self, reason: str) -> None:
        """Take note that the connection has ended, whoever ended it."""


class PlainBody:
    """A body without electricity: it answers every call as a plain station does and remembers what it was told.

    Parameters
    ----------
    answers
        Responses by action, to script the station. An `OcppError` is raised instead of returned.
    delays_s
        How long the answer to an action takes [s]; other calls are answered meanwhile.
    """

    def __init__(
        self,
        answers: Mapping[str, dict[str, Any] | OcppError] | None = None,
        *,
        delays_s: Mapping[str, float] | None = None,
    ) -> None:
        self.received: list[tuple[str, dict[str, Any]]] = []
        """Every call of the CSMS in order."""
        self.answers: dict[str, dict[str, Any] | OcppError] = dict(answers or {})
        self.delays_s: dict[str, float] = dict(delays_s or {})
        self.disconnects: list[str] = []
        """Why connections ended."""
        self.version: Version = "1.6"
        """Set by the station that this body belongs to."""

    async def on_call(self, action: str, payload: dict[str, Any], now: datetime) -> dict[str, Any]:
        """Answer as scripted, else plainly."""
        self.received.append((action, payload))
        answer = self.answers.get(action)
        if isinstance(answer, OcppError):
            raise answer
        if answer is None:
            answer = station_answer(self.version, action, payload)
        if action in self.delays_s:
            raise AnswerLater(answer, after_s=self.delays_s[action])
        return answer

    def on_disconnect(self, reason: str) -> None:
        """Remember the reason."""
        self.disconnects.append(reason)


class ChargingStation:
    """A charging station's end of the wire.

    Parameters
    ----------
    identity
        The station's id, last part of its URL.
    version
        The OCPP version that it offers.
    url
        The CSMS's endpoint, for example ``ws://127.0.0.1:9000/ocpp``.
    clock
        Where time comes from.
    body
        Who answers the CSMS's calls.
    vendor, model, firmware, serial
        What BootNotification tells.
    call_timeout_s
        How long to wait for an answer [s].
    policy
        How to log in.
    """

    def __init__(  # noqa: PLR0913 - the nameplate of a station
        self,
        *,
        identity: str,
        version: Version,
        url: str,
        clock: Clock,
        body: Body,
        vendor: str = "Emulator",
        model: str = "Emulator",
        firmware: str | None = None,
        serial: str | None = None,
        call_timeout_s: float = 30.0,
        policy: ClientPolicy | None = None,
    ) -> None:
        self.identity = identity
        self.version: Version = version
        self.url = url
        self.clock = clock
        self.body = body
        self.link: Link | None = None
        if isinstance(body, PlainBody):
            body.version = version
        self._nameplate = {"vendor": vendor, "model": model, "firmware": firmware, "serial": serial}
        self._call_timeout_s = call_timeout_s
        self.policy = policy
        self.certificate: ClientCertificate | None = None
        """Set one to have it renewed over OCPP."""
        self._talk: StationTalk = talk_of(version)
        self._transactions: dict[int, Transaction] = {}
        self._told_status: dict[tuple[int, int], str] = {}
        self._heartbeats: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether messages can be sent."""
        return self.link is not None and self.link.connected

    @property
    def transactions(self) -> Mapping[int, str]:
        """The open transactions: EVSE to transaction id."""
        return MappingProxyType({evse: tx.transaction_id for evse, tx in self._transactions.items()})

    async def connect(self) -> None:
        """Connect; a fresh connection says nothing by itself.

        Raises
        ------
        ConnectFailed
            If the CSMS cannot be reached or does not want this station.
        """
        self.link = await connect(
            self.url,
            identity=self.identity,
            handler=self,
            clock=self.clock,
            versions=(self.version,),
            call_timeout_s=self._call_timeout_s,
            policy=self.policy,
        )

    async def disconnect(self, *, drop: bool = False) -> None:
        """End the connection: in good order, or as a failing network does (``drop``)."""
        self._stop_heartbeats()
        if self.link is not None:
            await (self.link.drop() if drop else self.link.close())

    async def call(self, action: str, payload: dict[str, Any], *, timeout_s: float | None = None) -> dict[str, Any]:
        """Send any message and return the payload of its answer.

        Raises
        ------
        OcppError
            As `Link.call`; `ConnectionLost` also while not connected.
        """
        if self.link is None:
            raise ConnectionLost(f"{self.identity} is not connected")
        return await self.link.call(action, payload, timeout_s=timeout_s)

    def write(self, text: str | bytes) -> None:
        """Write any text as it is, past every rule: what is no JSON, no OCPP, or breaks its schema.

        Raises
        ------
        ConnectionLost
            While not connected.
        """
        if self.link is None:
            raise ConnectionLost(f"{self.identity} is not connected")
        self.link.write_raw(text.encode() if isinstance(text, str) else text)

    def repeat(self, action: str, payload: dict[str, Any], *, times: int = 2) -> None:
        """Say the same message several times, under one id; nobody waits for the answers."""
        text = serialise(Call(new_message_id(), action, payload))
        for _ in range(times):
            self.write(text)

    async def boot(self, *, reason: str = "PowerUp") -> BootReply:
        """Send BootNotification; when it is accepted, heartbeats follow by themselves."""
        self._told_status.clear()
        reply = self._talk.boot_reply(await self.call("BootNotification", self._talk.boot(reason, **self._nameplate)))
        self._stop_heartbeats()
        if reply.status == "Accepted" and reply.interval_s > 0:
            self._heartbeats = asyncio.create_task(self._beat(float(reply.interval_s)))
        return reply

    async def heartbeat(self) -> datetime:
        """Send Heartbeat and return the CSMS's time."""
        return from_wire((await self.call("Heartbeat", {}))["currentTime"])

    async def status(self, evse_id: int, status: str, *, connector_id: int = 1, error_code: str = "NoError") -> None:
        """Tell the state of a connector in the words of 1.6.

        In 2.x it becomes a StatusNotification where the coarser state changed, and within a transaction a
        TransactionEvent with the charging state.
        """
        now = self.clock.now()
        told = self._talk.connector_status(status)
        key = (evse_id, connector_id)
        if self._talk.repeats_status or self._told_status.get(key) != told:
            payload = self._talk.status(key, told, error_code, now)
            await self.call("StatusNotification", payload)
            self._told_status[key] = told
        transaction = self._transactions.get(evse_id)
        state = self._talk.charging_state(status)
        if transaction is not None and state is not None and state != transaction.charging_state:
            changed = self._advance(evse_id, replace(transaction, charging_state=state))
            await self.call("TransactionEvent", self._talk.updated(changed, "ChargingStateChanged", now))

    async def authorize(self, id_token: str) -> str:
        """Ask whether a token may charge; returns the status."""
        return self._talk.authorize_status(await self.call("Authorize", self._talk.authorize(id_token)))

    async def start_transaction(
        self,
        evse_id: int,
        id_token: str,
        *,
        meter_wh: float,
        remote_start_id: int | None = None,
        at: datetime | None = None,
        offline_at: datetime | None = None,
    ) -> StartReply:
        """Start a transaction on an EVSE (1.6: connector).

        ``at``: it began then, said again or late; ``offline_at``: then, without a connection.
        """
        now = offline_at or at or self.clock.now()
        name = self._talk.new_transaction_id(evse_id, now)
        transaction = Transaction(evse_id=evse_id, transaction_id=name, id_token=id_token)
        told = replace(transaction, offline=offline_at is not None)
        action, payload = self._talk.start(told, meter_wh, remote_start_id, now)
        self._transactions[evse_id] = transaction
        try:
            answer = await self.call(action, payload)
        except OcppError:
            if not transaction.transaction_id:
                self._transactions.pop(evse_id, None)  # 1.6: the CSMS would have named it
            raise
        reply = self._talk.start_reply(transaction, answer)
        if evse_id in self._transactions:
            self._transactions[evse_id] = replace(self._transactions[evse_id], transaction_id=reply.transaction_id)
        return reply

    async def meter_values(
        self, evse_id: int, samples: Sequence[Sample], *, offline_at: datetime | None = None
    ) -> None:
        """Report samples of the open transaction, else of the EVSE; ``offline_at``: taken then, unconnected."""
        now = offline_at or self.clock.now()
        transaction = self._transactions.get(evse_id)
        if transaction is not None:
            transaction = replace(self._advance(evse_id, transaction), offline=offline_at is not None)
        action, payload = self._talk.meter_values(evse_id, transaction, samples, now)
        await self.call(action, payload)

    async def stop_transaction(
        self,
        evse_id: int,
        *,
        meter_wh: float,
        reason: str = "EVDisconnected",
        at: datetime | None = None,
        offline_at: datetime | None = None,
    ) -> None:
        """Stop the open transaction of an EVSE.

        ``at``: it ended then, said again or late; ``offline_at``: then, without a connection. Where nobody answered,
        it stays open to be stopped again.

        Raises
        ------
        ValueError
            If the EVSE has none.
        """
        transaction = self._transactions.pop(evse_id, None)
        if transaction is None:
            raise ValueError(f"evse_id must have an open transaction, got {evse_id}")
        ended = replace(transaction, seq_no=transaction.seq_no + 1, offline=offline_at is not None)
        action, payload = self._talk.stop(ended, meter_wh, reason, offline_at or at or self.clock.now())
        try:
            await self.call(action, payload)
        except (CallTimeout, ConnectionLost):
            self._transactions.setdefault(evse_id, transaction)
            raise

    def forget(self) -> None:
        """Lose everything that a power cut takes: open transactions and what was told."""
        self._transactions.clear()
        self._told_status.clear()

    # Called by the link.

    async def on_connect(self, link: Link) -> None:
        """Nothing: a station speaks when its body wants it to."""

    async def on_call(self, link: Link, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Ask the body; what is about certificates is the wire half's own."""
        own = None if self.certificate is None else self.certificate.answer(self, action, payload)
        return own if own is not None else await self.body.on_call(action, payload, self.clock.now())

    async def on_disconnect(self, link: Link, reason: str) -> None:
        """Tell the body, unless a newer connection stands already."""
        if link is self.link:
            self._stop_heartbeats()
            self.body.on_disconnect(reason)

    def on_event(self, link: Link, event: events.Event) -> None:
        """Nothing: a station keeps no record of its CSMS's faults."""

    # Private methods.

    def _advance(self, evse_id: int, transaction: Transaction) -> Transaction:
        self._transactions[evse_id] = replace(transaction, seq_no=transaction.seq_no + 1)
        return self._transactions[evse_id]

    async def _beat(self, interval_s: float) -> None:
        due_s = self.clock.now_s()
        while True:
            due_s += interval_s
            await self.clock.sleep_until(due_s)
            try:
                await self.heartbeat()
            except ConnectionLost:
                return
            except OcppError:
                continue  # the next beat tries again, as stations do

    def _stop_heartbeats(self) -> None:
        if self._heartbeats is not None:
            self._heartbeats.cancel()
            self._heartbeats = None

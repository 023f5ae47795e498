"""The controller in a simulated world: the thin loop that carries observations in and commands out.

Rules kept here
---------------
1. It stands behind an endpoint: a ``Handler`` of the link, for frames and for stations that are joined directly.
2. Observations of one instant are sorted by station before they are folded: the order of arrival is nobody's decision.
3. Every command is answered by exactly one ``CommandAnswered``, whatever happens to the connection.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from loadmgr.bridge import from_ocpp, to_ocpp
from loadmgr.control.battery_facts import SetBatteryPower
from loadmgr.control.command import Command
from loadmgr.control.controller import SiteController
from loadmgr.control.observation import Observation, Outcome, StationConnected, StationDisconnected
from loadmgr.model.ids import StationId
from loadmgr.model.profile import OcppVersion
from loadmgr.sim.clock import PartyClock, Timer
from ocpp_link.answers import TransactionIds, csms_answer
from ocpp_link.errors import OcppError
from ocpp_link.events import Event
from ocpp_link.station import Station


def _nobody(told: SetBatteryPower) -> None:
    """Let a setpoint go by: there is no battery."""


class ControlLoop:
    """One controller, and the stations that are connected to it.

    Parameters
    ----------
    controller : SiteController
    party : PartyClock
        Its priority lies after every station's.
    call_timeout_s : float
        How long a station may take to answer [s].

    Attributes
    ----------
    messages : Counter
        Messages ``in`` and ``out``, and ``profiles`` sent.
    decisions : int
        How often it decided.
    tell_battery : callable
        Takes what batteries are told.
    """

    def __init__(self, controller: SiteController, *, party: PartyClock, call_timeout_s: float) -> None:
        self.controller = controller
        self.messages: Counter[str] = Counter()
        self.decisions = 0
        self.tell_battery: Callable[[SetBatteryPower], None] = _nobody
        self._party = party
        self._call_timeout_s = call_timeout_s
        self._transactions = TransactionIds()
        self._inbox: list[tuple[str, int, Observation]] = []
        self._links: dict[str, Station] = {}
        self._woken = asyncio.Event()
        self._due: Timer | None = None
        self._sending: set[asyncio.Task[None]] = set()

    def observe(self, observation: Observation, *, source: str = "") -> None:
        """Take in a fact; it is folded once everything of this instant is in."""
        self._inbox.append((source, len(self._inbox), observation))
        self._woken.set()

    async def on_connect(self, station: Station) -> None:
        """Take note of a station."""
        self._links[station.id] = station
        version, name = OcppVersion(station.version), StationId(station.id)
        self.observe(StationConnected(at=self._party.now(), station=name, version=version), source=name)

    async def on_call(self, station: Station, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Turn a station's call into observations, and answer it."""
        self.messages.update(("in", "out"))
        now = self._party.now()
        number = self._transactions.id_for(station.id, payload) if action == "StartTransaction" else None
        facts = from_ocpp.observations(
            action,
            payload,
            version=OcppVersion(station.version),
            station=StationId(station.id),
            at=now,
            transaction=None if number is None else str(number),
        )
        for fact in facts:
            self.observe(fact, source=station.id)
        return csms_answer(station.version, action, payload, now=now, transaction_id=number or 0)

    async def on_disconnect(self, station: Station, reason: str) -> None:
        """Take note that a station is gone, unless it is back already."""
        if self._links.get(station.id) is station:
            del self._links[station.id]
            fact = StationDisconnected(at=self._party.now(), station=StationId(station.id), reason=reason)
            self.observe(fact, source=station.id)

    def on_event(self, station: Station, event: Event) -> None:
        """Count what the link had to put up with."""
        self.messages[type(event).__name__] += 1

    async def run(self) -> None:
        """Fold, decide and send until cancelled."""
        self._woken.set()
        try:
            while True:
                await self._woken.wait()
                await self._party.sleep_until(self._party.now_s())  # everything of this instant first
                self._woken.clear()
                self._act()
        finally:
            for task in self._sending:
                task.cancel()

    def _act(self) -> None:
        inbox, self._inbox = self._inbox, []
        for _, _, observation in sorted(inbox, key=lambda entry: entry[:2]):
            self.controller.observe(observation)
        now = self._party.now()
        decision = self.controller.decide(now)
        self.decisions += 1
        for command in sorted(decision.commands, key=lambda c: (c.urgency, c.id)):
            self._start(self._send(command))
        for told in decision.batteries:
            self.tell_battery(told)
        if self._due is not None:
            self._due.cancel()
        in_s = max((decision.next_due - now).total_seconds(), 0.0)
        self._due = self._party.call_at(self._party.now_s() + in_s, self._woken.set)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, command: Command) -> None:
        source = str(command.station)
        station = self._links.get(source)
        if station is None:
            self._fail(command, Outcome.LOST, "not connected")
            return
        version = OcppVersion(station.version)
        action, payload = to_ocpp.request(command, version=version)
        self.messages.update(("out", "profiles") if action == "SetChargingProfile" else ("out",))
        try:
            answer = await station.call(action, payload, timeout_s=self._call_timeout_s)
        except OcppError as error:
            self._fail(command, from_ocpp.outcome_of(error), str(error))
        else:
            self.messages.update(("in",))
            for fact in from_ocpp.answer(command, answer, version=version, at=self._party.now()):
                self.observe(fact, source=source)

    def _fail(self, command: Command, outcome: Outcome, reason: str) -> None:
        self.observe(from_ocpp.failure(command, outcome, reason, at=self._party.now()), source=str(command.station))

"""A bench for trying stations out by hand: they connect here, are told limits, and what they say is looked at.

Nothing is controlled here: one thing is done at a time, with a person present who can switch the station off.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from loadmgr.bridge import from_ocpp, to_ocpp
from loadmgr.control.command import Command, ReadBack, ReadCapabilities, SetProfile, TriggerReading
from loadmgr.control.feedback.readings import with_currents
from loadmgr.control.observation import (
    CommandAnswered,
    CompositeReported,
    EvseReading,
    EvseState,
    EvseStatus,
    Outcome,
    StationBooted,
    StationCapabilities,
    TransactionEnded,
    TransactionStarted,
)
from loadmgr.model.ids import ProfileId, StationId, TransactionId
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    OcppVersion,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    Recurrency,
    SchedulePeriod,
)
from loadmgr.model.units import floor_to_step
from ocpp_link.answers import TransactionIds, csms_answer
from ocpp_link.clock import Clock
from ocpp_link.errors import OcppError
from ocpp_link.events import Event
from ocpp_link.station import Station
from ocpp_link.timestamps import as_time

LOOK_S = 0.5
"""How often what is waited for is looked at [s]."""

LEASE_ID, FAILSAFE_ID = 1000, 2000
EARLY_S = 180
"""By how much schedules begin before now, so that a slow clock does not see them in the future [s]."""

DAY_S = 86_400


class Operator(Protocol):
    """The person at the station."""

    async def do(self, what: str) -> bool:
        """Ask for something to be done by hand; return when it is done, ``False`` where it is not to be done."""

    def tell(self, what: str) -> None:
        """Say how it goes."""


@dataclass(slots=True, kw_only=True)
class Seen:
    """What one station was heard to say.

    Parameters
    ----------
    readings : dict
        The last live reading of each EVSE that says something of current.
    transactions : dict
        What runs at each EVSE.
    plugged : set of int
        EVSEs with a vehicle.
    ended : list of TransactionEnded
    stamps : list of (arrival, stamp)
        When messages came, and what time the station wrote on them.
    """

    link: Station | None = None
    connected_at: datetime | None = None
    disconnected_at: datetime | None = None
    booted: StationBooted | None = None
    capabilities: StationCapabilities | None = None
    readings: dict[int, EvseReading] = field(default_factory=dict)
    transactions: dict[int, TransactionId] = field(default_factory=dict)
    started_at: dict[int, datetime] = field(default_factory=dict)
    plugged: set[int] = field(default_factory=set)
    ended: list[TransactionEnded] = field(default_factory=list)
    stamps: list[tuple[datetime, datetime]] = field(default_factory=list)


class Bench:
    """Some stations on a server, for trying out; the server's handler.

    Parameters
    ----------
    stations : collection of StationId
        Others are turned away.
    clock : Clock
    voltage_v : float
        Between phase and neutral, for stations that take only W.
    """

    def __init__(self, stations: Collection[StationId], *, clock: Clock, voltage_v: float = 230.0) -> None:
        self.seen = {name: Seen() for name in stations}
        self.clock = clock
        self._voltage_v = voltage_v
        self._transactions = TransactionIds(first_id=int(clock.now().timestamp()) % 1_000_000_000)
        self._next_id = 1

    # The server's handler.

    async def on_connect(self, station: Station) -> None:
        """Take note of a station, or turn it away."""
        seen = self.seen.get(StationId(station.id))
        if seen is None:
            await station.close(code=1008, reason="not being tried out")
            return
        seen.link, seen.connected_at = station, self.clock.now()

    async def on_call(self, station: Station, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Note what a station says, and answer as a CSMS that accepts everything."""
        now = self.clock.now()
        number = self._transactions.id_for(station.id, payload) if action == "StartTransaction" else None
        seen = self.seen.get(StationId(station.id))
        if seen is not None:
            facts = from_ocpp.observations(
                action,
                payload,
                version=OcppVersion(station.version),
                station=StationId(station.id),
                at=now,
                transaction=None if number is None else str(number),
            )
            for fact in facts:
                _note(seen, fact, voltage_v=self._voltage_v)
            stamp = as_time(payload.get("timestamp"))
            if stamp is not None:
                seen.stamps.append((now, stamp))
        return csms_answer(station.version, action, payload, now=now, transaction_id=number or 0)

    async def on_disconnect(self, station: Station, reason: str) -> None:
        """Take note that a link is gone."""
        seen = self.seen.get(StationId(station.id))
        if seen is not None and seen.link is station:
            seen.link, seen.disconnected_at = None, self.clock.now()
            seen.readings.clear()

    def on_event(self, station: Station, event: Event) -> None:
        """Nothing: what the link mends is of no interest here."""

    # What is done with a station.

    async def until(self, holds: Callable[[], bool], *, at_most_s: float) -> bool:
        """Wait until something holds; return whether it did in time."""
        end_s = self.clock.now_s() + at_most_s
        while not holds():
            if self.clock.now_s() >= end_s:
                return False
            await self.clock.sleep_until(self.clock.now_s() + LOOK_S)
        return True

    async def rest(self, seconds: float) -> None:
        """Let time pass [s]."""
        await self.clock.sleep_until(self.clock.now_s() + seconds)

    async def call(self, station: StationId, command: Command) -> tuple[Any, ...]:
        """Send a command and return what its answer says; how it ended comes first."""
        link, now = self.seen[station].link, self.clock.now
        if link is None:
            return (from_ocpp.failure(command, Outcome.LOST, "not connected", at=now()),)
        version = OcppVersion(link.version)
        action, payload = to_ocpp.request(command, version=version)
        try:
            answer = await link.call(action, payload)
        except OcppError as error:
            return (from_ocpp.failure(command, from_ocpp.outcome_of(error), str(error), at=now()),)
        return from_ocpp.answer(command, answer, version=version, at=now())

    async def read_capabilities(self, station: StationId) -> StationCapabilities | None:
        """Ask what a station can do."""
        facts = await self.call(station, ReadCapabilities(id=self._number(), station=station))
        found = next((f for f in facts if isinstance(f, StationCapabilities)), None)
        self.seen[station].capabilities = found
        return found

    async def limit(self, station: StationId, number: int, current_a: float, *, lease_s: int) -> CommandAnswered:
        """Lease a current to the transaction that runs at an EVSE [A per phase]."""
        return await self.install(station, number, self._lease(station, number, current_a, lease_s))

    async def fall_back_to(self, station: StationId, number: int, current_a: float) -> CommandAnswered:
        """Install a default without an end and without a need for a clock [A per phase]."""
        schedule = self._schedule(station, number, ((0, current_a),), start=None, duration_s=None)
        return await self.install(station, number, self._default(station, number, ProfileKind.RELATIVE, schedule))

    async def recur(self, station: StationId, number: int, periods: tuple[tuple[int, float], ...]) -> CommandAnswered:
        """Install a default that recurs daily, of ``(second of the UTC day, current)`` periods from 0 on."""
        midnight = self.clock.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)
        schedule = self._schedule(station, number, periods, start=midnight, duration_s=DAY_S)
        return await self.install(station, number, self._default(station, number, ProfileKind.RECURRING, schedule))

    async def install(self, station: StationId, number: int, profile: ChargingProfile) -> CommandAnswered:
        """Install a profile and return how that ended."""
        command = SetProfile(id=self._number(), station=station, number=number, profile=profile)
        answered: CommandAnswered = (await self.call(station, command))[0]
        return answered

    async def in_force_a(self, station: StationId, number: int) -> float | None:
        """Return the limit that a station says is in force now [A]; ``None`` where it says nothing of use."""
        unit = self._unit(station)
        command = ReadBack(id=self._number(), station=station, number=number, duration_s=60, unit=unit)
        for fact in await self.call(station, command):
            if isinstance(fact, CompositeReported) and fact.schedule is not None and fact.schedule.periods:
                limit = fact.schedule.periods[0].limit
                per_a = 1.0 if fact.schedule.unit is RateUnit.A else self._w_per_a(station, number)
                return None if limit is None else limit / per_a
        return None

    async def draw_a(self, station: StationId, number: int, *, after: datetime, at_most_s: float) -> float | None:
        """Return the highest current of a phase in a reading later than an instant [A]; ``None`` if none comes."""
        seen = self.seen[station]

        def fresh() -> bool:
            reading = seen.readings.get(number)
            return reading is not None and reading.at > after

        if not fresh() and seen.link is not None:
            await self.call(station, TriggerReading(id=self._number(), station=station, number=number))
        if not await self.until(fresh, at_most_s=at_most_s):
            return None
        return self.peak_a(seen.readings[number])

    def peak_a(self, reading: EvseReading) -> float:
        """Return the highest current of a phase in a reading [A]."""
        if reading.currents_a is not None and any(a is not None for a in reading.currents_a):
            return max(a or 0.0 for a in reading.currents_a)
        if reading.current_a is not None:
            return reading.current_a
        return (reading.power_w or 0.0) / self._voltage_v

    def _number(self) -> int:
        self._next_id += 1
        return self._next_id

    def _unit(self, station: StationId) -> RateUnit:
        known = self.seen[station].capabilities
        units = None if known is None else known.rate_units
        return RateUnit.W if units and RateUnit.A not in units else RateUnit.A

    def _w_per_a(self, station: StationId, number: int) -> float:
        reading = self.seen[station].readings.get(number)
        currents = () if reading is None or reading.currents_a is None else reading.currents_a
        return self._voltage_v * max(1, sum(1 for a in currents if a is not None and a > 0.5))

    def _level(self, station: StationId) -> int:
        known = self.seen[station].capabilities
        return 1 if known is None or known.max_stack_level is None else max(0, known.max_stack_level)

    def _schedule(
        self,
        station: StationId,
        number: int,
        steps: tuple[tuple[int, float], ...],
        *,
        start: datetime | None,
        duration_s: int | None,
    ) -> ChargingSchedule:
        link, unit = self.seen[station].link, self._unit(station)
        per_a = 1.0 if unit is RateUnit.A else self._w_per_a(station, number)
        return ChargingSchedule(
            unit=unit,
            periods=tuple(SchedulePeriod(start_s=s, limit=floor_to_step(a * per_a, step=0.1)) for s, a in steps),
            schedule_id=None if link is None or link.version == "1.6" else 1,
            start=start,
            duration_s=duration_s,
        )

    def _lease(self, station: StationId, number: int, current_a: float, lease_s: int) -> ChargingProfile:
        start = self.clock.now().replace(microsecond=0) - timedelta(seconds=EARLY_S)
        schedule = self._schedule(station, number, ((0, current_a),), start=start, duration_s=EARLY_S + lease_s)
        return ChargingProfile(
            profile_id=ProfileId(LEASE_ID + number),
            stack_level=self._level(station),
            purpose=ProfilePurpose.TX,
            kind=ProfileKind.ABSOLUTE,
            transaction_id=self.seen[station].transactions.get(number),
            schedules=(schedule,),
        )

    def _default(
        self, station: StationId, number: int, kind: ProfileKind, schedule: ChargingSchedule
    ) -> ChargingProfile:
        return ChargingProfile(
            profile_id=ProfileId(FAILSAFE_ID + number),
            stack_level=self._level(station),
            purpose=ProfilePurpose.TX_DEFAULT,
            kind=kind,
            recurrency=Recurrency.DAILY if kind is ProfileKind.RECURRING else None,
            schedules=(schedule,),
        )


def _note(seen: Seen, fact: object, *, voltage_v: float) -> None:
    match fact:
        case StationBooted():
            seen.booted = fact
        case EvseStatus():
            if fact.state is EvseState.AVAILABLE:
                seen.plugged.discard(fact.number)
            else:
                seen.plugged.add(fact.number)
        case TransactionStarted() if fact.number and fact.live:
            seen.transactions[fact.number] = fact.transaction
            if fact.started_at is not None:
                seen.started_at[fact.number] = fact.started_at
        case TransactionEnded():
            seen.ended.append(fact)
            seen.transactions = {n: t for n, t in seen.transactions.items() if t != fact.transaction}
        case EvseReading() if fact.live and fact.number:
            if (fact.currents_a, fact.current_a, fact.power_w) != (None, None, None):
                seen.readings[fact.number] = with_currents(fact, voltage_v=voltage_v)
            if fact.measured_at is not None:
                seen.stamps.append((fact.at, fact.measured_at))
        case _:
            pass

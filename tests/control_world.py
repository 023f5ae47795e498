"""A small closed loop for tests of the controller: stations that hold profiles and obey their own composite limit.

No wire and no clock: the world moves in whole seconds, answers come back after the delays that a test chooses, and what
flows on every circuit and phase is known exactly.
"""

import itertools
import random
from collections.abc import Callable
from datetime import datetime, timedelta

from loadmgr.composite.schedule import composite_schedule
from loadmgr.composite.store import ClearCriteria
from loadmgr.composite.transaction import StationTransaction
from loadmgr.control.command import (
    ClearProfile,
    Command,
    ReadBack,
    ReadCapabilities,
    SetAvailability,
    SetProfile,
    StopTransaction,
    TriggerReading,
)
from loadmgr.control.controller import SiteController
from loadmgr.control.decision import Decision
from loadmgr.control.observation import (
    BatteryReading,
    CommandAnswered,
    CompositeReported,
    EvseReading,
    EvseState,
    EvseStatus,
    Observation,
    Outcome,
    SiteMeterReading,
    StationBooted,
    StationCapabilities,
    StationConnected,
    StationDisconnected,
    TransactionEnded,
    TransactionStarted,
)
from loadmgr.control.settings import ControlSettings
from loadmgr.model.failsafe import FailSafe, FailSafeStrategy, Timing
from loadmgr.model.ids import CircuitId, EvseId, MeterId, StationId, TransactionId
from loadmgr.model.profile import ChargingSchedule, OcppVersion, RateUnit, SchedulePeriod
from loadmgr.model.tariff import Tariff
from loadmgr.model.topology import Circuit, Evse, Meter, Phase, SideLoad, Site, Station, Trust
from tests.control_fakes import START, FakeBattery, FakeStation, Vehicle


def small_site(
    *,
    evses: int = 3,
    limit_a: float = 40.0,
    fallback_a: float = 0.0,
    building_worst_a: float = 5.0,
    lease_s: int = 900,
    keeps: Trust = Trust.YES,
    max_a: float = 32.0,
    clock_skew_s: float = 60.0,
) -> Site:
    """Return one circuit behind a meter, with single-EVSE stations S1.. and EVSEs E1.. on three phases."""
    strategy = FailSafeStrategy.STATIC if fallback_a > 0.0 else FailSafeStrategy.ZERO
    side_load = SideLoad(id="building", worst_case_a=(building_worst_a,) * 3, meter=MeterId("meter"))
    return Site(
        name="small",
        time_zone="Europe/Berlin",
        circuits=(
            Circuit(
                id=CircuitId("main"),
                limit_a=(limit_a,) * 3,
                rated_a=(limit_a,) * 3,
                side_loads=(side_load,),
            ),
        ),
        evses=tuple(
            Evse(
                id=EvseId(f"E{i}"),
                station=StationId(f"S{i}"),
                circuit=CircuitId("main"),
                max_a=max_a,
                fallback_a=fallback_a,
            )
            for i in range(1, evses + 1)
        ),
        stations=tuple(
            Station(id=StationId(f"S{i}"), keeps_profiles=keeps, zero_ok=Trust.YES) for i in range(1, evses + 1)
        ),
        meters=(Meter(id=MeterId("meter"), circuit=CircuitId("main"), interval_s=10.0, stale_after_s=35.0),),
        failsafe=FailSafe(strategy=strategy, lease_s=lease_s),
        timing=Timing(clock_skew_s=clock_skew_s),
    )


Policy = Callable[[random.Random, Command], tuple[float, Outcome, bool]]
"""How a command fares: seconds until its answer, the answer, and whether the station takes it in."""


def prompt(rng: random.Random, command: Command) -> tuple[float, Outcome, bool]:
    """Answer everything at once."""
    return 0.0, Outcome.ACCEPTED, True


class World:
    """A site, its stations and a controller."""

    def __init__(
        self,
        site: Site,
        *,
        tariff: Tariff | None = None,
        settings: ControlSettings | None = None,
        policy: Policy = prompt,
        seed: int = 0,
        reading_s: int = 20,
        start: datetime = START,
        versions: tuple[OcppVersion, ...] = (OcppVersion.V16, OcppVersion.V201),
    ) -> None:
        self.site, self.policy, self.reading_s, self.now = site, policy, reading_s, start
        self.rng = random.Random(seed)
        self.controller = SiteController(site, tariff, settings=settings)
        self.stations = {
            e.station: FakeStation(evse=e, version=versions[i % len(versions)]) for i, e in enumerate(site.evses)
        }
        self.batteries = {b.id: FakeBattery(b, b.stored_wh) for b in site.batteries if b.link is not None}
        self.building_a: tuple[float, float, float] = (2.0, 2.0, 2.0)
        self.meter_works = True
        self.alive = True
        self.commands: list[tuple[datetime, Command]] = []
        self.decisions: list[Decision] = []
        self.over: list[tuple[datetime, str, float]] = []
        self._answers: list[tuple[datetime, int, Observation]] = []
        self._queue: list[Observation] = []
        self._due = start
        self._number = 0

    # What a test does to the world

    def station(self, evse: str) -> FakeStation:
        return self.stations[self.site.evse_by_id[EvseId(evse)].station]

    def tell(self, observation: Observation) -> None:
        self._queue.append(observation)

    def connect(self, *evses: str, boot: bool = True) -> None:
        for evse in evses or [e.id for e in self.site.evses]:
            fake = self.station(evse)
            fake.connected = True
            self.tell(StationConnected(at=self.now, station=fake.evse.station, version=fake.version))
            if boot:
                self.tell(StationBooted(at=self.now, station=fake.evse.station))

    def disconnect(self, evse: str) -> None:
        fake = self.station(evse)
        fake.connected = False
        self.tell(StationDisconnected(at=self.now, station=fake.evse.station, reason="cut"))

    def reboot(self, evse: str, *, forgets: bool) -> None:
        fake = self.station(evse)
        if forgets:
            transaction = fake.transaction
            fake.forget()
            if transaction is not None:
                self._note_transaction(fake)
        self.tell(StationBooted(at=self.now, station=fake.evse.station, reason="PowerUp"))

    def plug(self, evse: str, vehicle: Vehicle | None = None) -> TransactionId:
        fake = self.station(evse)
        self._number += 1
        fake.vehicle = vehicle or Vehicle()
        fake.transaction = TransactionId(str(self._number))
        self._note_transaction(fake)
        where = {"station": fake.evse.station, "number": fake.evse.number}
        self.tell(EvseStatus(at=self.now, state=EvseState.CHARGING, **where))
        self.tell(
            TransactionStarted(
                at=self.now, transaction=fake.transaction, meter_wh=fake.register_wh, started_at=self.now, **where
            )
        )
        return fake.transaction

    def _note_transaction(self, fake: FakeStation) -> None:
        assert fake.transaction is not None
        transaction = StationTransaction(
            evse_id=fake.evse.number, transaction_id=fake.transaction, started_at=fake.own_time(self.now)
        )
        fake.store.start_transaction(transaction, now=fake.own_time(self.now))

    def unplug(self, evse: str) -> None:
        fake = self.station(evse)
        transaction, fake.transaction, fake.vehicle = fake.transaction, None, None
        fake.store.end_transaction(fake.evse.number)
        self.tell(
            TransactionEnded(
                at=self.now,
                station=fake.evse.station,
                number=fake.evse.number,
                transaction=transaction,
                meter_wh=fake.register_wh,
            )
        )
        self.tell(
            EvseStatus(at=self.now, station=fake.evse.station, number=fake.evse.number, state=EvseState.AVAILABLE)
        )

    # How it moves

    def run(self, seconds: int) -> "World":
        for _ in range(seconds):
            self._step()
        return self

    def _step(self) -> None:
        for fake in self.stations.values():
            fake.step(self.now)
        for battery in self.batteries.values():
            battery.step(self.now)
        self._measure()
        self._read()
        arrived = [a for a in self._answers if a[0] <= self.now]
        self._answers = [a for a in self._answers if a[0] > self.now]
        queue = self._queue + [o for _, _, o in sorted(arrived, key=lambda a: (a[0], a[1]))]
        self._queue = []
        if self.alive:
            for observation in queue:
                self.controller.observe(observation)
            if queue or self.now >= self._due:
                self._decide()
        self.now += timedelta(seconds=1)

    def _decide(self) -> None:
        decision = self.controller.decide(self.now)
        self.decisions.append(decision)
        self._due = decision.next_due
        for command in decision.commands:
            self.commands.append((self.now, command))
            self._fare(command)
        for told in decision.batteries:
            fake = self.batteries[told.battery]
            if not fake.deaf:
                fake.told_w, fake.heard_at = float(told.power_w), self.now

    def _fare(self, command: Command) -> None:
        fake = self.stations[command.station]
        delay, outcome, taken = self.policy(self.rng, command)
        if not fake.connected:
            delay, outcome, taken = 0.0, Outcome.LOST, False
        at = self.now + timedelta(seconds=delay)
        if taken:
            outcome = self._take(fake, command, outcome, at)
        self._answers.append((at, command.id, CommandAnswered(at=at, command=command.id, outcome=outcome)))

    def _take(self, fake: FakeStation, command: Command, outcome: Outcome, at: datetime) -> Outcome:
        own = fake.own_time(self.now)
        match command:
            case SetProfile():
                verdict = fake.store.set_profile(command.number, command.profile, now=own)
                return outcome if verdict.accepted else Outcome.REJECTED
            case ClearProfile():
                fake.store.clear(
                    ClearCriteria(
                        profile_id=command.profile_id,
                        evse_id=command.number,
                        purpose=command.purpose,
                        stack_level=command.stack_level,
                    )
                )
            case ReadBack():
                self._answers.append((at, command.id, self._composite(fake, command, at)))
            case ReadCapabilities():
                known = StationCapabilities(
                    at=at,
                    station=command.station,
                    max_stack_level=8,
                    rate_units=fake.units,
                    setpoint_evses=command.v2x_evses if fake.follows_setpoints else (),
                    fixed_phase_evses=command.phase_evses,
                )
                self._answers.append((at, command.id, known))
            case StopTransaction():
                if fake.deaf_to_stop or fake.transaction != command.transaction:
                    return Outcome.REJECTED
                self.unplug(fake.evse.id)
            case SetAvailability():
                fake.operative = command.operative
            case TriggerReading():
                self._answers.append((at, command.id, self._reading(fake, at)))
        return outcome

    def _composite(self, fake: FakeStation, command: ReadBack, at: datetime) -> CompositeReported:
        limit = fake.store.limit_at(fake.evse.number, fake.own_time(self.now)).limit_a
        if fake.transaction is None:  # as if one started now (K08.FR.06)
            own = fake.own_time(self.now)
            shown = composite_schedule(fake.store, evse_id=fake.evse.number, start=own, duration_s=1, unit=RateUnit.A)
            limit = shown.periods[0].limit if shown.periods else None
        limit = fake.evse.max_a if limit is None else limit
        watts = command.unit is RateUnit.W  # which it takes for all of its phases together
        period = SchedulePeriod(start_s=0, limit=limit * 230.0 * len(fake.evse.phases) if watts else limit)
        return CompositeReported(
            at=at,
            command=command.id,
            station=command.station,
            number=command.number,
            schedule=ChargingSchedule(unit=command.unit, periods=(period,), duration_s=command.duration_s),
        )

    def _reading(self, fake: FakeStation, at: datetime) -> EvseReading:
        grid = fake.draw_a()
        own = [max(grid[p], 0.0) for p in fake.evse.phases] + [None] * (3 - len(fake.evse.phases))
        back = [max(-grid[p], 0.0) for p in fake.evse.phases] + [None] * (3 - len(fake.evse.phases))
        return EvseReading(
            at=at,
            station=fake.evse.station,
            number=fake.evse.number,
            transaction=fake.transaction,
            currents_a=(own[0], own[1], own[2]),
            power_w=max(0.0, sum(grid)) * 230.0,
            energy_wh=fake.register_wh,
            export_currents_a=(back[0], back[1], back[2]),
            exported_wh=fake.exported_wh,
        )

    def _read(self) -> None:
        into_s = int(self.now.timestamp())
        if self.meter_works and into_s % 10 == 0:
            currents = tuple(a + b for a, b in zip(self.draw_a(CircuitId("main")), self.building_a, strict=True))
            for meter in self.site.meters:
                self.tell(SiteMeterReading(at=self.now, meter=meter.id, currents_a=(*currents,)))
        if into_s % self.reading_s == 0:
            for fake in self.stations.values():
                if fake.connected and fake.transaction is not None:
                    self.tell(self._reading(fake, self.now))
        if into_s % 5 == 0:
            for each in self.batteries.values():
                if not each.mute:
                    ratio = each.stored_wh / each.battery.capacity_wh
                    said = BatteryReading(
                        at=self.now,
                        battery=each.battery.id,
                        power_w=each.power_w(self.now),
                        state_of_charge_ratio=min(1.0, max(0.0, ratio)),
                    )
                    self.tell(said)

    # What is true

    def draw_a(self, circuit: CircuitId) -> tuple[float, float, float]:
        """Return what vehicles and batteries draw below a circuit [A]."""
        total = [0.0, 0.0, 0.0]
        for evse in self.site.evses_under(circuit):
            for phase, amps in enumerate(self.stations[evse.station].draw_a()):
                total[phase] += amps
        for battery in self.batteries.values():
            if any(c.id == circuit for c in self.site.path(battery.battery.circuit)):
                total = [amps + battery.power_w(self.now) / (3.0 * 230.0) for amps in total]
        return (total[0], total[1], total[2])

    def _measure(self) -> None:
        for circuit in self.site.circuits:
            drawn = self.draw_a(circuit.id)
            building = self.building_a if circuit.parent is None else (0.0, 0.0, 0.0)
            for phase in Phase:
                limit = circuit.limit_a[phase]
                total = drawn[phase] + building[phase]
                if limit is not None and total > limit + 1e-6:
                    self.over.append((self.now, f"{circuit.id} {phase.name}", total))

    def longest_excursion_s(self) -> int:
        """Return the longest unbroken stretch above a limit [s]."""
        longest = 0
        by_place: dict[str, list[datetime]] = {}
        for at, place, _ in self.over:
            by_place.setdefault(place, []).append(at)
        for times in by_place.values():
            run = 1
            longest = max(longest, run)
            for before, after in itertools.pairwise(times):
                run = run + 1 if (after - before).total_seconds() <= 1.0 else 1
                longest = max(longest, run)
        return longest


def ready(world: World, *evses: str) -> World:
    """Return the world with its stations connected and set up."""
    world.connect(*evses)
    return world.run(20)


def view_of(world: World, evse: str):
    return next(v for v in world.controller.view().evses if v.evse == evse)

"""A whole site in simulated time: stations, vehicles, building, plants and meters.

Rules kept here
---------------
1. The world speaks to a controller through WebSockets, and through observations that no station makes: site meters and
   drivers. It hands these to a callable and never asks what became of them.
2. Of one instant, buildings and plants come first, then stations in the order of their names, then meters.
3. What really happened is booked as it happens, from true currents (:mod:`loadmgr.sim.ledger`).
"""

import asyncio
import math
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import pairwise

import numpy as np

from loadmgr.control.battery_facts import SetBatteryPower
from loadmgr.control.observation import BatteryReading, Observation, SiteMeterReading
from loadmgr.model.ids import CircuitId, EvseId, SessionId
from loadmgr.model.tariff import Tariff
from loadmgr.model.topology import Meter, Phase, Station, Trust
from loadmgr.sim.arrivals import Visit
from loadmgr.sim.battery import SimBattery
from loadmgr.sim.cause import name_cause
from loadmgr.sim.clock import PartyClock, VirtualClock
from loadmgr.sim.direct import Dial, dial_url
from loadmgr.sim.ledger import LoadLedger
from loadmgr.sim.manners import Manners
from loadmgr.sim.outcome import Outcome, Stay, WorldReport, slot_marks_s
from loadmgr.sim.outlet import Outlet
from loadmgr.sim.station import SimStation
from loadmgr.sim.station_clock import StationClock
from loadmgr.sim.world_plan import Background, WorldPlan, plan_world
from ocpp_link.errors import OcppError

__all__ = ["World", "WorldPlan", "plan_world"]

DIAL_EVERY_S = 0.5
"""Stations come up one after the other, this far apart [s]."""

CLOCK_OFFSET_S = 2.0
"""A station's clock is off by at most this whenever it was set [s]."""


class World:
    """A site that lives.

    Parameters
    ----------
    plan : WorldPlan
    clock : VirtualClock
        Starts at the plan's start; the controller's side of the link has a party of the same clock.
    url : str
        Where stations dial, without their ids, such as ``ws://127.0.0.1:9000/ocpp``.
    observe : callable
        Takes what site meters and drivers say; must only take note of it.
    dial : Dial
        How stations get their connections: by their URL, or joined directly.
    """

    def __init__(
        self,
        plan: WorldPlan,
        *,
        clock: VirtualClock,
        url: str,
        observe: Callable[[Observation], None],
        dial: Dial = dial_url,
    ) -> None:
        self.plan = plan
        self.clock = clock
        self.visits: dict[EvseId, Visit] = {}
        self.ledger = LoadLedger(plan.site, start=plan.start, cause=self._cause)
        self._observe = observe
        self._stays: list[Stay] = []
        self._marks_s = slot_marks_s(plan.seconds)
        self._booked: list[tuple[float, list[float]]] = []  # mark [s], and every register then [Wh]
        self._promises = clock.party("promises")
        self._by_promise_wh: dict[SessionId, float] = {}
        self.stations = {station.id: self._station(station, url, dial) for station in plan.site.stations}
        self.batteries = {b.id: SimBattery(b, b.link) for b in plan.site.batteries if b.link is not None}
        self._battery_party = clock.party("batteries", priority=1)
        self._battery_marks_wh: list[float] = []
        self.outlets: dict[EvseId, Outlet] = {
            bay.outlet.evse.id: bay.outlet for station in self.stations.values() for bay in station.bays.values()
        }

    def _station(self, station: Station, url: str, dial: Dial) -> SimStation:
        rng = np.random.default_rng([self.plan.seed, zlib.crc32(station.id.encode())])
        party = self.clock.party(f"station:{station.id}", priority=1)
        return SimStation(
            station_id=station.id,
            evses=self.plan.site.evses_of(station.id),
            version=self.plan.version_of(station),
            clock=StationClock(party, offset_s=float(rng.uniform(-CLOCK_OFFSET_S, CLOCK_OFFSET_S))),
            url=url,
            watcher=self,
            manners=Manners([spell for name, spell in self.plan.spells if name == station.id]),
            keeps_profiles=station.keeps_profiles is not Trust.NO,
            voltage_v=self.plan.site.voltage_v,
            meter_interval_s=self.plan.site.timing.meter_interval_s,
            smart_charging=station.id not in self.plan.no_smart_charging,
            time_zone=self.plan.site.time_zone,
            dial=dial,
        )

    async def run(self) -> None:
        """Live until the plan's end, then take the stations off the wire."""
        site = self.plan.site
        by_evse: dict[EvseId, list[Visit]] = {evse.id: [] for evse in site.evses}
        for visit in self.plan.arrivals.visits:
            by_evse[visit.evse.id].append(visit)
        self._start_background(self.clock.party("background"))
        self._start_slots(self.clock.party("slots"))
        for battery in self.batteries.values():
            self._battery_party.call_at(0.0, partial(self._read_battery, battery))
        for meter in site.meters:
            self._start_meter(meter, self.clock.party(f"meter:{meter.id}", priority=2))
        lives = [
            asyncio.create_task(
                station.live(
                    {number: by_evse[bay.outlet.evse.id] for number, bay in station.bays.items()},
                    start_s=index * DIAL_EVERY_S,
                )
            )
            for index, station in enumerate(self.stations.values())
        ]
        passing = asyncio.create_task(self.clock.run(until=self.plan.until))
        try:
            await asyncio.wait([passing, *lives], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._end(passing, lives)

    async def _end(self, passing: asyncio.Task[None], lives: list[asyncio.Task[None]]) -> None:
        """Stop time and the stations; the first fault of any of them is the world's."""
        passing.cancel()
        faults = [life.exception() for life in lives if life.done() and not life.cancelled()]
        for life in lives:
            life.cancel()
        await asyncio.gather(passing, *lives, return_exceptions=True)
        for station in self.stations.values():
            with suppress(OcppError):
                await station.wire.disconnect()
        if not passing.cancelled() and passing.exception() is not None:
            faults.append(passing.exception())
        fault = next((f for f in faults if f is not None), None)
        if fault is not None:
            raise fault

    # What happens at the EVSEs.

    def plugged(self, visit: Visit) -> None:
        """Take note of a vehicle, and let the driver speak."""
        self.visits[visit.evse.id] = visit
        if visit.said is not None:
            self._observe(visit.said)
        if visit.promised_s < visit.departure_s:
            self._promises.call_at(visit.promised_s, lambda: self._promise_due(visit))

    def changed(self, outlet: Outlet) -> None:
        """Enter what flows now."""
        evse = outlet.evse
        self.ledger.enter(self.clock.now_s(), source=evse.id, circuit=evse.circuit, currents_a=outlet.grid_currents_a)

    def unplugged(self, visit: Visit, energy_wh: float) -> None:
        """Take note that a vehicle left."""
        del self.visits[visit.evse.id]
        self._stays.append(self._stay(visit, energy_wh, over=True))

    def _promise_due(self, visit: Visit) -> None:
        outlet = self.outlets[visit.evse.id]
        outlet.advance(self.clock.now_s())
        if outlet.vehicle is not None:
            self._by_promise_wh[visit.session_id] = outlet.vehicle.net_wh

    def _stay(self, visit: Visit, energy_wh: float, *, over: bool) -> Stay:
        by_promise_wh = self._by_promise_wh.get(visit.session_id, energy_wh)
        return Stay(visit=visit, energy_wh=energy_wh, energy_by_promise_wh=by_promise_wh, over=over)

    # What else flows, and who measures.

    def _start_background(self, party: PartyClock) -> None:
        for load in self.plan.background:
            starts = {t for series in load.current_a for t in series.times}
            for when_s in sorted({max(self.clock.seconds(t), 0.0) for t in starts}):
                party.call_at(when_s, partial(self._enter_background, load))

    def _enter_background(self, load: Background) -> None:
        currents_a = load.at(self.clock.now())
        self.ledger.enter(self.clock.now_s(), source=load.id, circuit=load.circuit, currents_a=currents_a)

    def _start_meter(self, meter: Meter, party: PartyClock) -> None:
        def read() -> None:
            self._measure()
            currents_a = self.ledger.currents_a(meter.circuit)
            self._observe(SiteMeterReading(at=self.clock.now(), meter=meter.id, currents_a=currents_a))
            party.call_at(self.clock.now_s() + meter.interval_s, read)

        party.call_at(0.0, read)

    def _measure(self) -> list[float]:
        """Bring every EVSE up to now; return what went through each so far, import less export [Wh]."""
        registers_wh = []
        for outlet in self.outlets.values():
            if outlet.vehicle is not None:
                outlet.advance(self.clock.now_s())
                self.changed(outlet)
            registers_wh.append(outlet.register_wh - outlet.exported_wh)
        return registers_wh

    def _start_slots(self, party: PartyClock) -> None:
        for when_s in self._marks_s[1:-1]:
            party.call_at(when_s, self._book)

    def _book(self) -> None:
        self._booked.append((self.clock.now_s(), self._measure()))
        self._battery_marks_wh.append(self._battery_wh())

    # Batteries.

    def tell_battery(self, told: SetBatteryPower) -> None:
        """Let a battery hear what it is to do."""
        battery = self.batteries[told.battery]
        battery.tell(self.clock.now_s(), float(told.power_w))
        self._enter_battery(battery)

    def _read_battery(self, battery: SimBattery) -> None:
        battery.advance(self.clock.now_s())
        self._enter_battery(battery)
        said = BatteryReading(
            at=self.clock.now(),
            battery=battery.battery.id,
            power_w=battery.power_w,
            state_of_charge_ratio=battery.state_of_charge_ratio,
        )
        self._observe(said)
        self._battery_party.call_at(self.clock.now_s() + battery.link.every_s, partial(self._read_battery, battery))

    def _enter_battery(self, battery: SimBattery) -> None:
        """Enter what a battery draws now, and see when that changes by itself."""
        now_s, each = self.clock.now_s(), battery.power_w / (3.0 * self.plan.site.voltage_v)
        item = battery.battery
        self.ledger.enter(now_s, source=f"battery {item.id}", circuit=item.circuit, currents_a=(each, each, each))
        change_s = battery.next_change_s()
        if change_s is not None and change_s < now_s + battery.link.every_s:
            self._battery_party.call_at(max(change_s, now_s + 1e-3), partial(self._battery_changed, battery))

    def _battery_changed(self, battery: SimBattery) -> None:
        battery.advance(self.clock.now_s())
        self._enter_battery(battery)

    def _battery_wh(self) -> float:
        """Return what all batteries took so far, less what they gave [Wh]."""
        for battery in self.batteries.values():
            battery.advance(self.clock.now_s())
        return math.fsum(battery.taken_wh for battery in self.batteries.values())

    def _cause(self, circuit: CircuitId, phase: Phase | None) -> str:
        flowing = {load.id: load.at(self.clock.now()) for load in self.plan.background}
        return name_cause(self.plan.site, circuit, stations=self.stations, flowing=flowing)

    def outcome(self) -> Outcome:
        """Return what has come of it so far: the whole of it once ``run`` has returned."""
        now_s = self.clock.now_s()
        self._measure()
        self.ledger.advance(now_s)
        there = [
            self._stay(visit, vehicle.net_wh, over=False)
            for evse, visit in self.visits.items()
            if (vehicle := self.outlets[evse].vehicle) is not None
        ]
        return Outcome(
            plan=self.plan,
            elapsed_s=now_s,
            marks_s=tuple(mark_s for mark_s, _ in self._books()),
            charged_wh=tuple(math.fsum(column) for column in zip(*self.energy_wh(), strict=True)),
            battery_wh=self._battery_slots_wh(),
            stays=(*self._stays, *there),
            excursions=self.ledger.excursions(),
        )

    def _battery_slots_wh(self) -> tuple[float, ...]:
        """Return what all batteries took in each slot so far [Wh]; nothing where there are none."""
        if not self.batteries:
            return ()
        marks_wh = [0.0, *self._battery_marks_wh]
        if len(marks_wh) < len(self._books()):
            marks_wh.append(self._battery_wh())
        return tuple(after - before for before, after in pairwise(marks_wh))

    def _books(self) -> list[tuple[float, list[float]]]:
        """Return the marks so far with every register [s], [Wh], the present as the last."""
        books = [(0.0, [0.0] * len(self.outlets)), *self._booked]
        if self.clock.now_s() > books[-1][0]:
            books.append((self.clock.now_s(), self._measure()))
        return books

    def energy_wh(self) -> list[list[float]]:
        """Return what each EVSE delivered in each slot so far [Wh]: EVSEs in the order of ``outlets``."""
        rows: list[list[float]] = [[] for _ in self.outlets]
        for (_, before), (_, after) in pairwise(self._books()):
            for row, start_wh, end_wh in zip(rows, before, after, strict=True):
                row.append(end_wh - start_wh)
        return rows

    def report(self, tariff: Tariff) -> WorldReport:
        """Return what a report can say of the world so far."""
        return self.outcome().report(tariff)

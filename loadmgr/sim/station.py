"""The body of a simulated charging station: it holds the profiles it is sent and obeys its own composite schedule.

Rules kept here
---------------
1. What a vehicle is offered follows from the station's own profile store at the station's own clock, never from what
   the controller meant. Manners (:mod:`loadmgr.sim.manners`) may override it; the store stays truthful.
2. Whoever changes something calls ``refresh``: it offers the limit in force, lets the world know, tells a changed
   status, and comes back when the vehicle or the schedule next changes.
3. Nothing is cancelled when the link goes down: the power side lives on by the profiles held, and messages wait.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from loadmgr.model.ids import StationId
from loadmgr.model.profile import OcppVersion
from loadmgr.model.topology import Evse
from loadmgr.sim.answers import Answers
from loadmgr.sim.arrivals import Visit
from loadmgr.sim.bay import READER_S, Bay, BayWatcher
from loadmgr.sim.device import MEASURANDS, METER_INTERVAL, DeviceModel
from loadmgr.sim.direct import Dial, dial_url
from loadmgr.sim.manners import Manners
from loadmgr.sim.outlet import Outlet
from loadmgr.sim.smart_charging import SmartCharging, empty_store, settings_of
from loadmgr.sim.station_clock import StationClock
from loadmgr.sim.transactions import Transactions
from ocpp_link.errors import CallTimeout, ConnectFailed, ConnectionLost, OcppError
from ocpp_link.testing import ChargingStation

logger = logging.getLogger(__name__)

T = TypeVar("T")

REDIAL_S = 5.0
"""First pause before a station dials again [s]; doubled each time up to the longest."""

LONGEST_REDIAL_S = 60.0


class SimStation:
    """One simulated station.

    Parameters
    ----------
    station_id : StationId
    evses : sequence of Evse
    version : OcppVersion
    clock : StationClock
    url : str
        The endpoint, without the station's id.
    watcher : BayWatcher
    manners : Manners
    keeps_profiles : bool
        Whether profiles survive a reboot.
    voltage_v, meter_interval_s : float
        Between phase and neutral; how often it sends meter values in a transaction [s].
    smart_charging : bool
        Whether it knows charging profiles at all.
    time_zone : str, optional
        Where it stands; UTC if absent.
    """

    def __init__(  # noqa: PLR0913 - the nameplate of a station
        self,
        *,
        station_id: StationId,
        evses: Sequence[Evse],
        version: OcppVersion,
        clock: StationClock,
        url: str,
        watcher: BayWatcher,
        manners: Manners,
        keeps_profiles: bool,
        voltage_v: float = 230.0,
        meter_interval_s: float = 10.0,
        smart_charging: bool = True,
        time_zone: str | None = None,
        dial: Dial = dial_url,
    ) -> None:
        self.id = station_id
        self.version = version
        self.clock = clock
        self.manners = manners
        self.keeps_profiles = keeps_profiles
        self.bays = {e.number: Bay(Outlet(e, voltage_v=voltage_v), watcher) for e in evses}
        self.settings = settings_of(version, evses, voltage_v=voltage_v, time_zone=time_zone)
        self.store = empty_store(station_id, self.settings)
        switches = any(e.switches_phases for e in evses)
        self.device = DeviceModel(
            self.settings,
            meter_interval_s=meter_interval_s,
            smart_charging=smart_charging,
            switches_phases=switches,
        )
        self.profiles = SmartCharging(self, available=smart_charging)
        self.transactions = Transactions(self)
        self.wire = ChargingStation(
            identity=station_id,
            version=version.value,
            url=url,
            clock=clock,
            body=Answers(self),
            vendor="loadmgr",
            model="simulated station",
            firmware="1",
        )
        self._connect = dial
        self._online = asyncio.Event()
        self._powered = True  # and has a network
        self._dark = False
        self._over = False
        self._tasks: asyncio.TaskGroup | None = None

    async def live(self, visits: Mapping[int, Sequence[Visit]], *, start_s: float) -> None:
        """Connect at ``start_s``, then serve the visits of each EVSE; never returns by itself."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await self.clock.sleep_until(start_s)
                self.spawn(self._dial(boot_reason="PowerUp"))
                for number, bay in self.bays.items():
                    self.spawn(self._host(bay, visits.get(number, ())))
                self.spawn(self.manners.act(self))
                await asyncio.Event().wait()
            finally:
                self._powered, self._over = False, True  # nobody dials again

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something run beside the rest of the station's life; once that is over, nothing does."""
        if self._over:  # a timer of its vehicle, or a call over a link that still stands
            work.close()
            return
        assert self._tasks is not None, f"station {self.id} does not live yet"
        self._tasks.create_task(work)

    @property
    def online(self) -> bool:
        """Whether the CSMS has taken it on."""
        return self._online.is_set()

    async def wait_online(self) -> None:
        """Return as soon as the CSMS has taken it on."""
        await self._online.wait()

    @property
    def powered(self) -> bool:
        """Whether it has power, and a network."""
        return self._powered

    # The power side.

    def refresh(self, bay: Bay) -> None:
        """Offer the limit in force and see when it next changes."""
        now_s = self.clock.now_s()
        until_s = self._entitle(bay, self.clock.now(), now_s)
        bay.follow(now_s, self.manners.limit_a(bay))
        next_s = None if bay.outlet.vehicle is None else bay.outlet.vehicle.next_change_s()
        if until_s is not None and (next_s is None or until_s < next_s):
            next_s = until_s
        if bay.timer is not None:
            bay.timer.cancel()
        bay.timer = None if next_s is None else self.clock.call_at(next_s, lambda: self.refresh(bay))
        if self._online.is_set() and bay.status != bay.told_status:
            self.spawn(self._tell_status(bay))

    def refresh_all(self) -> None:
        """Refresh every EVSE."""
        for bay in self.bays.values():
            self.refresh(bay)

    def _entitle(self, bay: Bay, now: datetime, now_s: float) -> float | None:
        """Work out what the profiles allow an EVSE now; return when that next changes [s]."""
        evse, limit = bay.outlet.evse, self.manners.followed(self.store, bay.number).limit_at(bay.number, now)
        bay.entitle(limit, shares=len(evse.phases) if self.settings.direct_current else 1)
        if limit.until is None or not bay.energised:
            return None
        # never in the same instant again, whatever rounding to microseconds does to `until`
        return now_s + max((limit.until - now).total_seconds(), 1e-3)

    # A stay.

    async def _host(self, bay: Bay, visits: Sequence[Visit]) -> None:
        for visit in visits:
            await self.clock.sleep_until(visit.arrival_s)
            bay.plug(visit, self.clock.now_s())
            self.refresh(bay)
            self.spawn(self._begin_after_reader(bay, visit))
            await self._sample_until(bay, visit.departure_s)
            self.transactions.cut(bay)
            bay.unplug(self.clock.now_s())
            self.transactions.ended(bay, reason="EVDisconnected")
            self.refresh(bay)

    async def _begin_after_reader(self, bay: Bay, visit: Visit) -> None:
        await self.clock.sleep_until(self.clock.now_s() + READER_S)
        if bay.visit is visit and not bay.energised and bay.available and not self._dark:
            await self.transactions.begin(bay, visit.id_token)

    async def _sample_until(self, bay: Bay, end_s: float) -> None:
        """Send meter values in the configured interval until the vehicle leaves."""
        while True:
            interval_s = self.device.seconds(METER_INTERVAL)
            due_s = self.clock.now_s() + interval_s if interval_s > 0.0 else end_s
            await self.clock.sleep_until(min(due_s, end_s))
            if self.clock.now_s() >= end_s:
                return
            await self.sample(bay)

    async def sample(self, bay: Bay) -> None:
        """Send meter values of an EVSE in a transaction; without a link, and behind what waits already, they wait."""
        told = self.wire.transactions.get(bay.number) == bay.transaction  # what belongs to none is not said
        if bay.energised and (told or not self.online):
            self.profiles.note_soc(bay.number, bay.outlet.state_of_charge_ratio)
            self.refresh(bay)
            samples = bay.samples(self.device.text(MEASURANDS), meter_ratio=self.manners.meter_ratio)
            if not self.online or bay.unsent:
                bay.keep(samples, at=self.clock.now())
                return
            at = self.clock.now()
            try:
                await self.wire.meter_values(bay.number, samples)
            except ConnectionLost:
                bay.keep(samples, at=at)
            except OcppError as error:
                logger.debug("%s: meter values lost: %s", self.id, error)

    # The link.

    async def before_answer(self) -> None:
        """Wait as long as the station's manners make its CSMS wait."""
        delay_s = self.manners.answer_delay_s
        if delay_s > 0.0:
            # The call is parked: time has to pass while its frame is not answered.
            self.clock.frame_done()
            await self.clock.sleep_until(self.clock.now_s() + delay_s)
            self.clock.frame_sent()

    def link_lost(self, reason: str) -> None:
        """Take note that the link is down, and dial again unless the power is off too."""
        if self._powered:
            logger.info("%s: no connection any more: %s", self.id, reason)
        self._online.clear()
        self.store.note_offline(self.clock.now())
        self.refresh_all()
        if self._powered and self._tasks is not None:
            self.spawn(self._dial(boot_reason=None))

    async def drop_link(self, *, down_s: float) -> None:
        """Lose the network for a while; the power side lives on."""
        self._powered = False
        await self.wire.disconnect(drop=True)
        await self.clock.sleep_until(self.clock.now_s() + down_s)
        self._powered = True
        await self._dial(boot_reason=None)

    async def reset(self, *, down_s: float) -> None:
        """Restart in good order, as after Reset."""
        for bay in self.bays.values():
            await self.transactions.stop(bay, reason="Reboot")
        await self.reboot(down_s=down_s, forget=not self.keeps_profiles, reason="RemoteReset")

    async def reboot(self, *, down_s: float, forget: bool, reason: str = "PowerUp") -> None:
        """Lose power: transactions end, profiles may be forgotten, and vehicles start anew afterwards."""
        self._powered, self._dark = False, True
        self._online.clear()
        for bay in self.bays.values():
            self.transactions.ended(bay, reason="PowerLoss")
            self.transactions.cut(bay)
            bay.finished = False
            bay.told_status = None
        if forget:
            self.store = empty_store(self.id, self.settings)
        self.refresh_all()
        await self.wire.disconnect(drop=True)
        await self.clock.sleep_until(self.clock.now_s() + down_s)
        self._powered, self._dark = True, False
        self.clock.synchronise()
        await self._dial(boot_reason=reason)
        for bay in self.bays.values():
            if bay.visit is not None and not bay.energised:
                self.spawn(self._begin_after_reader(bay, bay.visit))

    async def _dial(self, *, boot_reason: str | None) -> None:
        pause_s = REDIAL_S
        while self._powered and not self._online.is_set():
            try:
                await self._connect(self.wire)
                if boot_reason is not None:
                    await self._boot(boot_reason)
                self._online.set()
                logger.info("%s: connected", self.id)
                self.store.note_online(self.clock.now())
                self.refresh_all()
            except (ConnectFailed, ConnectionLost, CallTimeout) as error:
                logger.info("%s: no connection: %s", self.id, error)
                await self.clock.sleep_until(self.clock.now_s() + pause_s)
                pause_s = min(2.0 * pause_s, LONGEST_REDIAL_S)
        for bay in self.bays.values():
            bay.told_status = None
            await self._tell_status(bay)
            self.transactions.link_is_back(bay)

    async def _boot(self, reason: str) -> None:
        while True:
            reply = await self.wire.boot(reason=reason)
            if reply.status == "Accepted":
                self.clock.synchronise()
                return
            await self.clock.sleep_until(self.clock.now_s() + max(reply.interval_s, 1))

    async def _tell_status(self, bay: Bay) -> None:
        status = bay.status
        if status != bay.told_status and self._online.is_set():
            bay.told_status = status
            await self._tried(partial(self.wire.status, bay.number, status))

    async def _tried(self, call: Callable[[], Awaitable[None]]) -> None:
        """Send a message that is lost where the link fails."""
        try:
            await call()
        except OcppError as error:
            logger.debug("%s: message lost: %s", self.id, error)

    async def deliver(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """Send a message again until it is answered; ``None`` where it is refused."""
        while True:
            await self._online.wait()
            try:
                return await call()
            except (ConnectionLost, CallTimeout):
                await self.clock.sleep_until(self.clock.now_s() + REDIAL_S)
            except OcppError as error:
                logger.debug("%s: refused: %s", self.id, error)
                return None

    # What a CSMS may ask for.
    def bay_of(self, transaction: str) -> Bay | None:
        """Return the EVSE on which a transaction runs."""
        return next((b for b in self.bays.values() if b.transaction == transaction), None)

    def bay_to_start(self, number: int | None) -> Bay | None:
        """Return the EVSE, of those asked for, that has a vehicle and no transaction."""
        waiting = (b for b in self._bays_of(number) if b.visit is not None and not b.energised and b.available)
        return next(waiting, None)

    def set_available(self, number: int | None, *, available: bool) -> bool:
        """Take EVSEs in or out of service; return whether that is done at once, no transaction being in the way."""
        for bay in self._bays_of(number):
            bay.available = available
            self.refresh(bay)
        return available or not any(b.energised for b in self._bays_of(number))

    def _bays_of(self, number: int | None) -> list[Bay]:
        return [b for b in self.bays.values() if number in (None, 0, b.number)]

    def trigger(self, message: str, number: int | None) -> bool:
        """Send a message that was asked for, soon; return whether it is known."""
        bays = self._bays_of(number)
        match message:
            case "MeterValues" | "TransactionEvent":
                for bay in bays:
                    self.spawn(self.sample(bay))
            case "StatusNotification":
                for bay in bays:
                    self.spawn(self._tried(partial(self.wire.status, bay.number, bay.status)))
            case "Heartbeat":
                self.spawn(self._sent(self.wire.heartbeat))
            case "BootNotification":
                self.spawn(self._sent(partial(self.wire.boot, reason="Triggered")))
            case _:
                return False
        return True

    async def _sent(self, call: Callable[[], Awaitable[object]]) -> None:
        await self.deliver(call)

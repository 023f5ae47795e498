"""Simulated stations in real time: what ``loadmgr station`` starts."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from loadmgr.model.ids import CircuitId, EvseId, SessionId, StationId
from loadmgr.model.profile import OcppVersion
from loadmgr.model.topology import Evse, Phase
from loadmgr.sim.arrivals import Visit
from loadmgr.sim.manners import Manners, Rudeness, Spell
from loadmgr.sim.outlet import Outlet
from loadmgr.sim.station import SimStation
from loadmgr.sim.station_clock import StationClock
from loadmgr.sim.vehicle import VehicleSpec
from ocpp_link.errors import InvalidRequest, OcppError
from ocpp_link.transport import ClientPolicy
from ocpp_link.wirelog import Direction, shown

_SPELLS = {"drop": Rudeness.DROPS_LINK, "delay": Rudeness.ANSWERS_LATE}
_RAW = {
    "malformed": b'[2,"malformed","StatusNotification",{"connectorId":1,',
    "duplicate": b'[2,"duplicate","Heartbeat",{}]',
}
_GRID_PHASES = (Phase.L1, Phase.L2, Phase.L3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the stations are and do."""

    url: str
    identities: tuple[str, ...]
    version: str
    evses: int
    max_a: float
    phases: int
    plug_after_s: float
    stay_s: float
    energy_wh: float
    meter_interval_s: float
    smart_charging: bool = True
    lasting_s: float | None
    messages: tuple[tuple[str, dict[str, Any]], ...]
    faults: tuple[tuple[str, float, float], ...]
    """Kind, from when and how long [s]."""
    password: str | None = field(repr=False)
    tls: ssl.SSLContext | None = None
    own_certificate: tuple[Path, Path] | None = None
    """Certificate and key of a lone station, replaced when its CSMS has it renew them."""
    frames: bool = True
    """Whether every frame is told."""
    tell: Callable[[str], None]


class RealClock:
    """Real time in the shape of a simulated station's clock; seconds count from its making."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._start_s = self._loop.time()

    def now(self) -> datetime:
        """Return the time of day."""
        return datetime.now(UTC)

    def now_s(self) -> float:
        """Return seconds since the start [s]."""
        return self._loop.time() - self._start_s

    async def sleep_until(self, when_s: float) -> None:
        """Return at ``when_s`` [s]."""
        await asyncio.sleep(max(0.0, when_s - self.now_s()))

    def call_at(self, when_s: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """Call a function at ``when_s`` [s]."""
        return self._loop.call_at(self._start_s + when_s, call)

    def synchronise(self) -> None:
        """Nothing: real time is right."""

    def busy(self) -> AbstractContextManager[None]:
        """Return a token without effect."""
        return nullcontext()

    def frame_sent(self) -> None:
        """Nothing."""

    def frame_done(self) -> None:
        """Nothing."""


class _Teller:
    """Says what happens at the EVSE of one station."""

    def __init__(self, identity: str, tell: Callable[[str], None]) -> None:
        self._identity = identity
        self._tell = tell
        self._last_a: dict[int, float] = {}

    def plugged(self, visit: Visit) -> None:
        self._tell(f"{self._identity}: vehicle at EVSE {visit.evse.number}, wants {visit.asked_wh / 1000:.1f} kWh")

    def changed(self, outlet: Outlet) -> None:
        number, current_a = outlet.evse.number, round(outlet.current_a, 1)
        if self._last_a.get(number, 0.0) != current_a:
            self._last_a[number] = current_a
            self._tell(f"{self._identity}: EVSE {number} draws {current_a:.1f} A")

    def unplugged(self, visit: Visit, energy_wh: float) -> None:
        self._tell(f"{self._identity}: vehicle leaves EVSE {visit.evse.number} with {energy_wh / 1000:.2f} kWh")

    def frame(self, _station: str, direction: Direction, text: bytes) -> None:
        """Print a frame; the station's view, so what comes in comes from the CSMS."""
        self._tell(f"{self._identity} {'<' if direction == 'in' else '>'} {shown(text)}")


async def run_stations(plan: Plan) -> None:
    """Run the stations until the plan's end, or for ever."""
    clock = RealClock()
    stations = [_station(plan, identity, clock) for identity in plan.identities]
    lives = [asyncio.create_task(_live(plan, station, clock)) for station in stations]
    try:
        await asyncio.wait(lives, timeout=plan.lasting_s, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for life in lives:
            life.cancel()
        ended = await asyncio.gather(*lives, return_exceptions=True)
        for station in stations:
            await station.wire.disconnect()
    for fault in ended:
        if isinstance(fault, Exception):
            raise fault


def _station(plan: Plan, identity: str, clock: RealClock) -> SimStation:
    teller = _Teller(identity, plan.tell)
    spells = [
        Spell(behaviour=_SPELLS[kind], at_s=at_s, for_s=for_s) for kind, at_s, for_s in plan.faults if kind in _SPELLS
    ]
    evses = [
        Evse(
            id=EvseId(f"{identity}-{number}"),
            station=StationId(identity),
            circuit=CircuitId("grid"),
            number=number,
            phases=_GRID_PHASES[: plan.phases],
            max_a=plan.max_a,
        )
        for number in range(1, plan.evses + 1)
    ]
    station = SimStation(
        station_id=StationId(identity),
        evses=evses,
        version=OcppVersion(plan.version),
        clock=cast("StationClock", clock),  # the same methods on real time
        url=plan.url,
        watcher=teller,
        manners=Manners(spells),
        keeps_profiles=True,
        meter_interval_s=plan.meter_interval_s,
        smart_charging=plan.smart_charging,
    )
    station.wire.policy = ClientPolicy(password=plan.password, tls=plan.tls, tap=teller.frame if plan.frames else None)
    if plan.own_certificate is not None and plan.tls is not None:
        from ocpp_link.testing_certificate import ClientCertificate  # with the extra `certificates`

        station.wire.certificate = ClientCertificate(*plan.own_certificate, context=plan.tls)
    return station


async def _live(plan: Plan, station: SimStation, clock: RealClock) -> None:
    visits = {number: [_visit(plan, bay.outlet.evse)] for number, bay in station.bays.items()}
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(station.live(visits, start_s=0.0))
        tasks.create_task(_say(plan, station, clock))
        for kind, at_s, for_s in plan.faults:
            tasks.create_task(_be_rude(plan, station, clock, kind, at_s=at_s, for_s=for_s))


def _visit(plan: Plan, evse: Evse) -> Visit:
    vehicle = VehicleSpec(capacity_wh=plan.energy_wh / 0.8, arrival_ratio=0.2, phases=plan.phases, max_a=plan.max_a)
    return Visit(
        session_id=SessionId(f"{evse.id}-visit"),
        evse=evse,
        arrival_s=plan.plug_after_s,
        departure_s=plan.plug_after_s + plan.stay_s,
        vehicle=vehicle,
        asked_wh=plan.energy_wh,
        said=None,
        promised_wh=None,
    )


async def _say(plan: Plan, station: SimStation, clock: RealClock) -> None:
    """Send the messages that were asked for, once the station has booted."""
    await station.wait_online()
    await clock.sleep_until(clock.now_s() + 2.0)
    for action, payload in plan.messages:
        try:
            answer = await station.wire.call(action, payload)
        except InvalidRequest as error:
            plan.tell(f"{station.id}: {error}; sent all the same")
            if station.wire.connected:
                station.wire.repeat(action, payload, times=1)
        except OcppError as error:
            plan.tell(f"{station.id}: {action}: {error}")
        else:
            plan.tell(f"{station.id}: {action} answered: {answer}")


async def _be_rude(plan: Plan, station: SimStation, clock: RealClock, kind: str, *, at_s: float, for_s: float) -> None:
    """Say when a fault begins, and write what is no proper text; spells are the station's own."""
    await clock.sleep_until(at_s)
    text = _RAW.get(kind)
    if text is None:
        plan.tell(f"{station.id}: fault {kind} for {for_s:g} s")
        return
    link = station.wire.link
    if link is None or not link.connected:
        plan.tell(f"{station.id}: fault {kind}: not connected, nothing was sent")
        return
    plan.tell(f"{station.id}: fault {kind}: sent twice: {text.decode()}")
    for _ in range(2):
        link.write_raw(text)

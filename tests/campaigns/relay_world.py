"""One run of the campaign below a CSMS: the site between its stations and a CSMS that is hostile, and comes and goes.

A failing run is repeated with ``python -m tests.campaigns.relay_world SEED``, which prints what happened.
"""

import asyncio
import logging
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from loadmgr.apps.process.serving import stop
from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.upstream.upstream import Relay, Upstream, serve_stations
from loadmgr.control.observation import Observation
from loadmgr.model.ids import StationId
from loadmgr.model.topology import LimitBy, Site
from loadmgr.sim.clock import PartyClock, VirtualClock
from loadmgr.sim.ledger import Excursion, LimitFigures
from loadmgr.sim.world import World
from loadmgr.sim.world_plan import WorldPlan
from loadmgr.site_file import SiteFile
from ocpp_link.answers import csms_answer
from ocpp_link.errors import OcppError
from ocpp_link.events import Event
from ocpp_link.station import Station
from ocpp_link.transport import Server, serve
from tests.campaigns.harness import draw_run

SITE = "yard"
HOURS = 1.2
"""Length of a run [h]."""

PASSING = (0, 3)
"""Of four seeds those in which the CSMS's profiles go on to stations: one strict, one sticky."""

RESTART_S = 20.0
"""How long a restart of the controller takes [s]."""

PASSED = "profiles of the CSMS on a station"

OURS = (1001, 1002, 2001, 2002, 3000, 3001)
"""Ids of profiles that the controller sets itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayRun:
    """What came of a run."""

    loss: str
    limits: LimitFigures
    excursions: tuple[Excursion, ...]
    energy_wh: float
    did: dict[str, int]


class HostileCsms:
    """A CSMS that answers well and asks for the worst: limits far too high, ids that are ours, clears of everything."""

    def __init__(self, party: PartyClock, rng: np.random.Generator) -> None:
        self._party = party
        self._rng = rng
        self.stations: dict[str, Station] = {}
        self.did: Counter[str] = Counter()
        self.transactions = 100
        self.held_by: Callable[[str], set[int]] = lambda _: set()
        """Returns the ids that a station holds."""

    async def on_connect(self, station: Station) -> None:
        self.stations[station.id] = station

    async def on_disconnect(self, station: Station, reason: str) -> None:
        if self.stations.get(station.id) is station:
            del self.stations[station.id]

    async def on_call(self, station: Station, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        answer = csms_answer(
            station.version,
            action,
            payload,
            now=self._party.now(),
            heartbeat_interval_s=300,
            token_status="Accepted",
        )
        if action == "StartTransaction":
            self.transactions += 1
            answer["transactionId"] = self.transactions
        return answer

    def on_event(self, station: Station, event: Event) -> None:
        """Nothing."""

    async def rage(self) -> None:
        """Ask stations for the worst, for ever."""
        while True:
            await self._party.sleep_until(self._party.now_s() + float(self._rng.exponential(25.0)))
            if not self.stations:
                continue
            names = sorted(self.stations)
            station = self.stations[names[int(self._rng.integers(len(names)))]]
            action, payload = self._worst(station)
            try:
                answer = await station.call(action, payload)
                self.did[f"{action} {answer.get('status', 'done')}"] += 1
                self.did[PASSED] += bool(self.held_by(station.id) - set(OURS))
            except OcppError as error:
                self.did[f"{action} {type(error).__name__}"] += 1

    def _worst(self, station: Station) -> tuple[str, dict[str, Any]]:
        rng, old = self._rng, station.version == "1.6"
        match int(rng.integers(6)):
            case 0 | 1 | 2:
                profile, number = self._profile(old), int(rng.integers(0, 3))
                if old:
                    return "SetChargingProfile", {"connectorId": number, "csChargingProfiles": profile}
                return "SetChargingProfile", {"evseId": number, "chargingProfile": profile}
            case 3:
                if old:
                    return "ClearChargingProfile", {} if rng.random() < 0.5 else {"id": int(rng.choice(OURS))}
                criteria: dict[str, Any] = {"chargingProfileCriteria": {"stackLevel": int(rng.integers(0, 10))}}
                return "ClearChargingProfile", (
                    criteria if rng.random() < 0.5 else {"chargingProfileId": int(rng.choice(OURS))}
                )
            case 4:
                if old:
                    return "ChangeConfiguration", {"key": "ChargeProfileMaxStackLevel", "value": "0"}
                item = {"component": {"name": "SmartChargingCtrlr"}, "variable": {"name": "Enabled"}}
                return "SetVariables", {"setVariableData": [{**item, "attributeValue": "false"}]}
            case _:
                return "DataTransfer", {"vendorId": "acme", "data": "limit=99"}

    def _profile(self, old: bool) -> dict[str, Any]:
        rng = self._rng
        maximum = "ChargePointMaxProfile" if old else "ChargingStationMaxProfile"
        schedule: dict[str, Any] = {
            "chargingRateUnit": "A",
            "startSchedule": "2024-01-01T00:00:00Z",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": float(rng.choice([0.0, 7.0, 16.0, 32.0, 500.0]))}],
        }
        profile: dict[str, Any] = {
            "stackLevel": int(rng.integers(0, 10)),
            "chargingProfilePurpose": str(rng.choice(["TxDefaultProfile", "TxDefaultProfile", "TxProfile", maximum])),
            "chargingProfileKind": "Absolute",
        }
        number = int(rng.choice([*OURS, *range(1, 12)]))
        if old:
            return profile | {"chargingProfileId": number, "chargingSchedule": schedule}
        return profile | {"id": number, "chargingSchedule": [schedule | {"id": 1}]}


class Above:
    """The endpoint of the CSMS, which is lost and comes back on the same port."""

    def __init__(self, csms: HostileCsms, party: PartyClock) -> None:
        self._csms, self._party = csms, party
        self._server: Server | None = None
        self.port = 0

    async def open(self) -> None:
        self._server = await serve("127.0.0.1", self.port, handler=self._csms, clock=self._party)
        self.port = self._server.port

    async def close(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await server.close()


class Below:
    """The controller as a Local Controller, which is restarted on the same port and remembers what is on its disk."""

    def __init__(self, site_file: SiteFile, upstream: Upstream, party: PartyClock) -> None:
        self._site_file, self._upstream, self._party = site_file, upstream, party
        self.process = SiteProcess(site_file, clock=party)
        self._task: asyncio.Task[None] | None = None
        self._relay: Any = None
        self.port = 0

    async def open(self) -> None:
        self._relay = await serve_stations(
            self.process, self._upstream, host="127.0.0.1", port=self.port, clock=self._party
        )
        assert isinstance(self._relay, Relay)
        self.port = self._relay.port
        self._task = asyncio.create_task(self.process.run())

    def take(self, fact: Observation) -> None:
        """Tell the process that lives now."""
        self.process.observe(fact)

    async def close(self) -> None:
        if self._task is not None:
            task, self._task = self._task, None
            await self._relay.close()
            await stop(task)

    async def restart(self) -> None:
        await self.close()
        await self._party.sleep_until(self._party.now_s() + RESTART_S)
        self.process = SiteProcess(self._site_file, clock=self._party)
        await self.open()


def shared(site: Site) -> Site:
    """Return a site in which every station of one EVSE is limited by its maximum: the CSMS's profiles go on to it."""
    return replace(
        site,
        stations=tuple(
            replace(s, limit_by=LimitBy.STATION_MAXIMUM) if len(site.evses_of(s.id)) == 1 else s for s in site.stations
        ),
    )


async def _live(site_file: SiteFile, plan: WorldPlan, *, loss: str, seed: int) -> tuple[World, HostileCsms]:
    rng, clock = np.random.default_rng([seed, 17]), VirtualClock(plan.start)
    csms = HostileCsms(clock.party("csms", priority=5), rng)
    above = Above(csms, clock.party("above", priority=6))
    with tempfile.TemporaryDirectory() as folder:
        await above.open()
        upstream = Upstream(
            url=f"ws://127.0.0.1:{above.port}/ocpp", folder=Path(folder), loss=loss, start_offline=loss == "sticky"
        )
        below = Below(site_file, upstream, clock.party("controller", priority=9))
        await below.open()
        world = World(
            plan,
            clock=clock,
            url=f"ws://127.0.0.1:{below.port}/ocpp",
            observe=below.take,
        )
        csms.held_by = lambda name: {int(i.profile.profile_id) for i in world.stations[StationId(name)].store.profiles}
        troubles = [asyncio.create_task(csms.rage()), asyncio.create_task(_trouble(above, below, csms, clock, rng))]
        try:
            await world.run()
        finally:
            await stop(*troubles)
            await below.close()
            await above.close()
    return world, csms


async def _trouble(
    above: Above, below: Below, csms: HostileCsms, clock: VirtualClock, rng: np.random.Generator
) -> None:
    """Take the CSMS away for a while, and restart the controller, again and again."""
    party = clock.party("trouble", priority=10)
    while True:
        await party.sleep_until(party.now_s() + float(rng.uniform(300.0, 900.0)))
        if rng.random() < 0.3:
            csms.did["controller restarted"] += 1
            await below.restart()
            continue
        csms.did["CSMS lost"] += 1
        await above.close()
        await party.sleep_until(party.now_s() + float(rng.uniform(30.0, 600.0)))
        await above.open()


def relay_run(seed: int) -> RelayRun:
    """Run one seed and return what came of it: strict or sticky, the profiles of the CSMS held or passed."""
    site_file, plan, _ = draw_run(SITE, seed)
    loss = "sticky" if seed % 2 else "strict"
    if seed % 4 in PASSING:
        site_file = replace(site_file, site=shared(site_file.site))
    plan = replace(plan, site=site_file.site, spells=(), until=plan.start + timedelta(hours=HOURS))
    world, csms = asyncio.run(_live(site_file, plan, loss=loss, seed=seed))
    outcome = world.outcome()
    return RelayRun(
        loss=loss,
        limits=outcome.limits,
        excursions=outcome.excursions,
        energy_wh=sum(outcome.charged_wh),
        did=dict(csms.did),
    )


def main() -> None:
    """Repeat one run and say what happened."""
    logging.basicConfig(level=logging.ERROR)
    run = relay_run(int(sys.argv[1]))
    print(f"{run.loss}: {run.limits} {run.energy_wh / 1000.0:.1f} kWh")
    print(*(f"{count:6} x {what}" for what, count in sorted(run.did.items())), sep="\n")
    for excursion in run.excursions:
        print(excursion.row())


if __name__ == "__main__":
    main()

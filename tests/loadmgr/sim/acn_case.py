"""A week of real sessions on a network that ACN-Sim can model as well: single-phase places, three limits."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from loadmgr.model.ids import CircuitId, EvseId, StationId
from loadmgr.model.session import SessionRecord, Taper
from loadmgr.model.topology import Circuit, Evse, Phase, Site, Station
from loadmgr.sim.arrivals import plan_arrivals
from loadmgr.sim.session_table import read_sessions
from loadmgr.sim.slots import SlotOptions
from loadmgr.sim.world_plan import WorldPlan
from loadmgr.site_file import sample_folder

START = datetime(2019, 6, 3, tzinfo=UTC)
DAYS = 8
PLACES = 60
STEP_S = 300
MAX_A = 32.0
VOLTAGE_V = 208.0
LIMITS_A = (100.0, 70.0, 45.0)
"""Limits of the three phases: one with room, one that binds at times, one that is short every day."""

OPTIONS = SlotOptions(step_s=STEP_S, decide_at_arrivals=False)


def site() -> Site:
    """Return the network."""
    root = Circuit(id=CircuitId("main"), limit_a=LIMITS_A, rated_a=LIMITS_A)
    stations = tuple(Station(id=StationId(f"S{n:02}")) for n in range(PLACES))
    evses = tuple(
        Evse(
            id=EvseId(f"E{n:02}"),
            station=stations[n].id,
            circuit=root.id,
            phases=(Phase(n % 3),),
            max_a=MAX_A,
            min_a=0.001,
            step_a=0.001,
        )
        for n in range(PLACES)
    )
    return Site(name="ACN case", time_zone="UTC", voltage_v=VOLTAGE_V, circuits=(root,), evses=evses, stations=stations)


def sessions() -> tuple[SessionRecord, ...]:
    """Return the workplace's real week in whole steps; drivers know what they take and when they leave."""
    out = []
    for record in read_sessions(sample_folder() / "data" / "workplace_week.csv"):
        arrival, departure = _step(record.arrival), _step(record.departure)
        if departure <= arrival or not record.energy_delivered_wh:
            continue
        out.append(
            replace(
                record,
                arrival=arrival,
                departure=departure,
                estimated_departure=departure,
                energy_requested_wh=record.energy_delivered_wh,
                max_a=MAX_A,
                phases=1,
            )
        )
    return tuple(out)


def plan() -> WorldPlan:
    """Return the world, with vehicles that take any current until they are full, as ACN-Sim's default battery does."""
    until = START + timedelta(days=DAYS)
    arrivals = plan_arrivals(site(), sessions(), start=START, until=until, seed=0)
    visits = tuple(
        replace(visit, vehicle=replace(visit.vehicle, taper=Taper(start_ratio=1.0, end_ratio=1.0), min_a=0.001))
        for visit in arrivals.visits
    )
    return WorldPlan(site=site(), arrivals=replace(arrivals, visits=visits), start=START, until=until)


def _step(when: datetime) -> datetime:
    seconds = (when - START).total_seconds()
    return START + timedelta(seconds=round(seconds / STEP_S) * STEP_S)

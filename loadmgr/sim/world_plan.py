"""Everything that decides a simulated world, as one value: same plan, same world."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loadmgr.model.calendar import LocalCycle
from loadmgr.model.ids import CircuitId, StationId
from loadmgr.model.profile import OcppVersion
from loadmgr.model.series import StepFunction
from loadmgr.model.session import SessionRecord
from loadmgr.model.topology import PhaseAmps, Site, Station
from loadmgr.model.units import require_utc
from loadmgr.sim.arrivals import Arrivals, plan_arrivals
from loadmgr.sim.manners import Rudeness, Spell
from loadmgr.site_file.values import SiteFile

PhaseSeries = tuple[StepFunction, StepFunction, StepFunction]


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """A load or plant that nobody controls: import [A] on L1, L2, L3; a plant's is below 0."""

    id: str
    circuit: CircuitId
    current_a: PhaseSeries

    def at(self, when: datetime) -> PhaseAmps:
        """Return what flows at an instant; nothing where the series has no value."""
        first, second, third = (series.at(when) or 0.0 for series in self.current_a)
        return first, second, third


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldPlan:
    """A site, who comes, what else flows, and who misbehaves.

    Parameters
    ----------
    start, until : datetime
        Second 0 of the world, and its end.
    spells : tuple of (StationId, Spell)
        Bad manners by station.
    no_smart_charging : frozenset of StationId
        Stations that know no charging profiles.
    """

    site: Site
    arrivals: Arrivals
    start: datetime
    until: datetime
    seed: int = 0
    background: tuple[Background, ...] = ()
    spells: tuple[tuple[StationId, Spell], ...] = ()
    no_smart_charging: frozenset[StationId] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", require_utc(self.start, name="start"))
        object.__setattr__(self, "until", require_utc(self.until, name="until"))
        if self.until <= self.start:
            raise ValueError(f"until must lie after start {self.start.isoformat()}, got {self.until.isoformat()}")

    @property
    def seconds(self) -> float:
        """How long the world lasts [s]."""
        return (self.until - self.start).total_seconds()

    def version_of(self, station: Station) -> OcppVersion:
        """Return the version that a station speaks: the site's word, else 1.6 and 2.0.1 in turns."""
        if station.version is not None:
            return OcppVersion(station.version)
        return (OcppVersion.V16, OcppVersion.V201)[self.site.stations.index(station) % 2]


def plan_world(
    site_file: SiteFile, sessions: Sequence[SessionRecord], *, start: datetime, until: datetime, seed: int = 0
) -> WorldPlan:
    """Return the world of a site file, with the sessions that arrive within ``[start, until)``."""
    background = [
        Background(id=load.id, circuit=load.circuit, current_a=_series(load.current_a, start, until))
        for load in site_file.building
    ]
    volts = 3.0 * site_file.site.voltage_v
    for plant in site_file.pv:
        power_w = plant.power_w.series(start, until)
        current_a = replace(power_w, values=tuple(-value / volts for value in power_w.values))
        background.append(Background(id=plant.id, circuit=plant.circuit, current_a=(current_a, current_a, current_a)))
    rude = () if site_file.demo is None else site_file.demo.rude
    return WorldPlan(
        site=site_file.site,
        arrivals=plan_arrivals(site_file.site, sessions, start=start, until=until, seed=seed),
        start=start,
        until=until,
        seed=seed,
        background=tuple(background),
        spells=tuple(
            (r.station, Spell(behaviour=Rudeness(r.behaviour.value), at_s=float(r.at_s), for_s=float(r.for_s)))
            for r in rude
        ),
    )


def _series(cycles: tuple[LocalCycle, LocalCycle, LocalCycle], start: datetime, until: datetime) -> PhaseSeries:
    first, second, third = (cycle.series(start, until) for cycle in cycles)
    return first, second, third

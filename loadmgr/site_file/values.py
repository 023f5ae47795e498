"""What a site file gives: the site, its tariff, and the settings of the processes that serve or simulate it."""

import enum
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from loadmgr.model.calendar import LocalCycle
from loadmgr.model.ids import CircuitId, StationId
from loadmgr.model.tariff import Tariff
from loadmgr.model.topology import Site


class Rudeness(enum.StrEnum):
    """How a simulated station misbehaves."""

    IGNORES_LIMITS = "ignores_limits"
    REBOOTS_AND_FORGETS = "reboots_and_forgets"


@dataclass(frozen=True, slots=True, kw_only=True)
class RudeStation:
    """A simulated station that misbehaves ``for_s`` seconds long, ``at_s`` seconds after the start."""

    station: StationId
    behaviour: Rudeness
    at_s: int
    for_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """The simulated world of a site: its session table, when it begins, and who misbehaves."""

    sessions: Path
    start: datetime
    rude: tuple[RudeStation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDefaults:
    """What is assumed of a vehicle that says nothing: energy [Wh] and stay [s]."""

    energy_wh: float
    stay_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where stations dial in."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildingLoad:
    """What a side load draws on L1, L2, L3 [A], by weekday and local clock."""

    id: str
    circuit: CircuitId
    current_a: tuple[LocalCycle, LocalCycle, LocalCycle]


@dataclass(frozen=True, slots=True, kw_only=True)
class PvProfile:
    """What a photovoltaic plant generates [W], by weekday and local clock."""

    id: str
    circuit: CircuitId
    power_w: LocalCycle


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFile:
    """Everything that a site file says, ready to start."""

    path: Path
    site: Site
    tariff: Tariff
    session_defaults: SessionDefaults
    listen: Listen
    building: tuple[BuildingLoad, ...] = ()
    pv: tuple[PvProfile, ...] = ()
    demo: Demo | None = None

"""What a site file gives: the site, its tariff, and the settings of the processes that serve or simulate it."""

import enum
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from loadmgr.model.calendar import LocalCycle
from loadmgr.model.compliance import Pack, PeakHours
from loadmgr.model.drivers import DriverRule
from loadmgr.model.ids import CircuitId, StationId
from loadmgr.model.tariff import Tariff
from loadmgr.model.topology import PhaseLimits, Site
from loadmgr.site_file.sources import BatteryInput, HttpPlace, HttpPrices, MeterInput, OpenAdrPlace


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
class Cap:
    """A limit: a current on each phase [A], a power over all phases [W], or both."""

    current_a: PhaseLimits | None = None
    power_w: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayInput:
    """A contact, read from a value file or by a command, and the limit while it is active."""

    value_file: Path | None
    command: str | None
    active: str
    idle: str
    limit: Cap


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """An address whose JSON holds limits at a pointer: in the form of a limit file, or one number of A, or W."""

    place: HttpPlace
    at: str = ""
    number_is: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicLimits:
    """A topic on the broker whose messages hold limits, in the same forms as an address."""

    topic: str
    at: str = ""
    number_is: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAdrLimits:
    """Limits of an OpenADR 3 program; ``levels`` are those of SIMPLE events from 1 on, none where they mean nothing."""

    place: OpenAdrPlace
    levels: tuple[Cap, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideSource:
    """A source of limits from outside: where it is, what it promises, and what holds when it is silent."""

    id: str
    circuit: CircuitId
    file: Path | None = None
    relay: RelayInput | None = None
    http: HttpLimits | None = None
    mqtt: TopicLimits | None = None
    openadr: OpenAdrLimits | None = None
    every_s: float = 1.0
    heartbeat_s: float | None = None
    silent: Cap | None = None
    vehicles_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Compliance:
    """The rules that a site falls under.

    Parameters
    ----------
    signal : str, optional
        ``de_14a``: the source whose limit is the dimming.
    charge_points, limit_w
        ``de_14a``: how many are dimmed together, and to what [W].
    longest_delay_s, peak_hours
        ``uk``: of the start of charging, and when nobody charges by default.
    """

    pack: Pack
    signal: str | None = None
    charge_points: int = 0
    limit_w: float | None = None
    longest_delay_s: int = 0
    peak_hours: tuple[PeakHours, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drivers:
    """What is known of drivers before they say anything.

    Parameters
    ----------
    habits : bool
        What they, or others at such a time, did before is expected of those who say nothing.
    calendar : Path, optional
        Departures in a file that is read again when it changes.
    rules : tuple of DriverRule
        By id token; the first that fits counts.
    """

    habits: bool = False
    calendar: Path | None = None
    rules: tuple[DriverRule, ...] = ()


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
    external_limits: tuple[OutsideSource, ...] = ()
    meter_inputs: tuple[MeterInput, ...] = ()
    battery_inputs: tuple[BatteryInput, ...] = ()
    prices: HttpPrices | OpenAdrPlace | None = None
    compliance: Compliance | None = None
    drivers: Drivers = Drivers()

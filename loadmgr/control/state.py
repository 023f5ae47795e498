"""What the controller knows: plain records, changed by ``control.fold`` and read by everybody else.

Rules
-----
1. Nothing here decides. A record holds what was observed, and what was sent and how that ended.
2. Records are found by the site's ids; a station's own numbers are translated once, when an observation is folded.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.control.alarm import AlarmBook
from loadmgr.control.building import BuildingEstimate
from loadmgr.control.clock_estimate import ClockEstimate
from loadmgr.control.energy import Ledger
from loadmgr.control.holding import Holding
from loadmgr.control.obedience import Obedience
from loadmgr.control.observation import EvseState, LimitChanged, SessionDeclared, StationBooted, StationCapabilities
from loadmgr.control.outside import Override
from loadmgr.control.peaks import PeakMemory
from loadmgr.control.pending import Pending
from loadmgr.control.rung import Escalation, LeaseForm
from loadmgr.control.told import Evidence
from loadmgr.control.traits import StationTraits
from loadmgr.control.windows import Window
from loadmgr.model.ids import CircuitId, EvseId, MeterId, StationId, TransactionId
from loadmgr.model.profile import OcppVersion, ProfilePurpose
from loadmgr.model.series import StepFunction
from loadmgr.model.session import EnergyNeed, VehicleLimits
from loadmgr.model.tariff import Tariff
from loadmgr.model.topology import Evse, PhaseAmps, Site, Station

ENDED_REMEMBERED = 64
"""Transactions of a station that are remembered as over, so that late and repeated messages do not revive them."""


@dataclass(slots=True, kw_only=True)
class Charging:
    """A session at an EVSE: one transaction on the wire.

    Parameters
    ----------
    pressed_by : tuple of str
        Circuits and cabinets that kept it from more at some time.
    """

    transaction: TransactionId
    started: datetime
    ledger: Ledger
    id_token: str | None = None
    departure: datetime | None = None
    need: EnergyNeed | None = None
    priority: int = 0
    vehicle: VehicleLimits = field(default_factory=VehicleLimits)
    source: str = "default"
    pressed_by: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class EndedSession:
    """A session that is over."""

    evse: EvseId
    charging: Charging
    ended: datetime


@dataclass(slots=True, kw_only=True)
class Draw:
    """What an EVSE was last seen to draw.

    Parameters
    ----------
    current_a : (L1, L2, L3)
        On the grid's phases [A].
    peak_a : float
        The highest of them [A].
    """

    at: datetime
    current_a: PhaseAmps
    peak_a: float
    power_w: float | None = None


@dataclass(slots=True, kw_only=True)
class EvseRecord:
    """An EVSE.

    Parameters
    ----------
    override : Override, optional
        What a person ordered.
    start_at : datetime, optional
        Not before that may its charging start, which is wanted.
    before : EndedSession, optional
        The last session, as long as its vehicle may still be there: a station that restarts begins another for it.
    foreign : dict
        Profiles that others have put on it, by who did.
    foreign_told : dict
        Which of them the station told, by the report that did; 0 is none, it told them unasked.
    phases_seen : tuple of int, optional
        Positions in ``evse.phases`` on which the vehicle was seen to draw; ``None`` until two readings agree.
    phases_hint : tuple of int, optional
        What the last reading showed.
    telling_readings : int
        Readings of this session that showed it drawing, up to the few that tell what the vehicle is.
    accepts_a : float, optional
        The most that the vehicle was seen to take when more was offered [A]; ``None`` when it took all.
    accepts_since : datetime, optional
        Since when it has taken about that.
    low_readings : int
        Readings in a row that showed less than was offered.
    changed_at : datetime, optional
        When a limit was last sent or acknowledged, or its session began: readings before that, and while it settles,
        say nothing of it.
    on_since, off_since : datetime, optional
        When its setpoint last went above 0, or to 0.
    refusals : int
        Transaction profiles in a row that were refused or not answered.
    retry_at : datetime, optional
        Not before that is the same limit sent again.
    writes : deque of datetime
        When transaction profiles were sent during the last day.
    escalation : Escalation, optional
        How far its disobedience was answered.
    form : LeaseForm
        How its limits are sent.
    overwritten : tuple of ProfilePurpose
        Standing profiles in whose place a limit was sent.
    out_of_service : bool
        This controller took it out of service.
    """

    evse: Evse
    holding: Holding
    obedience: Obedience = field(default_factory=Obedience)
    state: EvseState | None = None
    state_since: datetime | None = None
    charging: Charging | None = None
    declared: SessionDeclared | None = None
    override: Override | None = None
    start_at: datetime | None = None
    before: EndedSession | None = None
    foreign: dict[str, tuple[InstalledProfile, ...]] = field(default_factory=dict)
    foreign_told: dict[str, int] = field(default_factory=dict)
    draw: Draw | None = None
    state_of_charge_ratio: float | None = None
    phases_seen: tuple[int, ...] | None = None
    phases_hint: tuple[int, ...] | None = None
    telling_readings: int = 0
    accepts_a: float | None = None
    accepts_since: datetime | None = None
    low_readings: int = 0
    changed_at: datetime | None = None
    on_since: datetime | None = None
    off_since: datetime | None = None
    refusals: int = 0
    retry_at: datetime | None = None
    asked_reading_at: datetime | None = None
    escalation: Escalation | None = None
    form: LeaseForm = field(default_factory=LeaseForm)
    out_of_service: bool = False
    overwritten: tuple[ProfilePurpose, ...] = ()
    writes: deque[datetime] = field(default_factory=deque)


@dataclass(slots=True, kw_only=True)
class StationRecord:
    """A station and the state of its link.

    Parameters
    ----------
    seen : bool
        Whether it was ever connected to this controller.
    heard_at : datetime, optional
        When it last said something: nothing is sent to a fresh connection before that, or a few seconds.
    capabilities_asked, maximum_asked : bool
        Whether that was asked for since it started.
    foreign_request : int, optional
        The command that asked for limits of others since it connected.
    mismatches : int
        Read-backs in a row that showed more than it should hold.
    clear_first : bool
        Its profiles are to be cleared before the fail-safe is set anew.
    failsafe_form, lease_form : int
        How often it refused a profile for its form: the next form is tried.
    retry_at : datetime, optional
        Not before that is the set-up tried again.
    traits : StationTraits, optional
        What is known of its model.
    nameplate : StationBooted, optional
        What it said of itself when it last started.
    restarted_at : datetime, optional
        When it last started again, having been known before.
    maximum_writes : deque of datetime
        When station maxima were sent during the last day.
    clock : ClockEstimate
        What its clock shows.
    ended : deque of TransactionId
    """

    station: Station
    version: OcppVersion | None = None
    connected: bool = False
    seen: bool = False
    connected_at: datetime | None = None
    disconnected_at: datetime | None = None
    heard_at: datetime | None = None
    capabilities: StationCapabilities | None = None
    traits: StationTraits | None = None
    nameplate: StationBooted | None = None
    restarted_at: datetime | None = None
    capabilities_asked: bool = False
    maximum_asked: bool = False
    foreign_request: int | None = None
    mismatches: int = 0
    clear_first: bool = False
    failsafe_form: int = 0
    lease_form: int = 0
    retry_at: datetime | None = None
    maximum_writes: deque[datetime] = field(default_factory=deque)
    clock: ClockEstimate = field(default_factory=ClockEstimate)
    ended: deque[TransactionId] = field(default_factory=lambda: deque(maxlen=ENDED_REMEMBERED))


@dataclass(slots=True, kw_only=True)
class MeterRecord:
    """The last reading of a site meter."""

    at: datetime
    currents_a: PhaseAmps


@dataclass(slots=True, kw_only=True)
class SiteState:
    """Everything that is known about a site.

    Parameters
    ----------
    evidence, evidence_new : dict, list
        Limits from outside in force, as evidence; entries that changed since the last decision.
    ended : list of EndedSession
        Sessions that ended since the last decision.
    started : datetime, optional
        The first decision.
    helpless_since : dict
        Rows of limits that are exceeded although everybody who obeys is at his lowest, by name.
    short_at : dict
        When a vehicle last left short that a circuit or cabinet had held back, by its label.
    stirred : bool
        Something was observed since the last decision that may change it; most readings do not.
    triggers : list of str
        Why a new plan is needed, in the order in which it was found.
    """

    site: Site
    evses: dict[EvseId, EvseRecord]
    stations: dict[StationId, StationRecord]
    evse_of: dict[tuple[StationId, int], EvseId]
    meters: dict[MeterId, MeterRecord] = field(default_factory=dict)
    buildings: dict[tuple[CircuitId, str], BuildingEstimate] = field(default_factory=dict)
    limits: dict[tuple[CircuitId, str], LimitChanged] = field(default_factory=dict)
    evidence: dict[tuple[CircuitId, str], Evidence] = field(default_factory=dict)
    evidence_new: list[Evidence] = field(default_factory=list)
    prices_per_kwh: StepFunction | None = None
    peaks: PeakMemory = field(default_factory=PeakMemory)
    tariff: Tariff | None = None
    windows: dict[EvseId, tuple[Window, ...]] = field(default_factory=dict)
    pending: dict[int, Pending] = field(default_factory=dict)
    alarms: AlarmBook = field(default_factory=AlarmBook)
    ended: list[EndedSession] = field(default_factory=list)
    triggers: list[str] = field(default_factory=list)
    started: datetime | None = None
    helpless_since: dict[str, datetime] = field(default_factory=dict)
    short_at: dict[str, datetime] = field(default_factory=dict)
    stirred: bool = True
    last_at: datetime | None = None

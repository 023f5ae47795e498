"""What the controller knows: plain records, changed by ``control.feedback.fold`` and read by everybody else.

Rules
-----
1. Nothing here decides. A record holds what was observed, and what was sent and how that ended.
2. Records are found by the site's ids; a station's own numbers are translated once, when an observation is folded.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from loadmgr.composite.settings import StationSettings
from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.control.alarm import AlarmBook
from loadmgr.control.battery_record import BatteryRecord
from loadmgr.control.feedback.building import BuildingEstimate
from loadmgr.control.feedback.clock_estimate import ClockEstimate
from loadmgr.control.feedback.energy import Ledger
from loadmgr.control.feedback.obedience import Obedience
from loadmgr.control.feedback.peaks import PeakMemory
from loadmgr.control.feedback.stay import Stay
from loadmgr.control.observation import EvseState, LimitChanged, SessionDeclared, StationBooted, StationCapabilities
from loadmgr.control.outside.outside import Override
from loadmgr.control.outside.told import Evidence
from loadmgr.control.safety.holding import Holding
from loadmgr.control.safety.rung import Escalation, LeaseForm, own_form
from loadmgr.control.safety.windows import Window
from loadmgr.control.sending.pending import Pending
from loadmgr.control.traits import StationTraits
from loadmgr.model.ids import CircuitId, EvseId, MeterId, ProfileId, StationId, TransactionId
from loadmgr.model.profile import OcppVersion, ProfilePurpose
from loadmgr.model.proof import on_firmware
from loadmgr.model.series import StepFunction
from loadmgr.model.session import DischargeTerms, EnergyNeed, VehicleLimits
from loadmgr.model.tariff import Tariff
from loadmgr.model.topology import Evse, PhaseAmps, Site, Station

ENDED_REMEMBERED = 64
"""Transactions of a station that are remembered as over, so that late and repeated messages do not revive them."""

TAIL_REMEMBERED = 24
"""Readings of a vehicle's tail that its line is fitted to: the last kilowatt-hour or so, if they are kept apart."""


@dataclass(slots=True, kw_only=True)
class Charging:
    """A session at an EVSE: one transaction on the wire.

    Parameters
    ----------
    source : str
        Who is nearest to the driver of those who said anything.
    said_by : dict
        Who said what of it: ``departure``, ``need``, ``priority``, ``vehicle``, ``discharge``.
    pressed_by : tuple of str
        Circuits and cabinets that kept it from more at some time.
    spare_s : float, optional
        For how long it could still pause, when it was last planned [s]; ``None`` where no promise hangs on it.
    """

    transaction: TransactionId
    started: datetime
    ledger: Ledger
    id_token: str | None = None
    departure: datetime | None = None
    need: EnergyNeed | None = None
    priority: int = 0
    vehicle: VehicleLimits = field(default_factory=VehicleLimits)
    discharge: DischargeTerms | None = None
    source: str = "default"
    said_by: dict[str, str] = field(default_factory=dict)
    pressed_by: tuple[str, ...] = ()
    spare_s: float | None = None


@dataclass(slots=True, kw_only=True)
class EndedSession:
    """A session that is over."""

    evse: EvseId
    charging: Charging
    ended: datetime


@dataclass(slots=True, kw_only=True)
class LateSession:
    """A session of which something may still be told: it began without a link, or its end was not said.

    Parameters
    ----------
    ended : datetime, optional
        When it was found to be over.
    """

    evse: EvseId
    charging: Charging
    ended: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Draw:
    """What an EVSE was last seen to draw.

    Parameters
    ----------
    current_a : (L1, L2, L3)
        On the grid's phases [A].
    peak_a : float
        The highest of them [A].
    export_a : (L1, L2, L3)
        What it fed back instead [A].
    over_a : float
        By how much it was above the limit that it follows, within what is no disobedience [A].
    """

    at: datetime
    current_a: PhaseAmps
    peak_a: float
    power_w: float | None = None
    export_a: PhaseAmps = (0.0, 0.0, 0.0)
    over_a: float = 0.0


@dataclass(slots=True, kw_only=True)
class EvseRecord:
    """An EVSE.

    Parameters
    ----------
    override : Override, optional
        What a person ordered.
    start_at : datetime, optional
        Not before that may its charging start or rise, which is wanted.
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
    phases_lease, phases_wanted : int, optional
        On how many phases its leases say that it charges, and on how many they are to say soon.
    phases_switched_at : datetime, optional
        When that last changed.
    phases_refused : bool
        It drew on a phase that it was to leave.
    telling_readings : int
        Readings of this session that showed it drawing, up to the few that tell what the vehicle is.
    accepts_a : float, optional
        The most that the vehicle was seen to take when more was offered [A]; ``None`` when it took all.
    accepts_since : datetime, optional
        Since when it has taken about that.
    tail : deque of (Wh, A)
        What it took of more, by the energy delivered, as long as that goes down.
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
    discharge_a : float
        What its last lease asks it to feed back [A per phase].
    discharge_renew_at : datetime, optional
        When that is to be asked for anew.
    discharge_refused : bool
        The station refused to ask for it.
    overwritten : tuple of ProfilePurpose
        Standing profiles in whose place a limit was sent.
    out_of_service : bool
        This controller took it out of service.
    one_period : bool
        It was found to disobey under a lease that goes down by itself: it gets none with several periods any more.
    """

    evse: Evse
    holding: Holding
    obedience: Obedience = field(default_factory=Obedience)
    state: EvseState | None = None
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
    phases_lease: int | None = None
    phases_wanted: int | None = None
    phases_switched_at: datetime | None = None
    phases_refused: bool = False
    telling_readings: int = 0
    accepts_a: float | None = None
    accepts_since: datetime | None = None
    tail: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=TAIL_REMEMBERED))
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
    discharge_a: float = 0.0
    discharge_renew_at: datetime | None = None
    discharge_refused: bool = False
    overwritten: tuple[ProfilePurpose, ...] = ()
    one_period: bool = False
    writes: deque[datetime] = field(default_factory=deque)


@dataclass(slots=True, kw_only=True)
class StationRecord:
    """A station and the state of its link.

    Parameters
    ----------
    seen : bool
        Whether it was ever connected to this controller.
    stood : bool
        Nothing that it says has waited: its link was up before ``connected_at`` already, or it tells of the present.
    behind : (datetime, float), optional
        When an old reading arrived since it connected, and how old that was [s]: see ``is_history``.
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
    leftovers : tuple of ProfileId
        Profiles of this controller that may be on it from when it was limited in another way; cleared at last.
    failsafe_form, lease_form : int
        How often it refused a profile for its form: the next form is tried.
    usual : LeaseForm, optional
        How its limits are sent, where that is not as the site file wants it.
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
    settings : StationSettings, optional
        How its limits are reckoned, once that was asked for: see ``SiteState.settings_of``.
    ended : deque of TransactionId
    late : dict
        Sessions of which something may still be told.
    """

    station: Station
    version: OcppVersion | None = None
    connected: bool = False
    seen: bool = False
    stood: bool = False
    behind: tuple[datetime, float] | None = None
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
    leftovers: tuple[ProfileId, ...] = ()
    failsafe_form: int = 0
    lease_form: int = 0
    usual: LeaseForm | None = None
    retry_at: datetime | None = None
    maximum_writes: deque[datetime] = field(default_factory=deque)
    clock: ClockEstimate = field(default_factory=ClockEstimate)
    ended: deque[TransactionId] = field(default_factory=lambda: deque(maxlen=ENDED_REMEMBERED))

    @property
    def form(self) -> LeaseForm:
        """How limits are sent to it as long as nothing else was found to work."""
        return self.usual or own_form(self.station)

    @property
    def known(self) -> Station:
        """The station as far as it is known on the firmware that it last named: a proof is of one firmware."""
        return on_firmware(self.station, None if self.nameplate is None else self.nameplate.firmware)

    settings: StationSettings | None = field(default=None, compare=False, metadata={"found_anew": True})
    late: dict[TransactionId, LateSession] = field(default_factory=dict)


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
    habits : dict, optional
        Stays that are over, by id token and by time of arrival; ``None`` where the site file asks for no habits.
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
    batteries: dict[str, BatteryRecord] = field(default_factory=dict)
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
    habits: dict[str, tuple[Stay, ...]] | None = None
    stirred: bool = True
    last_at: datetime | None = None

    def settings_of(self, station: StationId) -> StationSettings:
        """Return how the limits of a station are reckoned; kept, for every look at a limit asks for it."""
        record = self.stations[station]
        version = record.version or OcppVersion.V16
        if record.settings is None or record.settings.version is not version:
            evses = max(e.number for e in self.site.evses_of(station))
            record.settings = _settings(version, evses, self.site.voltage_v)
        return record.settings


@lru_cache(maxsize=256)
def _settings(version: OcppVersion, evses: int, voltage_v: float) -> StationSettings:
    """Return settings that stations share: whoever looks up what was reckoned with them finds the same ones."""
    return StationSettings(version=version, evses=evses, voltage_v=voltage_v)

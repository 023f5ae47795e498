"""What the controller is told: one closed union of facts, each with the instant at which it was observed.

Rules
-----
1. ``at`` is the controller's own time of arrival; a time that the station claims is carried beside it.
2. An observation is a fact about the world, never a wish about what to do: the controller decides that.
3. A station speaks of its own EVSE numbers (OCPP 1.6: connector ids) and of its own phases L1, L2, L3; which EVSE and
   which grid phases these are is known to the site alone.
4. ``None`` is absent. A current that was not reported is ``None``, a current of nothing is ``0.0``.
"""

import enum
from dataclasses import dataclass, field
from datetime import datetime

from loadmgr.control.battery_facts import BatteryReading as BatteryReading
from loadmgr.control.feedback.capabilities import StationCapabilities as StationCapabilities
from loadmgr.control.handed_over import ProfilesReported as ProfilesReported
from loadmgr.control.handed_over import VehicleKnown as VehicleKnown
from loadmgr.control.outside.outside import LimitChanged as LimitChanged
from loadmgr.control.outside.outside import OverrideSet as OverrideSet
from loadmgr.control.outside.outside import SourceTrouble as SourceTrouble
from loadmgr.control.traits import StationTraits as StationTraits
from loadmgr.model.ids import EvseId, MeterId, StationId, TransactionId
from loadmgr.model.profile import ChargingProfile, ChargingSchedule, OcppVersion
from loadmgr.model.series import StepFunction
from loadmgr.model.session import DischargeTerms, EnergyNeed, VehicleLimits
from loadmgr.model.topology import PhaseAmps
from loadmgr.model.units import require_utc


class EvseState(enum.StrEnum):
    """State of an EVSE, finer than either version's own list: 1.6 statuses and 2.x charging states meet here."""

    AVAILABLE = "available"
    PLUGGED_IN = "plugged in"
    CHARGING = "charging"
    SUSPENDED_BY_VEHICLE = "suspended by the vehicle"
    SUSPENDED_BY_STATION = "suspended by the station"
    FINISHING = "finishing"
    RESERVED = "reserved"
    UNAVAILABLE = "unavailable"
    FAULTED = "faulted"


class Outcome(enum.StrEnum):
    """How a command ended."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    TOO_OFTEN = "refused as too often"
    """The station takes it later (RateLimitExceeded of 2.1, K01.FR.56): nothing speaks against the command itself."""
    TIMED_OUT = "timed out"
    LOST = "lost"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StationConnected:
    """A station's link is up.

    Parameters
    ----------
    stood : bool
        The link was up all the while: the controller begins anew, and nothing that the station says has waited.
    """

    at: datetime
    station: StationId
    version: OcppVersion
    stood: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StationDisconnected:
    """A station's link is down; calls that were under way are answered ``LOST`` one by one besides."""

    at: datetime
    station: StationId
    reason: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StationBooted:
    """A station said that it has started: what it held before may be forgotten."""

    at: datetime
    station: StationId
    vendor: str = ""
    model: str = ""
    firmware: str | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class EvseStatus:
    """The state of an EVSE changed, or was repeated.

    ``transaction`` is the one whose event told it, which need not name the EVSE (``number`` 0).
    """

    at: datetime
    station: StationId
    number: int
    state: EvseState
    error: str | None = None
    transaction: TransactionId | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionStarted:
    """A transaction runs.

    Parameters
    ----------
    number : int, optional
        The EVSE; ``None`` where a message of 2.x does not name it.
    meter_wh : float, optional
        The energy register at its start [Wh].
    started_at : datetime, optional
        When it started by the station's own clock.
    live : bool
        Whether it happens now; history that a station delivers late feeds the ledger only.
    """

    at: datetime
    station: StationId
    number: int | None
    transaction: TransactionId
    id_token: str | None = None
    meter_wh: float | None = None
    started_at: datetime | None = None
    live: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionEnded:
    """A transaction is over; the cable may still be in."""

    at: datetime
    station: StationId
    number: int | None
    transaction: TransactionId | None
    meter_wh: float | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    live: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class EvseReading:
    """What an EVSE measured.

    Parameters
    ----------
    number : int
        The EVSE; 0 is the station as a whole.
    currents_a : (L1, L2, L3), optional
        Import [A] on the station's own phases, ``None`` for a phase that was not reported.
    current_a : float, optional
        Import [A] that was reported without a phase.
    power_w : float, optional
        Active import over all phases [W].
    powers_w : (L1, L2, L3), optional
        Active import [W] on the station's own phases, ``None`` for a phase that was not reported.
    energy_wh : float, optional
        Import register [Wh].
    state_of_charge_ratio : float, optional
        State of charge of the vehicle, 0 to 1.
    offered_a : float, optional
        What the station says that it offers [A].
    export_currents_a : (L1, L2, L3), optional
        Current that is fed back [A] on the station's own phases, above 0.
    export_w, exported_wh : float, optional
        Power that is fed back [W], above 0, and its register [Wh].
    measured_at : datetime, optional
        When it was measured by the station's own clock.
    live : bool
        Whether it says what flows now; the values at begin and end of a transaction feed the ledger only.
    """

    at: datetime
    station: StationId
    number: int
    transaction: TransactionId | None = None
    currents_a: tuple[float | None, float | None, float | None] | None = None
    current_a: float | None = None
    power_w: float | None = None
    powers_w: tuple[float | None, float | None, float | None] | None = None
    energy_wh: float | None = None
    state_of_charge_ratio: float | None = None
    offered_a: float | None = None
    export_currents_a: tuple[float | None, float | None, float | None] | None = None
    export_w: float | None = None
    exported_wh: float | None = None
    measured_at: datetime | None = None
    live: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteMeterReading:
    """What a meter of the site measured on L1, L2, L3 of the grid [A], import positive."""

    at: datetime
    meter: MeterId
    currents_a: PhaseAmps

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDeclared:
    """Somebody said what a session is to get; what is ``None`` stays as it was known.

    Parameters
    ----------
    transaction : TransactionId, optional
        The session it is about; ``None`` is the one that is plugged in, or else the next one.
    need : EnergyNeed, optional
        Energy counted from the start of the session.
    discharge : DischargeTerms, optional
        What the vehicle may feed back; terms of 0 A take earlier ones back.
    source : str
        Who said it, such as ``driver``, ``vehicle``, ``calendar``.
    """

    at: datetime
    evse: EvseId
    transaction: TransactionId | None = None
    departure: datetime | None = None
    need: EnergyNeed | None = None
    priority: int | None = None
    vehicle: VehicleLimits | None = None
    discharge: DischargeTerms | None = None
    source: str = "driver"

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))
        if self.departure is not None:
            object.__setattr__(self, "departure", require_utc(self.departure, name="departure"))


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleDeclared:
    """A vehicle said through its station what it needs (ISO 15118).

    Parameters
    ----------
    energy_wh : float, optional
        Energy that it asks for from now on [Wh].
    min_a, max_a : float, optional
        What it can take per phase [A].
    max_w : float, optional
        Most power that it can take [W].
    """

    at: datetime
    station: StationId
    number: int
    departure: datetime | None = None
    energy_wh: float | None = None
    min_a: float | None = None
    max_a: float | None = None
    max_w: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))
        if self.departure is not None:
            object.__setattr__(self, "departure", require_utc(self.departure, name="departure"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceUpdated:
    """Prices of import per kWh, instead of the tariff's own for as long as they reach."""

    at: datetime
    prices_per_kwh: StepFunction = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandAnswered:
    """How a command ended; a late answer may follow one that said ``TIMED_OUT``."""

    at: datetime
    command: int
    outcome: Outcome
    reason: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeReported:
    """What a station says is in force, read back; ``schedule`` is ``None`` where it gave none that makes sense."""

    at: datetime
    command: int
    station: StationId
    number: int
    schedule: ChargingSchedule | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignProfiles:
    """Charging profiles that somebody else has put on a station: an external limit, or a backend above.

    They lower what is planned. What has to be assumed of an EVSE does not rest on them, because whoever set them may
    take them away without a word.

    Parameters
    ----------
    number : int
        EVSE on the station; 0 is the station as a whole.
    source : str
        Who set them, such as ``EMS`` or ``SO``; what the same source said before no longer holds.
    profiles : tuple of ChargingProfile, optional
        Empty where the source released its limit; ``None`` where there is one and nobody said which.
    by_station : bool
        Whether the station told it, so that a full report of the station's replaces it.
    request : int, optional
        Part of the report that this command asked for; parts of one report add up.
    last : bool
        Whether the report ends with this: what the station told before and did not repeat no longer holds.
    """

    at: datetime
    station: StationId
    number: int
    source: str
    profiles: tuple[ChargingProfile, ...] | None = ()
    by_station: bool = False
    request: int | None = None
    last: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))


Observation = (
    StationConnected
    | StationDisconnected
    | StationBooted
    | StationCapabilities
    | StationTraits
    | EvseStatus
    | TransactionStarted
    | TransactionEnded
    | EvseReading
    | SiteMeterReading
    | SessionDeclared
    | VehicleDeclared
    | PriceUpdated
    | LimitChanged
    | OverrideSet
    | CommandAnswered
    | CompositeReported
    | ForeignProfiles
    | ProfilesReported
    | VehicleKnown
    | SourceTrouble
    | BatteryReading
)
"""Every fact that a controller can be told."""

"""Charging profiles of OCPP 1.6, 2.0.1 and 2.1 as one frozen value.

Rules
-----
1. One profile for all versions: what a version lacks is ``None`` there. Names are those of the field, not of the wire;
   only :mod:`loadmgr.bridge.profile_json` knows how each version spells them.
2. A value keeps what was sent, even where it breaks a rule: whether a profile may be installed is decided by
   :mod:`loadmgr.composite`, which can then name the field.
3. ``None`` is absent, ``0.0`` is a limit of zero (no charging).
4. ``limit``, ``setpoint`` and their kin carry no unit in their name because the schedule says it: A is ampere per
   phase, W is the total over all phases (OCPP 1.6 section 3.13, K01.FR.50).
"""

from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import Enum

from loadmgr.model.ids import ProfileId, TransactionId

Opaque = tuple[tuple[str, str], ...]
"""Wire fields that are carried but not read (tariffs, signatures, customData): pairs of name and JSON text."""


class OcppVersion(Enum):
    """The versions that a profile can come from."""

    V16 = "1.6"
    V201 = "2.0.1"
    V21 = "2.1"


class ProfilePurpose(Enum):
    """What a profile is for."""

    CHARGE_POINT_MAX = "CHARGE_POINT_MAX"
    EXTERNAL_CONSTRAINTS = "EXTERNAL_CONSTRAINTS"
    TX_DEFAULT = "TX_DEFAULT"
    TX = "TX"
    PRIORITY_CHARGING = "PRIORITY_CHARGING"
    LOCAL_GENERATION = "LOCAL_GENERATION"


class ProfileKind(Enum):
    """Where the zero of a schedule's own time axis lies."""

    ABSOLUTE = "Absolute"
    RECURRING = "Recurring"
    RELATIVE = "Relative"
    DYNAMIC = "Dynamic"


class Recurrency(Enum):
    """How often a recurring schedule starts anew."""

    DAILY = "Daily"
    WEEKLY = "Weekly"


class RateUnit(Enum):
    """Unit of a schedule's limits: A per phase, or W in total."""

    A = "A"
    W = "W"


class OperationMode(Enum):
    """What a period of OCPP 2.1 asks the EVSE to do; absent means charging only."""

    IDLE = "Idle"
    CHARGING_ONLY = "ChargingOnly"
    CENTRAL_SETPOINT = "CentralSetpoint"
    EXTERNAL_SETPOINT = "ExternalSetpoint"
    EXTERNAL_LIMITS = "ExternalLimits"
    CENTRAL_FREQUENCY = "CentralFrequency"
    LOCAL_FREQUENCY = "LocalFrequency"
    LOCAL_LOAD_BALANCING = "LocalLoadBalancing"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitAtSoC:
    """A cap that holds from a state of charge on (2.1).

    Parameters
    ----------
    soc_percent : int
        State of charge [%] from which the cap holds.
    limit : float
        The cap, in the unit of its schedule.
    """

    soc_percent: int
    limit: float
    opaque: Opaque = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """A point of a curve of power over frequency [Hz] or over a signal's value (2.1)."""

    at: float
    power_w: float
    opaque: Opaque = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePeriod:
    """One step of a schedule; it holds until the next one starts.

    Parameters
    ----------
    start_s : int
        Start [s] after the start of the schedule.
    limit, limit_l2, limit_l3 : float, optional
        Highest charging rate. With ``limit_l2`` or ``limit_l3`` the plain ``limit`` is that of phase L1 (2.1).
    phases : int, optional
        Number of phases to charge on; absent means 3 on AC.
    phase_to_use : int, optional
        The phase to use when ``phases`` is 1 (2.x).
    discharge_limit, discharge_limit_l2, discharge_limit_l3 : float, optional
        Highest discharging rate, zero or negative (2.1).
    setpoint, setpoint_l2, setpoint_l3 : float, optional
        The rate to follow, negative for discharging (2.1).
    setpoint_reactive, setpoint_reactive_l2, setpoint_reactive_l3 : float, optional
        Reactive part of the setpoint (2.1).
    operation_mode : OperationMode, optional
    evse_sleep, preconditioning_request : bool, optional
    v2x_baseline_w : float, optional
        Power [W] around which a frequency curve works.
    freq_watt_curve, signal_watt_curve : tuple of CurvePoint, optional
    says_more : bool
        Whether the period says more than a limit and a phase count; derived, so that it is asked for once.
    """

    start_s: int
    limit: float | None = None
    phases: int | None = None
    phase_to_use: int | None = None
    limit_l2: float | None = None
    limit_l3: float | None = None
    discharge_limit: float | None = None
    discharge_limit_l2: float | None = None
    discharge_limit_l3: float | None = None
    setpoint: float | None = None
    setpoint_l2: float | None = None
    setpoint_l3: float | None = None
    setpoint_reactive: float | None = None
    setpoint_reactive_l2: float | None = None
    setpoint_reactive_l3: float | None = None
    operation_mode: OperationMode | None = None
    evse_sleep: bool | None = None
    preconditioning_request: bool | None = None
    v2x_baseline_w: float | None = None
    freq_watt_curve: tuple[CurvePoint, ...] | None = None
    signal_watt_curve: tuple[CurvePoint, ...] | None = None
    opaque: Opaque = ()
    says_more: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        more = (
            self.phase_to_use is not None
            or self.limit is None
            or self.limit_l2 is not None
            or self.limit_l3 is not None
            or self.discharge_limit is not None
            or self.setpoint is not None
            or self.operation_mode is not None
            or self.evse_sleep is not None
            or self.preconditioning_request is not None
        )
        object.__setattr__(self, "says_more", more)


class _HashedOnce:
    """A frozen value of many parts that keeps its hash: what is reckoned of profiles is looked up by them all the time.

    It is no field, so that it is neither compared nor shown nor written anywhere.
    """

    __slots__ = ("_hash",)

    _hash: int

    def hash_of_fields(self) -> int:
        """Return the hash, which goes through every field the first time."""
        try:
            return self._hash
        except AttributeError:
            parts = tuple(getattr(self, each.name) for each in fields(self))  # type: ignore[arg-type]
            object.__setattr__(self, "_hash", hash(parts))
            return self._hash


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingSchedule(_HashedOnce):
    """A list of periods on a time axis of its own.

    Parameters
    ----------
    unit : RateUnit
    periods : tuple of SchedulePeriod
    schedule_id : int, optional
        Absent in 1.6.
    start : datetime, optional
        Start of the axis, with the offset that was sent: ``use_local_time`` reads the wall clock of it.
    duration_s : int, optional
        Length [s] after which no period holds.
    min_charging_rate : float, optional
        Information for a load balancer, never a limit and never a floor for one (K01.FR.21).
    use_local_time : bool, optional
        ``start`` is wall time at the station (2.1).
    randomized_delay_s : int, optional
        Largest random delay [s] of each period but the first (2.1).
    limit_at_soc : LimitAtSoC, optional
    """

    unit: RateUnit
    periods: tuple[SchedulePeriod, ...]
    schedule_id: int | None = None
    start: datetime | None = None
    duration_s: int | None = None
    min_charging_rate: float | None = None
    use_local_time: bool | None = None
    randomized_delay_s: int | None = None
    limit_at_soc: LimitAtSoC | None = None
    opaque: Opaque = ()

    __hash__ = _HashedOnce.hash_of_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingProfile(_HashedOnce):
    """A charging profile of any OCPP version.

    Parameters
    ----------
    profile_id : ProfileId
    stack_level : int
        The higher one leads inside a purpose, and only there.
    purpose : ProfilePurpose
    kind : ProfileKind
    schedules : tuple of ChargingSchedule
        One; up to three where an ISO 15118 vehicle is to choose (2.x).
    recurrency : Recurrency, optional
    valid_from, valid_to : datetime, optional
        Half open: valid when ``valid_from <= t < valid_to`` (K01.FR.36, K01.FR.37).
    transaction_id : TransactionId, optional
    max_offline_s : int, optional
        Longest time [s] without connection for which the profile stays valid (2.1).
    invalid_after_offline : bool, optional
        Whether it stays invalid once that time was exceeded (2.1).
    dyn_update_interval_s : int, optional
        How often [s] a dynamic profile is pulled (2.1).
    dyn_update_time : datetime, optional
        When the values of a dynamic profile were last updated (2.1).
    """

    profile_id: ProfileId
    stack_level: int
    purpose: ProfilePurpose
    kind: ProfileKind
    schedules: tuple[ChargingSchedule, ...]
    recurrency: Recurrency | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    transaction_id: TransactionId | None = None
    max_offline_s: int | None = None
    invalid_after_offline: bool | None = None
    dyn_update_interval_s: int | None = None
    dyn_update_time: datetime | None = None
    opaque: Opaque = ()

    __hash__ = _HashedOnce.hash_of_fields

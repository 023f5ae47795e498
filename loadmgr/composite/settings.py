"""What a charging station can do with profiles, and what it falls back to: the constants of every rule."""

from collections.abc import Collection
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from loadmgr.composite.conversion import Conversion, conversion
from loadmgr.composite.hardware import HardwareLimit
from loadmgr.model.profile import OcppVersion, OperationMode, ProfilePurpose, RateUnit

MAX_EVSES = 10_000
"""Most EVSEs of one station; more than any has, so that a slip of the pen costs no hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StationSettings:
    """Capabilities and defaults of one charging station; what is ``None`` does not restrict.

    Parameters
    ----------
    version : OcppVersion
    evses : int
        Number of EVSEs (connectors in 1.6), numbered from 1; 0 is the whole station.
    allowed_units : collection of RateUnit, optional
        The first one answers a request that names no unit.
    max_stack_level, max_periods, max_profiles : int, optional
    supply_phases : int, optional
        Phases that the station is connected to.
    direct_current : bool
        DC EVSEs: a limit in W is compared as W, phases play no part (K01.FR.44).
    ac_phase_switching : bool, optional
        Whether ``phase_to_use`` can be obeyed (K01.FR.20).
    operation_modes : collection of OperationMode, optional
        What V2XChargingCtrlr.SupportedOperationModes holds (2.1).
    load_balancing_thresholds : bool, optional
        Whether the thresholds of LocalLoadBalancing are set (Q09.FR.02, 2.1).
    additional_purposes : collection of ProfilePurpose, optional
        Which of PriorityCharging and LocalGeneration are supported (2.1).
    supports_dynamic, supports_local_time, supports_randomized_delay, supports_limit_at_soc, supports_evse_sleep : bool
    max_external_constraints_id : int, optional
        Ids up to this one belong to external constraints (K01.FR.81).
    dc_input_phase_control : bool
        Whether a DC EVSE takes phases for its input side (K01.FR.54).
    allow_missing_start : bool
        1.6: an Absolute schedule without start counts from the start of charging instead of being rejected.
    recurs_before_start : bool
        Whether a recurring schedule also runs before its start, as some stations do; K01.FR.30 says that it does not.
    iso15118 : bool
        Whether TxProfiles may offer several schedules (K01.FR.34): an ISO 15118 session runs, whichever it is. What
        is known of the session of one EVSE stands in its transaction.
    time_zone : ZoneInfo, optional
        Where the station stands, for ``use_local_time`` (2.1); UTC when absent.
    default_current_a, default_power_w : float, optional
        What the answer says where nothing limits: current per phase [A], power in total [W].
    default_phases : int, optional
        Phases of that default.
    voltage_v : float
        Nominal line voltage [V], a set value and never a measured one (K01.FR.50).
    evse_hardware, station_hardware : HardwareLimit, optional
        What each EVSE, and the station, can carry: caps of every answer beside the profiles. The defaults above are no
        caps.
    idle_counts_as_zero : bool
        EVSE 0: whether an EVSE without a transaction adds nothing instead of what its default profile would allow.
    setpoint_priority_csms : bool
        SmartChargingCtrlr.SetpointPriority = CSMS: the CSMS's setpoint wins over an external one (Q06.FR.22).
    external_constraints_disallowed : bool
        ExternalConstraintsProfileDisallowed: external limits are ignored (K11.FR.07).
    """

    version: OcppVersion
    evses: int = 1
    allowed_units: Collection[RateUnit] | None = None
    max_stack_level: int | None = None
    max_periods: int | None = None
    max_profiles: int | None = None
    supply_phases: int | None = None
    direct_current: bool = False
    ac_phase_switching: bool | None = None
    operation_modes: Collection[OperationMode] | None = None
    load_balancing_thresholds: bool | None = None
    additional_purposes: Collection[ProfilePurpose] | None = None
    supports_dynamic: bool = True
    supports_local_time: bool = True
    supports_randomized_delay: bool = True
    supports_limit_at_soc: bool = True
    supports_evse_sleep: bool = True
    max_external_constraints_id: int | None = None
    dc_input_phase_control: bool = False
    allow_missing_start: bool = True
    recurs_before_start: bool = False
    iso15118: bool = False
    time_zone: ZoneInfo | None = None
    default_current_a: float | None = None
    default_power_w: float | None = None
    default_phases: int | None = None
    voltage_v: float = 230.0
    evse_hardware: HardwareLimit | None = None
    station_hardware: HardwareLimit | None = None
    idle_counts_as_zero: bool = False
    setpoint_priority_csms: bool = False
    external_constraints_disallowed: bool = False
    conversion: Conversion = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.evses <= MAX_EVSES:
            raise ValueError(f"evses must lie in 1..{MAX_EVSES}, got {self.evses}")
        if not 0.0 < self.voltage_v < 100_000.0:
            raise ValueError(f"voltage_v must lie above 0 and below 100000, got {self.voltage_v}")
        if self.default_phases is not None and not 1 <= self.default_phases <= 3:
            raise ValueError(f"default_phases must lie in 1..3, got {self.default_phases}")
        for name, value in (("default_current_a", self.default_current_a), ("default_power_w", self.default_power_w)):
            if value is not None and not 0.0 <= value < 1e9:
                raise ValueError(f"{name} must lie in 0..1e9, got {value}")
        made = conversion(
            voltage_v=self.voltage_v,
            direct_current=self.direct_current,
            dc_phases=self.dc_input_phase_control,
            silent=self.version is OcppVersion.V16 or self.direct_current,
        )
        object.__setattr__(self, "conversion", made)

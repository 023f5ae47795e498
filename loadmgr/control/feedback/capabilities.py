"""What a station says that it can do in smart charging."""

from dataclasses import dataclass
from datetime import datetime

from loadmgr.model.ids import StationId
from loadmgr.model.profile import RateUnit
from loadmgr.model.units import require_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class StationCapabilities:
    """What a station reports about its smart charging; ``None`` where it says nothing.

    Parameters
    ----------
    max_stack_level : int, optional
        Highest stack level that it takes.
    rate_units : frozenset of RateUnit, optional
        Units that it takes in a schedule.
    max_periods, max_profiles : int, optional
        Periods in one schedule, and profiles in all.
    switches_phases : bool, optional
        It can go from three phases to one within a transaction.
    setpoint_evses : tuple of int
        EVSEs that follow a setpoint of OCPP 2.1, and so may be asked to feed back; 0 is every one.
    fixed_phase_evses, choosing_evses : tuple of int
        EVSEs of 2.x that charge on one phase always on their first, and those that can choose one (K01.FR.48).
    """

    at: datetime
    station: StationId
    max_stack_level: int | None = None
    rate_units: frozenset[RateUnit] | None = None
    max_periods: int | None = None
    max_profiles: int | None = None
    switches_phases: bool | None = None
    setpoint_evses: tuple[int, ...] = ()
    fixed_phase_evses: tuple[int, ...] = ()
    choosing_evses: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))

"""What is known of a station's model beside what it says of itself: how it likes to be spoken to, and how it pauses."""

import enum
from dataclasses import dataclass
from datetime import datetime

from loadmgr.model.ids import StationId
from loadmgr.model.profile import ProfileKind, RateUnit
from loadmgr.model.units import require_utc


class PauseMode(enum.StrEnum):
    """How a station is best paused."""

    ZERO = "zero"
    MIN = "min"
    REMOTE_STOP = "remote_stop"
    CHANGE_AVAILABILITY = "change_availability"


@dataclass(frozen=True, slots=True, kw_only=True)
class StationTraits:
    """What is known of a station's model, learnt of it, or said by the operator; ``None`` where nothing is.

    Parameters
    ----------
    rate_units : frozenset of RateUnit, optional
        Units that it follows, whatever it accepts.
    kind : ProfileKind, optional
        The one kind of profile that it takes.
    stack_level : int, optional
        The one stack level that works.
    max_periods : int, optional
        Periods that it follows in one schedule.
    takes_tx, takes_tx_default, takes_maximum : bool, optional
        Purposes that it follows.
    zero_ok : bool, optional
        Whether 0 A pauses it.
    pause_mode : PauseMode, optional
    change_availability : bool, optional
        Whether it may be taken out of service: some models do not come back.
    keeps_durations : bool, optional
        Whether a profile ends when its duration says so; without that there are no leases.
    whole_limits : bool, optional
        Limits have to be whole numbers.
    max_profiles : int, optional
        Profiles that it holds in all.
    switches_phases : bool, optional
        Under a limit in W it may go from three phases to one and back by itself.
    """

    at: datetime
    station: StationId
    rate_units: frozenset[RateUnit] | None = None
    kind: ProfileKind | None = None
    stack_level: int | None = None
    max_periods: int | None = None
    takes_tx: bool | None = None
    takes_tx_default: bool | None = None
    takes_maximum: bool | None = None
    zero_ok: bool | None = None
    pause_mode: PauseMode | None = None
    change_availability: bool | None = None
    keeps_durations: bool | None = None
    whole_limits: bool | None = None
    max_profiles: int | None = None
    switches_phases: bool | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))

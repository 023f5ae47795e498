"""What holds at a site when nobody controls it, and how fast it must react."""

import enum
from dataclasses import dataclass


class FailSafeStrategy(enum.StrEnum):
    """What an EVSE may draw when nobody controls it (``time_division``: recurring windows)."""

    STATIC = "static"
    ZERO = "zero"
    TIME_DIVISION = "time_division"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailSafe:
    """What holds when the controller is gone.

    Parameters
    ----------
    lease_s : int
        How long a pushed limit holds without renewal before the fallback takes over.
    reserve_starts : int, optional
        For so many vehicles that plug in at once current is kept, where fallbacks are above 0; ``None`` is for all.
    """

    strategy: FailSafeStrategy = FailSafeStrategy.STATIC
    lease_s: int = 900
    reserve_starts: int | None = None

    def __post_init__(self) -> None:
        if self.reserve_starts is not None and self.reserve_starts < 1:
            raise ValueError(f"reserve_starts must be 1 or above, got {self.reserve_starts}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How fast the site reacts; all in seconds.

    Parameters
    ----------
    reaction_time_s
        From an excursion to its end; at most 60 and at least meter interval + call time-out + settle time.
    settle_s
        Time a vehicle may take to follow a new limit.
    clock_skew_s
        How far a station's clock may be off.
    """

    reaction_time_s: float = 45.0
    settle_s: float = 10.0
    meter_interval_s: float = 10.0
    call_timeout_s: float = 20.0
    clock_skew_s: float = 60.0

"""What a controller is told that was not there before: by a backend that keeps the state, or by another controller.

Rules
-----
1. Whoever tells it answers for it: it counts as if it had been observed here.
2. What is ``None`` stays as this controller knows it.
"""

from dataclasses import dataclass
from datetime import datetime

from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.model.ids import EvseId, StationId, TransactionId
from loadmgr.model.units import require_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilesReported:
    """Everything that a station holds, told by one who knows: the station itself, or the backend that set it all.

    Parameters
    ----------
    installed : tuple of InstalledProfile
        Every charging profile on it; what was believed before no longer counts.
    """

    at: datetime
    station: StationId
    installed: tuple[InstalledProfile, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleKnown:
    """What was found out before about the session at an EVSE, told to a controller that did not see it happen.

    What is ``None`` stays as this controller knows it.

    Parameters
    ----------
    delivered_wh : float, optional
        Energy of the session so far [Wh].
    phases : tuple of int, optional
        Positions in the EVSE's phases on which the vehicle was seen to draw.
    accepts_a, accepts_since : optional
        The most that it was seen to take when more was offered [A], and since when.
    told : bool
        It has shown what it takes: nobody needs to try.
    on_since, off_since : datetime, optional
        When its setpoint last went above 0, or to 0.
    """

    at: datetime
    evse: EvseId
    transaction: TransactionId
    delivered_wh: float | None = None
    phases: tuple[int, ...] | None = None
    accepts_a: float | None = None
    accepts_since: datetime | None = None
    told: bool = False
    on_since: datetime | None = None
    off_since: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))

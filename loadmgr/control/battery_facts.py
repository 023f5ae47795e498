"""What is told to a stationary battery, and what it says: values that are journaled and shown.

A battery is told a power again and again, and answers with what it does: there is no other acknowledgement.
"""

from dataclasses import dataclass
from datetime import datetime

from loadmgr.model.ids import CircuitId
from loadmgr.model.units import require_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBatteryPower:
    """Tell a battery what to do until it is told anew.

    Parameters
    ----------
    power_w : int
        At its circuit [W]: above 0 it charges, below 0 it discharges.
    """

    battery: str
    power_w: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryReading:
    """What a battery says.

    Parameters
    ----------
    power_w : float
        At its circuit [W]: above 0 it charges.
    state_of_charge_ratio : float, optional
        Of its usable energy, 0 to 1; without one it is told to rest.
    """

    at: datetime
    battery: str
    power_w: float
    state_of_charge_ratio: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryView:
    """A commanded battery as it stands.

    Parameters
    ----------
    setpoint_w : int, optional
        What it was told last; ``None`` before the first time.
    assumed_w : float
        Charging power that has to be assumed of it.
    plan_w : tuple of float
        Power in each step of the plan [W], above 0 to charge; empty without one.
    """

    battery: str
    circuit: CircuitId
    setpoint_w: int | None
    power_w: float | None
    state_of_charge_ratio: float | None
    assumed_w: float
    reason: str
    plan_w: tuple[float, ...] = ()

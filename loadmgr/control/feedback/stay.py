"""A stay that is over: what habits are made of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """How long a vehicle stayed [s], and what it took, or asked for where it left short [Wh]."""

    stay_s: float
    energy_wh: float

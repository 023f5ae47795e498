"""What a place can carry at most, whatever profiles say: its wiring, contactors and breaker.

Rules
-----
1. It caps the finished answer, generation included: that of an EVSE its own, that of the station the sum (K04.FR.05).
2. It is no profile: where it decides no profile does, and it names no phase count.
3. Discharging is capped alike.
"""

from dataclasses import dataclass

from loadmgr.model.profile import RateUnit

_TOLERANCE = 1e-6
"""In tenths: 2.3 * 10 is 22.999999999999996."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareLimit:
    """The most that an EVSE, or a station, can carry.

    Parameters
    ----------
    current_a : float, optional
        Per phase [A].
    power_w : float, optional
        In total [W].
    """

    current_a: float | None = None
    power_w: float | None = None

    def __post_init__(self) -> None:
        if self.current_a is None and self.power_w is None:
            raise ValueError("a hardware limit must have current_a or power_w")
        for name, value in (("current_a", self.current_a), ("power_w", self.power_w)):
            if value is not None and not 0.0 <= value < 1e9:
                raise ValueError(f"{name} must lie in 0..1e9, got {value}")

    def tenths(self, unit: RateUnit, *, voltage_v: float, phases: int) -> int:
        """Return the limit in tenths of ``unit`` on so many phases, rounded down."""
        most = []
        if self.current_a is not None:
            most.append(self.current_a if unit is RateUnit.A else self.current_a * voltage_v * phases)
        if self.power_w is not None:
            most.append(self.power_w if unit is RateUnit.W else self.power_w / (voltage_v * phases))
        return int(min(most) * 10.0 + _TOLERANCE)

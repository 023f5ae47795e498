"""What a site has beside circuits and EVSEs: generation, batteries, and power cabinets that several outlets share."""

from dataclasses import dataclass

from loadmgr.model.ids import CircuitId, EvseId


@dataclass(frozen=True, slots=True, kw_only=True)
class PvPlant:
    """Photovoltaic generation behind the grid connection; its peak power [W]."""

    id: str
    circuit: CircuitId
    peak_w: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryLink:
    """How a battery is told what to do.

    Parameters
    ----------
    every_s : float
        At least so often it is told, and says what it does [s].
    watchdog_s : float
        It rests by itself when it has heard nothing for so long [s] (SunSpec model 124: a revert timer).
    """

    every_s: float = 10.0
    watchdog_s: float = 60.0

    def __post_init__(self) -> None:
        if not 1.0 <= self.every_s <= self.watchdog_s / 2.0 <= 1800.0:
            raise ValueError(
                f"every_s of a battery must lie in [1, {self.watchdog_s / 2.0:g}], half its watchdog, "
                f"which is at most 3600 s; got {self.every_s:g} and a watchdog of {self.watchdog_s:g}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """A stationary battery, on all three phases alike.

    Parameters
    ----------
    capacity_wh, reserve_wh, stored_wh : float
        Usable energy when full, what is never taken out, and what is stored until a reading says better [Wh].
    max_charge_w, max_discharge_w : float
        Largest powers at the circuit [W].
    efficiency_ratio : float
        Energy that comes out again per energy put in, both ways together.
    link : BatteryLink, optional
        How a controller commands it; ``None`` where none may.
    """

    id: str
    circuit: CircuitId
    capacity_wh: float
    max_charge_w: float
    max_discharge_w: float
    reserve_wh: float = 0.0
    stored_wh: float = 0.0
    efficiency_ratio: float = 0.9
    link: BatteryLink | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.capacity_wh < 1e12:
            raise ValueError(f"capacity_wh of battery {self.id} must lie in (0, 1e12), got {self.capacity_wh}")
        for name, value in (("max_charge_w", self.max_charge_w), ("max_discharge_w", self.max_discharge_w)):
            if not 0.0 <= value < 1e12:
                raise ValueError(f"{name} of battery {self.id} must lie in [0, 1e12), got {value}")
        if not 0.0 <= self.reserve_wh <= self.stored_wh <= self.capacity_wh:
            raise ValueError(
                f"battery {self.id} must satisfy 0 <= reserve_wh <= stored_wh <= capacity_wh, "
                f"got {self.reserve_wh}, {self.stored_wh}, {self.capacity_wh}"
            )
        if not 0.1 <= self.efficiency_ratio <= 1.0:
            raise ValueError(f"efficiency_ratio of battery {self.id} must lie in [0.1, 1], got {self.efficiency_ratio}")

    @property
    def one_way_ratio(self) -> float:
        """Energy after one way over energy before it: the losses are taken alike in and out."""
        return float(self.efficiency_ratio**0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cabinet:
    """A power cabinet that feeds several DC outlets, which it cannot all serve at full power.

    Parameters
    ----------
    evses : tuple of EvseId
        Its outlets, all on one circuit.
    max_w : float
        Largest power over all outlets together, on the DC side [W].
    """

    id: str
    evses: tuple[EvseId, ...]
    max_w: float

    def __post_init__(self) -> None:
        if not self.evses or len(set(self.evses)) != len(self.evses):
            raise ValueError(f"evses of cabinet {self.id} must be different EVSEs, got {self.evses}")
        if not 0.0 < self.max_w < 1e12:
            raise ValueError(f"max_w of cabinet {self.id} must lie in (0, 1e12), got {self.max_w}")

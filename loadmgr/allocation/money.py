"""What energy costs at the grid connection, and the stationary batteries that move it in time."""

import math
from dataclasses import dataclass, fields

import numpy as np

from loadmgr.allocation.arrays import BoolArray, FloatArray, require_finite, require_shape


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DemandCharge:
    """A price on the highest mean power of any window of the clock.

    Parameters
    ----------
    price_per_kw : float
        Price of 1 kW more of peak over the billing period; a caller who sees only a part of it may scale it.
    window_s : int
        Length of the windows [s]; they start at multiples of it after midnight UTC.
    applies : (n_step,) bool, optional
        Steps that count; ``None`` for all.
    peak_so_far_w : float
        Highest mean of the billing period so far [W]: up to there a peak is paid already.
    running_energy_wh : float
        Energy imported in the running window before the grid's start [Wh].
    """

    price_per_kw: float
    window_s: int = 900
    applies: BoolArray | None = None
    peak_so_far_w: float = 0.0
    running_energy_wh: float = 0.0

    def __post_init__(self) -> None:
        for name in ("price_per_kw", "peak_so_far_w"):
            if not 0.0 <= getattr(self, name) < 1e12:
                raise ValueError(f"demand charge {name} must lie in [0, 1e12), got {getattr(self, name)}")
        if not -1e12 < self.running_energy_wh < 1e12:
            raise ValueError(f"demand charge running_energy_wh must be finite, got {self.running_energy_wh}")
        if not 0 < self.window_s <= 86400 or 86400 % self.window_s:
            raise ValueError(f"demand charge window_s must divide a day (86400 s), got {self.window_s}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StationaryBattery:
    """A battery of the site, on all three phases alike.

    Parameters
    ----------
    id : str
    circuit : int
        Index of the circuit it hangs on.
    max_charge_w, max_discharge_w : float
    stored_wh, min_wh, capacity_wh : float
        Present state, lowest and highest state [Wh].
    charge_efficiency_ratio, discharge_efficiency_ratio : float
    end_value_per_kwh : float, optional
        Worth of energy left at the end of the grid; ``None`` takes the mean import price times the way back.
    """

    id: str
    circuit: int
    max_charge_w: float
    max_discharge_w: float
    stored_wh: float
    capacity_wh: float
    min_wh: float = 0.0
    charge_efficiency_ratio: float = 0.95
    discharge_efficiency_ratio: float = 0.95
    end_value_per_kwh: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_charge_w", "max_discharge_w", "min_wh", "capacity_wh"):
            if not 0.0 <= getattr(self, name) < 1e12:
                raise ValueError(f"battery {self.id}: {name} must lie in [0, 1e12), got {getattr(self, name)}")
        if not self.min_wh <= self.stored_wh <= self.capacity_wh:
            raise ValueError(
                f"battery {self.id}: stored_wh must lie in [{self.min_wh}, {self.capacity_wh}], got {self.stored_wh}"
            )
        if self.end_value_per_kwh is not None and not math.isfinite(self.end_value_per_kwh):
            raise ValueError(f"battery {self.id}: end_value_per_kwh must be finite, got {self.end_value_per_kwh}")
        for name in ("charge_efficiency_ratio", "discharge_efficiency_ratio"):
            if not 0.1 <= getattr(self, name) <= 1.0:
                raise ValueError(f"battery {self.id}: {name} must lie in [0.1, 1], got {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SiteMoney:
    """Prices at the grid connection, and what the site draws beside EVSEs.

    Parameters
    ----------
    import_price_per_kwh, export_price_per_kwh : (n_step,)
    site_load_w : (n_step,)
        Expected draw of the site without EVSEs and batteries, own generation subtracted [W].
    curtailable_w : (n_step,)
        Part of the own generation that may be turned down to keep ``export_limit_w`` [W].
    export_limit_w : (n_step,), optional
        Most that may be fed into the grid [W].
    carbon_g_per_kwh : (n_step,), optional
        Carbon intensity of imported energy.
    carbon_price_per_kg : float
        Worth of 1 kg of carbon dioxide not emitted.
    demand_charges : tuple of DemandCharge
    """

    import_price_per_kwh: FloatArray
    export_price_per_kwh: FloatArray
    site_load_w: FloatArray
    curtailable_w: FloatArray
    export_limit_w: FloatArray | None = None
    carbon_g_per_kwh: FloatArray | None = None
    carbon_price_per_kg: float = 0.0
    demand_charges: tuple[DemandCharge, ...] = ()

    def __post_init__(self) -> None:
        steps = self.import_price_per_kwh.shape[-1]
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                require_shape(f"money.{item.name}", value, (steps,))
        require_finite("money", self)
        if not math.isfinite(self.carbon_price_per_kg):  # one that is NaN makes a simplex run for ever
            raise ValueError(f"money.carbon_price_per_kg must be a finite number, got {self.carbon_price_per_kg}")
        if self.export_limit_w is not None and self.export_limit_w.size and self.export_limit_w.min() < 0.0:
            raise ValueError(f"money.export_limit_w must be at least 0, got {self.export_limit_w.min()}")
        if self.curtailable_w.size and self.curtailable_w.min() < 0.0:
            raise ValueError(f"money.curtailable_w must be at least 0, got {self.curtailable_w.min()}")

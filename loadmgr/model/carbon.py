"""Carbon intensity of imported energy as a weight of plans: what a plan counts beside money, and no bill ever shows."""

import math
from dataclasses import dataclass

from loadmgr.model.calendar import LocalCycle
from loadmgr.model.series import StepFunction, TimeGrid


@dataclass(frozen=True, slots=True, kw_only=True)
class Carbon:
    """How much carbon dioxide imported energy brings, and what it is worth not to.

    Parameters
    ----------
    g_per_kwh : StepFunction or LocalCycle
        Carbon intensity of the grid [g/kWh].
    price_per_kg : float
        Worth of 1 kg of carbon dioxide that is not emitted [currency per kg].
    """

    g_per_kwh: StepFunction | LocalCycle
    price_per_kg: float

    def __post_init__(self) -> None:
        if not (0.0 <= self.price_per_kg < math.inf):
            raise ValueError(f"price_per_kg of carbon must be 0 or above and finite, got {self.price_per_kg}")


def intensity_g_per_kwh(carbon: Carbon, grid: TimeGrid) -> list[float]:
    """Return the mean intensity in each step [g/kWh].

    Raises
    ------
    ValueError
        If the series does not reach over the grid.
    """
    held = carbon.g_per_kwh
    series = held.series(grid.start, grid.end) if isinstance(held, LocalCycle) else held
    try:
        return grid.sample(series)
    except ValueError as fault:
        raise ValueError(f"no carbon intensity: {fault}") from fault

"""Stationary batteries of a site in simulated time: they do what they are told as far as they can."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from loadmgr.model.equipment import Battery
from loadmgr.model.units import SECONDS_PER_HOUR

FloatArray = NDArray[np.float64]


class BatteryBank:
    """The batteries of a site, in its order.

    Attributes
    ----------
    stored_wh : (n_battery,)
        What is in them now [Wh].
    wanted_w : (n_battery,)
        What they were told last [W at the circuit], + charges.

    Examples
    --------
    >>> from loadmgr.model.ids import CircuitId
    >>> bank = BatteryBank([Battery(id="b", circuit=CircuitId("main"), capacity_wh=1000.0, max_charge_w=500.0,
    ...                             max_discharge_w=500.0, stored_wh=900.0, efficiency_ratio=1.0)])
    >>> bank.wanted_w[:] = 400.0
    >>> bank.follow(3600.0).tolist()  # there is room for 100 Wh only
    [100.0]
    """

    def __init__(self, batteries: Sequence[Battery]) -> None:
        self.batteries = tuple(batteries)
        self.stored_wh: FloatArray = np.array([battery.stored_wh for battery in batteries])
        self.wanted_w: FloatArray = np.zeros(len(batteries))
        self._one_way = np.array([battery.one_way_ratio for battery in batteries])
        self._capacity_wh = np.array([battery.capacity_wh for battery in batteries])
        self._reserve_wh = np.array([battery.reserve_wh for battery in batteries])
        self._most_w = np.array([battery.max_charge_w for battery in batteries])
        self._least_w = -np.array([battery.max_discharge_w for battery in batteries])

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.batteries)

    def follow(self, seconds: float) -> FloatArray:
        """Do what was told for so long; return what that took from the circuit [Wh], + charges."""
        hours = seconds / SECONDS_PER_HOUR
        taken_wh = np.clip(self.wanted_w, self._least_w, self._most_w) * hours
        # what is put in loses on the way in, what comes out on the way out
        most_wh = (self._capacity_wh - self.stored_wh) / self._one_way
        least_wh = -(self.stored_wh - self._reserve_wh) * self._one_way
        taken_wh = np.clip(taken_wh, np.minimum(least_wh, 0.0), np.maximum(most_wh, 0.0))
        into_wh = np.where(taken_wh > 0.0, taken_wh * self._one_way, taken_wh / self._one_way)
        self.stored_wh = np.clip(self.stored_wh + into_wh, self._reserve_wh, self._capacity_wh)
        return np.asarray(taken_wh)

    def now(self) -> tuple[Battery, ...]:
        """Return the batteries as they stand, for a plan."""
        return tuple(
            replace(battery, stored_wh=float(stored_wh))
            for battery, stored_wh in zip(self.batteries, self.stored_wh, strict=True)
        )

"""A stationary battery in simulated time, commanded as a real one: told a power, resting when it hears nothing.

Between two events its power is constant, so what it takes is known in closed form; there is no tick.
"""

import math

from loadmgr.model.equipment import Battery, BatteryLink
from loadmgr.model.units import SECONDS_PER_HOUR

EMPTY_WH = 1e-6
"""Less than this is nothing [Wh]."""


class SimBattery:
    """One battery.

    Parameters
    ----------
    battery : Battery
    link : BatteryLink

    Attributes
    ----------
    stored_wh, taken_wh : float
        What is in it, and what it took from its circuit so far less what it gave [Wh].

    Examples
    --------
    >>> from loadmgr.model.ids import CircuitId
    >>> box = SimBattery(Battery(id="b", circuit=CircuitId("main"), capacity_wh=1000.0, max_charge_w=500.0,
    ...                          max_discharge_w=500.0, stored_wh=900.0, efficiency_ratio=1.0), BatteryLink())
    >>> box.tell(0.0, 400.0)
    >>> box.advance(30.0)
    >>> round(box.power_w, 1), round(box.stored_wh, 2)
    (400.0, 903.33)
    >>> box.advance(120.0)  # nothing heard for a minute
    >>> box.power_w, round(box.stored_wh, 2)
    (0.0, 906.67)
    """

    def __init__(self, battery: Battery, link: BatteryLink) -> None:
        self.battery = battery
        self.link = link
        self.stored_wh = battery.stored_wh
        self.taken_wh = 0.0
        self._told_w = 0.0
        self._heard_s = -math.inf
        self._now_s = 0.0

    @property
    def power_w(self) -> float:
        """Power at its circuit now [W], above 0 where it charges."""
        if self._now_s >= self._heard_s + self.link.watchdog_s:
            return 0.0
        full = self.stored_wh >= self.battery.capacity_wh - EMPTY_WH
        empty = self.stored_wh <= self.battery.reserve_wh + EMPTY_WH
        return 0.0 if (full and self._told_w > 0.0) or (empty and self._told_w < 0.0) else self._told_w

    @property
    def state_of_charge_ratio(self) -> float:
        """What is in it, of what it holds."""
        return min(1.0, max(0.0, self.stored_wh / self.battery.capacity_wh))

    def tell(self, now_s: float, power_w: float) -> None:
        """Tell it what to do; it follows at once, as far as it can."""
        self.advance(now_s)
        self._told_w = max(-self.battery.max_discharge_w, min(self.battery.max_charge_w, power_w))
        self._heard_s = now_s

    def next_change_s(self) -> float | None:
        """Return when its power next changes by itself; ``None`` if never."""
        power_w = self.power_w
        if power_w == 0.0:
            return None
        ratio = self.battery.one_way_ratio
        if power_w > 0.0:
            left_h = (self.battery.capacity_wh - self.stored_wh) / (power_w * ratio)
        else:
            left_h = (self.stored_wh - self.battery.reserve_wh) * ratio / -power_w
        return min(self._now_s + left_h * SECONDS_PER_HOUR, self._heard_s + self.link.watchdog_s)

    def advance(self, now_s: float) -> None:
        """Let time pass."""
        while self._now_s < now_s:
            change_s = self.next_change_s()
            until_s = now_s if change_s is None else max(min(change_s, now_s), math.nextafter(self._now_s, math.inf))
            power_w, ratio = self.power_w, self.battery.one_way_ratio
            wh = power_w * (until_s - self._now_s) / SECONDS_PER_HOUR
            self.taken_wh += wh
            stored_wh = self.stored_wh + (wh * ratio if wh > 0.0 else wh / ratio)
            self.stored_wh = min(self.battery.capacity_wh, max(self.battery.reserve_wh, stored_wh)) if wh else stored_wh
            self._now_s = until_s

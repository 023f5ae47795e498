"""All vehicles of a site at once: the closed form of :mod:`loadmgr.sim.vehicle`, over arrays with a row for each EVSE.

Rules kept here
---------------
1. A row is an EVSE of the site, in file order; what stands there changes. Arrays are never resized.
2. The same vehicle charges the same energy here and there; a test holds them together.
3. What strategies may know of a vehicle (what was said of departure and energy) is apart from what is true of it.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from loadmgr.model.topology import Evse
from loadmgr.model.units import CURRENT_TOLERANCE_A, SECONDS_PER_HOUR
from loadmgr.sim.arrivals import Visit
from loadmgr.sim.vehicle import FULL_WH

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

NEVER_S = math.inf
"""Departure of an EVSE where nobody stands."""


class Crowd:
    """The vehicles that are plugged in.

    Parameters
    ----------
    evses : sequence of Evse
    voltage_v : float
        Between phase and neutral.

    Attributes
    ----------
    present : (n_evse,) bool
        Where a vehicle stands.
    energy_wh, room_wh : (n_evse,)
        What it has gained, and takes in all [Wh]; what charges again what was fed back is subtracted.
    discharge_a : (n_evse,)
        Most that it feeds back [A per phase]; the lower of vehicle and EVSE.
    departure_s : (n_evse,)
        When it really leaves [s].
    w_per_a : (n_evse,)
        Power of 1 A on each of its phases [W].
    min_a, max_a : (n_evse,)
        What it can draw [A per phase]; the lower of vehicle and EVSE.
    said_departure_s, said_wh : (n_evse,)
        What strategies know.
    """

    def __init__(self, evses: Sequence[Evse], *, voltage_v: float) -> None:
        n = len(evses)
        self.evses = tuple(evses)
        self.visits: list[Visit | None] = [None] * n
        self.present: BoolArray = np.zeros(n, dtype=bool)
        self.departure_s = np.full(n, NEVER_S)
        self.arrival_s = np.zeros(n)
        self.energy_wh, self.room_wh = np.zeros(n), np.zeros(n)
        self.w_per_a, self.full_w = np.ones(n), np.ones(n)
        self.min_a, self.max_a = np.ones(n), np.zeros(n)
        self.discharge_a = np.zeros(n)
        self.said_departure_s, self.said_wh = np.full(n, NEVER_S), np.zeros(n)
        self._voltage_v = voltage_v
        self._arrival_ratio, self._soc_per_wh = np.zeros(n), np.ones(n)
        self._taper_start, self._taper_slope = np.ones(n), np.ones(n)
        self._floor_wh, self._round_trip = np.zeros(n), np.ones(n)

    def plug(self, row: int, visit: Visit, *, said_departure_s: float, said_wh: float) -> None:
        """Plug a visit's vehicle in; ``said_*`` is what strategies are to know of it."""
        spec, evse = visit.vehicle, self.evses[row]
        w_per_a = self._voltage_v * min(spec.phases, len(evse.phases))
        full_w = spec.max_a * w_per_a
        self.visits[row] = visit
        self.present[row] = True
        self.arrival_s[row], self.departure_s[row] = visit.arrival_s, visit.departure_s
        self.energy_wh[row], self.room_wh[row] = 0.0, spec.room_wh
        self.w_per_a[row] = w_per_a
        self.full_w[row] = full_w if spec.max_w is None else min(full_w, spec.max_w)
        self.min_a[row] = spec.min_a
        self.max_a[row] = min(spec.max_a, evse.max_a)
        self.discharge_a[row] = min(spec.discharge_a, evse.discharge_a)
        self._floor_wh[row], self._round_trip[row] = spec.floor_wh, spec.round_trip_ratio
        self.said_departure_s[row], self.said_wh[row] = said_departure_s, said_wh
        self._arrival_ratio[row] = spec.arrival_ratio
        self._soc_per_wh[row] = spec.efficiency_ratio / spec.capacity_wh
        tapers = spec.taper.start_ratio < 1.0 and spec.taper.end_ratio < 1.0
        self._taper_start[row] = spec.taper.start_ratio if tapers else 2.0  # beyond full: the taper never begins
        self._taper_slope[row] = (1.0 - spec.taper.end_ratio) / (1.0 - spec.taper.start_ratio) if tapers else 1.0

    def idealise(self, row: int) -> None:
        """Let the vehicle at a row take any current up to its maximum until it is full: for bounds."""
        self.min_a[row] = 0.0
        self._taper_start[row], self._taper_slope[row] = 2.0, 1.0

    def unplug(self, row: int) -> float:
        """Unplug what stands at a row; return the energy that it took [Wh]."""
        self.visits[row] = None
        self.present[row] = False
        self.departure_s[row] = NEVER_S
        self.max_a[row] = self.discharge_a[row] = 0.0
        energy_wh = float(self.energy_wh[row])
        self.energy_wh[row] = self.room_wh[row] = 0.0
        return energy_wh

    @property
    def hungry(self) -> BoolArray:
        """Where a vehicle stands that is not full, as anybody can see by what it draws."""
        return self.present & (self.room_wh - self.energy_wh > FULL_WH)

    @property
    def worth_asking(self) -> BoolArray:
        """Where a vehicle stands that can be given something, or can give something."""
        return self.hungry | (self.present & (self.discharge_a > 0.0))

    def power_w(self, current_a: FloatArray) -> FloatArray:
        """Return what each draws at once when it is offered so much [W]; below 0 it feeds back."""
        flat_w = self._flat_w(current_a)
        soc = self._arrival_ratio + self.energy_wh * self._soc_per_wh
        accepted = 1.0 - self._taper_slope * np.maximum(soc - self._taper_start, 0.0)
        drawn_w = np.asarray(np.minimum(flat_w, self.full_w * accepted))
        if not (current_a < 0.0).any():
            return drawn_w
        return np.where((current_a < 0.0) & (self._above_floor_wh > FULL_WH), -self._back_w(current_a), drawn_w)

    def _back_w(self, current_a: FloatArray) -> FloatArray:
        return np.asarray(np.clip(-current_a, 0.0, self.discharge_a) * self.w_per_a)

    @property
    def _above_floor_wh(self) -> FloatArray:
        return np.asarray(np.maximum(self.energy_wh - self._floor_wh, 0.0) * self._round_trip)

    def taken_wh(self, current_a: FloatArray, seconds: FloatArray) -> FloatArray:
        """Return the energy that each takes when it is offered so much for so long [Wh]; nothing changes.

        Below 0 is what it feeds back.
        """
        taken_wh = self._charged_wh(current_a, seconds)
        if not (current_a < 0.0).any():
            return taken_wh
        given_wh = np.minimum(self._back_w(current_a) * seconds / SECONDS_PER_HOUR, self._above_floor_wh)
        return np.where(current_a < 0.0, -given_wh, taken_wh)

    def _charged_wh(self, current_a: FloatArray, seconds: FloatArray) -> FloatArray:
        flat_w = self._flat_w(current_a)
        left_wh = np.maximum(self.room_wh - self.energy_wh, 0.0)
        hours = seconds / SECONDS_PER_HOUR
        soc = self._arrival_ratio + self.energy_wh * self._soc_per_wh
        meets = self._taper_start + (1.0 - flat_w / self.full_w) / self._taper_slope
        flat_wh = np.minimum(np.maximum((meets - soc) / self._soc_per_wh, 0.0), left_wh)
        wanted_wh = flat_w * hours
        falls = (wanted_wh > flat_wh) & (flat_wh < left_wh) & (flat_w > 0.0)
        taken_wh = np.minimum(wanted_wh, flat_wh)
        rows = np.flatnonzero(falls)
        if rows.size:
            taken_wh[rows] += self._falling_wh(
                rows, flat_w=flat_w[rows], flat_wh=flat_wh[rows], left_wh=left_wh[rows], hours=hours[rows]
            )
        return np.asarray(taken_wh)

    def charge(self, current_a: FloatArray, seconds: FloatArray) -> FloatArray:
        """Offer a current to each for so long; return what they took [Wh]."""
        taken_wh = self.taken_wh(current_a, seconds)
        # what rounding leaves is taken with the rest, as the vehicle alone does
        left_wh = self.room_wh - self.energy_wh
        filled = (taken_wh > 0.0) & (left_wh - taken_wh <= FULL_WH)
        gained_wh = np.where(taken_wh < 0.0, taken_wh / self._round_trip, taken_wh)
        self.energy_wh = np.where(filled, self.room_wh, self.energy_wh + gained_wh)
        return np.where(filled, left_wh, taken_wh)

    def _flat_w(self, current_a: FloatArray) -> FloatArray:
        awake = self.hungry & (current_a >= self.min_a - CURRENT_TOLERANCE_A) & (current_a >= 0.0)
        return np.asarray(np.minimum(np.maximum(current_a, 0.0) * self.w_per_a, self.full_w) * awake)

    def _falling_wh(
        self, rows: IntArray, *, flat_w: FloatArray, flat_wh: FloatArray, left_wh: FloatArray, hours: FloatArray
    ) -> FloatArray:
        soc_per_wh, slope, full_w = self._soc_per_wh[rows], self._taper_slope[rows], self.full_w[rows]
        soc = self._arrival_ratio[rows] + (self.energy_wh[rows] + flat_wh) * soc_per_wh
        falling_w = full_w * (1.0 - slope * np.maximum(soc - self._taper_start[rows], 0.0))
        rate_per_h = slope * full_w * soc_per_wh
        drawn_wh = falling_w / rate_per_h * -np.expm1(-rate_per_h * (hours - flat_wh / flat_w))
        return np.asarray(np.minimum(drawn_wh, left_wh - flat_wh))

"""A vehicle at a cable: a battery that tapers, and a charger that follows a new limit a little late.

Rules kept here
---------------
1. Energy is counted on the grid side [Wh], which is what a charging station's meter sees; the battery's state of charge
   follows from it. So energy is conserved by construction, and however time is cut into steps the result is the same.
2. Between two events the course is known in closed form: constant power up to the point where the taper takes over, an
   exponential approach beyond it. There is no tick.
3. A limit below the vehicle's minimum means pause (IEC 61851-1 Annex A), whatever the taper.
4. A vehicle may draw less than it is offered, never more once it has followed.
5. A current below 0 asks it to feed back: it does so down to its own floor, with what its battery loses both ways. What
   it took and what it gave are counted apart, as a meter does.
6. A vehicle is full when no more than ``FULL_WH`` is missing. Full is an amount of energy, never a time that is left or
   a share of what it takes: those depend on how time is cut, and tell two vehicles with the same battery apart.
"""

import math
from collections import deque
from dataclasses import dataclass, field

from loadmgr.model.session import Taper
from loadmgr.model.units import CURRENT_TOLERANCE_A, MINIMUM_CURRENT_A, SECONDS_PER_HOUR

FULL_WH = 1e-6
"""Less than this to the target is nothing [Wh]: far above what rounding leaves, far below what a meter tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleSpec:
    """What a vehicle is.

    Parameters
    ----------
    capacity_wh : float
        Usable energy of the battery [Wh].
    arrival_ratio, target_ratio : float
        State of charge at plug-in, and where it stops by itself (0 to 1).
    phases : int
        Phases that its charger uses where the EVSE has them.
    min_a, max_a : float
        Smallest and largest current [A per phase].
    max_w : float, optional
        Largest power from the grid [W].
    efficiency_ratio : float
        Energy into the battery per energy from the grid.
    lag_s : float
        Time it takes to follow a new limit [s].
    discharge_a : float
        Most that it feeds back [A per phase]; 0 where it cannot.
    floor_ratio : float
        State of charge below which it feeds nothing back.
    """

    capacity_wh: float
    arrival_ratio: float
    target_ratio: float = 1.0
    phases: int = 3
    min_a: float = MINIMUM_CURRENT_A
    max_a: float = 32.0
    max_w: float | None = None
    efficiency_ratio: float = 0.9
    taper: Taper = field(default_factory=Taper)
    lag_s: float = 3.0
    discharge_a: float = 0.0
    floor_ratio: float = 0.2

    def __post_init__(self) -> None:
        if not self.capacity_wh > 0.0:
            raise ValueError(f"capacity_wh must be above 0, got {self.capacity_wh}")
        if not 0.0 <= self.arrival_ratio <= self.target_ratio <= 1.0:
            raise ValueError(
                f"0 <= arrival_ratio <= target_ratio <= 1 must hold, got {self.arrival_ratio}, {self.target_ratio}"
            )
        if self.phases not in (1, 2, 3):
            raise ValueError(f"phases must be 1, 2 or 3, got {self.phases}")
        if not 0.0 < self.min_a <= self.max_a:
            raise ValueError(f"0 < min_a <= max_a must hold, got {self.min_a}, {self.max_a}")
        if not 0.0 < self.efficiency_ratio <= 1.0:
            raise ValueError(f"efficiency_ratio must lie above 0 and at most at 1, got {self.efficiency_ratio}")
        if self.lag_s < 0.0:
            raise ValueError(f"lag_s must be 0 or above, got {self.lag_s}")
        if not (self.discharge_a >= 0.0 and 0.0 <= self.floor_ratio <= 1.0):
            raise ValueError(
                f"discharge_a must be 0 or above and floor_ratio in [0, 1], got {self.discharge_a}, {self.floor_ratio}"
            )

    @property
    def room_wh(self) -> float:
        """Energy from the grid that it takes from arrival to its target [Wh]."""
        return (self.target_ratio - self.arrival_ratio) * self.capacity_wh / self.efficiency_ratio

    def state_of_charge_ratio(self, energy_wh: float) -> float:
        """Return the state of charge after ``energy_wh`` from the grid since arrival."""
        return min(self.arrival_ratio + energy_wh * self.efficiency_ratio / self.capacity_wh, 1.0)

    @property
    def round_trip_ratio(self) -> float:
        """Energy fed back per energy that it takes to charge it again."""
        return self.efficiency_ratio**2

    @property
    def floor_wh(self) -> float:
        """Energy from the grid since arrival at which it stands at its floor; below 0 where it came with more [Wh]."""
        return (self.floor_ratio - self.arrival_ratio) * self.capacity_wh / self.efficiency_ratio


@dataclass(frozen=True, slots=True)
class _Course:
    """How power runs on from one point: constant for a while, then falling, then nothing."""

    flat_w: float
    flat_wh: float  # energy until the taper takes over, or until the target
    falling_w: float  # power where the taper takes over; 0 when the target comes first
    rate_per_s: float  # of the exponential fall
    falling_wh: float  # energy from there to the target


def _course(spec: VehicleSpec, *, energy_wh: float, offered_w: float, full_w: float) -> _Course:
    """Return the course from ``energy_wh`` on; ``full_w`` is what an empty battery takes on these phases."""
    left_wh = spec.room_wh - energy_wh
    flat_w = min(offered_w, full_w)
    if flat_w <= 0.0 or left_wh <= FULL_WH:
        return _Course(0.0, 0.0, 0.0, 0.0, 0.0)
    taper, soc_per_wh = spec.taper, spec.efficiency_ratio / spec.capacity_wh
    if taper.start_ratio >= 1.0 or taper.end_ratio >= 1.0:
        return _Course(flat_w, left_wh, 0.0, 0.0, 0.0)
    slope = (1.0 - taper.end_ratio) / (1.0 - taper.start_ratio)  # acceptance lost per state of charge
    meets_ratio = taper.start_ratio + (1.0 - flat_w / full_w) / slope
    flat_wh = (meets_ratio - spec.arrival_ratio) / soc_per_wh - energy_wh
    if flat_wh >= left_wh:
        return _Course(flat_w, left_wh, 0.0, 0.0, 0.0)
    flat_wh = max(flat_wh, 0.0)
    accepted = 1.0 - slope * max(spec.state_of_charge_ratio(energy_wh + flat_wh) - taper.start_ratio, 0.0)
    rate_per_s = slope * full_w * soc_per_wh / SECONDS_PER_HOUR
    return _Course(flat_w, flat_wh, full_w * accepted, rate_per_s, left_wh - flat_wh)


def _energy_wh(course: _Course, seconds: float) -> float:
    """Return the energy drawn on a course within ``seconds``."""
    if course.flat_w <= 0.0 or seconds <= 0.0:
        return 0.0
    flat_s = course.flat_wh / course.flat_w * SECONDS_PER_HOUR
    if seconds <= flat_s:
        return course.flat_w * seconds / SECONDS_PER_HOUR
    if course.falling_w <= 0.0:
        return course.flat_wh
    whole_wh = course.falling_w / course.rate_per_s / SECONDS_PER_HOUR
    drawn_wh = whole_wh * -math.expm1(-course.rate_per_s * (seconds - flat_s))
    return course.flat_wh + min(drawn_wh, course.falling_wh)


def _full_after_s(course: _Course) -> float | None:
    """Return the seconds until the target is reached on a course; ``None`` if it never is."""
    if course.flat_w <= 0.0:
        return None
    flat_s = course.flat_wh / course.flat_w * SECONDS_PER_HOUR
    if course.falling_w <= 0.0:
        return flat_s
    share = course.falling_wh * course.rate_per_s * SECONDS_PER_HOUR / course.falling_w
    return flat_s - math.log1p(-share) / course.rate_per_s


class Vehicle:
    """A vehicle that is plugged in: told a limit, asked what it draws.

    Parameters
    ----------
    spec : VehicleSpec
    now_s : float
        When it was plugged in.
    voltage_v : float
        Between phase and neutral.
    evse_phases : int
        Phases that the EVSE has.
    """

    def __init__(self, spec: VehicleSpec, *, now_s: float, voltage_v: float, evse_phases: int) -> None:
        self.spec = spec
        self.energy_wh = 0.0
        self.exported_wh = 0.0
        self.offered_a = 0.0  # what it follows now; what it was told later waits in _told
        self._phases = min(spec.phases, evse_phases)
        self._voltage_v = voltage_v
        self._now_s = now_s
        self._told: deque[tuple[float, float]] = deque()
        self._known: tuple[float, float, _Course] | None = None  # course by energy and offer: asked for very often

    @property
    def phases(self) -> int:
        """Phases that it draws on."""
        return self._phases

    @property
    def told_a(self) -> float:
        """The limit that it was told last, whether it follows already or not [A per phase]."""
        return self._told[-1][1] if self._told else self.offered_a

    @property
    def net_wh(self) -> float:
        """What it has gained since arrival: energy taken, less what charges again what it fed back [Wh]."""
        return self.energy_wh - self.exported_wh / self.spec.round_trip_ratio

    @property
    def full(self) -> bool:
        """Whether it has reached its own target."""
        return self.spec.room_wh - self.net_wh <= FULL_WH

    @property
    def _back_w(self) -> float:
        """Power that it feeds back now [W]."""
        if self.offered_a >= 0.0 or self._above_floor_wh <= FULL_WH:
            return 0.0
        return min(-self.offered_a, self.spec.discharge_a) * self._voltage_v * self._phases

    @property
    def _above_floor_wh(self) -> float:
        """What it can feed back until it stands at its floor [Wh]."""
        return (self.net_wh - self.spec.floor_wh) * self.spec.round_trip_ratio

    @property
    def _full_w(self) -> float:
        full_w = self.spec.max_a * self._voltage_v * self._phases
        return full_w if self.spec.max_w is None else min(full_w, self.spec.max_w)

    def _course_now(self) -> _Course:
        known, net_wh = self._known, self.net_wh
        if known is not None and known[0] == net_wh and known[1] == self.offered_a:
            return known[2]
        course = self._course_anew()
        self._known = (net_wh, self.offered_a, course)
        return course

    def _course_anew(self) -> _Course:
        offered_a = self.offered_a if self.offered_a >= self.spec.min_a - CURRENT_TOLERANCE_A else 0.0
        offered_w = offered_a * self._voltage_v * self._phases
        return _course(self.spec, energy_wh=self.net_wh, offered_w=offered_w, full_w=self._full_w)

    @property
    def power_w(self) -> float:
        """Power that it draws now, below 0 where it feeds back [W]."""
        back_w = self._back_w
        if back_w > 0.0:
            return -back_w
        course = self._course_now()
        return course.flat_w if course.flat_wh > 0.0 else course.falling_w

    @property
    def current_a(self) -> float:
        """Current that it draws now, below 0 where it feeds back [A per phase]."""
        return self.power_w / (self._voltage_v * self._phases)

    def use_phases(self, now_s: float, phases: int) -> None:
        """Let its EVSE have so many phases from now on."""
        self.advance(now_s)
        used = min(self.spec.phases, phases)
        if used != self._phases:
            self._phases, self._known = used, None

    def offer(self, now_s: float, current_a: float) -> None:
        """Tell it a new limit [A per phase]; it follows ``lag_s`` later."""
        self.advance(now_s)
        if current_a != self.told_a:
            self._told.append((now_s + self.spec.lag_s, current_a))
            self.advance(now_s)

    def cut(self, now_s: float) -> None:
        """Take the current away at once, as an opening contactor does."""
        self.advance(now_s)
        self._told.clear()
        self.offered_a = 0.0

    def advance(self, now_s: float) -> None:
        """Charge until ``now_s``, following on the way what it was told before."""
        if now_s < self._now_s:
            raise ValueError(f"now_s must not go back: {now_s} lies before {self._now_s}")
        while self._told and self._told[0][0] <= now_s:
            when_s, current_a = self._told.popleft()
            self._charge_until(when_s)
            self.offered_a = current_a
        self._charge_until(now_s)

    def next_change_s(self) -> float | None:
        """Return when its current next jumps: a limit followed, target or floor reached; ``None`` if never."""
        back_w = self._back_w
        if back_w > 0.0:
            full_s: float | None = self._above_floor_wh / back_w * SECONDS_PER_HOUR
        else:
            full_s = _full_after_s(self._course_now())
        when_s = None if full_s is None else self._now_s + full_s
        if self._told and (when_s is None or self._told[0][0] < when_s):
            return self._told[0][0]
        return when_s

    def _charge_until(self, when_s: float) -> None:
        seconds = when_s - self._now_s
        if seconds <= 0.0:
            return
        back_w = self._back_w
        if back_w > 0.0:
            self.exported_wh += min(back_w * seconds / SECONDS_PER_HOUR, self._above_floor_wh)
        else:
            taken_wh = _energy_wh(self._course_now(), seconds)
            if taken_wh > 0.0:
                self.energy_wh += taken_wh
                if self.full:
                    self.energy_wh += self.spec.room_wh - self.net_wh
        self._now_s = when_s

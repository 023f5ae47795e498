"""The door of the room: what is wrong with a request, in the words of who made it.

Rules of this file:

1. Every fault names the argument, whose it is, the value and the allowed range.
2. Nothing is mended here. Tiers that cross or a deadline in the past are somebody's mistake; what a running site does
   about them is for the control room.
"""

import math
from datetime import datetime
from numbers import Integral
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadmgr.allocation.request import ChargingRequest

MOST_WH = 1e9
"""No vehicle, ship or depot takes more in one session; needs beyond it leave the solver no digits for the rest."""

MOST_A = 1e4
"""No EVSE carries more; what is meant as no limit of a vehicle is its EVSE's own."""

MAX_PRIORITY = 1000
"""Classes beyond this are no classes but a mistake, such as a time stamp in the wrong column."""

_RANGES: dict[str, tuple[float, float]] = {
    "must_wh": (0.0, MOST_WH),
    "wanted_wh": (0.0, MOST_WH),
    "full_wh": (0.0, MOST_WH),
    "delivered_wh": (0.0, MOST_WH),
    "taper_wh": (0.0, MOST_WH),
    "discharge_room_wh": (0.0, MOST_WH),
    "voltage_v": (1.0, 1e5),
    "min_a": (0.0, MOST_A),
    "step_a": (1e-3, MOST_A),
    "efficiency_ratio": (1e-3, 1.0),
    "discharge_efficiency_ratio": (1e-3, 1.0),
    "guaranteed_w": (0.0, 1e9),
    "keep_on_s": (0.0, 1e9),
    "keep_off_s": (0.0, 1e9),
    "discharge_price_per_kwh": (0.0, 1e6),
    "kept_a": (0.0, MOST_A),
}


_VALUES = attrgetter(*_RANGES)


def require_energy(name: str, energy_wh: float) -> None:
    """Raise ``ValueError`` unless an energy [Wh] is one that a vehicle could ask for."""
    if not 0.0 <= energy_wh <= MOST_WH:
        raise ValueError(f"{name} must lie in [0, {MOST_WH:g}] Wh, got {energy_wh:g}")


def require_sound(request: "ChargingRequest") -> None:
    """Raise ``ValueError`` unless every number of a request lies in its range and its tiers do not cross."""
    for (name, (low, high)), value in zip(_RANGES.items(), _VALUES(request), strict=True):
        if value is not None and not low <= value <= high:
            raise ValueError(f"{name} of {request.id} must lie in [{low:g}, {high:g}], got {value}")
    if not isinstance(request.priority, Integral) or abs(request.priority) > MAX_PRIORITY:
        allowed = f"a whole number in [-{MAX_PRIORITY}, {MAX_PRIORITY}]"
        raise ValueError(f"priority of {request.id} must be {allowed}, got {request.priority}")
    _require_tiers(request)
    if request.pilots_a is not None and not (
        request.pilots_a and all(math.isfinite(a) and a > 0.0 for a in request.pilots_a)
    ):
        raise ValueError(f"pilots_a of {request.id} must be finite currents above 0 A, got {request.pilots_a}")


def _require_tiers(request: "ChargingRequest") -> None:
    before, low_wh = "must_wh", request.must_wh
    for name in ("wanted_wh", "full_wh"):
        value_wh = getattr(request, name)
        if value_wh is None:
            continue
        if value_wh < low_wh:
            raise ValueError(f"{name} of {request.id} must be at least its {before}, {low_wh:g} Wh, got {value_wh:g}")
        before, low_wh = name, value_wh


def require_stay(label: str, *, start: datetime, arrival: datetime | None, departure: datetime | None) -> None:
    """Raise unless a departure lies after the arrival; of a vehicle that is there, after the start of the plan."""
    if departure is None:
        return
    if arrival is not None and departure < arrival:
        since = f"its arrival {arrival.isoformat()}"
    elif arrival is None and departure < start:
        since = f"the start of the plan {start.isoformat()}"
    else:
        return
    raise ValueError(f"departure of {label} must not lie before {since}, got {departure.isoformat()}")

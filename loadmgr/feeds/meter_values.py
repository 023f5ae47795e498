"""What a meter said, as it is and as a reading of the grid's phases; and whether it still lives.

Rules
-----
1. A current has no sign of its own where the meter tells a power: it counts as fed in where a good part of it is power
   that is fed in, else as drawn, because that is the safe side. Without a power it counts as the meter says.
2. Where there is only power, the current is that at the worst power factor that is reckoned with, and not less.
3. A value that cannot be is no reading: the meter goes stale, and what then holds is the controller's business.
4. Values that do not move at all, voltages included, are not those of a living meter: gateways repeat what they heard
   last when the bus behind them is dead. A meter that tells no voltage cannot be judged so.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from loadmgr.control.observation import SiteMeterReading
from loadmgr.errors import InputError
from loadmgr.site_file.sources import MeterInput

MOST_A = 100_000.0
"""A meter that tells more than this [A] tells nonsense."""

WORST_POWER_FACTOR = 0.9
"""A power alone is taken for a current as if the power factor were this."""

FED_IN_RATIO = 0.3
"""A current whose power is less than this share of what it could be is mostly reactive: its sign says nothing."""

PHASES = ("L1", "L2", "L3")

PhaseValues = tuple[float | None, float | None, float | None]
NONE: PhaseValues = (None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterValues:
    """What a meter said of its own L1, L2, L3: A, W (import positive) and V; ``None`` where it says nothing."""

    current_a: PhaseValues = NONE
    power_w: PhaseValues = NONE
    voltage_v: PhaseValues = NONE


def reading_of(values: MeterValues, how: MeterInput, at: datetime) -> SiteMeterReading:
    """Return values as a reading of the grid's phases.

    Raises
    ------
    InputError
        If a value cannot be, or there is none.
    """
    out = [0.0, 0.0, 0.0]
    own = [_current_a(values, index, how.voltage_v) for index in range(3)]
    if all(current is None for current in own):
        raise InputError("it says nothing of any phase")
    if any(current is not None for current in own[len(how.phases) :]):
        named = "".join(phase.name for phase in how.phases)
        raise InputError(f"it tells more phases than {named}, which the site file names: write `phases` of all of them")
    for phase, current in zip(how.phases, own, strict=False):
        out[phase] = -(current or 0.0) if how.invert else (current or 0.0)
    return SiteMeterReading(at=at, meter=how.meter, currents_a=(out[0], out[1], out[2]))


def _current_a(values: MeterValues, index: int, nominal_v: float) -> float | None:
    current, power, voltage = values.current_a[index], values.power_w[index], values.voltage_v[index]
    name = PHASES[index]
    for what, value, most in (("current", current, MOST_A), ("power", power, MOST_A * 1000.0)):
        if value is not None and not abs(value) <= most:
            raise InputError(f"the {what} of {name} cannot be: {value}")
    at_v = voltage if voltage is not None and math.isfinite(voltage) and voltage > nominal_v / 2.0 else nominal_v
    if current is not None:
        if power is None:
            return current
        return -abs(current) if power < -FED_IN_RATIO * abs(current) * at_v else abs(current)
    if power is None:
        return None
    return power / at_v / (WORST_POWER_FACTOR if power > 0.0 else 1.0)


class LifeWatch:
    """Whether what a meter says still moves.

    Parameters
    ----------
    frozen_s : float
        For so long nothing may stand still [s].
    """

    def __init__(self, frozen_s: float) -> None:
        self._limit = timedelta(seconds=frozen_s)
        self._last: MeterValues | None = None
        self._since: datetime | None = None

    def require_life(self, values: MeterValues, now: datetime) -> None:
        """Take note of values.

        Raises
        ------
        InputError
            If nothing has moved for too long.
        """
        if values != self._last or self._since is None:
            self._last, self._since = values, now
        elif any(values.voltage_v) and now - self._since > self._limit:
            raise InputError(
                f"it has told the same to the last digit for more than {self._limit.total_seconds():g} s, "
                "its voltages too: what is behind it is dead"
            )

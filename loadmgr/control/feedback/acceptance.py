"""What a vehicle takes of what it is offered: whether it rests, and how its tail falls, fitted to what was measured.

Rules
-----
1. A battery that fills up takes less and less, about in a straight line with its energy. The line is fitted to readings
   that showed less than was offered, and to nothing else: whoever was held back by his limit has shown nothing.
2. The fit makes a plan begin sooner, because the tail takes its time. It never lowers what is offered: a vehicle that
   takes more than its line says gets it, and then the line is forgotten.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from loadmgr.control.state import EvseRecord
from loadmgr.model.units import SECONDS_PER_HOUR

RESTING_A = 1.0
RESTING_S = 300
"""A vehicle that takes less than this for so long is full or asleep: others go first."""

TAIL_APART_WH = 50.0
"""Readings of a tail are kept so far apart [Wh]: more of them would say the same."""

TAIL_READINGS, TAIL_FALL_A, TAIL_STRAY_A = 5, 1.5, 1.5
"""A line is believed from so many readings on, if it falls by so much over them and none strays by more [A]."""

LAST_RATIO = 0.95
"""Of what a tail has left a plan waits for no more than this: the rest comes without end."""


def is_resting(record: EvseRecord, now: datetime) -> bool:
    """Return whether a vehicle has taken next to nothing of what it was offered for a while."""
    if record.accepts_a is None or record.accepts_since is None or record.accepts_a >= RESTING_A:
        return False
    return (now - record.accepts_since).total_seconds() >= RESTING_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """A line of falling acceptance: current [A per phase] at no energy, and how much it falls for each Wh."""

    at_zero_a: float
    falls_a_per_wh: float

    def left_wh(self, delivered_wh: float) -> float:
        """Return what the vehicle takes until the line reaches nothing [Wh]."""
        return max(0.0, self.at_zero_a / self.falls_a_per_wh - delivered_wh)

    def takes_s(self, wanted_wh: float, *, delivered_wh: float, w_per_a: float) -> float:
        """Return how long the vehicle takes for an energy if nothing else limits it [s].

        Notes
        -----
        ``energy' = w_per_a * falls * left``, so ``left`` falls exponentially.
        """
        left = self.left_wh(delivered_wh)
        wanted = min(wanted_wh, LAST_RATIO * left)
        if wanted <= 0.0:
            return 0.0
        return math.log(left / (left - wanted)) / (self.falls_a_per_wh * w_per_a) * SECONDS_PER_HOUR


def note_tail(record: EvseRecord, delivered_wh: float, current_a: float) -> None:
    """Keep a reading that showed less than was offered."""
    if not record.tail or delivered_wh >= record.tail[-1][0] + TAIL_APART_WH:
        record.tail.append((delivered_wh, current_a))


def fitted_tail(readings: Sequence[tuple[float, float]]) -> Tail | None:
    """Return the line through readings of energy delivered [Wh] and current [A]; ``None`` where they make none.

    Examples
    --------
    >>> fitted_tail([(1000.0 * i, 16.0 - 2.0 * i) for i in range(6)])
    Tail(at_zero_a=16.0, falls_a_per_wh=0.002)
    >>> fitted_tail([(1000.0 * i, 16.0) for i in range(6)])
    """
    count = len(readings)
    if count < TAIL_READINGS:
        return None
    mean_wh = math.fsum(e for e, _ in readings) / count
    mean_a = math.fsum(a for _, a in readings) / count
    spread = math.fsum((e - mean_wh) ** 2 for e, _ in readings)
    slope = math.fsum((e - mean_wh) * (a - mean_a) for e, a in readings) / spread if spread > 0.0 else 0.0
    tail = Tail(at_zero_a=mean_a - slope * mean_wh, falls_a_per_wh=-slope)
    fell_a = -slope * (readings[-1][0] - readings[0][0])
    strays = max(abs(tail.at_zero_a + slope * e - a) for e, a in readings)
    return tail if fell_a >= TAIL_FALL_A and strays <= TAIL_STRAY_A else None


def slower_s(record: EvseRecord, wanted_wh: float, *, most_w: float, w_per_a: float) -> float:
    """Return how much longer a vehicle takes for an energy than it would at a constant power, by its tail [s]."""
    tail = fitted_tail(record.tail)
    if tail is None or record.charging is None or wanted_wh <= 0.0 or most_w <= 0.0:
        return 0.0
    takes_s = tail.takes_s(wanted_wh, delivered_wh=record.charging.ledger.delivered_wh, w_per_a=w_per_a)
    return max(0.0, takes_s - wanted_wh / most_w * SECONDS_PER_HOUR)

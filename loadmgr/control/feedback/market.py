"""What the site heard from outside beside limits: prices that hold instead of its tariff's, and its meters."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from loadmgr.model.ids import MeterId
from loadmgr.model.series import StepFunction, TimeGrid


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard.

    Parameters
    ----------
    prices_per_kwh : StepFunction, optional
        Prices of import that hold instead of the tariff's own as far as they reach.
    meters_at : mapping
        When each meter that was ever read was read last.
    """

    prices_per_kwh: StepFunction | None
    meters_at: Mapping[MeterId, datetime]


def with_told(own_per_kwh: Sequence[float], told: StepFunction | None, grid: TimeGrid) -> list[float]:
    """Return the price of each step: what was told where that reaches, else the tariff's own [currency per kWh]."""
    if told is None:
        return list(own_per_kwh)
    means = [told.mean(a, b) for a, b in itertools.pairwise(grid.times)]
    return [
        usual if price is None or not math.isfinite(price) else price
        for usual, price in zip(own_per_kwh, means, strict=True)
    ]

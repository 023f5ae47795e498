"""What is charged besides prices per kWh: surcharges, demand, fixed fees and levies, as values."""

import enum
from dataclasses import dataclass
from datetime import datetime

from loadmgr.model.calendar import ClockWindow
from loadmgr.model.rates import Rate, Tier, require_tiers
from loadmgr.model.units import require_utc


class LineKind(enum.StrEnum):
    """What a line of a bill is for, in the order of a bill."""

    ENERGY = "energy"
    SURCHARGE = "surcharge"
    DEMAND = "demand"
    FEE = "fee"
    LEVY = "levy"
    TAX = "tax"
    EXPORT = "export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surcharge:
    """A named part of the price per kWh on top of the energy rate, such as a grid fee; a discount is below 0."""

    name: str
    rate: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratchet:
    """A memory of earlier peaks: a month is billed at least ``ratio`` of the highest peak of the ``months`` before it.

    Parameters
    ----------
    of_months : frozenset of int
        Months of the year whose peaks are remembered, such as summer; empty means all.
    """

    ratio: float
    months: int = 11
    of_months: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if not 0.0 < self.ratio <= 1.0:
            raise ValueError(f"ratio of a ratchet must lie above 0 and at most at 1, got {self.ratio}")
        if self.months < 1:
            raise ValueError(f"months of a ratchet must be 1 or more, got {self.months}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandCharge:
    """A price on the highest load of the month.

    Parameters
    ----------
    price_per_kw : float
        Per kW and month, before tax, up to the first tier.
    window_s : int
        Length of the clock windows whose mean load counts [s]; divides an hour.
    when : tuple of ClockWindow
        Windows of the local clock in which load counts; empty means always.
    coincident : tuple of datetime
        If given, only the clock windows that begin at these instants count: the hours of the grid's own peak.
    month_prices : tuple of float
        If given, twelve prices per kW, January first, in place of ``price_per_kw``.
    minimum_kw : float
        A month is billed at least this.
    """

    name: str
    price_per_kw: float
    window_s: int = 900
    when: tuple[ClockWindow, ...] = ()
    coincident: tuple[datetime, ...] = ()
    month_prices: tuple[float, ...] = ()
    tiers: tuple[Tier, ...] = ()
    ratchet: Ratchet | None = None
    minimum_kw: float = 0.0

    def __post_init__(self) -> None:
        if self.window_s <= 0 or 3600 % self.window_s:
            raise ValueError(f"window_s of demand charge {self.name} must divide an hour, got {self.window_s}")
        if len(self.month_prices) not in (0, 12):
            raise ValueError(f"month_prices of demand charge {self.name} must be 12, got {len(self.month_prices)}")
        if self.month_prices and self.tiers:
            raise ValueError(f"demand charge {self.name} has tiers and month_prices; split it by months")
        for price in (self.price_per_kw, *self.month_prices, *(tier.price for tier in self.tiers)):
            if price < 0.0:
                raise ValueError(f"price_per_kw of demand charge {self.name} must be 0 or above, got {price}")
        if self.minimum_kw < 0.0:
            raise ValueError(f"minimum_kw of demand charge {self.name} must be 0 or above, got {self.minimum_kw}")
        require_tiers(self.tiers, name=f"demand charge {self.name}")
        instants = tuple(require_utc(when, name="coincident") for when in self.coincident)
        object.__setattr__(self, "coincident", instants)

    def price_in(self, month: str) -> float:
        """Return the price per kW in a month such as ``2019-06``, up to the first tier."""
        return self.month_prices[int(month[-2:]) - 1] if self.month_prices else self.price_per_kw


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedFee:
    """A fee per month or per day; a part of a month is billed by its share of days."""

    name: str
    per_month: float = 0.0
    per_day: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Levy:
    """A share of some kinds of line, such as a local tax on energy; levies are not levied on each other."""

    name: str
    ratio: float
    on: frozenset[LineKind]

    def __post_init__(self) -> None:
        allowed = {LineKind.ENERGY, LineKind.SURCHARGE, LineKind.DEMAND, LineKind.FEE}
        if not self.on or not self.on <= allowed:
            raise ValueError(
                f"on of levy {self.name} must be some of {', '.join(sorted(allowed))}, got {sorted(self.on)}"
            )
        if self.ratio < 0.0:
            raise ValueError(f"ratio of levy {self.name} must be 0 or above, got {self.ratio}")

"""The bill of a load under a tariff, as lines that anybody can derive: quantity times price is amount.

The lines use the rates and charges of ``loadmgr.model.tariff`` and the same factors of levies and tax, so that what a
plan counts for its load is what the bill says.
"""

import calendar
import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loadmgr.model.calendar import local_days, local_pieces
from loadmgr.model.charges import DemandCharge, LineKind
from loadmgr.model.demand import Peaks, billed_w, month_of, peaks_w, require_steps, tier_shares
from loadmgr.model.rates import FixedRate, Rate, TimeOfUseRate, label_at, rate_series, tiers_of
from loadmgr.model.series import TimeGrid
from loadmgr.model.tariff import Tariff, UsedEnergy
from loadmgr.model.units import SECONDS_PER_HOUR

__all__ = ["Bill", "BillLine", "LineKind", "bill"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """One line: ``quantity`` in ``unit`` at ``price`` per unit makes ``amount``.

    Parameters
    ----------
    month : str
        Local month, such as ``2019-06``.
    name : str
        What the tariff calls it; energy by time of use carries the period's name, a tier where it begins.
    unit : str
        ``kWh``, ``kW``, ``month``, ``day``, or the currency for levies and tax.
    price : float
        Per unit; for a rate that moves, the mean weighted by the load.
    amount : float
        What is owed, not rounded; below 0 is earned.
    """

    kind: LineKind
    month: str
    name: str
    quantity: float
    unit: str
    price: float
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """Lines in the order of months and kinds, and their sum."""

    currency: str
    lines: tuple[BillLine, ...]

    @property
    def total(self) -> float:
        """Sum of all lines, not rounded."""
        return math.fsum(line.amount for line in self.lines)

    def amount(self, *kinds: LineKind) -> float:
        """Return the sum of the lines of some kinds."""
        return math.fsum(line.amount for line in self.lines if line.kind in kinds)


@dataclass(frozen=True, slots=True)
class _Slice:
    """A stretch of constant load within one local month."""

    start: datetime
    end: datetime
    load_w: float

    @property
    def energy_kwh(self) -> float:
        return self.load_w * (self.end - self.start).total_seconds() / SECONDS_PER_HOUR / 1000.0


def bill(
    tariff: Tariff,
    grid: TimeGrid,
    load_w: Sequence[float],
    *,
    before: Peaks | None = None,
    used: UsedEnergy | None = None,
) -> Bill:
    """Return the bill of a load that is constant on each step of a grid.

    Parameters
    ----------
    tariff : Tariff
    grid : TimeGrid
    load_w : sequence of float
        Net load of the site on each step [W]: + is import, - is export.
    before : mapping, optional
        Monthly peaks from before the grid.
    used : mapping, optional
        Energy of tiered rates that the first month took before the grid.

    Raises
    ------
    ValueError
        If the load does not match the grid, or a dynamic rate has no price for a part of it.

    Notes
    -----
    Import and export are metered step by step: what is imported in one step is not set off against export in another.
    """
    require_steps(grid, load_w)
    slices = list(_slices(tariff, grid, load_w))
    bought = [s for s in slices if s.load_w > 0.0]
    lines: list[BillLine] = []
    for kind, name, rate in tariff.components:
        lines += _energy_lines(kind, name, rate, slices=bought, tariff=tariff, used=used or {})
    lines += _demand_lines(tariff, grid, peaks_w(tariff, grid, load_w, before=before))
    lines += _fee_lines(tariff, grid)
    lines += list(_levy_lines(tariff, lines))
    lines += list(_tax_lines(tariff, lines))
    if tariff.export is not None:
        sold = [_Slice(s.start, s.end, -s.load_w) for s in slices if s.load_w < 0.0]
        for earned in _energy_lines(LineKind.EXPORT, "export", tariff.export, slices=sold, tariff=tariff, used={}):
            lines.append(replace(earned, price=-earned.price, amount=-earned.amount))
    order = list(LineKind)
    return Bill(
        currency=tariff.currency,
        lines=tuple(sorted(lines, key=lambda line: (line.month, order.index(line.kind)))),
    )


def _slices(tariff: Tariff, grid: TimeGrid, load_w: Sequence[float]) -> Iterator[_Slice]:
    """Cut the steps of a grid wherever a period or a month of the tariff may begin."""
    rates = [rate for _, _, rate in tariff.components] + ([] if tariff.export is None else [tariff.export])
    marks = [mark for rate in rates if isinstance(rate, TimeOfUseRate) for mark in rate.marks_s]
    times = grid.times
    cuts = sorted({*times, *local_pieces(tariff.zone, grid.start, grid.end, marks_s=marks)})
    step = 0
    for start, end in itertools.pairwise(cuts):
        if start >= times[step + 1]:
            step += 1
        yield _Slice(start, end, load_w[step])


def _energy_lines(
    kind: LineKind, name: str, rate: Rate, *, slices: Sequence[_Slice], tariff: Tariff, used: UsedEnergy
) -> Iterator[BillLine]:
    """Yield a line for each month, for each period of a time-of-use rate, and for each tier that is reached."""
    if not slices:
        return
    zone = tariff.zone
    series = rate_series(rate, zone=zone, start=slices[0].start, end=slices[-1].end)
    kwh: dict[tuple[str, str], list[float]] = defaultdict(list)
    amounts: dict[tuple[str, str], list[float]] = defaultdict(list)
    for piece in slices:
        price = rate.price_per_kwh if isinstance(rate, FixedRate) else series.mean(piece.start, piece.end)
        if price is None:
            raise ValueError(f"no price for {name} on [{piece.start.isoformat()}, {piece.end.isoformat()})")
        key = (label_at(name, rate, piece.start.astimezone(zone)), month_of(piece.start, zone))
        kwh[key].append(piece.energy_kwh)
        amounts[key].append(piece.energy_kwh * price)
    tiered = tiers_of(name, rate)
    for (label, month), quantities in kwh.items():
        total_kwh = math.fsum(quantities)
        if label not in tiered:
            amount = math.fsum(amounts[label, month])
            yield _line(kind, label, month=month, quantity=total_kwh, unit="kWh", amount=amount)
            continue
        first, tiers = tiered[label]
        shares = tier_shares(total_kwh, used=used.get((label, month), 0.0), bounds=[tier.above for tier in tiers])
        for share, above, price in zip(
            shares, (None, *(t.above for t in tiers)), (first, *(t.price for t in tiers)), strict=True
        ):
            if share > 0.0:
                named = label if above is None else f"{label}, above {above:g} kWh"
                yield _line(kind, named, month=month, quantity=share, unit="kWh", amount=share * price)


def _demand_lines(tariff: Tariff, grid: TimeGrid, peaks: Peaks) -> Iterator[BillLine]:
    months = list(local_days(tariff.zone, grid.start, grid.end))
    for charge, month in itertools.product(tariff.demand, months):
        billed_kw = billed_w(charge, month, peaks) / 1000.0
        if billed_kw == 0.0 and (charge.name, month) not in peaks:
            continue
        name = charge.name + _why_billed(charge, month, peaks)
        prices = (charge.price_in(month), *(tier.price for tier in charge.tiers))
        shares = tier_shares(billed_kw, used=0.0, bounds=[tier.above for tier in charge.tiers])
        for index, (share_kw, price) in enumerate(zip(shares, prices, strict=True)):
            if share_kw > 0.0 or index == 0:
                named = name if index == 0 else f"{name}, above {charge.tiers[index - 1].above:g} kW"
                amount = share_kw * price
                yield _line(LineKind.DEMAND, named, month=month, quantity=share_kw, unit="kW", amount=amount)


def _why_billed(charge: DemandCharge, month: str, peaks: Peaks) -> str:
    """Return why a month is billed for more than its own peak, if it is."""
    own_w, billed = peaks.get((charge.name, month), 0.0), billed_w(charge, month, peaks)
    if billed <= own_w:
        return ""
    if charge.ratchet is None or billed == charge.minimum_kw * 1000.0:
        return " (minimum)"
    return f" ({charge.ratchet.ratio:.0%} of an earlier peak)"


def _fee_lines(tariff: Tariff, grid: TimeGrid) -> Iterator[BillLine]:
    for month, days in local_days(tariff.zone, grid.start, grid.end).items():
        whole = calendar.monthrange(int(month[:4]), int(month[5:]))[1]
        for fee in tariff.fees:
            if fee.per_month:
                share = days / whole
                amount = share * fee.per_month
                yield _line(LineKind.FEE, fee.name, month=month, quantity=share, unit="month", amount=amount)
            if fee.per_day:
                yield _line(LineKind.FEE, fee.name, month=month, quantity=days, unit="day", amount=days * fee.per_day)


def _levy_lines(tariff: Tariff, lines: Sequence[BillLine]) -> Iterator[BillLine]:
    for month, levy in itertools.product(sorted({line.month for line in lines}), tariff.levies):
        base = math.fsum(line.amount for line in lines if line.month == month and line.kind in levy.on)
        amount = base * levy.ratio
        yield _line(LineKind.LEVY, levy.name, month=month, quantity=base, unit=tariff.currency, amount=amount)


def _tax_lines(tariff: Tariff, lines: Sequence[BillLine]) -> Iterator[BillLine]:
    if tariff.tax_ratio == 0.0:
        return
    for month in sorted({line.month for line in lines}):
        net = math.fsum(line.amount for line in lines if line.month == month)
        yield _line(LineKind.TAX, "tax", month=month, quantity=net, unit=tariff.currency, amount=net * tariff.tax_ratio)


def _line(kind: LineKind, name: str, *, month: str, quantity: float, unit: str, amount: float) -> BillLine:
    price = amount / quantity if quantity else 0.0
    return BillLine(kind=kind, month=month, name=name, quantity=quantity, unit=unit, price=price, amount=amount)

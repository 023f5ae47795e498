"""Rates of the US Utility Rate Database (URDB, openei.org) as tariffs.

Rules kept here
---------------
1. What would change the bill and has no counterpart here is refused by the name of its field; nothing is left out
   in silence. Fields that only describe (utility, sector, eligibility) are passed over.
2. A tier counts the energy of the month in its own period. Tiers by load factor (kWh/kW) or by day are refused.
3. A weekday schedule is Monday to Friday, a weekend schedule Saturday, Sunday and the holidays of the site.
4. Look-back applies to every demand charge of the rate.
5. Without ``demandwindow`` a demand window is 15 minutes.
"""

import itertools
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from loadmgr.errors import InputError
from loadmgr.model.calendar import ClockWindow
from loadmgr.model.tariff import (
    DemandCharge,
    FixedFee,
    FixedRate,
    Ratchet,
    Rate,
    RatePeriod,
    Surcharge,
    Tariff,
    Tier,
    TimeOfUseRate,
)  # fmt: skip

WORKDAYS = frozenset(range(5))
WEEKEND = frozenset({5, 6})

_REFUSED = (
    "annualmincharge", "coincidentratestructure", "mincharge", "minmonthlycharge", "reactivepowercharge",
)  # fmt: skip
"""Fields that change a bill and are not understood; 0 or empty is no charge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """A rate and what every part of it needs."""

    path: Path
    rate: Mapping[str, Any]
    holidays: frozenset[date]

    def refuse(self, field: str, why: str) -> InputError:
        return InputError(f"{self.path}: {field}: {why}")


def read_urdb(path: Path, *, time_zone: str, currency: str, holidays: frozenset[date] = frozenset()) -> Tariff:
    """Return the tariff of a URDB rate: one item, or the answer of the service that holds exactly one.

    Raises
    ------
    InputError
        Naming the file and the field that cannot be used.
    """
    source = _Source(path=path, rate=_item(path), holidays=holidays)
    if currency != "USD":
        raise InputError(f"{path}: rates of the US Utility Rate Database are in USD, and the site pays in {currency}")
    for field in _REFUSED:
        if source.rate.get(field):
            raise source.refuse(field, f"{source.rate[field]!r} has no counterpart here")
    energy = _energy(source, "rate")
    return Tariff(
        time_zone=time_zone,
        currency=currency,
        energy=energy,
        surcharges=_fuel_adjustment(source),
        export=_energy(source, "sell") if _sells(source) else None,
        demand=(*_demand_by_clock(source), *_flat_demand(source)),
        fees=_fixed_charge(source),
    )


def _item(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path}: is not JSON: {error}") from error
    if isinstance(found, dict) and isinstance(found.get("items"), list):
        if len(found["items"]) != 1:
            raise InputError(f"{path}: holds {len(found['items'])} rates; keep one")
        found = found["items"][0]
    if not isinstance(found, dict):
        raise InputError(f"{path}: is not a rate of the US Utility Rate Database")
    return found


def _schedule(source: _Source, field: str) -> list[list[int]]:
    rows = source.rate.get(field)
    if not isinstance(rows, list) or [len(row) if isinstance(row, list) else 0 for row in rows] != [24] * 12:
        raise source.refuse(field, "must be 12 rows of 24 periods")
    if not all(isinstance(period, int) and period >= 0 for row in rows for period in row):
        raise source.refuse(field, "must hold numbers of periods")
    return rows


def _structure(source: _Source, field: str, *, unit: str) -> list[list[dict[str, Any]]]:
    """Return the tiers of each period; what is not measured in ``unit`` is refused."""
    periods = source.rate.get(field)
    if not isinstance(periods, list) or not all(isinstance(tiers, list) and tiers for tiers in periods):
        raise source.refuse(field, "must be a list of periods, each a list of tiers")
    for number, tier in ((n, tier) for n, tiers in enumerate(periods) for tier in tiers):
        if not isinstance(tier, dict) or tier.get("unit", unit) != unit:
            found = tier.get("unit") if isinstance(tier, dict) else tier
            raise source.refuse(field, f"period {number} counts in {found!r}; only {unit} is understood")
    return periods


def _price(source: _Source, field: str, tier: Mapping[str, Any], key: str = "rate") -> float:
    try:
        price = float(tier.get(key) or 0.0)
        return price if key == "sell" else price + float(tier.get("adj") or 0.0)
    except (TypeError, ValueError) as error:
        raise source.refuse(field, f"{tier.get(key)!r} is not a price") from error


def _tiers(source: _Source, field: str, tiers: Sequence[Mapping[str, Any]]) -> tuple[float, tuple[Tier, ...]]:
    """Return the first price, and the tiers above the ``max`` of the one before."""
    later = []
    for below, tier in itertools.pairwise(tiers):
        if not isinstance(below.get("max"), int | float):
            raise source.refuse(field, "a tier without max is followed by another")
        later.append(Tier(above=float(below["max"]), price=_price(source, field, tier)))
    return _price(source, field, tiers[0]), tuple(later)


def _spans(row: Sequence[int], period: int) -> Iterator[tuple[int, int]]:
    """Yield the spans of hours of a day that a period holds."""
    start = None
    for hour, held in enumerate([*row, -1]):
        if held == period and start is None:
            start = hour
        elif held != period and start is not None:
            yield start, hour
            start = None


def _windows(source: _Source, weekday: str, weekend: str) -> dict[int, tuple[ClockWindow, ...]]:
    """Return the windows of each period that the two schedules name, as few as months and days allow."""
    months: dict[tuple[int, tuple[int, int], frozenset[int]], set[int]] = defaultdict(set)
    kinds = ((_schedule(source, weekday), WORKDAYS), (_schedule(source, weekend), WEEKEND))
    for rows, days in kinds:
        for index, row in enumerate(rows):
            for period in sorted(set(row)):
                for span in _spans(row, period):
                    months[period, span, days].add(index + 1)
    out: dict[int, list[ClockWindow]] = defaultdict(list)
    for (period, span, days), held in months.items():
        other = months.get((period, span, WEEKEND))
        if days == WEEKEND and held == months.get((period, span, WORKDAYS)):
            continue
        out[period].append(
            ClockWindow(
                months=frozenset(held),
                weekdays=WORKDAYS | WEEKEND if days == WORKDAYS and held == other else days,
                start_s=span[0] * 3600,
                end_s=span[1] * 3600,
                holidays=source.holidays,
            )
        )
    return {period: tuple(windows) for period, windows in sorted(out.items())}


def _energy(source: _Source, key: str) -> Rate:
    """Return the rate of imported energy, or with ``sell`` that of exported energy."""
    field = "energyratestructure"
    structure = _structure(source, field, unit="kWh")
    windows = _windows(source, "energyweekdayschedule", "energyweekendschedule")
    periods = []
    for number, held in windows.items():
        if number >= len(structure):
            raise source.refuse("energyweekdayschedule", f"period {number} is not in {field}")
        first, tiers = _tiers(source, field, structure[number])
        price = _price(source, field, structure[number][0], "sell") if key == "sell" else first
        kept = () if key == "sell" else tiers
        periods.append(RatePeriod(name=f"period {number}", price_per_kwh=price, windows=held, tiers=kept))
    try:
        return TimeOfUseRate(periods=tuple(periods))
    except ValueError as error:
        raise source.refuse(field, str(error)) from error


def _sells(source: _Source) -> bool:
    return any(tier.get("sell") for tiers in source.rate["energyratestructure"] for tier in tiers)


def _fuel_adjustment(source: _Source) -> tuple[Surcharge, ...]:
    monthly = source.rate.get("fueladjustmentsmonthly")
    if not monthly:
        return ()
    if not isinstance(monthly, list) or len(monthly) != 12:
        raise source.refuse("fueladjustmentsmonthly", "must be 12 prices")
    months: dict[float, set[int]] = defaultdict(set)
    for index, price in enumerate(monthly):
        months[float(price)].add(index + 1)
    if len(months) == 1:
        return (Surcharge(name="fuel adjustment", rate=FixedRate(price_per_kwh=float(monthly[0]))),)
    periods = tuple(
        RatePeriod(name=f"at {price:g}", price_per_kwh=price, windows=(ClockWindow(months=frozenset(held)),))
        for price, held in months.items()
    )
    return (Surcharge(name="fuel adjustment", rate=TimeOfUseRate(periods=periods)),)


def _window_s(source: _Source) -> int:
    minutes = source.rate.get("demandwindow") or 15
    if not isinstance(minutes, int | float) or 60 % minutes:
        raise source.refuse("demandwindow", f"{minutes!r} minutes do not divide an hour")
    return int(minutes * 60)


def _charge(source: _Source, field: str, name: str, tiers: Sequence[Mapping[str, Any]]) -> DemandCharge:
    first, later = _tiers(source, field, tiers)
    try:
        return DemandCharge(
            name=name, price_per_kw=first, tiers=later, window_s=_window_s(source), ratchet=_look_back(source)
        )
    except ValueError as error:
        raise source.refuse(field, str(error)) from error


def _look_back(source: _Source) -> Ratchet | None:
    monthly = source.rate.get("demandratchetpercentage") or []
    if any(monthly):
        if len(set(monthly)) > 1:
            raise source.refuse("demandratchetpercentage", "percentages that differ by month have no counterpart here")
        return Ratchet(ratio=_ratio(monthly[0]))
    percent = source.rate.get("lookbackPercent")
    if not percent:
        return None
    flags = source.rate.get("lookbackMonths") or []
    of_months = frozenset(index + 1 for index, flag in enumerate(flags) if flag)
    months = int(source.rate.get("lookbackRange") or 0) or 11
    return Ratchet(ratio=_ratio(percent), months=months, of_months=of_months)


def _ratio(value: float) -> float:
    """Return a share that is written as 0.8 or as 80."""
    return value / 100.0 if value > 1.0 else float(value)


def _demand_by_clock(source: _Source) -> Iterator[DemandCharge]:
    field = "demandratestructure"
    if not source.rate.get(field):
        return
    structure = _structure(source, field, unit="kW")
    for number, windows in _windows(source, "demandweekdayschedule", "demandweekendschedule").items():
        if number >= len(structure):
            raise source.refuse("demandweekdayschedule", f"period {number} is not in {field}")
        charge = _charge(source, field, f"demand period {number}", structure[number])
        if charge.price_per_kw or charge.tiers:
            yield replace(charge, when=windows)


def _flat_demand(source: _Source) -> Iterator[DemandCharge]:
    """Yield one charge with a price for each month, or where there are tiers one for each period."""
    field = "flatdemandstructure"
    if not source.rate.get(field):
        return
    structure = _structure(source, field, unit="kW")
    months = source.rate.get("flatdemandmonths")
    if not isinstance(months, list) or len(months) != 12 or not all(0 <= number < len(structure) for number in months):
        raise source.refuse("flatdemandmonths", f"must be 12 numbers of periods of {field}")
    if all(len(tiers) == 1 for tiers in structure):
        charge = _charge(source, field, "flat demand", structure[months[0]])
        each = tuple(_price(source, field, structure[number][0]) for number in months)
        if any(each):
            yield replace(charge, month_prices=each)
        return
    for number in sorted(set(months)):
        held = frozenset(index + 1 for index, found in enumerate(months) if found == number)
        charge = _charge(source, field, f"flat demand period {number}", structure[number])
        if charge.price_per_kw or charge.tiers:
            yield replace(charge, when=(ClockWindow(months=held),))


def _fixed_charge(source: _Source) -> tuple[FixedFee, ...]:
    amount = source.rate.get("fixedchargefirstmeter") or source.rate.get("fixedmonthlycharge") or 0.0
    if not amount:
        return ()
    units = source.rate.get("fixedchargeunits") or "$/month"
    if units == "$/month":
        return (FixedFee(name="fixed charge", per_month=float(amount)),)
    if units == "$/day":
        return (FixedFee(name="fixed charge", per_day=float(amount)),)
    raise source.refuse("fixedchargeunits", f"{units!r} is neither $/month nor $/day")

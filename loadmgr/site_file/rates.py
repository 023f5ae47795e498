"""The tariff section: rates from the file, and the tariff that they make."""

import re
from dataclasses import replace
from typing import Any

from loadmgr.errors import InputError
from loadmgr.model.tariff import (
    DynamicRate,
    FixedRate,
    Rate,
    RatePeriod,
    Surcharge,
    Tariff,
    Tier,
    TimeOfUseRate,
    tiers_of,
)  # fmt: skip
from loadmgr.site_file.carbon import read_carbon
from loadmgr.site_file.charges import read_demand, read_fees, read_levies
from loadmgr.site_file.document import PathKey
from loadmgr.site_file.faults import FaultList
from loadmgr.site_file.reading import Reading
from loadmgr.site_file.series_csv import as_cycle, as_step_function, read_series
from loadmgr.site_file.tariff_schema import EnergyTierPart, PeriodPart, RatePart, TariffPart
from loadmgr.site_file.urdb import read_urdb
from loadmgr.site_file.windows import read_dates, read_windows

_PRICE_COLUMNS = {"price_per_kwh": 1.0, "price_per_mwh": 0.001}
_CURRENCY = re.compile(r"[A-Z]{3}(?=\s*/)")
_TIERS_ADVICE = "let each begin above the one before, such as [{above: 300kWh, price: 0.35/kWh}]"
_PERIODS_ADVICE = {"otherwise": "add `otherwise: 0.30/kWh`", "names": "give each period its own name"}


def build_tariff(part: TariffPart, reading: Reading) -> Tariff | None:
    """Return the tariff, or ``None`` with every fault of it noted."""
    faults, site = reading.faults, reading.site
    noted = len(faults.faults)
    _check_currency(faults, ("tariff",), faults.document.get("tariff"), site.currency)
    reading = replace(reading, holidays=read_dates(part.holidays, ("tariff", "holidays"), faults))
    base = _base(part, reading)
    surcharges = []
    for index, extra in enumerate(part.surcharges):
        rate = _rate(extra, ("tariff", "surcharges", index), reading)
        if rate is not None:
            surcharges.append(Surcharge(name=extra.name, rate=rate))
    export = None if part.export is None else _rate(part.export, ("tariff", "export"), reading)
    if part.export is not None and export is not None and tiers_of("export", export):
        faults.add(("tariff", "export"), "export has tiers", "what is sold earns one price per hour: remove `tiers`")
    demand = read_demand(part, reading)
    carbon = None if part.carbon is None else read_carbon(part.carbon, ("tariff", "carbon"), reading)
    if base is None or len(faults.faults) > noted:
        return None
    try:
        return replace(
            base,
            surcharges=(*base.surcharges, *surcharges),
            tax_ratio=part.tax,
            export=base.export if export is None else export,
            demand=(*base.demand, *demand),
            fees=(*base.fees, *read_fees(part)),
            levies=read_levies(part),
            carbon=carbon,
        )
    except ValueError as error:
        faults.add(("tariff",), str(error), "give each its own name")
        return None


def _base(part: TariffPart, reading: Reading) -> Tariff | None:
    """Return the tariff of the energy rate alone, or of a rate of the US Utility Rate Database."""
    site, faults = reading.site, reading.faults
    if (part.urdb is None) == (part.energy is None):
        what = "has no energy rate" if part.urdb is None else "has an energy rate and a urdb file"
        faults.add(("tariff",), f"tariff {what}", "give one of them: `energy: {price: 0.30/kWh}` or `urdb: FILE.json`")
        return None
    if part.energy is not None:
        energy = _rate(part.energy, ("tariff", "energy"), reading)
        return None if energy is None else Tariff(time_zone=site.timezone, currency=site.currency, energy=energy)
    file = reading.file(str(part.urdb), ("tariff", "urdb"))
    if file is None:
        return None
    try:
        return read_urdb(
            file,
            time_zone=site.timezone,
            currency=site.currency,
            holidays=reading.holidays,
        )
    except InputError as error:
        faults.add(("tariff", "urdb"), str(error), "mend the file, or write the rate out with `energy`")
        return None


def _check_currency(faults: FaultList, path: PathKey, value: Any, currency: str) -> None:
    """Note prices that name another currency than the site's: nobody converts them."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_currency(faults, (*path, key), inner, currency)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _check_currency(faults, (*path, index), inner, currency)
    elif isinstance(value, str):
        named = _CURRENCY.search(value)
        if named is not None and named[0] != currency:
            faults.add(path, f"{value} is in {named[0]}, and the site pays in {currency}", f"convert it to {currency}")


def _rate(part: RatePart, path: PathKey, reading: Reading) -> Rate | None:
    faults = reading.faults
    given = [key for key in ("price", "periods", "series") if getattr(part, key) is not None]
    if len(given) != 1:
        what = f"has {' and '.join(given)}" if given else "has no price"
        faults.add(
            path,
            f"{path[-1] if isinstance(path[-1], str) else path[-2]} {what}",
            "give exactly one of price, periods, series",
        )
        return None
    if part.otherwise is not None and part.periods is None:
        faults.add((*path, "otherwise"), "otherwise without periods", "it is the price outside of `periods`")
        return None
    if part.repeat is not None and part.series is None:
        faults.add((*path, "repeat"), "repeat without series", "it says how the file of `series` goes on")
        return None
    if part.tiers and part.price is None:
        faults.add((*path, "tiers"), "tiers without price", "write them beside a `price`, here or in one of `periods`")
        return None
    if part.price is not None:
        return _fixed(part, part.price, path, faults)
    if part.periods is not None:
        return _time_of_use(part, part.periods, path, reading)
    return _dynamic(part, path, reading)


def _fixed(part: RatePart, price: float, path: PathKey, faults: FaultList) -> Rate | None:
    try:
        return FixedRate(price_per_kwh=price, tiers=_tiers(part.tiers))
    except ValueError as error:
        faults.add((*path, "tiers"), str(error), _TIERS_ADVICE)
        return None


def _tiers(parts: list[EnergyTierPart]) -> tuple[Tier, ...]:
    return tuple(Tier(above=part.above / 1000.0, price=part.price) for part in parts)


def _time_of_use(part: RatePart, periods: list[PeriodPart], path: PathKey, reading: Reading) -> Rate | None:
    built = []
    for index, period in enumerate(periods):
        place = (*path, "periods", index)
        windows = read_windows(period.when, (*place, "when"), reading)
        try:
            if windows:
                tiers = _tiers(period.tiers)
                built.append(RatePeriod(name=period.name, price_per_kwh=period.price, windows=windows, tiers=tiers))
        except ValueError as error:
            reading.faults.add((*place, "tiers"), str(error), _TIERS_ADVICE)
    if len(built) < len(periods):
        return None
    try:
        return TimeOfUseRate(periods=tuple(built), otherwise_per_kwh=part.otherwise)
    except ValueError as error:
        text = str(error).replace("otherwise_per_kwh", "otherwise")
        advice = _PERIODS_ADVICE.get(text.split()[0], "let one of them begin where the other ends")
        reading.faults.add((*path, "periods"), text, advice)
        return None


def _dynamic(part: RatePart, path: PathKey, reading: Reading) -> Rate | None:
    assert part.series is not None
    file = reading.file(part.series, (*path, "series"))
    if file is None:
        return None
    try:
        table = read_series(file, tuple(_PRICE_COLUMNS))
        column, values = next(iter(table.columns.items()))
        per_kwh = [value * _PRICE_COLUMNS[column] for value in values]
        if part.repeat is None:
            return DynamicRate(price_per_kwh=as_step_function(table, per_kwh))
        return DynamicRate(price_per_kwh=as_cycle(table, per_kwh, time_zone=reading.site.timezone))
    except InputError as error:
        reading.faults.add((*path, "series"), str(error), "mend the file, or name another")
        return None

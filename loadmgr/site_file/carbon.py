"""Carbon intensity of the grid in a site file: one number, or a series from a file."""

from datetime import UTC, datetime

from loadmgr.errors import InputError
from loadmgr.model.carbon import Carbon
from loadmgr.model.series import StepFunction
from loadmgr.site_file.document import PathKey
from loadmgr.site_file.reading import Reading
from loadmgr.site_file.series_csv import as_cycle, as_step_function, read_series
from loadmgr.site_file.tariff_schema import CarbonPart

COLUMNS = ("g_per_kwh", "kg_per_mwh")
"""What a file may call its column; both are the same number."""

EVER = datetime(1970, 1, 1, tzinfo=UTC)


def read_carbon(part: CarbonPart, path: PathKey, reading: Reading) -> Carbon | None:
    """Return what plans count of carbon, or ``None`` with its fault noted."""
    faults = reading.faults
    if (part.intensity is None) == (part.series is None):
        what = "has no intensity" if part.series is None else "has an intensity and a series"
        faults.add(path, f"carbon {what}", "give one of them: `intensity: 380 g/kWh` or `series: FILE.csv`")
        return None
    if part.price < 0.0:
        faults.add((*path, "price"), f"price of carbon is {part.price:g}/kg", "write a price of 0 or above")
        return None
    if part.intensity is not None:
        if part.repeat is not None:
            faults.add((*path, "repeat"), "repeat without series", "it says how the file of `series` goes on")
            return None
        return Carbon(g_per_kwh=StepFunction((EVER,), (part.intensity,)), price_per_kg=part.price)
    file = reading.file(str(part.series), (*path, "series"))
    if file is None:
        return None
    try:
        table = read_series(file, COLUMNS)
        values = next(iter(table.columns.values()))
        held = (
            as_cycle(table, values, time_zone=reading.site.timezone) if part.repeat else as_step_function(table, values)
        )
    except InputError as error:
        faults.add((*path, "series"), str(error), "mend the file, or name another")
        return None
    if min(values) < 0.0:
        faults.add((*path, "series"), f"{file}: an intensity lies below 0: {min(values):g}", "mend the file")
        return None
    return Carbon(g_per_kwh=held, price_per_kg=part.price)

"""Prices from outside: from the tariff section to values."""

from pathlib import Path

from loadmgr.errors import InputError
from loadmgr.model.charges import LineKind
from loadmgr.model.tariff import Tariff
from loadmgr.site_file.document import PathKey
from loadmgr.site_file.meters import build_secret, openadr_place
from loadmgr.site_file.price_preset import read_preset, shipped_preset
from loadmgr.site_file.reading import Reading
from loadmgr.site_file.sources import HttpPrices, OpenAdrPlace, PricePreset
from loadmgr.site_file.tariff_schema import HttpPricesPart, TariffPart


def build_prices(part: TariffPart, tariff: Tariff | None, reading: Reading) -> HttpPrices | OpenAdrPlace | None:
    """Return where prices from outside are, and note what does not make such a place."""
    faults, path = reading.faults, ("tariff", "prices")
    if part.prices is None:
        return None
    if reading.folder is None:
        faults.add(path, "a site that is sent fetches no prices", "send them: `prices`, or a `series`")
        return None
    if (part.prices.http is None) == (part.prices.openadr is None):
        what = "prices from nowhere" if part.prices.http is None else "prices from two places"
        faults.add(path, what, "give one of `http: {preset: energy_charts}` and `openadr: {...}`")
        return None
    if part.prices.openadr is not None:
        return openadr_place(part.prices.openadr, (*path, "openadr"), reading)
    assert part.prices.http is not None
    found = _http(part.prices.http, (*path, "http"), reading)
    adds = tariff is not None and (bool(tariff.surcharges) or tariff.factor(LineKind.ENERGY) != 1.0)
    if found is not None and adds and found.preset.all_in:
        text = f"prices of {found.preset.id} hold tax and surcharges already, and the tariff adds some"
        faults.add((*path, "http"), text, "remove tax, surcharges and levies, and write `energy` as it is paid")
        return None
    return found


def _http(part: HttpPricesPart, path: PathKey, reading: Reading) -> HttpPrices | None:
    faults, noted = reading.faults, len(reading.faults.faults)
    preset = _preset(part.preset, (*path, "preset"), reading)
    secret = build_secret(part.secret, (*path, "secret"), reading)
    if preset is None or len(faults.faults) > noted:
        return None
    takes_zone = "{zone}" in preset.url
    if part.zone is not None and not takes_zone:
        faults.add((*path, "zone"), f"preset {preset.id} knows no zones", "remove zone")
    if takes_zone and part.zone is None and preset.zone is None:
        faults.add(path, f"preset {preset.id} asks for a zone", f"add `zone:`; {preset.notes}".rstrip("; "))
    if preset.currency not in (None, reading.site.currency):
        text = f"prices of {preset.id} are in {preset.currency}, and the site pays in {reading.site.currency}"
        faults.add((*path, "preset"), text, "take another preset, or set the site's currency")
    return None if len(faults.faults) > noted else HttpPrices(preset=preset, zone=part.zone, secret=secret)


def _preset(name: str, path: PathKey, reading: Reading) -> PricePreset | None:
    try:
        if not name.endswith((".yaml", ".yml")):
            return shipped_preset(name)
        file: Path | None = reading.file(name, path)
        return None if file is None else read_preset(file)
    except InputError as error:
        text, _, advice = str(error).partition("; ")
        reading.faults.add(path, text, advice or "mend the file; `loadmgr prices --presets` lists what there is")
        return None

"""Where day-ahead prices are found, as data: those that come with loadmgr, and a user's own file.

Rules
-----
1. An address may name ``{zone}``, ``{first_day}`` and ``{last_day}`` (today and tomorrow on the preset's own clock),
   ``{from_ms}``, ``{to_ms}``, ``{from_utc}`` and ``{to_utc}`` (the midnights around them).
2. Times are text with a zone, or POSIX seconds, or milliseconds.
3. A price has a unit: ``EUR/MWh``, ``0.01 GBP/kWh`` (pence); ``/kWh`` alone is the site's own currency.
"""

import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field

from loadmgr.errors import InputError
from loadmgr.site_file.data_file import read_data
from loadmgr.site_file.likeness import suggestion
from loadmgr.site_file.quantities import StrictPart, Text, fault
from loadmgr.site_file.source_schema import Pointer, Url
from loadmgr.site_file.sources import PricePreset

_UNIT = re.compile(r"(?:(\d+(?:\.\d+)?) )?([A-Z]{3})?/(kWh|MWh)")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_PLACES = {"zone", "first_day", "last_day", "from_ms", "to_ms", "from_utc", "to_utc"}


def _parse_unit(value: Any) -> Any:
    if isinstance(value, str) and not _UNIT.fullmatch(value):
        raise fault(f"{value!r} is no unit of a price", "write EUR/MWh, EUR/kWh, 0.01 GBP/kWh or /kWh")
    return value


def _parse_clock(value: Any) -> Any:
    if isinstance(value, str) and not _CLOCK.fullmatch(value):
        raise fault(f"{value!r} is no time of day", 'write "13:15"')
    return value


def _parse_places(value: Any) -> Any:
    unknown = sorted(set(re.findall(r"{([^}]*)}", value)) - _PLACES) if isinstance(value, str) else []
    if unknown:
        raise fault(f"{{{unknown[0]}}} is not known in an address", f"known: {', '.join(sorted(_PLACES))}")
    return value


def _parse_zone(value: Any) -> Any:
    try:
        ZoneInfo(str(value))
    except (ValueError, OSError):
        raise fault(f"there is no time zone {value!r}", "write an IANA name such as Europe/Berlin") from None
    return value


Clock = Annotated[Text, BeforeValidator(_parse_clock)]


class PricePresetPart(StrictPart):
    """Where prices are, and when."""

    name: Text
    source: Text = Field(description="The document that this is taken from.")
    notes: Text = ""
    url: Annotated[Url, BeforeValidator(_parse_places)]
    body: dict[str, Any] | None = Field(default=None, description="What is posted; a plain GET if not given.")
    zone: Text | None = Field(default=None, description="What stands for {zone} unless the site file says otherwise.")
    rows: list[Pointer] = Field(default_factory=list, description="Lists of prices, one after the other.")
    columns: bool = Field(default=False, strict=True, description="`start` and `price` are lists themselves.")
    start: Pointer = Field(description="Where a row says when its price begins to hold.")
    end: Pointer | None = Field(default=None, description="Where it says when it ends; one step later if not given.")
    price: Pointer
    unit: Annotated[Text, BeforeValidator(_parse_unit)]
    all_in: bool = Field(default=False, strict=True, description="Surcharges and tax are in it.")
    published: Clock = Field(description="When tomorrow's prices are there, on the clock below.")
    reaches: Clock = Field(default="00:00", description="Until when tomorrow's prices reach; 00:00 is its end.")
    clock: Annotated[Text, BeforeValidator(_parse_zone)]


def preset_names() -> list[str]:
    """Return the names of the presets that come with loadmgr."""
    folder = files("loadmgr.site_file").joinpath("price_presets")
    return sorted(each.name.removesuffix(".yaml") for each in folder.iterdir() if each.name.endswith(".yaml"))


@cache
def shipped_preset(name: str) -> PricePreset:
    """Return a preset that comes with loadmgr.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in preset_names():
        advice = suggestion(name, preset_names(), kind="presets")
        raise InputError(f"{name} is no preset of prices; {advice}; a file of your own ends in .yaml")
    return read_preset(Path(str(files("loadmgr.site_file").joinpath("price_presets", f"{name}.yaml"))))


def read_preset(path: Path) -> PricePreset:
    """Return the preset of a file.

    Raises
    ------
    InputError
        With file, line, column and field.
    """
    part = read_data(path, PricePresetPart)
    if part.columns == bool(part.rows):
        raise InputError(f"{path}:1:1: prices are either in `rows` or in `columns`; say one of them")
    found = _UNIT.fullmatch(part.unit)
    assert found is not None  # the door has seen to it
    factor = float(found[1] or 1.0) / (1000.0 if found[3] == "MWh" else 1.0)
    return PricePreset(
        id=path.stem,
        name=part.name,
        source=part.source,
        notes=part.notes,
        url=part.url,
        body=None if part.body is None else json.dumps(part.body),
        zone=part.zone,
        rows=tuple(part.rows),
        start=part.start,
        end=part.end,
        price=part.price,
        per_kwh=factor,
        currency=found[2],
        all_in=part.all_in,
        published_s=_seconds(part.published),
        reaches_s=_seconds(part.reaches),
        clock=part.clock,
    )


def _seconds(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 3600 + int(minutes) * 60

"""Register maps of meters as data: those of the wheel, and a user's own file.

Rules
-----
1. Addresses are those on the wire, counted from 0: the register 30007 of a manual's input registers is 6.
2. Three quantities are read: current, power and voltage, each of the phases that the meter has. A current has no sign
   of its own; where the map names power, that says whether it is drawn or fed in.
3. ``verified`` is true only where somebody read the values on the device itself.
"""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from loadmgr.errors import InputError
from loadmgr.site_file.data_file import read_data
from loadmgr.site_file.likeness import suggestion
from loadmgr.site_file.quantities import StrictPart, Text
from loadmgr.site_file.sources import Number, Quantity, RegisterMap

HIGHEST_ADDRESS = 65_535
MODBUS_PORT = 502


Address = Annotated[int, Field(ge=0, le=HIGHEST_ADDRESS, strict=True)]
Phase = Literal["L1", "L2", "L3"]


class QuantityPart(StrictPart):
    """A quantity of every phase that the meter has."""

    at: dict[Phase, Address] = Field(min_length=1, description="Address of each phase, from 0.")
    type: Number = Number.FLOAT32
    scale: float = Field(default=1.0, gt=0.0, description="What the number is multiplied by to get A, W or V.")
    exponent_at: Address | None = Field(
        default=None, description="A register whose value is a further power of ten (SunSpec's scale factors)."
    )


class RegisterMapPart(StrictPart):
    """What a meter says where."""

    name: Text
    source: Text = Field(description="The document that the addresses come from.")
    verified: bool = Field(default=False, strict=True, description="Somebody read it on the device itself.")
    notes: Text = ""
    registers: Literal["holding", "input"] = "holding"
    word_order: Literal["big", "little"] = Field(default="big", description="big: the high word comes first.")
    sunspec_model: int | None = Field(
        default=None, ge=1, strict=True, description="Addresses count from the head of this SunSpec model."
    )
    current: QuantityPart | None = None
    power: QuantityPart | None = None
    voltage: QuantityPart | None = None


def map_names() -> list[str]:
    """Return the names of the maps that come with loadmgr."""
    folder = files("loadmgr.site_file").joinpath("meter_maps")
    return sorted(each.name.removesuffix(".yaml") for each in folder.iterdir() if each.name.endswith(".yaml"))


def map_text(name: str) -> str:
    """Return a map that comes with loadmgr, as its file is.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    shipped_map(name)
    return _shipped(name).read_text(encoding="utf-8")


def _shipped(name: str) -> Path:
    return Path(str(files("loadmgr.site_file").joinpath("meter_maps", f"{name}.yaml")))


@cache
def shipped_map(name: str) -> RegisterMap:
    """Return a map that comes with loadmgr.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in map_names():
        advice = suggestion(name, map_names(), kind="maps")
        raise InputError(f"{name} is no register map; {advice}; a file of your own ends in .yaml")
    return read_map(_shipped(name))


def read_map(path: Path) -> RegisterMap:
    """Return the map of a file.

    Raises
    ------
    InputError
        With file, line, column and field.
    """
    part = read_data(path, RegisterMapPart, keys_below=tuple(QuantityPart.model_fields))
    if part.current is None and part.power is None:
        raise InputError(f"{path}:1:1: names neither current nor power; add `current: {{at: {{L1: 0}}}}`")
    return RegisterMap(
        name=part.name,
        source=part.source,
        notes=part.notes,
        verified=part.verified,
        is_input=part.registers == "input",
        big_words=part.word_order == "big",
        sunspec_model=part.sunspec_model,
        current=_quantity(part.current),
        power=_quantity(part.power),
        voltage=_quantity(part.voltage),
    )


def _quantity(part: QuantityPart | None) -> Quantity | None:
    if part is None:
        return None
    at = part.at
    return Quantity(
        at=(at.get("L1"), at.get("L2"), at.get("L3")), number=part.type, scale=part.scale, exponent_at=part.exponent_at
    )

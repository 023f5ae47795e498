"""Register maps of batteries: a user's own file, for what takes orders is different from plant to plant.

None comes with loadmgr: a wrong register that is written may do harm, and nobody here has tried one.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from loadmgr.site_file.data_file import read_data
from loadmgr.site_file.quantities import StrictPart, Text, fault
from loadmgr.site_file.register_map import Address
from loadmgr.site_file.sources import BatteryMap, Number, Point


def _parse_scale(value: object) -> object:
    if value == 0:
        raise fault("a scale of 0", "write what the number in the register is multiplied by; below 0 turns its sign")
    return value


class PointPart(StrictPart):
    """A number in registers."""

    at: Address
    type: Number = Number.INT16
    scale: Annotated[float, BeforeValidator(_parse_scale)] = Field(
        default=1.0, description="What the number is multiplied by to get W, or a share; below 0 turns its sign."
    )


class WritePart(StrictPart):
    """A value that is written as it is."""

    at: Address
    value: int = Field(ge=0, le=65535, strict=True)


class BatteryMapPart(StrictPart):
    """What a battery says and takes where; addresses are those on the wire, from 0."""

    name: Text
    source: Text = Field(description="The document that the addresses come from.")
    registers: Literal["holding", "input"] = Field(
        default="holding", description="Where it is read; written is holding."
    )
    word_order: Literal["big", "little"] = "big"
    power: PointPart = Field(description="What it does, W; above 0 it charges.")
    state_of_charge: PointPart = Field(description="Share of its usable energy, 0 to 1: scale 0.01 of percent.")
    set_power: PointPart = Field(description="What it is to do, W; above 0 it charges.")
    before: list[WritePart] = Field(
        default_factory=list, description="Written each time before, in this order: what makes it take orders."
    )


def read_battery_map(path: Path) -> BatteryMap:
    """Return the map of a file.

    Raises
    ------
    InputError
        With file, line, column and field.
    """
    part = read_data(path, BatteryMapPart, keys_below=tuple(PointPart.model_fields))
    return BatteryMap(
        name=part.name,
        is_input=part.registers == "input",
        big_words=part.word_order == "big",
        power=_point(part.power),
        state_of_charge=_point(part.state_of_charge),
        set_power=_point(part.set_power),
        before=tuple((each.at, each.value) for each in part.before),
    )


def _point(part: PointPart) -> Point:
    return Point(at=part.at, number=part.type, scale=part.scale)

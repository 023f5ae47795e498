"""Values with their unit in the text: ``63A``, ``40 kW``, ``15min``, ``3%``, ``0.28/kWh``.

A bare number is refused: 40 of what? The canonical units of the model come out.
"""

import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema
from pydantic_core import PydanticCustomError

_NUMBER_AND_UNIT = re.compile(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*")

AMPERES = {"A": 1.0, "mA": 0.001, "kA": 1000.0}
VOLTS = {"V": 1.0, "kV": 1000.0}
WATTS = {"W": 1.0, "kW": 1000.0, "MW": 1e6}
WATT_HOURS = {"Wh": 1.0, "kWh": 1000.0, "MWh": 1e6}
GRAMS_PER_KWH = {"g/kWh": 1.0, "kg/MWh": 1.0, "kg/kWh": 1000.0}
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

UnitTable = dict[str, float]


class StrictPart(BaseModel):
    """A mapping of the site file: unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def fault(text: str, advice: str) -> PydanticCustomError:
    """Return an error that carries both what is wrong and what would be right."""
    return PydanticCustomError("site_file", "{text}", {"text": text, "advice": advice})


def _either(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def _parser(units: UnitTable, *, quantity: str, example: str, above_zero: bool) -> Callable[[Any], float]:
    def parse(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise fault(f"{value!r} is not {quantity}", f"write a number with its unit, such as {example}")
        if not isinstance(value, str):
            raise fault(f"{value} has no unit", f"write {_either(f'{value}{unit}' for unit in units)}")
        match = _NUMBER_AND_UNIT.fullmatch(value)
        if match is None:
            raise fault(f"{value!r} is not {quantity}", f"write a number with its unit, such as {example}")
        number, unit = float(match[1]), match[2]
        if unit not in units:
            exact = next((u for u in units if u.casefold() == unit.casefold()), None)
            meant = f"write {match[1]}{exact}" if exact else f"write a number and {_either(units)}, such as {example}"
            raise fault(f"{value!r} is not {quantity}", meant)
        if number < 0.0:
            raise fault(f"{value!r} is below 0", f"write {quantity} of 0 or above, such as {example}")
        if above_zero and number == 0.0:
            raise fault(f"{value!r} is 0", f"write {quantity} above 0, such as {example}")
        return number * units[unit]

    return parse


def _quantity(units: UnitTable, *, quantity: str, example: str, above_zero: bool = False) -> Any:
    pattern = rf"^\s*(\d+(\.\d*)?|\.\d+)\s*({'|'.join(units)})\s*$"
    schema = {"type": "string", "pattern": pattern, "description": f"{quantity}, such as {example}"}
    parser = _parser(units, quantity=quantity, example=example, above_zero=above_zero)
    return BeforeValidator(parser), WithJsonSchema(schema)


_amps, _amps_schema = _quantity(AMPERES, quantity="a current", example="63A")
_volts, _volts_schema = _quantity(VOLTS, quantity="a voltage", example="230V", above_zero=True)
_power, _power_schema = _quantity(WATTS, quantity="a power", example="40 kW")
_energy, _energy_schema = _quantity(WATT_HOURS, quantity="an energy", example="12 kWh")
_some_power, _some_power_schema = _quantity(WATTS, quantity="a power", example="40 kW", above_zero=True)
_some_energy, _some_energy_schema = _quantity(WATT_HOURS, quantity="an energy", example="12 kWh", above_zero=True)
_seconds, _seconds_schema = _quantity(SECONDS, quantity="a duration", example="15min")
_length, _length_schema = _quantity(SECONDS, quantity="a duration", example="15min", above_zero=True)

_carbon, _carbon_schema = _quantity(GRAMS_PER_KWH, quantity="a carbon intensity", example="380 g/kWh")

Amps = Annotated[float, _amps, _amps_schema]
GramsPerKwh = Annotated[float, _carbon, _carbon_schema]
Volts = Annotated[float, _volts, _volts_schema]
Watts = Annotated[float, _power, _power_schema]
WattHours = Annotated[float, _energy, _energy_schema]
WattsAboveZero = Annotated[float, _some_power, _some_power_schema]
WattHoursAboveZero = Annotated[float, _some_energy, _some_energy_schema]
Seconds = Annotated[float, _seconds, _seconds_schema]
SecondsAboveZero = Annotated[float, _length, _length_schema]


def _parse_ratio(value: Any) -> float:
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            ratio = float(value.strip()[:-1]) / 100.0
        except ValueError:
            raise fault(f"{value!r} is not a share", "write a share such as 3% or 0.03") from None
    elif isinstance(value, int | float) and not isinstance(value, bool):
        ratio = float(value)
    else:
        raise fault(f"{value!r} is not a share", "write a share such as 3% or 0.03")
    if not 0.0 <= ratio <= 1.0:
        hint = f"write {value}%" if isinstance(value, int | float) and 1.0 < ratio <= 100.0 else "0% to 100%"
        raise fault(f"{value} is not a share between 0 and 1", hint)
    return ratio


Ratio = Annotated[
    float,
    BeforeValidator(_parse_ratio),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\s*\d+(\.\d*)?\s*%\s*$"},
                {"type": "number", "minimum": 0, "maximum": 1},
            ],
            "description": "a share, such as 3% or 0.03",
        }
    ),
]


_HUNDREDTHS = ("ct", "cent", "cents", "c", "p", "øre", "öre")


def _price_parser(unit: str) -> Callable[[Any], float]:
    example = {"kWh": "0.28/kWh", "kg": "0.10/kg"}.get(unit, f"9.50/{unit}")

    def parse(value: Any) -> float:
        match = _NUMBER_AND_UNIT.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            shown = f"write {value}/{unit}" if isinstance(value, int | float) else f"write a price such as {example}"
            raise fault(f"{value!r} is not a price per {unit}", shown)
        currency, slash, per = match[2].replace(" ", "").partition("/")
        if not slash or per != unit or not (currency == "" or re.fullmatch(r"[A-Z]{3}", currency)):
            advice = f"write the site's currency per {unit}, such as {example}"
            if currency.casefold() in _HUNDREDTHS and per == unit:
                advice = f"write {float(match[1]) / 100.0:g}/{unit}"
            raise fault(f"{value!r} is not a price per {unit}", advice)
        return float(match[1])

    return parse


def _price(unit: str, example: str) -> Any:
    schema = {
        "type": "string",
        "pattern": rf"^\s*-?(\d+(\.\d*)?|\.\d+)\s*([A-Z]{{3}})?\s*/\s*{unit}\s*$",
        "description": f"a price in the site's currency, such as {example}",
    }
    return BeforeValidator(_price_parser(unit)), WithJsonSchema(schema)


_per_kwh, _per_kwh_schema = _price("kWh", "0.28/kWh")
_per_kw, _per_kw_schema = _price("kW", "9.50/kW")
_per_kg, _per_kg_schema = _price("kg", "0.10/kg")

PricePerKwh = Annotated[float, _per_kwh, _per_kwh_schema]
PricePerKw = Annotated[float, _per_kw, _per_kw_schema]
PricePerKg = Annotated[float, _per_kg, _per_kg_schema]


def _parse_fee(value: Any) -> tuple[float, str]:
    match = (
        re.fullmatch(r"\s*(-?\d+(?:\.\d*)?)\s*(?:[A-Z]{3})?\s*/\s*(month|day)\s*", value)
        if isinstance(value, str)
        else None
    )
    if match is None:
        raise fault(f"{value!r} is not a fixed fee", "write the site's currency per month or day, such as 12/month")
    return float(match[1]), match[2]


FeePrice = Annotated[
    tuple[float, str],
    BeforeValidator(_parse_fee),
    WithJsonSchema(
        {"type": "string", "pattern": r"/\s*(month|day)\s*$", "description": "such as 12/month or 0.40/day"}
    ),
]


def _parse_text(value: Any) -> str:
    if isinstance(value, str):
        if not value.strip():
            raise fault("is empty", "write a name")
        return value
    if value is None:
        raise fault("is empty", "write a name")
    raise PydanticCustomError("text_meant", "{value} is not text", {"value": str(value)})


Text = Annotated[str, BeforeValidator(_parse_text), WithJsonSchema({"type": "string", "minLength": 1})]

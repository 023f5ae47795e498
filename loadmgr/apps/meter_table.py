"""What a meter says, for the person who has just connected it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from loadmgr.errors import InputError
from loadmgr.feeds.http_get import fetch_json, place_name
from loadmgr.feeds.json_meter import json_values
from loadmgr.feeds.meter_values import PHASES, MeterValues, PhaseValues, reading_of
from loadmgr.site_file.sources import MeterInput

_UNITS: tuple[tuple[str, str, Callable[[MeterValues], PhaseValues]], ...] = (
    ("current", "A", lambda values: values.current_a),
    ("power", "W", lambda values: values.power_w),
    ("voltage", "V", lambda values: values.voltage_v),
)
IN_USE_A = 0.5
"""Only a phase that carries more tells something by its power factor [A]."""


def values_once(how: MeterInput) -> MeterValues:
    """Return what a meter says now.

    Raises
    ------
    InputError
        If it says nothing, or a package is not installed.
    """
    if how.http is not None and how.places is not None:
        return json_values(fetch_json(how.http), how.places)
    if how.modbus is None:
        raise InputError(f"meter {how.meter} publishes on a broker: listen there, mosquitto_sub -t '{how.topic}'")
    try:
        from loadmgr.feeds.modbus_meter import Registers
    except ModuleNotFoundError as error:
        raise InputError(f"a meter on Modbus needs {error.name}: pip install 'loadmgr[modbus]'") from None
    registers = Registers(how.modbus)
    try:
        return registers.values()
    finally:
        registers.close()


def meter_lines(how: MeterInput, values: MeterValues) -> Iterator[str]:
    """Yield the values with names, as what they count for the grid's phases, and what looks wrong about them."""
    yield f"{how.meter} {_where(how)}"
    told = [(name, unit, of(values)) for name, unit, of in _UNITS if of(values) != (None, None, None)]
    yield "    " + "".join(f"{name:>12}" for name, _, _ in told) + "   counts as"
    reading = reading_of(values, how, datetime.now(UTC))
    for index, phase in enumerate(PHASES):
        shown = "".join("           -" if v[index] is None else f"{v[index]:>10.1f} {unit}" for _, unit, v in told)
        if index >= len(how.phases):
            continue
        grid = how.phases[index]
        amps = reading.currents_a[grid]
        yield f"{phase}  {shown}   {abs(amps):.1f} A {'fed in' if amps < 0.0 else 'drawn'} on {grid.name}"
    yield from _doubts(how, values)


def _where(how: MeterInput) -> str:
    if how.modbus is None:
        return f"at {'' if how.http is None else place_name(how.http.url)}"
    about = how.modbus.map
    known = "read on the device itself" if about.verified else "the map was never tried on the device itself"
    return f"at {how.modbus.host}:{how.modbus.port} unit {how.modbus.unit}: {about.name} ({known})"


def _doubts(how: MeterInput, values: MeterValues) -> Iterator[str]:
    for index, phase in enumerate(PHASES):
        current, power, voltage = values.current_a[index], values.power_w[index], values.voltage_v[index]
        if voltage is not None and not 0.8 * how.voltage_v <= voltage <= 1.2 * how.voltage_v:
            yield f"doubtful: {phase} has {voltage:.0f} V, and the site file says {how.voltage_v:.0f} V"
        elif None not in (current, power, voltage) and abs(current or 0.0) > IN_USE_A:
            apparent_va = abs(current or 0.0) * (voltage or 0.0)
            if abs(power or 0.0) > 1.1 * apparent_va:
                yield f"doubtful: {phase} has {abs(power or 0.0):.0f} W of only {apparent_va:.0f} VA: a wrong map?"
            elif abs(power or 0.0) < 0.5 * apparent_va:
                yield (
                    f"doubtful: {phase} has {abs(power or 0.0):.0f} W of {apparent_va:.0f} VA: "
                    "are its voltage and its current transformer on the same phase?"
                )
    drawn = [p for p in values.power_w if p is not None and abs(p) > how.voltage_v * IN_USE_A]
    if len(drawn) > 1 and min(drawn) < 0.0 < max(drawn):
        yield "doubtful: one phase is fed in and another drawn: without generation, a current transformer is turned"

"""Meter values as facts: SI, with provenance. From what any version's message holds to `Reading`s.

Rule 1: nothing is dropped in silence; what cannot be read is an entry of `Normalised.unread`.
Rule 2: every assumption leaves a note on the reading that rests on it.
Rule 3: the station's time is kept beside the time that is used.

Sources: default measurand and unit, OCPP 1.6 section 7.43 and 2.0.1 part 2 section 2.46; what stations do instead is
known from the field (kWh tagged Wh, `L1-N` for currents, no unit, a decimal comma, clocks without zone).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from ocpp_link.dialect import Version
from ocpp_link.numbers import read_number
from ocpp_link.timestamps import from_wire

Quantity = Literal[
    "energy_wh", "power_w", "current_a", "voltage_v", "soc_ratio", "frequency_hz", "temperature_c", "power_factor_ratio"
]
Phase = Literal["L1", "L2", "L3"]

MAX_SKEW = timedelta(minutes=5)
"""A live reading whose time is further off than this gets the time of its arrival."""

_MAX_MULTIPLIER = 24
"""SI has prefixes to 10 to the power of 24 in everyday use; a larger exponent is a fault."""

_LIVE = frozenset({"Sample.Periodic", "Sample.Clock", "Trigger"})
_PHASES: tuple[Phase, ...] = ("L1", "L2", "L3")
_DEFAULT_MEASURAND = "Energy.Active.Import.Register"

_QUANTITIES: dict[str, tuple[Quantity, str]] = {
    "Energy.Active": ("energy_wh", "Wh"),
    "Power.Active": ("power_w", "W"),
    "Power.Offered": ("power_w", "W"),
    "Power.Factor": ("power_factor_ratio", ""),
    "Current": ("current_a", "A"),
    "Voltage": ("voltage_v", "V"),
    "SoC": ("soc_ratio", "Percent"),
    "Frequency": ("frequency_hz", "Hertz"),
    "Temperature": ("temperature_c", "Celsius"),
}

_FACTORS: dict[tuple[Quantity, str], float] = {
    ("energy_wh", "Wh"): 1.0,
    ("energy_wh", "kWh"): 1000.0,
    ("power_w", "W"): 1.0,
    ("power_w", "kW"): 1000.0,
    ("current_a", "A"): 1.0,
    ("current_a", "mA"): 0.001,
    ("voltage_v", "V"): 1.0,
    ("soc_ratio", "Percent"): 0.01,
    ("soc_ratio", "%"): 0.01,
    ("frequency_hz", "Hertz"): 1.0,
    ("frequency_hz", "Hz"): 1.0,
    ("temperature_c", "Celsius"): 1.0,
    ("temperature_c", "Celcius"): 1.0,  # the 1.6 specification's own spelling
    ("power_factor_ratio", ""): 1.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One measured fact."""

    quantity: Quantity
    """Names the unit of ``value``."""
    value: float
    measurand: str
    """As OCPP names it, for example ``Current.Import``."""
    phase: Phase | None
    """``None``: the total, or no matter of phases."""
    at: datetime
    """When it was measured."""
    station_time: datetime | None
    """What the station's clock said; ``None`` if that could not be read."""
    context: str
    notes: tuple[str, ...] = ()
    """What was assumed, mended or derived on the way."""

    @property
    def live(self) -> bool:
        """Whether it tells of now, as against the bounds of a transaction or an interruption."""
        return self.context in _LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalised:
    """What a list of meter values says."""

    readings: tuple[Reading, ...]
    unread: tuple[str, ...]
    """One line for each sample that could not be read."""


def normalise(version: Version, meter_values: Iterable[dict[str, Any]], *, received_at: datetime) -> Normalised:
    """Read the ``meterValue`` list of MeterValues, TransactionEvent or StopTransaction (``transactionData``).

    Parameters
    ----------
    version
        Of the message.
    meter_values
        As on the wire.
    received_at
        When it arrived, aware.

    Examples
    --------
    >>> from datetime import UTC
    >>> value = {"timestamp": "2024-01-17T12:00:00Z", "sampledValue": [{"value": "1,5", "unit": "kWh"}]}
    >>> found = normalise("1.6", [value], received_at=datetime(2024, 1, 17, 12, tzinfo=UTC))
    >>> found.readings[0].quantity, found.readings[0].value
    ('energy_wh', 1500.0)
    """
    readings: list[Reading] = []
    unread: list[str] = []
    for meter_value in meter_values:
        station_time, time_note = _station_time(str(meter_value.get("timestamp", "")))
        for sample in meter_value.get("sampledValue", ()):
            reading = _read(version, sample, station_time, received_at)
            if isinstance(reading, str):
                unread.append(reading)
                continue
            notes = reading.notes + ((time_note,) if time_note else ())
            readings.append(replace(reading, notes=notes))
    return Normalised(readings=tuple(readings), unread=tuple(unread))


def _station_time(text: str) -> tuple[datetime | None, str]:
    try:
        when = from_wire(text)
    except ValueError:
        return None, f"time unreadable: {text!r}"
    return when, "" if text.rstrip().endswith(("Z", "z")) or "+" in text or text.count("-") > 2 else "time without zone"


def _read(
    version: Version, sample: dict[str, Any], station_time: datetime | None, received_at: datetime
) -> Reading | str:
    measurand = str(sample.get("measurand", _DEFAULT_MEASURAND))
    known = _quantity(measurand)
    raw = sample.get("value")
    number = _number(raw)
    if known is None:
        return f"{measurand}: no quantity that is understood here"
    if number is None:
        return f"{measurand}: {raw!r} is no number"
    quantity, default_unit = known
    unit, multiplier = _unit(version, sample)
    notes: list[str] = [] if unit is not None or not default_unit else [f"unit assumed {default_unit}"]
    factor = _factor(quantity, default_unit if unit is None else unit)
    if factor is None:
        return f"{measurand}: unit {unit!r} does not fit"
    if abs(multiplier) > _MAX_MULTIPLIER:
        return f"{measurand}: multiplier {multiplier} is no prefix of a unit"
    phase, phase_note = _phase(sample.get("phase"))
    if phase_note:
        notes.append(phase_note)
    context = str(sample.get("context", "Sample.Periodic"))
    at = station_time
    if at is None or (context in _LIVE and abs(at - received_at) > MAX_SKEW):
        notes.append(
            "time of arrival used" if at is None else f"clock off by {(at - received_at).total_seconds():.0f} s"
        )
        at = received_at
    return Reading(
        quantity=quantity,
        value=number * factor * 10.0**multiplier,
        measurand=measurand,
        phase=phase,
        at=at,
        station_time=station_time,
        context=context,
        notes=tuple(notes),
    )


def _number(raw: object) -> float | None:
    if isinstance(raw, str):
        return read_number(raw)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    return float(raw) if math.isfinite(raw) else None


def _quantity(measurand: str) -> tuple[Quantity, str] | None:
    """Return what a measurand is in SI; reactive and apparent ones are no quantities of load management."""
    parts = measurand.split(".")
    return _QUANTITIES.get(".".join(parts[:2])) or _QUANTITIES.get(parts[0])


def _unit(version: Version, sample: dict[str, Any]) -> tuple[str | None, int]:
    if version == "1.6":
        return sample.get("unit"), 0
    unit = sample.get("unitOfMeasure") or {}
    return unit.get("unit"), int(unit.get("multiplier", 0))


def _factor(quantity: Quantity, unit: str) -> float | None:
    exact = _FACTORS.get((quantity, unit))
    if exact is not None:
        return exact
    folded = unit.strip().casefold()
    return next(
        (factor for (of, name), factor in _FACTORS.items() if of == quantity and name.casefold() == folded), None
    )


def _phase(text: str | None) -> tuple[Phase | None, str]:
    """Return the phase of a reading; ``L1-N`` is L1, and a neutral alone is read as the total."""
    if text is None:
        return None, ""
    first, _, second = text.partition("-")
    if first in _PHASES and second in ("", "N"):
        return first, ""
    return None, "neutral read as total" if text == "N" else f"between phases {text}"


def complete(readings: Iterable[Reading], *, nominal_voltage_v: float, phases_in_use: int) -> tuple[Reading, ...]:
    """Add what follows from the readings of one EVSE: currents from power, power from currents, totals from phases.

    Parameters
    ----------
    readings
        Of one moment.
    nominal_voltage_v
        Taken where no voltage was measured [V].
    phases_in_use
        On how many phases a power without phases is spread, 1 to 3.

    Returns
    -------
    tuple of Reading
        The readings given, then those derived, each with a note that says from what.

    Raises
    ------
    ValueError
        If ``phases_in_use`` is not 1, 2 or 3.
    """
    if phases_in_use not in (1, 2, 3):
        raise ValueError(f"phases_in_use must be 1, 2 or 3, got {phases_in_use}")
    given = tuple(readings)
    live = [reading for reading in given if reading.live]
    by_place = {(reading.measurand, reading.phase): reading for reading in live}
    voltages = {phase: by_place[("Voltage", phase)].value for phase in _PHASES if ("Voltage", phase) in by_place}
    derived: list[Reading] = []
    derived += _total_power(by_place, voltages, nominal_voltage_v)
    by_place |= {(reading.measurand, reading.phase): reading for reading in derived}
    derived += _phase_currents(by_place, voltages, nominal_voltage_v, phases_in_use)
    return given + tuple(derived)


_Places = dict[tuple[str, Phase | None], Reading]


def _total_power(by_place: _Places, voltages: dict[Phase, float], nominal_v: float) -> list[Reading]:
    power, current = "Power.Active.Import", "Current.Import"
    if (power, None) in by_place:
        return []
    powers = [by_place[(power, phase)] for phase in _PHASES if (power, phase) in by_place]
    if powers:
        total_w = math.fsum(each.value for each in powers)
        return [replace(powers[0], phase=None, value=total_w, notes=("sum of the phases",))]
    currents = [(phase, by_place[(current, phase)]) for phase in _PHASES if (current, phase) in by_place]
    if not currents:
        return []
    total_w = math.fsum(each.value * voltages.get(phase, nominal_v) for phase, each in currents)
    source = "current and voltage" if voltages else "current and nominal voltage"
    first = currents[0][1]
    return [
        replace(
            first, quantity="power_w", measurand=power, phase=None, value=total_w, notes=(f"derived from {source}",)
        )
    ]


def _phase_currents(
    by_place: _Places, voltages: dict[Phase, float], nominal_v: float, phases_in_use: int
) -> list[Reading]:
    power, current = "Power.Active.Import", "Current.Import"
    if any((current, phase) in by_place for phase in (*_PHASES, None)):
        return []
    source = "power and voltage" if voltages else "power and nominal voltage"
    note = (f"derived from {source}",)
    of_phases = [(phase, by_place[(power, phase)]) for phase in _PHASES if (power, phase) in by_place]
    if not of_phases and (power, None) in by_place:
        total = by_place[(power, None)]
        share = replace(total, value=total.value / phases_in_use)
        of_phases = [(phase, share) for phase in _PHASES[:phases_in_use]]
    return [
        replace(
            each,
            quantity="current_a",
            measurand=current,
            phase=phase,
            value=each.value / voltages.get(phase, nominal_v),
            notes=note,
        )
        for phase, each in of_phases
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyRegister:
    """An energy register that may start anew: only differences count."""

    last_wh: float | None = None
    counted_wh: float = 0.0
    """Energy since the first reading, resets bridged."""
    resets: int = 0

    def advance(self, value_wh: float) -> "EnergyRegister":
        """Return the register after another reading.

        A value below the last means that the register started anew (a reboot, a session register): what it shows by
        then is counted from zero.

        Examples
        --------
        >>> register = EnergyRegister()
        >>> for value_wh in (5000.0, 6000.0, 200.0, 500.0):
        ...     register = register.advance(value_wh)
        >>> register.counted_wh, register.resets
        (1500.0, 1)
        """
        if self.last_wh is None:
            return replace(self, last_wh=value_wh)
        if value_wh >= self.last_wh:
            return replace(self, last_wh=value_wh, counted_wh=self.counted_wh + value_wh - self.last_wh)
        return replace(self, last_wh=value_wh, counted_wh=self.counted_wh + value_wh, resets=self.resets + 1)

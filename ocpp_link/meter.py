"""Meter values as facts: SI, with provenance. From what any version's message holds to `Reading`s.

Rule 1: nothing is dropped in silence; what cannot be read is an entry of `Normalised.unread`.
Rule 2: every assumption leaves a note on the reading that rests on it.
Rule 3: the station's time is kept beside the time that is used.
Rule 4: nothing that a station writes raises, whether or not a schema would let it pass.

Sources: default measurand and unit, OCPP 1.6 section 7.43 and 2.0.1 part 2 section 2.46; what stations do instead is
known from the field (kWh tagged Wh, `L1-N` for currents, no unit, a decimal comma, clocks without zone).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from ocpp_link.numbers import as_number, read_number
from ocpp_link.timestamps import as_time, names_zone

Quantity = Literal[
    "energy_wh", "power_w", "current_a", "voltage_v", "soc_ratio", "frequency_hz", "temperature_c", "power_factor_ratio"
]
Phase = Literal["L1", "L2", "L3"]

MAX_SKEW = timedelta(minutes=5)
"""A live reading whose time is further off than this gets the time of its arrival."""

_MAX_MULTIPLIER = 24
"""SI has prefixes to 10 to the power of 24 in everyday use; a larger exponent is a fault."""

LIVE_CONTEXTS = frozenset({"Sample.Periodic", "Sample.Clock", "Trigger"})
"""What tells of now, as against the bounds of a transaction or an interruption."""

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
    ("energy_wh", "MWh"): 1_000_000.0,
    ("power_w", "W"): 1.0,
    ("power_w", "kW"): 1000.0,
    ("power_w", "MW"): 1_000_000.0,
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


class Reading(NamedTuple):
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
    location: str
    """Where it was measured; ``Outlet`` is what the vehicle gets."""
    notes: tuple[str, ...] = ()
    """What was assumed, mended or derived on the way."""

    @property
    def live(self) -> bool:
        """Whether it tells of now."""
        return self.context in LIVE_CONTEXTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalised:
    """What a list of meter values says."""

    readings: tuple[Reading, ...]
    unread: tuple[str, ...]
    """One line for each sample that could not be read."""


class _Moment(NamedTuple):
    """When the samples of one element were taken."""

    received_at: datetime
    station_time: datetime | None
    skew: timedelta | None
    """By how much the station's clock is further ahead than is believed of a live reading."""
    note: tuple[str, ...]


def normalise(meter_values: object, *, received_at: datetime) -> Normalised:
    """Read the ``meterValue`` list of MeterValues, TransactionEvent or StopTransaction (``transactionData``).

    Parameters
    ----------
    meter_values
        As on the wire, of any version.
    received_at
        When it arrived, aware.

    Examples
    --------
    >>> from datetime import UTC
    >>> value = {"timestamp": "2024-01-17T12:00:00Z", "sampledValue": [{"value": "1,5", "unit": "kWh"}]}
    >>> found = normalise([value], received_at=datetime(2024, 1, 17, 12, tzinfo=UTC))
    >>> found.readings[0].quantity, found.readings[0].value
    ('energy_wh', 1500.0)
    """
    readings: list[Reading] = []
    unread: list[str] = []
    for meter_value in meter_values if isinstance(meter_values, list) else ():
        samples = meter_value.get("sampledValue") if isinstance(meter_value, dict) else None
        if not isinstance(samples, list):
            unread.append("a meter value without a list of samples")
            continue
        moment = _moment(meter_value.get("timestamp"), received_at)
        for sample in samples:
            reading = _read(sample, moment) if isinstance(sample, dict) else "a sample that is no object"
            if isinstance(reading, str):
                unread.append(reading)
            else:
                readings.append(reading)
    return Normalised(readings=tuple(readings), unread=tuple(unread))


def _moment(text: object, received_at: datetime) -> _Moment:
    when = as_time(text)
    if when is None:
        return _Moment(received_at, None, None, (f"time unreadable: {str(text)[:40]!r}",))
    skew = when - received_at
    note = () if names_zone(str(text)) else ("time without zone",)
    return _Moment(received_at, when, skew if abs(skew) > MAX_SKEW else None, note)


def _read(sample: dict[str, Any], moment: _Moment) -> Reading | str:
    get = sample.get
    unit, multiplier = get("unit"), None
    if "unitOfMeasure" in sample:
        unit, multiplier = _unit(sample["unitOfMeasure"], unit)
    try:
        meaning = _meaning(get("measurand"), unit, get("phase"))
    except TypeError:
        return "a sample whose measurand, unit or phase is no text"
    if isinstance(meaning, str):
        return meaning
    quantity, factor, measurand, phase, notes = meaning
    raw = get("value")
    number = read_number(raw) if isinstance(raw, str) else as_number(raw)
    if number is None:
        return f"{measurand}: {str(raw)[:40]!r} is no number"
    if factor != 1.0 or multiplier:
        scaled = _scaled(number * factor, multiplier)
        if scaled is None:
            return f"{measurand}: {number:g} times 10 to the power of {str(multiplier)[:40]} is no number"
        number = scaled
    context, location = get("context", "Sample.Periodic"), get("location", "Outlet")
    if not (isinstance(context, str) and isinstance(location, str)):
        context, location = _word(context, "Sample.Periodic"), _word(location, "Outlet")
    received_at, station_time, skew, more = moment
    at = station_time
    if at is None or (skew is not None and context in LIVE_CONTEXTS):
        more += (f"clock off by {skew.total_seconds():.0f} s" if skew is not None else "time of arrival used",)
        at = received_at
    fields = (quantity, number, measurand, phase, at, station_time, context, location, notes + more)
    return tuple.__new__(Reading, fields)  # Reading(...) does the same at twice the time, for every sample of a fleet


def _unit(measure: Any, unit: Any) -> tuple[Any, Any]:
    """Return unit and exponent as 2.x has them; the unit as in 1.6 where a station mixes the two."""
    return (measure.get("unit", unit), measure.get("multiplier")) if isinstance(measure, dict) else (unit, None)


def _scaled(value: float, multiplier: Any) -> float | None:
    if multiplier is not None:
        if type(multiplier) is not int or abs(multiplier) > _MAX_MULTIPLIER:
            return None
        value *= 10.0**multiplier
    return value if math.isfinite(value) else None


def _word(raw: object, default: str) -> str:
    return raw if isinstance(raw, str) else default if raw is None else str(raw)[:40]


class _Meaning(NamedTuple):
    """What a number is that comes with a measurand, a unit and a phase."""

    quantity: Quantity
    factor: float
    measurand: str
    phase: Phase | None
    notes: tuple[str, ...]


@lru_cache(maxsize=512)
def _meaning(measurand: object, unit: object, phase: object) -> _Meaning | str:
    """Return what such a number is, in SI; or why it is nothing. Stations use few such triples again and again.

    Reactive and apparent power are no quantities of load management.
    """
    name = str(measurand or _DEFAULT_MEASURAND)
    parts = name.split(".")
    known = _QUANTITIES.get(".".join(parts[:2])) or _QUANTITIES.get(parts[0])
    if known is None:
        return f"{name[:60]}: no quantity that is understood here"
    quantity, default_unit = known
    stripped = "" if unit is None else str(unit).strip()
    factor = _factor(quantity, stripped or default_unit)
    if factor is None:
        return f"{name[:60]}: unit {stripped[:40]!r} does not fit"
    placed = _phase(phase)
    if placed is None and quantity != "voltage_v":
        return f"{name[:60]}: {str(phase)[:40]!r} is no phase to place it on"
    place, note = placed or (None, f"between phases {str(phase)[:40]}")
    assumed = (f"unit assumed {default_unit}",) if default_unit and not stripped else ()
    return _Meaning(quantity, factor, name[:60], place, (*assumed, note) if note else assumed)


def _factor(quantity: Quantity, unit: str) -> float | None:
    exact = _FACTORS.get((quantity, unit))
    if exact is not None:
        return exact
    folded = unit.casefold()
    return next(
        (factor for (of, name), factor in _FACTORS.items() if of == quantity and name.casefold() == folded), None
    )


def _phase(raw: object) -> tuple[Phase | None, str] | None:
    """Return the phase of a reading and a note; ``None`` for what is none, such as between two phases.

    ``L1-N`` is L1, and a neutral alone is read as the total.
    """
    if raw is None:
        return None, ""
    text = str(raw).strip()
    first, _, second = text.partition("-")
    if first in _PHASES and second in ("", "N"):
        return first, ""
    return (None, "neutral read as total") if text == "N" else None


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
        return [powers[0]._replace(phase=None, value=total_w, notes=("sum of the phases",))]
    currents = [(phase, by_place[(current, phase)]) for phase in _PHASES if (current, phase) in by_place]
    if not currents:
        return []
    total_w = math.fsum(each.value * voltages.get(phase, nominal_v) for phase, each in currents)
    source = "current and voltage" if voltages else "current and nominal voltage"
    first = currents[0][1]
    return [
        first._replace(
            quantity="power_w", measurand=power, phase=None, value=total_w, notes=(f"derived from {source}",)
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
        share = total._replace(value=total.value / phases_in_use)
        of_phases = [(phase, share) for phase in _PHASES[:phases_in_use]]
    return [
        each._replace(
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

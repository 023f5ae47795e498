"""Meter values of all shapes become SI readings with provenance."""

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_link.meter import EnergyRegister, Normalised, Reading, complete, normalise

NOW = datetime(2024, 1, 17, 12, tzinfo=UTC)


def read(*samples: dict[str, Any], timestamp: str = "2024-01-17T12:00:00Z") -> Normalised:
    return normalise([{"timestamp": timestamp, "sampledValue": list(samples)}], received_at=NOW)


ROWS: list[tuple[dict[str, Any], str, float, str | None, tuple[str, ...]]] = [
    # sample, quantity, value, phase, notes
    ({"value": "5"}, "energy_wh", 5.0, None, ("unit assumed Wh",)),
    ({"value": "1.85", "unit": "kWh"}, "energy_wh", 1850.0, None, ()),
    ({"value": "7,2", "measurand": "Power.Active.Import", "unit": "kW"}, "power_w", 7200.0, None, ()),
    ({"value": "7200", "measurand": "Power.Active.Import"}, "power_w", 7200.0, None, ("unit assumed W",)),
    ({"value": "16 ", "measurand": "Current.Import", "phase": "L1-N", "unit": "A"}, "current_a", 16.0, "L1", ()),
    (
        {"value": "16", "measurand": "Current.Import", "phase": "N", "unit": "A"},
        "current_a",
        16.0,
        None,
        ("neutral read as total",),
    ),
    (
        {"value": "400", "measurand": "Voltage", "phase": "L1-L2", "unit": "V"},
        "voltage_v",
        400.0,
        None,
        ("between phases L1-L2",),
    ),
    ({"value": "55", "measurand": "SoC"}, "soc_ratio", 0.55, None, ("unit assumed Percent",)),
    ({"value": "31", "measurand": "Temperature", "unit": "Celcius"}, "temperature_c", 31.0, None, ()),
    ({"value": "3", "unit": "KWH"}, "energy_wh", 3000.0, None, ()),
    ({"value": "0.003", "unit": "MWh"}, "energy_wh", 3000.0, None, ()),
    (
        {"value": 16, "measurand": "Current.Import", "unit": " ", "phase": None},
        "current_a",
        16.0,
        None,
        ("unit assumed A",),
    ),
]


@pytest.mark.parametrize(("sample", "quantity", "value", "phase", "notes"), ROWS)
def test_a_sample_becomes_an_si_reading(
    sample: dict[str, Any], quantity: str, value: float, phase: str | None, notes: tuple[str, ...]
) -> None:
    [reading] = read(sample).readings

    assert (quantity, phase, notes) == (reading.quantity, reading.phase, reading.notes)
    assert math.isclose(value, reading.value)


def test_2_x_scales_by_its_multiplier() -> None:
    sample = {"value": 1.5, "unitOfMeasure": {"unit": "Wh", "multiplier": 3}}

    [reading] = read(sample).readings

    assert 1500.0 == reading.value


@pytest.mark.parametrize(
    "sample",
    [
        {"value": "NaN"},
        {"value": ""},
        {"value": "5", "unit": "A"},
        {"value": "5", "measurand": "Power.Reactive.Import", "unit": "var"},
        {"value": None},
        {"value": "1_000", "unit": "Wh"},
        {"value": "1e308", "unit": "kWh"},
        {"value": 10**400, "unit": "Wh"},
        {"value": 1.0, "unitOfMeasure": {"unit": "Wh", "multiplier": 400}},
        {"value": 1.0, "unitOfMeasure": {"unit": "Wh", "multiplier": "k"}},
        {"value": "16", "measurand": "Current.Import", "phase": "L1-L2", "unit": "A"},
        {"value": "16", "measurand": ["Current.Import"]},
        {"value": "16", "unit": {"A": 1}},
    ],
)
def test_what_cannot_be_read_is_named_and_the_rest_stays(sample: dict[str, Any]) -> None:
    found = read(sample, {"value": "1", "unit": "Wh"})

    assert [1.0] == [reading.value for reading in found.readings]
    assert 1 == len(found.unread)


@pytest.mark.parametrize(
    ("timestamp", "context", "at", "note"),
    [
        ("2024-01-17T12:01:00Z", "Sample.Periodic", NOW + timedelta(minutes=1), None),
        ("2024-01-17T13:00:00Z", "Sample.Periodic", NOW, "clock off by 3600 s"),
        ("1970-01-01T00:00:00Z", "Trigger", NOW, "clock off by -1705492800 s"),
        ("2024-01-17T10:00:00Z", "Transaction.Begin", NOW - timedelta(hours=2), None),
        ("2024-01-17T12:00:00", "Sample.Periodic", NOW, "time without zone"),
        ("noon", "Sample.Periodic", NOW, "time of arrival used"),
        ("9999-12-31T23:59:59-12:00", "Sample.Periodic", NOW, "time of arrival used"),
    ],
)
def test_a_wrong_clock_is_noticed_on_live_readings(
    timestamp: str, context: str, at: datetime, note: str | None
) -> None:
    [reading] = read({"value": "1", "unit": "Wh", "context": context}, timestamp=timestamp).readings

    assert at == reading.at
    assert note is None or note in reading.notes
    assert note is not None or () == reading.notes


def values(readings: tuple[Reading, ...], measurand: str) -> dict[str | None, float]:
    return {reading.phase: round(reading.value, 6) for reading in readings if reading.measurand == measurand}


def test_current_follows_from_power_on_the_phases_in_use() -> None:
    found = read({"value": "11040", "measurand": "Power.Active.Import", "unit": "W"}).readings

    completed = complete(found, nominal_voltage_v=230.0, phases_in_use=3)

    assert {"L1": 16.0, "L2": 16.0, "L3": 16.0} == values(completed, "Current.Import")
    assert ("derived from power and nominal voltage",) == completed[-1].notes


def test_power_follows_from_currents_and_measured_voltages() -> None:
    samples = [
        {"value": "10", "measurand": "Current.Import", "phase": phase, "unit": "A"} for phase in ("L1", "L2")
    ] + [{"value": "200", "measurand": "Voltage", "phase": "L1-N", "unit": "V"}]

    completed = complete(read(*samples).readings, nominal_voltage_v=230.0, phases_in_use=3)

    assert {None: 4300.0} == values(completed, "Power.Active.Import")


def test_a_total_follows_from_powers_per_phase() -> None:
    samples = [
        {"value": "1", "measurand": "Power.Active.Import", "phase": phase, "unit": "kW"} for phase in ("L1", "L2", "L3")
    ]

    completed = complete(read(*samples).readings, nominal_voltage_v=250.0, phases_in_use=3)

    assert 3000.0 == values(completed, "Power.Active.Import")[None]
    assert {"L1": 4.0, "L2": 4.0, "L3": 4.0} == values(completed, "Current.Import")


def test_what_was_measured_is_not_derived_again() -> None:
    samples = [
        {"value": "7", "measurand": "Current.Import", "unit": "A"},
        {"value": "100", "measurand": "Power.Active.Import", "unit": "W"},
    ]
    found = read(*samples).readings

    assert found == complete(found, nominal_voltage_v=230.0, phases_in_use=1)


@given(st.lists(st.floats(0.0, 1e6), max_size=20))
def test_a_register_counts_every_rise_once(values_wh: list[float]) -> None:
    register = EnergyRegister()
    for value_wh in values_wh:
        register = register.advance(value_wh)

    pairs = list(pairwise(values_wh))
    expected = sum(after - before if after >= before else after for before, after in pairs)
    assert math.isclose(expected, register.counted_wh, abs_tol=1e-3)
    assert sum(after < before for before, after in pairs) == register.resets


def test_where_it_was_measured_is_kept() -> None:
    found = read({"value": "1", "location": "Inlet"}, {"value": "1"}, {"value": "1", "location": 7})

    assert ["Inlet", "Outlet", "7"] == [reading.location for reading in found.readings]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["sampledValue", "value", "measurand", "phase", "unit", "context", "timestamp", "location"]
            ),
            inner,
            max_size=5,
        )
        | st.fixed_dictionaries({"value": inner, "unitOfMeasure": st.fixed_dictionaries({"multiplier": inner})})
    ),
    max_leaves=12,
)


@given(JUNK)
def test_no_junk_raises_whatever_no_schema_would_let_pass(junk: Any) -> None:
    found = normalise([{"sampledValue": [junk]}, junk], received_at=NOW)

    assert all(math.isfinite(reading.value) for reading in found.readings)
    assert found.readings or found.unread


SAMPLES = st.fixed_dictionaries(
    {"value": st.text(max_size=6) | st.floats() | st.none()},
    optional={
        "measurand": st.sampled_from(["Current.Import", "X.Y", ""]),
        "unit": st.text(max_size=4),
        "phase": st.text(max_size=4),
    },
)


@given(st.lists(SAMPLES, max_size=3), st.text(max_size=20))
def test_nothing_that_a_station_writes_raises(samples: list[dict[str, Any]], timestamp: str) -> None:
    found = read(*samples, timestamp=timestamp)

    assert len(samples) == len(found.readings) + len(found.unread)
    assert all(math.isfinite(reading.value) for reading in found.readings)

"""Units: conversions, rounding down, and times that must carry a zone."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmgr.model.units import current_a, floor_to_step, power_w, require_utc


def test_power_of_three_phases_at_sixteen_amperes_is_eleven_kilowatts() -> None:
    assert power_w(16.0, voltage_v=230.0, phases=3) == 11_040.0


@given(st.floats(0.0, 500.0), st.sampled_from([1, 2, 3]), st.floats(100.0, 400.0))
def test_current_undoes_power(amps: float, phases: int, volts: float) -> None:
    assert current_a(power_w(amps, voltage_v=volts, phases=phases), voltage_v=volts, phases=phases) == pytest.approx(
        amps
    )


@given(st.floats(0.0, 1000.0), st.sampled_from([0.1, 0.5, 1.0, 2.0]))
def test_rounding_to_a_step_never_rounds_up_and_loses_less_than_a_step(value: float, step: float) -> None:
    rounded = floor_to_step(value, step=step)
    assert rounded <= value + 1e-9 * step + 1e-9
    assert value - rounded < step + 1e-9


@given(st.integers(0, 5000))
def test_a_multiple_of_the_step_stays_what_it_is(tenths: int) -> None:
    assert floor_to_step(tenths * 0.1, step=0.1) == pytest.approx(tenths / 10.0, abs=1e-9)


def test_a_step_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="step must be above 0"):
        floor_to_step(1.0, step=0.0)


def test_a_time_without_zone_is_refused_by_the_name_of_the_argument() -> None:
    with pytest.raises(ValueError, match="arrival must carry a time zone"):
        require_utc(datetime(2024, 1, 1), name="arrival")  # noqa: DTZ001 - the fault that is tested


def test_a_time_of_another_zone_becomes_utc() -> None:
    berlin = datetime(2024, 7, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    assert require_utc(berlin, name="t") == datetime(2024, 7, 1, 12, tzinfo=UTC)
    assert require_utc(berlin, name="t").tzinfo is UTC

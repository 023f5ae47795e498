"""Vehicles: closed-form charging, taper, lag and the 6 A threshold."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmgr.model.session import Taper
from loadmgr.sim.vehicle import Vehicle, VehicleSpec

SPEC = VehicleSpec(capacity_wh=60_000.0, arrival_ratio=0.5, target_ratio=1.0, phases=3, max_a=16.0, lag_s=0.0)


def plugged(spec: VehicleSpec, *, offered_a: float, evse_phases: int = 3) -> Vehicle:
    vehicle = Vehicle(spec, now_s=0.0, voltage_v=230.0, evse_phases=evse_phases)
    vehicle.offer(0.0, offered_a)
    return vehicle


def test_constant_power_below_the_taper():
    vehicle = plugged(SPEC, offered_a=10.0)

    vehicle.advance(3600.0)

    assert math.isclose(10.0 * 230.0 * 3, vehicle.energy_wh, rel_tol=1e-12)
    assert pytest.approx(vehicle.current_a, rel=1e-12) == 10.0


@pytest.mark.parametrize(("offered_a", "drawn_a"), [(5.9, 0.0), (6.0, 6.0), (16.0, 16.0), (32.0, 16.0), (0.0, 0.0)])
def test_takes_nothing_below_its_minimum_and_never_more_than_its_maximum(offered_a: float, drawn_a: float):
    assert drawn_a == pytest.approx(plugged(SPEC, offered_a=offered_a).current_a)


def test_uses_no_more_phases_than_the_evse_has():
    vehicle = plugged(SPEC, offered_a=16.0, evse_phases=1)

    assert vehicle.phases == 1
    assert pytest.approx(vehicle.power_w) == 16.0 * 230.0


def test_follows_a_new_limit_after_its_lag():
    vehicle = plugged(replace(SPEC, lag_s=4.0), offered_a=10.0)
    assert vehicle.current_a == 0.0
    assert vehicle.next_change_s() == 4.0

    vehicle.advance(4.0)
    vehicle.offer(100.0, 6.0)
    vehicle.offer(102.0, 16.0)
    vehicle.advance(105.0)

    assert pytest.approx(vehicle.current_a) == 6.0
    assert vehicle.next_change_s() == 106.0
    vehicle.advance(106.0)
    assert pytest.approx(vehicle.current_a) == 16.0
    expected_wh = (100.0 * 10.0 + 2.0 * 6.0) * 690.0 / 3600.0
    assert math.isclose(expected_wh, vehicle.energy_wh, rel_tol=1e-12)


def test_an_open_contactor_ends_the_current_at_once():
    vehicle = plugged(replace(SPEC, lag_s=4.0), offered_a=10.0)
    vehicle.advance(100.0)
    vehicle.offer(100.0, 16.0)
    vehicle.cut(101.0)

    assert vehicle.current_a == 0.0
    assert vehicle.told_a == 0.0
    assert vehicle.next_change_s() is None


def test_stops_at_its_target_at_the_announced_instant():
    vehicle = plugged(replace(SPEC, target_ratio=0.9), offered_a=16.0)
    full_s = vehicle.next_change_s()

    vehicle.advance(full_s - 1.0)
    assert vehicle.power_w > 0.0
    vehicle.advance(full_s)

    assert vehicle.full
    assert vehicle.power_w == 0.0
    assert vehicle.next_change_s() is None
    assert SPEC.capacity_wh * 0.4 / 0.9 == pytest.approx(vehicle.energy_wh, rel=1e-12)


def test_acceptance_falls_along_the_taper():
    vehicle = plugged(replace(SPEC, arrival_ratio=0.8, taper=Taper(start_ratio=0.8, end_ratio=0.1)), offered_a=16.0)
    seen = []
    for when_s in range(0, 9000, 600):
        vehicle.advance(float(when_s))
        soc = SPEC.state_of_charge_ratio(0.0) + 0.3 + vehicle.energy_wh * 0.9 / 60_000.0
        seen.append((vehicle.power_w, 11_040.0 * vehicle.spec.taper.acceptance_ratio(soc)))

    assert all(a == pytest.approx(b, rel=1e-9) for a, b in seen)
    assert [a for a, _ in seen] == sorted((a for a, _ in seen), reverse=True)


def test_closed_form_equals_fine_quadrature():
    vehicle = plugged(replace(SPEC, arrival_ratio=0.75), offered_a=14.0)
    total_wh, step_s = 0.0, 0.5
    for number in range(12_000):
        before = vehicle.power_w
        vehicle.advance((number + 1) * step_s)
        total_wh += (before + vehicle.power_w) / 2.0 * step_s / 3600.0

    assert total_wh == pytest.approx(vehicle.energy_wh, rel=1e-6)


@given(
    cuts=st.lists(st.floats(0.0, 40_000.0), max_size=30),
    arrival=st.floats(0.0, 1.0),
    offered_a=st.floats(0.0, 40.0),
    start=st.floats(0.0, 1.0),
    end=st.floats(0.01, 1.0),
)
def test_energy_does_not_depend_on_how_time_is_cut(
    cuts: list[float], arrival: float, offered_a: float, start: float, end: float
):
    spec = replace(SPEC, arrival_ratio=arrival, taper=Taper(start_ratio=start, end_ratio=end))
    whole, cut = plugged(spec, offered_a=offered_a), plugged(spec, offered_a=offered_a)
    for when_s in sorted(cuts):
        cut.advance(when_s)
    for vehicle in (whole, cut):
        vehicle.advance(40_000.0)

    assert whole.energy_wh == pytest.approx(cut.energy_wh, rel=1e-9, abs=1e-6)
    assert 0.0 <= whole.energy_wh <= spec.room_wh
    assert whole.current_a <= max(offered_a, 0.0) + 1e-9


@given(
    arrival=st.floats(0.0, 0.999),
    offered_a=st.floats(6.0, 40.0),
    start=st.floats(0.0, 1.0),
    end=st.floats(0.01, 1.0),
    target=st.floats(0.0, 1.0),
)
def test_announced_instant_is_when_it_is_full(
    arrival: float, offered_a: float, start: float, end: float, target: float
):
    taper = Taper(start_ratio=start, end_ratio=end)
    spec = replace(SPEC, arrival_ratio=min(arrival, target), target_ratio=target, taper=taper)
    vehicle = plugged(spec, offered_a=offered_a)
    full_s = vehicle.next_change_s()
    if full_s is not None:
        vehicle.advance(full_s)

    assert vehicle.full


def test_time_does_not_go_back():
    vehicle = plugged(SPEC, offered_a=10.0)
    vehicle.advance(10.0)

    with pytest.raises(ValueError, match="now_s"):
        vehicle.advance(9.0)


@pytest.mark.parametrize(
    "wrong",
    [{"capacity_wh": 0.0}, {"arrival_ratio": 0.9, "target_ratio": 0.5}, {"phases": 4}, {"min_a": 20.0, "max_a": 10.0}],
)
def test_impossible_vehicles_are_refused(wrong: dict[str, float]):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(SPEC, **wrong)

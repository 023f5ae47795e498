"""Vehicles that feed back in a simulation: alone, in a crowd, by the program, and by the controller."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from loadmgr.model.ids import EvseId, SessionId
from loadmgr.model.series import StepFunction
from loadmgr.model.session import SessionRecord, Taper
from loadmgr.model.tariff import DynamicRate, Tariff
from loadmgr.model.topology import Site
from loadmgr.sim.arrivals import Visit
from loadmgr.sim.crowd import Crowd
from loadmgr.sim.run import Simulation, simulate
from loadmgr.sim.vehicle import Vehicle, VehicleSpec
from tests.control_world import small_site

START = datetime(2026, 3, 3, 16, tzinfo=UTC)
SPEC = VehicleSpec(
    capacity_wh=40_000.0,
    arrival_ratio=0.6,
    efficiency_ratio=0.9,
    taper=Taper(start_ratio=1.0),
    lag_s=0.0,
    discharge_a=16.0,
    floor_ratio=0.5,
)


def test_a_vehicle_feeds_back_down_to_its_floor_and_says_when_it_gets_there() -> None:
    car = Vehicle(SPEC, now_s=0.0, voltage_v=230.0, evse_phases=3)
    car.offer(0.0, -10.0)
    assert car.current_a == -10.0
    floor_s = car.next_change_s()
    assert floor_s == pytest.approx(0.1 * 40_000.0 * 0.9 / 6_900.0 * 3600.0)
    car.advance(10_000.0)
    assert car.exported_wh == pytest.approx(3_600.0)
    assert (car.power_w, car.energy_wh) == (0.0, 0.0)
    assert SPEC.state_of_charge_ratio(car.net_wh) == pytest.approx(0.5)


def test_a_crowd_feeds_back_as_a_vehicle_alone_does() -> None:
    site = _site()
    crowd = Crowd(site.evses, voltage_v=230.0)
    visit = Visit(
        session_id=SessionId("s"),
        evse=site.evses[0],
        arrival_s=0.0,
        departure_s=1e5,
        vehicle=SPEC,
        asked_wh=0.0,
        said=None,
        promised_wh=None,
    )
    crowd.plug(0, visit, said_departure_s=1e5, said_wh=0.0)
    alone = Vehicle(SPEC, now_s=0.0, voltage_v=230.0, evse_phases=3)
    now_s = 0.0
    for current_a in (8.0, -12.0, -20.0, 10.0, -16.0):
        alone.offer(now_s, max(current_a, -12.0))
        offered = np.array([current_a, 0.0])
        assert crowd.power_w(offered)[0] == pytest.approx(alone.power_w)
        now_s += 900.0
        crowd.charge(offered, np.array([900.0, 900.0]))
        alone.advance(now_s)
        assert crowd.energy_wh[0] == pytest.approx(alone.net_wh)


def _site() -> Site:
    """Return two EVSEs, of which the first can feed back with 12 A."""
    site = small_site(evses=2, limit_a=40.0, building_worst_a=20.0)
    stations = tuple(replace(s, version="2.1") for s in site.stations)
    return replace(site, evses=(replace(site.evses[0], discharge_a=12.0), site.evses[1]), stations=stations)


def _simulated(strategy: str) -> Simulation:
    """Simulate a car that is plugged in over a dear evening and a cheap night, full but for a little."""
    prices = StepFunction((START, START + timedelta(hours=2)), (0.9, 0.1), START + timedelta(days=3))
    tariff = Tariff(time_zone="UTC", energy=DynamicRate(price_per_kwh=prices), export=DynamicRate(price_per_kwh=prices))
    leaves = START + timedelta(hours=9)
    car = SessionRecord(
        session_id=SessionId("car"),
        evse=EvseId("E1"),
        arrival=START + timedelta(minutes=5),
        departure=leaves,
        estimated_departure=leaves,
        energy_requested_wh=3_000.0,
        discharge_a=16.0,
        discharge_wh=10_000.0,
    )
    return simulate(_site(), [car], tariff, strategy=strategy, start=START, until=START + timedelta(hours=10))


@pytest.mark.parametrize("strategy", ["program", "optimum", "controller"])
def test_a_car_feeds_a_dear_evening_and_leaves_with_what_was_promised(strategy: str) -> None:
    simulation = _simulated(strategy)
    evening_wh, night_wh = (float(part.sum()) for part in np.split(simulation.energy_wh[0], [8]))
    assert evening_wh < -4_000.0
    assert night_wh > 4_000.0
    (stay,) = simulation.outcome.stays
    assert stay.energy_wh >= 0.97 * stay.visit.asked_wh
    assert simulation.outcome.excursions == ()

"""All vehicles at once charge as each does alone."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadmgr.model.session import Taper
from loadmgr.model.topology import Evse, Phase
from loadmgr.sim.arrivals import Visit
from loadmgr.sim.crowd import Crowd
from loadmgr.sim.vehicle import Vehicle, VehicleSpec

EVSES = (
    Evse(id="A", station="A", circuit="grid", max_a=32.0),
    Evse(id="B", station="B", circuit="grid", max_a=16.0, phases=(Phase.L2,)),
)


def spec(arrival: float, target: float, start: float, end: float, phases: int) -> VehicleSpec:
    return VehicleSpec(
        capacity_wh=40_000.0,
        arrival_ratio=min(arrival, target),
        target_ratio=target,
        phases=phases,
        max_a=25.0,
        max_w=14_000.0,
        taper=Taper(start_ratio=start, end_ratio=end),
        lag_s=0.0,
    )


ratios = st.floats(0.0, 1.0)
specs = st.builds(spec, ratios, ratios, ratios, st.floats(0.01, 1.0), st.integers(1, 3))


@given(
    vehicles=st.tuples(specs, specs),
    offers=st.lists(
        st.tuples(st.floats(0.0, 40.0), st.floats(0.0, 40.0), st.floats(0.0, 20_000.0)), min_size=1, max_size=6
    ),
)
@example(  # room for less than any charge: full from the beginning, however short the first step is
    vehicles=(spec(0.0, 0.0, 0.0, 1.0, 1), spec(0.0, 5e-18, 0.0, 1.0, 1)), offers=[(0.0, 6.0, 5e-154), (0.0, 6.0, 0.0)]
)
def test_a_crowd_charges_as_its_vehicles_do_alone(
    vehicles: tuple[VehicleSpec, ...], offers: list[tuple[float, float, float]]
):
    crowd = Crowd(EVSES, voltage_v=230.0)
    alone = []
    for row, vehicle in enumerate(vehicles):
        visit = Visit(
            session_id=str(row),
            evse=EVSES[row],
            arrival_s=0.0,
            departure_s=1e6,
            vehicle=vehicle,
            asked_wh=0.0,
            said=None,
            promised_wh=None,
        )
        crowd.plug(row, visit, said_departure_s=1e6, said_wh=0.0)
        alone.append(Vehicle(vehicle, now_s=0.0, voltage_v=230.0, evse_phases=len(EVSES[row].phases)))
    now_s = 0.0
    for first_a, second_a, seconds in offers:
        offered = np.array([first_a, second_a])
        for vehicle, offered_a in zip(alone, offered, strict=True):
            vehicle.offer(now_s, float(offered_a))
        assert crowd.hungry.tolist() == [not v.full for v in alone]
        assert crowd.power_w(offered) == pytest.approx([v.power_w for v in alone], rel=1e-6, abs=1e-3)
        crowd.charge(offered, np.full(2, seconds))
        now_s += seconds
        for vehicle in alone:
            vehicle.advance(now_s)

    assert crowd.energy_wh == pytest.approx([v.energy_wh for v in alone], rel=1e-9, abs=1e-5)


def test_an_empty_row_takes_nothing():
    crowd = Crowd(EVSES, voltage_v=230.0)

    assert crowd.charge(np.array([16.0, 16.0]), np.full(2, 3600.0)).tolist() == [0.0, 0.0]
    assert not crowd.hungry.any()

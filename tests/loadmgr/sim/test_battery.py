"""A stationary battery in the simulated world: alone, and commanded by the controller."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.model.equipment import Battery, BatteryLink
from loadmgr.model.ids import CircuitId, SessionId
from loadmgr.model.series import StepFunction
from loadmgr.model.session import SessionRecord
from loadmgr.model.tariff import DynamicRate, Tariff
from loadmgr.sim.battery import SimBattery
from loadmgr.sim.run import simulate
from tests.control_world import small_site

START = datetime(2026, 3, 3, 16, tzinfo=UTC)
BOX = Battery(
    id="box",
    circuit=CircuitId("main"),
    capacity_wh=10_000.0,
    max_charge_w=5_000.0,
    max_discharge_w=5_000.0,
    reserve_wh=1_000.0,
    stored_wh=3_000.0,
)


@given(
    st.lists(st.tuples(st.floats(1.0, 4000.0), st.floats(-9_000.0, 9_000.0)), max_size=8),
    st.floats(1.0, 500.0),
)
@settings(deadline=None, max_examples=60)
def test_however_time_is_cut_a_battery_takes_the_same_and_stays_within_its_bounds(
    orders: list[tuple[float, float]], cut_s: float
) -> None:
    whole, pieces = (SimBattery(BOX, BatteryLink(every_s=10.0, watchdog_s=900.0)) for _ in range(2))
    now_s = 0.0
    for seconds, power_w in orders:
        for each in (whole, pieces):
            each.tell(now_s, power_w)
        end_s = now_s + seconds
        while now_s < end_s:
            now_s = min(now_s + cut_s, end_s)
            pieces.advance(now_s)
            assert BOX.reserve_wh - 1e-6 <= pieces.stored_wh <= BOX.capacity_wh + 1e-6
        whole.advance(end_s)
    assert whole.taken_wh == pytest.approx(pieces.taken_wh, abs=1e-3)
    assert whole.stored_wh == pytest.approx(pieces.stored_wh, abs=1e-3)


def test_the_controller_moves_energy_from_the_cheap_to_the_dear_hours() -> None:
    """It charges the battery beside a vehicle, feeds the vehicle of the dear hours, and no fuse carries too much."""
    prices = StepFunction(
        (START, START + timedelta(hours=1), START + timedelta(hours=3)), (0.05, 0.9, 0.2), START + timedelta(days=3)
    )
    tariff = Tariff(time_zone="UTC", energy=DynamicRate(price_per_kwh=prices))
    site = replace(small_site(evses=2, limit_a=32.0, building_worst_a=5.0), batteries=(BOX,))
    leaves = START + timedelta(hours=3)
    late = SessionRecord(
        session_id=SessionId("late"),
        arrival=START + timedelta(hours=1),
        departure=leaves,
        estimated_departure=leaves,
        energy_requested_wh=15_000.0,
    )
    until = START + timedelta(hours=4)
    with_box, without = (
        simulate(each, [late], tariff, strategy="controller", start=START, until=until)
        for each in (site, replace(site, batteries=()))
    )
    taken_wh = np.array(with_box.outcome.battery_wh)
    assert taken_wh.shape == (16,)
    assert taken_wh[4:12].sum() < -1_000.0
    assert with_box.outcome.excursions == ()
    assert with_box.outcome.stays[0].energy_wh >= 0.99 * with_box.outcome.stays[0].visit.asked_wh
    assert with_box.report().figures()["cost"] < without.report().figures()["cost"]
    assert without.outcome.battery_wh == ()

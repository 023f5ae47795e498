"""Arrivals: EVSEs found, vehicles drawn, what drivers say, and what the same vehicles take uncontrolled."""

from datetime import UTC, datetime, timedelta

import pytest

from loadmgr.errors import InputError
from loadmgr.model.session import SessionRecord
from loadmgr.model.topology import Circuit, Evse, Phase, Site, Station
from loadmgr.sim.arrivals import plan_arrivals, uncontrolled_wh
from loadmgr.sim.outlet import Outlet
from loadmgr.sim.vehicle import VehicleSpec

START = datetime(2026, 3, 1, tzinfo=UTC)
UNTIL = START + timedelta(days=1)

SITE = Site(
    name="pair",
    time_zone="UTC",
    circuits=(Circuit(id="grid", limit_a=(32.0,) * 3),),
    evses=(
        Evse(id="A", station="S", circuit="grid", number=1, max_a=16.0),
        Evse(id="B", station="S", circuit="grid", number=2, max_a=16.0, phases=(Phase.L2,)),
    ),
    stations=(Station(id="S"),),
)


def record(name: str, arrival_h: float, stay_h: float, **more: object) -> SessionRecord:
    arrival = START + timedelta(hours=arrival_h)
    fields = {"energy_requested_wh": 8000.0} | more
    return SessionRecord(session_id=name, arrival=arrival, departure=arrival + timedelta(hours=stay_h), **fields)


def arrivals(*records: SessionRecord, seed: int = 1):
    return plan_arrivals(SITE, records, start=START, until=UNTIL, seed=seed)


def test_lowest_free_evse_in_file_order_and_refusals_counted():
    found = arrivals(record("c", 2, 1), record("a", 0, 8), record("d", 2.5, 1), record("b", 3, 1))

    assert [(v.session_id, v.evse.id) for v in found.visits] == [("a", "A"), ("c", "B"), ("b", "B")]
    assert [r.session_id for r in found.refused] == ["d"]


def test_sessions_outside_the_span_do_not_arrive():
    found = arrivals(record("early", -1, 5), record("late", 24, 1), record("in", 23.9, 5))

    assert [v.session_id for v in found.visits] == ["in"]


@pytest.mark.parametrize("evse", ["A", "nowhere"])
def test_a_taken_or_unknown_evse_is_refused_by_name(evse: str):
    with pytest.raises(InputError, match=f"session two.*{evse}"):
        arrivals(record("one", 0, 8, evse="A"), record("two", 1, 1, evse=evse))


def test_one_more_row_does_not_change_the_other_vehicles():
    alone = arrivals(record("x", 5, 2)).visits[0].vehicle
    beside = next(v for v in arrivals(record("w", 0, 1), record("x", 5, 2)).visits if v.session_id == "x").vehicle

    assert alone == beside
    assert alone != arrivals(record("x", 5, 2), seed=2).visits[0].vehicle


def test_vehicle_stops_at_what_the_session_really_took():
    visit = arrivals(record("x", 0, 8, energy_delivered_wh=5000.0)).visits[0]

    assert visit.vehicle.room_wh == pytest.approx(5000.0)
    assert visit.asked_wh == pytest.approx(5000.0)


def test_asked_is_no_more_than_the_stay_allows():
    visit = arrivals(record("x", 0, 0.5, energy_requested_wh=50_000.0)).visits[0]

    assert visit.vehicle.room_wh == pytest.approx(50_000.0)
    assert 5_000.0 < visit.asked_wh < 16.0 * 230.0 * 3 * 0.5


def test_driver_says_something_only_where_the_table_holds_an_estimate():
    silent = arrivals(record("x", 1, 8)).visits[0]
    estimate = START + timedelta(hours=7)
    spoken = arrivals(record("x", 1, 5, estimated_departure=estimate, max_a=10.0, phases=1)).visits[0]

    assert silent.said is None
    assert spoken.said is not None
    assert (spoken.said.at, spoken.said.departure) == (START + timedelta(hours=1), estimate)
    assert (spoken.said.vehicle.max_a, spoken.said.vehicle.phases) == (10.0, 1)
    assert spoken.left_early
    assert not silent.left_early


def test_id_tokens_fit_an_id_tag():
    tokens = {arrivals(record("a very long name of a session" * 3 + str(n), 1, 8)).visits[0].id_token for n in range(9)}

    assert len(tokens) == 9
    assert max(len(t) for t in tokens) <= 20


def test_uncontrolled_energy_sums_to_what_each_vehicle_could_have():
    found = arrivals(record("x", 1, 8), record("y", 1.1, 0.5, energy_requested_wh=30_000.0), record("z", 10, 3))
    marks = [900.0 * n for n in range(97)]
    drawn = uncontrolled_wh(found.visits, voltage_v=230.0, marks_s=marks)

    assert sum(drawn) == pytest.approx(sum(v.asked_wh for v in found.visits), rel=1e-9)
    assert drawn[:4] == [0.0] * 4
    assert drawn[4] > 0.0


def test_an_outlet_maps_its_own_phases_to_the_grid_and_keeps_its_register():
    evse = Evse(id="A", station="S", circuit="grid", phases=(Phase.L2, Phase.L3, Phase.L1), max_a=16.0)
    outlet = Outlet(evse, voltage_v=230.0, register_wh=1000.0)
    outlet.plug(VehicleSpec(capacity_wh=60_000.0, arrival_ratio=0.2, phases=2, lag_s=0.0), now_s=0.0)
    outlet.offer(0.0, 99.0)
    outlet.advance(3600.0)

    assert outlet.own_currents_a == pytest.approx((16.0, 16.0, 0.0))
    assert outlet.grid_currents_a == pytest.approx((0.0, 16.0, 16.0))
    assert outlet.register_wh == pytest.approx(1000.0 + 2 * 230.0 * 16.0)
    assert outlet.unplug(now_s=3600.0) == pytest.approx(2 * 230.0 * 16.0)
    assert outlet.register_wh == pytest.approx(1000.0 + 2 * 230.0 * 16.0)
    assert outlet.grid_currents_a == (0.0, 0.0, 0.0)


def test_a_taken_outlet_takes_no_second_vehicle():
    outlet = Outlet(SITE.evses[0], voltage_v=230.0)
    spec = VehicleSpec(capacity_wh=60_000.0, arrival_ratio=0.2)
    outlet.plug(spec, now_s=0.0)

    with pytest.raises(RuntimeError, match="A is taken"):
        outlet.plug(spec, now_s=1.0)

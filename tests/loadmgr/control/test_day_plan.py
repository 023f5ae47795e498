"""A plan for sessions that are given."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from loadmgr.allocation import AllocationOptions, allocate, explain
from loadmgr.control.planning.day_plan import day_problem
from loadmgr.model.carbon import Carbon
from loadmgr.model.charges import DemandCharge
from loadmgr.model.equipment import Battery, Cabinet
from loadmgr.model.ids import CircuitId, EvseId, SessionId, StationId
from loadmgr.model.rates import FixedRate
from loadmgr.model.series import StepFunction
from loadmgr.model.session import EnergyNeed, Session, VehicleLimits
from loadmgr.model.tariff import Tariff
from loadmgr.model.topology import Circuit, CurrentType, Evse, Phase, SideLoad, Site, Station

NOW = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)


def site(*, building_a: float = 0.0) -> Site:
    return Site(
        name="two places",
        time_zone="UTC",
        circuits=(
            Circuit(
                id=CircuitId("main"),
                limit_a=(20.0, 20.0, 20.0),
                rated_a=(20.0, 20.0, 20.0),
                side_loads=(SideLoad(id="building", worst_case_a=(building_a,) * 3),),
            ),
        ),
        evses=(
            Evse(id=EvseId("one"), station=StationId("S1"), circuit=CircuitId("main"), max_a=16.0),
            Evse(
                id=EvseId("two"),
                station=StationId("S2"),
                circuit=CircuitId("main"),
                phases=(Phase.L2, Phase.L3, Phase.L1),
                max_a=16.0,
            ),
        ),
        stations=(Station(id=StationId("S1")), Station(id=StationId("S2"))),
    )


def session(name: str, evse: str, *, arrives_h: float = 0.0, stays_h: float = 8.0, kwh: float = 10.0) -> Session:
    arrival = NOW + timedelta(hours=arrives_h)
    return Session(
        id=SessionId(name),
        evse=EvseId(evse),
        arrival=arrival,
        departure=arrival + timedelta(hours=stays_h),
        need=EnergyNeed(wanted_wh=kwh * 1000.0),
        vehicle=VehicleLimits(phases=1, max_a=16.0),
    )


def test_rotated_single_phase_vehicles_do_not_share_a_phase() -> None:
    problem = day_problem(site(), None, [session("a", "one"), session("b", "two")], at=NOW)

    allocation = allocate(problem)

    assert [10_000.0, 10_000.0] == pytest.approx(list(allocation.energy_wh), rel=0.02)
    assert [[True, False, False], [False, True, False]] == problem.evses.on_phase.tolist()


def test_a_building_at_its_worst_leaves_less_than_is_asked() -> None:
    problem = day_problem(site(building_a=13.0), None, [session("a", "one", kwh=30.0)], at=NOW)

    allocation = allocate(problem)

    assert 7.0 >= allocation.current_a.max()


def test_a_plan_waits_for_cleaner_hours_where_carbon_counts() -> None:
    """At one price all night the energy goes where the grid is cleanest; without a weight it goes first."""
    dirty_until = NOW + timedelta(hours=4)
    dirty_then_clean = StepFunction((NOW, dirty_until), (600.0, 100.0), NOW + timedelta(days=3))
    tariff = Tariff(
        time_zone="UTC",
        energy=FixedRate(price_per_kwh=0.30),
        carbon=Carbon(g_per_kwh=dirty_then_clean, price_per_kg=0.10),
    )
    plans = [
        allocate(day_problem(site(), each, [session("a", "one")], at=NOW))
        for each in (tariff, replace(tariff, carbon=None))
    ]
    ends = np.array(plans[0].grid.offsets_s[1:]) <= 4 * 3600

    assert 0.0 == pytest.approx(plans[0].planned_a[0, ends].sum())
    assert 0.0 < plans[1].planned_a[0, ends].sum()
    assert [10_000.0, 10_000.0] == pytest.approx([float(p.energy_wh[0]) for p in plans], rel=0.02)


def test_a_carbon_series_that_is_too_short_is_refused_in_a_plan() -> None:
    short = StepFunction((NOW,), (600.0,), NOW + timedelta(hours=1))
    tariff = Tariff(
        time_zone="UTC", energy=FixedRate(price_per_kwh=0.30), carbon=Carbon(g_per_kwh=short, price_per_kg=0.10)
    )
    with pytest.raises(ValueError, match="no carbon intensity"):
        day_problem(site(), tariff, [session("a", "one")], at=NOW)


def test_sessions_that_have_left_are_left_out_and_shared_places_are_told_apart() -> None:
    sessions = [
        session("gone", "one", arrives_h=-4.0, stays_h=3.0),
        session("now", "one", stays_h=2.0),
        session("later", "one", arrives_h=3.0),
        session("other", "two"),
    ]

    problem = day_problem(site(), None, sessions, at=NOW)

    assert ("one/now", "one/later", "two") == tuple(problem.evses.ids)


def test_an_evse_that_the_site_lacks_is_named() -> None:
    with pytest.raises(ValueError, match="evse of session a must be one of two places, got three"):
        day_problem(site(), None, [session("a", "three")], at=NOW)


def _yard() -> Site:
    """Two DC outlets of 150 kW on one cabinet of 200 kW, and a battery of 100 kWh."""
    outlets = tuple(
        Evse(
            id=EvseId(name),
            station=StationId("S1"),
            circuit=CircuitId("main"),
            number=number,
            current_type=CurrentType.DC,
            max_a=400.0,
            max_w=150_000.0,
            efficiency_ratio=0.95,
        )
        for number, name in ((1, "left"), (2, "right"))
    )
    return Site(
        name="yard",
        time_zone="UTC",
        circuits=(Circuit(id=CircuitId("main"), limit_a=(800.0,) * 3, rated_a=(800.0,) * 3),),
        evses=outlets,
        stations=(Station(id=StationId("S1")),),
        cabinets=(Cabinet(id="box", evses=tuple(e.id for e in outlets), max_w=200_000.0),),
        batteries=(
            Battery(
                id="store",
                circuit=CircuitId("main"),
                capacity_wh=100_000.0,
                stored_wh=80_000.0,
                reserve_wh=10_000.0,
                max_charge_w=60_000.0,
                max_discharge_w=60_000.0,
            ),
        ),
    )


def _truck(name: str, evse: str, *, kwh: float) -> Session:
    arrival = NOW + timedelta(minutes=0)
    return Session(
        id=SessionId(name),
        evse=EvseId(evse),
        arrival=arrival,
        departure=arrival + timedelta(hours=1),
        need=EnergyNeed(wanted_wh=kwh * 1000.0),
    )


def test_a_dc_outlet_alone_gives_its_power_and_draws_its_losses() -> None:
    """150 kW into the vehicle for an hour; 5 % more than that from the grid."""
    problem = day_problem(_yard(), None, [_truck("a", "left", kwh=400.0)], at=NOW)

    allocation = allocate(problem)

    assert 150_000.0 == pytest.approx(allocation.energy_wh[0], rel=0.01)
    assert 150_000.0 / 0.95 / 690.0 == pytest.approx(allocation.current_a[0, 0], abs=1.0)


def test_outlets_of_one_cabinet_share_its_power() -> None:
    """Two outlets of 150 kW get 200 kW together, out of the cabinet."""
    trucks = [_truck("a", "left", kwh=400.0), _truck("b", "right", kwh=400.0)]
    problem = day_problem(_yard(), None, trucks, at=NOW)

    allocation = allocate(problem)

    assert 200_000.0 == pytest.approx(allocation.energy_wh.sum(), rel=0.01)
    assert (allocation.current_a[:, :12].sum(axis=0) * 690.0 <= 200_000.0 / 0.95 + 1.0).all()
    said = [explain(problem, allocation, evse, options=AllocationOptions())[0].sentence for evse in ("left", "right")]
    assert "228 A: vehicle and EVSE take no more than 228.8 A" in said[0]
    assert "77 A: cabinet box is at its limit of power, shared with left" in said[1]


def test_a_peak_charge_is_planned_with_building_and_battery() -> None:
    """60 of 100 kW come from the battery in the dear quarter hours; what it holds stays above its reserve."""
    tariff = Tariff(
        time_zone="UTC",
        energy=FixedRate(price_per_kwh=0.3),
        demand=(DemandCharge(name="peak", price_per_kw=9.5, window_s=900),),
    )
    truck = _truck("a", "left", kwh=60.0)

    peaks_kw = []
    for yard in (replace(_yard(), batteries=()), _yard()):
        problem = day_problem(yard, tariff, [truck], at=NOW, background_w=lambda grid: [20_000.0] * len(grid))
        allocation = allocate(problem)
        power_w = allocation.current_a[0] * 690.0 + allocation.battery_w.sum(axis=0) + 20_000.0
        quarters = power_w[:12].reshape(4, 3).mean(axis=1)
        peaks_kw.append(round(float(quarters.max()) / 1000.0))
        assert 60_000.0 == pytest.approx(allocation.energy_wh[0], rel=0.01)

    assert [83, 23] == pytest.approx(peaks_kw, abs=3)


def test_what_must_be_there_by_noon_is_due_then_and_overdue_at_once() -> None:
    """A deadline that has passed is one for the next steps, not an error."""
    early = session("a", "one", kwh=10.0)
    due = {
        minutes: day_problem(
            site(),
            None,
            [
                replace(
                    early,
                    need=EnergyNeed(must_wh=2_000.0, wanted_wh=10_000.0, must_by=NOW + timedelta(minutes=minutes)),
                )
            ],
            at=NOW,
        ).evses.must_by_s[0]
        for minutes in (-30, 60)
    }

    assert {-30: 300.0, 60: 3600.0} == due

"""A plan for sessions that are given."""

from datetime import UTC, datetime, timedelta

import pytest

from loadmgr.allocation import allocate
from loadmgr.control.day_plan import day_problem
from loadmgr.model.ids import CircuitId, EvseId, SessionId, StationId
from loadmgr.model.session import EnergyNeed, Session, VehicleLimits
from loadmgr.model.topology import Circuit, Evse, Phase, SideLoad, Site, Station

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

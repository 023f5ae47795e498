"""Cabinets and stationary batteries in a simulation."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from loadmgr.model.equipment import Battery
from loadmgr.model.ids import CircuitId, EvseId, SessionId
from loadmgr.model.session import SessionRecord
from loadmgr.model.topology import Site
from loadmgr.sim.run import Simulation, simulate
from loadmgr.site_file import load_site

START = datetime(2026, 3, 3, tzinfo=UTC)
DEPOT = load_site("depot")


def run(site: Site, strategy: str, *, evses: int, energy_wh: float = 250_000.0, hours: int = 6) -> Simulation:
    buses = [
        SessionRecord(
            session_id=SessionId(f"bus{n}"),
            evse=EvseId(f"D{n:02}"),
            arrival=START,
            departure=START + timedelta(hours=hours),
            estimated_departure=START + timedelta(hours=hours),
            energy_requested_wh=energy_wh,
        )
        for n in range(1, evses + 1)
    ]
    until = START + timedelta(hours=12)
    return simulate(site, buses, DEPOT.tariff, strategy=strategy, start=START, until=until)


@pytest.mark.parametrize("strategy", ["least_laxity", "equal_share", "program", "optimum"])
def test_the_outlets_of_a_cabinet_never_draw_more_than_it_gives(strategy: str) -> None:
    taken_wh = run(DEPOT.site, strategy, evses=4).energy_wh[:4].sum(axis=0)
    assert taken_wh.max() > 60_000.0
    assert taken_wh.max() <= 300_000.0 / 0.95 / 4.0 + 1e-6


def test_without_control_a_cabinet_is_too_small_and_that_is_an_excursion() -> None:
    excursions = run(DEPOT.site, "uncontrolled", evses=3).outcome.excursions
    assert {e.circuit for e in excursions} == {"cabinet cabinet_1"}


def test_a_battery_lowers_the_cost_and_never_gives_what_it_has_not() -> None:
    with_battery, without = (run(site, "optimum", evses=8) for site in (DEPOT.site, replace(DEPOT.site, batteries=())))
    assert with_battery.report().figures()["cost"] < without.report().figures()["cost"]
    battery = DEPOT.site.batteries[0]
    stored_wh = battery.stored_wh
    for taken_wh in with_battery.outcome.battery_wh:
        stored_wh += taken_wh * battery.one_way_ratio if taken_wh > 0.0 else taken_wh / battery.one_way_ratio
        assert battery.reserve_wh - 1e-6 <= stored_wh <= battery.capacity_wh + 1e-6
    assert without.outcome.battery_wh == ()


def test_what_the_site_draws_is_vehicles_battery_and_building() -> None:
    outcome = run(DEPOT.site, "program", evses=8).outcome
    vehicles_wh = math.fsum(stay.energy_wh for stay in outcome.stays)
    assert math.fsum(outcome.charged_wh) == pytest.approx(vehicles_wh, rel=1e-9)
    assert outcome.peak_w == max(
        a + b + c for a, b, c in zip(outcome.charging_w, outcome.battery_w, outcome.background_w, strict=True)
    )


def test_a_battery_at_an_unknown_circuit_is_refused() -> None:
    odd = Battery(id="b", circuit=CircuitId("shed"), capacity_wh=1.0, max_charge_w=1.0, max_discharge_w=1.0)
    with pytest.raises(ValueError, match="circuit of battery b must be a circuit, got shed"):
        replace(DEPOT.site, batteries=(odd,))

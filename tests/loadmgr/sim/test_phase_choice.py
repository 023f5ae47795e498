"""A simulated station that switches phases, under the controller."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from loadmgr.model.ids import EvseId, SessionId
from loadmgr.model.session import SessionRecord
from loadmgr.model.tariff import FixedRate, Tariff
from loadmgr.model.topology import Site
from loadmgr.sim.run import simulate
from tests.control_world import small_site

START = datetime(2026, 3, 3, 16, tzinfo=UTC)


def a_site(*, switches: bool, version: str) -> Site:
    """Return a site whose second and third phase have no room for a vehicle."""
    site = small_site(evses=1, building_worst_a=2.0)
    circuit = replace(site.circuits[0], limit_a=(14.0, 6.0, 6.0), rated_a=(16.0, 16.0, 16.0))
    return replace(
        site,
        circuits=(circuit,),
        evses=tuple(replace(e, switches_phases=switches) for e in site.evses),
        stations=tuple(replace(s, version=version) for s in site.stations),
    )


@pytest.mark.parametrize("version", ["1.6", "2.1"])
def test_a_vehicle_charges_on_the_phase_that_has_room(version: str) -> None:
    leaves = START + timedelta(hours=2)
    car = SessionRecord(
        session_id=SessionId("car"),
        evse=EvseId("E1"),
        arrival=START + timedelta(minutes=5),
        departure=leaves,
        estimated_departure=leaves,
        energy_requested_wh=10_000.0,
    )
    tariff = Tariff(time_zone="UTC", energy=FixedRate(price_per_kwh=0.3))
    got_wh = []
    for switches in (False, True):
        site = a_site(switches=switches, version=version)
        until = START + timedelta(hours=2, minutes=10)
        run = simulate(site, [car], tariff, strategy="controller", start=START, until=until)
        assert run.outcome.excursions == ()
        got_wh.append(run.outcome.stays[0].energy_wh)
    assert got_wh[0] == 0.0
    assert got_wh[1] > 3_500.0

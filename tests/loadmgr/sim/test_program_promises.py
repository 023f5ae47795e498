"""The strategy ``program`` keeps its promises: on a real week, and for the one phase that three phases would outbid."""

from datetime import UTC, datetime, timedelta

from loadmgr.apps.simulate_run import question
from loadmgr.model.session import SessionRecord
from loadmgr.model.tariff import FixedRate, Tariff
from loadmgr.model.topology import Circuit, Evse, Phase, Site, Station
from loadmgr.sim.run import run_plan, simulate
from loadmgr.site_file import find_site, load_site

START = datetime(2026, 3, 2, 16, tzinfo=UTC)


def test_nearly_every_promise_of_the_garage_week_is_kept():
    """As many as least laxity keeps, for a tenth less money."""
    asked = question(load_site(find_site("garage")), sessions=None, start=None, until=None, seed=0)

    program, laxity = (
        run_plan(asked.plan, asked.tariff, strategy=name, options=asked.options).report().figures()
        for name in ("program", "least_laxity")
    )

    assert 52 == program["promises_total"]
    assert program["promises_kept"] >= 50
    assert program["promises_kept"] >= laxity["promises_kept"] - 1
    assert program["cost"] < 0.93 * laxity["cost"]
    assert 0.0 == program["seconds_above_limit_raw"]


def test_a_single_phase_vehicle_with_no_time_to_spare_goes_before_three_phases():
    """An ampere on the full phase brings the others three times the energy; still they can wait, it cannot."""
    site = Site(
        name="yard",
        time_zone="UTC",
        circuits=(Circuit(id="grid", limit_a=(16.0,) * 3, rated_a=(16.0,) * 3),),
        evses=tuple(Evse(id=e, station=e, circuit="grid", max_a=16.0, phases=tuple(Phase)) for e in ("E0", "E1")),
        stations=(Station(id="E0"), Station(id="E1")),
    )

    def session(name: str, *, phases: int, hours: float, wanted_wh: float) -> SessionRecord:
        return SessionRecord(
            session_id=name,
            evse=name,
            arrival=START,
            departure=START + timedelta(hours=hours),
            estimated_departure=START + timedelta(hours=hours),
            energy_requested_wh=wanted_wh,
            phases=phases,
            max_a=16.0,
        )

    both = [
        session("E0", phases=1, hours=2.0, wanted_wh=7_000.0),
        session("E1", phases=3, hours=10.0, wanted_wh=80_000.0),
    ]

    run = simulate(
        site,
        both,
        Tariff(time_zone="UTC", energy=FixedRate(price_per_kwh=0.3)),
        strategy="program",
        start=START,
        until=START + timedelta(hours=12),
    )

    single = next(stay for stay in run.outcome.stays if stay.visit.session_id == "E0")
    assert "kept" == single.promise

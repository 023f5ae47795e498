"""A day that was lived, lived again with the same settings."""

from datetime import timedelta

from loadmgr.sim.replay import recorded_sessions
from loadmgr.sim.run import SimulationOptions, run_plan
from loadmgr.sim.session_table import read_sessions
from loadmgr.sim.world_plan import plan_world
from loadmgr.site_file import find_site, load_site


def test_a_replay_with_the_same_settings_gives_what_was_given() -> None:
    garage = load_site(find_site("garage"))
    assert garage.demo is not None
    span = {"start": garage.demo.start, "until": garage.demo.start + timedelta(days=2)}
    plan = plan_world(garage, read_sessions(garage.demo.sessions), **span)
    for strategy in ("uncontrolled", "least_laxity"):
        lived = run_plan(plan, garage.tariff, strategy=strategy, options=SimulationOptions())
        again_plan = plan_world(garage, recorded_sessions(lived.outcome), **span)
        again = run_plan(again_plan, garage.tariff, strategy=strategy, options=SimulationOptions())
        before, after = lived.report().figures(), again.report().figures()
        over = sum(stay.energy_wh for stay in lived.outcome.stays if stay.over)
        assert abs(after["energy_delivered_wh"] - over) <= 0.002 * over
        assert 0.002 * before["cost"] >= abs(before["cost"] - after["cost"])

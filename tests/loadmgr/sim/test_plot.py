"""Plots draw what the frames say."""

from datetime import timedelta

import matplotlib as mpl
import pytest

from loadmgr.sim.plot import plot_comparison, plot_waterfall
from loadmgr.sim.run import Simulation, SimulationOptions, run_plan
from loadmgr.sim.session_table import read_sessions
from loadmgr.sim.world_plan import plan_world
from loadmgr.site_file import find_site, load_site

mpl.use("Agg")


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    file = load_site(find_site("garage"))
    assert file.demo is not None
    until = file.demo.start + timedelta(days=1)
    plan = plan_world(file, read_sessions(file.demo.sessions), start=file.demo.start, until=until)
    return run_plan(plan, file.tariff, strategy="first_come", options=SimulationOptions())


def test_the_waterfall_comes_down_from_what_was_asked_to_what_was_delivered(simulation: Simulation) -> None:
    bars = plot_waterfall(simulation).patches
    asked, *gone, delivered = [bar.get_height() for bar in bars]  # type: ignore[attr-defined]
    figures = simulation.report().figures()
    assert asked == pytest.approx(figures["energy_requested_wh"] / 1000.0)
    assert delivered == pytest.approx(figures["energy_delivered_wh"] / 1000.0, rel=1e-6)
    assert asked - sum(gone) == pytest.approx(delivered)


def test_a_comparison_names_the_unit_of_its_figure(simulation: Simulation) -> None:
    labels = [plot_comparison([simulation], figure).get_xlabel() for figure in ("cost", "peak_w", "promises_kept")]
    assert labels == ["cost [EUR]", "peak [kW]", "promises kept"]

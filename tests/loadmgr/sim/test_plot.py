"""Plots draw what the frames say."""

from datetime import timedelta

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from loadmgr.sim.plot import (
    plot_comparison,
    plot_duration_curve,
    plot_heat_map,
    plot_load,
    plot_price,
    plot_waterfall,
)
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
    asked, *gone, delivered = [bar.get_width() for bar in bars]  # type: ignore[attr-defined]
    figures = simulation.report().figures()
    assert asked == pytest.approx(figures["energy_requested_wh"] / 1000.0)
    assert delivered == pytest.approx(figures["energy_delivered_wh"] / 1000.0, rel=1e-6)
    assert asked - sum(gone) == pytest.approx(delivered)


def test_a_comparison_names_the_unit_of_its_figure(simulation: Simulation) -> None:
    labels = [plot_comparison([simulation], figure).get_xlabel() for figure in ("cost", "peak_w", "promises_kept")]
    assert labels == ["cost [EUR]", "peak [kW]", "promises kept"]


def test_at_the_width_of_a_column_no_legend_hides_what_is_drawn(simulation: Simulation) -> None:
    for draw in (plot_load, lambda one, ax: plot_duration_curve([one], ax)):
        figure, ax = plt.subplots(figsize=(3.5, 2.4), layout="constrained")
        draw(simulation, ax)
        figure.canvas.draw()
        legend = ax.get_legend()
        assert legend is not None
        assert legend.get_window_extent().y1 < ax.get_window_extent().y0
        assert ax.get_window_extent().height > 0.8 * 72.0
        plt.close(figure)


def test_a_heat_map_names_only_as_many_rows_as_there_is_room_for(simulation: Simulation) -> None:
    for inches, most in ((5.0, 14), (1.0, 7)):
        figure, ax = plt.subplots(figsize=(3.5, inches), layout="constrained")
        assert 2 <= len(plot_heat_map(simulation, ax).get_yticks()) <= most
        plt.close(figure)


def test_what_is_drawn_over_time_goes_to_the_end_of_the_last_step(simulation: Simulation) -> None:
    start, end = mpl.dates.date2num(simulation.outcome.grid.times[:: len(simulation.outcome.grid)])
    for draw in (plot_load, plot_price):
        drawn = draw(simulation).dataLim
        assert (drawn.x0, drawn.x1) == pytest.approx((start, end))

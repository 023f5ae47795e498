"""Tidy frames and plots of a simulation."""

import math

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from loadmgr.sim import plot
from loadmgr.sim.frames import (
    comparison_frame,
    evse_frame,
    excursion_frame,
    load_frame,
    price_frame,
    session_frame,
)
from loadmgr.sim.run import Simulation
from tests.loadmgr.sim.sim_yard import yard_day

mpl.use("Agg")


@pytest.fixture(scope="module")
def day() -> Simulation:
    return yard_day("equal_share", fuse_a=30.0)


def test_frames_hold_the_energy_of_the_day_in_local_time(day: Simulation):
    load, evses, sessions = load_frame(day), evse_frame(day), session_frame(day)
    delivered_wh = day.report().figures()["energy_delivered_wh"]

    assert str(load.index.tz) == "Europe/Berlin"
    assert load["charging_w"].sum() / 4.0 == pytest.approx(delivered_wh)
    assert list(evses.columns) == ["start", "evse", "energy_wh", "power_w"]
    assert len(evses) == len(load) * 8
    assert evses["energy_wh"].sum() == pytest.approx(delivered_wh)
    assert evses.groupby("start")["power_w"].sum().to_numpy() == pytest.approx(load["charging_w"].to_numpy())
    assert sessions["energy_delivered_wh"].sum() == pytest.approx(delivered_wh)
    assert isinstance(sessions["arrival"].dtype, pd.DatetimeTZDtype)


def test_prices_and_comparisons_are_frames_too(day: Simulation):
    other = yard_day("first_come", fuse_a=30.0)
    table = comparison_frame([day, other])

    assert set(price_frame(day)["price_per_kwh"]) == {0.3}
    assert table.index.tolist() == ["equal_share", "first_come"]
    assert table.loc["first_come", "cost"] == other.report().figures()["cost"]


def test_excursions_have_a_row_each():
    uncontrolled = yard_day("uncontrolled", fuse_a=30.0)

    assert excursion_frame(yard_day("first_come", fuse_a=30.0)).empty
    frame = excursion_frame(uncontrolled)
    assert len(frame) == len(uncontrolled.outcome.excursions) > 0
    assert frame["peak_a"].max() > 30.0


def test_load_plot_stacks_up_to_the_load_below_the_limit(day: Simulation):
    ax = plot.plot_load(day)
    tops = [path.vertices[:, 1].max() for shape in ax.collections for path in shape.get_paths()]

    assert max(tops) == pytest.approx(load_frame(day)["site_w"].max() / 1000.0)
    assert ax.get_ylabel() == "power [kW]"
    assert any(math.isclose(line.get_ydata()[0], 30.0 * 0.69) for line in ax.lines)


def test_heat_map_has_a_row_for_each_evse(day: Simulation):
    ax = plot.plot_heat_map(day)

    assert [label.get_text() for label in ax.get_yticklabels()] == [f"E{n}" for n in range(8)]
    assert np.nansum(ax.collections[0].get_array()) == pytest.approx(load_frame(day)["charging_w"].sum() / 1000.0)


def test_promises_are_bars_of_what_was_asked_and_what_came(day: Simulation):
    ax = plot.plot_promises(day)
    got = sum(bar.get_height() for bars in ax.containers[1:] for bar in bars)

    assert got == pytest.approx(day.report().figures()["energy_delivered_wh"] / 1000.0)


def test_duration_curve_falls_and_ends_with_all_of_the_time(day: Simulation):
    ax = plot.plot_duration_curve([day])
    power_kw, share, _ = ax.patches[0].get_data()

    assert list(power_kw) == sorted(power_kw, reverse=True)
    assert (share[0], share[-1]) == pytest.approx((0.0, 100.0))


def test_price_and_comparison_plots_name_their_units(day: Simulation):
    price = plot.plot_price(day)
    bars = plot.plot_comparison([day, yard_day("uncontrolled", fuse_a=30.0)], "peak_w")

    assert price.get_ylabel() == "charging power [kW]"
    assert bars.get_xlabel() == "peak [kW]"
    assert [bar.get_width() for bar in bars.containers[0]] == pytest.approx(
        [
            day.report().figures()["peak_w"] / 1000.0,
            yard_day("uncontrolled", fuse_a=30.0).report().figures()["peak_w"] / 1000.0,
        ]
    )

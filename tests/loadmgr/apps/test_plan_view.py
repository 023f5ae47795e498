"""A plan shown: as a table, as a document, as a picture."""

import json
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from loadmgr.allocation import (
    Allocation,
    AllocationOptions,
    AllocationProblem,
    ChargingRequest,
    CircuitLimits,
    allocate,
    build_money,
    build_problem,
    explain,
    what_would_help,
)
from loadmgr.apps.planning import plan_plot, plan_view
from loadmgr.model.series import TimeGrid
from tests.allocation_sites import START


def _planned() -> tuple[AllocationProblem, Allocation]:
    grid = TimeGrid.uniform(START, step_s=3600, steps=6)
    problem = build_problem(
        grid,
        circuits=[CircuitLimits(id="main", limit_a=40.0, side_load_a=5.0)],
        requests=[
            ChargingRequest(id="A1", circuit="main", phases=(1,), wanted_wh=7_000.0),
            ChargingRequest(
                id="A2", circuit="main", max_a=16.0, wanted_wh=90_000.0, departure=START + timedelta(hours=3)
            ),
        ],
        money=build_money(grid, import_price_per_kwh=np.array([0.4, 0.4, 0.4, 0.2, 0.2, 0.2])),
    )
    return problem, allocate(problem)


def test_the_table_tells_now_then_energy_and_how_full_circuits_get() -> None:
    """One line per EVSE in local time, one per circuit, and the alarm that a need cannot be met."""
    text = plan_view.table(*_planned(), zone=ZoneInfo("Europe/Berlin"))

    lines = text.splitlines()
    assert lines[1].split()[:5] == ["A1", "0", "30", "from", "22:00,"]
    assert lines[2].split()[:5] == ["A2", "16", "0", "from", "22:00"]
    assert "33.1" in lines[2]
    assert lines[5].split()[:7] == ["main", "40", "35.0", "21.0", "21.0", "none", "14.5"]
    assert "alarm: EVSE A2: 90000 Wh wanted" in text


def test_who_stays_beyond_the_end_of_the_plan_is_not_called_short() -> None:
    """There is time left after the last step, and the plan says so."""
    grid = TimeGrid.uniform(START, step_s=3600, steps=2)
    stays = ChargingRequest(id="A1", circuit="main", wanted_wh=60_000.0, departure=START + timedelta(hours=9))
    leaves = ChargingRequest(id="A2", circuit="main", wanted_wh=60_000.0, departure=START + timedelta(hours=2))
    problem = build_problem(grid, circuits=[CircuitLimits(id="main", limit_a=32.0)], requests=[stays, leaves])

    lines = plan_view.table(problem, allocate(problem)).splitlines()

    assert "later" == lines[1].split()[-1]
    assert float(lines[2].split()[-1]) > 10.0


def test_the_document_is_plain_json() -> None:
    """Everything round-trips through JSON and carries the setpoints."""
    problem, allocation = _planned()

    document = json.loads(json.dumps(plan_view.document(problem, allocation)))

    assert allocation.current_a[0].tolist() == document["evses"][0]["current_a"]
    assert ["main", "program", 6] == [document["evses"][0]["circuit"], document["method"], len(document["times"])]


def test_a_picture_has_a_colour_for_each_session_the_building_and_the_limit(tmp_path: Path) -> None:
    """The legend names the building, every session and the limit, and no two patches share a colour."""
    problem, allocation = _planned()

    plan_plot.plot(problem, allocation, tmp_path / "plan.png")
    figure = plan_plot.plan_figure(problem, allocation)

    handles, labels = figure.axes[0].get_legend_handles_labels()
    assert ["building", "A1", "A2", "limit of main"] == labels
    assert 3 == len({handle.get_facecolor() for handle in handles[:3]})
    assert (tmp_path / "plan.png").read_bytes()[:4] == b"\x89PNG"


def test_more_sessions_than_colours_are_drawn_by_circuit() -> None:
    """Thirty sessions on two circuits make two entries of the legend, not thirty."""
    grid = TimeGrid.uniform(START, step_s=3600, steps=3)
    circuits = [CircuitLimits(id="main", limit_a=400.0), CircuitLimits(id="deck", parent="main", limit_a=200.0)]
    requests = [
        ChargingRequest(id=f"E{k}", circuit="deck" if k % 3 else "main", phases=(1,), wanted_wh=3_000.0)
        for k in range(30)
    ]
    problem = build_problem(grid, circuits=circuits, requests=requests)

    figure = plan_plot.plan_figure(problem, allocate(problem, options=AllocationOptions(milp_evses=0)))

    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert {"main (10 sessions)", "deck (20 sessions)", "limit of main"} == set(labels)


def test_an_explanation_is_said_once_as_long_as_it_holds() -> None:
    """Neighbouring steps with one current and one reason make one line; what would help comes last."""
    problem, allocation = _planned()

    text = plan_view.explanation_text(explain(problem, allocation, "A1"), what_would_help(problem, "A1"))
    of_short = plan_view.explanation_document(explain(problem, allocation, "A2"), what_would_help(problem, "A2"))

    assert text.splitlines()[0].endswith("0 A: energy costs 0.40 EUR/kWh now and 0.20 at 21:00; 30 A from 21:00")
    assert len(text.splitlines()) < 6
    assert "vehicle" == of_short["steps"][0]["reasons"][0]["kind"]
    assert json.loads(json.dumps(of_short)) == of_short

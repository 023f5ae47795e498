"""A plan shown: as a table, as a document, as a picture."""

import json
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from loadmgr.allocation import (
    Allocation,
    AllocationProblem,
    ChargingRequest,
    CircuitLimits,
    allocate,
    build_money,
    build_problem,
    explain,
)
from loadmgr.apps import plan_view
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
    assert lines[5].split()[:5] == ["main", "40", "35.0", "21.0", "21.0"]
    assert "alarm: EVSE A2: 90000 Wh wanted" in text


def test_the_document_is_plain_json() -> None:
    """Everything round-trips through JSON and carries the setpoints."""
    problem, allocation = _planned()

    document = json.loads(json.dumps(plan_view.document(problem, allocation)))

    assert allocation.current_a[0].tolist() == document["evses"][0]["current_a"]
    assert ["main", "program", 6] == [document["evses"][0]["circuit"], document["method"], len(document["times"])]


def test_the_picture_is_written_and_the_explanation_is_said_once(tmp_path: Path) -> None:
    """A PNG is drawn, and equal sentences of neighbouring steps appear once."""
    problem, allocation = _planned()

    plan_view.plot(problem, allocation, tmp_path / "plan.png")
    text = plan_view.explanation_text(explain(problem, allocation, "A1"))

    assert (tmp_path / "plan.png").read_bytes()[:4] == b"\x89PNG"
    assert text.splitlines()[0].endswith(
        "0 A: energy costs 0.40 EUR/kWh now and is better at another time; 30 A from 21:00"
    )
    assert len(text.splitlines()) < 6

"""Money by line, fairness and carbon; and everything as files."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from loadmgr.sim.results import carbon_g, cost_frame, fairness_ratio, summary_frame, to_csv, to_parquet
from loadmgr.sim.run import Simulation, SimulationOptions, run_plan
from loadmgr.sim.session_table import read_sessions
from loadmgr.sim.world_plan import plan_world
from loadmgr.site_file import find_site, load_site


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    file = load_site(find_site("workplace"))
    assert file.demo is not None
    until = file.demo.start + timedelta(days=1)
    plan = plan_world(file, read_sessions(file.demo.sessions), start=file.demo.start, until=until)
    return run_plan(plan, file.tariff, strategy="equal_share", options=SimulationOptions())


def test_the_lines_of_charging_add_up_to_its_cost(simulation: Simulation) -> None:
    frame = cost_frame(simulation)
    assert frame["charging"].sum() == pytest.approx(simulation.report().figures()["cost"], abs=1e-4)
    assert {"energy", "surcharge", "demand", "tax"} <= set(frame.index.get_level_values("kind"))


def test_fairness_is_one_where_all_got_the_same_share_and_falls_where_one_got_everything(
    simulation: Simulation,
) -> None:
    stays = simulation.outcome.stays[:4]

    def shared(*shares: float) -> float:
        lived = tuple(replace(s, energy_wh=s.visit.asked_wh * x) for s, x in zip(stays, shares, strict=True))
        return fairness_ratio(replace(simulation, outcome=replace(simulation.outcome, stays=lived)))

    assert shared(0.7, 0.7, 0.7, 0.7) == pytest.approx(1.0)
    assert shared(1.0, 0.0, 0.0, 0.0) == pytest.approx(0.25)


def test_carbon_is_energy_times_factor_where_nothing_is_exported(simulation: Simulation) -> None:
    plan = simulation.outcome.plan
    roof = tuple(load for load in plan.background if load.id == "roof")
    bare, sunny = (
        replace(simulation, outcome=replace(simulation.outcome, plan=replace(plan, background=b))) for b in ((), roof)
    )
    assert carbon_g(bare, 400.0) == pytest.approx(bare.energy_wh.sum() / 1000.0 * 400.0)
    assert carbon_g(sunny, 400.0) < carbon_g(bare, 400.0)
    with pytest.raises(ValueError, match="factor_g_per_kwh must be one number or 96, got 2"):
        carbon_g(simulation, [1.0, 2.0])


def test_the_summary_has_cost_by_kind_fairness_and_carbon(simulation: Simulation) -> None:
    row = summary_frame([simulation], factor_g_per_kwh=380.0).loc["equal_share"]
    kinds = [name for name in row.index if name.startswith("cost_") and name != "cost_uncontrolled"]
    assert sum(row[kinds]) == pytest.approx(row["cost"], abs=1e-3)
    assert 0.0 < row["fairness_ratio"] <= 1.0
    assert row["carbon_g"] > 0.0


def test_what_is_written_is_read_back(simulation: Simulation, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    csvs, parquets = to_csv(simulation, tmp_path / "csv"), to_parquet(simulation, tmp_path / "parquet")
    assert [p.stem for p in csvs] == [p.stem for p in parquets]
    frames = {p.stem.removeprefix("equal_share_"): pd.read_parquet(p) for p in parquets}
    assert str(frames["load"]["start"].dt.tz) == "Europe/Berlin"
    assert frames["evses"]["energy_wh"].sum() == pytest.approx(simulation.energy_wh.sum(), rel=1e-12)
    assert len(pd.read_csv(tmp_path / "csv" / "equal_share_sessions.csv")) == len(frames["sessions"])

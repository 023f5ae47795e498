"""What people want to know of a simulation: money by line, fairness, carbon; as frames, and as files to keep.

Rules kept here
---------------
1. Charging costs, line by line, what the bill of the connection has more than the bill of the same site without
   vehicles and batteries: the lines add up to the cost of the report.
2. Fairness is Jain's index (Jain, Chiu, Hawe 1984) of the share that each session got of what it asked: 1 where all got
   the same share, 1/n where one got everything.
3. Carbon is what the connection imported times a factor that the user brings; export earns none.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from loadmgr.model.bill import bill
from loadmgr.sim.frames import (
    comparison_frame,
    evse_frame,
    excursion_frame,
    load_frame,
    price_frame,
    session_frame,
)
from loadmgr.sim.run import Simulation

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["carbon_g", "cost_frame", "fairness_ratio", "summary_frame", "to_csv", "to_parquet"]


def cost_frame(simulation: Simulation) -> "pd.DataFrame":
    """Return what charging adds to each line of the bill.

    Returns
    -------
    DataFrame
        Rows by ``kind``, ``month`` and ``name``; columns ``site``, ``without_charging``, ``charging`` in the tariff's
        currency. The last adds up to the cost of the report.
    """
    import pandas as pd

    outcome, grid = simulation.outcome, simulation.outcome.grid
    base_w = outcome.background_w
    site_w = [a + b for a, b in zip(outcome.controlled_w, base_w, strict=True)]

    def amounts(load_w: Sequence[float]) -> "pd.Series[float]":
        lines = bill(simulation.tariff, grid, load_w).lines
        rows = pd.DataFrame([(line.kind, line.month, line.name, line.amount) for line in lines])
        rows.columns = pd.Index(["kind", "month", "name", "amount"])
        return rows.groupby(["kind", "month", "name"], sort=False)["amount"].sum()

    frame = pd.DataFrame({"site": amounts(site_w), "without_charging": amounts(base_w)}).fillna(0.0)
    return frame.assign(charging=frame["site"] - frame["without_charging"])


def fairness_ratio(simulation: Simulation) -> float:
    """Return Jain's index of the shares that sessions got of what they asked; 1 where nobody asked for anything."""
    shares = np.array([s.energy_wh / s.visit.asked_wh for s in simulation.outcome.stays if s.visit.asked_wh > 0.0])
    if not shares.any():
        return 1.0
    return float(shares.sum() ** 2 / (shares.size * (shares**2).sum()))


def carbon_g(simulation: Simulation, factor_g_per_kwh: float | Sequence[float]) -> float:
    """Return the carbon dioxide that charging adds to what the connection imports [g].

    Parameters
    ----------
    simulation : Simulation
    factor_g_per_kwh : float or (n_step,)
        Of imported energy; one number, or one for each step.

    Raises
    ------
    ValueError
        If there is not one factor for each step.
    """
    outcome = simulation.outcome
    hours, base_w = np.array(outcome.grid.hours), np.array(outcome.background_w)
    factor = np.asarray(factor_g_per_kwh, dtype=np.float64)
    if factor.ndim and factor.shape != hours.shape:
        raise ValueError(f"factor_g_per_kwh must be one number or {hours.size}, got {factor.size}")
    more_w = np.maximum(base_w + np.array(outcome.controlled_w), 0.0) - np.maximum(base_w, 0.0)
    return float((more_w * hours / 1000.0 * factor).sum())


def summary_frame(
    simulations: Sequence[Simulation], *, factor_g_per_kwh: float | Sequence[float] | None = None
) -> "pd.DataFrame":
    """Return the figures of several simulations side by side, with cost by kind of line, fairness and carbon.

    Returns
    -------
    DataFrame
        A row for each strategy; to the figures of the report come ``cost_energy``, ``cost_demand`` and so on,
        ``fairness_ratio``, and ``carbon_g`` where a factor is given.
    """
    frame = comparison_frame(list(simulations))
    for simulation in simulations:
        by_kind = cost_frame(simulation)["charging"].groupby("kind").sum()
        for kind, amount in by_kind.items():
            frame.loc[simulation.strategy, f"cost_{kind}"] = round(float(amount), 4)
        frame.loc[simulation.strategy, "fairness_ratio"] = round(fairness_ratio(simulation), 6)
        if factor_g_per_kwh is not None:
            frame.loc[simulation.strategy, "carbon_g"] = round(carbon_g(simulation, factor_g_per_kwh), 1)
    return frame


def _frames(simulation: Simulation) -> "dict[str, pd.DataFrame]":
    return {
        "load": load_frame(simulation).join(price_frame(simulation)).reset_index(),
        "evses": evse_frame(simulation),
        "sessions": session_frame(simulation),
        "excursions": excursion_frame(simulation),
        "costs": cost_frame(simulation).reset_index(),
        "summary": summary_frame([simulation]).reset_index(),
    }


def _write(
    simulation: Simulation, folder: Path, suffix: str, write: "Callable[[pd.DataFrame, Path], object]"
) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, frame in _frames(simulation).items():
        paths.append(folder / f"{simulation.strategy}_{name}.{suffix}")
        write(frame, paths[-1])
    return paths


def to_csv(simulation: Simulation, folder: Path) -> list[Path]:
    """Write every frame of a simulation as CSV into a folder; return the files."""
    return _write(simulation, folder, "csv", lambda frame, path: frame.to_csv(path, index=False))


def to_parquet(simulation: Simulation, folder: Path) -> list[Path]:
    """Write every frame of a simulation as Parquet into a folder; return the files.

    Raises
    ------
    ImportError
        If pyarrow is not installed: ``pip install 'loadmgr[parquet]'``.
    """
    return _write(simulation, folder, "parquet", lambda frame, path: frame.to_parquet(path, index=False))

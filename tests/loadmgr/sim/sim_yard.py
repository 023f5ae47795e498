"""A yard of chargers whose simulation a worker process can call by name."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from loadmgr.model.session import SessionRecord
from loadmgr.model.tariff import FixedRate, Tariff
from loadmgr.model.topology import Circuit, Evse, Site, Station
from loadmgr.sim.run import Simulation, simulate

START = datetime(2026, 3, 2, tzinfo=UTC)
TARIFF = Tariff(time_zone="Europe/Berlin", energy=FixedRate(price_per_kwh=0.3))


def yard(evses: int, *, fuse_a: float, max_a: float = 16.0) -> Site:
    """Return three-phase chargers on one fuse."""
    names = [f"E{number}" for number in range(evses)]
    return Site(
        name="yard",
        time_zone="Europe/Berlin",
        circuits=(Circuit(id="grid", limit_a=(fuse_a,) * 3, rated_a=(fuse_a,) * 3),),
        evses=tuple(Evse(id=name, station=name, circuit="grid", max_a=max_a) for name in names),
        stations=tuple(Station(id=name) for name in names),
    )


def drawn_sessions(count: int, *, days: float, seed: int) -> list[SessionRecord]:
    """Return sessions of workplaces: arrivals in the morning, stays of some hours."""
    rng = np.random.default_rng(seed)
    out = []
    for number in range(count):
        day, hour = int(rng.integers(0, max(1, int(days)))), float(np.clip(rng.normal(8.5, 1.5), 0.0, 15.0))
        arrival = START + timedelta(days=day, hours=hour)
        departure = arrival + timedelta(hours=float(np.clip(rng.normal(7.0, 2.0), 0.5, 8.5)))
        out.append(
            SessionRecord(
                session_id=f"s{number}",
                arrival=arrival,
                departure=departure,
                estimated_departure=departure,
                energy_requested_wh=float(rng.uniform(3_000, 25_000)),
                phases=int(rng.choice([1, 3])),
                max_a=16.0,
            )
        )
    return out


def yard_day(strategy: str, *, fuse_a: float = 60.0, seed: int = 1, evses: int = 8) -> Simulation:
    """Simulate a day."""
    return simulate(
        yard(evses, fuse_a=fuse_a),
        drawn_sessions(evses, days=1, seed=seed),
        TARIFF,
        strategy=strategy,
        start=START,
        until=START + timedelta(days=1),
        seed=seed,
    )


def yard_figures(case: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a case of a study."""
    figures = yard_day(case["strategy"], fuse_a=case["fuse_a"], seed=case["seed"]).report().figures()
    return {name: figures[name] for name in ("energy_delivered_wh", "promises_kept", "cost", "peak_w")}


def failing_figures(case: Mapping[str, Any]) -> dict[str, Any]:
    """Simulate what must not be simulated."""
    raise AssertionError(f"{case} was simulated again")

"""Random sites for the allocation tests: trees, sessions, prices; and the canonical site of the benchmarks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from hypothesis import strategies as st

from loadmgr.allocation import (
    AllocationProblem,
    BatteryAt,
    ChargingRequest,
    CircuitLimits,
    DemandCharge,
    build_money,
    build_problem,
)
from loadmgr.model.series import TimeGrid

START = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)


def random_problem(
    rng: np.random.Generator, *, evses: int, steps: int, tight: float = 0.5, rich: bool = False
) -> AllocationProblem:
    """Return a site with a random tree, random sessions and random prices; ``tight`` scales every limit.

    A ``rich`` one has everything that few sites have: feeding back, tapers, guarantees, batteries, own generation with
    an export limit, line-to-line loads, transformers, neutral and unbalance limits.
    """
    grid = TimeGrid.uniform(START, step_s=900, steps=steps)
    n_circuits = int(rng.integers(1, 5))
    circuits = []
    for index in range(n_circuits):
        parent = None if index == 0 else f"c{int(rng.integers(0, index))}"
        limit_a = rng.uniform(6.0, 12.0 + 40.0 * evses * tight, size=3) if rng.random() < 0.8 or index == 0 else None
        limit_w = float(rng.uniform(2_000.0, 5_000.0 + 25_000.0 * evses * tight)) if rng.random() < 0.4 else None
        side_load_a = rng.uniform(0.0, 8.0, size=(3, steps)) if rng.random() < 0.5 else 0.0
        circuits.append(
            CircuitLimits(
                id=f"c{index}",
                parent=parent,
                limit_a=limit_a,
                limit_w=limit_w,
                side_load_a=side_load_a,
                **(_rich_circuit(rng) if rich else {}),
            )
        )
    requests = [_random_request(rng, index, n_circuits, steps=steps, rich=rich) for index in range(evses)]
    charges = [DemandCharge(price_per_kw=float(rng.uniform(1.0, 20.0)), window_s=int(rng.choice([900, 3600])))]
    money = build_money(
        grid,
        import_price_per_kwh=rng.choice([0.1, 0.2, 0.3, 0.45], size=steps),
        export_price_per_kwh=0.08,
        site_load_w=rng.uniform(-15_000.0 if rich else 0.0, 5_000.0, size=steps),
        curtailable_w=rng.uniform(0.0, 9_000.0, size=steps) if rich else 0.0,
        export_limit_w=float(rng.uniform(0.0, 8_000.0)) if rich else None,
        demand_charges=charges if rng.random() < 0.7 else [],
    )
    batteries = [_random_battery(rng, n_circuits)] if rich and rng.random() < 0.6 else []
    return build_problem(grid, circuits=circuits, requests=requests, money=money, batteries=batteries)


def _rich_circuit(rng: np.random.Generator) -> dict[str, float | None]:
    return {
        "unbalance_a": float(rng.uniform(10.0, 30.0)) if rng.random() < 0.3 else None,
        "neutral_limit_a": float(rng.uniform(10.0, 40.0)) if rng.random() < 0.2 else None,
        "transformer_ratio": 4.0 if rng.random() < 0.15 else None,
    }


def _random_battery(rng: np.random.Generator, n_circuits: int) -> BatteryAt:
    capacity_wh = float(rng.uniform(5_000.0, 50_000.0))
    return BatteryAt(
        id="battery",
        circuit=f"c{int(rng.integers(0, n_circuits))}",
        max_charge_w=float(rng.uniform(1_000.0, 20_000.0)),
        max_discharge_w=float(rng.uniform(1_000.0, 20_000.0)),
        stored_wh=capacity_wh * float(rng.uniform(0.1, 1.0)),
        min_wh=capacity_wh * 0.1,
        capacity_wh=capacity_wh,
    )


def _rich_session(rng: np.random.Generator, count: int) -> dict[str, Any]:
    two_way = rng.random() < 0.3
    return {
        "line_to_line": count == 2 and rng.random() < 0.5,
        "taper_wh": float(rng.uniform(500.0, 4_000.0)) if rng.random() < 0.3 else 0.0,
        "guaranteed_w": float(rng.uniform(500.0, 5_000.0)) if rng.random() < 0.2 else 0.0,
        "efficiency_ratio": float(rng.uniform(0.85, 1.0)),
        "keep_on_s": float(rng.choice([0.0, 600.0])),
        "keep_off_s": float(rng.choice([0.0, 0.0, 600.0])),
        "discharge_max_a": 16.0 if two_way else 0.0,
        "discharge_room_wh": float(rng.uniform(0.0, 20_000.0)) if two_way else 0.0,
    }


def _random_request(
    rng: np.random.Generator, index: int, n_circuits: int, *, steps: int, rich: bool
) -> ChargingRequest:
    count = int(rng.choice([1, 1, 2, 3, 3]))
    first = int(rng.integers(0, 3))
    arrival_s = float(rng.uniform(-7200.0, 900.0 * steps * 0.4))
    request = ChargingRequest(
        id=f"E{index}",
        circuit=f"c{int(rng.integers(0, n_circuits))}",
        session_id=f"session-{index}-{int(rng.integers(0, 10**6))}",
        phases=tuple(sorted((first + k) % 3 + 1 for k in range(count))),
        max_a=float(rng.choice([16.0, 20.0, 32.0])),
        step_a=float(rng.choice([0.1, 1.0])),
        pilots_a=(6.0, 8.0, 13.0, 16.0) if rng.random() < 0.15 else None,
        arrival=START + timedelta(seconds=arrival_s),
        departure=START + timedelta(seconds=arrival_s + float(rng.uniform(1800.0, 3600.0 + 900.0 * steps))),
        wanted_wh=None if rng.random() < 0.1 else float(rng.uniform(500.0, 30_000.0)),
        must_wh=float(rng.uniform(0.0, 4_000.0)) if rng.random() < 0.2 else 0.0,
        priority=int(rng.integers(0, 3)) if rng.random() < 0.3 else 0,
        **(_rich_session(rng, count) if rich else {}),
    )
    if rich and request.must_wh > 0.0 and request.departure is not None:
        due = max(START + timedelta(seconds=arrival_s), START) + 0.5 * (request.departure - START)
        request = replace(request, must_by=max(due, START))
    crossed = request.wanted_wh is not None and request.wanted_wh < request.must_wh
    return replace(request, wanted_wh=request.must_wh) if crossed else request


@st.composite
def problems(draw: st.DrawFn, *, max_evses: int = 12, max_steps: int = 16, rich: bool = False) -> AllocationProblem:
    """Draw a random site; the seed is drawn, so a failing case is one number."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    evses, steps = draw(st.integers(1, max_evses)), draw(st.integers(1, max_steps))
    return random_problem(rng, evses=evses, steps=steps, tight=draw(st.sampled_from([0.1, 0.3, 0.6, 1.2])), rich=rich)

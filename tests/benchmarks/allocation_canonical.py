"""The canonical site of the speed benchmarks, and the same program as anyone would hand it to bare HiGHS."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import highspy
import numpy as np

from loadmgr.allocation import (
    AllocationProblem,
    ChargingRequest,
    CircuitLimits,
    DemandCharge,
    build_money,
    build_problem,
)
from loadmgr.allocation.constraints import network_rows
from loadmgr.allocation.objective import preference_per_kwh, shortfall, weights
from loadmgr.model.series import TimeGrid

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
GROUP = 20


def canonical(
    evses: int, grid: TimeGrid, *, seed: int = 1, tight: bool = False, flat: bool = False, moved: float = 0.0
) -> AllocationProblem:
    """Return the canonical problem: a third 1-phase rotated, two thirds 3-phase, stays of 6 to 14 h, a two-level tree.

    ``moved`` draws needs and limits anew within so large a part of themselves.
    """
    rng = np.random.default_rng(seed)
    shift = np.random.default_rng(seed + 1000)
    hours = np.array(grid.offsets_s[:-1]) / 3600.0
    horizon_s = grid.offsets_s[-1]
    installed_a = evses * 32.0 * 0.78
    share = 0.12 if tight else 0.25
    base_a = 0.05 * installed_a * (1.0 + 0.5 * np.sin(2.0 * np.pi * hours / 24.0))
    base_a = base_a * (1.0 + shift.uniform(-moved, moved, size=len(grid)))
    main_a = installed_a * share + 0.075 * installed_a
    circuits = [CircuitLimits(id="main", limit_a=main_a, side_load_a=np.tile(base_a, (3, 1)))]
    groups = max(1, evses // GROUP)
    circuits += [
        CircuitLimits(id=f"g{g}", parent="main", limit_a=GROUP * 32.0 * 0.78 * share * 1.3) for g in range(groups)
    ]
    requests = []
    for index in range(evses):
        single = index % 3 == 0
        arrival_s = rng.uniform(0.0, horizon_s * 0.6)
        stay_s = rng.uniform(6.0, 14.0) * 3600.0
        need_wh = float(rng.uniform(8_000.0, 40_000.0)) * (0.5 if single else 1.0)
        requests.append(
            ChargingRequest(
                id=f"E{index}",
                circuit=f"g{index % groups}",
                phases=((index // 3) % 3 + 1,) if single else (1, 2, 3),
                max_a=32.0 if single else 16.0,
                arrival=START + timedelta(seconds=arrival_s),
                departure=START + timedelta(seconds=arrival_s + stay_s),
                wanted_wh=need_wh * (1.0 + float(shift.uniform(-moved, moved))),
            )
        )
    day_h = (hours + START.hour) % 24
    price = np.select([(day_h >= 17) & (day_h < 21), (day_h >= 8) & (day_h < 17)], [0.42, 0.31], 0.18)
    money = build_money(
        grid,
        import_price_per_kwh=0.25 if flat else price,
        site_load_w=base_a * 690.0,
        demand_charges=[DemandCharge(price_per_kw=12.0)],
    )
    return build_problem(grid, circuits=circuits, requests=requests, money=money)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BareProgram:
    """The program as matrices with every row and an import column for each step."""

    cost: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    row_lower: np.ndarray
    row_upper: np.ndarray
    start: np.ndarray
    index: np.ndarray
    value: np.ndarray


def bare_program(problem: AllocationProblem, *, ties: bool) -> BareProgram:
    """Return the textbook program of a problem: energy, all network rows, balance and peak, import as columns.

    Without ``ties`` the objective is the plain one: one shortfall column a session and a slope of 1e-5 for early.
    """
    evses, steps = problem.evses, problem.n_steps
    rows, weight = network_rows(problem), weights(problem)
    evse, step = np.nonzero(evses.max_a > 0.0)
    kw = evses.w_per_a[evse] * evses.presence_ratio[evse, step] / 1000.0
    hours, base_kw = problem.hours, problem.money.site_load_w / 1000.0
    n, r = problem.n_evses, rows.n_rows
    balance, peak = n + r * steps, n + r * steps + steps
    if ties:
        prefer = preference_per_kwh(problem, weight)[evse, step]
        short = shortfall(problem, weight, policy="equal_share")
        short_evse, short_width, short_price = short.evse, short.width_kwh, short.price_per_kwh
    else:
        prefer = 1e-5 * step
        short_evse, short_width = np.arange(n), evses.need_wh[:, -1] / 1000.0
        short_price = weight.shortfall_per_kwh[:, 1]
    columns: list[tuple[list[int], list[float]]] = []
    for k, (i, t) in enumerate(zip(evse.tolist(), step.tolist(), strict=True)):
        span = range(rows.starts[i], rows.starts[i + 1])
        index = [i, *(n + int(rows.row[s]) * steps + t for s in span), balance + t]
        columns.append((index, [kw[k] * hours[t], *(float(rows.coefficient[s]) for s in span), -kw[k]]))
    columns += [([int(i)], [1.0]) for i in short_evse]
    columns += [([balance + t, peak + t], [1.0, 1.0]) for t in range(steps)]
    columns.append(([peak + t for t in range(steps)], [-1.0] * steps))
    charge = problem.money.demand_charges[0]
    cost = np.concatenate([prefer * kw * hours[step], short_price, weight.price_per_kwh * hours, [charge.price_per_kw]])
    upper = np.concatenate([evses.max_a[evse, step], short_width, np.full(steps + 1, highspy.kHighsInf)])
    need = evses.need_wh[:, -1] / 1000.0
    minus = np.full(r * steps, -highspy.kHighsInf)
    return BareProgram(
        cost=cost * weight.unit,
        lower=np.zeros(len(cost)),
        upper=upper,
        row_lower=np.concatenate([need, minus, base_kw, np.full(steps, -highspy.kHighsInf)]),
        row_upper=np.concatenate([need, rows.room.ravel(), base_kw, np.zeros(steps)]),
        start=np.concatenate([[0], np.cumsum([len(c[0]) for c in columns])]).astype(np.int32),
        index=np.array([i for c in columns for i in c[0]], dtype=np.int32),
        value=np.array([v for c in columns for v in c[1]]),
    )


def solve_bare(program: BareProgram) -> tuple[float, int]:
    """Hand the matrices to HiGHS with its default options; return objective and simplex iterations."""
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.passModel(
        len(program.cost),
        len(program.row_lower),
        len(program.index),
        1,
        1,
        0.0,
        program.cost,
        program.lower,
        program.upper,
        program.row_lower,
        program.row_upper,
        program.start,
        program.index,
        program.value,
        np.zeros(len(program.cost), dtype=np.int32),
    )
    highs.run()
    solution = highs.getSolution()
    np.array(solution.col_value)
    info = highs.getInfo()
    return info.objective_function_value, info.simplex_iteration_count

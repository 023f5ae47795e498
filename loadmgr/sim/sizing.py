"""How big the grid connection has to be: the smallest one that keeps a share of the promises.

Rules kept here
---------------
1. Sizes are tried by bisection: a bigger connection is taken to keep no fewer promises. The two sizes around the answer
   are always tried, whatever was skipped.
2. What was seen is a sample: the share comes with the interval of Wilson (1927, doi:10.1080/01621459.1927.10502953).
   Promises of one span share its luck, so with several spans the interval is at least as wide as the spread between
   them says (ratio estimator, Cochran, "Sampling Techniques", 1977, section 2.11). It is its lower end that has to
   reach the target where ``surely`` is asked for.
3. One more ampere is worth what it changes over a year, in money and in energy: between two sizes by two runs, at one
   size by the duals of the linear program that knows everything before.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise

from loadmgr.allocation.constraints import network_rows
from loadmgr.allocation.explain import marginal_values
from loadmgr.allocation.objective import weights
from loadmgr.allocation.program import build_program
from loadmgr.model.tariff import Tariff
from loadmgr.model.topology import Circuit
from loadmgr.sim.battery_bank import BatteryBank
from loadmgr.sim.outcome import background_w
from loadmgr.sim.program_strategy import outlook, whole_run_problem
from loadmgr.sim.run import SimulationOptions, run_plan, slot_grid
from loadmgr.sim.slot_network import SlotNetwork, with_cabinet_circuits
from loadmgr.sim.world_plan import WorldPlan

YEAR = timedelta(days=365)

TWO_SIDED_95 = 1.959964
"""Quantile of the normal distribution for an interval of 95 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeTried:
    """What a size of the connection gives.

    Parameters
    ----------
    fuse_a : float
        Limit per phase of the grid connection [A].
    kept, judged : int
        Promises kept, and judged at all.
    low_ratio, high_ratio : float
        Interval of 95 % of the share that is kept.
    """

    fuse_a: float
    kept: int
    judged: int
    low_ratio: float
    high_ratio: float
    energy_wh: float
    cost: float

    @property
    def kept_ratio(self) -> float:
        """Share of the promises that was kept; 1 where none was judged."""
        return self.kept / self.judged if self.judged else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """The answer.

    Parameters
    ----------
    chosen : SizeTried, optional
        The smallest size that reaches the target; ``None`` where none of them does.
    tried : tuple of SizeTried
        Every size that was simulated, smallest first.
    energy_per_a_year_wh, cost_per_a_year : float, optional
        What one ampere more than the chosen size changes over a year; ``None`` where there is no bigger size.
    """

    chosen: SizeTried | None
    tried: tuple[SizeTried, ...]
    energy_per_a_year_wh: float | None
    cost_per_a_year: float | None


def wilson_interval(kept: int, judged: int, *, quantile: float = TWO_SIDED_95) -> tuple[float, float]:
    """Return the interval of a share.

    Examples
    --------
    >>> low, high = wilson_interval(98, 100)
    >>> round(low, 3), round(high, 3)
    (0.93, 0.994)
    """
    if judged == 0:
        return 0.0, 1.0
    share, square = kept / judged, quantile * quantile
    middle = share + square / (2 * judged)
    spread = quantile * math.sqrt(share * (1.0 - share) / judged + square / (4.0 * judged * judged))
    return max(0.0, (middle - spread) / (1.0 + square / judged)), min(1.0, (middle + spread) / (1.0 + square / judged))


def share_interval(counts: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Return the interval of 95 % of a share that was seen in several spans.

    Parameters
    ----------
    counts : sequence of (kept, judged)
        One pair for each span.

    Examples
    --------
    >>> alone, apart = share_interval([(90, 100)]), share_interval([(50, 50), (40, 50)])
    >>> apart[0] < alone[0]
    True
    """
    kept, judged = sum(k for k, _ in counts), sum(j for _, j in counts)
    low, high = wilson_interval(kept, judged)
    if len(counts) < 2 or judged == 0:
        return low, high
    share, mean = kept / judged, judged / len(counts)
    residual = math.fsum((k - share * j) ** 2 for k, j in counts) / (len(counts) - 1)
    spread = _student_95(len(counts) - 1) * math.sqrt(residual / len(counts)) / mean
    return max(0.0, min(low, share - spread)), min(1.0, max(high, share + spread))


def _student_95(freedom: int) -> float:
    """Return the two-sided quantile of Student's t of 95 %, by Cornish and Fisher beyond the first four."""
    exact = (12.7062, 4.3027, 3.1824, 2.7764)
    if freedom <= len(exact):
        return exact[freedom - 1]
    z = TWO_SIDED_95
    return z + (z**3 + z) / (4.0 * freedom) + (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / (96.0 * freedom**2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPrice:
    """What one ampere more on each phase of the grid connection is worth over a year, at one size.

    Parameters
    ----------
    money : float
        What it saves of the bill, in the tariff's currency.
    energy_wh : float
        What it brings to sessions that go short [Wh].
    """

    money: float
    energy_wh: float


def shadow_price(plan: WorldPlan, tariff: Tariff, *, fuse_a: float | None = None, step_s: int = 900) -> ShadowPrice:
    """Return the shadow price of the grid connection: its duals in the program that knows the whole span, over a year.

    Parameters
    ----------
    plan : WorldPlan
    tariff : Tariff
    fuse_a : float, optional
        Limit per phase [A]; ``None`` as the site has it.
    step_s : int
        Length of a step [s].

    Raises
    ------
    ValueError
        If the tariff has no price for a part of the span.
    """
    sized = plan if fuse_a is None else with_fuse(plan, fuse_a)
    flat = replace(sized, site=with_cabinet_circuits(sized.site))
    grid = slot_grid(flat, step_s)
    network = SlotNetwork(flat, grid)
    known = outlook(tariff, grid, background_w=background_w(flat, grid))
    visits = flat.arrivals.visits
    problem = whole_run_problem(network, grid, known, visits=visits, bank=BatteryBank(flat.site.batteries))
    rows = network_rows(problem)
    values = marginal_values(problem, rows, build_program(problem, rows, weights(problem)))
    root = next(index for index, circuit in enumerate(flat.site.circuits) if circuit.id == flat.site.root.id)
    phases = [row for row, name in enumerate(rows.names) if name.circuit == root and name.phase is not None]
    years = plan.seconds / YEAR.total_seconds()
    return ShadowPrice(
        money=float(values.money[phases].sum()) / years, energy_wh=float(values.short_wh[phases].sum()) / years
    )


def with_fuse(plan: WorldPlan, fuse_a: float) -> WorldPlan:
    """Return a plan whose grid connection carries ``fuse_a`` on each phase; what is below stays as it is."""
    root = plan.site.root

    def sized(circuit: Circuit) -> Circuit:
        return replace(circuit, limit_a=(fuse_a,) * 3, rated_a=(fuse_a,) * 3) if circuit.id == root.id else circuit

    return replace(plan, site=replace(plan.site, circuits=tuple(sized(c) for c in plan.site.circuits)))


def size_connection(
    plans: Sequence[WorldPlan],
    tariff: Tariff,
    *,
    promise_ratio: float,
    fuses_a: Sequence[float],
    strategy: str = "least_laxity",
    surely: bool = False,
    options: SimulationOptions | None = None,
) -> Sizing:
    """Return the smallest connection that keeps a share of the promises.

    Parameters
    ----------
    plans : sequence of WorldPlan
        Spans to be simulated with each size: several weeks, or seeds.
    tariff : Tariff
    promise_ratio : float
        Share of the promises to be kept, 0 to 1.
    fuses_a : sequence of float
        Sizes that can be bought [A per phase], smallest first.
    surely : bool
        Whether the lower end of the interval has to reach the target.

    Raises
    ------
    ValueError
        If the target does not lie in 0..1, or sizes do not increase.
    """
    if not 0.0 < promise_ratio <= 1.0:
        raise ValueError(f"promise_ratio must lie above 0 and at most at 1, got {promise_ratio}")
    sizes = list(fuses_a)
    if not sizes or any(later <= before for before, later in pairwise(sizes)):
        raise ValueError(f"fuses_a must increase strictly, got {sizes}")
    how = options or SimulationOptions()
    tried: dict[int, SizeTried] = {}

    def reaches(index: int) -> bool:
        if index not in tried:
            tried[index] = _try(plans, tariff, fuse_a=sizes[index], strategy=strategy, options=how)
        return (tried[index].low_ratio if surely else tried[index].kept_ratio) >= promise_ratio

    low, high = 0, len(sizes)  # every size below `low` fails, every one from `high` on is enough
    while low < high:
        middle = (low + high) // 2
        if reaches(middle):
            high = middle
        else:
            low = middle + 1
    chosen = tried[high] if high < len(sizes) else None
    per_year = None
    if chosen is not None and high + 1 < len(sizes):
        reaches(high + 1)
        per_year = _per_a_year(chosen, tried[high + 1], plans)
    return Sizing(
        chosen=chosen,
        tried=tuple(tried[index] for index in sorted(tried)),
        energy_per_a_year_wh=None if per_year is None else per_year[0],
        cost_per_a_year=None if per_year is None else per_year[1],
    )


def _try(
    plans: Sequence[WorldPlan], tariff: Tariff, *, fuse_a: float, strategy: str, options: SimulationOptions
) -> SizeTried:
    counts, energies_wh, costs = [], [], []
    for plan in plans:
        figures = run_plan(with_fuse(plan, fuse_a), tariff, strategy=strategy, options=options).report().figures()
        counts.append((int(figures["promises_kept"]), int(figures["promises_total"])))
        energies_wh.append(float(figures["energy_delivered_wh"]))
        costs.append(float(figures["cost"]))
    low_ratio, high_ratio = share_interval(counts)
    return SizeTried(
        fuse_a=fuse_a,
        kept=sum(kept for kept, _ in counts),
        judged=sum(judged for _, judged in counts),
        low_ratio=low_ratio,
        high_ratio=high_ratio,
        energy_wh=math.fsum(energies_wh),
        cost=math.fsum(costs),
    )


def _per_a_year(chosen: SizeTried, bigger: SizeTried, plans: Sequence[WorldPlan]) -> tuple[float, float]:
    """Return what an ampere more changes over a year: energy [Wh] and cost."""
    years = math.fsum(plan.seconds for plan in plans) / YEAR.total_seconds()
    step = (bigger.fuse_a - chosen.fuse_a) * years
    return (bigger.energy_wh - chosen.energy_wh) / step, (bigger.cost - chosen.cost) / step

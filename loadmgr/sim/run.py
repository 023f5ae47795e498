"""Simulate a site with a strategy: one call from sessions and a tariff to an outcome."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from loadmgr.control.settings import ControlSettings
from loadmgr.model.series import TimeGrid
from loadmgr.model.session import SessionRecord
from loadmgr.model.tariff import Tariff
from loadmgr.model.topology import Site
from loadmgr.sim.arrivals import plan_arrivals
from loadmgr.sim.battery_bank import BatteryBank
from loadmgr.sim.controlled import Fidelity, live_controlled, with_battery_links, with_meter_interval
from loadmgr.sim.crowd import FloatArray
from loadmgr.sim.outcome import Outcome, WorldReport, background_w
from loadmgr.sim.program_strategy import Horizon, Optimum, Program, outlook
from loadmgr.sim.slot_network import SlotNetwork, with_cabinet_circuits
from loadmgr.sim.slots import SlotOptions, SlotRun
from loadmgr.sim.strategies import RULES, STRATEGIES, Rule, Uncontrolled
from loadmgr.sim.world_plan import Background, WorldPlan

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationOptions:
    """How a simulation goes, beside its strategy.

    Parameters
    ----------
    slots : SlotOptions
        Steps, and what is expected of vehicles of which nobody said anything.
    horizon : Horizon
        How far the strategy ``program`` looks.
    background : tuple of Background
        What else flows at the site.
    fidelity : str
        Of the strategy ``controller``: ``fast`` or ``protocol`` (:mod:`loadmgr.sim.controlled`).
    meter_interval_s : float, optional
        How often stations and meters report to the controller [s]; ``None`` as the site says.
    control : ControlSettings, optional
        The controller's settings; ``None`` takes what is expected of silent vehicles from ``slots``.
    """

    slots: SlotOptions = field(default_factory=SlotOptions)
    horizon: Horizon = field(default_factory=Horizon)
    background: tuple[Background, ...] = ()
    fidelity: Fidelity = "fast"
    meter_interval_s: float | None = 60.0
    control: ControlSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Simulation:
    """What came of a simulation.

    Parameters
    ----------
    energy_wh : (n_evse, n_step)
        What each EVSE delivered in each step [Wh].
    decisions : int
        How often the strategy decided.
    """

    strategy: str
    outcome: Outcome
    tariff: Tariff
    energy_wh: FloatArray
    decisions: int

    def report(self) -> WorldReport:
        """Return figures, and rows for sessions and excursions."""
        return self.outcome.report(self.tariff)


def simulate(  # noqa: PLR0913 - what decides a simulation
    site: Site,
    sessions: Sequence[SessionRecord],
    tariff: Tariff,
    *,
    strategy: str,
    start: datetime,
    until: datetime,
    seed: int = 0,
    options: SimulationOptions | None = None,
    progress: Callable[[float], None] | None = None,
) -> Simulation:
    """Simulate the sessions that arrive at a site within ``[start, until)``.

    Parameters
    ----------
    site : Site
    sessions : sequence of SessionRecord
    tariff : Tariff
    strategy : str
        One of ``loadmgr.sim.strategies.STRATEGIES``.
    start, until : datetime
        The span, with zone.
    seed : int
        Decides what the sessions leave open about vehicles.
    options : SimulationOptions, optional
    progress : callable, optional
        Told the simulated seconds that are over.

    Raises
    ------
    ValueError
        If the strategy is unknown, or the tariff has no price for a part of the span.
    InputError
        If a session names an EVSE that the site lacks, or that is still taken.
    """
    options = SimulationOptions() if options is None else options
    plan = WorldPlan(
        site=site,
        arrivals=plan_arrivals(site, sessions, start=start, until=until, seed=seed),
        start=start,
        until=until,
        seed=seed,
        background=options.background,
    )
    return run_plan(plan, tariff, strategy=strategy, options=options, progress=progress)


def run_plan(
    plan: WorldPlan,
    tariff: Tariff,
    *,
    strategy: str,
    options: SimulationOptions,
    progress: Callable[[float], None] | None = None,
) -> Simulation:
    """Simulate a world that is planned already; the plan's background holds."""
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}, got {strategy}")
    if strategy == "controller":
        return _run_controller(plan, tariff, options)
    if options.fidelity != "fast":
        raise ValueError(f"fidelity {options.fidelity} is for the strategy controller, got strategy {strategy}")
    grid = slot_grid(plan, options.slots.step_s)
    marks_s = tuple(float(offset_s) for offset_s in grid.offsets_s)
    flat = replace(plan, site=with_cabinet_circuits(plan.site))
    network, bank = SlotNetwork(flat, grid), BatteryBank(plan.site.batteries)
    decider = _decider(flat, tariff, grid, strategy=strategy, network=network, bank=bank, options=options)
    run = SlotRun(
        flat,
        grid,
        network=network,
        strategy=decider,
        options=options.slots,
        bank=bank,
        ideal=isinstance(decider, Optimum),
    )
    if isinstance(decider, Program):
        decider.watch(run.energy_wh, run.battery_wh)
    result = run.run(progress=progress)
    outcome = Outcome(
        plan=plan,
        elapsed_s=marks_s[-1],
        marks_s=marks_s,
        charged_wh=tuple(float(wh) for wh in result.energy_wh.sum(axis=0)),
        battery_wh=tuple(result.battery_wh.tolist()) if len(bank) else (),
        stays=result.stays,
        excursions=result.excursions,
    )
    return Simulation(
        strategy=strategy, outcome=outcome, tariff=tariff, energy_wh=result.energy_wh, decisions=result.decisions
    )


def _run_controller(plan: WorldPlan, tariff: Tariff, options: SimulationOptions) -> Simulation:
    if options.meter_interval_s is not None:
        plan = with_meter_interval(plan, options.meter_interval_s)
    plan = with_battery_links(plan)
    settings = options.control or ControlSettings(stay_s=round(options.slots.stay_s), need_wh=options.slots.need_wh)
    controlled = _complete(live_controlled(plan, tariff, fidelity=options.fidelity, settings=settings))
    world = controlled.world
    return Simulation(
        strategy="controller",
        outcome=world.outcome(),
        tariff=tariff,
        energy_wh=np.array(world.energy_wh()),
        decisions=controlled.loop.decisions,
    )


def _complete(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, also where an event loop runs already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(max_workers=1) as elsewhere:
        return elsewhere.submit(asyncio.run, work).result()


def _decider(
    plan: WorldPlan,
    tariff: Tariff,
    grid: TimeGrid,
    *,
    strategy: str,
    network: SlotNetwork,
    bank: BatteryBank,
    options: SimulationOptions,
) -> Uncontrolled | Rule | Program | Optimum:
    if strategy == "uncontrolled":
        return Uncontrolled()
    if strategy in RULES:
        return Rule(strategy, network.rows, plan.site.evses)
    known = outlook(tariff, grid, background_w=background_w(plan, grid))
    if strategy == "optimum":
        return Optimum(network, grid, known, visits=plan.arrivals.visits, bank=bank)
    return Program(network, grid, known, horizon=options.horizon, bank=bank)


def slot_grid(plan: WorldPlan, step_s: int) -> TimeGrid:
    """Return the steps of a plan, the last one shorter where it does not fit."""
    marks = [*range(0, int(plan.seconds), step_s), int(plan.seconds)]
    return TimeGrid(plan.start, tuple(end - begin for begin, end in pairwise(marks)))

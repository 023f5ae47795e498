"""Allocate: water-filling first, the program after it, and nothing that the independent check has not passed.

Rules of this file:

1. There is always an answer. What the solver or the quantising does wrong ends in the water-filled answer and an alarm.
2. The same problem gives the same setpoints in the steps that are sent, whether the solver was warm or cold, and in all
   steps in whatever order it is listed.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from loadmgr.allocation.arrays import FloatArray, IntArray
from loadmgr.allocation.check import check
from loadmgr.allocation.constraints import NetworkRows, network_rows, overload_alarms
from loadmgr.allocation.fill import fill
from loadmgr.allocation.listing import answer_as_listed, by_label, listing
from loadmgr.allocation.minimum import is_whole, mixed_solution, repair
from loadmgr.allocation.objective import weights
from loadmgr.allocation.options import AllocationOptions
from loadmgr.allocation.problem import AllocationProblem
from loadmgr.allocation.program import Program, build_program
from loadmgr.allocation.pulp_program import PulpSession, solve_with_pulp
from loadmgr.allocation.quantise import floor_to_steps, quantise
from loadmgr.allocation.result import Alarm, Allocation, Method, SolveStatistics
from loadmgr.allocation.solve import HighsSession, Solution, same_matrix, solve_mixed
from loadmgr.allocation.topup import top_up
from loadmgr.allocation.warm import Stage, carry, same_shape
from loadmgr.errors import SolverError

MILP_NODES = 200
"""Budget of the mixed-integer program: enough for the first steps of 20 EVSEs, and the same on any machine."""


def allocate(problem: AllocationProblem, *, options: AllocationOptions | None = None) -> Allocation:
    """Return who gets what; see ``Allocator`` for a solver that is kept from one call to the next.

    Never raises on a valid problem: at worst the answer is the water-filled one, with an alarm.
    """
    return Allocator(options).allocate(problem)


class Allocator:
    """Allocates again and again, re-solving from where the solver stood."""

    def __init__(self, options: AllocationOptions | None = None) -> None:
        self._options = AllocationOptions() if options is None else options
        self._session: HighsSession | None = None
        self._stage: Stage | None = None
        name, time_limit_s = self._options.solver, self._options.time_limit_s
        self._other = None if name is None else PulpSession(name, time_limit_s=time_limit_s)

    def allocate(self, problem: AllocationProblem) -> Allocation:
        """Return who gets what."""
        listed = listing(problem)
        if listed is None:
            return self._allocate(problem)
        return answer_as_listed(self._allocate(by_label(problem, listed)), listed)

    def _allocate(self, problem: AllocationProblem) -> Allocation:
        options = self._options
        rows = network_rows(problem)
        alarms = list(overload_alarms(problem, rows)) + _wish_alarms(problem)
        filled_a = fill(problem, rows, policy=options.policy, steps=options.command_steps)
        statistics = SolveStatistics()
        if options.method == "program" and (problem.n_evses or problem.batteries):
            try:
                program, solution, statistics = self._solve(problem, rows)
                planned_a, battery_w = _plan(problem, program, solution)
                left = _beside_batteries(rows, battery_w)
                setpoints_a = quantise(problem, left, planned_a, bound_a=_bound(problem, planned_a))
                # A plan that is sent as a whole may be topped up from its second step on.
                after = options.command_steps if options.command_steps < problem.n_steps else 1
                top_up(problem, left, planned_a, setpoints_a, after=after)
                faults = check(problem, setpoints_a, battery_w=battery_w)
                if not faults:
                    alarms += _released(problem, setpoints_a)
                    plan = (setpoints_a, planned_a, battery_w)
                    return _allocation(problem, plan, method="program", alarms=alarms, statistics=statistics)
                alarms.append(Alarm(kind="check_failed", text=f"the program's answer is not safe: {faults[0].text}"))
            except SolverError as error:
                alarms.append(Alarm(kind="solver_failed", text=f"{error}; the water-filled answer stands"))
        if options.command_steps < problem.n_steps:
            filled_a = fill(problem, rows, policy=options.policy)
        setpoints_a = quantise(problem, rows, filled_a, bound_a=_bound(problem, filled_a))
        faults = check(problem, setpoints_a)
        if faults:
            alarms.append(Alarm(kind="check_failed", text=f"the water-filled answer is not safe: {faults[0].text}"))
            setpoints_a = np.zeros_like(setpoints_a)
        idle_w = np.zeros((len(problem.batteries), problem.n_steps))
        plan = (setpoints_a, filled_a, idle_w)
        return _allocation(problem, plan, method="filled", alarms=alarms, statistics=statistics)

    def _solve(self, problem: AllocationProblem, rows: NetworkRows) -> tuple[Program, Solution, SolveStatistics]:
        """Solve the program, then again with the minimum and station steps where the answer is sent."""
        options = self._options
        program, relaxed = self._relaxed(problem, rows)
        statistics = _statistics(program, relaxed)
        steps = options.command_steps
        if problem.n_evses <= options.milp_evses and not is_whole(problem, program, relaxed, steps=steps):
            mixed = mixed_solution(problem, program, steps=steps, solve=self._mixed)
            if mixed is not None:
                return program, mixed, statistics
        session = self._other if self._session is None else self._session
        assert session is not None
        repaired, rounds = repair(session, problem, rows, program, solution=relaxed, steps=steps)
        return program, repaired, replace(statistics, repair_rounds=rounds)

    def _relaxed(self, problem: AllocationProblem, rows: NetworkRows) -> tuple[Program, Solution]:
        """Solve the program without minimums: in place if only numbers moved, else from the basis carried over."""
        if self._other is not None:
            program = build_program(problem, rows, weights(problem), options=self._options)
            return program, self._other.solve(program)
        before, session = self._stage, self._session
        self._stage = None
        if session is None or before is None:
            session = self._session = HighsSession(iteration_limit=self._options.iteration_limit)
            before = None
        like = before.program if before is not None and same_shape(before, problem, rows) else None
        program = build_program(problem, rows, weights(problem), options=self._options, like=like)
        now = Stage(problem=problem, rows=rows, program=program)
        start = None
        if before is not None and not same_matrix(before.program, program):
            start = carry(before, session.basis(), now)
        solution = session.solve(program, start=start)
        self._stage = now
        return program, solution

    def _mixed(self, program: Program, kind: IntArray, choices: Mapping[int, FloatArray]) -> Solution | None:
        name, time_limit_s = self._options.solver, self._options.time_limit_s
        if name is None:
            return solve_mixed(program, kind, choices=choices, nodes=MILP_NODES)
        return solve_with_pulp(program, name, time_limit_s=time_limit_s, kind=kind, choices=choices)


def _plan(problem: AllocationProblem, program: Program, solution: Solution) -> tuple[FloatArray, FloatArray]:
    """Return planned currents, ``(n_evse, n_step)``, and powers of the batteries [W], ``(n_battery, n_step)``."""
    planned_a = np.zeros((problem.n_evses, problem.n_steps))
    count = len(program.evse)
    planned_a[program.evse, program.step] = np.clip(solution.values[:count], 0.0, program.upper[:count])
    if "discharge" in program.spans:
        flow = program.discharge
        planned_a[flow.unit, flow.step] -= np.maximum(solution.values[program.spans["discharge"]], 0.0)
    battery_w = np.zeros((len(problem.batteries), problem.n_steps))
    if problem.batteries:
        net_kw = solution.values[program.spans["battery_charge"]] - solution.values[program.spans["battery_discharge"]]
        battery_w = np.trunc(net_kw.reshape(battery_w.shape) * 10_000.0) / 10.0
    return planned_a, battery_w


def _beside_batteries(rows: NetworkRows, battery_w: FloatArray) -> NetworkRows:
    """Return the rows with what charging batteries leave of them."""
    if not len(battery_w):
        return rows
    taken = rows.battery_per_kw @ np.maximum(battery_w, 0.0) / 1000.0
    return replace(rows, room=np.maximum(rows.room - taken, 0.0))


def _bound(problem: AllocationProblem, planned_a: FloatArray) -> FloatArray:
    """Return up to where a setpoint may be raised: nothing where nothing was planned."""
    return np.asarray(np.where(planned_a > 0.0, problem.evses.max_a, 0.0))


def _allocation(
    problem: AllocationProblem,
    plan: tuple[FloatArray, FloatArray, FloatArray],
    *,
    method: Method,
    alarms: list[Alarm],
    statistics: SolveStatistics,
) -> Allocation:
    setpoints_a, planned_a, battery_w = plan
    evses, need_wh = problem.evses, problem.evses.need_wh
    wh_per_a = problem.wh_per_a
    back = np.maximum(-setpoints_a, 0.0) / (evses.efficiency_ratio * evses.discharge_efficiency_ratio)[:, None]
    net_wh = ((np.maximum(setpoints_a, 0.0) - back) * wh_per_a).sum(axis=1)
    energy_wh = np.minimum(net_wh, need_wh[:, -1])
    tier_wh = evses.tier_wh
    got_wh = np.clip(energy_wh[:, None] - (need_wh - tier_wh), 0.0, tier_wh)
    return Allocation(
        grid=problem.grid,
        evse_ids=problem.evses.ids,
        current_a=setpoints_a,
        planned_a=planned_a,
        energy_wh=energy_wh,
        shortfall_wh=tier_wh - got_wh,
        battery_w=battery_w,
        method=method,
        alarms=tuple(alarms),
        statistics=statistics,
    )


def _statistics(program: Program, solution: Solution) -> SolveStatistics:
    return SolveStatistics(
        status="optimal",
        objective=solution.objective / program.weights.unit,
        iterations=solution.iterations,
        n_columns=program.n_columns,
        n_rows=program.n_rows,
        n_nonzeros=len(program.index),
        warm=solution.warm,
    )


def _released(problem: AllocationProblem, setpoints_a: FloatArray) -> list[Alarm]:
    """Return an alarm for each session that had to be switched off within its minimum on time."""
    evses = problem.evses
    should = (evses.keep_on_s > 0.0) & (evses.max_a[:, 0] >= evses.min_a) & (evses.need_wh[:, -1] > 0.0)
    alarms = []
    for index in np.flatnonzero(should & (setpoints_a[:, 0] < evses.min_a)):
        text = (
            f"EVSE {evses.ids[index]} must be switched off before its minimum on time is over: no room for its minimum"
        )
        alarms.append(Alarm(kind="minimum_not_held", text=text, evse=evses.ids[index], step=0))
    return alarms


def _wish_alarms(problem: AllocationProblem) -> list[Alarm]:
    """Return an alarm for each session whose need no power within its limits could meet, or whose limits cross."""
    evses = problem.evses
    reach_wh = (evses.max_a * problem.wh_per_a).sum(axis=1)
    alarms = []
    beyond = evses.departure_s > problem.grid.offsets_s[-1]
    for index in np.flatnonzero((evses.need_wh[:, 1] > reach_wh + 1.0) & ~beyond):
        text = (
            f"EVSE {evses.ids[index]}: {evses.need_wh[index, 1]:.0f} Wh wanted, at most {reach_wh[index]:.0f} Wh "
            "possible before departure; it gets what there is"
        )
        alarms.append(Alarm(kind="impossible_need", text=text, evse=evses.ids[index]))
    due_wh = (evses.max_a * problem.wh_per_a * problem.due_ratio).sum(axis=1)
    for index in np.flatnonzero((evses.need_wh[:, 0] > due_wh + 1.0) & (evses.must_by_s < evses.departure_s)):
        text = (
            f"EVSE {evses.ids[index]}: {evses.need_wh[index, 0]:.0f} Wh must be there early, at most "
            f"{due_wh[index]:.0f} Wh possible until then; it gets what there is"
        )
        alarms.append(Alarm(kind="impossible_need", text=text, evse=evses.ids[index]))
    most_a = evses.max_a[:, :1]
    for index in np.flatnonzero((most_a > 0.0) & (floor_to_steps(problem, most_a) <= 0.0)):
        what = "below its minimum" if most_a[index, 0] < evses.min_a[index] else "below every setpoint it can be told"
        text = f"EVSE {evses.ids[index]}: its maximum {most_a[index, 0]:.1f} A is {what}; it pauses"
        alarms.append(Alarm(kind="limits_cross", text=text, evse=evses.ids[index], step=0))
    return alarms

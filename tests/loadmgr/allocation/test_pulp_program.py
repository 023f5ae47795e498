"""The program through PuLP: the same optimum with other solvers, and files that other tools read."""

import warnings
from dataclasses import replace
from pathlib import Path

import highspy
import numpy as np
import pulp
import pytest

from loadmgr.allocation import (
    AllocationOptions,
    AllocationProblem,
    ChargingRequest,
    CircuitLimits,
    allocate,
    build_problem,
    check,
    write_program,
)
from loadmgr.allocation.constraints import network_rows
from loadmgr.allocation.minimum import is_whole, mixed_solution
from loadmgr.allocation.objective import weights
from loadmgr.allocation.program import Program, build_program
from loadmgr.allocation.pulp_program import solve_with_pulp
from loadmgr.allocation.solve import HighsSession, Solution
from loadmgr.model.series import TimeGrid
from tests.allocation_sites import START, random_problem

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    SOLVERS = [name for name in ("HiGHS", "PULP_CBC_CMD") if name in pulp.listSolvers(onlyAvailable=True)]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("rich", [False, True])
def test_another_solver_finds_the_same_optimum(solver: str, rich: bool) -> None:
    """PuLP carries the very program that HiGHS solves directly."""
    for seed in range(4):
        problem = random_problem(np.random.default_rng(seed), evses=5, steps=8, tight=0.3, rich=rich)
        program = build_program(problem, network_rows(problem), weights(problem))

        direct = HighsSession(iteration_limit=100_000).solve(program)
        other = solve_with_pulp(program, solver, time_limit_s=60.0)

        assert other is not None
        assert direct.objective == pytest.approx(other.objective, rel=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_an_allocation_by_another_solver_is_whole_and_safe(solver: str) -> None:
    """The mixed-integer program of the first steps goes through PuLP too."""
    problem = random_problem(np.random.default_rng(7), evses=5, steps=8, tight=0.3)

    allocation = allocate(problem, options=AllocationOptions(solver=solver))

    assert allocation.method == "program", allocation.alarms
    assert check(problem, allocation.current_a) == []
    own = allocate(problem)
    assert own.statistics.objective == pytest.approx(allocation.statistics.objective, rel=1e-6)


def test_an_unknown_solver_ends_in_the_filled_answer_and_an_alarm() -> None:
    """A solver that is not there costs the program, not the answer."""
    problem = random_problem(np.random.default_rng(4), evses=4, steps=6, tight=1.2)

    allocation = allocate(problem, options=AllocationOptions(solver="NO_SUCH_SOLVER"))

    assert allocation.method == "filled"
    assert "solver_failed" in [alarm.kind for alarm in allocation.alarms]
    assert allocation.current_a.any()


@pytest.mark.parametrize("suffix", [".lp", ".mps"])
def test_written_files_hold_the_program_with_names_of_the_site(suffix: str, tmp_path: Path) -> None:
    """Bare HiGHS reads the file and finds the same optimum; names tell EVSE and step."""
    problem = random_problem(np.random.default_rng(5), evses=4, steps=6, tight=0.3, rich=True)
    path = tmp_path / f"site{suffix}"

    write_program(problem, path)

    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.readModel(str(path))
    highs.run()
    program = build_program(problem, network_rows(problem), weights(problem))
    direct = HighsSession(iteration_limit=100_000).solve(program)
    assert direct.objective == pytest.approx(highs.getInfo().objective_function_value, rel=1e-6)
    assert "energy_E0" in path.read_text()


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    """Only formats that solvers read are written."""
    problem = random_problem(np.random.default_rng(5), evses=2, steps=2)

    with pytest.raises(ValueError, match=r"must end in \.lp or \.mps"):
        write_program(problem, tmp_path / "site.txt")


def _whole_steps(seed: int = 3) -> tuple[AllocationProblem, Program]:
    """Return a small site whose relaxed optimum is not whole in the first steps."""
    grid = TimeGrid.uniform(START, step_s=900, steps=8)
    requests = [
        ChargingRequest(id=f"E{i}", circuit="main", phases=(1,), wanted_wh=4_000.0 + 700.0 * (i + seed), step_a=1.0)
        for i in range(5)
    ]
    problem = build_problem(grid, circuits=[CircuitLimits(id="main", limit_a=27.7)], requests=requests)
    return problem, build_program(problem, network_rows(problem), weights(problem))


@pytest.mark.skipif("PULP_CBC_CMD" not in SOLVERS, reason="this PuLP brings no CBC")
def test_no_solution_at_the_time_limit_is_none_and_never_a_guess() -> None:
    """CBC stopped at once: no optimum of the program, and no incumbent where whole steps are asked for."""
    rng = np.random.default_rng(1)
    problem = random_problem(rng, evses=100, steps=96, tight=0.2)
    program = build_program(problem, network_rows(problem), weights(problem))
    kind = np.where(np.arange(program.n_columns) < len(program.evse), 1, 0)

    assert solve_with_pulp(program, "PULP_CBC_CMD", time_limit_s=1e-3) is None
    assert solve_with_pulp(program, "PULP_CBC_CMD", time_limit_s=1e-3, kind=kind) is None


@pytest.mark.skipif("PULP_CBC_CMD" not in SOLVERS, reason="this PuLP brings no CBC")
def test_a_site_whose_solver_runs_out_of_time_gets_the_filled_answer_and_an_alarm() -> None:
    """The time limit costs the program, not the answer."""
    problem = random_problem(np.random.default_rng(1), evses=30, steps=48, tight=0.2)

    allocation = allocate(problem, options=AllocationOptions(solver="PULP_CBC_CMD", time_limit_s=1e-3))

    assert allocation.method == "filled"
    assert "solver_failed" in [alarm.kind for alarm in allocation.alarms]
    assert allocation.current_a[:, 0].any()
    assert check(problem, allocation.current_a) == []


@pytest.mark.parametrize("flaw", ["fractional", "below the minimum"])
def test_an_incumbent_that_is_not_whole_is_refused(flaw: str) -> None:
    """A solver that stops at its time limit may hand back fractions and call them optimal."""
    problem, program = _whole_steps()

    def stopped_early(scaled: Program, kind: np.ndarray, choices: dict[int, np.ndarray]) -> Solution:
        relaxed = HighsSession(iteration_limit=100_000).solve(replace(scaled, lower=np.zeros_like(scaled.lower)))
        values = relaxed.values.copy()
        column = int(np.flatnonzero(kind)[0])
        values[column] = 7.5 if flaw == "fractional" else 3.0
        return replace(relaxed, values=values)

    assert mixed_solution(problem, program, steps=4, solve=stopped_early) is None


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_whole_incumbent_is_taken_and_its_first_steps_are_setpoints(solver: str) -> None:
    """The same door lets a good one through."""
    problem, program = _whole_steps()

    def solve(scaled: Program, kind: np.ndarray, choices: dict[int, np.ndarray]) -> Solution | None:
        return solve_with_pulp(scaled, solver, time_limit_s=20.0, kind=kind, choices=choices)

    mixed = mixed_solution(problem, program, steps=4, solve=solve)

    assert mixed is not None
    assert is_whole(problem, program, mixed, steps=4)


def test_a_large_program_is_written_whole(tmp_path: Path) -> None:
    """A hundred EVSEs over a day: every current, every energy row and every full row is in the file by name."""
    problem = random_problem(np.random.default_rng(5), evses=100, steps=48, tight=0.3)
    program = build_program(problem, network_rows(problem), weights(problem))

    write_program(problem, tmp_path / "large.mps")
    text = (tmp_path / "large.mps").read_text()

    assert text.count("energy_E") >= 100
    assert all(f"current_E{e}_t{t} " in text for e, t in zip(program.evse.tolist(), program.step.tolist(), strict=True))
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.readModel(str(tmp_path / "large.mps"))
    assert (program.n_columns, program.n_rows) == (highs.getNumCol(), highs.getNumRow())

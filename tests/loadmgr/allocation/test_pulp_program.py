"""The program through PuLP: the same optimum with other solvers, and files that other tools read."""

import warnings
from pathlib import Path

import highspy
import numpy as np
import pulp
import pytest

from loadmgr.allocation import AllocationOptions, allocate, check, write_program
from loadmgr.allocation.constraints import network_rows
from loadmgr.allocation.objective import weights
from loadmgr.allocation.program import build_program
from loadmgr.allocation.pulp_program import solve_with_pulp
from loadmgr.allocation.solve import HighsSession
from tests.allocation_sites import random_problem

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

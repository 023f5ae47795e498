"""What a fault campaign prints at its end, and what makes a whole one fail although every run passed."""

import pytest

from tests.campaigns.figures import WHOLE_CAMPAIGN, Figures, dead_kinds, table

_runs: list[Figures] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Gather the figures of runs, from every worker."""
    if report.when == "call":
        _runs.extend(value for name, value in report.user_properties if name == "campaign")  # type: ignore[misc]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a whole campaign in which some kind of fault never struck: it has proven nothing of it."""
    if not hasattr(session.config, "workerinput") and len(_runs) >= WHOLE_CAMPAIGN and dead_kinds(_runs):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures."""
    if not _runs:
        return
    terminalreporter.section("fault campaign")
    for line in table(_runs):
        terminalreporter.write_line(line)
    dead = dead_kinds(_runs)
    if dead and len(_runs) >= WHOLE_CAMPAIGN:
        terminalreporter.write_line(f"FAILED: never struck: {', '.join(dead)}", red=True)

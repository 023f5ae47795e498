"""Shared test set-up: benchmarks run in one process, everything else on all cores.

Hypothesis tries the same examples on every machine; ``pytest --hypothesis-profile=explore`` looks for new ones.
"""

import pytest
from hypothesis import HealthCheck, settings

slow = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}  # on a machine that others use too
settings.register_profile("repeatable", derandomize=True, **slow)
settings.register_profile("explore", derandomize=False, print_blob=True)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a fault campaign be larger than the ordinary run, and a benchmark's span another."""
    parser.addoption("--seeds", type=int, default=20, help="runs of the fault campaign [default: 20]")
    parser.addoption("--first-seed", type=int, default=0, help="where its seeds begin [default: 0]")
    parser.addoption("--site", default="garage", help="sample site of the write budget's benchmark")
    parser.addoption("--days", type=float, default=7.0, help="its length")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Benchmarks measure one process, so they never share the machine with other workers."""
    if any("benchmarks" in str(arg) for arg in config.args):
        return 0
    return None

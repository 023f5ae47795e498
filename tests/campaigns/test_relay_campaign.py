"""Below a CSMS that is hostile, goes and comes back, no circuit is above its limit: its profiles held, or passed on.

Two seeds in the ordinary run (about 10 s of processor time); more with
``pytest tests/campaigns/test_relay_campaign.py --seeds 60``.
"""

import pytest

from tests.campaigns.relay_world import PASSED, PASSING, relay_run

ORDINARY = 2


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Take as many seeds as the command line says, two if it says nothing."""
    if "relay_seed" in metafunc.fixturenames:
        first, count = (metafunc.config.getoption(name) for name in ("--first-seed", "--seeds"))
        said = any(str(each).startswith("--seeds") for each in metafunc.config.invocation_params.args)
        metafunc.parametrize("relay_seed", range(first, first + (count if said else ORDINARY)))


def test_below_a_hostile_csms_no_circuit_is_above_its_limit(relay_seed: int) -> None:
    run = relay_run(relay_seed)

    told = "\n".join(str(each.row()) for each in run.excursions)
    assert 0.0 == run.limits.seconds_above_limit, told
    assert run.energy_wh > 1000.0
    assert run.did["CSMS lost"] + run.did.get("controller restarted", 0) > 0
    assert (run.did.get(PASSED, 0) > 0) is (relay_seed % 4 in PASSING)

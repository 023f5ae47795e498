"""The sorting strategies deliver what ACN-Sim's sorted algorithms deliver on the same network and sessions.

The energies were recorded with ``acnportal`` 0.3.3 by ``tests/benchmarks/acn_sim.py``, which repeats the comparison
where that package is installed.
"""

import pytest

from loadmgr.model.tariff import FixedRate, Tariff
from loadmgr.sim.run import SimulationOptions, run_plan
from tests.loadmgr.sim import acn_case

RECORDED_WH = {
    "first_come": 2_801_998.9,
    "earliest_deadline": 2_887_920.0,
    "least_laxity": 2_889_041.9,
    "round_robin": 2_793_448.7,
}
ASKED_WH = 4_629_208.3


@pytest.mark.parametrize("strategy", RECORDED_WH)
def test_a_week_of_real_sessions_gets_the_same_energy_as_with_acn_sim(strategy: str) -> None:
    plan, tariff = acn_case.plan(), Tariff(currency="EUR", time_zone="UTC", energy=FixedRate(price_per_kwh=0.3))
    run = run_plan(plan, tariff, strategy=strategy, options=SimulationOptions(slots=acn_case.OPTIONS))

    assert sum(visit.asked_wh for visit in plan.arrivals.visits) == pytest.approx(ASKED_WH, rel=1e-6)
    assert run.energy_wh.sum() == pytest.approx(RECORDED_WH[strategy], rel=0.005)
    assert run.report().figures()["seconds_above_limit_raw"] == 0.0

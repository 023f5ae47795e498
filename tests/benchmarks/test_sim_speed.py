"""Speed of simulations in one process, in CPU time: rules per EVSE and step, a month and a year with the program."""

import time
from datetime import timedelta

import pytest

from loadmgr.sim.run import SimulationOptions, simulate
from loadmgr.sim.slots import SlotOptions
from loadmgr.sim.strategies import RULES
from tests.loadmgr.sim.sim_yard import START, TARIFF, drawn_sessions, yard


@pytest.mark.parametrize("evses", [50, 500])
def test_rules_per_evse_and_step(evses: int):
    sessions = drawn_sessions(evses, days=1, seed=1)
    site = yard(evses, fuse_a=evses * 6.0)
    options = SimulationOptions(slots=SlotOptions(decide_at_arrivals=False))
    for strategy in ("uncontrolled", *RULES):
        best_s = min(_timed(site, sessions, strategy, days=1, options=options) for _ in range(20))
        print(f"{strategy:18} {evses} EVSE: {best_s / (evses * 96) * 1e6:.2f} us per EVSE-step, a day {best_s:.3f} s")


def test_month_with_the_program():
    sessions = drawn_sessions(964, days=30, seed=2)
    took_s = _timed(yard(54, fuse_a=220.0), sessions, "program", days=30, options=SimulationOptions())
    print(f"month, 964 sessions, 54 EVSE, planned every 15 minutes and at each arrival: {took_s:.1f} s")


def test_year_with_the_program():
    sessions = drawn_sessions(365 * 20, days=365, seed=3)
    options = SimulationOptions(slots=SlotOptions(decide_at_arrivals=False))
    took_s = _timed(yard(25, fuse_a=125.0), sessions, "program", days=365, options=options)
    print(f"year, 25 EVSE, 15 minutes: {took_s:.1f} s")


def _timed(site, sessions, strategy: str, *, days: float, options: SimulationOptions) -> float:
    began = time.process_time()
    simulate(
        site, sessions, TARIFF, strategy=strategy, start=START, until=START + timedelta(days=days), options=options
    )
    return time.process_time() - began

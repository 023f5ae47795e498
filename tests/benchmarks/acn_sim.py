"""The same week with ACN-Sim and here: energy and time, in one process; run by hand where ``acnportal`` is installed.

    python tests/benchmarks/acn_sim.py

``acnportal`` puts a package called ``tests`` beside its own, which hides ours: install it in an environment of its own.
"""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

warnings.filterwarnings("ignore")
np.Inf = np.inf  # type: ignore[attr-defined] # noqa: NPY201 - acnportal 0.3.3 was written for NumPy 1

from acnportal import acnsim, algorithms  # noqa: E402

from loadmgr.model.tariff import FixedRate, Tariff  # noqa: E402
from loadmgr.sim.run import SimulationOptions, run_plan  # noqa: E402
from tests.loadmgr.sim import acn_case as case  # noqa: E402

SORTS: dict[str, Callable[..., Any]] = {
    "first_come": algorithms.first_come_first_served,
    "earliest_deadline": algorithms.earliest_deadline_first,
    "least_laxity": algorithms.least_laxity_first,
}


def acn_energy_wh(strategy: str) -> tuple[float, float]:
    """Return the energy that ACN-Sim delivers [Wh] and its CPU time [s]."""
    world = case.plan()
    network = acnsim.ChargingNetwork()
    for evse in world.site.evses:
        network.register_evse(acnsim.EVSE(evse.id, max_rate=case.MAX_A, min_rate=0), case.VOLTAGE_V, 0)
    for phase, limit_a in enumerate(case.LIMITS_A):
        members = [evse.id for evse in world.site.evses if evse.phases[0] == phase]
        network.add_constraint(acnsim.Current(members), limit_a, name=f"L{phase + 1}")
    events = []
    for visit in world.arrivals.visits:
        arrival, departure = (round(s / case.STEP_S) for s in (visit.arrival_s, visit.departure_s))
        kwh = visit.vehicle.room_wh / 1000.0
        battery = acnsim.Battery(kwh, 0, case.MAX_A * case.VOLTAGE_V / 1000.0)
        ev = acnsim.EV(arrival, departure, kwh, visit.evse.id, visit.session_id, battery)
        events.append(acnsim.PluginEvent(arrival, ev))
    if strategy == "round_robin":
        algorithm = algorithms.RoundRobin(algorithms.first_come_first_served, continuous_inc=0.1)
    else:
        algorithm = algorithms.SortedSchedulingAlgo(SORTS[strategy])
    simulator = acnsim.Simulator(
        network,
        algorithm,
        acnsim.EventQueue(events),
        case.START.replace(tzinfo=None),
        period=case.STEP_S // 60,
        verbose=False,
    )
    began = time.process_time()
    simulator.run()
    return acnsim.total_energy_delivered(simulator) * 1000.0, time.process_time() - began


def own_energy_wh(strategy: str) -> tuple[float, float]:
    """Return the energy delivered here [Wh] and the CPU time [s]."""
    world, tariff = case.plan(), Tariff(currency="EUR", time_zone="UTC", energy=FixedRate(price_per_kwh=0.3))
    began = time.process_time()
    run = run_plan(world, tariff, strategy=strategy, options=SimulationOptions(slots=case.OPTIONS))
    return float(run.energy_wh.sum()), time.process_time() - began


def main() -> None:
    """Print a line for each strategy."""
    visits = case.plan().arrivals.visits
    asked_wh = sum(visit.asked_wh for visit in visits)
    print(f"asked {asked_wh:.1f} Wh, {len(visits)} sessions, {case.DAYS} days of {case.STEP_S} s steps")
    for strategy in (*SORTS, "round_robin"):
        (theirs_wh, theirs_s), (ours_wh, ours_s) = acn_energy_wh(strategy), own_energy_wh(strategy)
        print(
            f"{strategy:18} ACN-Sim {theirs_wh:.1f} Wh in {theirs_s:.2f} s, here {ours_wh:.1f} Wh in {ours_s:.3f} s: "
            f"{ours_wh / theirs_wh - 1.0:+.3%}, {theirs_s / ours_s:.0f} times as fast"
        )


if __name__ == "__main__":
    main()

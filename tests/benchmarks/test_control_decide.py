"""How long a decision takes: with a new plan, without one, and where nothing changed.

Figures are shares of the time of a fixed numpy reference in the same process, so that they compare between machines.
Run by hand: pytest tests/benchmarks/test_control_decide.py -s
"""

import statistics
import time
from datetime import timedelta

import numpy as np

from loadmgr.control.controller import SiteController
from loadmgr.control.decision import Decision
from loadmgr.control.observation import LimitChanged, SiteMeterReading
from loadmgr.model.ids import CircuitId, MeterId
from tests.control_world import Vehicle, World, small_site


def reference_s() -> float:
    """Return the time of a fixed piece of work: the inverse of a 200 x 200 matrix, the median of several."""
    matrix = np.random.default_rng(0).random((200, 200)) + 200.0 * np.eye(200)
    times = []
    for _ in range(9):
        start = time.perf_counter()
        np.linalg.inv(matrix)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def busy_world(evses: int) -> World:
    """Return a site with a vehicle at every EVSE, half of them with one phase, after ten minutes of control."""
    world = World(small_site(evses=evses, limit_a=8.0 * evses, building_worst_a=0.0))
    world.connect()
    world.run(20)
    for index in range(evses):
        world.plug(f"E{index + 1}", Vehicle(phases=1 + 2 * (index % 2), max_a=16.0 + 16.0 * (index % 3 == 0)))
        world.run(5)
    return world.run(600)


def timed(controller: SiteController, now) -> tuple[float, Decision]:
    start = time.perf_counter()
    decision = controller.decide(now)
    return time.perf_counter() - start, decision


def measure(evses: int, *, rounds: int = 40) -> dict[str, list[float]]:
    world = busy_world(evses)
    now, times = world.now, {"planned": [], "looked": [], "nothing new": []}
    for index in range(rounds):
        now += timedelta(seconds=20)
        limit = 8.0 * evses - 1.0 - index % 3
        world.controller.observe(
            LimitChanged(at=now, circuit=CircuitId("main"), source="bench", limit_a=(limit, limit, limit))
        )
        spent, decision = timed(world.controller, now)
        assert decision.planned is not None
        times["planned"].append(spent)
        now = max(now, decision.next_due)
        times["looked"].append(timed(world.controller, now)[0])
        world.controller.observe(SiteMeterReading(at=now, meter=MeterId("meter"), currents_a=(1.0, 1.0, 1.0)))
        times["nothing new"].append(timed(world.controller, now)[0])
    return times


def test_a_decision_for_14_60_and_100_evses():
    """Print the figures; the plan has 96 steps."""
    unit = reference_s()
    for evses in (14, 60, 100):
        for kind, spent in measure(evses).items():
            p50, p95 = np.percentile(spent, (50, 95))
            figures = "  ".join(
                f"{name} {value * 1e3:6.2f} ms = {value / unit:5.1f}" for name, value in (("p50", p50), ("p95", p95))
            )
            print(f"{evses:4d} EVSEs  {kind:12s} {figures}")
            assert spent

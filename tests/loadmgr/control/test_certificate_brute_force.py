"""What is proven, tried out: 24 hours, every clock as far off as it may be, everybody offline in every combination.

Nothing here shares code with the proof: currents are read second by second from windows, or from the profiles that
stations hold, and added up.
"""

import itertools
import json
import random
from datetime import timedelta

import numpy as np
import pytest

from loadmgr.composite.schedule import composite_schedule
from loadmgr.control.safety import verifier
from loadmgr.control.safety.certificate import build_certificate
from loadmgr.control.settings import ControlSettings
from loadmgr.model.failsafe import FailSafe, FailSafeStrategy, Timing
from loadmgr.model.ids import CircuitId, EvseId, StationId
from loadmgr.model.profile import RateUnit
from loadmgr.model.topology import Circuit, Evse, Phase, SideLoad, Site, Station, Trust
from tests.control_world import World, small_site
from tests.loadmgr.control.two_stations import Steered

DAY_S = 86_400
ROTATIONS = [(0, 1, 2), (1, 2, 0), (2, 0, 1), (0,), (1,), (2,)]


def drawn_site(seed: int) -> Site:
    """Return a site of up to three EVSEs on up to two circuits, whose fail-safe fits or not."""
    dice = random.Random(seed)
    evses = tuple(
        Evse(
            id=EvseId(f"E{i}"),
            station=StationId(f"S{i}"),
            circuit=CircuitId(dice.choice(["main", "riser"])),
            phases=tuple(Phase(p) for p in dice.choice(ROTATIONS)),
            max_a=dice.choice([16.0, 32.0]),
            fallback_a=dice.choice([0.0, 6.0, 10.0]),
        )
        for i in range(dice.randint(1, 3))
    )
    side = SideLoad(id="house", worst_case_a=(dice.choice([0.0, 9.0]), 4.0, 7.0))
    room = dice.choice([16.0, 22.0, 26.0, 40.0])
    return Site(
        name=f"drawn {seed}",
        time_zone="UTC",
        circuits=(
            Circuit(id=CircuitId("main"), limit_a=(room + 6.0,) * 3, rated_a=(63.0,) * 3, side_loads=(side,)),
            Circuit(id=CircuitId("riser"), parent=CircuitId("main"), limit_a=(room - 6.0,) * 3, rated_a=(35.0,) * 3),
        ),
        evses=evses,
        stations=tuple(
            Station(
                id=e.station,
                keeps_profiles=dice.choice([Trust.YES, Trust.YES, Trust.NO]),
                zero_ok=Trust.YES,
                keeps_clock=Trust.YES,
                recurring_ok=Trust.YES,
            )
            for e in evses
        ),
        failsafe=FailSafe(strategy=dice.choice(list(FailSafeStrategy))),
        timing=Timing(clock_skew_s=dice.choice([30.0, 90.0])),
    )


def day_of(windows: list[dict], *, off_s: int, settle_s: int) -> np.ndarray:
    """Return what an EVSE draws in each second of the day when its clock is off, a vehicle that is slow included."""
    own = np.zeros(DAY_S)
    for window in windows:
        own[window["start_s"] : window["end_s"]] = np.maximum(
            own[window["start_s"] : window["end_s"]], window["current_a"]
        )
    true = np.roll(own, off_s)
    return np.max([np.roll(true, lag) for lag in range(settle_s + 1)], axis=0)


def worst_excess_a(site: Site, document: dict) -> float:
    """Return by how much a limit is exceeded at worst, over the day and every corner of the clocks [A]."""
    clock = document["clock"]
    divided = site.failsafe.strategy is FailSafeStrategy.TIME_DIVISION
    off = int(clock["skew_s"] + clock["drift_s_per_day"] * (document["autonomy_days"] or 0)) if divided else 0
    settle = int(clock["settle_s"]) if divided else 0
    draws = [
        [day_of(e["windows"], off_s=o, settle_s=settle) for o in ((-off, 0, off) if off else (0,))]
        for e in document["evses"]
    ]
    worst = -np.inf
    for corner in itertools.product(*draws):
        for circuit in site.circuits:
            below = {e.id for e in site.evses_under(circuit.id)}
            for phase in Phase:
                total = np.full(DAY_S, sum((s.worst_case_a[phase] for s in circuit.side_loads), 0.0))
                for evse, draw in zip(site.evses, corner, strict=True):
                    if evse.id in below and phase in evse.phases:
                        total += draw
                worst = max(worst, float(total.max()) - circuit.limit_a[phase])
    return worst


@pytest.mark.parametrize("seed", range(12))
def test_a_site_is_proven_exactly_where_no_second_of_the_day_exceeds_a_limit(seed):
    certificate = build_certificate(drawn_site(seed))
    fits = worst_excess_a(drawn_site(seed), certificate.document) <= 1e-6

    assert fits == (not certificate.faults)
    assert fits == (not verifier.problems(json.loads(json.dumps(certificate.document))))


def test_the_drawn_sites_are_of_both_kinds():
    proven = {not build_certificate(drawn_site(seed)).faults for seed in range(12)}

    assert {True, False} == proven


# What stations hold when the controller dies.

LIMIT_A, WORST_A = 45.0, 5.0
FIRST, SECOND = (20.0, 12.0, 8.0), (8.0, 12.0, 20.0)


def left_alone(order: tuple[int, ...], offline: tuple[int, ...], fallback_a: float) -> World:
    """Return three stations whose leases were given in an order, some offline by then, when nobody controls them."""
    site = small_site(evses=3, limit_a=LIMIT_A, fallback_a=fallback_a, building_worst_a=WORST_A, lease_s=300)
    world = World(site)
    steered = Steered(site, None, settings=ControlSettings())
    world.controller = steered
    world.connect()
    world.run(30)
    for evse in ("E1", "E2", "E3"):
        world.plug(evse)
    world.run(3)
    now_a = [fallback_a] * 3
    for index in order:
        now_a[index] = FIRST[index]
        steered.steer(now_a, world.now)
        world._due = world.now
        world.run(35)
    for index in offline:
        world.disconnect(f"E{index + 1}")
    steered.steer(SECOND, world.now)
    world._due = world.now
    world.run(45)
    world.alive = False
    return world


def worst_sum_a(world: World, corner: tuple[int, ...]) -> float:
    """Return the highest sum of what three stations allow over a day by clocks that are off [A]."""
    steps = []
    for fake, off_s in zip(world.stations.values(), corner, strict=True):
        own = world.now + timedelta(seconds=off_s)
        told = composite_schedule(fake.store, evse_id=1, start=own, duration_s=DAY_S, unit=RateUnit.A)
        steps.append([(p.start_s, 32.0 if p.limit is None else p.limit) for p in told.periods])
    marks = sorted({s for each in steps for s, _ in each})
    lags = sorted({m for mark in marks for m in (mark, mark + 9)})
    return max(sum(_slow_a(each, at) for each in steps) for at in lags)


def _slow_a(steps: list[tuple[int, float]], at_s: int) -> float:
    """Return what a vehicle draws that follows each fall only ten seconds later [A]."""
    first = max((a for s, a in steps if at_s - 9 <= s <= at_s), default=0.0)
    return max(first, next((a for s, a in reversed(steps) if s <= max(0, at_s - 9)), 0.0))


@pytest.mark.parametrize("fallback_a", [0.0, 8.0])
def test_whoever_is_offline_and_however_leases_end_the_day_after_the_controller_died_fits(fallback_a):
    subsets = [tuple(i for i in range(3) if mask & 1 << i) for mask in range(8)]
    corners = list(itertools.product((-60, 60), repeat=3))
    orders = list(itertools.permutations(range(3)))
    found = []
    for order, offline in itertools.product(orders, subsets):
        world = left_alone(order, offline, fallback_a)
        worst = {corner: worst_sum_a(world, corner) for corner in corners}
        found += [(order, offline, c, a) for c, a in worst.items() if a > LIMIT_A - WORST_A + 1e-6]
        if not offline:
            assert max(worst.values()) > 3 * fallback_a, "the leases say something"

    assert [] == found

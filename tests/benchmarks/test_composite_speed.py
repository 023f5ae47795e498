"""What a composite schedule costs, in microseconds and against the goals of the README. Run by hand, with ``-s``."""

import gc
import json
import time
import timeit
from collections.abc import Callable

import numpy as np
import pytest

from loadmgr.bridge.profile_messages import composite_to_json
from loadmgr.composite.batch import ScheduleBatch
from loadmgr.composite.compiled import compile_profile
from loadmgr.composite.now import limit_now
from loadmgr.composite.schedule import composite_schedule
from loadmgr.composite.store import ProfileStore
from loadmgr.model.profile import OcppVersion, RateUnit
from tests.benchmarks.composite_fleet import DAY_S, NOW, evse, ten_profiles


def cost_us(work: Callable[[], object], *, number: int, repeat: int = 150) -> float:
    """Return the best processor time of one call [us], over many short bursts: others may be using the machine."""
    return min(timeit.repeat(work, timer=time.thread_time, number=number, repeat=repeat)) / number * 1e6


def show(what: str, cost: float, goal: float, unit: str = "us") -> None:
    print(f"{what:58s} {cost:10.2f} {unit}   goal {goal:g}, ratio {cost / goal:.2f}")


def answer(store: ProfileStore, version: OcppVersion, unit: RateUnit) -> object:
    schedule = composite_schedule(store, evse_id=1, start=NOW, duration_s=DAY_S, unit=unit)
    return composite_to_json(schedule, version)


@pytest.mark.parametrize("version", list(OcppVersion), ids=lambda v: v.value)
def test_one_schedule_and_its_parts(version):
    """From compiled profiles to the OCPP answer; installing; the limit now."""
    rng = np.random.default_rng(1)
    store = evse(version, rng)
    print(f"\nOCPP {version.value}, {len(store.profiles)} profiles of 24 periods, 24 h")
    for unit in RateUnit:
        cost = cost_us(lambda unit=unit: answer(store, version, unit), number=20)
        show(f"one schedule in {unit.value}, warm", cost, 25.0)
    reference = cost_us(lambda: json.dumps(answer(store, version, RateUnit.W)), number=20)
    print(f"{'the same and json.dumps of it, for reference':58s} {reference:10.2f} us")
    profiles = ten_profiles(rng)
    cost = cost_us(
        lambda: [compile_profile(p, store.settings, evse_id=1, order=i) for i, (_, p) in enumerate(profiles)],
        number=5,
    )
    show("compiling ten profiles", cost, 100.0)
    layers = store.layers(1, simulate=False)
    show("limit now and until when, kept", cost_us(lambda: store.limit_at(1, NOW), number=2000), 0.5)
    show("limit now and until when, anew", cost_us(lambda: limit_now(layers, store.settings, NOW), number=200), 3.0)


def test_a_thousand_evses_one_by_one_and_in_a_batch():
    """Each with its own ten profiles: cold caches, and one numpy batch."""
    rng = np.random.default_rng(2)
    stores = [evse(OcppVersion.V16, rng) for _ in range(1000)]
    batch = ScheduleBatch([store.settings for store in stores])
    for place, store in enumerate(stores):
        batch.put(place, store.layers(1, simulate=True))
    gc.collect()
    gc.freeze()
    print("\na thousand EVSEs")
    alone = cost_us(lambda: [answer(store, OcppVersion.V16, RateUnit.W) for store in stores], number=1, repeat=7)
    show("one schedule of a thousand different EVSEs", alone / 1000, 40.0)
    for unit in RateUnit:
        cost = cost_us(lambda unit=unit: batch.schedules(start=NOW, duration_s=DAY_S, unit=unit), number=3, repeat=9)
        print(f"{'batch in ' + unit.value:58s} {1e9 / cost:10.0f} /s   goal 150000, ratio {150_000 * cost / 1e9:.2f}")
    got = batch.schedules(start=NOW, duration_s=DAY_S, unit=RateUnit.W)
    rows = [len(composite_schedule(s, evse_id=1, start=NOW, duration_s=DAY_S, unit=RateUnit.W).rows) for s in stores]
    assert np.diff(got.offsets).tolist() == rows


def test_the_cost_is_linear_in_the_periods_of_the_answer():
    """Four times the periods, at most some five times the cost of a quarter."""
    rng = np.random.default_rng(3)
    print()
    per_row = []
    for periods in (12, 48, 192, 768):
        store = evse(OcppVersion.V16, rng, periods=periods)
        rows = len(composite_schedule(store, evse_id=1, start=NOW, duration_s=DAY_S, unit=RateUnit.W).rows)
        cost = cost_us(lambda store=store: answer(store, OcppVersion.V16, RateUnit.W), number=5)
        per_row.append(cost / rows)
        print(f"{rows:6d} periods of the answer {cost:10.1f} us, {cost / rows:.3f} us each")

    assert max(per_row) == per_row[0]  # the fixed part weighs most in the shortest answer

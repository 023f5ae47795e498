"""Composite schedules against their definition, over many random stations. Run by hand, niced:

    python -m tests.campaigns.composite_definition --version 2.1 --worlds 5000 --seed 1

Each world (a station, its profiles, transactions and clock) is asked four questions, on its EVSE and for the station as
a whole, and twice for the limit now. Windows reach from nothing to ten years: up to two minutes they are compared at
every second, beyond at the breakpoints, one second before and after, and forty seconds at random. The test of the same
name compares fewer stations at more seconds.
"""

import argparse
import sys
from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import HealthCheck, Phase, given, seed, settings

from loadmgr.model.profile import OcppVersion, RateUnit
from tests.loadmgr.composite.naive import evse_at, second
from tests.loadmgr.composite.test_composite_definition import differences, enforced, fraction
from tests.loadmgr.composite.worlds import store_of, worlds

DAY_S = 86_400
WINDOWS_S = (0, 0, 1, 2, 60, 120, 900, 3599, 3601, 7200, DAY_S, DAY_S, 90_000, 700_000, 40 * DAY_S, 366 * DAY_S)
DECADE_S = 3653 * DAY_S


def wrong_now(world, start: datetime, rng: Random) -> list:
    """Where the limit now and its end differ from the definition."""
    store = store_of(world)
    limit = store.limit_at(1, start)
    first = second(start)
    end = first + 5000 if limit.until is None else min(second(limit.until), first + 700_000)
    out = []
    for t in sorted({first, end - 1, *(rng.randrange(first, end) for _ in range(8))}):
        wanted = evse_at(world, 1, t, RateUnit.A, None)
        expected = enforced(wanted)
        if fraction(limit.limit_a) != expected or limit != store.limit_at(1, datetime.fromtimestamp(t, UTC)):
            out.append((t - first, expected, limit))
    return out


def asked(world, day: datetime, rng: Random) -> list:
    """Ask a world its questions; return what was wrong."""
    out = []
    for _ in range(4):
        start = day + timedelta(seconds=rng.randrange(-DAY_S, DAY_S), milliseconds=rng.choice((0, 0, 250)))
        duration_s = DECADE_S if rng.random() < 0.01 else rng.choice(WINDOWS_S)
        unit, number = rng.choice(tuple(RateUnit)), rng.randrange(1 << 32)
        for evse_id in (1, 0):
            wrong = differences(world, start, duration_s, unit, number, evse_id, every_up_to_s=120, at_random=40)
            out += [(world, start, duration_s, unit, evse_id, wrong[:3])] if wrong else []
    for _ in range(2):
        start = day + timedelta(seconds=rng.randrange(-DAY_S, DAY_S))
        wrong = wrong_now(world, start, rng)
        out += [(world, start, "limit now", wrong[:3])] if wrong else []
    return out


def main() -> int:
    """Run the campaign and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--version", choices=[v.value for v in OcppVersion], required=True)
    parser.add_argument("--worlds", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    rng, found, count = Random(chosen.seed), [], 0

    @seed(chosen.seed)
    @given(worlds(OcppVersion(chosen.version)))
    @settings(
        max_examples=chosen.worlds,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(question) -> None:
        nonlocal count
        count += 1
        for each in asked(*question, rng):
            found.append(each)
            print(each, flush=True)
        if count % 500 == 0:
            print(f"{count} worlds, {8 * count} schedules, {2 * count} limits now, {len(found)} differ", flush=True)

    ask()
    print(f"OCPP {chosen.version}: {count} worlds, {8 * count} schedules, {2 * count} limits now, {len(found)} differ")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""The composite schedule equals its definition, second by second, over random stations of each version."""

import os
from bisect import bisect_right
from datetime import UTC, datetime
from fractions import Fraction
from operator import itemgetter
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadmgr.composite.answer import phase_count
from loadmgr.composite.schedule import composite_schedule
from loadmgr.model.profile import OcppVersion, RateUnit
from tests.loadmgr.composite.naive import NAMES, World, evse_at, second, station_at
from tests.loadmgr.composite.worlds import asked_seconds, instants, store_of, worlds

# LOADMGR_DEEP=n multiplies the number of examples and adds windows of ten years, by hand, with --timeout=0
DEEP = int(os.environ.get("LOADMGR_DEEP", "1"))
EXAMPLES = 40 * DEEP
bounded = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=False)
durations = st.one_of(
    st.sampled_from([0, 1, 2, 60]),
    st.integers(1, 400),
    st.sampled_from([3600, 3601, 86400, 90000, 700_000]),
    st.sampled_from([86400, 40 * 86400, 366 * 86400, (3653 if DEEP > 1 else 730) * 86400]),
)


@st.composite
def questions(draw, version):
    """A world and a question to it."""
    world, day = draw(worlds(version))
    start = draw(instants(day, back_days=1))
    return world, start, draw(durations), draw(st.sampled_from(RateUnit)), draw(st.integers(0, 2**32))


def fraction(value: float | None) -> Fraction | None:
    return None if value is None else Fraction(str(value))


def enforced(wanted: dict) -> Fraction | None:
    """The lowest limit of the phases; a default, which says what a station could do, is none."""
    values = [wanted[k] for k in ("limit", "limit_l2", "limit_l3") if wanted[k] is not None]
    return min(values) if wanted["limited"] else wanted["carried"]


def answered(schedule, t: int) -> dict:
    """The answer that holds at a second, with all its fields."""
    place = bisect_right(schedule.rows, t - second(schedule.start), key=itemgetter(0)) - 1
    if schedule.rich is None:
        _, limit, code = schedule.rows[place]
        return {"limit": fraction(limit), "phases": phase_count(code)}
    period = schedule.rich[place]
    names = [f"{name}{s}" for name in NAMES for s in ("", "_l2", "_l3")]
    out = {name: fraction(getattr(period, name)) for name in names}
    out |= {"phases": period.phases, "phase_to_use": period.phase_to_use, "operation_mode": period.operation_mode}
    return out


def differences(world: World, start, duration_s: int, unit: RateUnit, seed: int, evse_id: int, **seconds) -> list:
    """Where the schedule and the definition differ."""
    store = store_of(world)
    schedule = composite_schedule(store, evse_id=evse_id, start=start, duration_s=duration_s, unit=unit)
    assert duration_s == schedule.duration_s
    assert schedule.rows[0][0] == 0
    out = []
    first = second(start)
    for t in asked_seconds(start, duration_s, [row[0] for row in schedule.rows], Random(seed), **seconds):
        wanted = evse_at(world, evse_id, t, unit, first) if evse_id else station_at(world, t, unit, first)
        got = answered(schedule, t)
        wrong = {k: (wanted.get(k), v) for k, v in got.items() if wanted.get(k) != v}
        if schedule.rich is None:  # then the definition must have nothing more to say
            told = ("operation_mode", "phase_to_use", "setpoint", "discharge_limit", "limit_l2", "limit_l3")
            wrong |= {k: wanted[k] for k in told if wanted.get(k) is not None}
        if wrong:
            out.append((t - first, wrong))
    return out


@pytest.mark.parametrize("version", list(OcppVersion))
@pytest.mark.parametrize("evse_id", [1, 0])
@given(data=st.data())
@bounded
def test_the_schedule_equals_its_definition(version, evse_id, data):
    """Every second of windows up to an hour; breakpoints, their neighbours and random seconds of longer ones."""
    question = data.draw(questions(version))

    assert [] == differences(*question, evse_id)[:3]


@pytest.mark.parametrize("version", list(OcppVersion))
@given(data=st.data())
@bounded
def test_the_limit_now_equals_its_definition_until_its_end(version, data):
    """Nothing is simulated, and the answer does not change before the instant that it names."""
    question = data.draw(questions(version))
    world, start, _, _, seed = question
    store = store_of(world)
    limit = store.limit_at(1, start)
    first = second(start)
    end = first + 5000 if limit.until is None else min(second(limit.until), first + 700_000)
    assert end > first
    rng = Random(seed)
    for t in sorted({first, end - 1, *(rng.randrange(first, end) for _ in range(8))}):
        wanted = evse_at(world, 1, t, RateUnit.A, None)
        assert fraction(limit.limit_a) == enforced(wanted)
        assert limit == store.limit_at(1, datetime.fromtimestamp(t, UTC))

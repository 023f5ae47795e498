"""A batch answers what each EVSE would answer alone."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadmgr.composite.batch import BLOCK, ScheduleBatch
from loadmgr.composite.schedule import composite_schedule
from loadmgr.model.profile import OcppVersion, ProfileKind, RateUnit
from tests.loadmgr.composite.station_cases import NOON, profile, station, with_schedule
from tests.loadmgr.composite.worlds import instants, store_of, worlds

V16, V201, V21 = OcppVersion


@st.composite
def fleets(draw):
    """Some EVSEs with limits and phase counts only, and a question to all of them."""
    version = draw(st.sampled_from([V16, V201, V21]))
    found = [draw(worlds(version)) for _ in range(draw(st.integers(1, 5)))]
    day = found[0][1]
    for world, _ in found:
        world.dc, world.voltage = found[0][0].dc, found[0][0].voltage
    stores = [store_of(world) for world, _ in found]
    plain = [s for s in stores if not (s.layers(1, simulate=True).rich or s.layers(1, simulate=True).local)]
    stores = plain or [store_of(found[0][0], order=[])]
    duration_s = draw(st.sampled_from([0, 1, 300, 3600, 90_000]))
    return stores, draw(instants(day, back_days=1)), duration_s, draw(st.sampled_from(RateUnit))


@given(fleets())
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_batch_equals_its_schedules(fleet):
    """Row by row: starts, limits, phase counts."""
    stores, start, duration_s, unit = fleet
    if any(store.layers(1, simulate=True).rich or store.layers(1, simulate=True).local for store in stores):
        return
    batch = ScheduleBatch([store.settings for store in stores])
    for place, store in enumerate(stores):
        batch.put(place, store.layers(1, simulate=True))

    got = batch.schedules(start=start, duration_s=duration_s, unit=unit)

    for place, store in enumerate(stores):
        wanted = composite_schedule(store, evse_id=1, start=start, duration_s=duration_s, unit=unit).rows
        rows = slice(got.offsets[place], got.offsets[place + 1])
        assert [row[0] for row in wanted] == got.starts_s[rows].tolist()
        assert [row[1] for row in wanted] == got.limits[rows].tolist()
        assert [row[2] for row in wanted] == got.phase_codes[rows].tolist()


def test_only_the_changed_evse_is_converted_again():
    """An answer after a change is that of the new profiles."""
    stores = [station(V16), station(V16)]
    for store in stores:
        store.load(1, profile(1, {0: 16}), now=NOON)
    batch = ScheduleBatch([store.settings for store in stores])
    for place, store in enumerate(stores):
        batch.put(place, store.layers(1, simulate=True))
    before = batch.schedules(start=NOON, duration_s=60, unit=RateUnit.A).limits.tolist()
    stores[1].load(1, profile(2, {0: 8}, level=1), now=NOON)
    batch.put(1, stores[1].layers(1, simulate=True))

    assert [16.0, 16.0] == before
    assert [16.0, 8.0] == batch.schedules(start=NOON, duration_s=60, unit=RateUnit.A).limits.tolist()


def test_a_dynamic_profile_in_a_batch_leads_until_its_duration_after_the_update():
    """It has no start: its axis lies before the beginning of time (K28.FR.13)."""
    store = station(V21)
    store.load(1, profile(1, {0: 16}), now=NOON)
    dynamic = with_schedule(profile(2, {0: 10}, level=1, kind=ProfileKind.DYNAMIC, start=None), duration_s=60)
    store.load(1, dynamic, now=NOON)
    batch = ScheduleBatch([store.settings])
    batch.put(0, store.layers(1, simulate=True))

    got = batch.schedules(start=NOON, duration_s=3600, unit=RateUnit.A)

    assert ([0, 60], [10.0, 16.0]) == (got.starts_s.tolist(), got.limits.tolist())


def test_more_evses_than_a_block_are_answered_in_their_order():
    """And one that changes is converted again with its block alone."""
    stores = [station(V16) for _ in range(BLOCK + 2)]
    batch = ScheduleBatch([store.settings for store in stores])
    for place, store in enumerate(stores):
        store.load(1, profile(1, {0: 6 + place % 7, 30: 32}), now=NOON)
        batch.put(place, store.layers(1, simulate=True))
    batch.schedules(start=NOON, duration_s=60, unit=RateUnit.A)
    stores[BLOCK].load(1, profile(2, {0: 20}, level=1), now=NOON)
    batch.put(BLOCK, stores[BLOCK].layers(1, simulate=True))

    got = batch.schedules(start=NOON, duration_s=60, unit=RateUnit.A)

    rows = [[20.0] if place == BLOCK else [6.0 + place % 7, 32.0] for place in range(BLOCK + 2)]
    assert [limit for row in rows for limit in row] == got.limits.tolist()
    assert [len(row) for row in rows] == np.diff(got.offsets).tolist()


def test_no_limit_and_no_default_is_not_a_number():
    """None means no limit; an array says NaN."""
    store = station(V16, default_current_a=None, default_power_w=None)
    batch = ScheduleBatch([store.settings])
    batch.put(0, store.layers(1, simulate=True))

    assert np.isnan(batch.schedules(start=NOON, duration_s=60, unit=RateUnit.A).limits).all()


def test_what_a_batch_cannot_answer_is_refused_by_name():
    """Rich and local layers, missing ones, unlike stations, long windows, giant limits."""
    store = station(V21)
    local = with_schedule(profile(1, {0: 16}, start=datetime(2024, 1, 1, tzinfo=UTC)), use_local_time=True)
    store.load(1, local, now=NOON)
    batch = ScheduleBatch([store.settings])
    with pytest.raises(ValueError, match="layers of EVSE 0 must have limits"):
        batch.put(0, store.layers(1, simulate=True))
    with pytest.raises(ValueError, match="duration_s must lie in"):
        batch.schedules(start=NOON, duration_s=60, unit=RateUnit.A)
    with pytest.raises(ValueError, match=r"settings\[1\] must have the voltage"):
        ScheduleBatch([store.settings, station(V21, voltage_v=120.0).settings])
    giant = station(V16)
    giant.load(1, profile(1, {0: 1e12}), now=NOON)
    with pytest.raises(ValueError, match="limits must be below"):
        ScheduleBatch([giant.settings]).put(0, giant.layers(1, simulate=True))

"""What the hardware can carry caps every answer, whoever asks and whatever is installed."""

from datetime import timedelta

import pytest

from loadmgr.composite.batch import ScheduleBatch
from loadmgr.composite.hardware import HardwareLimit
from loadmgr.composite.schedule import composite_schedule
from loadmgr.model.profile import OcppVersion, ProfilePurpose, RateUnit
from tests.loadmgr.composite.station_cases import NOON, profile, station, steps, with_period

CAP = {"evse_hardware": HardwareLimit(current_a=16.0)}
GENERATION = {"purpose": ProfilePurpose.LOCAL_GENERATION}


def test_hardware_caps_profiles_and_default_alike_and_no_profile_decides_then():
    store = station(OcppVersion.V201, **CAP)
    store.set_profile(1, profile(1, {0: 32, 60: 10}, duration_s=120), now=NOON)

    schedule = composite_schedule(store, evse_id=1, start=NOON, duration_s=180, unit=RateUnit.A)

    assert [(0, 16.0, ()), (60, 10.0, (1,)), (120, 16.0, ())] == [
        (p.start_s, p.limit, p.because) for p in schedule.periods
    ]
    now, later = (store.limit_at(1, NOON + timedelta(seconds=s)) for s in (0, 60))
    assert [(16.0, ()), (10.0, (1,))] == [(each.limit_a, each.because) for each in (now, later)]


def test_hardware_in_watts_is_shared_by_the_phases():
    store = station(OcppVersion.V21, evse_hardware=HardwareLimit(power_w=11_040.0))
    store.set_profile(1, profile(1, {0: (20, 3), 60: (20, 1)}), now=NOON)

    assert {0: (16.0, 3), 60: (20.0, 1)} == steps(store, 120, phases=True)
    assert {0: (11_040.0, 3), 60: (4600.0, 1)} == steps(store, 120, unit=RateUnit.W, phases=True)


def test_generation_does_not_lift_a_limit_over_the_hardware():
    """LocalGeneration lies behind the meter, but not behind the wiring of the EVSE."""
    store = station(OcppVersion.V21, station_hardware=HardwareLimit(current_a=20.0), **CAP)
    store.load(1, profile(1, {0: 12}), now=NOON)
    store.load(0, profile(2, {0: 10}, **GENERATION), now=NOON)

    assert {0: 16.0} == steps(store, 60)
    assert {0: 20.0} == steps(store, 60, evse_id=0)


def test_the_station_is_capped_by_its_own_hardware():
    """K04.FR.05: two EVSEs of 16 A on a feeder of 25 A."""
    store = station(OcppVersion.V201, evses=2, station_hardware=HardwareLimit(current_a=25.0), **CAP)

    assert {0: 25.0} == steps(store, 60, evse_id=0)


def test_a_setpoint_stays_within_the_hardware_both_ways():
    store = station(OcppVersion.V21, **CAP)
    p = with_period(profile(1, {0: 0}), limit=None, setpoint=-30.0, discharge_limit=-40.0)
    store.load(1, p, now=NOON)

    (period,) = composite_schedule(store, evse_id=1, start=NOON, duration_s=60, unit=RateUnit.A).rich

    assert (16.0, -16.0, -16.0) == (period.limit, period.setpoint, period.discharge_limit)
    assert -16.0 == store.limit_at(1, NOON).setpoint_a


def test_a_batch_knows_each_evses_hardware():
    """One with, one without, and one that nothing else limits."""
    stores = [station(**CAP), station(), station(default_current_a=None, default_power_w=None, **CAP)]
    for store in stores[:2]:
        store.load(1, profile(1, {0: 32}), now=NOON)
    batch = ScheduleBatch([store.settings for store in stores])
    for place, store in enumerate(stores):
        batch.put(place, store.layers(1, simulate=True))

    assert [16.0, 32.0, 16.0] == batch.schedules(start=NOON, duration_s=60, unit=RateUnit.A).limits.tolist()


@pytest.mark.parametrize("fields", [{}, {"current_a": -1.0}, {"power_w": float("nan")}])
def test_a_hardware_limit_that_makes_no_sense_is_a_value_error(fields):
    with pytest.raises(ValueError, match=r"must have current_a|must lie in"):
        HardwareLimit(**fields)

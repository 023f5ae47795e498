"""What OCPP 2.1 adds, one rule a test."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from loadmgr.bridge.store_json import snapshot_from_json, snapshot_to_json
from loadmgr.composite.delays import delayed_starts, uniform_delays
from loadmgr.composite.schedule import composite_schedule
from loadmgr.composite.store import ProfileStore
from loadmgr.model.ids import ProfileId, TransactionId
from loadmgr.model.profile import (
    LimitAtSoC,
    OcppVersion,
    OperationMode,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    Recurrency,
    SchedulePeriod,
)
from tests.loadmgr.composite.station_cases import NOON, profile, start, station, steps, with_period, with_schedule

V21 = OcppVersion.V21
TX = {"purpose": ProfilePurpose.TX, "transaction_id": TransactionId("7")}
MAX = {"purpose": ProfilePurpose.CHARGE_POINT_MAX}
EXTERNAL = {"purpose": ProfilePurpose.EXTERNAL_CONSTRAINTS}
PRIORITY = {"purpose": ProfilePurpose.PRIORITY_CHARGING}
GENERATION = {"purpose": ProfilePurpose.LOCAL_GENERATION}
DYNAMIC = {"kind": ProfileKind.DYNAMIC}
DAILY = {"kind": ProfileKind.RECURRING, "recurrency": Recurrency.DAILY}
BERLIN = ZoneInfo("Europe/Berlin")
CENTRAL = OperationMode.CENTRAL_SETPOINT


def only(store: ProfileStore, *, evse_id: int = 1, unit: RateUnit = RateUnit.A) -> SchedulePeriod:
    """The one period of a minute from noon."""
    schedule = composite_schedule(store, evse_id=evse_id, start=NOON, duration_s=60, unit=unit)
    assert schedule.rich is not None
    assert len(schedule.rich) == 1
    return schedule.rich[0]


# --- random delays


def test_a_delayed_period_that_its_successor_overtakes_is_skipped():
    """K01.FR.97: the example of the errata."""
    assert ([0, 723, 987], [0, 2, 3]) == delayed_starts([0, 300, 600, 900], [0, 753, 123, 87], 10**9)


def test_a_delayed_period_past_the_end_is_skipped():
    """K01.FR.97, K01.FR.94: the duration is not moved."""
    assert ([0], [0]) == delayed_starts([0, 300], [0, 400], 650)


def test_delays_are_drawn_once_for_a_transaction_and_survive_a_restart():
    """K01.FR.92: the answer is reproducible."""
    waiting = with_schedule(profile(1, {0: 6, 100: 10, 1000: 16}, kind=ProfileKind.RELATIVE), randomized_delay_s=600)
    waiting = with_schedule(waiting, schedule_id=1)
    rng = np.random.default_rng(5)
    store = ProfileStore(station(V21).settings, draw_delays=uniform_delays(rng))
    store.load(1, waiting, now=NOON)
    undelayed = steps(store, 3600)
    start(store, 1, NOON)
    delayed = steps(store, 3600)
    again = ProfileStore.restored(store.settings, snapshot_from_json(snapshot_to_json(store.snapshot())), now=NOON)

    assert {0: 6.0, 100: 10.0, 1000: 16.0} == undelayed  # no transaction, no delay (K08.FR.06)
    assert delayed == steps(store, 3600) == steps(again, 3600)
    assert delayed != undelayed
    first = sorted(delayed)[1]
    assert 100 <= first <= 1600


def test_uniform_delays_stay_between_zero_and_the_highest():
    """K01.FR.92; the first period is never moved."""
    schedule = with_schedule(profile(1, dict.fromkeys(range(500), 1.0)), randomized_delay_s=3).schedules[0]
    drawn = uniform_delays(np.random.default_rng(1))(schedule)

    assert 0 == drawn[0]
    assert {0, 1, 2, 3} == set(drawn[1:])


# --- the wall clock


def local_daily(start_at: datetime, limits: dict) -> ProfileStore:
    store = station(V21, time_zone=BERLIN)
    what = profile(1, limits, start=start_at, **DAILY)
    store.load(1, with_schedule(what, use_local_time=True), now=NOON)
    return store


@pytest.mark.parametrize(
    ("day", "wanted"),
    [
        # 31 March: two o'clock does not exist; 27 October: it comes twice; UTC of local midnight differs
        (datetime(2024, 3, 30, 23, tzinfo=UTC), {0: 1.0, 3600: 2.0, 7200: 4.0, 10800: 5.0}),
        (datetime(2024, 10, 26, 22, tzinfo=UTC), {0: 1.0, 3600: 2.0, 7200: 3.0, 14400: 4.0, 18000: 5.0}),
        (datetime(2024, 6, 9, 22, tzinfo=UTC), {0: 1.0, 3600: 2.0, 7200: 3.0, 10800: 4.0, 14400: 5.0}),
    ],
)
def test_the_skipped_hour_is_skipped_and_the_repeated_one_runs_twice(day, wanted):
    """K01.FR.91: midnight, one, two, three and four o'clock on the wall."""
    store = local_daily(datetime(2024, 1, 1, tzinfo=UTC), {0: 1, 3600: 2, 7200: 3, 10800: 4, 14400: 5})

    assert wanted == steps(store, 6 * 3600, at=day)


def test_only_the_wall_clock_of_the_start_counts():
    """K01.FR.90: its offset is ignored."""
    limits = {0: 1, 3600: 2}
    zones = [UTC, timezone(timedelta(hours=9))]
    answers = [
        steps(local_daily(datetime(2024, 1, 1, 8, tzinfo=z), limits), 86400, at=datetime(2024, 6, 10, tzinfo=UTC))
        for z in zones
    ]

    assert {0: 2.0, 21600: 1.0, 25200: 2.0} == answers[0] == answers[1]


def test_a_local_day_is_always_full():
    """A daily schedule of 24 h leaves no gap on days of 23 and 25 h."""
    store = local_daily(datetime(2024, 1, 1, tzinfo=UTC), {0: 7})

    assert {0: 7.0} == steps(store, 400 * 86400, at=datetime(2024, 1, 10, tzinfo=UTC))


def test_without_local_time_the_clock_of_a_schedule_shifts():
    """A day is 86400 s of UTC."""
    store = station(V21, time_zone=BERLIN)
    store.load(1, profile(1, {0: 1, 3600: 2}, start=datetime(2024, 1, 1, 8, tzinfo=UTC), **DAILY), now=NOON)

    assert {0: 2.0, 28800: 1.0, 32400: 2.0} == steps(store, 86400, at=datetime(2024, 6, 10, tzinfo=UTC))


# --- offline


@pytest.mark.parametrize(
    ("offline_s", "wanted"),
    [(None, {0: 16.0}), (10, {0: 16.0, 591: 6.0}), (600, {0: 16.0, 1: 6.0}), (601, {0: 6.0})],
)
def test_a_profile_ends_with_the_time_that_it_may_be_offline(offline_s, wanted):
    """K01.FR.101: longer than, not as long as; lower levels take over."""
    store = station(V21)
    store.load(1, profile(1, {0: 16}, level=2, max_offline_s=600), now=NOON)
    store.load(1, profile(2, {0: 6}, level=1), now=NOON)
    if offline_s is not None:
        store.note_offline(NOON - timedelta(seconds=offline_s))

    assert wanted == steps(store, 1000)


@pytest.mark.parametrize(("for_good", "left"), [(True, [2]), (False, [1, 2]), (None, [1, 2])])
def test_back_online_a_profile_is_valid_again_unless_it_is_gone_for_good(for_good, left):
    """K01.FR.102, K01.FR.103."""
    store = station(V21)
    store.load(1, profile(1, {0: 16}, level=2, max_offline_s=0, invalid_after_offline=for_good), now=NOON)
    store.load(1, profile(2, {0: 6}, level=1), now=NOON)
    store.note_offline(NOON - timedelta(seconds=1))
    store.note_online(NOON)

    assert left == [p.profile.profile_id for p in store.profiles]


# --- priority charging


def test_priority_charging_replaces_tx_profiles_only_while_active():
    """K21.FR.04: the station maximum stays; on the end of the transaction it is over."""
    store = station(V21)
    store.load(0, profile(1, {0: 25}, **MAX), now=NOON)
    store.load(1, profile(2, {0: 10}, level=9, **TX), now=NOON)
    store.load(0, profile(3, {0: 32}, **PRIORITY), now=NOON)

    before = steps(store, 60)
    assert store.use_priority_charging(1, activate=True).accepted
    during = steps(store, 60)
    assert store.use_priority_charging(1, activate=False).accepted
    after = steps(store, 60)

    assert [{0: 10.0}, {0: 25.0}, {0: 10.0}] == [before, during, after]

    store.use_priority_charging(1, activate=True)
    store.end_transaction(1)
    start(store, 1, NOON, "9")

    assert {0: 25.0} == steps(store, 60)  # the maximum alone; the profile is still there
    assert 3 in [p.profile.profile_id for p in store.profiles]


# --- local generation


def test_generation_is_added_to_the_finished_minimum():
    """SC.01, K08.FR.04: it may exceed the station maximum."""
    store = station(V21)
    store.load(0, profile(1, {0: 1000}, unit=RateUnit.W, **MAX), now=NOON)
    store.load(1, profile(2, {0: 6000}, unit=RateUnit.W), now=NOON)
    store.load(0, profile(3, {0: 2500}, unit=RateUnit.W, **GENERATION), now=NOON)

    assert {0: 3500.0} == steps(store, 60, unit=RateUnit.W)
    assert (5.0, (1, 3)) == (store.limit_at(1, NOON).limit_a, store.limit_at(1, NOON).because)  # 1.4 and 3.6


def test_generation_of_the_only_evse_that_counts_is_added_to_the_sum():
    """Of two EVSEs one charges, and the idle one counts as nothing."""
    store = station(V21, evses=2, idle_counts_as_zero=True)
    store.load(1, profile(1, {0: 10}), now=NOON)
    store.load(1, profile(2, {0: 4}, purpose=ProfilePurpose.LOCAL_GENERATION), now=NOON)

    assert {0: 14.0} == steps(store, 60, evse_id=0)


def test_generation_is_named_among_what_decides_the_stations_sum():
    store = station(V21)
    store.load(0, profile(1, {0: 10}, purpose=ProfilePurpose.CHARGE_POINT_MAX), now=NOON)
    store.load(0, profile(2, {0: 4}, purpose=ProfilePurpose.LOCAL_GENERATION), now=NOON)

    schedule = composite_schedule(store, evse_id=0, start=NOON, duration_s=60, unit=RateUnit.A)

    assert [(14.0, (1, 2))] == [(p.limit, p.because) for p in schedule.periods]


def test_generation_of_the_station_is_shared_and_added_to_its_total_once():
    """K04.FR.05: not to each of several EVSEs."""
    store = station(V21, evses=2)
    store.load(0, profile(1, {0: 10}), now=NOON)
    store.load(0, profile(2, {0: 12}, **MAX), now=NOON)
    store.load(0, profile(3, {0: 5}, **GENERATION), now=NOON)
    store.load(2, profile(4, {0: 1}, **GENERATION), now=NOON)

    assert [{0: 18.0}, {0: 10.0}, {0: 11.0}] == [steps(store, 60, evse_id=e) for e in (0, 1, 2)]


# --- setpoints


def setpoint_store(*, csms: bool) -> ProfileStore:
    store = station(V21, setpoint_priority_csms=csms)
    own = {"operation_mode": CENTRAL, "setpoint": 20.0, "setpoint_reactive": 3.0, "discharge_limit": -10.0}
    store.load(1, with_period(profile(1, {0: 30}), **own), now=NOON)
    outside = with_period(profile(2, {0: 25}, **EXTERNAL), setpoint=-12.0, discharge_limit=-8.0)
    store.load(0, outside, now=NOON)
    return store


def test_one_source_gives_the_setpoint_and_the_limits_cap_it():
    """Q06.FR.20 to Q06.FR.22, V2X.03, V2X.04."""
    external, central = (only(setpoint_store(csms=csms)) for csms in (False, True))

    assert (-8.0, None, 25.0, -8.0) == (
        external.setpoint,
        external.setpoint_reactive,
        external.limit,
        external.discharge_limit,
    )
    assert (20.0, 3.0, CENTRAL) == (central.setpoint, central.setpoint_reactive, central.operation_mode)


def test_an_external_mode_takes_what_the_external_system_set():
    """K29.FR.03, Q05.FR.01: the values are absent in the TxProfile."""
    store = station(V21)
    store.load(1, with_period(profile(1, {0: 0}), limit=None, operation_mode=OperationMode.EXTERNAL_LIMITS), now=NOON)
    outside = with_period(profile(2, {0: 9}, **EXTERNAL), discharge_limit=-4.0)
    store.put(0, outside, now=NOON)

    assert (9.0, -4.0) == (only(store).limit, only(store).discharge_limit)
    assert store.remove(ProfileId(2))
    assert (48.0, None) == (only(store).limit, only(store).discharge_limit)  # released at once (K13.FR.01)


def test_idle_means_no_energy_whatever_is_generated():
    """Q10; unsupported sleep is reported false (Q10.FR.05)."""
    store = station(V21, supports_evse_sleep=False)
    idle = with_period(profile(1, {0: 0}), limit=None, operation_mode=OperationMode.IDLE, evse_sleep=True)
    store.load(1, idle, now=NOON)
    store.load(0, profile(2, {0: 8}, **GENERATION), now=NOON)

    assert (0.0, False, OperationMode.IDLE) == (only(store).limit, only(store).evse_sleep, only(store).operation_mode)
    assert (0.0, OperationMode.IDLE) == (store.limit_at(1, NOON).limit_a, store.limit_at(1, NOON).mode)


# --- phases


def test_values_per_phase_spread_the_others():
    """K08.FR.09: A is copied, W divided by its own phases."""
    store = station(V21)
    each = with_period(profile(1, {0: 10}, **TX), limit_l2=12.0, limit_l3=30.0)
    store.load(1, each, now=NOON)
    store.load(0, profile(2, {0: 13800}, unit=RateUnit.W, **MAX), now=NOON)

    ampere, watt = only(store), only(store, unit=RateUnit.W)

    assert (10.0, 12.0, 20.0) == (ampere.limit, ampere.limit_l2, ampere.limit_l3)
    assert (2300.0, 2760.0, 4600.0) == (watt.limit, watt.limit_l2, watt.limit_l3)
    assert 10.0 == store.limit_at(1, NOON).limit_a


def test_with_one_phase_the_lowest_of_three_counts():
    """K01.FR.147."""
    store = station(V21)
    store.load(1, with_period(profile(1, {0: (10, 3)}, **TX), limit_l2=8.0, limit_l3=30.0), now=NOON)
    store.load(0, profile(2, {0: (20, 1)}, **MAX), now=NOON)

    assert (8.0, None, None, 1) == (only(store).limit, only(store).limit_l2, only(store).limit_l3, only(store).phases)


@pytest.mark.parametrize("version", [OcppVersion.V201, V21])
def test_the_phase_to_use_is_told_if_all_agree(version):
    """K01.FR.140: lowest count; a contradiction tells nothing."""
    store = station(version)
    store.load(1, with_period(profile(1, {0: (10, 1)}), phase_to_use=2), now=NOON)
    agreed = only(store).phase_to_use
    store.load(0, with_period(profile(2, {0: (10, 1)}, **MAX), phase_to_use=3), now=NOON)

    assert (2, None) == (agreed, only(store).phase_to_use)


# --- dynamic profiles and state of charge


def test_a_dynamic_profile_holds_from_its_last_update():
    """K28.FR.05, K28.FR.13 to K28.FR.15: past its duration it is not valid, and an update revives it."""
    store = station(V21)
    assert store.set_profile(1, profile(1, {0: 20}, duration_s=100, **DYNAMIC), now=NOON).accepted
    store.load(1, profile(2, {0: 6}, level=0), now=NOON - timedelta(days=1))
    higher = replace(store.profiles[0].profile, stack_level=1)
    store.put(1, higher, now=NOON)

    assert {0: 20.0, 100: 6.0} == steps(store, 200)

    later = NOON + timedelta(seconds=150)
    assert store.update_dynamic(ProfileId(1), SchedulePeriod(start_s=0, limit=8.0), now=later).accepted

    assert {0: 8.0, 250: 6.0} == steps(store, 300)
    assert later == next(p for p in store.profiles if p.profile.profile_id == 1).profile.dyn_update_time
    assert "UnknownProfile" == store.update_dynamic(ProfileId(9), SchedulePeriod(start_s=0), now=later).reason
    assert "InvalidProfile" == store.update_dynamic(ProfileId(2), SchedulePeriod(start_s=0), now=later).reason


def test_a_full_vehicle_is_capped_by_its_own_schedule():
    """K01.FR.100; unknown is ignored."""
    store = station(V21)
    store.load(1, with_schedule(profile(1, {0: 20}), limit_at_soc=LimitAtSoC(soc_percent=80, limit=5.0)), now=NOON)
    answers = []
    for soc_percent in (None, 79.9, 80.0):
        store.note_soc(1, soc_percent)
        answers.append(steps(store, 60))

    assert [{0: 20.0}, {0: 20.0}, {0: 5.0}] == answers


# --- several schedules, DC, the station


def test_schedules_to_choose_from_are_paired_by_their_place():
    """K15.FR.22, K18.FR.24."""
    store = station(V21, iso15118=True)
    two = replace(profile(1, {0: 1}, **TX), schedules=profile(1, {0: 10}).schedules + profile(1, {0: 20}).schedules)
    store.set_profile(1, two, now=NOON)
    store.set_profile(1, profile(2, {0: 15}), now=NOON)

    got = [
        composite_schedule(store, evse_id=1, start=NOON, duration_s=60, unit=RateUnit.A, schedule_index=i).rows[0][1]
        for i in (0, 1, 2)
    ]

    assert [10.0, 20.0, 20.0] == got


def test_watts_are_compared_as_watts_on_dc():
    """K01.FR.44: phases play no part."""
    store = station(V21, direct_current=True)
    store.load(1, profile(1, {0: (50_000, 3)}, unit=RateUnit.W), now=NOON)
    store.load(0, profile(2, {0: (40_000, 1)}, unit=RateUnit.W, **MAX), now=NOON)

    assert {0: (40_000.0, None)} == steps(store, 60, unit=RateUnit.W, phases=True)


def test_external_limits_on_0_cap_each_evse_and_the_sum():
    """K12.FR.01; K11.FR.07 lets a station ignore them."""
    answers = []
    for ignored in (False, True):
        store = station(V21, evses=2, external_constraints_disallowed=ignored)
        store.load(0, profile(1, {0: 10}), now=NOON)
        store.load(0, profile(2, {0: 8}, **EXTERNAL), now=NOON)
        answers.append([steps(store, 60, evse_id=e)[0] for e in (0, 1, 2)])

    assert [[8.0, 8.0, 8.0], [20.0, 10.0, 10.0]] == answers


def test_a_setpoint_of_the_station_is_the_sum_or_the_external_one():
    """Q06.FR.31."""
    store = station(V21, evses=2)
    for evse_id in (1, 2):
        what = with_period(profile(evse_id, {0: 30}), setpoint=-6.0, discharge_limit=-7.0, operation_mode=CENTRAL)
        store.load(evse_id, what, now=NOON)
    summed = only(store, evse_id=0)
    store.load(0, with_period(profile(9, {0: 50}, **EXTERNAL), setpoint=5.0), now=NOON)
    outside = only(store, evse_id=0)

    assert (-12.0, -14.0, 60.0) == (summed.setpoint, summed.discharge_limit, summed.limit)
    assert (5.0, 50.0) == (outside.setpoint, outside.limit)


def test_idle_evses_may_count_as_zero():
    """Section 7: what the station is expected to consume."""
    store = station(V21, evses=3, idle_counts_as_zero=True)
    store.load(0, profile(1, {0: 10}), now=NOON)

    assert {0: 10.0} == steps(store, 60, evse_id=0)

"""Set, replace, clear, end of transaction, restart."""

from datetime import timedelta

import pytest

from loadmgr.bridge.store_json import snapshot_from_json, snapshot_to_json
from loadmgr.composite.bound import MAX_PROFILES
from loadmgr.composite.clearing import ClearCriteria
from loadmgr.composite.store import ProfileStore
from loadmgr.model.ids import TransactionId
from loadmgr.model.profile import OcppVersion, ProfileKind, ProfilePurpose, Recurrency
from tests.loadmgr.composite.station_cases import NOON, profile, start, station, steps

TX = {"purpose": ProfilePurpose.TX}
DAILY = {"kind": ProfileKind.RECURRING, "recurrency": Recurrency.DAILY}
LOCAL = {"use_local_time": True}
RELATIVE = {"kind": ProfileKind.RELATIVE}


def ids(store: ProfileStore) -> list[int]:
    return [p.profile.profile_id for p in store.profiles]


def test_the_end_of_a_transaction_deletes_its_profiles_and_only_those():
    """1.6 section 5.16, K02.FR.05; those without an id too."""
    store = station(evses=2)
    start(store, 2, NOON, "8")
    for evse_id, p in ((1, profile(1, {0: 8}, **TX)), (1, profile(2, {0: 9})), (2, profile(3, {0: 8}, **TX))):
        assert store.set_profile(evse_id, p, now=NOON).accepted

    store.end_transaction(1)

    assert [2, 3] == ids(store)


def test_1_6_replaces_by_id_and_by_purpose_and_level_at_once():
    """Section 5.16.4: both can fire and remove two profiles."""
    store = station(OcppVersion.V16, evses=2)
    for evse_id, p in ((1, profile(1, {0: 8})), (2, profile(2, {0: 9})), (1, profile(2, {0: 10}))):
        assert store.set_profile(evse_id, p, now=NOON).accepted

    assert [2] == ids(store)
    assert {0: 10.0} == steps(store, 10)


def test_a_replacement_in_the_future_leaves_default_behaviour_until_then():
    """1.6 section 5.16.4: the old one goes at once."""
    store = station()
    store.set_profile(1, profile(1, {0: 8}), now=NOON)
    store.set_profile(1, profile(2, {0: 9}, valid_from=NOON + timedelta(seconds=60)), now=NOON)

    assert {0: 48.0, 60: 9.0} == steps(store, 120)


def test_the_profile_of_a_remote_start_waits_for_its_transaction():
    """It takes no part before, and is bound when the transaction starts."""
    store = station(transaction_at=None)

    assert store.set_for_start(1, profile(1, {0: 8}, **TX, **RELATIVE), now=NOON).accepted
    assert {0: 48.0} == steps(store, 60)

    start(store, 1, NOON + timedelta(seconds=30), "9")

    assert TransactionId("9") == store.profiles[0].profile.transaction_id
    assert 8.0 == store.limit_at(1, NOON + timedelta(seconds=40)).limit_a


@pytest.mark.parametrize(
    ("criteria", "left"),
    [
        (ClearCriteria(), []),
        (ClearCriteria(evse_id=0), [2, 3]),
        (ClearCriteria(profile_id=2, evse_id=0, stack_level=9), [1, 3]),
        (ClearCriteria(evse_id=1, stack_level=1), [1, 2]),
        (ClearCriteria(purpose=ProfilePurpose.TX_DEFAULT), [1]),
        (ClearCriteria(profile_id=99), [1, 2, 3]),
    ],
)
def test_clearing_by_id_alone_or_by_all_given_fields(criteria, left):
    """1.6 errata 3.25 and 3.26; 0 means what is installed on 0."""
    store = station()
    store.load(0, profile(1, {0: 8}, purpose=ProfilePurpose.CHARGE_POINT_MAX), now=NOON)
    store.load(1, profile(2, {0: 8}), now=NOON)
    store.load(1, profile(3, {0: 8}, level=1), now=NOON)

    assert (len(left) < 3) is store.clear(criteria)
    assert left == ids(store)


def test_external_constraints_are_never_cleared():
    """K10.FR.03, K10.FR.04."""
    store = station(OcppVersion.V201)
    store.load(0, profile(-1, {0: 8}, purpose=ProfilePurpose.EXTERNAL_CONSTRAINTS), now=NOON)

    assert not store.clear(ClearCriteria(profile_id=-1))
    assert [-1] == ids(store)


@pytest.mark.parametrize("version", list(OcppVersion))
def test_a_restart_loses_nothing(version):
    """1.6 errata 3.37, K01.FR.27: profiles and relative origins survive."""
    store = station(version)
    later = NOON + timedelta(seconds=90)
    schedule = {"schedule_id": None if version is OcppVersion.V16 else 5}
    first = profile(1, {0: 8, 60: 9, 120: 10}, **RELATIVE, schedule_fields=schedule)
    second = profile(2, {0: 7}, duration_s=100, **TX, transaction_id=TransactionId("7"), schedule_fields=schedule)
    for p in (first, second):
        assert store.set_profile(1, p, now=NOON).accepted

    again = ProfileStore.restored(store.settings, snapshot_from_json(snapshot_to_json(store.snapshot())), now=later)

    assert store.profiles == again.profiles
    assert steps(store, 600, at=later) == steps(again, 600, at=later)
    assert store.limit_at(1, later) == again.limit_at(1, later)


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("what", "stays"),
    [
        (profile(1, {0: 8}, valid_to=NOON), False),
        (profile(1, {0: 8}, valid_to=NOON + HOUR), True),
        (profile(1, {0: 8}, start=NOON - HOUR, duration_s=3600), False),
        (profile(1, {0: 8}, start=NOON - HOUR, duration_s=3601), True),
        (profile(1, {0: 8}, start=NOON - HOUR), True),
        (profile(1, {0: 8}, duration_s=0, **RELATIVE), True),
        (profile(1, {0: 8}, start=NOON - 9 * HOUR, duration_s=60, **DAILY), True),
        (profile(1, {0: 8}, start=NOON - 20 * HOUR, duration_s=60, schedule_fields=LOCAL), True),
        (profile(1, {0: 8}, start=NOON - 40 * HOUR, duration_s=60, schedule_fields=LOCAL), False),
        (profile(1, {0: 8}, duration_s=60, kind=ProfileKind.DYNAMIC, dyn_update_time=NOON - HOUR), True),
    ],
)
def test_only_what_can_never_speak_again_is_purged(what, stays):
    """A relative profile serves the next transaction, an update revives a dynamic one (K28.FR.15)."""
    store = station(OcppVersion.V21)
    store.load(1, what, now=NOON)

    assert stays is not store.purge(NOON)
    assert ([1] if stays else []) == ids(store)


def test_what_has_expired_makes_room_and_blocks_nothing():
    """It counts neither against the most that a station holds nor as a duplicate (K01.FR.06)."""
    store = station(OcppVersion.V201, max_profiles=1)
    assert store.set_profile(1, profile(1, {0: 8}, valid_to=NOON + HOUR), now=NOON).accepted

    too_early = store.set_profile(1, profile(2, {0: 9}), now=NOON)
    in_time = store.set_profile(1, profile(2, {0: 9}), now=NOON + HOUR)

    assert ("DuplicateProfile", True) == (too_early.reason, in_time.accepted)
    assert [2] == ids(store)


def test_a_store_without_a_maximum_is_bounded_all_the_same():
    """Whoever sends profiles without end does not fill the memory."""
    store = station(OcppVersion.V21)
    for number in range(MAX_PROFILES):
        store.load(1, profile(number, {0: 8}), now=NOON)

    assert "TooManyElements" == store.set_profile(1, profile(-1, {0: 8}, level=1), now=NOON).reason


def test_the_profile_of_a_later_remote_start_overtakes_the_waiting_one():
    store = station(transaction_at=None)
    for number in (1, 2):
        assert store.set_for_start(1, profile(number, {0: 8}, **TX, level=number, **RELATIVE), now=NOON).accepted

    start(store, 1, NOON, "9")

    assert [2] == ids(store)


def test_what_a_vehicle_announced_caps_its_own_evse():
    """SC.04, K15.FR.14: the lower value is reported; it ends with the transaction and is no profile."""
    store = station(OcppVersion.V201)
    store.set_profile(1, profile(1, {0: 20}), now=NOON)
    store.note_vehicle_schedule(1, profile(0, {0: 32, 60: 7}).schedules[0])

    later = store.limit_at(1, NOON + timedelta(seconds=60))

    assert {0: 20.0, 60: 7.0} == steps(store, 120)
    assert (7.0, ()) == (later.limit_a, later.because)
    assert [1] == ids(store)

    store.end_transaction(1)

    assert {0: 20.0} == steps(store, 120)

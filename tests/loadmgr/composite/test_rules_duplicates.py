"""Two profiles of one place: what replaces, what is refused, what a start may bring."""

from dataclasses import replace
from datetime import timedelta

import pytest

from loadmgr.model.ids import ProfileId, TransactionId
from loadmgr.model.profile import OcppVersion, ProfilePurpose
from tests.loadmgr.composite.station_cases import NOON, profile, station, with_period

V16, V201, V21 = OcppVersion
TX = {"purpose": ProfilePurpose.TX, "transaction_id": TransactionId("7")}
ANY_TX = {"purpose": ProfilePurpose.TX}
MAX = {"purpose": ProfilePurpose.CHARGE_POINT_MAX}
EXTERNAL = {"purpose": ProfilePurpose.EXTERNAL_CONSTRAINTS}


def simple(**fields):
    return profile(1, {0: 16}, **fields)


def test_a_replacement_passes_at_the_limit_of_profiles():
    """Only one more would be too many."""
    store = station(V201, max_profiles=1)

    assert [True, True, False] == [
        store.set_profile(1, p, now=NOON).accepted for p in (simple(), simple(level=2), profile(2, {0: 5}, level=3))
    ]


LATER = NOON + timedelta(hours=1)
DUPLICATES = [
    ("same level, other id", 1, simple(), 1, profile(2, {0: 8}), "K01.FR.06"),
    ("touching validity", 1, simple(valid_to=LATER), 1, profile(2, {0: 8}, valid_from=LATER), None),
    ("overlapping validity", 1, simple(valid_to=LATER), 1, profile(2, {0: 8}, valid_from=NOON), "K01.FR.06"),
    ("default on 0 against an EVSE", 1, simple(), 0, profile(2, {0: 8}), "K01.FR.52"),
    ("default on an EVSE against 0", 0, simple(), 1, profile(2, {0: 8}), "K01.FR.53"),
    ("default on another EVSE", 2, simple(), 1, profile(2, {0: 8}), None),
    ("default on another level", 0, simple(), 1, profile(2, {0: 8}, level=1), None),
    ("tx of one level", 1, simple(**TX), 1, profile(2, {0: 8}, **TX), "K01.FR.39"),
    ("tx of another level", 1, simple(**TX), 1, profile(2, {0: 8}, level=1, **TX), None),
    ("other purpose", 0, simple(**MAX), 1, profile(2, {0: 8}), None),
    ("same id elsewhere", 2, simple(), 1, simple(level=3), None),
]


@pytest.mark.parametrize(
    ("case", "first_on", "first", "second_on", "second", "requirement"), DUPLICATES, ids=[d[0] for d in DUPLICATES]
)
def test_two_profiles_of_one_place_are_refused_in_2_x(case, first_on, first, second_on, second, requirement):
    """The store is keyed by id, so no two may speak with one rank at one time."""
    store = station(V201, evses=2)
    assert store.set_profile(first_on, first, now=NOON).accepted

    verdict = store.set_profile(second_on, second, now=NOON)

    assert (requirement is None, requirement) == (verdict.accepted, verdict.requirement)
    assert requirement is None or verdict.reason == "DuplicateProfile"


def test_an_id_moves_with_its_profile():
    """K01.FR.05: the same id replaces wherever it was."""
    store = station(V201, evses=2)
    store.set_profile(2, simple(), now=NOON)
    store.set_profile(1, simple(level=3), now=NOON)

    assert [(1, 3)] == [(p.evse_id, p.profile.stack_level) for p in store.profiles]


def test_an_external_constraint_is_not_replaced_by_id():
    """K01.FR.05."""
    store = station(V201)
    store.put(0, profile(1, {0: 20}, **EXTERNAL), now=NOON)

    assert "K01.FR.05" == store.set_profile(1, simple(), now=NOON).requirement


def test_phases_to_use_must_not_contradict_each_other():
    """K01.FR.141."""
    store = station(V21)
    one, two = (with_period(profile(1, {0: (16, 1)}), phase_to_use=n) for n in (1, 2))
    cap = replace(one, purpose=ProfilePurpose.CHARGE_POINT_MAX, profile_id=ProfileId(9))

    assert store.set_profile(0, cap, now=NOON).accepted
    assert "PhaseConflict" == store.set_profile(1, two, now=NOON).reason
    assert store.set_profile(1, one, now=NOON).accepted


@pytest.mark.parametrize(
    ("version", "what", "requirement"),
    [
        (V16, simple(), "1.6 5.11"),
        (V201, simple(), "K05.FR.05"),
        (V16, simple(**TX), "1.6 5.11"),
        (V201, simple(**TX), "K05.FR.02"),
        (V201, profile(1, {5: 3}, **ANY_TX), "K01.FR.31"),
        (V201, simple(**ANY_TX), None),
    ],
)
def test_a_start_takes_a_tx_profile_without_an_id(version, what, requirement):
    """1.6 section 5.11, K05.FR.02, K05.FR.05; its schedule is held to the same rules."""
    verdict = station(version, transaction_at=None).set_for_start(1, what, now=NOON)

    assert (requirement is None, requirement) == (verdict.accepted, verdict.requirement)

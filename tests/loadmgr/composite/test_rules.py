"""May this profile be installed? Status, reason, requirement and field of every rule."""

import math
from dataclasses import replace
from datetime import timedelta

import pytest

from loadmgr.composite.transaction import NeedsTold
from loadmgr.model.ids import TransactionId
from loadmgr.model.profile import (
    OcppVersion,
    OperationMode,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    Recurrency,
)
from tests.loadmgr.composite.station_cases import NOON, profile, station, with_period, with_schedule

V16, V201, V21 = OcppVersion
TX = {"purpose": ProfilePurpose.TX, "transaction_id": TransactionId("7")}
ANY_TX = {"purpose": ProfilePurpose.TX}
MAX = {"purpose": ProfilePurpose.CHARGE_POINT_MAX}
EXTERNAL = {"purpose": ProfilePurpose.EXTERNAL_CONSTRAINTS}
PRIORITY = {"purpose": ProfilePurpose.PRIORITY_CHARGING}
GENERATION = {"purpose": ProfilePurpose.LOCAL_GENERATION}
RELATIVE = {"kind": ProfileKind.RELATIVE}
RECURRING = {"kind": ProfileKind.RECURRING}
DYNAMIC = {"kind": ProfileKind.DYNAMIC}


def simple(**fields):
    return profile(1, {0: 16}, **fields)


IN_BALANCE = with_period(simple(), limit=None, operation_mode=OperationMode.LOCAL_LOAD_BALANCING)
MODE_FIELD = "schedules[0].periods[0].operation_mode"
REFUSED = [
    # every version
    ("max on an EVSE", V16, 1, simple(**MAX), {}, "InvalidValue", "1.6 3.13.1", "evse_id"),
    ("max on an EVSE", V201, 1, simple(**MAX), {}, "InvalidValue", "K04.FR.03", "evse_id"),
    ("relative max", V16, 0, simple(**MAX, **RELATIVE), {}, "InvalidValue", "1.6 3.13.1, read as K01.FR.38", "kind"),
    ("relative max", V201, 0, simple(**MAX, **RELATIVE), {}, "InvalidValue", "K01.FR.38", "kind"),
    ("tx on 0", V16, 0, simple(**TX), {}, "InvalidValue", "1.6 3.13.1", "evse_id"),
    ("tx on 0", V201, 0, simple(**TX), {}, "InvalidValue", "K01.FR.16", "evse_id"),
    ("unknown EVSE", V201, 3, simple(), {}, "UnknownEVSE", "K01.FR.28", "evse_id"),
    ("negative level", V16, 1, simple(level=-1), {}, "InvalidStackLevel", None, "stack_level"),
    ("level too high", V201, 1, simple(level=4), {"max_stack_level": 3}, "InvalidStackLevel", None, "stack_level"),
    ("unit", V16, 1, simple(), {"allowed_units": [RateUnit.W]}, "UnsupportedRateUnit", None, "schedules[0].unit"),
    (
        "unit",
        V201,
        1,
        simple(),
        {"allowed_units": [RateUnit.W]},
        "UnsupportedRateUnit",
        "K01.FR.26",
        "schedules[0].unit",
    ),
    ("first start", V16, 1, profile(1, {5: 16}), {}, "InvalidSchedule", "K01.FR.31", "schedules[0].periods[0].start_s"),
    (
        "not increasing",
        V201,
        1,
        profile(1, {0: 16, 9: 8, 5: 7}),
        {},
        "InvalidSchedule",
        "K01.FR.35",
        "schedules[0].periods[2].start_s",
    ),
    ("no periods", V16, 1, profile(1, {}), {}, "InvalidSchedule", None, "schedules[0].periods"),
    (
        "too many periods",
        V16,
        1,
        profile(1, {0: 1, 1: 2, 2: 3}),
        {"max_periods": 2},
        "TooManyElements",
        None,
        "schedules[0].periods",
    ),
    (
        "periods of the schema",
        V201,
        1,
        profile(1, dict.fromkeys(range(1025), 6.0)),
        {},
        "TooManyElements",
        None,
        "schedules[0].periods",
    ),
    ("too many profiles", V16, 1, simple(), {"max_profiles": 0}, "TooManyElements", None, "profile_id"),
    ("negative limit", V16, 1, profile(1, {0: -1.0}), {}, "InvalidSchedule", None, "schedules[0].periods[0].limit"),
    (
        "infinite limit",
        V201,
        1,
        profile(1, {0: math.inf}),
        {},
        "InvalidSchedule",
        None,
        "schedules[0].periods[0].limit",
    ),
    ("NaN", V201, 1, profile(1, {0: math.nan}), {}, "InvalidSchedule", None, "schedules[0].periods[0].limit"),
    (
        "no limit",
        V201,
        1,
        with_period(simple(), limit=None),
        {},
        "InvalidSchedule",
        None,
        "schedules[0].periods[0].limit",
    ),
    # times
    ("recurring without kind", V16, 1, simple(**RECURRING), {}, "InvalidProfile", None, "recurrency"),
    (
        "recurring without start",
        V16,
        1,
        simple(start=None, recurrency=Recurrency.DAILY, **RECURRING),
        {},
        "InvalidSchedule",
        "1.6 5.16.4",
        "schedules[0].start",
    ),
    ("absolute without start", V201, 1, simple(start=None), {}, "InvalidSchedule", "K01.FR.40", "schedules[0].start"),
    (
        "absolute without start",
        V16,
        1,
        simple(start=None),
        {"allow_missing_start": False},
        "InvalidSchedule",
        "1.6 7.13",
        "schedules[0].start",
    ),
    (
        "relative with start",
        V201,
        1,
        with_schedule(simple(**RELATIVE), start=NOON),
        {},
        "InvalidSchedule",
        "K01.FR.41",
        "schedules[0].start",
    ),
    # transactions
    ("no transaction", V16, 2, simple(**ANY_TX), {}, "TxNotFound", "1.6 5.16.4", "transaction_id"),
    ("no transaction", V201, 2, simple(**TX), {}, "TxNotFound", "K01.FR.09", "transaction_id"),
    ("no id", V201, 1, simple(**ANY_TX), {}, "MissingParam", "K01.FR.03", "transaction_id"),
    (
        "other transaction",
        V201,
        1,
        simple(purpose=ProfilePurpose.TX, transaction_id=TransactionId("8")),
        {},
        "TxNotFound",
        "K01.FR.33",
        "transaction_id",
    ),
    (
        "other transaction",
        V16,
        1,
        simple(purpose=ProfilePurpose.TX, transaction_id=TransactionId("8")),
        {},
        "TxNotFound",
        "1.6 5.16",
        "transaction_id",
    ),
    # 2.x
    ("external constraints", V201, 0, simple(**EXTERNAL), {}, "InvalidValue", "K01.FR.22", "purpose"),
    (
        "several schedules",
        V201,
        1,
        replace(simple(**TX), schedules=simple().schedules * 2),
        {},
        "InvalidSchedule",
        "K01.FR.34",
        "schedules",
    ),
    (
        "phases above the supply",
        V201,
        1,
        profile(1, {0: (16, 3)}),
        {"supply_phases": 1},
        "InvalidSchedule",
        "K01.FR.43, K01.FR.45",
        "schedules[0].periods[0].phases",
    ),
    (
        "four phases",
        V21,
        1,
        profile(1, {0: (16, 4)}),
        {},
        "InvalidSchedule",
        "K01.FR.43, K01.FR.45",
        "schedules[0].periods[0].phases",
    ),
    (
        "phase to use with three",
        V201,
        1,
        with_period(profile(1, {0: (16, 3)}), phase_to_use=2),
        {},
        "InvalidSchedule",
        "K01.FR.19",
        "schedules[0].periods[0].phase_to_use",
    ),
    (
        "no phase switching",
        V201,
        1,
        with_period(profile(1, {0: (16, 1)}), phase_to_use=2),
        {"ac_phase_switching": False},
        "InvalidSchedule",
        "K01.FR.20, K01.FR.48",
        "schedules[0].periods[0].phase_to_use",
    ),
    (
        "phases on DC",
        V201,
        1,
        profile(1, {0: (16, 1)}),
        {"direct_current": True},
        "InvalidSchedule",
        "K01.FR.44, K01.FR.54",
        "schedules[0].periods[0].phases",
    ),
    (
        "phases on DC",
        V21,
        1,
        profile(1, {0: (16, 1)}),
        {"direct_current": True},
        "NoPhaseForDC",
        "K01.FR.44, K01.FR.54",
        "schedules[0].periods[0].phases",
    ),
    # 2.1
    (
        "unsupported purpose",
        V21,
        1,
        simple(**PRIORITY),
        {"additional_purposes": []},
        "UnsupportedPurpose",
        "K01.FR.120",
        "purpose",
    ),
    (
        "unsupported kind",
        V21,
        1,
        simple(**DYNAMIC),
        {"supports_dynamic": False},
        "UnsupportedKind",
        "K01.FR.121",
        "kind",
    ),
    (
        "update time without dynamic",
        V21,
        1,
        simple(dyn_update_time=NOON),
        {},
        "InvalidProfile",
        "K01.FR.122",
        "dyn_update_time",
    ),
    (
        "dynamic with two periods",
        V21,
        1,
        profile(1, {0: 16, 5: 8}, **DYNAMIC),
        {},
        "InvalidSchedule",
        "K28.FR.01, K28.FR.02",
        "schedules[0].periods",
    ),
    (
        "local time",
        V21,
        1,
        with_schedule(simple(), use_local_time=True),
        {"supports_local_time": False},
        "InvalidSchedule",
        "K01.FR.123",
        "schedules[0].use_local_time",
    ),
    (
        "random delay",
        V21,
        1,
        with_schedule(simple(), randomized_delay_s=60),
        {"supports_randomized_delay": False},
        "InvalidSchedule",
        "K01.FR.124",
        "schedules[0].randomized_delay_s",
    ),
    (
        "random delay of a max",
        V21,
        0,
        with_schedule(simple(**MAX), randomized_delay_s=60),
        {},
        "InvalidSchedule",
        "K01.FR.95",
        "schedules[0].randomized_delay_s",
    ),
    (
        "priority with duration",
        V21,
        1,
        simple(duration_s=60, **PRIORITY),
        {},
        "InvalidSchedule",
        "K01.FR.70",
        "schedules[0].duration_s",
    ),
    (
        "id of external constraints",
        V21,
        1,
        simple(),
        {"max_external_constraints_id": 6},
        "InvalidProfileId",
        "K01.FR.81",
        "profile_id",
    ),
    (
        "L2 in a default",
        V21,
        1,
        with_period(simple(), limit_l2=5.0),
        {},
        "PhaseConflict",
        "K01.FR.142",
        "schedules[0].periods[0].limit_l2",
    ),
    (
        "L2 without L1",
        V21,
        1,
        with_period(simple(**TX), limit=None, limit_l2=5.0),
        {},
        "PhaseConflict",
        "K01.FR.145, K01.FR.146",
        "schedules[0].periods[0].limit",
    ),
    ("load balancing", V21, 1, IN_BALANCE, {"operation_modes": []}, "UnsupportedParam", "Q09.FR.01", MODE_FIELD),
    (
        "load balancing without thresholds",
        V21,
        1,
        IN_BALANCE,
        {"load_balancing_thresholds": False},
        "MissingDevModelInfo",
        "Q09.FR.02",
        MODE_FIELD,
    ),
    (
        "sleep outside Idle",
        V21,
        1,
        with_period(simple(), evse_sleep=True),
        {"supports_evse_sleep": False},
        "InvalidSchedule",
        "K01.FR.126 (errata)",
        "schedules[0].periods[0].evse_sleep",
    ),
]


@pytest.mark.parametrize(
    ("case", "version", "evse_id", "what", "settings", "reason", "requirement", "field"),
    REFUSED,
    ids=[f"{case[0]}-{case[1].value}" for case in REFUSED],
)
def test_a_refusal_names_reason_requirement_and_field_and_changes_nothing(
    case, version, evse_id, what, settings, reason, requirement, field
):
    """Section 9: one row for each rule."""
    store = station(version, **({"evses": 2} | settings))

    verdict = store.set_profile(evse_id, what, now=NOON)

    assert (False, reason, field) == (verdict.accepted, verdict.reason, verdict.field)
    assert requirement in (None, verdict.requirement)
    assert verdict.requirement
    assert verdict.detail
    assert () == store.profiles


ACCEPTED = [
    ("max on 0", V16, 0, simple(**MAX), {}),
    ("absolute without start", V16, 1, simple(start=None), {}),
    ("absolute with recurrency", V16, 1, simple(recurrency=Recurrency.DAILY), {}),
    ("relative with start", V16, 1, with_schedule(simple(**RELATIVE), start=NOON), {}),
    ("tx without id", V16, 1, simple(**ANY_TX), {}),
    ("four phases", V16, 1, profile(1, {0: (16, 4)}), {}),
    ("id on another purpose", V201, 1, simple(transaction_id=TransactionId("9")), {}),
    ("valid in the future", V201, 1, simple(valid_from=NOON + timedelta(days=9)), {}),
    ("phases on DC", V16, 1, profile(1, {0: (16, 1)}), {"direct_current": True}),
    ("phases on DC", V21, 1, profile(1, {0: (16, 1)}), {"direct_current": True, "dc_input_phase_control": True}),
    ("phase to use", V201, 1, with_period(profile(1, {0: (16, 1)}), phase_to_use=2), {"ac_phase_switching": True}),
    ("schedules to choose from", V201, 1, replace(simple(**TX), schedules=simple().schedules * 3), {"iso15118": True}),
    ("limit of zero", V21, 1, profile(1, {0: 0.0}), {}),
    ("zero phases", V21, 1, profile(1, {0: (16, 0)}), {}),
    (
        "sleep in Idle",
        V21,
        1,
        with_period(simple(), limit=None, operation_mode=OperationMode.IDLE, evse_sleep=True),
        {"supports_evse_sleep": False},
    ),
    ("load balancing", V21, 1, IN_BALANCE, {"load_balancing_thresholds": True}),
    ("generation", V21, 0, simple(**GENERATION), {}),
    ("L2 in a TxProfile", V21, 1, with_period(simple(**TX), limit_l2=5.0, limit_l3=6.0), {}),
]


@pytest.mark.parametrize(
    ("case", "version", "evse_id", "what", "settings"), ACCEPTED, ids=[f"{c[0]}-{c[1].value}" for c in ACCEPTED]
)
def test_what_the_rules_allow_is_accepted(case, version, evse_id, what, settings):
    """Section 9: what a station must not refuse."""
    store = station(version, **settings)

    assert store.set_profile(evse_id, what, now=NOON).accepted
    assert [1] == [p.profile.profile_id for p in store.profiles]


@pytest.mark.parametrize("version", [V201, V21])
def test_a_profile_waits_until_the_vehicle_has_said_its_needs(version):
    """K15.FR.17, K18.FR.17: in an ISO 15118 session; only a TxProfile has to wait."""
    store = station(version)
    store.note_needs(1, NeedsTold.NOT_YET)

    early = store.set_profile(1, simple(**TX), now=NOON)
    default = store.set_profile(1, profile(2, {0: 16}), now=NOON)
    store.note_needs(1, NeedsTold.IN_TOTAL)
    late = store.set_profile(1, replace(simple(**TX), schedules=simple().schedules * 2), now=NOON)

    assert (False, "InvalidMessageSeq", "transaction_id") == (early.accepted, early.reason, early.field)
    assert (True, True) == (default.accepted, late.accepted)


def test_values_per_phase_need_a_vehicle_that_named_such():
    """K01.FR.143, K01.FR.144."""
    store = station(V21)
    per_phase = with_period(simple(**TX), limit_l2=5.0, limit_l3=6.0)
    store.note_needs(1, NeedsTold.IN_TOTAL)
    refused = store.set_profile(1, per_phase, now=NOON)
    store.note_needs(1, NeedsTold.PER_PHASE)

    assert ("PhaseConflict", "schedules[0].periods[0]") == (refused.reason, refused.field)
    assert store.set_profile(1, per_phase, now=NOON).accepted


def test_an_unknown_connector_is_a_call_error_in_1_6():
    """1.6 errata 3.39."""
    assert "PropertyConstraintViolation" == station(V16).set_profile(5, simple(), now=NOON).call_error

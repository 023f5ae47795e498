"""The rules that only OCPP 2.1 has: modes, their values, setpoints and curves."""

import pytest

from loadmgr.model.ids import TransactionId
from loadmgr.model.profile import (
    CurvePoint,
    OcppVersion,
    OperationMode,
    ProfilePurpose,
    RateUnit,
    SchedulePeriod,
)
from tests.loadmgr.composite.station_cases import NOON, profile, start, station, with_period, with_schedule

V21 = OcppVersion.V21
PRIORITY = {"purpose": ProfilePurpose.PRIORITY_CHARGING}


TX_ONLY = {"limit": 5000.0, "discharge_limit": -3000.0, "setpoint": 4000.0, "setpoint_reactive": 2000.0}
CURVE = {"v2x_baseline_w": 100.0}
LET = {  # limit, dischargeLimit, setpoint, setpointReactive: needed, allowed, refused
    OperationMode.CHARGING_ONLY: "n---",
    OperationMode.CENTRAL_SETPOINT: "aana",
    OperationMode.CENTRAL_FREQUENCY: "aan-",
    OperationMode.EXTERNAL_SETPOINT: "aa--",
    OperationMode.EXTERNAL_LIMITS: "----",
    OperationMode.LOCAL_LOAD_BALANCING: "----",
    OperationMode.IDLE: "----",
}


@pytest.mark.parametrize("mode", list(LET), ids=lambda m: m.value)
def test_each_mode_takes_its_own_values(mode):
    """2.1 table of limits and setpoints, all sixteen combinations."""
    for bits in range(16):
        given = {name: value for i, (name, value) in enumerate(TX_ONLY.items()) if bits >> i & 1}
        good = all(
            not (rule == "n" and name not in given) and not (rule == "-" and name in given)
            for rule, name in zip(LET[mode], TX_ONLY, strict=True)
        )
        what = profile(1, {0: 1.0}, unit=RateUnit.W)
        period = SchedulePeriod(start_s=0, operation_mode=mode, **given)
        what = with_schedule(what, periods=(period,))

        verdict = station(V21).set_profile(1, what, now=NOON)

        assert (good, None if good else "InvalidSchedule") == (verdict.accepted, verdict.reason)


MODES = {
    ProfilePurpose.TX: set(OperationMode),
    ProfilePurpose.TX_DEFAULT: set(OperationMode),
    ProfilePurpose.PRIORITY_CHARGING: {OperationMode.CHARGING_ONLY},
    ProfilePurpose.CHARGE_POINT_MAX: {OperationMode.CHARGING_ONLY},
    ProfilePurpose.LOCAL_GENERATION: {OperationMode.CHARGING_ONLY, OperationMode.EXTERNAL_LIMITS},
}
FITTING = {
    OperationMode.CHARGING_ONLY: {"limit": 5.0},
    OperationMode.CENTRAL_SETPOINT: {"setpoint": 5.0},
    OperationMode.CENTRAL_FREQUENCY: {"setpoint": 5.0},
}


@pytest.mark.parametrize("purpose", list(MODES), ids=lambda p: p.value)
@pytest.mark.parametrize("mode", [m for m in OperationMode if m is not OperationMode.LOCAL_FREQUENCY])
def test_each_purpose_takes_its_own_modes(purpose, mode):
    """2.1 table 95, K01.FR.111 to K01.FR.114."""
    tx = {"transaction_id": TransactionId("7")} if purpose is ProfilePurpose.TX else {}
    what = profile(1, {0: 1.0}, unit=RateUnit.W, purpose=purpose, **tx)
    what = with_schedule(what, periods=(SchedulePeriod(start_s=0, operation_mode=mode, **FITTING.get(mode, {})),))
    evse_id = 0 if purpose is ProfilePurpose.CHARGE_POINT_MAX else 1

    verdict = station(V21).set_profile(evse_id, what, now=NOON)

    good = mode in MODES[purpose]
    assert (good, None if good else "InvalidOperationMode") == (verdict.accepted, verdict.reason)


def test_a_mode_must_be_supported():
    """K01.FR.115."""
    store = station(V21, operation_modes=[OperationMode.CHARGING_ONLY])
    what = with_period(profile(1, {0: 16}), limit=None, operation_mode=OperationMode.IDLE)

    assert "K01.FR.115" == store.set_profile(1, what, now=NOON).requirement
    assert store.set_profile(
        1, with_period(profile(1, {0: 16}), operation_mode=OperationMode.CHARGING_ONLY), now=NOON
    ).accepted


@pytest.mark.parametrize(
    ("fields", "accepted"),
    [
        ({"setpoint": 1100.0, "limit": 1000.0}, False),
        ({"setpoint": -600.0, "discharge_limit": -500.0}, False),
        ({"setpoint": 1000.0, "limit": 1000.0, "discharge_limit": -500.0}, True),
        ({"setpoint": -500.0, "discharge_limit": -500.0}, True),
        ({"setpoint": 0.0, "discharge_limit": 5.0}, False),
    ],
)
def test_a_setpoint_lies_inside_its_own_limits(fields, accepted):
    """V2X.05; a discharge limit is zero or below."""
    period = SchedulePeriod(start_s=0, operation_mode=OperationMode.CENTRAL_SETPOINT, **fields)
    what = with_schedule(profile(1, {0: 1.0}, unit=RateUnit.W), periods=(period,))

    assert accepted is station(V21).set_profile(1, what, now=NOON).accepted


def test_local_frequency_needs_watts_a_baseline_and_a_curve():
    """Q08.FR.03 to Q08.FR.05."""
    curve = (CurvePoint(at=49.8, power_w=2000.0), CurvePoint(at=50.2, power_w=-2000.0))
    period = SchedulePeriod(
        start_s=0, operation_mode=OperationMode.LOCAL_FREQUENCY, v2x_baseline_w=100.0, freq_watt_curve=curve
    )
    good = with_schedule(profile(1, {0: 1.0}, unit=RateUnit.W), periods=(period,))
    tried = [
        good,
        with_schedule(good, unit=RateUnit.A),
        with_period(good, v2x_baseline_w=None),
        with_period(good, freq_watt_curve=curve[:1]),
        with_period(good, limit=5.0),
    ]
    reasons = [station(V21).set_profile(1, p, now=NOON).reason for p in tried]

    assert [None, "UnsupportedRateUnit", "NoFreqWattCurve", "NoFreqWattCurve", "InvalidSchedule"] == reasons


def test_priority_charging_needs_a_transaction_and_a_profile():
    """K21.FR.01 to K21.FR.07."""
    store = station(V21, transaction_at=None)
    reasons = [store.use_priority_charging(1, activate=True).reason]
    start(store, 1, NOON)
    reasons.append(store.use_priority_charging(1, activate=True).reason)
    store.set_profile(0, profile(1, {0: 16}, **PRIORITY), now=NOON)
    reasons.append(store.use_priority_charging(1, activate=True).reason)

    assert ["TxNotFound", "NoProfile", None] == reasons

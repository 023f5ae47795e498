"""What messages of stations say, in both versions, and however they are written."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmgr.bridge import from_ocpp
from loadmgr.control.command import ClearProfile, ReadBack, ReadCapabilities, TriggerReading
from loadmgr.control.observation import (
    CommandAnswered,
    CompositeReported,
    EvseReading,
    EvseState,
    EvseStatus,
    Outcome,
    StationBooted,
    StationCapabilities,
    TransactionEnded,
    TransactionStarted,
    VehicleDeclared,
)
from loadmgr.model.ids import StationId, TransactionId
from loadmgr.model.profile import OcppVersion, RateUnit

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
THEN = "2024-05-01T11:59:58Z"
STATION = StationId("CP1")
V16, V201 = OcppVersion.V16, OcppVersion.V201


def said(action: str, payload: dict, version: OcppVersion = V16, **more):
    return from_ocpp.observations(action, payload, version=version, station=STATION, at=AT, **more)


def test_a_boot_says_who_it_is_in_both_versions():
    old = {"chargePointVendor": "V", "chargePointModel": "M", "firmwareVersion": "1.2"}
    new = {"chargingStation": {"vendorName": "V", "model": "M"}, "reason": "PowerUp"}

    assert (StationBooted(at=AT, station=STATION, vendor="V", model="M", firmware="1.2"),) == said(
        "BootNotification", old
    )
    assert (StationBooted(at=AT, station=STATION, vendor="V", model="M", reason="PowerUp"),) == said(
        "BootNotification", new, V201
    )


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("Available", EvseState.AVAILABLE),
        ("Preparing", EvseState.PLUGGED_IN),
        ("Charging", EvseState.CHARGING),
        ("SuspendedEV", EvseState.SUSPENDED_BY_VEHICLE),
        ("SuspendedEVSE", EvseState.SUSPENDED_BY_STATION),
        ("Finishing", EvseState.FINISHING),
        ("Faulted", EvseState.FAULTED),
    ],
)
def test_a_status_of_16_is_a_state(status, state):
    seen = said("StatusNotification", {"connectorId": 2, "status": status, "errorCode": "NoError"})

    assert (EvseStatus(at=AT, station=STATION, number=2, state=state),) == seen


def test_connector_0_is_no_place_to_charge():
    assert () == said("StatusNotification", {"connectorId": 0, "status": "Available", "errorCode": "NoError"})


def test_occupied_of_2x_is_plugged_in():
    payload = {"timestamp": THEN, "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1}

    assert (EvseStatus(at=AT, station=STATION, number=1, state=EvseState.PLUGGED_IN),) == said(
        "StatusNotification", payload, V201
    )


def test_a_start_of_16_carries_the_id_that_it_was_answered_with():
    payload = {"connectorId": 1, "idTag": "TAG", "meterStart": 1200, "timestamp": THEN}
    (seen,) = said("StartTransaction", payload, transaction="7")

    assert isinstance(seen, TransactionStarted)
    assert (1, TransactionId("7"), "TAG", 1200.0) == (seen.number, seen.transaction, seen.id_token, seen.meter_wh)
    assert () == said("StartTransaction", payload)


@pytest.mark.parametrize(("wire", "known"), [(7, TransactionId("7")), (0, None), (-1, None)])
def test_a_stop_of_16_names_its_transaction_unless_that_is_no_id(wire, known):
    (seen,) = said("StopTransaction", {"transactionId": wire, "meterStop": 5200, "timestamp": THEN})

    assert isinstance(seen, TransactionEnded)
    assert (known, 5200.0) == (seen.transaction, seen.meter_wh)


def meter_16(*values: dict, transaction: int | None = 7) -> dict:
    return {
        "connectorId": 1,
        "transactionId": transaction,
        "meterValue": [{"timestamp": THEN, "sampledValue": list(values)}],
    }


def test_meter_values_of_16_become_a_reading_in_si_units():
    (seen,) = said(
        "MeterValues",
        meter_16(
            {"value": "12.5", "measurand": "Energy.Active.Import.Register", "unit": "kWh"},
            {"value": "7,2", "measurand": "Power.Active.Import", "unit": "kW"},
            {"value": " 10.0 ", "measurand": "Current.Import", "phase": "L1", "unit": "A"},
            {"value": "10.4", "measurand": "Current.Import", "phase": "L2-N", "unit": "A"},
            {"value": "80", "measurand": "SoC", "unit": "Percent"},
        ),
    )

    assert isinstance(seen, EvseReading)
    assert (12_500.0, 7200.0, (10.0, 10.4, None), 0.8, True) == (
        seen.energy_wh,
        seen.power_w,
        seen.currents_a,
        seen.state_of_charge_ratio,
        seen.live,
    )
    assert datetime(2024, 5, 1, 11, 59, 58, tzinfo=UTC) == seen.measured_at


def test_powers_of_phases_are_kept_apart_and_summed():
    (seen,) = said(
        "MeterValues",
        meter_16(
            {"value": "3.68", "measurand": "Power.Active.Import", "phase": "L1-N", "unit": "kW"},
            {"value": "0", "measurand": "Power.Active.Import", "phase": "L2", "unit": "W"},
        ),
    )

    assert ((3680.0, 0.0, None), 3680.0) == (seen.powers_w, seen.power_w)


def test_a_value_without_a_measurand_is_the_register():
    (seen,) = said("MeterValues", meter_16({"value": "1234"}))

    assert 1234.0 == seen.energy_wh


def test_what_is_no_number_is_left_out_and_the_rest_is_kept():
    (seen,) = said(
        "MeterValues",
        meter_16(
            {"value": "", "measurand": "Current.Import", "phase": "L1"},
            {"value": "NaN", "measurand": "Power.Active.Import"},
            {"value": "55", "measurand": "Temperature"},
            {"value": "8", "measurand": "Current.Import"},
        ),
    )

    assert (8.0, None, None) == (seen.current_a, seen.currents_a, seen.power_w)


def test_nothing_that_is_understood_is_no_reading():
    assert () == said("MeterValues", meter_16({"value": "230", "measurand": "Voltage", "phase": "L1-N"}))


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"value": "16", "measurand": "Current.Import", "location": "Inlet"},
        {"value": "16", "measurand": "Current.Import", "phase": "L1-L2"},
        {"value": "16", "measurand": "Energy.Active.Import.Register", "unit": "A"},
    ],
)
def test_what_does_not_say_what_the_vehicle_gets_is_no_reading(elsewhere):
    assert () == said("MeterValues", meter_16(elsewhere))


def test_an_interruption_means_that_nothing_flows():
    (seen,) = said(
        "MeterValues", meter_16({"value": "16", "measurand": "Current.Import", "context": "Interruption.Begin"})
    )

    assert (0.0, 0.0, True) == (seen.current_a, seen.power_w, seen.live)


def test_only_the_last_of_several_meter_values_can_be_live():
    payload = meter_16({"value": "6", "measurand": "Current.Import"})
    payload["meterValue"] *= 3

    assert [False, False, True] == [r.live for r in said("MeterValues", payload)]


def event(kind: str, **more) -> dict:
    return {
        "eventType": kind,
        "timestamp": THEN,
        "triggerReason": "ChargingStateChanged",
        "seqNo": 1,
        "transactionInfo": {"transactionId": "tx-1", "chargingState": "Charging"},
        "evse": {"id": 2, "connectorId": 1},
        **more,
    }


def energy(value: float, context: str) -> dict:
    sample = {"value": value, "context": context, "measurand": "Energy.Active.Import.Register"}
    return {"timestamp": THEN, "sampledValue": [{**sample, "unitOfMeasure": {"unit": "Wh", "multiplier": 3}}]}


def test_a_started_event_begins_a_transaction_with_its_register():
    seen = said(
        "TransactionEvent",
        event("Started", idToken={"idToken": "T", "type": "ISO14443"}, meterValue=[energy(1.5, "Transaction.Begin")]),
        V201,
    )

    assert [TransactionStarted, EvseStatus, EvseReading] == [type(o) for o in seen]
    assert (2, TransactionId("tx-1"), "T", 1500.0) == (
        seen[0].number,
        seen[0].transaction,
        seen[0].id_token,
        seen[0].meter_wh,
    )
    assert (EvseState.CHARGING, False) == (seen[1].state, seen[2].live)


def test_an_update_proves_that_a_transaction_runs():
    seen = said("TransactionEvent", event("Updated"), V201)

    assert [TransactionStarted, EvseStatus] == [type(o) for o in seen]


def test_an_ended_event_ends_it_with_its_register():
    seen = said("TransactionEvent", event("Ended", meterValue=[energy(9.0, "Transaction.End")]), V201)

    assert (TransactionEnded, 9000.0) == (type(seen[-1]), seen[-1].meter_wh)


def test_what_happened_offline_is_history():
    meter = [{"timestamp": THEN, "sampledValue": [{"value": 16, "measurand": "Current.Import"}]}]
    seen = said("TransactionEvent", event("Updated", offline=True, meterValue=meter), V201)

    assert [(TransactionStarted, False), (EvseReading, False)] == [(type(o), o.live) for o in seen]


def test_a_vehicle_says_what_it_needs():
    needs = {
        "requestedEnergyTransfer": "AC_three_phase",
        "departureTime": "2024-05-01T18:00:00Z",
        "acChargingParameters": {"energyAmount": 20000, "evMinCurrent": 6, "evMaxCurrent": 16, "evMaxVoltage": 400},
    }
    (seen,) = said("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs}, V201)

    assert isinstance(seen, VehicleDeclared)
    assert (datetime(2024, 5, 1, 18, tzinfo=UTC), 20000.0, 6.0, 16.0) == (
        seen.departure,
        seen.energy_wh,
        seen.min_a,
        seen.max_a,
    )


def test_other_messages_say_nothing():
    assert () == said("Heartbeat", {})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "sampledValue",
                        "value",
                        "measurand",
                        "phase",
                        "unit",
                        "context",
                        "timestamp",
                        "unitOfMeasure",
                        "multiplier",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_meter_values_break_the_reading(junk):
    """Not even those that no schema would let pass."""
    seen = said("MeterValues", {"connectorId": 1, "meterValue": [junk] if not isinstance(junk, list) else junk})

    assert all(isinstance(o, EvseReading) for o in seen)


def answered(command, payload: dict, version: OcppVersion = V16):
    return from_ocpp.answer(command, payload, version=version, at=AT)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("Accepted", Outcome.ACCEPTED), ("Rejected", Outcome.REJECTED), ("Unknown", Outcome.ACCEPTED)],
)
def test_clearing_what_is_not_there_is_cleared(status, outcome):
    (seen,) = answered(ClearProfile(id=4, station=STATION), {"status": status})

    assert (4, outcome) == (seen.command, seen.outcome)


def test_a_refusal_says_why():
    payload = {"status": "Rejected", "statusInfo": {"reasonCode": "NotEnabled", "additionalInfo": "local control"}}
    (seen,) = answered(TriggerReading(id=1, station=STATION, number=1), payload, V201)

    assert (Outcome.REJECTED, "NotEnabled local control") == (seen.outcome, seen.reason)


def test_a_station_that_takes_no_more_changes_for_now_has_not_refused_the_command():
    payload = {"status": "Rejected", "statusInfo": {"reasonCode": "RateLimitExceeded"}}
    (seen,) = answered(TriggerReading(id=1, station=STATION, number=1), payload, V201)

    assert Outcome.TOO_OFTEN is seen.outcome


READ = ReadBack(id=9, station=STATION, number=1, duration_s=600)


def test_a_composite_answer_is_read_in_both_versions():
    periods = [{"startPeriod": 0, "limit": 16.0, "numberPhases": 3}, {"startPeriod": 60, "limit": 6}]
    old = {
        "status": "Accepted",
        "connectorId": 1,
        "scheduleStart": THEN,
        "chargingSchedule": {"chargingRateUnit": "A", "duration": 600, "chargingSchedulePeriod": periods},
    }
    new = {
        "status": "Accepted",
        "schedule": {
            "evseId": 1,
            "duration": 600,
            "scheduleStart": THEN,
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": periods,
        },
    }
    for payload, version, unit in ((old, V16, RateUnit.A), (new, V201, RateUnit.W)):
        done, reported = answered(READ, payload, version)

        assert CommandAnswered(at=AT, command=9, outcome=Outcome.ACCEPTED) == done
        assert isinstance(reported, CompositeReported)
        assert (unit, [(0, 16.0), (60, 6.0)]) == (
            reported.schedule.unit,
            [(p.start_s, p.limit) for p in reported.schedule.periods],
        )


@pytest.mark.parametrize(
    "payload",
    [
        {"status": "Accepted"},
        {"status": "Accepted", "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": []}},
        {
            "status": "Accepted",
            "scheduleStart": "0",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": -1.0}],
            },
        },
    ],
)
def test_a_composite_answer_that_makes_no_sense_says_nothing(payload):
    _, reported = answered(READ, payload)

    assert reported.schedule is None


def test_capabilities_are_read_however_their_keys_are_spelt():
    payload = {
        "configurationKey": [
            {"key": "chargeprofilemaxstacklevel", "readonly": True, "value": "8"},
            {"key": "ChargingScheduleAllowedChargingRateUnit", "readonly": True, "value": "'Current', Power"},
        ],
        "unknownKey": ["MaxChargingProfilesInstalled"],
    }
    _, seen = answered(ReadCapabilities(id=2, station=STATION), payload)

    assert (
        StationCapabilities(at=AT, station=STATION, max_stack_level=8, rate_units=frozenset({RateUnit.A, RateUnit.W}))
        == seen
    )


def test_capabilities_of_2x_are_variables():
    def variable(name: str, value: str, status: str = "Accepted") -> dict:
        named = {"component": {"name": "SmartChargingCtrlr"}, "variable": {"name": name}}
        return {"attributeStatus": status, "attributeValue": value, **named}

    payload = {"getVariableResult": [variable("ProfileStackLevel", "5"), variable("RateUnit", "W"), variable("X", "1")]}
    _, seen = answered(ReadCapabilities(id=2, station=STATION), payload, V201)

    assert (5, frozenset({RateUnit.W}), None) == (seen.max_stack_level, seen.rate_units, seen.max_periods)


def test_evses_that_follow_setpoints_are_those_that_said_so():
    """Enabled, and with CentralSetpoint among their modes; a station that answers for all of them is number 0."""

    def variable(name: str, value: str, evse: int | None, status: str = "Accepted") -> dict:
        component = {"name": "V2XChargingCtrlr"} | ({} if evse is None else {"evse": {"id": evse}})
        named = {"component": component, "variable": {"name": name}}
        return {"attributeStatus": status, "attributeValue": value, **named}

    modes = "ChargingOnly,CentralSetpoint"
    results = [
        variable("SupportedOperationModes", modes, 1),
        variable("SupportedOperationModes", modes, 2),
        variable("Enabled", "false", 2),
        variable("SupportedOperationModes", "ChargingOnly", 3),
        variable("SupportedOperationModes", modes, 4, "Rejected"),
    ]
    asked = ReadCapabilities(id=2, station=STATION, v2x_evses=(1, 2, 3, 4))
    for found, wanted in ((results, (1,)), ([variable("SupportedOperationModes", modes, None)], (0,))):
        _, seen = answered(asked, {"getVariableResult": found}, OcppVersion.V21)
        assert wanted == seen.setpoint_evses
    _, seen = answered(asked, {"getVariableResult": results}, V201)
    assert () == seen.setpoint_evses


def test_what_is_fed_back_is_read_beside_what_is_drawn():
    values = [
        {"value": 0.0, "measurand": "Power.Active.Import", "unitOfMeasure": {"unit": "W"}},
        {"value": 2.3, "measurand": "Power.Active.Export", "unitOfMeasure": {"unit": "kW"}},
        {"value": 10.0, "measurand": "Current.Export", "phase": "L2", "unitOfMeasure": {"unit": "A"}},
        {"value": 1200.0, "measurand": "Energy.Active.Export.Register", "unitOfMeasure": {"unit": "Wh"}},
    ]
    payload = {"evseId": 1, "meterValue": [{"timestamp": THEN, "sampledValue": values}]}
    (seen,) = said("MeterValues", payload, OcppVersion.V21)
    assert (0.0, 2300.0, (None, 10.0, None), 1200.0) == (
        seen.power_w,
        seen.export_w,
        seen.export_currents_a,
        seen.exported_wh,
    )


def test_evses_say_whether_they_can_choose_the_one_phase_that_they_charge_on():
    """One that does not know the variable cannot; one that was not asked, or refused to say, is not known."""

    def said_of(evse: int, status: str, value: str | None = None) -> dict:
        named = {"component": {"name": "EVSE", "evse": {"id": evse}}, "variable": {"name": "ACPhaseSwitchingSupported"}}
        return {"attributeStatus": status, **named} | ({} if value is None else {"attributeValue": value})

    results = [
        said_of(1, "Accepted", "true"),
        said_of(2, "Accepted", "false"),
        said_of(3, "UnknownVariable"),
        said_of(4, "Rejected"),
    ]
    asked = ReadCapabilities(id=2, station=STATION, phase_evses=(1, 2, 3, 4))
    _, seen = answered(asked, {"getVariableResult": results}, V201)
    assert ((2, 3), (1,)) == (seen.fixed_phase_evses, seen.choosing_evses)

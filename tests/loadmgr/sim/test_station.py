"""Simulated stations over real WebSockets: they hold, obey, tell and forget."""

from datetime import timedelta
from typing import Any

import pytest

from loadmgr.sim.manners import Rudeness, Spell
from tests.loadmgr.sim.sim_csms import START, Run, lived, session, small_plan

STATIONS = ["S16", "S201"]
EVSE_OF = {"S16": "A", "S201": "B"}


def profile(purpose: str, *limits: tuple[int, float], version: str, **more: Any) -> dict[str, Any]:
    """Return a SetChargingProfile for EVSE 1 (0 for a station maximum)."""
    words = {"max": {"S16": "ChargePointMaxProfile"}.get(version, "ChargingStationMaxProfile")}
    name = words.get(purpose, purpose)
    schedule = {
        "chargingRateUnit": "A",
        "startSchedule": (START - timedelta(minutes=1)).isoformat(),
        "chargingSchedulePeriod": [{"startPeriod": s, "limit": a} for s, a in limits],
    }
    body = {
        "stackLevel": 0,
        "chargingProfilePurpose": name,
        "chargingProfileKind": "Absolute",
    } | more
    number = 0 if purpose == "max" else 1
    if version == "S16":
        body |= {"chargingProfileId": 1, "chargingSchedule": schedule}
        return {"connectorId": number, "csChargingProfiles": body}
    body |= {"id": 1, "chargingSchedule": [schedule | {"id": 1}]}
    return {"evseId": number, "chargingProfile": body}


def current_a(run: Run, station: str) -> float:
    return run.world.outlets[EVSE_OF[station]].current_a


@pytest.mark.parametrize("station", STATIONS)
def test_a_stay_is_told_in_the_words_of_the_version(station: str):
    run = lived(small_plan(session("one", EVSE_OF[station], stay_min=2), minutes=10))
    told = run.csms.actions(station)

    assert told[:3] == ["BootNotification", "StatusNotification", "StatusNotification"]
    assert told[3] == "Authorize"
    first, last = ("StartTransaction", "StopTransaction") if station == "S16" else ("TransactionEvent",) * 2
    assert told[4] == first
    assert last in told[-3:]
    sampled = run.csms.payloads("MeterValues") or [
        p for p in run.csms.payloads("TransactionEvent") if p["triggerReason"] == "MeterValuePeriodic"
    ]
    assert len(sampled) in (11, 12)
    names = [s["measurand"] for s in sampled[-1]["meterValue"][0]["sampledValue"]]
    assert names.count("Current.Import") == 3
    assert {"Power.Active.Import", "Energy.Active.Import.Register", "Voltage"} <= set(names)


@pytest.mark.parametrize("station", STATIONS)
def test_a_vehicle_draws_what_the_stations_own_composite_schedule_allows(station: str):
    seen = []

    async def script(run: Run) -> None:
        await run.at(1)
        periods = ((0, 6.0), (20 * 60, 12.0), (30 * 60, 0.0))
        payload = profile("TxDefaultProfile", *periods, version=station)
        seen.append(await run.call(station, "SetChargingProfile", payload))
        for minute in (10, 20, 30):
            await run.at(minute)
            seen.append(current_a(run, station))
        await run.call(station, "SetChargingProfile", profile("max", (0, 8.0), version=station, stackLevel=1))
        await run.at(31)
        await run.call(station, "ClearChargingProfile", {"id": 1} if station == "S16" else {"chargingProfileId": 1})
        await run.at(33)
        seen.append(current_a(run, station))

    lived(small_plan(session("one", EVSE_OF[station]), minutes=40), script)

    assert seen[0]["status"] == "Accepted"
    assert seen[1:4] == pytest.approx([6.0, 12.0, 0.0])
    assert seen[4] == pytest.approx(16.0)


@pytest.mark.parametrize("station", STATIONS)
def test_composite_schedule_is_answered_truthfully(station: str):
    answers = []

    async def script(run: Run) -> None:
        await run.at(1)
        await run.call(station, "SetChargingProfile", profile("TxDefaultProfile", (0, 9.0), version=station))
        number = "connectorId" if station == "S16" else "evseId"
        ask = {number: 1, "duration": 600, "chargingRateUnit": "A"}
        answers.append(await run.call(station, "GetCompositeSchedule", ask))

    lived(small_plan(minutes=5), script)

    schedule = answers[0]["chargingSchedule" if station == "S16" else "schedule"]
    assert [(p["startPeriod"], p["limit"]) for p in schedule["chargingSchedulePeriod"]] == [(0, 9.0)]


def test_capabilities_and_meter_interval_by_configuration_key():
    answers = []

    async def script(run: Run) -> None:
        await run.at(1)
        ask = {"key": ["ChargeProfileMaxStackLevel", "nonsense"]}
        answers.append(await run.call("S16", "GetConfiguration", ask))
        change = {"key": "MeterValueSampleInterval", "value": "60"}
        answers.append(await run.call("S16", "ChangeConfiguration", change))
        answers.append(await run.call("S16", "ChangeConfiguration", change | {"value": "often"}))
        answers.append(await run.call("S16", "ChangeConfiguration", {"key": "NumberOfConnectors", "value": "7"}))
        answers.append(await run.call("S16", "ChangeConfiguration", {"key": "nonsense", "value": "7"}))

    run = lived(small_plan(session("one", "A", stay_min=10), minutes=20), script)

    assert answers[0]["configurationKey"] == [{"key": "ChargeProfileMaxStackLevel", "readonly": True, "value": "8"}]
    assert answers[0]["unknownKey"] == ["nonsense"]
    assert [a["status"] for a in answers[1:]] == ["Accepted", "Rejected", "Rejected", "NotSupported"]
    assert len(run.csms.payloads("MeterValues")) == 9


def test_capabilities_and_meter_interval_by_variable():
    answers = []

    def row(component: str, variable: str, **more: str) -> dict[str, Any]:
        return {"component": {"name": component}, "variable": {"name": variable}} | more

    async def script(run: Run) -> None:
        await run.at(1)
        asked = [
            row("SmartChargingCtrlr", "ProfileStackLevel"),
            row("SmartChargingCtrlr", "nonsense"),
            row("nonsense", "x"),
        ]
        answers.append(await run.call("S201", "GetVariables", {"getVariableData": asked}))
        change = [row("SampledDataCtrlr", "TxUpdatedInterval", attributeValue="60")]
        answers.append(await run.call("S201", "SetVariables", {"setVariableData": change}))

    run = lived(small_plan(session("one", "B", stay_min=10), minutes=20), script)

    results = answers[0]["getVariableResult"]
    assert [r["attributeStatus"] for r in results] == ["Accepted", "UnknownVariable", "UnknownComponent"]
    assert results[0]["attributeValue"] == "8"
    assert answers[1]["setVariableResult"][0]["attributeStatus"] == "Accepted"
    periodic = [p for p in run.csms.payloads("TransactionEvent") if p["triggerReason"] == "MeterValuePeriodic"]
    assert len(periodic) == 9


@pytest.mark.parametrize("station", STATIONS)
def test_a_station_that_ignores_limits_still_holds_them(station: str):
    seen = []

    async def script(run: Run) -> None:
        await run.at(1)
        await run.call(station, "SetChargingProfile", profile("TxDefaultProfile", (0, 6.0), version=station))
        for minute in (10, 15, 25):
            await run.at(minute)
            seen.append(current_a(run, station))
            seen.append(run.world.stations[station].bays[1].entitled_a)

    spell = Spell(behaviour=Rudeness.IGNORES_LIMITS, at_s=600.0 + 60.0, for_s=600.0)
    run = lived(small_plan(session("one", EVSE_OF[station]), minutes=40, spells=((station, spell),)), script)

    assert seen == pytest.approx([6.0, 6.0, 16.0, 6.0, 6.0, 6.0])
    assert run.world.ledger.excursions() == ()


@pytest.mark.parametrize("station", STATIONS)
def test_a_station_that_reboots_and_forgets_starts_the_vehicle_anew_without_limits(station: str):
    seen = []

    async def script(run: Run) -> None:
        await run.at(1)
        await run.call(station, "SetChargingProfile", profile("TxDefaultProfile", (0, 6.0), version=station))
        for minute in (11, 11.5, 15):
            await run.at(minute)
            seen.append(current_a(run, station))
            seen.append(station in run.csms.stations)

    spell = Spell(behaviour=Rudeness.REBOOTS_AND_FORGETS, at_s=660.0, for_s=60.0)
    run = lived(small_plan(session("one", EVSE_OF[station]), minutes=40, spells=((station, spell),)), script)

    assert seen[::2] == pytest.approx([0.0, 0.0, 16.0])
    assert seen[3] is False
    assert run.csms.actions(station).count("BootNotification") == 2


@pytest.mark.parametrize("station", STATIONS)
def test_profiles_and_power_outlive_a_lost_link(station: str):
    seen = []

    async def script(run: Run) -> None:
        await run.at(1)
        await run.call(station, "SetChargingProfile", profile("TxDefaultProfile", (0, 7.0), version=station))
        await run.at(15)
        seen.append((station in run.csms.stations, round(current_a(run, station), 6)))
        await run.at(25)
        seen.append((station in run.csms.stations, round(current_a(run, station), 6)))

    spell = Spell(behaviour=Rudeness.DROPS_LINK, at_s=660.0, for_s=600.0)
    run = lived(small_plan(session("one", EVSE_OF[station]), minutes=40, spells=((station, spell),)), script)

    assert seen == [(False, 7.0), (True, 7.0)]
    assert run.csms.actions(station).count("BootNotification") == 1


@pytest.mark.parametrize("station", STATIONS)
def test_a_vehicle_that_plugs_in_offline_starts_by_the_profiles_that_are_held(station: str):
    seen = []

    async def script(run: Run) -> None:
        await run.at(1)
        await run.call(station, "SetChargingProfile", profile("TxDefaultProfile", (0, 7.0), version=station))
        await run.at(10)
        seen.append((run.csms.transactions, round(current_a(run, station), 6)))
        await run.at(25)
        seen.append(round(current_a(run, station), 6))

    spell = Spell(behaviour=Rudeness.DROPS_LINK, at_s=120.0, for_s=900.0)
    run = lived(small_plan(session("one", EVSE_OF[station]), minutes=40, spells=((station, spell),)), script)

    assert seen == [(0, 7.0), 7.0]
    assert "Authorize" in run.csms.actions(station)
    assert len(run.world.stations[station].wire.transactions) == 0


@pytest.mark.parametrize("station", STATIONS)
def test_a_late_answer_takes_simulated_time(station: str):
    seen = []

    async def script(run: Run) -> None:
        await run.at(5)
        await run.call(station, "SetChargingProfile", profile("TxDefaultProfile", (0, 7.0), version=station))
        seen.append(run.clock.now_s())

    spell = Spell(behaviour=Rudeness.ANSWERS_LATE, at_s=60.0, for_s=600.0, answer_delay_s=12.5)
    lived(small_plan(minutes=15, spells=((station, spell),)), script)

    assert seen == [312.5]


@pytest.mark.parametrize("station", STATIONS)
def test_a_lying_meter_says_half_of_what_flows(station: str):
    spell = Spell(behaviour=Rudeness.LIES, at_s=0.0, for_s=3000.0, meter_ratio=0.5)
    run = lived(small_plan(session("one", EVSE_OF[station], stay_min=10), minutes=20, spells=((station, spell),)))

    rows = [s for p in run.csms.payloads("MeterValues") for s in p["meterValue"][0]["sampledValue"]]
    for event in run.csms.payloads("TransactionEvent"):
        rows += [s for m in event.get("meterValue", ()) for s in m["sampledValue"]]
    currents = {float(r["value"]) for r in rows if r["measurand"] == "Current.Import"}
    assert max(currents) == 8.0


@pytest.mark.parametrize("station", STATIONS)
def test_remote_stop_leaves_the_cable_in_and_remote_start_begins_anew(station: str):
    seen = []

    async def script(run: Run) -> None:
        await run.at(10)
        body = run.world.stations[station]
        transaction = body.bays[1].transaction
        stop = (
            ("RemoteStopTransaction", {"transactionId": int(transaction)})
            if station == "S16"
            else ("RequestStopTransaction", {"transactionId": transaction})
        )
        seen.append((await run.call(station, *stop))["status"])
        await run.at(12)
        seen.append((current_a(run, station), body.bays[1].status))
        start = (
            ("RemoteStartTransaction", {"connectorId": 1, "idTag": "X"})
            if station == "S16"
            else (
                "RequestStartTransaction",
                {"evseId": 1, "remoteStartId": 5, "idToken": {"idToken": "X", "type": "Central"}},
            )
        )
        seen.append((await run.call(station, *start))["status"])
        await run.at(15)
        seen.append((round(current_a(run, station), 6), body.bays[1].status))
        seen.append((await run.call(station, *start))["status"])

    lived(small_plan(session("one", EVSE_OF[station]), minutes=40), script)

    assert seen == ["Accepted", (0.0, "Finishing"), "Accepted", (16.0, "Charging"), "Rejected"]


@pytest.mark.parametrize("station", STATIONS)
def test_reset_ends_transactions_in_order_and_keeps_profiles_where_the_station_does(station: str):
    seen = []

    async def script(run: Run) -> None:
        await run.at(1)
        await run.call(station, "SetChargingProfile", profile("TxDefaultProfile", (0, 7.0), version=station))
        await run.at(10)
        kind = "Soft" if station == "S16" else "Immediate"
        seen.append((await run.call(station, "Reset", {"type": kind}))["status"])
        await run.at(15)
        seen.append(round(current_a(run, station), 6))

    run = lived(small_plan(session("one", EVSE_OF[station]), minutes=40), script)

    assert seen == ["Accepted", 7.0]
    assert run.csms.actions(station).count("BootNotification") == 2


@pytest.mark.parametrize("station", STATIONS)
def test_a_triggered_reading_comes_at_once(station: str):
    before = []

    async def script(run: Run) -> None:
        await run.at(10.05)
        before.append(len(run.csms.heard))
        place = {"connectorId": 1} if station == "S16" else {"evse": {"id": 1}}
        answer = await run.call(station, "TriggerMessage", {"requestedMessage": "MeterValues"} | place)
        assert answer["status"] == "Accepted"
        await run.party.sleep_until(run.party.now_s())
        before.append(len(run.csms.heard))
        unknown = await run.call(station, "TriggerMessage", {"requestedMessage": "FirmwareStatusNotification"})
        assert unknown["status"] == "NotImplemented"

    lived(small_plan(session("one", EVSE_OF[station]), minutes=40), script)

    assert before[1] == before[0] + 1


@pytest.mark.parametrize("station", STATIONS)
def test_an_evse_out_of_service_starts_nothing(station: str):
    async def script(run: Run) -> None:
        await run.at(1)
        payload = (
            {"connectorId": 1, "type": "Inoperative"}
            if station == "S16"
            else {"operationalStatus": "Inoperative", "evse": {"id": 1}}
        )
        assert (await run.call(station, "ChangeAvailability", payload))["status"] == "Accepted"

    run = lived(small_plan(session("one", EVSE_OF[station], stay_min=10), minutes=20), script)

    assert run.csms.transactions == 0
    assert "Authorize" not in run.csms.actions(station)


def test_a_rejected_token_gets_no_energy():
    run = lived(small_plan(session("one", "A", stay_min=10), minutes=20), deny=frozenset({"all"}))

    assert "StartTransaction" not in run.csms.actions("S16")
    assert [stay.energy_wh for stay in run.world.outcome().stays] == [0.0]

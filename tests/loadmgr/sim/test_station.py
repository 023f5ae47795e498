"""Simulated stations over real WebSockets: they hold, obey, tell and forget."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from loadmgr.sim.bay import MOST_UNSENT, Bay
from loadmgr.sim.manners import Rudeness, Spell
from loadmgr.sim.outlet import Outlet
from tests.loadmgr.sim.sim_csms import START, Run, lived, session, small_plan, small_site

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
    assert "Authorize" not in run.csms.actions(station)  # it was the station that let it start
    assert len(run.world.stations[station].wire.transactions) == 0
    assert told_wh(run, station) == pytest.approx(delivered_wh(run, station), abs=1.0)


def told_wh(run: Run, station: str) -> list[float]:
    """Return what the station told of each of its transactions: the register at the end less that at the start."""
    if station == "S16":
        starts = [p["meterStart"] for p in run.csms.payloads("StartTransaction")]
        return [p["meterStop"] - start for p, start in zip(run.csms.payloads("StopTransaction"), starts, strict=True)]
    events = run.csms.payloads("TransactionEvent")
    ends = [[register(e) for e in events if e["eventType"] == kind] for kind in ("Started", "Ended")]
    return [end - start for start, end in zip(*ends, strict=True)]


def register(event: dict) -> float:
    return event["meterValue"][0]["sampledValue"][0]["value"]


def delivered_wh(run: Run, station: str) -> list[float]:
    return list(run.world.stations[station].transactions.delivered_wh.values())


@pytest.mark.parametrize("station", STATIONS)
def test_a_stay_without_a_link_is_told_of_afterwards_with_its_energy_and_its_times(station: str):
    spell = Spell(behaviour=Rudeness.DROPS_LINK, at_s=120.0, for_s=2000.0)
    run = lived(small_plan(session("one", EVSE_OF[station], stay_min=20.0), minutes=60, spells=((station, spell),)))

    assert delivered_wh(run, station)[0] > 500.0
    assert told_wh(run, station) == pytest.approx(delivered_wh(run, station), abs=1.0)
    action = "StartTransaction" if station == "S16" else "TransactionEvent"
    began = datetime.fromisoformat(run.csms.payloads(action)[0]["timestamp"])
    assert abs((began - START).total_seconds() - 300.0) < 20.0


def instants(run: Run, action: str) -> list[float]:
    """Return the times that messages of an action carry [minutes after the start]."""
    stamps = [p.get("timestamp") or p["meterValue"][0]["timestamp"] for p in run.csms.payloads(action)]
    return [(datetime.fromisoformat(text) - START) / timedelta(minutes=1) for text in stamps]


def test_a_whole_stay_without_a_link_is_told_in_order_with_its_own_times_in_1_6():
    spell = Spell(behaviour=Rudeness.DROPS_LINK, at_s=120.0, for_s=1800.0)
    run = lived(small_plan(session("one", "A", stay_min=10), minutes=40, spells=(("S16", spell),)))

    assert [pytest.approx(15.0, abs=0.2)] == instants(run, "StopTransaction")
    sampled = instants(run, "MeterValues")
    assert sorted(sampled) == sampled
    assert len(sampled) in (58, 59, 60)
    assert all(5.0 < minute < 15.0 for minute in sampled)
    told = [action for action in run.csms.actions("S16") if "Transaction" in action or action == "MeterValues"]
    assert told == ["StartTransaction", *["MeterValues"] * len(sampled), "StopTransaction"]


def test_a_whole_stay_without_a_link_is_told_in_order_and_marked_in_2_x():
    spell = Spell(behaviour=Rudeness.DROPS_LINK, at_s=120.0, for_s=1800.0)
    run = lived(small_plan(session("one", "B", stay_min=10), minutes=40, spells=(("S201", spell),)))

    events = run.csms.payloads("TransactionEvent")
    measured = [event for event in events if event["triggerReason"] == "MeterValuePeriodic"]
    assert len(measured) in (58, 59, 60)
    assert all(event.get("offline") for event in (events[0], *measured, events[-1]))
    assert list(range(len(events))) == [event["seqNo"] for event in events]
    assert 1 == len({event["transactionInfo"]["transactionId"] for event in events})
    times = [event["timestamp"] for event in measured]
    assert sorted(times) == times


@pytest.mark.parametrize("station", STATIONS)
def test_what_is_measured_while_the_link_is_down_is_told_when_it_is_back(station: str):
    spell = Spell(behaviour=Rudeness.DROPS_LINK, at_s=660.0, for_s=600.0)
    run = lived(small_plan(session("one", EVSE_OF[station], stay_min=30), minutes=40, spells=((station, spell),)))

    action = "MeterValues" if station == "S16" else "TransactionEvent"
    minutes = [minute for minute in instants(run, action) if 11.0 <= minute < 21.0]
    assert len(minutes) in (59, 60, 61)
    assert sorted(minutes) == minutes


def test_what_waits_for_a_link_is_bounded_and_keeps_its_ends():
    bay = Bay(Outlet(small_site().evses[0], voltage_v=230.0), watcher=None)
    for minute in range(4 * MOST_UNSENT):
        bay.keep((), at=START + timedelta(minutes=minute))

    minutes = [(at - START) / timedelta(minutes=1) for at, _ in bay.unsent]
    assert MOST_UNSENT // 2 <= len(minutes) <= MOST_UNSENT
    assert (0.0, 4.0 * MOST_UNSENT - 1.0) == (minutes[0], minutes[-1])


@pytest.mark.parametrize("station", STATIONS)
def test_what_a_power_loss_ended_is_told_of_after_the_boot(station: str):
    spell = Spell(behaviour=Rudeness.REBOOTS, at_s=900.0, for_s=60.0)
    run = lived(small_plan(session("one", EVSE_OF[station], stay_min=30.0), minutes=50, spells=((station, spell),)))

    delivered = delivered_wh(run, station)
    assert 2 == len(delivered)
    assert min(delivered) > 100.0
    assert told_wh(run, station) == pytest.approx(delivered, abs=1.0)
    told = str(run.csms.payloads("StopTransaction" if station == "S16" else "TransactionEvent"))
    assert "PowerLoss" in told


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


@pytest.mark.filterwarnings("error:coroutine:RuntimeWarning")
@pytest.mark.parametrize("message", ["StatusNotification", "MeterValues", "Heartbeat", "BootNotification"])
def test_a_station_whose_life_is_over_says_nothing_more(message: str):
    run = lived(small_plan(session("one", "A"), minutes=5))
    told = run.csms.actions("S16")

    assert run.world.stations["S16"].trigger(message, None)
    assert told == run.csms.actions("S16")

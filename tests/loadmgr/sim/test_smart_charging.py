"""Smart charging at simulated stations of all three versions, over real WebSockets."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from loadmgr.model.topology import Evse, Site, Station
from loadmgr.sim.manners import Rudeness, Spell
from loadmgr.sim.world_plan import WorldPlan
from ocpp_link.errors import CallRejected
from tests.loadmgr.sim.sim_csms import START, Run, lived, session, small_plan, small_site

EVSE_OF = {"S16": "A", "S201": "B", "S21": "C"}


def three() -> Site:
    """One station of each version."""
    two = small_site()
    return dataclasses.replace(
        two,
        evses=(*two.evses, Evse(id="C", station="S21", circuit="riser", max_a=16.0)),
        stations=(*two.stations, Station(id="S21", version="2.1")),
    )


def plan(station: str, *, minutes: float = 25.0, **more: Any) -> WorldPlan:
    return small_plan(session("one", EVSE_OF[station]), minutes=minutes, on=three(), **more)


def setting(station: str, limit: float | None = 9.0, *, number: int = 1, **changes: Any) -> dict[str, Any]:
    """A SetChargingProfile; ``schedule`` and ``period`` change what lies inside."""
    period = {"startPeriod": 0} | ({} if limit is None else {"limit": limit}) | changes.pop("period", {})
    schedule = {
        "chargingRateUnit": "A",
        "startSchedule": (START - timedelta(minutes=1)).isoformat(),
        "chargingSchedulePeriod": [period],
    } | changes.pop("schedule", {})
    schedule = {key: value for key, value in schedule.items() if value is not None}
    body = {
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
    } | changes
    if station == "S16":
        return {
            "connectorId": number,
            "csChargingProfiles": {"chargingProfileId": 1, "chargingSchedule": schedule} | body,
        }
    return {"evseId": number, "chargingProfile": {"id": 1, "chargingSchedule": [{"id": 1} | schedule]} | body}


def asking(station: str, number: int = 1) -> dict[str, Any]:
    return {"connectorId" if station == "S16" else "evseId": number, "duration": 600, "chargingRateUnit": "A"}


def limits(answer: dict[str, Any]) -> list[tuple[int, float]]:
    schedule = answer.get("schedule") or answer["chargingSchedule"]
    return [(p["startPeriod"], p["limit"]) for p in schedule["chargingSchedulePeriod"]]


def offered_a(run: Run, station: str) -> float:
    """What the station offers by the pilot; the vehicle follows a little later."""
    bay = run.world.stations[station].bays[1]
    return round(bay.entitled_a if bay.energised else 0.0, 6)


@pytest.mark.parametrize("station", EVSE_OF)
def test_a_station_without_smart_charging_says_so_and_ignores_the_profile_of_a_start(station: str):
    """K01.FR.29, K05.FR.04, 1.6 section 5.11."""
    refusals, seen = [], []
    calls = [("SetChargingProfile", setting(station)), ("GetCompositeSchedule", asking(station))]
    calls += [("ClearChargingProfile", {"id": 1} if station == "S16" else {"chargingProfileId": 1})]
    if station != "S16":
        calls += [("GetChargingProfiles", {"requestId": 1, "chargingProfile": {"stackLevel": 0}})]
    if station == "S21":
        calls += [("UpdateDynamicSchedule", {"chargingProfileId": 1, "scheduleUpdate": {"limit": 6.0}})]
        calls += [("UsePriorityCharging", {"transactionId": "7", "activate": True})]

    async def script(run: Run) -> None:
        await run.at(1)
        for action, payload in calls:
            with pytest.raises(CallRejected) as refused:
                await run.call(station, action, payload)
            refusals.append(refused.value.code)
        await run.at(10)
        body = run.world.stations[station]
        await body.transactions.stop(body.bays[1], reason="Local")
        profile = next(v for k, v in setting(station, chargingProfilePurpose="TxProfile").items() if "Profile" in k)
        start = (
            {"connectorId": 1, "idTag": "X"}
            if station == "S16"
            else {"evseId": 1, "remoteStartId": 5, "idToken": {"idToken": "X", "type": "Central"}}
        )
        action = "RemoteStartTransaction" if station == "S16" else "RequestStartTransaction"
        seen.append((await run.call(station, action, start | {"chargingProfile": profile}))["status"])
        await run.at(12)
        seen.append(offered_a(run, station))
        if station == "S16":
            answer = await run.call(station, "GetConfiguration", {"key": ["SupportedFeatureProfiles"]})
            seen.append("SmartCharging" in answer["configurationKey"][0]["value"])

    lived(plan(station, without_profiles=frozenset({station})), script)

    assert ["NotSupported"] * len(calls) == refusals
    assert ["Accepted", 16.0] == seen[:2]
    assert True not in seen[2:]


@pytest.mark.parametrize("station", EVSE_OF)
def test_the_profile_of_a_remote_start_limits_its_transaction_or_refuses_it(station: str):
    """K05.FR.02, K05.FR.05."""
    seen = []

    async def script(run: Run) -> None:
        await run.at(10)
        body = run.world.stations[station]
        await body.transactions.stop(body.bays[1], reason="Local")
        start = (
            {"connectorId": 1, "idTag": "X"}
            if station == "S16"
            else {"evseId": 1, "remoteStartId": 5, "idToken": {"idToken": "X", "type": "Central"}}
        )
        action = "RemoteStartTransaction" if station == "S16" else "RequestStartTransaction"
        for purpose in ("TxDefaultProfile", "TxProfile"):
            profile = next(v for k, v in setting(station, chargingProfilePurpose=purpose).items() if "Profile" in k)
            seen.append((await run.call(station, action, start | {"chargingProfile": profile}))["status"])
        await run.at(12)
        seen.append(offered_a(run, station))

    lived(plan(station), script)

    assert ["Rejected", "Accepted", 9.0] == seen


@pytest.mark.parametrize("station", ["S201", "S21"])
def test_installed_profiles_are_reported_by_evse_and_source(station: str):
    """GetChargingProfiles and its reports (K09): what was asked for, external limits under their source."""
    answers: list[str] = []

    async def script(run: Run) -> None:
        await run.at(1)
        await run.call(station, "SetChargingProfile", setting(station))
        await run.call(station, "SetChargingProfile", setting(station, id=2, stackLevel=1))
        await run.world.stations[station].profiles.limit_externally(0, 7.0)
        asked = [
            {"chargingLimitSource": ["CSO", "EMS"]},
            {"chargingProfilePurpose": "ChargingStationExternalConstraints"},
        ]
        asked += [{"chargingProfileId": [2]}, {"stackLevel": 5}]
        for number, criteria in enumerate(asked):
            payload = {"requestId": number, "chargingProfile": criteria}
            answers.append((await run.call(station, "GetChargingProfiles", payload))["status"])
        payload = {"requestId": 9, "evseId": 0, "chargingProfile": {"stackLevel": 0}}
        answers.append((await run.call(station, "GetChargingProfiles", payload))["status"])

    run = lived(plan(station, minutes=5), script)

    reports = [
        (p["requestId"], p["evseId"], p["chargingLimitSource"], len(p["chargingProfile"]), p["tbc"])
        for p in run.csms.payloads("ReportChargingProfiles")
    ]
    assert ["Accepted"] * 3 + ["NoProfiles", "Accepted"] == answers
    assert {
        (0, 1, "CSO", 2, True),
        (0, 0, "EMS", 1, False),
        (1, 0, "EMS", 1, False),
        (2, 1, "CSO", 1, False),
        (9, 0, "EMS", 1, False),
    } == set(reports)


@pytest.mark.parametrize("station", EVSE_OF)
def test_an_external_limit_is_obeyed_told_and_in_the_composite_schedule(station: str):
    """K12 and K13; 1.6 has no words for it, but obeys and answers alike."""
    seen: list[Any] = []

    async def script(run: Run) -> None:
        await run.at(10)
        await run.world.stations[station].profiles.limit_externally(1, 7.0, duration_s=900)
        seen.append(offered_a(run, station))
        seen.append(limits(await run.call(station, "GetCompositeSchedule", asking(station))))
        clear = {} if station == "S16" else {"chargingProfileCriteria": {"stackLevel": 0}}
        seen.append((await run.call(station, "ClearChargingProfile", clear))["status"])
        seen.append(offered_a(run, station))
        await run.world.stations[station].profiles.release_external(1)
        seen.append(offered_a(run, station))

    run = lived(plan(station), script)

    if station == "S16":  # which knows no purpose that is not to be cleared
        assert [7.0, [(0, 7.0)], "Accepted", 16.0, 16.0] == seen
    else:
        assert [7.0, [(0, 7.0)], "Unknown", 7.0, 16.0] == seen
        (told,), (cleared,) = run.csms.payloads("NotifyChargingLimit"), run.csms.payloads("ClearedChargingLimit")
        assert ("EMS", 1) == (told["chargingLimit"]["chargingLimitSource"], told["evseId"])
        assert 7.0 == told["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"]
        assert ("EMS", 1) == (cleared["chargingLimitSource"], cleared["evseId"])


def test_a_dynamic_profile_follows_updates_and_is_pulled_when_they_fail_to_come():
    """UpdateDynamicSchedule and PullDynamicScheduleUpdate (K28, 2.1)."""
    seen: list[Any] = []
    dynamic = {"chargingProfileKind": "Dynamic", "dynUpdateInterval": 120, "schedule": {"startSchedule": None}}

    async def script(run: Run) -> None:
        await run.at(10)
        answer = await run.call("S21", "SetChargingProfile", setting("S21", 12.0, **dynamic))
        seen.extend([answer["status"], offered_a(run, "S21")])
        await run.at(11.5)
        update = {"chargingProfileId": 1, "scheduleUpdate": {"limit": 8.0}}
        seen.append((await run.call("S21", "UpdateDynamicSchedule", update))["status"])
        seen.append((await run.call("S21", "UpdateDynamicSchedule", update | {"chargingProfileId": 5}))["status"])
        run.csms.pulled = {"status": "Accepted", "scheduleUpdate": {"limit": 6.0}}
        await run.at(13.3)
        seen.append(offered_a(run, "S21"))
        await run.at(13.7)
        seen.append(offered_a(run, "S21"))
        run.csms.pulled = {"status": "Rejected"}
        await run.at(19)
        seen.append(offered_a(run, "S21"))
        await run.call("S21", "ClearChargingProfile", {"chargingProfileId": 1})

    run = lived(plan("S21", minutes=30), script)

    assert ["Accepted", 12.0, "Accepted", "Rejected", 8.0, 6.0, 6.0] == seen
    pulled = [round(at_s / 60, 1) for at_s, _, action, _ in run.csms.heard if action == "PullDynamicScheduleUpdate"]
    assert [13.5, 15.5, 17.5] == pulled


def test_priority_charging_replaces_the_transactions_limits_while_it_is_used():
    """UsePriorityCharging (K21), and the driver's own wish (K22) (2.1)."""
    seen: list[Any] = []

    async def script(run: Run) -> None:
        await run.at(10)
        body = run.world.stations["S21"]
        await run.call("S21", "SetChargingProfile", setting("S21", 6.0))
        use = {"transactionId": body.bays[1].transaction, "activate": True}
        seen.append((await run.call("S21", "UsePriorityCharging", use))["status"])
        priority = setting("S21", 14.0, number=0, id=2, chargingProfilePurpose="PriorityCharging")
        await run.call("S21", "SetChargingProfile", priority)
        seen.append((await run.call("S21", "UsePriorityCharging", use | {"transactionId": "none"}))["status"])
        seen.append((await run.call("S21", "UsePriorityCharging", use))["status"])
        seen.append(offered_a(run, "S21"))
        seen.append(limits(await run.call("S21", "GetCompositeSchedule", asking("S21"))))
        await run.call("S21", "UsePriorityCharging", use | {"activate": False})
        seen.append(offered_a(run, "S21"))
        await body.profiles.use_priority(1, activate=True)
        seen.append(offered_a(run, "S21"))

    run = lived(plan("S21"), script)

    assert ["NoProfile", "Rejected", "Accepted", 14.0, [(0, 14.0)], 6.0, 14.0] == seen
    assert [True] == [p["activated"] for p in run.csms.payloads("NotifyPriorityCharging")]


def test_a_station_may_take_profiles_no_faster_than_it_likes():
    """RateLimitExceeded (K01.FR.56, 2.1): what is refused leaves what holds, and later the same is taken."""
    seen: list[Any] = []

    async def script(run: Run) -> None:
        await run.at(10)
        run.world.stations["S21"].profiles.least_s_between_profiles = 90.0
        for minute in (10, 11, 12):
            await run.at(minute)
            answer = await run.call("S21", "SetChargingProfile", setting("S21", float(minute)))
            seen.append(answer.get("statusInfo", answer))
            seen.append(offered_a(run, "S21"))

    lived(plan("S21"), script)

    accepted, refused = {"status": "Accepted"}, {"reasonCode": "RateLimitExceeded"}
    assert [accepted, 10.0, refused, 10.0, accepted, 12.0] == seen


def test_a_profile_that_must_not_be_used_offline_is_not():
    """maxOfflineDuration (K01.FR.101, K01.FR.102, 2.1): after ten minutes without link, and back with it."""
    seen = []

    async def script(run: Run) -> None:
        await run.at(1)
        await run.call("S21", "SetChargingProfile", setting("S21", 12.0, stackLevel=1, maxOfflineDuration=600))
        await run.call("S21", "SetChargingProfile", setting("S21", 7.0, id=2))
        for minute in (15, 21, 30):
            await run.at(minute)
            seen.append(offered_a(run, "S21"))

    spell = Spell(behaviour=Rudeness.DROPS_LINK, at_s=600.0, for_s=900.0)
    lived(plan("S21", minutes=35, spells=(("S21", spell),)), script)

    assert [12.0, 7.0, 12.0] == seen


@pytest.mark.parametrize("station", EVSE_OF)
def test_a_station_never_claims_more_than_it_can_carry(station: str):
    """An installed limit of 999999 is a limit of the hardware."""
    seen = []

    async def script(run: Run) -> None:
        await run.at(1)
        await run.call(station, "SetChargingProfile", setting(station, 999999.0))
        seen.append(limits(await run.call(station, "GetCompositeSchedule", asking(station))))

    lived(plan(station, minutes=5), script)

    assert [[(0, 16.0)]] == seen

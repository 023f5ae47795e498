"""A whole world: observations, ledger, promises, money, and the same run every time."""

import asyncio
import dataclasses
import math
from datetime import timedelta

import pytest
import uvloop

from loadmgr.control.observation import SessionDeclared, SiteMeterReading
from loadmgr.model.series import StepFunction
from loadmgr.model.tariff import DemandCharge, FixedRate, Tariff
from loadmgr.sim.manners import Rudeness, Spell
from loadmgr.sim.world_plan import Background, WorldPlan
from tests.loadmgr.sim.sim_csms import START, Run, lived, session, small_plan

TARIFF = Tariff(time_zone="UTC", energy=FixedRate(price_per_kwh=0.3))
FLAT = StepFunction((START,), (5.0,), START + timedelta(hours=1))


def busy_plan(**more: object) -> WorldPlan:
    spells = (
        ("S16", Spell(behaviour=Rudeness.REBOOTS_AND_FORGETS, at_s=1200.0, for_s=60.0)),
        ("S201", Spell(behaviour=Rudeness.DROPS_LINK, at_s=1500.0, for_s=120.0)),
    )
    plan = small_plan(
        session("one", "A", estimated_departure=START + timedelta(minutes=30)),
        session("two", "B", at_min=5.5, stay_min=20.0),
        session("three", "B", at_min=26, stay_min=20.0),
        spells=spells,
    )
    return dataclasses.replace(plan, **more)


def test_same_plan_same_world_on_either_loop():
    def told(runner: object) -> tuple[object, ...]:
        async def run() -> tuple[object, ...]:
            async with Run(busy_plan()).living() as living:
                await living.world.run()
                return living.csms.heard, living.world.report(TARIFF), living.clock.events_released

        return runner(run())

    worlds = [told(runner) for runner in (asyncio.run, asyncio.run, uvloop.run)]

    assert worlds[0] == worlds[1] == worlds[2]
    assert len(worlds[0][0]) > 200


def test_site_meter_sees_vehicles_and_building():
    building = Background(id="building", circuit="grid", current_a=(FLAT, FLAT, FLAT))
    plan = dataclasses.replace(small_plan(session("one", "A", at_min=5, phases=1)), background=(building,))
    run = lived(plan)
    readings = [o for o in run.observed if isinstance(o, SiteMeterReading)]

    assert len(readings) == 60
    assert readings[2].currents_a == (5.0, 5.0, 5.0)
    assert readings[10].currents_a == pytest.approx((21.0, 5.0, 5.0))
    assert [(r.at - START).total_seconds() for r in readings[:3]] == [0.0, 60.0, 120.0]


def test_driver_speaks_at_plug_in_where_the_table_holds_an_estimate():
    leaves = START + timedelta(minutes=30)
    run = lived(small_plan(session("one", "A", estimated_departure=leaves), session("two", "B")))
    said = [o for o in run.observed if isinstance(o, SessionDeclared)]

    assert [(s.evse, s.departure, s.need.wanted_wh) for s in said] == [("A", leaves, 20_000.0)]


def test_energy_booked_in_slots_is_the_energy_of_the_stays():
    run = lived(busy_plan())
    outcome = run.world.outcome()

    taken_wh = math.fsum(stay.energy_wh for stay in outcome.stays)
    assert taken_wh > 5_000.0
    assert math.fsum(outcome.charged_wh) == pytest.approx(taken_wh, rel=1e-9)
    assert outcome.marks_s == (0.0, 900.0, 1800.0, 2700.0, 3600.0)


def test_excursions_name_who_drew_too_much():
    spell = Spell(behaviour=Rudeness.IGNORES_LIMITS, at_s=900.0, for_s=120.0)

    async def script(run: Run) -> None:
        await run.at(1)
        for station, key in (("S16", "connectorId"), ("S201", "evseId")):
            schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0}]}
            body = {"stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Relative"}
            if station == "S16":
                payload = {key: 1, "csChargingProfiles": body | {"chargingProfileId": 1, "chargingSchedule": schedule}}
            else:
                payload = {key: 1, "chargingProfile": body | {"id": 1, "chargingSchedule": [schedule | {"id": 1}]}}
            answer = await run.call(station, "SetChargingProfile", payload)
            assert answer["status"] == "Accepted"

    plan = small_plan(session("one", "A"), session("two", "B"), spells=(("S16", spell),))
    run = lived(plan, script)
    figures = run.world.report(TARIFF).figures()
    excursions = run.world.outcome().excursions

    assert {(e.circuit, e.cause) for e in excursions} == {("riser", "A drew more than the profiles there allow")}
    assert len(excursions) == 3
    assert all(e.over_s == pytest.approx(120.0, abs=10.0) for e in excursions)
    assert figures["worst_overload_a"] == pytest.approx(6.0)
    assert figures["worst_overload_ratio"] == pytest.approx(26.0 / 20.0)
    assert figures["seconds_above_limit"] == pytest.approx(figures["seconds_above_limit_raw"] - 3 * 45.0)


def test_promises_are_judged_by_the_departure_that_was_said():
    def leaving(minute: float) -> object:
        return START + timedelta(minutes=minute)

    plan = small_plan(
        session("kept", "A", at_min=1, stay_min=20, estimated_departure=leaving(20), energy_requested_wh=1000.0),
        session("left early", "A", at_min=25, stay_min=10, estimated_departure=leaving(50)),
        session("silent", "B", at_min=1, stay_min=10),
        session("open", "B", at_min=30, stay_min=60, estimated_departure=leaving(80)),
    )
    run = lived(plan)
    outcome = run.world.outcome()
    found = {stay.visit.session_id: stay.promise for stay in outcome.stays}
    figures = run.world.report(TARIFF).figures()

    assert found == {"kept": "kept", "left early": "lapsed", "silent": None, "open": "open"}
    assert (figures["promises_total"], figures["promises_kept"], figures["promises_lapsed"]) == (1, 1, 1)


def test_a_promise_is_broken_when_the_energy_comes_after_the_time_that_was_said():
    async def script(run: Run) -> None:
        await run.at(1)
        schedule = {
            "chargingRateUnit": "A",
            "startSchedule": START.isoformat(),
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 0.0}, {"startPeriod": 1800, "limit": 16.0}],
        }
        body = {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": schedule,
        }
        await run.call("S16", "SetChargingProfile", {"connectorId": 1, "csChargingProfiles": body})

    estimate = START + timedelta(minutes=29)
    asked = session("one", "A", stay_min=50, estimated_departure=estimate, energy_requested_wh=2000.0)
    run = lived(small_plan(asked), script)
    (stay,) = run.world.outcome().stays

    assert stay.energy_wh == pytest.approx(2000.0)
    assert stay.energy_by_promise_wh == 0.0
    assert stay.promise == "broken"


def test_cost_is_what_charging_adds_to_the_bill():
    tariff = dataclasses.replace(TARIFF, demand=(DemandCharge(name="peak", price_per_kw=10.0),))
    building = Background(id="building", circuit="grid", current_a=(FLAT, FLAT, FLAT))
    plan = dataclasses.replace(
        small_plan(session("one", "A", at_min=0, stay_min=60, energy_requested_wh=2760.0)), background=(building,)
    )
    run = lived(plan)
    outcome, figures = run.world.outcome(), run.world.report(tariff).figures()
    building_w = 3 * 5.0 * 230.0

    assert outcome.background_w == pytest.approx((building_w,) * 4)
    assert figures["peak_w"] == pytest.approx(building_w + max(outcome.charged_wh) * 4, abs=1e-3)
    added_kw = (figures["peak_w"] - building_w) / 1000.0
    assert figures["cost"] == pytest.approx(2.760 * 0.3 + added_kw * 10.0, rel=1e-4)
    assert figures["energy_delivered_wh"] == pytest.approx(2760.0)
    assert figures["energy_uncontrolled_wh"] == pytest.approx(2760.0)


def test_early_stop_gives_an_outcome_of_what_was():
    async def run() -> tuple[float, float, tuple[float, ...]]:
        async with Run(small_plan(session("one", "A"))).living() as living:
            living.party.call_at(1000.0, living.clock.stop)
            await living.world.run()
            outcome = living.world.outcome()
            return outcome.elapsed_s, math.fsum(outcome.charged_wh), outcome.marks_s

    elapsed_s, charged_wh, marks_s = asyncio.run(run())

    assert elapsed_s == 1000.0
    assert marks_s == (0.0, 900.0, 1000.0)
    assert charged_wh > 0.0

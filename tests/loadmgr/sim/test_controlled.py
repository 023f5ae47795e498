"""The controller itself in simulated time: limits kept, and the same result with and without frames."""

import asyncio
import dataclasses
from datetime import timedelta

import pytest

from loadmgr.model.tariff import FixedRate, Tariff
from loadmgr.model.topology import Trust
from loadmgr.sim.controlled import live_controlled, with_meter_interval
from loadmgr.sim.manners import Rudeness, Spell
from loadmgr.sim.run import SimulationOptions, run_plan
from loadmgr.sim.world_plan import WorldPlan
from tests.loadmgr.sim.sim_csms import START, session, small_plan

TARIFF = Tariff(time_zone="UTC", energy=FixedRate(price_per_kwh=0.3))


def plan(*spells: tuple[str, Spell], minutes: float = 90.0) -> WorldPlan:
    leaves = START + timedelta(minutes=70)
    bare = small_plan(
        session("one", "A", at_min=5, stay_min=70, estimated_departure=leaves),
        session("two", "B", at_min=12, stay_min=60, estimated_departure=leaves),
        minutes=minutes,
        spells=spells,
    )
    stations = tuple(dataclasses.replace(s, keeps_profiles=Trust.YES, zero_ok=Trust.YES) for s in bare.site.stations)
    return with_meter_interval(dataclasses.replace(bare, site=dataclasses.replace(bare.site, stations=stations)), 30.0)


def test_the_controller_serves_vehicles_within_the_limits():
    result = run_plan(plan(), TARIFF, strategy="controller", options=SimulationOptions())
    figures = result.report().figures()

    assert figures["seconds_above_limit_raw"] == 0.0
    assert figures["energy_delivered_wh"] > 10_000.0
    assert result.energy_wh.sum() == pytest.approx(figures["energy_delivered_wh"], rel=1e-6)
    assert result.decisions > 50


@pytest.mark.parametrize(
    "spells",
    [
        (),
        (("S16", Spell(behaviour=Rudeness.ANSWERS_LATE, at_s=600.0, for_s=600.0, answer_delay_s=7.0)),),
        (("S201", Spell(behaviour=Rudeness.REBOOTS_AND_FORGETS, at_s=1500.0, for_s=60.0)),),
        (("S16", Spell(behaviour=Rudeness.ANSWERS_LATE, at_s=600.0, for_s=600.0, answer_delay_s=25.0)),),
    ],
    ids=["polite", "late", "reboot", "too late"],
)
def test_fast_and_protocol_give_the_same_result(spells: tuple[tuple[str, Spell], ...]):
    def told(fidelity: str) -> tuple[object, ...]:
        lived = asyncio.run(live_controlled(plan(*spells), TARIFF, fidelity=fidelity))
        return lived.world.report(TARIFF), dict(lived.loop.messages), lived.loop.decisions

    fast, protocol = told("fast"), told("protocol")

    assert fast[0].values["energy_delivered_wh"] > 5_000.0
    assert fast[0].sessions == protocol[0].sessions
    assert fast[0].figures() == protocol[0].figures()


def test_a_simulation_runs_where_an_event_loop_runs_already():
    async def notebook() -> float:
        result = run_plan(plan(minutes=30.0), TARIFF, strategy="controller", options=SimulationOptions())
        return result.outcome.elapsed_s

    assert asyncio.run(notebook()) == 1800.0


def test_unknown_fidelity_is_refused_by_name():
    with pytest.raises(ValueError, match="fidelity must be one of fast, protocol"):
        asyncio.run(live_controlled(plan(), TARIFF, fidelity="exact"))
    with pytest.raises(ValueError, match="fidelity protocol is for the strategy controller"):
        run_plan(plan(), TARIFF, strategy="first_come", options=SimulationOptions(fidelity="protocol"))

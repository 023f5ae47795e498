"""Energy is conserved to the last digit on random sites, and frames change nothing where AC, DC and V2G meet."""

import asyncio
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.model.equipment import Battery
from loadmgr.model.ids import CircuitId
from loadmgr.model.series import StepFunction
from loadmgr.model.session import SessionRecord
from loadmgr.model.tariff import DynamicRate, FixedRate, Tariff
from loadmgr.model.topology import Circuit, CurrentType, Evse, Phase, Site, Station, Trust
from loadmgr.sim.controlled import Controlled, live_controlled, with_battery_links, with_meter_interval
from loadmgr.sim.run import simulate
from loadmgr.sim.strategies import STRATEGIES
from loadmgr.sim.world_plan import WorldPlan
from tests.loadmgr.sim.sim_csms import START, session, small_plan, small_site

FLAT = Tariff(time_zone="UTC", energy=FixedRate(price_per_kwh=0.3))
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def _random_site(rng: np.random.Generator) -> Site:
    """Return up to six EVSEs, AC on one to three phases or DC, on a grid and a feeder that may be far too small."""
    circuits = [
        Circuit(id=name, parent=parent, limit_a=(limit_a,) * 3, rated_a=(limit_a,) * 3)
        for name, parent, limit_a in (
            ("grid", None, float(rng.integers(6, 120))),
            ("feeder", "grid", float(rng.integers(6, 120))),
        )
    ]
    evses = []
    for number in range(int(rng.integers(1, 7))):
        dc = rng.random() < 0.3
        shared = {"id": f"E{number}", "station": f"E{number}", "circuit": str(rng.choice(["grid", "feeder"]))}
        evses.append(
            Evse(**shared, current_type=CurrentType.DC, max_a=80.0, min_a=1.0, max_w=50_000.0, efficiency_ratio=0.94)
            if dc
            else Evse(**shared, max_a=float(rng.choice([16, 32])), phases=tuple(Phase)[: int(rng.integers(1, 4))])
        )
    stations = tuple(Station(id=evse.id) for evse in evses)
    return Site(name="random", time_zone="UTC", circuits=tuple(circuits), evses=tuple(evses), stations=stations)


def _random_sessions(rng: np.random.Generator) -> list[SessionRecord]:
    out = []
    for number in range(int(rng.integers(1, 12))):
        arrival = MONDAY + timedelta(seconds=int(rng.integers(0, 80_000)))
        departure = arrival + timedelta(seconds=int(rng.integers(60, 40_000)))
        said = departure + timedelta(seconds=int(rng.integers(-4_000, 8_000)))
        out.append(
            SessionRecord(
                session_id=f"s{number}",
                arrival=arrival,
                departure=departure,
                estimated_departure=max(said, arrival + timedelta(minutes=1)) if rng.random() < 0.7 else None,
                energy_requested_wh=float(rng.uniform(0.0, 60_000.0)),
                phases=int(rng.integers(1, 4)),
                max_a=float(rng.choice([10, 16, 32])),
            )
        )
    return out


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "controller"])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_meters_book_is_what_vehicles_take_on_any_site(strategy: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    site = _random_site(rng)
    run = simulate(
        site, _random_sessions(rng), FLAT, strategy=strategy, start=MONDAY, until=MONDAY + timedelta(days=1), seed=seed
    )
    by_evse = {evse.id: 0.0 for evse in site.evses}
    for stay in run.outcome.stays:
        by_evse[stay.visit.evse.id] += stay.energy_wh

    assert run.energy_wh.sum(axis=1) == pytest.approx(list(by_evse.values()), rel=1e-9, abs=1e-6)
    assert math.fsum(run.outcome.charged_wh) == pytest.approx(math.fsum(by_evse.values()), rel=1e-9, abs=1e-6)
    assert run.report().figures()["energy_delivered_wh"] == pytest.approx(math.fsum(by_evse.values()), abs=1e-3)


def _mixed_plan() -> WorldPlan:
    """Return an AC car, a DC car that may feed back, and a battery: a dear half hour, then cheap ones."""
    bare = small_site()
    ac, dc = bare.evses
    site = replace(
        bare,
        evses=(
            ac,
            replace(
                dc,
                current_type=CurrentType.DC,
                min_a=1.0,
                max_w=10_000.0,
                efficiency_ratio=0.94,
                discharge_a=12.0,
            ),
        ),
        stations=tuple(
            replace(s, version=version, keeps_profiles=Trust.YES, zero_ok=Trust.YES)
            for s, version in zip(bare.stations, ("1.6", "2.1"), strict=True)
        ),
        batteries=(
            Battery(
                id="box",
                circuit=CircuitId("grid"),
                capacity_wh=10_000.0,
                max_charge_w=5_000.0,
                max_discharge_w=5_000.0,
                stored_wh=5_000.0,
            ),
        ),
    )
    leaves = START + timedelta(minutes=95)
    plan = small_plan(
        session("ac", "A", at_min=5, stay_min=80, estimated_departure=leaves),
        session(
            "dc",
            "B",
            at_min=8,
            stay_min=80,
            energy_requested_wh=3_000.0,
            estimated_departure=leaves,
            discharge_a=16.0,
            discharge_wh=8_000.0,
        ),
        minutes=90.0,
        on=site,
    )
    return with_battery_links(with_meter_interval(plan, 30.0))


def test_frames_change_nothing_where_ac_dc_v2g_and_a_battery_meet() -> None:
    prices = StepFunction((START, START + timedelta(minutes=30)), (0.9, 0.1), START + timedelta(days=2))
    tariff = Tariff(time_zone="UTC", energy=DynamicRate(price_per_kwh=prices), export=DynamicRate(price_per_kwh=prices))

    def lived(fidelity: str) -> Controlled:
        return asyncio.run(live_controlled(_mixed_plan(), tariff, fidelity=fidelity))

    fast, protocol = lived("fast"), lived("protocol")

    rows = np.array(fast.world.energy_wh())
    assert rows[0].sum() > 5_000.0
    assert rows[1].min() < -300.0 < 300.0 < rows[1].max(), "it feeds the dear half hour and charges afterwards"
    assert np.abs(fast.world.outcome().battery_wh).sum() > 1_000.0
    assert fast.world.energy_wh() == protocol.world.energy_wh()
    assert fast.world.outcome().battery_wh == protocol.world.outcome().battery_wh
    assert fast.world.report(tariff).figures() == protocol.world.report(tariff).figures()
    assert dict(fast.loop.messages) == dict(protocol.loop.messages)

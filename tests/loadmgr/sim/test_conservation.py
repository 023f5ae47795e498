"""Energy is conserved to the last digit on random sites, also where vehicles feed back; frames change nothing."""

import asyncio
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.model.equipment import Battery
from loadmgr.model.ids import CircuitId, SessionId
from loadmgr.model.series import StepFunction
from loadmgr.model.session import SessionRecord, Taper
from loadmgr.model.tariff import DynamicRate, FixedRate, Tariff
from loadmgr.model.topology import Circuit, CurrentType, Evse, Phase, Site, Station, Trust
from loadmgr.sim.arrivals import Visit
from loadmgr.sim.controlled import Controlled, live_controlled, with_battery_links, with_meter_interval
from loadmgr.sim.crowd import Crowd
from loadmgr.sim.run import simulate
from loadmgr.sim.strategies import STRATEGIES
from loadmgr.sim.vehicle import Vehicle, VehicleSpec
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


FEEDING = Evse(id="E0", station="E0", circuit="grid", max_a=80.0, discharge_a=40.0)


@st.composite
def _vehicles(draw: st.DrawFn) -> VehicleSpec:
    """Return vehicles that feed back, with losses or without, above and below their floor when they come."""
    target_ratio = draw(st.floats(0.3, 1.0))
    return VehicleSpec(
        capacity_wh=draw(st.floats(5_000.0, 120_000.0)),
        arrival_ratio=draw(st.floats(0.0, 1.0)) * target_ratio,
        target_ratio=target_ratio,
        phases=draw(st.integers(1, 3)),
        min_a=1.0,
        max_a=draw(st.floats(6.0, 80.0)),
        efficiency_ratio=draw(st.sampled_from([1.0, 0.95, 0.88, 0.6])),
        taper=Taper(start_ratio=draw(st.floats(0.0, 1.0)), end_ratio=draw(st.floats(0.05, 1.0))),
        lag_s=0.0,
        discharge_a=draw(st.floats(0.0, 60.0)),
        floor_ratio=draw(st.floats(0.0, 1.0)),
    )


@settings(max_examples=200, deadline=None)
@given(
    spec=_vehicles(),
    offers=st.lists(st.tuples(st.floats(-90.0, 90.0), st.floats(0.0, 30_000.0)), min_size=1, max_size=12),
)
def test_a_battery_holds_what_it_was_charged_less_what_it_gave_and_lost(
    spec: VehicleSpec, offers: list[tuple[float, float]]
) -> None:
    visit = Visit(
        session_id=SessionId("s"),
        evse=FEEDING,
        arrival_s=0.0,
        departure_s=math.inf,
        vehicle=spec,
        asked_wh=0.0,
        said=None,
        promised_wh=None,
    )
    crowd = Crowd((FEEDING,), voltage_v=230.0)
    crowd.plug(0, visit, said_departure_s=math.inf, said_wh=0.0)
    alone = Vehicle(spec, now_s=0.0, voltage_v=230.0, evse_phases=3)
    now_s, charged_wh, given_wh = 0.0, 0.0, 0.0
    for current_a, seconds in offers:
        alone.offer(now_s, max(min(current_a, FEEDING.max_a), -FEEDING.discharge_a))
        now_s += seconds
        alone.advance(now_s)
        (taken_wh,) = crowd.charge(np.array([min(current_a, FEEDING.max_a)]), np.array([seconds])).tolist()
        charged_wh, given_wh = charged_wh + max(taken_wh, 0.0), given_wh + max(-taken_wh, 0.0)
        gained_wh = charged_wh * spec.efficiency_ratio - given_wh / spec.efficiency_ratio  # in the battery
        held_ratio = spec.arrival_ratio + gained_wh / spec.capacity_wh
        assert crowd.energy_wh[0] * spec.efficiency_ratio == pytest.approx(gained_wh, rel=1e-9, abs=1e-5)
        assert (alone.energy_wh, alone.exported_wh) == pytest.approx((charged_wh, given_wh), rel=1e-9, abs=1e-5)
        assert min(spec.floor_ratio, spec.arrival_ratio) - 1e-9 <= held_ratio <= spec.target_ratio + 1e-9


def _feeding_site(rng: np.random.Generator) -> Site:
    site = _random_site(rng)
    evses = tuple(
        replace(evse, discharge_a=float(rng.choice([0.0, 10.0, 16.0])) if rng.random() < 0.8 else 0.0)
        for evse in site.evses
    )
    return replace(site, evses=evses, stations=tuple(replace(s, version="2.1") for s in site.stations))


def _feeding_sessions(rng: np.random.Generator) -> list[SessionRecord]:
    """Return sessions that come and go on the quarter of an hour: in no step does one both charge and feed back."""

    def on_the_quarter(when: datetime) -> datetime:
        return MONDAY + timedelta(seconds=900 * math.ceil((when - MONDAY).total_seconds() / 900.0))

    return [
        replace(
            record,
            arrival=on_the_quarter(record.arrival),
            departure=on_the_quarter(record.departure) + timedelta(minutes=15),
            estimated_departure=on_the_quarter(record.departure) + timedelta(minutes=int(rng.integers(-30, 60))),
            discharge_a=float(rng.choice([0.0, 8.0, 32.0])),
            discharge_wh=float(rng.choice([0.0, 500.0, 20_000.0])),
        )
        for record in _random_sessions(rng)
    ]


@pytest.mark.parametrize("strategy", ["program", "optimum"])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_vehicles_feed_back_is_taken_from_what_they_gained_with_its_losses(strategy: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    hours = tuple(MONDAY + timedelta(hours=hour) for hour in range(25))
    prices = StepFunction(hours, tuple(rng.uniform(0.0, 1.0, len(hours)).tolist()), MONDAY + timedelta(days=4))
    tariff = Tariff(time_zone="UTC", energy=DynamicRate(price_per_kwh=prices), export=DynamicRate(price_per_kwh=prices))
    run = simulate(
        _feeding_site(rng),
        _feeding_sessions(rng),
        tariff,
        strategy=strategy,
        start=MONDAY,
        until=MONDAY + timedelta(days=1),
        seed=seed,
    )
    row_of = {evse.id: row for row, evse in enumerate(run.outcome.plan.site.evses)}

    assert run.energy_wh.sum() == pytest.approx(math.fsum(run.outcome.charged_wh), rel=1e-9, abs=1e-6)
    for stay in run.outcome.stays:
        visit = stay.visit
        first, last = (round(at_s / 900.0) for at_s in (visit.arrival_s, visit.departure_s))
        booked_wh = run.energy_wh[row_of[visit.evse.id], first:last]
        gained_wh = np.where(booked_wh < 0.0, booked_wh / visit.vehicle.round_trip_ratio, booked_wh)
        least_wh = 0.0 if visit.said is None or visit.said.discharge is None else -visit.said.discharge.room_wh
        assert stay.energy_wh == pytest.approx(gained_wh.sum(), rel=1e-9, abs=1e-6)
        assert np.cumsum(gained_wh).min(initial=0.0) >= min(least_wh, 0.0) - 1e-6


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

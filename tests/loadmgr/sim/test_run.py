"""Simulations in steps: strategies keep limits, conserve energy, and differ as they should."""

import dataclasses
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from loadmgr.model.calendar import ClockWindow
from loadmgr.model.series import StepFunction
from loadmgr.model.session import SessionRecord
from loadmgr.model.tariff import DemandCharge, FixedRate, RatePeriod, Tariff, TimeOfUseRate
from loadmgr.model.topology import Circuit, Evse, Phase, Site, Station
from loadmgr.sim.run import SimulationOptions, simulate
from loadmgr.sim.slots import SlotOptions
from loadmgr.sim.strategies import RULES
from loadmgr.sim.world_plan import Background

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
FLAT = Tariff(time_zone="UTC", energy=FixedRate(price_per_kwh=0.3))
SLOTTED = ("uncontrolled", *RULES, "program", "optimum")
PHASES = (Phase.L1, Phase.L2, Phase.L3)


def site(count: int = 6, *, limit_a: float = 32.0) -> Site:
    names = [f"E{number}" for number in range(count)]
    return Site(
        name="yard",
        time_zone="UTC",
        circuits=(
            Circuit(id="grid", limit_a=(limit_a,) * 3, rated_a=(limit_a,) * 3),
            Circuit(id="row", parent="grid", limit_a=(20.0,) * 3, rated_a=(25.0,) * 3),
        ),
        evses=tuple(
            Evse(
                id=name,
                station=name,
                circuit="row" if number < count // 2 else "grid",
                max_a=16.0,
                phases=PHASES[number % 3 :] + PHASES[: number % 3],
            )
            for number, name in enumerate(names)
        ),
        stations=tuple(Station(id=name) for name in names),
    )


def sessions(count: int, *, seed: int = 3, known: bool = True) -> list[SessionRecord]:
    rng = np.random.default_rng(seed)
    out = []
    for number in range(count):
        arrival = START + timedelta(seconds=int(rng.integers(0, 50_000)))
        departure = arrival + timedelta(seconds=int(rng.integers(3_600, 30_000)))
        out.append(
            SessionRecord(
                session_id=f"s{number}",
                arrival=arrival,
                departure=departure,
                estimated_departure=departure if known else None,
                energy_requested_wh=float(rng.uniform(2_000, 20_000)),
                phases=int(rng.integers(1, 4)),
                max_a=16.0,
            )
        )
    return out


def run(strategy: str, tariff: Tariff = FLAT, *, count: int = 14, where: Site | None = None, **more: object):
    return simulate(
        where or site(), sessions(count), tariff, strategy=strategy, start=START, until=START + 2 * DAY, seed=1, **more
    )


@pytest.mark.parametrize("strategy", SLOTTED)
def test_energy_is_conserved(strategy: str):
    result = run(strategy)
    taken_wh = math.fsum(stay.energy_wh for stay in result.outcome.stays)

    assert taken_wh > 10_000.0
    assert result.energy_wh.sum() == pytest.approx(taken_wh, rel=1e-9)
    assert math.fsum(result.outcome.charged_wh) == pytest.approx(taken_wh, rel=1e-9)
    assert all(stay.energy_wh <= stay.visit.vehicle.room_wh * (1 + 1e-12) for stay in result.outcome.stays)


@pytest.mark.parametrize("strategy", [s for s in SLOTTED if s != "uncontrolled"])
def test_every_strategy_keeps_every_limit(strategy: str):
    building = StepFunction((START,), (10.0,), START + 2 * DAY)
    options = SimulationOptions(
        background=(Background(id="building", circuit="grid", current_a=(building, building, building)),)
    )
    result = run(strategy, options=options)

    assert result.outcome.excursions == ()
    assert result.outcome.limits.worst_overload_ratio == 0.0


def test_uncontrolled_charging_exceeds_and_is_booked():
    result = run("uncontrolled")
    figures = result.report().figures()

    assert figures["seconds_above_limit"] > 0.0
    assert figures["worst_overload_a"] > 0.0
    assert figures["energy_delivered_wh"] == pytest.approx(figures["energy_uncontrolled_wh"], rel=1e-3)
    assert figures["cost"] == pytest.approx(figures["cost_uncontrolled"], rel=1e-3)
    assert {row["circuit"] for row in result.report().excursions} <= {"grid", "row"}


def test_same_seed_same_result_and_another_seed_another():
    first, again = run("least_laxity"), run("least_laxity")
    other = simulate(site(), sessions(14), FLAT, strategy="least_laxity", start=START, until=START + 2 * DAY, seed=2)

    assert first.report() == again.report()
    assert np.array_equal(first.energy_wh, again.energy_wh)
    assert not np.array_equal(first.energy_wh, other.energy_wh)


def test_where_nothing_limits_everybody_gets_what_could_be_had():
    wide = site(limit_a=1000.0)
    free = dataclasses.replace(wide.circuits[1], limit_a=(None,) * 3)
    wide = dataclasses.replace(wide, circuits=(wide.circuits[0], free))
    uncontrolled = simulate(wide, sessions(5), FLAT, strategy="uncontrolled", start=START, until=START + 2 * DAY)

    assert len(uncontrolled.outcome.stays) == 5
    # a step knows nothing of the seconds that a vehicle takes to follow
    asked = [stay.visit.asked_wh for stay in uncontrolled.outcome.stays]
    assert [stay.energy_wh for stay in uncontrolled.outcome.stays] == pytest.approx(asked, rel=2e-3)
    assert uncontrolled.outcome.excursions == ()


def crossing(strategy: str) -> dict[str, float]:
    """Two vehicles, one place's worth of current: the first leaves late, the second soon."""
    pair = [
        SessionRecord(
            session_id=name,
            evse=evse,
            arrival=START + timedelta(minutes=arrives),
            departure=START + timedelta(hours=leaves),
            estimated_departure=START + timedelta(hours=leaves),
            energy_requested_wh=7000.0,
            phases=1,
            max_a=16.0,
        )
        for name, evse, arrives, leaves in (("early", "E0", 0, 12), ("urgent", "E3", 60, 3))
    ]
    narrow = site(limit_a=16.0)
    result = simulate(narrow, pair, FLAT, strategy=strategy, start=START, until=START + DAY)
    energies = {stay.visit.session_id: stay.energy_by_promise_wh for stay in result.outcome.stays}
    return energies | {"could": next(s.visit.asked_wh for s in result.outcome.stays if s.visit.session_id == "urgent")}


def test_rules_serve_whom_their_names_say():
    first_come, deadline = crossing("first_come"), crossing("earliest_deadline")

    assert first_come["urgent"] < 6_500.0
    assert deadline["urgent"] == pytest.approx(deadline["could"], rel=1e-3)
    assert first_come["early"] == pytest.approx(7000.0, rel=1e-3)
    assert crossing("least_laxity")["urgent"] > first_come["urgent"]


def test_equal_share_gives_the_same_current_to_all():
    everyone = [
        SessionRecord(
            session_id=str(n),
            evse=f"E{n}",
            arrival=START,
            departure=START + timedelta(hours=2),
            estimated_departure=START + timedelta(hours=2),
            energy_requested_wh=50_000.0,
            phases=3,
            max_a=16.0,
        )
        for n in (3, 4, 5)
    ]
    result = simulate(site(limit_a=30.0), everyone, FLAT, strategy="equal_share", start=START, until=START + DAY)
    taken = [stay.energy_wh for stay in result.outcome.stays]

    assert taken == pytest.approx([10.0 * 690.0 * 2] * 3, rel=1e-9)


def yard_day(strategy: str, tariff: Tariff, *, arrives_h: float, stays_h: float) -> dict[str, float]:
    """Four vehicles that all have time."""
    four = [
        SessionRecord(
            session_id=str(n),
            evse=f"E{n}",
            arrival=START + timedelta(hours=arrives_h, minutes=n),
            departure=START + timedelta(hours=arrives_h + stays_h),
            estimated_departure=START + timedelta(hours=arrives_h + stays_h),
            energy_requested_wh=8_000.0,
            phases=1,
            max_a=16.0,
        )
        for n in (2, 3, 4, 5)
    ]
    result = simulate(site(), four, tariff, strategy=strategy, start=START, until=START + 2 * DAY)
    figures = result.report().figures()
    assert figures["energy_delivered_wh"] > 31_000.0
    return figures


def test_program_and_optimum_buy_when_it_is_cheap():
    night = RatePeriod(name="night", price_per_kwh=0.1, windows=(ClockWindow(start_s=22 * 3600, end_s=6 * 3600),))
    tariff = Tariff(time_zone="UTC", energy=TimeOfUseRate(periods=(night,), otherwise_per_kwh=0.4))
    cost = {
        name: yard_day(name, tariff, arrives_h=18.0, stays_h=14.0)["cost"]
        for name in ("first_come", "program", "optimum")
    }

    assert cost["first_come"] == pytest.approx(32.0 * 0.4, rel=0.01)
    assert cost["program"] == pytest.approx(32.0 * 0.1, rel=0.02)
    assert cost["optimum"] == pytest.approx(32.0 * 0.1, rel=0.01)


def test_program_keeps_the_peak_down_when_it_costs():
    tariff = dataclasses.replace(FLAT, demand=(DemandCharge(name="peak", price_per_kw=10.0),))
    peaks = {
        name: yard_day(name, tariff, arrives_h=8.0, stays_h=8.0)["peak_w"]
        for name in ("first_come", "program", "optimum")
    }

    assert peaks["optimum"] == pytest.approx(32_000.0 / 8.0, rel=0.02)
    assert peaks["optimum"] <= peaks["program"] < 0.6 * peaks["first_come"]


def test_without_decisions_at_arrivals_a_vehicle_waits_for_the_next_step():
    one = [
        SessionRecord(
            session_id="x",
            evse="E3",
            arrival=START + timedelta(minutes=5),
            departure=START + timedelta(minutes=25),
            energy_requested_wh=50_000.0,
            phases=1,
            max_a=16.0,
        )
    ]

    def taken(*, decide_at_arrivals: bool) -> float:
        options = SimulationOptions(slots=SlotOptions(decide_at_arrivals=decide_at_arrivals))
        result = simulate(site(), one, FLAT, strategy="first_come", start=START, until=START + DAY, options=options)
        return result.outcome.stays[0].energy_wh

    assert taken(decide_at_arrivals=True) == pytest.approx(16.0 * 230.0 * 20 / 60, rel=1e-9)
    assert taken(decide_at_arrivals=False) == pytest.approx(16.0 * 230.0 * 10 / 60, rel=1e-9)


def test_unknown_strategy_is_refused_by_name():
    with pytest.raises(ValueError, match="strategy must be one of uncontrolled"):
        run("best")


@pytest.mark.parametrize("step_s", [0, 7])
def test_steps_divide_a_day(step_s: int):
    with pytest.raises(ValueError, match="step_s"):
        SlotOptions(step_s=step_s)

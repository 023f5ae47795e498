"""The smallest connection that keeps a share of the promises."""

from datetime import timedelta

import pytest

from loadmgr.sim.arrivals import plan_arrivals
from loadmgr.sim.run import SimulationOptions, run_plan
from loadmgr.sim.sizing import shadow_price, share_interval, size_connection, wilson_interval, with_fuse
from loadmgr.sim.world_plan import WorldPlan
from tests.loadmgr.sim.sim_yard import START, TARIFF, drawn_sessions, yard

FUSES_A = [16.0, 20.0, 25.0, 35.0, 50.0, 63.0, 80.0, 100.0]


def plans() -> list[WorldPlan]:
    out = []
    for seed in (1, 2):
        site, until = yard(8, fuse_a=100.0), START + timedelta(days=1)
        arrivals = plan_arrivals(site, drawn_sessions(8, days=1, seed=seed), start=START, until=until, seed=seed)
        out.append(WorldPlan(site=site, arrivals=arrivals, start=START, until=until, seed=seed))
    return out


def kept_ratio(fuse_a: float) -> float:
    kept = judged = 0
    for plan in plans():
        result = run_plan(with_fuse(plan, fuse_a), TARIFF, strategy="least_laxity", options=SimulationOptions())
        figures = result.report().figures()
        kept, judged = kept + figures["promises_kept"], judged + figures["promises_total"]
    return kept / judged


def test_the_smallest_size_that_is_enough_is_found_without_trying_all():
    sizing = size_connection(plans(), TARIFF, promise_ratio=0.95, fuses_a=FUSES_A)
    enough = [fuse_a for fuse_a in FUSES_A if kept_ratio(fuse_a) >= 0.95]

    assert sizing.chosen is not None
    assert sizing.chosen.fuse_a == enough[0] > FUSES_A[0]
    assert len(sizing.tried) < len(FUSES_A)
    assert [s.fuse_a for s in sizing.tried] == sorted(s.fuse_a for s in sizing.tried)


def test_asking_to_be_sure_needs_more():
    seen = size_connection(plans(), TARIFF, promise_ratio=0.75, fuses_a=FUSES_A)
    sure = size_connection(plans(), TARIFF, promise_ratio=0.75, fuses_a=FUSES_A, surely=True)

    assert seen.chosen is not None
    assert sure.chosen is not None
    assert sure.chosen.low_ratio >= 0.75
    assert sure.chosen.fuse_a >= seen.chosen.fuse_a


def test_one_ampere_more_is_worth_energy_over_a_year():
    sizing = size_connection(plans(), TARIFF, promise_ratio=0.3, fuses_a=FUSES_A)

    assert sizing.energy_per_a_year_wh is not None
    assert sizing.cost_per_a_year is not None
    assert sizing.energy_per_a_year_wh > 0.0
    assert sizing.cost_per_a_year == pytest.approx(sizing.energy_per_a_year_wh / 1000.0 * 0.3, rel=1e-3)


def test_no_size_may_be_enough():
    sizing = size_connection(plans(), TARIFF, promise_ratio=1.0, fuses_a=[6.0, 7.0])

    assert sizing.chosen is None
    assert sizing.cost_per_a_year is None


def test_interval_narrows_with_the_sample():
    few, many = wilson_interval(9, 10), wilson_interval(900, 1000)

    assert few[0] < many[0] < 0.9 < many[1] < few[1]
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("promise_ratio", "fuses_a"), [(0.0, [16.0]), (1.1, [16.0]), (0.9, [20.0, 16.0]), (0.9, [])])
def test_impossible_questions_are_refused(promise_ratio: float, fuses_a: list[float]):
    with pytest.raises(ValueError, match=r"promise_ratio|fuses_a"):
        size_connection(plans(), TARIFF, promise_ratio=promise_ratio, fuses_a=fuses_a)


def test_an_interval_over_spans_is_no_narrower_than_one_that_takes_promises_for_independent():
    together, apart = share_interval([(90, 100)]), share_interval([(50, 50), (40, 50)])

    assert together == wilson_interval(90, 100)
    assert apart[0] <= together[0]
    assert apart[1] >= together[1]
    assert share_interval([(0, 0), (0, 0)]) == (0.0, 1.0)


def test_the_shadow_price_falls_to_nothing_where_nobody_goes_short():
    small, big = (shadow_price(plans()[0], TARIFF, fuse_a=fuse_a) for fuse_a in (16.0, 400.0))

    assert small.energy_wh > 0.0
    assert (big.money, big.energy_wh) == (0.0, 0.0)


def test_the_shadow_price_is_what_one_ampere_more_brings():
    plan, year = plans()[0], 365.0
    less, more = (
        run_plan(with_fuse(plan, fuse_a), TARIFF, strategy="optimum", options=SimulationOptions())
        for fuse_a in (20.0, 20.1)
    )
    gained_wh = sum(more.outcome.charged_wh) - sum(less.outcome.charged_wh)

    assert shadow_price(plan, TARIFF, fuse_a=20.0).energy_wh == pytest.approx(gained_wh / 0.1 * year, rel=0.05)

"""Each feature of sites and sessions, on the smallest site that shows it; and all of them at once on random sites."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from loadmgr.allocation import (
    Allocation,
    AllocationOptions,
    AllocationProblem,
    BatteryAt,
    ChargingRequest,
    CircuitLimits,
    DemandCharge,
    allocate,
    build_money,
    build_problem,
    check,
)
from loadmgr.model.series import TimeGrid
from tests.allocation_sites import START, problems

GRID = TimeGrid.uniform(START, step_s=900, steps=8)


def _solve(requests: list[dict[str, Any]], *, circuit: dict[str, Any] | None = None, **site: Any) -> Allocation:
    """Allocate on one circuit, ``main``, with the terms of money and batteries given by name."""
    batteries = site.pop("batteries", [])
    grid = site.pop("grid", GRID)
    problem = build_problem(
        grid,
        circuits=[CircuitLimits(id="main", **({"limit_a": 32.0} if circuit is None else circuit))],
        requests=[ChargingRequest(**{"id": f"E{i}", "circuit": "main", **r}) for i, r in enumerate(requests)],
        money=build_money(grid, **site),
        batteries=batteries,
    )
    allocation = allocate(problem, options=AllocationOptions())
    assert check(problem, allocation.current_a, battery_w=allocation.battery_w) == []
    assert allocation.method == "program", allocation.alarms
    return allocation


@settings(max_examples=60, deadline=None)
@given(problems(rich=True))
def test_sites_with_everything_are_answered_by_the_program_and_pass_the_check(problem: AllocationProblem) -> None:
    """Every feature at once, at random: the program answers and nothing is exceeded."""
    allocation = allocate(problem, options=AllocationOptions(milp_evses=0))

    assert allocation.method == "program", allocation.alarms
    assert check(problem, allocation.current_a, battery_w=allocation.battery_w) == []


def test_different_limits_per_phase_bind_each_phase_alone() -> None:
    """A 1-phase session on L1 does not care that L3 is full."""
    allocation = _solve(
        [{"phases": (1,), "wanted_wh": None}, {"phases": (3,), "wanted_wh": None}],
        circuit={"limit_a": (32.0, 32.0, 10.0)},
    )

    assert [32.0, 10.0] == allocation.current_a[:, 0].tolist()


def test_a_base_load_above_the_limit_gives_nothing_there_and_an_alarm_with_the_circuit() -> None:
    """Side loads above the fuse on L2 stop those who draw on L2, not the one on L1."""
    allocation = _solve(
        [{"phases": (1,), "wanted_wh": None}, {"wanted_wh": None}],
        circuit={"limit_a": 32.0, "side_load_a": (0.0, 40.0, 0.0)},
    )

    assert [32.0, 0.0] == allocation.current_a[:, 0].tolist()
    assert [("load_above_limit", "main")] == [(a.kind, a.circuit) for a in allocation.alarms]


def test_must_comes_before_wanted_before_full_whatever_the_prices() -> None:
    """Half of one session's need outranks all of another's where both do not fit."""
    allocation = _solve(
        [
            {"phases": (1,), "wanted_wh": 14_000.0, "must_wh": 7_000.0},
            {"phases": (1,), "wanted_wh": 7_000.0, "full_wh": 14_000.0},
        ],
        import_price_per_kwh=np.linspace(0.1, 0.9, 8),
    )

    assert allocation.shortfall_wh[0, 0] < 300.0
    assert allocation.energy_wh.sum() > 14_000.0
    assert allocation.energy_wh[0] > 6_700.0


def test_what_must_be_there_early_comes_before_cheap_hours_and_the_rest_after() -> None:
    """4 kWh are due after an hour although the second is nearly free; without that hour nothing comes before it."""
    prices = np.where(np.arange(8) < 4, 0.5, 0.05)
    session = {"phases": (1,), "wanted_wh": 9_000.0, "must_wh": 4_000.0}

    early = _solve([{**session, "must_by": START + timedelta(hours=1)}], import_price_per_kwh=prices)
    late = _solve([session], import_price_per_kwh=prices)

    hour_wh = [float(a.current_a[0, :4].sum()) * 230.0 / 4.0 for a in (early, late)]
    assert [4_000.0, 1_640.0] == pytest.approx(hour_wh, abs=250.0)
    assert [9_000.0, 9_000.0] == pytest.approx([float(a.energy_wh[0]) for a in (early, late)], rel=0.01)


def test_two_that_share_a_fuse_are_served_in_the_order_of_what_is_due() -> None:
    """Who must have 3 kWh within half an hour gets the fuse first, whoever leaves first."""
    first = {"phases": (1,), "wanted_wh": 3_500.0, "must_wh": 3_000.0, "must_by": START + timedelta(minutes=30)}
    other = {"phases": (1,), "wanted_wh": 3_500.0, "must_wh": 3_000.0, "departure": START + timedelta(hours=1.25)}

    allocation = _solve([other, first])

    half_hour_wh = float(allocation.current_a[1, :2].sum()) * 230.0 / 4.0
    assert half_hour_wh == pytest.approx(3_000.0, abs=250.0)
    assert (allocation.shortfall_wh[:, :2].sum(axis=1) < 150.0).all()


def test_what_cannot_be_there_early_is_an_alarm_and_best_effort() -> None:
    """20 kWh within a quarter of an hour."""
    session = {"wanted_wh": 20_000.0, "must_wh": 20_000.0, "must_by": START + timedelta(minutes=15)}

    allocation = _solve([session])

    assert ["impossible_need"] == [a.kind for a in allocation.alarms]
    assert "must be there early, at most 5520 Wh possible" in allocation.alarms[0].text
    assert [32.0] == allocation.current_a[:, 0].tolist()


def test_dirty_hours_are_avoided_as_far_as_carbon_has_a_price() -> None:
    """At equal energy prices the clean hour is taken; a price of nothing changes nothing."""
    carbon = np.where(np.arange(8) < 4, 700.0, 100.0)
    dirty_wh = []
    for price in (0.0, 0.1):
        allocation = _solve(
            [{"phases": (1,), "wanted_wh": 5_000.0}],
            import_price_per_kwh=0.3,
            carbon_g_per_kwh=carbon,
            carbon_price_per_kg=price,
        )
        dirty_wh.append(round(float(allocation.current_a[0, :4].sum()) * 230.0 / 4.0))
        assert 5_000.0 == pytest.approx(float(allocation.energy_wh[0]), rel=0.02)

    assert dirty_wh[0] > 4_500
    assert dirty_wh[1] == 0


def test_a_higher_class_is_served_first() -> None:
    """Where one session's worth of energy fits, the class decides whose."""
    sessions = [{"phases": (1,), "wanted_wh": 14_000.0, "priority": p} for p in (0, 2)]

    allocation = _solve(sessions)

    assert allocation.energy_wh[1] > 13_500.0
    assert allocation.energy_wh[0] < 1_500.0


def test_all_energy_is_delivered_before_money_is_saved() -> None:
    """A demand charge never buys energy off: the need is met at the dearest hour and the highest peak."""
    allocation = _solve(
        [{"wanted_wh": 20_000.0, "departure": START + timedelta(hours=1)}],
        import_price_per_kwh=5.0,
        demand_charges=[DemandCharge(price_per_kw=150.0)],
    )

    assert allocation.energy_wh[0] > 19_800.0


def test_the_running_window_and_the_peak_so_far_shape_the_demand() -> None:
    """Up to the peak already paid for a kW is free; what the running window has used already is not."""
    grid = TimeGrid.uniform(START + timedelta(minutes=10), step_s=300, steps=13)
    charge = DemandCharge(price_per_kw=100.0, window_s=900, peak_so_far_w=6_900.0, running_energy_wh=1_500.0)
    allocation = _solve(
        [{"wanted_wh": 6_000.0, "step_a": 0.1}], grid=grid, demand_charges=[charge], circuit={"limit_a": 63.0}
    )

    power_w = allocation.planned_a[0] * 690.0
    assert 1_500.0 + power_w[0] / 12.0 <= 6_900.0 / 4.0 + 1e-3
    windows_wh = power_w[1:].reshape(4, 3).sum(axis=1) / 12.0
    assert windows_wh.max() <= 6_900.0 / 4.0 + 1e-3


def test_a_battery_charges_cheap_and_feeds_the_peak_hour() -> None:
    """A stationary battery moves energy from the cheap to the dear half and keeps its bounds."""
    price = np.array([0.1] * 4 + [0.5] * 4)
    battery = BatteryAt(
        id="b", circuit="main", max_charge_w=5_000, max_discharge_w=5_000, stored_wh=1_000, capacity_wh=6_000
    )
    allocation = _solve(
        [{"phases": (1,), "wanted_wh": 4_000.0, "arrival": START + timedelta(hours=1)}],
        import_price_per_kwh=price,
        site_load_w=2_000.0,
        batteries=[battery],
    )

    assert allocation.battery_w[0, :4].sum() / 4.0 > 3_000.0
    assert allocation.battery_w[0, 4:].min() < -2_000.0
    stored_wh = 1_000 + np.cumsum(np.where(allocation.battery_w[0] > 0, 0.95, 1 / 0.95) * allocation.battery_w[0]) / 4
    assert stored_wh.min() >= -1.0
    assert stored_wh.max() <= 6_001.0


def test_a_battery_charges_at_one_stretch_where_hours_cost_the_same() -> None:
    """Of hours alike the first ones are taken: a step on and a step off would wear it for nothing."""
    price = np.array([0.1] * 16 + [0.9] * 8)
    allocation = _solve(
        [],
        grid=TimeGrid.uniform(START, step_s=900, steps=24),
        batteries=[
            BatteryAt(
                id="b", circuit="main", max_charge_w=5_000, max_discharge_w=5_000, stored_wh=1_000, capacity_wh=8_000
            )
        ],
        import_price_per_kwh=price,
        site_load_w=np.linspace(4_000.0, 6_000.0, 24),
    )
    charges = allocation.battery_w[0, :16] > 1.0

    assert 4 <= charges.sum() < 16
    assert charges[: charges.sum()].all()


def test_a_battery_works_where_no_vehicle_is() -> None:
    """With nobody plugged in the site's own load still has a cheap and a dear half."""
    battery = BatteryAt(
        id="b", circuit="main", max_charge_w=5_000, max_discharge_w=5_000, stored_wh=1_000, capacity_wh=6_000
    )
    price = np.array([0.1] * 4 + [0.5] * 4)
    allocation = _solve([], import_price_per_kwh=price, site_load_w=2_000.0, batteries=[battery])

    assert "program" == allocation.method
    assert allocation.battery_w[0, :4].sum() / 4.0 > 3_000.0
    assert allocation.battery_w[0, 4:].max() < 0.0


def test_a_battery_behind_a_transformer_works_within_its_lines() -> None:
    """It charges as far as the primary lines bear it beside the vehicle, and feeds the dear hours."""
    battery = BatteryAt(
        id="store",
        circuit="main",
        max_charge_w=9_000.0,
        max_discharge_w=9_000.0,
        stored_wh=1_000.0,
        capacity_wh=20_000.0,
    )

    allocation = _solve(
        [{"phases": (1, 2), "line_to_line": True, "voltage_v": 400.0, "wanted_wh": 6_000.0, "max_a": 16.0}],
        circuit={"limit_a": 6.0, "transformer_ratio": 3.0},
        batteries=[battery],
        import_price_per_kwh=np.where(np.arange(8) < 4, 0.1, 0.4),
        site_load_w=9_000.0,
    )

    charged_wh = float(np.maximum(allocation.battery_w[0, :4], 0.0).sum()) / 4.0
    assert 6_000.0 == pytest.approx(float(allocation.energy_wh[0]), rel=0.02)
    assert 1_500.0 < charged_wh < 8_999.0
    assert allocation.battery_w[0, 4:].min() < -1_500.0


def test_a_vehicle_feeds_back_at_the_dear_hour_and_still_leaves_full() -> None:
    """V2G pays off the price difference, is bounded by its room, and the need is met at departure."""
    price = np.array([0.1, 0.1, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1])
    allocation = _solve(
        [{"wanted_wh": 6_000.0, "discharge_max_a": 16.0, "discharge_room_wh": 4_000.0, "step_a": 0.1}],
        import_price_per_kwh=price,
        export_price_per_kwh=0.8,
        site_load_w=0.0,
    )

    assert allocation.current_a[0, 2] < -6.0
    assert allocation.energy_wh[0] > 5_900.0


def test_no_more_is_planned_into_a_vehicle_than_it_can_take_even_to_sell_it_later() -> None:
    """Charging beyond full to feed it back at a better price is a plan that no vehicle follows."""
    prices = np.array([0.05] * 4 + [0.50] * 4)
    allocation = _solve(
        [{"wanted_wh": 1_000.0, "discharge_max_a": 16.0, "discharge_room_wh": 0.0, "step_a": 0.1}],
        import_price_per_kwh=prices,
        export_price_per_kwh=prices,
    )
    charged_wh = np.maximum(allocation.planned_a[0], 0.0) * 3 * 230.0 * 0.25

    assert charged_wh[:4].sum() <= 1_000.0 + 1.0


def test_own_generation_is_used_before_the_grid_and_export_keeps_its_limit() -> None:
    """With a feed-in price far below the import price, charging follows the generation."""
    pv_w = np.array([0, 0, 8_000, 8_000, 8_000, 8_000, 0, 0], dtype=float)
    allocation = _solve(
        [{"wanted_wh": 7_000.0, "step_a": 0.1}],
        import_price_per_kwh=0.3,
        export_price_per_kwh=0.08,
        site_load_w=-pv_w,
        curtailable_w=pv_w,
        export_limit_w=3_000.0,
    )

    by_step_w = allocation.planned_a[0] * 690.0
    assert by_step_w[pv_w == 0.0].max() < 1.0
    assert abs(allocation.planned_a[0].sum() * 690.0 / 4.0 - 7_000.0) < 1.0


def test_a_taper_lowers_the_current_towards_full() -> None:
    """Over the last Wh the planned current stays under the straight line to zero."""
    allocation = _solve([{"wanted_wh": 10_000.0, "taper_wh": 5_000.0, "max_a": 32.0}], circuit={"limit_a": 63.0})

    done_wh = np.concatenate([[0.0], np.cumsum(allocation.planned_a[0] * 690.0 / 4.0)[:-1]])
    line_a = 32.0 * (10_000.0 - done_wh) / 5_000.0
    assert (allocation.planned_a[0] <= np.minimum(line_a, 32.0) + 1e-6).all()


def test_a_guaranteed_power_is_held_in_every_step_while_energy_is_needed() -> None:
    """The guarantee keeps a session charging through the dear hour."""
    price = np.array([0.1, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1])
    plain = {"phases": (1,), "wanted_wh": 5_000.0}

    without = _solve([plain], import_price_per_kwh=price)
    guaranteed = _solve([{**plain, "guaranteed_w": 1_840.0}], import_price_per_kwh=price)

    assert without.current_a[0, 1] == 0.0
    assert guaranteed.current_a[0, 1] >= 8.0


def test_minimum_on_and_off_times_are_kept() -> None:
    """What must stay on gets its minimum though it is dear, what must stay off gets nothing though it is cheap."""
    price = np.array([0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    session = {"phases": (1,), "wanted_wh": 4_000.0}

    on, off = (
        _solve([{**session, "keep_on_s": 600.0}], import_price_per_kwh=price),
        _solve([{**session, "keep_off_s": 1_200.0}], import_price_per_kwh=np.flip(price)),
    )

    assert on.current_a[0, 0] >= 6.0
    assert [0.0, 0.0] == off.current_a[0, :2].tolist()


def test_a_vehicle_that_does_not_wake_up_is_not_paused() -> None:
    """Charging goes on at the minimum through the dear hours."""
    price = np.array([0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    previous_a = np.full(8, 10.0)
    allocation = _solve(
        [{"phases": (1,), "wanted_wh": 6_000.0, "pause_ok": False, "previous_a": previous_a}],
        import_price_per_kwh=price,
    )

    assert allocation.current_a[0, :2].min() >= 6.0


def test_phases_differ_by_no_more_than_the_unbalance_limit() -> None:
    """A 1-phase session alone is held to the unbalance limit of 20 A."""
    allocation = _solve([{"phases": (1,), "wanted_wh": None}], circuit={"limit_a": 63.0, "unbalance_a": 20.0})

    assert allocation.current_a[0, 0] == 20.0


def test_the_neutral_carries_the_phasor_sum() -> None:
    """Three 1-phase sessions on three phases cancel in the neutral; one alone does not."""
    alone = _solve([{"phases": (1,), "wanted_wh": None}], circuit={"limit_a": 63.0, "neutral_limit_a": 16.0})
    three = _solve(
        [{"phases": (p,), "wanted_wh": None} for p in (1, 2, 3)], circuit={"limit_a": 63.0, "neutral_limit_a": 16.0}
    )

    assert alone.current_a[0, 0] == 16.0
    assert [32.0] * 3 == three.current_a[:, 0].tolist()


def test_line_to_line_loads_add_up_as_phasors() -> None:
    """Two loads of 208 V on L1-L2 and L3-L1 meet in L1 at 60 degrees: sqrt(3) times one, not twice."""
    loads = [
        {"phases": (1, 2), "line_to_line": True, "voltage_v": 208.0, "wanted_wh": None, "step_a": 0.1, "max_a": 40.0},
        {"phases": (1, 3), "line_to_line": True, "voltage_v": 208.0, "wanted_wh": None, "step_a": 0.1, "max_a": 40.0},
    ]

    allocation = _solve(loads, circuit={"limit_a": 40.0})

    assert allocation.current_a[:, 0].sum() > 2 * 40.0 / np.sqrt(3.0) * 0.99
    assert allocation.current_a[:, 0].sum() < 2 * 40.0 / np.sqrt(3.0) * 1.001


def test_a_transformer_carries_two_windings_per_line() -> None:
    """Behind 480/120 V a 1-phase load of 32 A is 8 A in two primary lines."""
    problem = build_problem(
        GRID,
        circuits=[
            CircuitLimits(id="primary", limit_a=5.0, transformer_ratio=4.0),
            CircuitLimits(id="panel", parent="primary", limit_a=100.0),
        ],
        requests=[ChargingRequest(id="E0", circuit="panel", phases=(1,), voltage_v=120.0, wanted_wh=None)],
    )

    allocation = allocate(problem)

    assert allocation.current_a[0, 0] == 20.0
    assert check(problem, allocation.current_a) == []
    assert check(problem, np.full((1, 8), 21.0)) != []


@pytest.mark.parametrize("price", [float("nan"), float("inf")])
def test_a_carbon_price_that_is_no_number_is_refused_before_a_solver_sees_it(price: float) -> None:
    with pytest.raises(ValueError, match=r"money\.carbon_price_per_kg must be a finite number"):
        build_money(GRID, import_price_per_kwh=np.zeros(8), carbon_price_per_kg=price)

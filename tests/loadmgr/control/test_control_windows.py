"""Daily windows of the fail-safe: what may flow fits at each instant, whatever clocks do, and is shared fairly."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from loadmgr.control.command import SetProfile
from loadmgr.control.safety.windows import DAY_S, Window, daily_windows, guard_s, periods
from loadmgr.model.failsafe import FailSafe, FailSafeStrategy
from loadmgr.model.ids import CircuitId, EvseId, StationId
from loadmgr.model.profile import ProfileKind, ProfilePurpose, Recurrency
from loadmgr.model.topology import Circuit, Evse, Phase, SideLoad, Site, Station, Trust
from tests.control_world import World, small_site

ROTATIONS = ((Phase.L1, Phase.L2, Phase.L3), (Phase.L2, Phase.L3, Phase.L1), (Phase.L3, Phase.L1, Phase.L2))


def two_risers(*, main_a: float = 60.0, building_a: float = 0.0) -> Site:
    """Return two risers of 35 A with seven EVSEs each: 6 A for everybody would be 42 A on each."""
    building = SideLoad(id="building", worst_case_a=(building_a,) * 3)
    circuits = [Circuit(id=CircuitId("main"), limit_a=(main_a,) * 3, side_loads=(building,))]
    evses = []
    for riser in "AB":
        circuits.append(Circuit(id=CircuitId(riser), parent=CircuitId("main"), limit_a=(35.0,) * 3))
        evses += [
            Evse(
                id=EvseId(f"{riser}{i}"),
                station=StationId(f"S{riser}{i}"),
                circuit=CircuitId(riser),
                phases=ROTATIONS[i % 3],
            )
            for i in range(1, 8)
        ]
    return Site(
        name="two risers",
        time_zone="UTC",
        circuits=tuple(circuits),
        evses=tuple(evses),
        stations=tuple(Station(id=e.station, keeps_profiles=Trust.YES) for e in evses),
        failsafe=FailSafe(strategy=FailSafeStrategy.TIME_DIVISION),
    )


def worst_a(site: Site, *, skew_s: int) -> dict[CircuitId, float]:
    """Return the highest current of a phase over the day when every clock is off by up to ``skew_s`` [A]."""
    seconds = np.arange(0, DAY_S, 10)
    windows = daily_windows(site)
    worst = {}
    for circuit in site.circuits:
        total = np.zeros((3, len(seconds)))
        for evse in site.evses_under(circuit.id):
            on = np.zeros(len(seconds), dtype=bool)
            for window in windows[evse.id]:
                start, end = window.start_s - skew_s, window.end_s + skew_s
                for day in (-DAY_S, 0, DAY_S):
                    on |= (seconds >= start + day) & (seconds < end + day)
            for phase in evse.phases:
                total[phase] += 6.0 * on
        worst[circuit.id] = float(total.max())
    return worst


@pytest.mark.parametrize(("main_a", "building_a"), [(60.0, 0.0), (63.0, 20.0), (40.0, 25.0)])
def test_windows_fit_at_each_instant_with_every_clock_anywhere_within_its_skew(main_a, building_a):
    site = two_risers(main_a=main_a, building_a=building_a)
    worst = worst_a(site, skew_s=120)

    assert worst[CircuitId("main")] <= main_a - building_a
    assert max(worst[CircuitId("A")], worst[CircuitId("B")]) <= 35.0


def test_a_clock_beyond_its_skew_would_not_fit():
    assert worst_a(two_risers(), skew_s=guard_s(two_risers()))[CircuitId("A")] > 35.0


def test_shares_are_fair_and_worth_having():
    site = two_risers()
    hours = {e: sum(w.end_s - w.start_s for w in ws) / 3600.0 for e, ws in daily_windows(site).items()}

    assert max(hours.values()) - min(hours.values()) <= 2.5
    assert min(hours.values()) * 6.0 * 3 * 230.0 >= 60_000.0


def test_who_stays_on_has_no_gap_and_who_leaves_ends_a_guard_early():
    site = two_risers()
    for windows in daily_windows(site).values():
        for window in windows:
            assert window.end_s == DAY_S or (window.end_s + guard_s(site)) % (DAY_S // 12) == 0


def test_an_evse_that_fits_nowhere_has_no_window():
    site = two_risers(main_a=5.0)

    assert {()} == set(daily_windows(site).values())


def test_a_day_is_steps_from_midnight_on():
    assert ((0, 0.0), (100, 6.0), (200, 0.0)) == periods((Window(100, 200, 6.0),))
    assert ((0, 6.0),) == periods((Window(0, DAY_S, 6.0),))
    assert ((0, 0.0),) == periods(())


def test_stations_hold_their_windows_and_a_dead_controller_leaves_them_to_it():
    site = replace(
        small_site(evses=3, limit_a=17.0, building_worst_a=3.0, lease_s=600),
        failsafe=FailSafe(strategy=FailSafeStrategy.TIME_DIVISION, lease_s=600),
    )
    world = World(site)
    for fake, off in zip(world.stations.values(), (-60.0, 0.0, 60.0), strict=True):
        fake.clock_off_s = off
    world.connect()
    world.run(30)
    profile = next(c.profile for _, c in world.commands if isinstance(c, SetProfile) and c.reason == "fail-safe")
    assert (ProfilePurpose.TX_DEFAULT, ProfileKind.RECURRING, Recurrency.DAILY) == (
        profile.purpose,
        profile.kind,
        profile.recurrency,
    )

    for evse in ("E1", "E2", "E3"):
        world.plug(evse)
    world.run(900)
    assert [] == world.over
    world.alive = False
    world.run(3000)
    world.now += timedelta(hours=1)
    world.run(6000)
    drawing = {e for e in ("E1", "E2", "E3") if world.station(e).limit_a(world.now) > 0.0}

    assert [] == world.over
    assert 0 < len(drawing) < 3

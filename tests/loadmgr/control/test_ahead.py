"""A lease goes down by itself where the plan does, and is nowhere above what was found to fit."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.composite.settings import StationSettings
from loadmgr.composite.store import ProfileStore
from loadmgr.composite.transaction import StationTransaction
from loadmgr.control.command import SetProfile
from loadmgr.control.observation import SessionDeclared
from loadmgr.control.safety.rung import LeaseForm
from loadmgr.control.sending.budget import may_pause
from loadmgr.control.sending.profiles import lease_profile
from loadmgr.control.settings import ControlSettings
from loadmgr.model.calendar import ClockWindow
from loadmgr.model.ids import EvseId
from loadmgr.model.profile import ChargingProfile, OcppVersion, ProfileKind, ProfilePurpose
from loadmgr.model.session import EnergyNeed
from loadmgr.model.tariff import RatePeriod, Tariff, TimeOfUseRate
from tests.control_world import START, World, small_site

CHEAP_UNTIL = START + timedelta(minutes=30)
TARIFF = Tariff(
    time_zone="UTC",
    energy=TimeOfUseRate(
        periods=(RatePeriod(name="cheap", price_per_kwh=0.1, windows=(ClockWindow(start_s=0, end_s=73_800),)),),
        otherwise="dear",
        otherwise_per_kwh=0.9,
    ),
)


def evening(*, periods: int = 6, most: int | None = None, proven: bool = True) -> World:
    """Return a world in which two vehicles want more than the cheap half hour gives, and may wait for the next."""
    world = World(
        small_site(evses=2, limit_a=60.0, building_worst_a=0.0, lease_s=3600),
        tariff=TARIFF,
        settings=ControlSettings(lease_periods=periods),
    )
    world.connect()
    world.run(15)
    for name in ("E1", "E2"):
        record = world.controller._state.evses[EvseId(name)]
        record.obedience.proven = proven
        capabilities = world.controller._state.stations[record.evse.station].capabilities
        assert capabilities is not None
        object.__setattr__(capabilities, "max_periods", most)
        world.plug(name)
        leaves = START + timedelta(hours=14)
        need = EnergyNeed(wanted_wh=20_000.0)
        world.tell(SessionDeclared(at=world.now, evse=EvseId(name), departure=leaves, need=need, source="driver"))
    return world


def leases(world: World, station: str) -> list[ChargingProfile]:
    sent = (c for _, c in world.commands if isinstance(c, SetProfile) and c.station == station)
    return [c.profile for c in sent if c.profile.purpose is ProfilePurpose.TX]


def limits(profile: ChargingProfile) -> list[float | None]:
    return [p.limit for p in profile.schedules[0].periods]


def test_a_lease_goes_down_where_the_plan_does_with_the_controller_dead():
    world = evening().run(900)
    last = leases(world, "S1")[-1]
    world.alive = False
    charging = world.station("E1").limit_a(world.now)
    world.run(int((CHEAP_UNTIL - world.now).total_seconds()) + 120)

    assert limits(last)[0] == charging
    assert limits(last) == sorted(limits(last), reverse=True)
    assert 0.0 == limits(last)[-1]
    assert 0.0 == world.station("E1").limit_a(world.now)


@pytest.mark.parametrize("off_s", [-50.0, 0.0, 50.0])
def test_a_vehicle_that_goes_down_with_its_lease_is_not_taken_for_full(off_s):
    world = evening()
    world.station("E1").clock_off_s = off_s
    world.run(3000)
    record = world.controller._state.evses[EvseId("E1")]

    assert 0.0 == world.station("E1").draw_a()[0]
    assert (None, None) == (record.accepts_a, record.obedience.disobeying_since)


def test_what_goes_down_by_itself_is_not_sent():
    ahead, live = (evening(periods=n).run(3000) for n in (6, 1))

    assert 0.0 == ahead.station("E1").limit_a(ahead.now) == live.station("E1").limit_a(live.now)
    assert len(leases(ahead, "S1")) < len(leases(live, "S1"))


@pytest.mark.parametrize("options", [{"proven": False}, {"most": 1}, {"periods": 1}])
def test_an_unproven_station_or_one_that_takes_one_period_gets_one(options):
    world = evening(**options)
    sent = []
    for _ in range(60):
        world.run(1)
        sent += leases(world, "S1")

    assert sent
    assert {1} == {len(limits(profile)) for profile in sent}


def test_no_more_periods_than_the_station_takes():
    world = evening(most=2).run(900)

    assert 2 == max(len(limits(profile)) for profile in leases(world, "S1"))


def test_a_station_that_ignores_the_later_period_gets_one_from_then_on():
    world = evening().run(900)
    world.station("E1").obeys = False
    world.run(int((CHEAP_UNTIL - world.now).total_seconds()) + 400)
    record = world.controller._state.evses[EvseId("E1")]
    since = len(leases(world, "S1"))
    world.station("E1").obeys = True
    world.run(1500)

    assert record.one_period
    assert {1} >= {len(limits(profile)) for profile in leases(world, "S1")[since:]}


def test_a_pause_is_only_begun_while_the_budget_bears_its_end():
    world = evening().run(60)
    state = world.controller._state
    record = state.evses[EvseId("E1")]
    record.writes.clear()
    record.writes.extend([world.now] * 32)
    few = ControlSettings(tx_writes_per_day=40)

    assert may_pause(state, record, few, world.now)
    record.writes.append(world.now)
    assert not may_pause(state, record, few, world.now)


WORLD = evening().run(60)
"""Only read: a site with a session that began a minute ago."""


@settings(deadline=None, max_examples=60)
@given(
    current_a=st.floats(6.0, 32.0),
    shares=st.lists(st.tuples(st.integers(1, 600), st.floats(0.0, 1.0)), max_size=5),
    kind=st.sampled_from([ProfileKind.ABSOLUTE, ProfileKind.RELATIVE]),
)
def test_a_lease_of_several_periods_is_nowhere_above_the_one_that_was_found_to_fit(current_a, shares, kind):
    state = WORLD.controller._state
    record = state.evses[EvseId("E1")]
    record.form = LeaseForm(kind=kind)
    falls, after_s, level_a = [], 0.0, current_a
    for step_s, share in shares:
        after_s, level_a = after_s + step_s, level_a * share
        falls.append((after_s, level_a))
    held = []
    for each in ((), tuple(falls)):
        store = ProfileStore(StationSettings(version=OcppVersion.V16, evses=1))
        began = StationTransaction(
            evse_id=1, transaction_id=record.charging.transaction, started_at=record.charging.started
        )
        store.start_transaction(began, now=record.charging.started)
        profile = lease_profile(state, record, record.charging, current_a, then=each, now=WORLD.now)
        store.load(1, profile, now=WORLD.now)
        held.append([store.limit_at(1, WORLD.now + timedelta(seconds=s)).limit_a for s in range(0, 3500, 7)])

    assert all(b <= a for a, b in zip(*held, strict=True))

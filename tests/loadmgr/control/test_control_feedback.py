"""What is measured on a small site: current that is left, phases, energy, and whose transaction it is."""

import random
from datetime import datetime, timedelta

import pytest

from loadmgr.control.command import Command, SetProfile
from loadmgr.control.decision import Standing
from loadmgr.control.feedback.energy import Ledger, with_register
from loadmgr.control.observation import (
    EvseReading,
    LimitChanged,
    Outcome,
    SessionDeclared,
    SiteMeterReading,
    StationTraits,
    TransactionEnded,
    TransactionStarted,
)
from loadmgr.model.ids import CircuitId, EvseId, MeterId, StationId
from loadmgr.model.profile import (
    ProfileKind,
    ProfilePurpose,
    RateUnit,
)
from loadmgr.model.session import EnergyNeed
from tests.control_world import START, Vehicle, World, prompt, ready, small_site, view_of


def test_current_that_a_vehicle_leaves_is_handed_on_after_its_limit_is_lowered():
    world = ready(World(small_site(evses=2, limit_a=45.0, building_worst_a=0.0)))
    world.building_a = (0.0, 0.0, 0.0)
    world.plug("E1", Vehicle(max_a=10.0))
    world.run(30)
    world.plug("E2")
    world.run(400)

    assert view_of(world, "E1").held_a <= 13.0
    assert view_of(world, "E2").held_a >= 30.0
    assert [] == world.over


@pytest.mark.parametrize(("outcome", "alarmed"), [("REJECTED", True), ("FAILED", True), ("TIMED_OUT", False)])
def test_limits_of_a_kind_that_a_station_does_not_take_are_sent_in_the_other(outcome, alarmed):
    """One refuses it, one answers with an error, one says nothing at all; silence may also be its network."""

    def only_relative(_rng: random.Random, command: Command) -> tuple[float, Outcome, bool]:
        lease = isinstance(command, SetProfile) and command.profile.purpose is ProfilePurpose.TX
        taken = not lease or command.profile.kind is ProfileKind.RELATIVE
        return (0.0, Outcome.ACCEPTED, True) if taken else (5.0, Outcome[outcome], False)

    world = ready(World(small_site(evses=1), policy=only_relative))
    world.plug("E1")
    world.run(60)
    assert alarmed == any(alarm.kind == "limit refused" for alarm in world.controller.view().alarms)
    world.run(400)

    assert 6.0 <= world.station("E1").limit_a(world.now)
    assert [] == [alarm for alarm in world.controller.view().alarms if alarm.kind == "limit refused"]


@pytest.mark.parametrize(("unit", "switches", "assumed_phases"), [("W", True, 3), ("W", False, 1), ("A", True, 1)])
def test_where_a_station_may_switch_phases_by_itself_every_phase_counts(unit, switches, assumed_phases):
    """Some do under a limit in W; in A a vehicle stays on the phases that it was seen on."""
    world = World(small_site(evses=1))
    world.station("E1").units = frozenset({RateUnit(unit)})
    world.connect()
    world.tell(StationTraits(at=world.now, station=StationId("S1"), switches_phases=switches))
    world.run(20)
    transaction = world.plug("E1")
    for _ in range(3):
        world.run(1)
        seen = EvseReading(
            at=world.now, station=StationId("S1"), number=1, transaction=transaction, currents_a=(6.0, 0.0, 0.0)
        )
        world.tell(seen)

    assert assumed_phases == sum(a > 0.0 for a in view_of(world, "E1").assumed_a)


def test_powers_of_phases_alone_tell_on_which_phases_a_vehicle_draws():
    world = ready(World(small_site(evses=1, building_worst_a=0.0)))
    transaction = world.plug("E1", Vehicle(phases=1))
    for _ in range(3):
        world.run(1)
        on_one_phase = {"power_w": 3680.0, "powers_w": (3680.0, 0.0, None)}
        world.tell(
            EvseReading(at=world.now, station=StationId("S1"), number=1, transaction=transaction, **on_one_phase)
        )

    assert 1 == view_of(world, "E1").phases
    assert [16.0, 0.0, 0.0] == pytest.approx(list(view_of(world, "E1").measured_a))


def test_a_vehicle_that_ignores_its_limit_on_one_phase_is_found_out_by_powers_alone():
    world = ready(World(small_site(evses=1, limit_a=10.0, building_worst_a=0.0)))
    transaction = world.plug("E1", Vehicle(phases=1))
    world.run(60)
    seen = EvseReading(
        at=world.now,
        station=StationId("S1"),
        number=1,
        transaction=transaction,
        power_w=16.0 * 230.0,
        powers_w=(16.0 * 230.0, 0.0, 0.0),
    )
    world.tell(seen)
    world.run(1)

    assert [True] == [a.kind == "disobedient" for a in world.controller.view().alarms]


def test_phases_are_found_from_readings_and_leave_the_others_free():
    world = ready(World(small_site(evses=3, limit_a=40.0, building_worst_a=0.0)))
    world.building_a = (0.0, 0.0, 0.0)
    world.plug("E1", Vehicle(phases=1))
    world.run(120)

    assert 1 == view_of(world, "E1").phases
    assert [32.0, 0.0, 0.0] == list(view_of(world, "E1").assumed_a)


def test_energy_is_counted_through_a_register_that_starts_anew():
    world = ready(World(small_site(evses=1, limit_a=60.0)))
    world.plug("E1")
    world.run(600)
    fake = world.station("E1")
    taken = fake.vehicle.taken_wh
    fake.register_wh = 0.0
    world.run(600)

    assert pytest.approx(fake.vehicle.taken_wh, abs=0.02 * taken + 250.0) == view_of(world, "E1").session.delivered_wh


def test_repeated_and_late_transaction_messages_change_nothing():
    world = ready(World(small_site(evses=1, limit_a=60.0)))
    first = world.plug("E1")
    world.run(300)
    delivered = view_of(world, "E1").session.delivered_wh
    repeat = TransactionStarted(at=world.now, station=StationId("S1"), number=1, transaction=first, meter_wh=0.0)
    world.tell(repeat)
    world.run(1)
    assert view_of(world, "E1").session.delivered_wh >= delivered

    world.unplug("E1")
    world.run(5)
    ended = [s for d in world.decisions for s in d.ended]
    assert [first] == [s.transaction for s in ended]
    world.tell(TransactionEnded(at=world.now, station=StationId("S1"), number=1, transaction=first))
    world.tell(repeat)
    world.run(5)
    assert view_of(world, "E1").session is None


def test_a_transaction_whose_start_was_lost_is_adopted_from_its_readings():
    world = ready(World(small_site(evses=1, limit_a=60.0)))
    world.alive = False
    transaction = world.plug("E1")
    world.run(2)
    world._queue.clear()
    world.alive = True
    world.run(40)

    assert transaction == view_of(world, "E1").session.transaction


def test_an_adopted_transaction_counts_fully_until_a_limit_of_ours_is_acknowledged():
    def no_leases(rng: random.Random, command: Command) -> tuple[float, Outcome, bool]:
        if isinstance(command, SetProfile) and command.profile.purpose is ProfilePurpose.TX and silent:
            return 20.0, Outcome.TIMED_OUT, False
        return prompt(rng, command)

    silent = True
    world = ready(World(small_site(evses=1, limit_a=60.0), policy=no_leases))
    world.tell(LimitChanged(at=world.now, circuit=CircuitId("main"), source="grid", limit_a=(15.0, 15.0, 15.0)))
    world.run(1)
    world.alive = False
    world.plug("E1")
    world.run(2)
    world._queue.clear()
    world.alive = True
    world.run(60)
    assert 32.0 == max(view_of(world, "E1").assumed_a)  # although no more than 10 A was ever sent

    silent = False
    world.run(120)
    assert 10.0 >= max(view_of(world, "E1").assumed_a)


def test_what_was_declared_before_the_transaction_belongs_to_it():
    world = ready(World(small_site(evses=1)))
    departure = world.now + timedelta(hours=3)
    world.tell(SessionDeclared(at=world.now, evse=EvseId("E1"), departure=departure, need=EnergyNeed(wanted_wh=5000.0)))
    world.run(2)
    world.plug("E1")
    world.run(2)

    session = view_of(world, "E1").session
    assert (departure, 5000.0, "driver") == (session.departure, session.wanted_wh, session.source)


def test_a_station_that_takes_changes_seldom_gets_the_same_again_later():
    """K01.FR.56: refused as too often is no refusal of the form, and what it holds counts until it takes the next."""
    taken_at: dict[tuple[str, int], datetime] = {}
    refused = []

    def seldom(_rng: random.Random, command: Command) -> tuple[float, Outcome, bool]:
        if not isinstance(command, SetProfile):
            return 0.0, Outcome.ACCEPTED, True
        place, now = (str(command.station), command.number), world.now
        if place in taken_at and now - taken_at[place] < timedelta(seconds=40):
            refused.append(command)
            return 0.0, Outcome.TOO_OFTEN, False
        taken_at[place] = now
        return 0.0, Outcome.ACCEPTED, True

    world = World(small_site(evses=2, limit_a=45.0, building_worst_a=0.0), policy=seldom)
    ready(world)
    world.building_a = (0.0, 0.0, 0.0)
    world.plug("E1")
    world.run(50)
    world.plug("E2")
    world.run(400)

    assert refused
    leases = [c.profile for _, c in world.commands if isinstance(c, SetProfile)]
    assert {ProfileKind.ABSOLUTE} == {p.kind for p in leases if p.purpose is ProfilePurpose.TX}
    assert all(world.station(each).limit_a(world.now) >= 6.0 for each in ("E1", "E2"))
    assert [] == [alarm for alarm in world.controller.view().alarms if alarm.kind == "limit refused"]
    assert [] == world.over


@pytest.mark.parametrize("nothing", [float("nan"), float("inf"), -float("inf")])
def test_a_meter_that_tells_no_number_goes_stale_and_makes_no_headroom(nothing):
    world = ready(World(small_site(evses=1, limit_a=50.0, building_worst_a=20.0)))
    world.building_a = (30.0, 30.0, 30.0)
    world.plug("E1")
    world.run(120)
    world.meter_works = False
    for _ in range(300):
        world.tell(SiteMeterReading(at=world.now, meter=MeterId("meter"), currents_a=(nothing, nothing, nothing)))
        world.run(1)

    alarms = {a.kind for a in world.controller.view().alarms}
    assert ("stale meter" in alarms, "no plan" in alarms) == (True, False)
    assert 20.0 >= view_of(world, "E1").held_a


@pytest.mark.parametrize("nothing", [float("nan"), float("inf")])
def test_what_a_station_tells_that_is_no_number_says_nothing(nothing):
    world = ready(World(small_site(evses=1)))
    world.plug("E1")
    world.run(100)
    before = view_of(world, "E1")
    world.tell(
        EvseReading(
            at=world.now,
            station=StationId("S1"),
            number=1,
            currents_a=(nothing, 0.0, 0.0),
            current_a=nothing,
            power_w=nothing,
            energy_wh=nothing,
            state_of_charge_ratio=nothing,
        )
    )
    world.run(1)
    after = view_of(world, "E1")

    assert before.measured_a == after.measured_a
    assert before.session.delivered_wh <= after.session.delivered_wh < 1000.0
    world.run(300)
    assert 1000.0 < view_of(world, "E1").session.delivered_wh < 3000.0


def test_a_register_below_zero_has_not_started_anew():
    ledger = with_register(Ledger(at=START), 6.0, at=START, max_w=11_000.0)
    for register_wh in (-4.0, -5.0, -6.0):
        ledger = with_register(ledger, register_wh, at=START, max_w=11_000.0)

    assert (0.0, 0) == (ledger.delivered_wh, ledger.resets)


@pytest.mark.parametrize(("phases", "counted"), [(1, 1), (3, 3)])
def test_a_limit_in_w_is_of_one_phase_at_low_voltage_until_more_are_measured(phases, counted):
    """A vehicle on one phase takes all of it there; on three the power of three is given once two readings show it."""
    world = World(small_site(evses=1, limit_a=25.0, building_worst_a=5.0))
    world.station("E1").units = frozenset({RateUnit.W})
    ready(world).plug("E1", Vehicle(phases=phases))

    def leased_w() -> list[float]:
        sent = [c.profile for _, c in world.commands if isinstance(c, SetProfile)]
        leases = [p.schedules[0] for p in sent if p.purpose is ProfilePurpose.TX]
        assert {RateUnit.W} == {s.unit for s in leases}
        return [s.periods[0].limit for s in leases if s.periods[0].limit is not None]

    world.run(15)
    assert 0.0 < max(leased_w()) <= 20.0 * 0.9 * 230.0
    world.run(300)
    assert 0.95 * counted * 20.0 * 0.9 * 230.0 <= max(leased_w()) <= counted * 20.0 * 0.9 * 230.0
    assert [] == world.over


@pytest.mark.parametrize(
    "said", [{"currents_a": (-32.0, -32.0, -32.0)}, {"current_a": -32.0}, {"power_w": -32.0 * 3 * 230.0}]
)
def test_a_station_whose_meter_is_turned_around_is_judged_by_what_flows_all_the_same(said):
    world = ready(World(small_site(evses=1, limit_a=25.0, building_worst_a=5.0)))
    world.plug("E1")
    world.run(60)
    for _ in range(2):
        world.tell(EvseReading(at=world.now, station=StationId("S1"), number=1, **said))
        world.run(5)

    alarms = {a.kind for a in world.controller.view().alarms}
    assert {"measures backwards", "disobedient"} <= alarms
    assert Standing.DISOBEYING is view_of(world, "E1").standing
    world.run(60)
    assert "measures backwards" not in {a.kind for a in world.controller.view().alarms}

"""Station clocks: offset and drift seen in the times that stations write, shown, and reckoned with."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmgr.control.feedback.clock_estimate import ClockEstimate
from loadmgr.control.observation import EvseReading, StationConnected
from loadmgr.control.safety.skew import skew_s
from loadmgr.model.ids import StationId, TransactionId
from tests.control_world import START, Vehicle, World, small_site

TOLD_A = (7.7, 7.7, 7.7)


def watched(
    offset_s: float, *, drift_s_per_day: float = 0.0, hours: float = 1.0, delay_s=lambda i: 0.4
) -> ClockEstimate:
    clock = ClockEstimate()
    for index in range(int(hours * 120)):
        written = START + timedelta(seconds=30 * index)
        off_s = offset_s + drift_s_per_day * index * 30 / 86_400
        stamp = (written + timedelta(seconds=off_s)).replace(microsecond=0)
        clock.wrote(stamp, at=written + timedelta(seconds=delay_s(index)))
    return clock


@given(
    offset=st.floats(-300, 300),
    delays=st.lists(st.floats(0.05, 20.0), min_size=20, max_size=20),
)
def test_an_offset_is_found_within_two_seconds_whatever_some_messages_are_late(offset, delays):
    clock = watched(offset, delay_s=lambda i: 0.1 if i % 7 == 0 else delays[i % 20])

    assert clock.offset_s == pytest.approx(offset, abs=2.0)


def test_drift_is_known_after_hours_and_not_before():
    assert watched(5.0, drift_s_per_day=40.0, hours=1.0).drift_s_per_day is None
    assert watched(5.0, drift_s_per_day=40.0, hours=8.0).drift_s_per_day == pytest.approx(40.0, abs=8.0)


def test_a_few_readings_tell_nothing():
    clock = ClockEstimate()
    for index in range(4):
        clock.wrote(START, at=START + timedelta(seconds=index))

    assert clock.offset_s is None


class Stamping(World):
    """A world whose stations write their own time on readings."""

    def _reading(self, fake, at) -> EvseReading:
        seen = super()._reading(fake, at)
        return EvseReading(**{f: getattr(seen, f) for f in seen.__slots__} | {"measured_at": fake.own_time(at)})


def charging(clock_off_s: float) -> Stamping:
    world = Stamping(small_site(evses=2, limit_a=32.0, fallback_a=6.0, building_worst_a=0.0, lease_s=600))
    world.building_a = (0.0, 0.0, 0.0)
    world.station("E1").clock_off_s = clock_off_s
    world.connect()
    world.run(20)
    for evse in ("E1", "E2"):
        world.plug(evse, Vehicle())
    return world


def alone(*, for_s: int) -> tuple[Stamping, TransactionId]:
    """Return a world of one EVSE whose vehicle has charged so long, and its transaction."""
    world = Stamping(small_site(evses=1, clock_skew_s=60.0))
    world.connect()
    world.run(20)
    transaction = world.plug("E1")
    world.run(for_s)
    return world, transaction


def away_and_back(world: World) -> datetime:
    """Cut the link for 400 s; return when it came back, with no readings but those that are told."""
    world.disconnect("E1")
    world.run(400)
    world.connect("E1", boot=False)
    world.reading_s = 10_000
    return world.now


def told(world: World, transaction: TransactionId, measured_at: datetime) -> None:
    """Have the station of ``E1`` tell what no reading of the world's own says."""
    named = {"station": world.station("E1").evse.station, "number": 1, "transaction": transaction}
    world.tell(EvseReading(at=world.now, **named, currents_a=TOLD_A, measured_at=measured_at))


def counted(world: World) -> bool:
    """Return whether what was told is taken for what is drawn now."""
    world.run(1)
    return world.controller.view().evses[0].measured_a == TOLD_A


@pytest.mark.parametrize("off_s", [200.0, -200.0])
def test_a_clock_that_is_further_off_than_the_file_allows_widens_the_guard_and_is_told(off_s):
    world = charging(off_s).run(400)
    state = world.controller._state

    assert skew_s(state, StationId("S1")) == pytest.approx(202.0, abs=1.0)
    assert state.site.timing.clock_skew_s == skew_s(state, StationId("S2"))
    assert {"S1"} == {a.subject for d in world.decisions for a in d.alarms if a.kind == "clock off"}
    (first, _) = world.controller.view().stations
    assert first.clock_offset_s == pytest.approx(off_s, abs=1.0)


@pytest.mark.parametrize("off_s", [200.0, -200.0])
def test_a_site_keeps_to_its_limit_although_a_clock_is_far_off_and_the_controller_dies(off_s):
    world = charging(off_s).run(400)
    world.over.clear()
    world.run(1200)
    world.alive = False
    world.run(1500)

    assert [] == world.over


def test_nobody_is_told_of_a_clock_that_is_right_where_the_file_allows_for_less_than_can_be_seen():
    site = small_site(evses=2, limit_a=32.0, fallback_a=6.0, building_worst_a=0.0, lease_s=600, clock_skew_s=1.0)
    world = Stamping(site)
    world.connect()
    world.run(30)
    world.plug("E1")
    world.run(600)

    assert "clock off" not in {alarm.kind for alarm in world.controller.view().alarms}


def test_a_clock_that_is_seen_to_be_right_does_not_make_the_guard_smaller():
    world = charging(0.0).run(400)

    assert world.site.timing.clock_skew_s == skew_s(world.controller._state, StationId("S1"))


@pytest.mark.parametrize(
    ("taken_s", "after_s", "watched_before", "counts"),
    [
        # taken so long before the connection, heard so long after it
        (300.0, 5.0, False, False),
        (300.0, 50.0, False, False),
        (300.0, 300.0, False, True),  # that clock may just be slow
        (300.0, 300.0, True, False),  # this one is known to be right, and the queue was long
        (30.0, 5.0, False, True),  # within what a clock may be off
        (-4.0, 5.0, False, True),
    ],
)
def test_what_was_measured_before_the_connection_is_history(taken_s, after_s, watched_before, counts):
    world, transaction = alone(for_s=600 if watched_before else 60)
    connected_at = away_and_back(world)
    world.run(int(after_s))
    told(world, transaction, connected_at - timedelta(seconds=taken_s))

    assert counts == counted(world)


@pytest.mark.parametrize("stood", [True, False])
def test_over_a_link_that_stood_while_our_clock_was_set_nothing_is_history(stood):
    world, transaction = alone(for_s=600)
    world.reading_s = 10_000
    fake = world.station("E1")
    world.tell(StationConnected(at=world.now, station=fake.evse.station, version=fake.version, stood=stood))
    before = world.now - timedelta(seconds=1060)  # by our clock as it is now
    for after_s in range(1, 8):
        world.run(1)
        told(world, transaction, before + timedelta(seconds=after_s))

    assert stood == counted(world)
    (station,) = world.controller.view().stations
    assert stood == (station.clock_offset_s is not None and station.clock_offset_s < -1000.0)


@pytest.mark.parametrize(("told_every_s", "measured_every_s", "counts"), [(10.0, 10.0, True), (1.0, 10.0, False)])
def test_who_stays_as_far_behind_measures_now_by_a_clock_that_was_set(told_every_s, measured_every_s, counts):
    world, transaction = alone(for_s=600)
    before = away_and_back(world) - timedelta(seconds=1900)
    for index in range(6 if counts else 30):
        world.run(int(told_every_s))
        told(world, transaction, before + timedelta(seconds=index * measured_every_s))

    assert counts == counted(world)

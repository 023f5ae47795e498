"""Whatever happens to messages: what stations may draw fits, and no observation breaks the controller."""

import random
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadmgr.control import observation as o
from loadmgr.control.command import Command, SetProfile
from loadmgr.control.controller import SiteController
from loadmgr.control.observation import Outcome
from loadmgr.model.ids import CircuitId, EvseId, MeterId, StationId, TransactionId
from loadmgr.model.profile import ChargingSchedule, OcppVersion, RateUnit, SchedulePeriod
from loadmgr.model.session import EnergyNeed
from tests.control_world import START, Vehicle, World, small_site

FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def unreliable(seed: int):
    """Return a policy that answers late, loses requests or answers, and refuses now and then."""
    dice = random.Random(seed)

    def policy(rng: random.Random, command: Command) -> tuple[float, Outcome, bool]:
        fate = dice.random()
        if fate < 0.55:
            return float(dice.choice((0, 1, 3, 8))), Outcome.ACCEPTED, True
        if fate < 0.7:
            return 20.0, Outcome.TIMED_OUT, True  # taken in, the answer was lost
        if fate < 0.85:
            return 20.0, Outcome.TIMED_OUT, False
        if fate < 0.92 and isinstance(command, SetProfile):
            return 1.0, Outcome.REJECTED, False
        return 1.0, Outcome.FAILED, False

    return policy


def may_draw_a(world: World) -> float:
    """Return what stations that are set up let their vehicles draw at most on a phase, right now [A]."""
    return sum(
        f.limit_a(world.now) for f in world.stations.values() if f.transaction is not None and f.vehicle is not None
    )


@FEW
@given(
    seed=st.integers(0, 10_000),
    fallback_a=st.sampled_from([0.0, 8.0]),
    moves=st.lists(
        st.tuples(
            st.sampled_from(["plug", "plug", "unplug", "cut", "back", "urgent", "urgent"]),
            st.integers(1, 4),
            st.integers(5, 90),
        ),
        min_size=4,
        max_size=14,
    ),
    off=st.lists(st.integers(-60, 60), min_size=4, max_size=4),
    dies=st.booleans(),
)
def test_what_stations_may_draw_never_exceeds_the_circuit(seed, fallback_a, moves, off, dies):
    """Answers lost, late or refused, links cut, clocks off within their skew, the controller killed: it still fits."""
    site = small_site(evses=4, limit_a=45.0, fallback_a=fallback_a, building_worst_a=5.0, lease_s=300)
    world = World(site, seed=seed)
    for fake, seconds in zip(world.stations.values(), off, strict=True):
        fake.clock_off_s = float(seconds)
    world.connect()
    world.run(30)
    world.policy = unreliable(seed)
    for move, index, seconds in moves:
        _move(world, move, f"E{index}")
        for _ in range(seconds):
            world.run(1)
            assert may_draw_a(world) <= 45.0 - 5.0 + 1e-6
    world.alive = not dies
    for _ in range(0, 1000, 5):
        world.run(5)
        assert may_draw_a(world) <= 45.0 - 5.0 + 1e-6


def _move(world: World, move: str, evse: str) -> None:
    fake = world.station(evse)
    if move == "plug" and fake.transaction is None and fake.connected:
        world.plug(evse, Vehicle(phases=world.rng.choice((1, 3)), max_a=world.rng.choice((10.0, 32.0))))
    elif move == "unplug" and fake.transaction is not None and fake.connected:
        world.unplug(evse)
    elif move == "cut" and fake.connected:
        world.disconnect(evse)
    elif move == "back" and not fake.connected:
        world.connect(evse, boot=False)
    elif move == "urgent":
        need, priority = EnergyNeed(wanted_wh=60_000.0), world.rng.randint(0, 5)
        world.tell(o.SessionDeclared(at=world.now, evse=EvseId(evse), need=need, priority=priority))


stations = st.sampled_from([StationId("S1"), StationId("S2"), StationId("S3"), StationId("nobody")])
instants = st.integers(0, 4000).map(lambda s: START + timedelta(seconds=s)) | st.just(START)
odd_instants = instants | st.sampled_from([datetime(year, 12, 31, tzinfo=UTC) for year in (1, 1970, 9999)])
odd = st.sampled_from([0.0, -0.0, 5e-324, -16.0, 1e9, 1e300, -1e300, float("inf"), float("-inf"), float("nan")])
amps = st.floats(-10, 500) | odd
maybe_amps = st.none() | amps
maybe_each = st.none() | st.tuples(maybe_amps, maybe_amps, maybe_amps)
energies = st.none() | st.floats(-1e5, 1e9) | odd
transactions = st.sampled_from([TransactionId("1"), TransactionId("2"), TransactionId("x" * 36)])
numbers = st.integers(0, 3)
needs = st.none() | st.floats(0, 1e5).map(lambda wh: EnergyNeed(wanted_wh=wh))

observations = st.one_of(
    st.builds(o.StationConnected, at=instants, station=stations, version=st.sampled_from(OcppVersion)),
    st.builds(o.StationDisconnected, at=instants, station=stations),
    st.builds(o.StationBooted, at=instants, station=stations),
    st.builds(
        o.StationCapabilities,
        at=instants,
        station=stations,
        max_stack_level=st.none() | st.integers(-1, 100),
        rate_units=st.none() | st.sets(st.sampled_from(RateUnit)).map(frozenset),
    ),
    st.builds(o.EvseStatus, at=instants, station=stations, number=numbers, state=st.sampled_from(o.EvseState)),
    st.builds(
        o.TransactionStarted,
        at=instants,
        station=stations,
        number=st.none() | numbers,
        transaction=transactions,
        meter_wh=energies,
        live=st.booleans(),
    ),
    st.builds(
        o.TransactionEnded,
        at=instants,
        station=stations,
        number=st.none() | numbers,
        transaction=st.none() | transactions,
        meter_wh=energies,
    ),
    st.builds(
        o.EvseReading,
        at=instants,
        station=stations,
        number=numbers,
        transaction=st.none() | transactions,
        currents_a=st.none() | st.tuples(maybe_amps, maybe_amps, maybe_amps),
        current_a=maybe_amps,
        power_w=st.none() | st.floats(-1e4, 1e6) | odd,
        energy_wh=energies,
        state_of_charge_ratio=st.none() | st.floats(0, 1) | odd,
        offered_a=maybe_amps,
        export_currents_a=maybe_each,
        export_w=maybe_amps,
        exported_wh=energies,
        measured_at=st.none() | odd_instants,
        live=st.booleans(),
    ),
    st.builds(
        o.SiteMeterReading,
        at=instants,
        meter=st.sampled_from([MeterId("meter"), MeterId("other")]),
        currents_a=st.tuples(amps, amps, amps),
    ),
    st.builds(
        o.SessionDeclared,
        at=instants,
        evse=st.sampled_from([EvseId("E1"), EvseId("E9")]),
        departure=st.none() | instants,
        need=needs,
        priority=st.none() | st.integers(-2, 5),
    ),
    st.builds(
        o.VehicleDeclared,
        at=instants,
        station=stations,
        number=numbers,
        departure=st.none() | instants,
        energy_wh=energies,
        max_a=maybe_amps,
        min_a=maybe_amps,
    ),
    st.builds(
        o.LimitChanged,
        at=instants,
        circuit=st.sampled_from([CircuitId("main"), CircuitId("none")]),
        source=st.sampled_from(["one", "other"]),
        limit_a=maybe_each | st.just((10.0, None, 0.0)),
        limit_w=st.none() | st.floats(0, 1e5) | odd,
        until=st.none() | odd_instants,
        heartbeat_s=st.none() | st.floats(0, 1e5) | odd,
        silent_limit_a=maybe_each,
        silent_limit_w=maybe_amps,
        vehicles_only=st.booleans(),
    ),
    st.builds(
        o.OverrideSet,
        at=instants,
        evse=st.sampled_from([EvseId("E1"), EvseId("E9")]),
        limit_a=maybe_amps,
        boost=st.booleans(),
        until=st.none() | odd_instants,
    ),
    st.builds(o.SourceTrouble, at=instants, source=st.just("test"), cause=st.none() | st.just("?")),
    st.builds(
        o.BatteryReading,
        at=instants,
        battery=st.sampled_from(["box", "none"]),
        power_w=amps,
        state_of_charge_ratio=maybe_amps,
    ),
    st.builds(
        o.StationTraits,
        at=instants,
        station=stations,
        stack_level=st.none() | st.integers(-1, 100),
        max_periods=st.none() | st.integers(0, 3),
        zero_ok=st.none() | st.booleans(),
        takes_tx=st.none() | st.booleans(),
        takes_tx_default=st.none() | st.booleans(),
    ),
    st.builds(
        o.ForeignProfiles,
        at=instants,
        station=stations,
        number=numbers,
        source=st.just("EMS"),
        profiles=st.none() | st.just(()),
        by_station=st.booleans(),
        last=st.booleans(),
    ),
    st.builds(
        o.CommandAnswered,
        at=instants,
        command=st.integers(0, 60),
        outcome=st.sampled_from(Outcome),
        reason=st.just("?"),
    ),
    st.builds(
        o.CompositeReported,
        at=instants,
        command=st.integers(0, 60),
        station=stations,
        number=numbers,
        schedule=st.none()
        | st.builds(
            ChargingSchedule,
            unit=st.sampled_from(RateUnit),
            periods=st.just(()) | maybe_amps.map(lambda a: (SchedulePeriod(start_s=0, limit=a),)),
        ),
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(observations, max_size=40))
def test_no_sequence_of_observations_breaks_the_controller(seen):
    """Not even facts out of order, about things that are not there, or that contradict each other."""
    controller = SiteController(small_site(), None)
    now = START
    for observation in seen:
        controller.observe(observation)
        now = max(now, observation.at)
        decision = controller.decide(now)
        assert decision.next_due > now
        assert "no plan" not in {a.kind for a in decision.alarms}
        assert "observation lost" not in {a.kind for a in decision.alarms}
        controller.view()

"""Whatever happens to messages, vehicles that feed back, batteries and switched phases: what may flow fits."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadmgr.control.observation import PriceUpdated, SessionDeclared
from loadmgr.control.settings import ControlSettings
from loadmgr.model.equipment import Battery, BatteryLink
from loadmgr.model.ids import CircuitId, EvseId
from loadmgr.model.profile import OcppVersion
from loadmgr.model.series import StepFunction
from loadmgr.model.session import DischargeTerms, EnergyNeed
from tests.control_world import START, Vehicle, World, small_site
from tests.loadmgr.control.test_control_properties import unreliable

FEW = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
LIMITS_A = (26.0, 15.0, 15.0)
BUILDING_A = 4.0


def a_world(seed: int) -> World:
    """Return a narrow site with a vehicle that feeds back, one that changes phases, a plain one, and a battery."""
    box = Battery(
        id="box",
        circuit=CircuitId("main"),
        capacity_wh=8_000.0,
        max_charge_w=6_000.0,
        max_discharge_w=6_000.0,
        stored_wh=4_000.0,
        link=BatteryLink(every_s=10.0, watchdog_s=30.0),
    )
    site = small_site(evses=3, building_worst_a=BUILDING_A, lease_s=300)
    first, second, third = site.evses
    site = replace(
        site,
        circuits=(replace(site.circuits[0], limit_a=LIMITS_A),),
        evses=(replace(first, discharge_a=16.0), replace(second, switches_phases=True), third),
        batteries=(box,),
    )
    world = World(
        site,
        seed=seed,
        versions=(OcppVersion.V21, OcppVersion.V16, OcppVersion.V201),
        settings=ControlSettings(min_on_s=0, min_off_s=0),
    )
    world.station("E1").follows_setpoints = True
    instants = tuple(START + timedelta(minutes=7 * n) for n in range(60))
    prices = tuple((0.05, 0.9, 0.3)[(n + seed) % 3] for n in range(60))
    world.tell(PriceUpdated(at=world.now, prices_per_kwh=StepFunction(instants, prices)))
    world.connect()
    return world.run(30)


def may_flow_a(world: World) -> tuple[float, float, float]:
    """Return what stations and batteries may draw at most on each phase right now [A]: nobody feeds anything back."""
    out = [0.0, 0.0, 0.0]
    for fake in world.stations.values():
        if fake.transaction is not None and fake.vehicle is not None:
            phases = fake.phases
            if fake.evse.switches_phases and max(fake.draw_a()) == 0.0:  # it changes before it lets anything flow
                phases = fake.store.limit_at(fake.evse.number, fake.own_time(world.now)).phases or 3
            for phase in fake.evse.phases[: min(phases, fake.vehicle.phases)]:
                out[phase] += fake.limit_a(world.now)
    for each in world.batteries.values():
        out = [amps + max(0.0, each.power_w(world.now)) / 690.0 for amps in out]
    return (out[0], out[1], out[2])


def move(world: World, what: str, evse: str) -> None:
    fake, box = world.station(evse), world.batteries["box"]
    match what:
        case "plug" if fake.transaction is None and fake.connected:
            said = SessionDeclared(
                at=world.now,
                evse=EvseId(evse),
                departure=world.now + timedelta(hours=world.rng.choice((1, 6))),
                need=EnergyNeed(wanted_wh=world.rng.choice((1_000.0, 40_000.0))),
                discharge=DischargeTerms(max_a=12.0, room_wh=5_000.0),
            )
            world.tell(said)
            world.plug(evse, Vehicle(phases=world.rng.choice((1, 3, 3)), back_a=16.0))
        case "unplug" if fake.transaction is not None and fake.connected:
            world.unplug(evse)
        case "cut" if fake.connected:
            world.disconnect(evse)
        case "back" if not fake.connected:
            world.connect(evse, boot=False)
        case "deaf":
            box.deaf = not box.deaf
        case "mute":
            box.mute = not box.mute
        case _:
            pass


@FEW
@given(
    seed=st.integers(0, 10_000),
    moves=st.lists(
        st.tuples(
            st.sampled_from(["plug", "plug", "plug", "unplug", "cut", "back", "deaf", "mute"]),
            st.integers(1, 3),
            st.integers(20, 150),
        ),
        min_size=4,
        max_size=10,
    ),
    dies=st.booleans(),
)
def test_what_may_flow_never_exceeds_the_circuit_whoever_stops_feeding_back(seed, moves, dies):
    world = a_world(seed)
    world.policy = unreliable(seed)
    room_a = [limit - BUILDING_A + 1e-6 for limit in LIMITS_A]
    for what, index, seconds in moves:
        move(world, what, f"E{index}")
        for _ in range(seconds):
            world.run(1)
            assert all(a <= b for a, b in zip(may_flow_a(world), room_a, strict=True))
    world.alive = not dies
    for _ in range(0, 900, 3):
        world.run(3)
        assert all(a <= b for a, b in zip(may_flow_a(world), room_a, strict=True))

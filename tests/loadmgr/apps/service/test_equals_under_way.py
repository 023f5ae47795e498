"""A snapshot of a site in full swing is answered as its controller would go on, or with less: never with more."""

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadmgr.apps.service.facts import facts_of
from loadmgr.apps.service.schedule import memory_json, run_schedule
from loadmgr.apps.service.snapshot import ScheduleRequest
from loadmgr.bridge import to_ocpp
from loadmgr.bridge.profile_json import profile_to_json
from loadmgr.control.observation import LimitChanged, SessionDeclared
from loadmgr.control.settings import ControlSettings
from loadmgr.model.session import EnergyNeed
from loadmgr.site_file import SessionDefaults, SiteFile
from tests.control_world import Vehicle, World, small_site

SETTINGS = ControlSettings()
CARS = st.fixed_dictionaries(
    {
        "phases": st.sampled_from((1, 3)),
        "max_a": st.sampled_from((16.0, 32.0)),
        "wanted_wh": st.integers(5, 50).map(lambda kwh: kwh * 1000.0),
        "hours": st.integers(1, 12),
        "priority": st.integers(0, 1),
        "before_next_s": st.integers(1, 120),
    }
)


def in_full_swing(cars, *, for_s, offline):
    """Return a site after minutes of control, whose stations hold leases and whose vehicles were measured."""
    world = World(small_site(evses=3, limit_a=45.0))
    world.connect()
    world.run(40)
    for evse, car in zip(("E1", "E2", "E3"), cars, strict=True):
        if car is not None:
            world.plug(evse, Vehicle(phases=car["phases"], max_a=car["max_a"]))
            need = EnergyNeed(wanted_wh=car["wanted_wh"])
            leaves = world.now + timedelta(hours=car["hours"])
            said = SessionDeclared(at=world.now, evse=evse, departure=leaves, need=need, priority=car["priority"])
            world.tell(said)
            world.run(car["before_next_s"])
    world.run(for_s)
    if offline is not None:
        world.disconnect(offline)
        world.run(30)
    return world


def snapshot_of(world, limit_a):
    """Return what a CSMS knows of the site: what its stations hold and said last, and our memory of its vehicles."""
    state, view = world.controller._state, world.controller.view()
    taken = [e for e in view.evses if e.session is not None]
    drawn = [(e.evse, state.evses[e.evse].draw) for e in taken]
    meter = state.meters["meter"]
    return {
        "site": "small",
        "at": world.now.isoformat(),
        "stations": [
            {
                "id": name,
                "ocpp_version": fake.version.value,
                "connected": fake.connected,
                "max_stack_level": 8,
                "rate_units": ["A"],
                "installed_profiles": [
                    {"evse_id": i.evse_id, "profile": profile_to_json(i.profile, fake.version)}
                    for i in fake.store.profiles
                ],
            }
            for name, fake in world.stations.items()
        ],
        "sessions": [
            {
                "evse": e.evse,
                "transaction_id": e.session.transaction,
                "started": e.session.started.isoformat(),
                "departure": e.session.departure.isoformat(),
                "wanted_wh": e.session.wanted_wh,
                "delivered_wh": e.session.delivered_wh,
                "priority": e.session.priority,
                "memory": memory_json(e.known),
            }
            for e in taken
        ],
        "evse_readings": [
            {"evse": evse, "at": draw.at.isoformat(), "currents_a": list(draw.current_a)}
            for evse, draw in drawn
            if draw is not None
        ],
        "meter_readings": [
            {"meter": "meter", "at": meter.at.isoformat(), "currents_a": list(meter.currents_a)},
        ],
        "limits": [{"circuit": "main", "limit_a": limit_a}],
    }


def answered(world, body):
    site_file = SiteFile(
        path=None,
        site=world.site,
        tariff=None,
        session_defaults=SessionDefaults(energy_wh=15_000.0, stay_s=28_800),
        listen=None,
    )
    facts = facts_of(ScheduleRequest.model_validate(body), world.site, at=world.now)
    return run_schedule(site_file, facts, settings=SETTINGS)


def on_the_wire(decision, world):
    return [(c.station, *to_ocpp.request(c, version=world.stations[c.station].version)) for c in decision.commands]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    cars=st.tuples(CARS, st.one_of(st.none(), CARS), CARS),
    for_s=st.integers(300, 1200),
    offline=st.sampled_from((None, None, "E1", "E2")),
    limit_a=st.integers(10, 50).map(float),
)
def test_a_snapshot_in_full_swing_is_answered_as_by_the_controller_that_drives_it(cars, for_s, offline, limit_a):
    world = in_full_swing(cars, for_s=for_s, offline=offline)
    body = snapshot_of(world, limit_a)
    live = world.controller
    live._plan = None  # it plans afresh, as one that keeps nothing has to
    live.observe(LimitChanged(at=world.now, circuit="main", source="csms", limit_a=(limit_a,) * 3))
    expected = on_the_wire(live.decide(world.now), world)
    seen = live.view()

    got = answered(world, body)

    for mine, theirs in zip(seen.evses, got.view.evses, strict=True):
        # one reading may be older than the lease that it is held against: then it counts with more, never with less
        assert all(b >= a - 0.01 for a, b in zip(mine.assumed_a, theirs.assumed_a, strict=True))
    building_a, told_a = seen.circuits[0].building_a, got.view.circuits[0].building_a
    assert all(b >= a - 0.01 for a, b in zip(building_a, told_a, strict=True))
    alike = [e.standing for e in seen.evses] == [e.standing for e in got.view.evses]
    if alike and building_a == told_a:
        assert expected == on_the_wire(got.decision, world)


def test_a_site_whose_stations_are_all_there_is_answered_alike():
    car = {"phases": 3, "max_a": 16.0, "wanted_wh": 20_000.0, "hours": 6, "priority": 0, "before_next_s": 30}
    world = in_full_swing((car, {**car, "phases": 1}, None), for_s=600, offline=None)
    body = snapshot_of(world, 14.0)
    world.controller._plan = None
    world.controller.observe(LimitChanged(at=world.now, circuit="main", source="csms", limit_a=(14.0,) * 3))
    expected = on_the_wire(world.controller.decide(world.now), world)

    assert expected
    assert expected == on_the_wire(answered(world, body).decision, world)

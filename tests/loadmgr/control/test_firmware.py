"""A station that runs another firmware than the one it was proved on counts as unproved, before others get more."""

from dataclasses import replace

from loadmgr.control.decision import EvseView, Standing
from loadmgr.control.observation import StationBooted
from loadmgr.model.proof import StationProof, with_proof
from loadmgr.model.topology import Site, Trust
from loadmgr.store.codec import Codec
from tests.control_world import START, Vehicle, World, small_site


def proved_site() -> Site:
    """Return a site of two stations, of which the first is trusted by its proof alone."""
    site = small_site(evses=2, limit_a=40.0, building_worst_a=0.0)
    first, second = site.stations
    proof = StationProof(
        station=first.id, at=START, firmware="1.4", keeps_profiles=Trust.YES, falls_back=Trust.YES, zero_ok=Trust.YES
    )
    unknown = replace(first, keeps_profiles=Trust.UNKNOWN, zero_ok=Trust.UNKNOWN)
    return replace(site, stations=(with_proof(unknown, proof), second))


def charging(firmware: str) -> World:
    """Return a world where both charge, one vehicle 10 A and the other the rest, on stations of a firmware."""
    world = World(proved_site())
    world.connect(boot=False)
    for fake in world.stations.values():
        world.tell(StationBooted(at=world.now, station=fake.evse.station, firmware=firmware))
    world.run(15)
    world.plug("E1", Vehicle(max_a=10.0))
    world.plug("E2")
    return world.run(600)


def seen(world: World, evse: str) -> EvseView:
    return next(e for e in world.controller.view().evses if e.evse == evse)


def test_a_station_on_the_proved_firmware_counts_with_what_it_holds_when_its_link_dies():
    world = charging("1.4")
    held = seen(world, "E1").held_a
    world.disconnect("E1")
    world.run(60)

    assert held < 32.0
    assert held == max(seen(world, "E1").assumed_a)


def test_on_other_firmware_it_counts_with_its_installed_maximum_when_its_link_dies():
    world = charging("1.5")
    world.disconnect("E1")
    world.run(60)

    assert 32.0 == max(seen(world, "E1").assumed_a)
    assert world.station("E2").limit_a(world.now) <= 8.0


def test_the_reservation_rises_in_the_decision_that_hears_of_the_new_firmware():
    world = charging("1.4")
    before = world.station("E2").limit_a(world.now)
    world.controller.observe(StationBooted(at=world.now, station=world.station("E1").evse.station, firmware="1.5"))
    decision = world.controller.decide(world.now)

    assert Standing.SETTING_UP is seen(world, "E1").standing
    assert 32.0 == max(seen(world, "E1").assumed_a)
    assert {"proved on other firmware"} <= {a.kind for a in decision.alarms if a.cleared is None}
    raised = [
        c
        for c in decision.commands
        if c.station == "S2"
        and getattr(c, "profile", None) is not None
        and c.profile.schedules[0].periods[0].limit > before
    ]
    assert [] == raised


def test_its_profiles_are_set_and_read_back_anew_and_what_it_keeps_is_shown_as_unknown():
    world = charging("1.4")
    assert "yes" == world.controller.view().stations[0].keeps_profiles
    world.tell(StationBooted(at=world.now, station=world.station("E1").evse.station, firmware="1.5"))
    world.run(60)

    assert Standing.OBEYING is seen(world, "E1").standing
    assert "unknown" == world.controller.view().stations[0].keeps_profiles


def test_back_on_the_proved_firmware_the_proof_counts_again():
    world = charging("1.5")
    world.tell(StationBooted(at=world.now, station=world.station("E1").evse.station, firmware="1.4"))
    world.run(60)
    standing = {a.kind for a in world.controller.view().alarms if a.cleared is None}

    assert "yes" == world.controller.view().stations[0].keeps_profiles
    assert "proved on other firmware" not in standing


def test_a_journal_keeps_what_is_left_of_a_proof():
    site, codec = proved_site(), Codec()

    assert site == codec.value(codec.plain(site, Site), Site)

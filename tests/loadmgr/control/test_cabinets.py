"""Outlets of one power cabinet under control."""

from dataclasses import replace

from loadmgr.model.equipment import Cabinet
from loadmgr.model.topology import CurrentType, Site
from tests.control_world import World, small_site

CABINET_W = 20_000.0


def yard() -> Site:
    """Return three outlets of 25 kW on a cabinet of 20 kW, on a circuit with room to spare."""
    site = small_site(evses=3, limit_a=200.0, max_a=50.0)
    outlets = tuple(replace(e, current_type=CurrentType.DC, max_w=25_000.0) for e in site.evses)
    return replace(site, evses=outlets, cabinets=(Cabinet(id="box", evses=tuple(e.id for e in outlets), max_w=20e3),))


def test_vehicles_that_show_what_they_are_stay_within_their_cabinet() -> None:
    """New vehicles are offered what fits for some minutes: no more than their cabinet gives."""
    world = World(yard())
    world.connect()
    world.run(60)
    for evse in ("E1", "E2", "E3"):
        world.plug(evse)
    offered_w = []
    for _ in range(240):
        world.run(1)
        setpoints = [e.setpoint_a or 0.0 for e in world.controller.view().evses]
        offered_w.append(sum(setpoints) * 3 * 230.0)
    assert max(offered_w) > 0.9 * CABINET_W
    assert max(offered_w) <= CABINET_W

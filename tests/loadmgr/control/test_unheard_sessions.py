"""Sessions that began out of hearing: they count with the most that they may hold, and may well hold less."""

import numpy as np
import pytest

from loadmgr.control.observation import TransactionStarted
from loadmgr.control.safety.assumption import Assumed
from loadmgr.control.safety.circuits import CircuitRows, LoadBook
from loadmgr.control.safety.envelope import constant
from loadmgr.control.settings import ControlSettings
from loadmgr.model.ids import CircuitId, EvseId, TransactionId
from loadmgr.model.topology import Phase
from tests.control_world import START, Vehicle, World, small_site


@pytest.mark.parametrize("relief_first", [False, True])
@pytest.mark.parametrize("lag_s", [0, 9])
@pytest.mark.parametrize("limit_a", [18.0, 24.0, 40.0])
def test_nobody_is_raised_in_the_name_of_lowering_him_before_others_have_made_room(
    limit_a: float, lag_s: int, relief_first: bool
) -> None:
    site = small_site(evses=3, limit_a=limit_a, building_worst_a=2.0, lease_s=3600)
    world = World(site, settings=ControlSettings(relief_first=relief_first))
    world.connect("E1", "E2", "E3")
    world.run(300)
    world.plug("E1")
    world.run(900)
    before = len(world.over)
    world.station("E1").lag_s, world.station("E2").lag_s, world.station("E3").lag_s = 9, 0, lag_s

    for evse in ("E2", "E3"):
        fake = world.station(evse)
        fake.vehicle, fake.transaction = Vehicle(), TransactionId(f"unheard {evse}")
        world._note_transaction(fake)
        where = {"station": fake.evse.station, "number": fake.evse.number}
        world.tell(TransactionStarted(at=world.now, transaction=fake.transaction, started_at=None, **where))
    world.run(600)

    assert max(world.station("E1").draw_a()) > 0.0
    assert world.over[before:] == []


@pytest.mark.parametrize(("limit_a", "fits_a"), [(40.0, 16.0), (24.0, 8.0), (10.0, -6.0)])
def test_what_is_assumed_of_somebody_is_room_for_him_only_where_he_surely_has_it(limit_a: float, fits_a: float) -> None:
    """E1 is on its way down from 16 A; E2 counts with 16 A too, and may have none of them."""
    site = small_site(evses=2)
    rows = CircuitRows((CircuitId("main"),), (int(Phase.L1),), np.array([limit_a]), np.zeros(1), np.array([False]))
    assumed = {e.id: Assumed(constant(16.0), e.phases) for e in site.evses}
    book = LoadBook(site, rows, assumed, now=START)
    until_s = START.timestamp() + 900.0

    surely = book.grant_a(EvseId("E2"), 16.0, until_s=until_s, anew=False)
    perhaps, row = book.grant_a(EvseId("E2"), 16.0, until_s=until_s, anew=True)

    assert surely == (16.0, None)
    assert perhaps == pytest.approx(fits_a)
    assert (row is None) == (fits_a >= 16.0)

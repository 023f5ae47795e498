"""Who may say what of a session."""

from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmgr.control.controller import SiteController
from loadmgr.control.feedback.declared import apply_declaration, rank
from loadmgr.control.feedback.energy import Ledger
from loadmgr.control.observation import SessionDeclared, StationConnected, TransactionStarted, VehicleDeclared
from loadmgr.control.state import Charging
from loadmgr.model.ids import EvseId, StationId, TransactionId
from loadmgr.model.profile import OcppVersion
from loadmgr.model.session import EnergyNeed
from tests.control_world import START, small_site

SOURCES = ("rule", "calendar", "vehicle", "driver")


def charging() -> Charging:
    return Charging(transaction=TransactionId("1"), started=START, ledger=Ledger(at=START))


def word(source: str, *, hours: int | None = None, wanted_wh: float | None = None) -> SessionDeclared:
    return SessionDeclared(
        at=START,
        evse=EvseId("E1"),
        departure=None if hours is None else START + timedelta(hours=hours),
        need=None if wanted_wh is None else EnergyNeed(wanted_wh=wanted_wh),
        source=source,
    )


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_who_is_nearest_to_the_driver_counts_in_whatever_order_they_speak(order: tuple[int, ...]) -> None:
    session = charging()

    for place in order:
        apply_declaration(session, word(SOURCES[place], hours=place + 1))

    assert START + timedelta(hours=4) == session.departure
    assert session.source == "driver"


def test_a_driver_who_says_only_the_energy_leaves_the_departure_to_the_calendar() -> None:
    session = charging()

    apply_declaration(session, word("driver", wanted_wh=9000.0))
    apply_declaration(session, word("calendar", hours=3, wanted_wh=20_000.0))
    apply_declaration(session, word("rule", hours=8, wanted_wh=5000.0))

    assert START + timedelta(hours=3) == session.departure
    assert session.need is not None
    assert session.need.wanted_wh == 9000.0
    assert (session.source, session.said_by) == ("driver", {"need": "driver", "departure": "calendar"})


@given(st.lists(st.tuples(st.sampled_from(SOURCES), st.integers(1, 20)), min_size=1, max_size=8))
def test_of_equals_the_last_word_counts(words: list[tuple[str, int]]) -> None:
    session = charging()

    for source, hours in words:
        apply_declaration(session, word(source, hours=hours))

    nearest = max(rank(source) for source, _ in words)
    last = [hours for source, hours in words if rank(source) == nearest][-1]
    assert session.departure == START + timedelta(hours=last)


@pytest.mark.parametrize(
    ("departs", "known"), [(timedelta(hours=3), 3), (timedelta(days=-20_000), 8), (timedelta(), 8)]
)
def test_a_vehicles_departure_that_has_passed_leaves_what_the_calendar_says(departs: timedelta, known: int) -> None:
    """Its station makes a time of day of seconds from now, and may do so by a clock that was never set."""
    controller = SiteController(small_site(evses=1), None)
    where = {"station": StationId("S1"), "number": 1}
    controller.observe(StationConnected(at=START, station=StationId("S1"), version=OcppVersion.V201))
    controller.observe(TransactionStarted(at=START, transaction=TransactionId("1"), **where))
    controller.observe(word("calendar", hours=8))
    controller.observe(VehicleDeclared(at=START, departure=START + departs, energy_wh=9000.0, **where))
    controller.decide(START)

    session = controller.view().evses[0].session
    assert session is not None
    assert (START + timedelta(hours=known), 9000.0) == (session.departure, session.wanted_wh)

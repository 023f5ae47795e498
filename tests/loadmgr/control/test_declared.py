"""Who may say what of a session."""

from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmgr.control.feedback.declared import apply_declaration, rank
from loadmgr.control.feedback.energy import Ledger
from loadmgr.control.observation import SessionDeclared
from loadmgr.control.state import Charging
from loadmgr.model.ids import EvseId, TransactionId
from loadmgr.model.session import EnergyNeed
from tests.control_world import START

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

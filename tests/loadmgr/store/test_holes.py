"""A hole in a journal is told of before what was noted after it, so that a replay does not decide across it."""

from loadmgr.control.controller import SiteController
from loadmgr.store.entry import Lost
from loadmgr.store.in_memory import InMemory
from loadmgr.store.journal import Journal
from tests.control_world import START, small_site
from tests.loadmgr.store.test_writer import reading


class Holed(InMemory):
    """Memory that lost something once."""

    loss: Lost | None = None

    def take_loss(self) -> Lost | None:
        loss, self.loss = self.loss, None
        return loss


def test_what_follows_a_hole_stands_behind_the_word_of_it() -> None:
    store, controller = Holed(), SiteController(small_site(), None)
    journal = Journal(store, next_number=7)
    store.loss = Lost(at=START, since=START, entries=6, cause="away")
    for number in (1, 2):
        journal.observed(reading(number).record)  # type: ignore[arg-type]
    journal.ended(controller, START)

    assert [(7, "Lost"), (8, "SiteMeterReading"), (9, "SiteMeterReading")] == [
        (e.number, e.kind) for e in store.entries()
    ]

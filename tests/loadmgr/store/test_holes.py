"""A hole in a journal is told of before what was noted after it, so that a replay does not decide across it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from loadmgr.control.controller import SiteController
from loadmgr.store.codec import Codec
from loadmgr.store.entry import Entry, Lost
from loadmgr.store.in_memory import InMemory
from loadmgr.store.journal import Draft, Journal
from loadmgr.store.replay import replay as play_again
from tests.control_world import START, small_site
from tests.loadmgr.store.test_recall import busy_world
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


class Told(InMemory):
    """A journal as it was written by somebody else."""

    def __init__(self, entries: list[Entry]) -> None:
        super().__init__()
        self._entries = entries


def holed(*, behind: bool) -> Told:
    """Return a journal that lost what was observed for a minute, told of before or behind the next decision."""
    book = InMemory()
    busy_world(small_site(evses=3), book)
    entries = list(book.entries())
    decided = [i for i, e in enumerate(entries) if e.kind == "Decided"]
    begins = next(n for n, i in enumerate(decided) if entries[i].at >= START + timedelta(seconds=100))
    ends = next(
        n
        for n, i in enumerate(decided)
        if n > begins + 5 and any(e.kind == "Command" for e in entries[decided[n - 1] : i])
    )
    before, batch = entries[: decided[begins] + 1], entries[decided[ends - 1] + 1 : decided[ends] + 1]
    first = entries[decided[begins] + 1].at
    lost = Draft(0, batch[-1].at, "Lost", Lost(at=first, since=first, entries=9, cause="away")).entry(Codec())
    told = [*before, *batch, lost] if behind else [*before, lost, *batch]
    return Told([replace(e, number=n) for n, e in enumerate([*told, *entries[decided[ends] + 1 :]], start=1)])


@pytest.mark.parametrize("behind", [False, True], ids=["as it is told now", "as earlier versions told it"])
def test_what_comes_out_otherwise_because_of_a_hole_is_no_difference(behind: bool) -> None:
    found = play_again(holed(behind=behind))

    assert (1, ()) == (found.holes, tuple(found.differences))
    assert found.skipped > 0

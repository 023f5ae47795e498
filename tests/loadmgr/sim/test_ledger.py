"""True currents per circuit and phase, and excursions."""

from datetime import UTC, datetime, timedelta

import pytest

from loadmgr.model.topology import Circuit, Evse, Phase, Site, Station
from loadmgr.sim.ledger import LoadLedger, limit_figures

START = datetime(2026, 3, 1, tzinfo=UTC)


def site(**root: object) -> Site:
    return Site(
        name="two risers",
        time_zone="UTC",
        circuits=(
            Circuit(id="grid", limit_a=(63.0,) * 3, rated_a=(63.0,) * 3, **root),
            Circuit(id="riser", parent="grid", limit_a=(32.0, 32.0, None), rated_a=(35.0,) * 3),
        ),
        evses=(Evse(id="A1", station="A1", circuit="riser"),),
        stations=(Station(id="A1"),),
    )


def ledger(of: Site | None = None) -> LoadLedger:
    return LoadLedger(of or site(), start=START, cause=lambda circuit, phase: f"{circuit} {phase and phase.name}")


def enter(book: LoadLedger, now_s: float, source: str, *amps: float, circuit: str = "riser") -> None:
    book.enter(now_s, source=source, circuit=circuit, currents_a=amps)


def test_a_circuit_carries_what_hangs_below_it():
    book = ledger()
    enter(book, 0.0, "A1", 10.0, 0.0, 0.0)
    enter(book, 0.0, "A2", 5.0, 5.0, 5.0)
    enter(book, 0.0, "house", 20.0, 1.0, 2.0, circuit="grid")

    assert book.currents_a("riser") == (15.0, 5.0, 5.0)
    assert book.currents_a("grid") == (35.0, 6.0, 7.0)


def test_an_excursion_has_times_peak_and_cause():
    book = ledger()
    enter(book, 10.0, "A1", 0.0, 33.0, 0.0)
    enter(book, 40.0, "A1", 0.0, 36.0, 0.0)
    enter(book, 70.0, "A1", 0.0, 32.0, 50.0)
    book.advance(100.0)
    (found,) = book.excursions()

    assert (found.circuit, found.phase, found.cause) == ("riser", Phase.L2, "riser L2")
    assert (found.start, found.end) == (START + timedelta(seconds=10), START + timedelta(seconds=70))
    assert (found.peak, found.limit, found.over_s) == (36.0, 32.0, 60.0)
    assert found.overload_ratio == pytest.approx(36.0 / 35.0)


def test_what_lasts_no_time_is_no_excursion():
    book = ledger()
    enter(book, 10.0, "A1", 40.0, 0.0, 0.0)
    enter(book, 10.0, "A1", 20.0, 0.0, 0.0)
    book.advance(20.0)

    assert book.excursions() == ()


def test_blinking_does_not_earn_a_fresh_reaction_time():
    book = ledger()
    for on_s, off_s in ((0.0, 40.0), (45.0, 85.0), (200.0, 230.0)):
        enter(book, on_s, "A1", 40.0, 0.0, 0.0)
        enter(book, off_s, "A1", 20.0, 0.0, 0.0)
    book.advance(300.0)

    assert [e.over_s for e in book.excursions()] == [80.0, 30.0]
    figures = limit_figures(book.excursions(), reaction_time_s=45.0)
    assert (figures.seconds_above_limit, figures.seconds_above_limit_raw) == (35.0, 110.0)
    assert figures.worst_overload_a == pytest.approx(8.0)
    assert figures.worst_overload_ratio == pytest.approx(40.0 / 35.0)


def test_two_circuits_blink_independently():
    book = ledger()
    enter(book, 0.0, "A1", 70.0, 0.0, 0.0)
    enter(book, 10.0, "A1", 50.0, 0.0, 0.0)
    enter(book, 20.0, "A1", 20.0, 0.0, 0.0)
    enter(book, 22.0, "A1", 40.0, 0.0, 0.0)
    enter(book, 30.0, "A1", 0.0, 0.0, 0.0)
    book.advance(100.0)

    assert [(e.circuit, e.over_s) for e in book.excursions()] == [("grid", 10.0), ("riser", 28.0)]


def test_open_excursions_count_up_to_now():
    book = ledger()
    enter(book, 0.0, "A1", 70.0, 0.0, 0.0)
    book.advance(50.0)

    assert sorted((e.circuit, e.over_s) for e in book.excursions()) == [("grid", 50.0), ("riser", 50.0)]


def test_a_limit_of_power_is_judged_too():
    book = ledger(site(limit_w=10_000.0))
    enter(book, 0.0, "A1", 20.0, 20.0, 20.0)
    enter(book, 30.0, "A1", 0.0, 0.0, 0.0)
    book.advance(60.0)
    (found,) = book.excursions()

    assert found.phase is None
    assert found.peak == pytest.approx(13_800.0)
    assert found.row()["limit_w"] == 10_000.0


def test_no_excursion_gives_zeros():
    figures = limit_figures((), reaction_time_s=45.0)

    assert (figures.seconds_above_limit, figures.worst_overload_a, figures.worst_overload_ratio) == (0.0, 0.0, 0.0)

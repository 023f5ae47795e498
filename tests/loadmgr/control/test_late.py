"""Energy of sessions that are told of late, in parts, or not in order."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from loadmgr.control.controller import SiteController
from loadmgr.control.decision import SessionView
from loadmgr.control.observation import (
    EvseReading,
    EvseState,
    EvseStatus,
    Observation,
    StationConnected,
    TransactionEnded,
    TransactionStarted,
)
from loadmgr.model.ids import TransactionId
from loadmgr.model.profile import OcppVersion
from tests.control_world import START, small_site

SITE = small_site(evses=1)
WHERE: dict[str, Any] = {"station": SITE.evses[0].station, "number": 1}
CAME_BACK_MIN = 120.0


def minute(number: float) -> datetime:
    return START + timedelta(minutes=number)


def started(at: float, *, wh: float | None, began: float, name: str = "A", live: bool = True) -> Observation:
    when = minute(began)
    return TransactionStarted(
        at=minute(at), transaction=TransactionId(name), meter_wh=wh, started_at=when, live=live, **WHERE
    )


def ended(at: float, *, wh: float | None, over: float, name: str = "A", live: bool = True) -> Observation:
    when = minute(over)
    return TransactionEnded(
        at=minute(at), transaction=TransactionId(name), meter_wh=wh, ended_at=when, live=live, **WHERE
    )


def read(at: float, wh: float, *, name: str | None = "A") -> Observation:
    return EvseReading(at=minute(at), energy_wh=wh, transaction=None if name is None else TransactionId(name), **WHERE)


def lived(*facts: Observation, version: OcppVersion = OcppVersion.V201) -> tuple[SiteController, list[SessionView]]:
    """Return a controller that was told something, and every session that it said was over."""
    controller = SiteController(SITE, None)
    controller.observe(StationConnected(at=START, station=WHERE["station"], version=version))
    over: list[SessionView] = []
    for fact in facts:
        controller.observe(fact)
        over += controller.decide(fact.at).ended
    return controller, over


def by_transaction(over: list[SessionView]) -> dict[str, float]:
    return {str(view.transaction): view.delivered_wh for view in over}


def running_wh(controller: SiteController) -> float | None:
    session = controller.view().evses[0].session
    return None if session is None else session.delivered_wh


@pytest.mark.parametrize("live", [True, False], ids=["1.6, which does not say so", "2.x, which says offline"])
def test_a_transaction_that_was_over_before_it_was_told_of_has_its_energy(live: bool) -> None:
    controller, over = lived(
        started(CAME_BACK_MIN, wh=1000.0, began=10.0, live=live),
        ended(CAME_BACK_MIN, wh=9000.0, over=100.0, live=live),
    )

    assert {"A": 8000.0} == by_transaction(over)
    assert running_wh(controller) is None


def test_what_is_told_of_late_is_no_session_of_the_control() -> None:
    controller, over = lived(started(CAME_BACK_MIN, wh=1000.0, began=10.0, live=False))

    assert running_wh(controller) is None
    assert [] == over


def test_a_transaction_that_began_offline_and_runs_on_has_the_energy_from_its_start() -> None:
    controller, _ = lived(
        started(CAME_BACK_MIN, wh=1000.0, began=10.0, live=False),
        read(CAME_BACK_MIN + 1, 9000.0),
        read(CAME_BACK_MIN + 2, 9100.0),
    )

    assert 8100.0 == running_wh(controller)


@pytest.mark.parametrize("live", [True, False])
def test_the_first_value_of_the_register_comes_with_a_late_start_and_hides_nothing_that_came_after(live: bool) -> None:
    first = EvseReading(
        at=minute(CAME_BACK_MIN),
        energy_wh=1000.0,
        transaction=TransactionId("A"),
        measured_at=minute(10.0),
        live=False,
        **WHERE,
    )
    controller, _ = lived(
        started(CAME_BACK_MIN, wh=1000.0, began=10.0, live=live),
        first,
        read(CAME_BACK_MIN + 0.2, 9000.0),
    )

    assert 8000.0 == running_wh(controller)


def test_readings_that_waited_come_in_a_burst_and_hide_nothing_that_came_after() -> None:
    waited = [
        EvseReading(
            at=minute(30.0), energy_wh=20.0 * n, transaction=TransactionId("A"), measured_at=minute(10.0 + n), **WHERE
        )
        for n in range(3)
    ]
    controller, _ = lived(started(30.0, wh=0.0, began=10.0), *waited, read(30.2, 1500.0))

    assert 1500.0 == running_wh(controller)


@pytest.mark.parametrize("live", [True, False], ids=["1.6, which does not say so", "2.x, which says offline"])
def test_readings_that_waited_between_live_ones_are_no_register_that_started_anew(live: bool) -> None:
    waited = [
        EvseReading(
            at=minute(30.1 + 0.2 * n),
            energy_wh=1000.0 + 20.0 * n,
            transaction=TransactionId("A"),
            measured_at=minute(10.0 + n),
            live=live,
            **WHERE,
        )
        for n in range(12)
    ]
    now = [read(30.15 + 0.4 * n, 1260.0 + 8.0 * n) for n in range(6)]
    controller, _ = lived(
        started(30.0, wh=0.0, began=0.0), *sorted([*waited, *now], key=lambda fact: fact.at), read(40.0, 1500.0)
    )

    assert 1500.0 == running_wh(controller)


def test_a_start_that_is_told_twice_counts_once() -> None:
    twice = [started(CAME_BACK_MIN, wh=1000.0, began=10.0, live=False)] * 2
    end = [ended(CAME_BACK_MIN, wh=9000.0, over=100.0, live=False)] * 2
    _, over = lived(*twice, *end, *twice, *end)

    assert [8000.0] == [view.delivered_wh for view in over]


def test_a_start_that_comes_after_readings_brings_the_energy_before_them() -> None:
    controller, _ = lived(
        read(20.0, 3000.0),
        read(21.0, 3100.0),
        started(22.0, wh=1000.0, began=0.5),
        started(23.0, wh=1000.0, began=0.5),
    )

    assert 2100.0 == running_wh(controller)


def test_an_end_that_comes_after_the_cable_was_out_brings_the_last_energy() -> None:
    _, over = lived(
        started(1.0, wh=0.0, began=1.0),
        read(10.0, 1000.0),
        EvseStatus(at=minute(12.0), state=EvseState.AVAILABLE, **WHERE),
        ended(15.0, wh=1200.0, over=12.0),
        ended(16.0, wh=1200.0, over=12.0),
        version=OcppVersion.V16,
    )

    assert [1000.0, 1200.0] == [view.delivered_wh for view in over]
    assert {"A": 1200.0} == by_transaction(over)


def test_an_end_that_comes_after_the_next_start_belongs_to_its_own_session() -> None:
    controller, over = lived(
        started(1.0, wh=0.0, began=1.0),
        read(10.0, 1000.0),
        started(13.0, wh=1200.0, began=13.0, name="B"),
        ended(15.0, wh=1200.0, over=12.0),
        read(20.0, 1700.0, name="B"),
    )

    assert {"A": 1200.0} == by_transaction(over)
    assert 500.0 == running_wh(controller)


def test_a_start_of_a_clock_that_was_never_set_makes_nothing_credible() -> None:
    controller, _ = lived(
        TransactionStarted(
            at=minute(5.0),
            transaction=TransactionId("A"),
            meter_wh=0.0,
            started_at=datetime.fromisoformat("2000-01-01T00:00:00+00:00"),
            **WHERE,
        ),
        read(6.0, 90_000.0),
    )

    assert (running_wh(controller) or 0.0) < 1000.0


def test_so_many_are_waited_for_and_the_oldest_is_told_as_it_stands() -> None:
    _, over = lived(
        *(started(CAME_BACK_MIN, wh=0.0, began=1.0 + n, name=f"T{n}", live=False) for n in range(20)),
    )

    assert ["T0", "T1", "T2", "T3"] == [str(view.transaction) for view in over]

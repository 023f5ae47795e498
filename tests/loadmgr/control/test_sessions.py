"""Sessions from transactions."""

from dataclasses import replace
from datetime import timedelta

import pytest

from loadmgr.control.controller import SiteController
from loadmgr.control.decision import SessionView
from loadmgr.control.observation import (
    EvseReading,
    EvseState,
    EvseStatus,
    SessionDeclared,
    StationConnected,
    TransactionEnded,
    TransactionStarted,
)
from loadmgr.model.ids import EvseId, StationId, TransactionId
from loadmgr.model.profile import OcppVersion
from loadmgr.model.session import EnergyNeed
from tests.control_world import START, small_site

DEPARTURE = START + timedelta(hours=6)


def after_a_restart(*, token: str = "CARD", away: bool = False, told_later: bool = False) -> SessionView:
    """Return the session of a vehicle whose station restarted after it had delivered 4 of 10 kWh."""
    site = small_site(evses=1)
    controller = SiteController(site, None)
    where = {"station": site.evses[0].station, "number": 1}
    times = (START + timedelta(minutes=m) for m in range(60))
    controller.observe(StationConnected(at=next(times), station=where["station"], version=OcppVersion.V16))
    need = EnergyNeed(wanted_wh=10_000.0)
    controller.observe(SessionDeclared(at=next(times), evse=EvseId("E1"), departure=DEPARTURE, need=need))
    first = {"transaction": TransactionId("1"), **where}
    controller.observe(TransactionStarted(at=next(times), id_token="CARD", meter_wh=0.0, **first))
    for at, energy_wh in ((START + timedelta(minutes=25), 2000.0), (START + timedelta(minutes=50), 4000.0)):
        controller.observe(EvseReading(at=at, energy_wh=energy_wh, **first))
    now = START + timedelta(minutes=51)
    controller.observe(TransactionEnded(at=now, meter_wh=4000.0, **first))
    if away:
        controller.observe(EvseStatus(at=now, state=EvseState.AVAILABLE, **where))
    again = {"transaction": TransactionId("2"), "meter_wh": 4000.0, **where}
    if told_later:
        controller.observe(TransactionStarted(at=now + timedelta(seconds=30), **again))
    controller.observe(TransactionStarted(at=now + timedelta(minutes=1), id_token=token, **again))
    controller.decide(now + timedelta(minutes=1))
    session = controller.view().evses[0].session
    assert session is not None
    return session


@pytest.mark.parametrize("told_later", [False, True])
def test_a_session_goes_on_when_its_station_restarted(told_later: bool) -> None:
    """A station of OCPP 2.x may begin a transaction with the cable, and tell the token in an update."""
    session = after_a_restart(told_later=told_later)

    assert (DEPARTURE, "driver") == (session.departure, session.source)
    assert 6000.0 == pytest.approx(session.wanted_wh)


@pytest.mark.parametrize("told_later", [False, True])
@pytest.mark.parametrize(("token", "away"), [("OTHER", False), ("CARD", True)])
def test_another_token_or_another_visit_inherits_nothing(token: str, away: bool, told_later: bool) -> None:
    session = after_a_restart(token=token, away=away, told_later=told_later)

    assert (None, "default") == (session.departure, session.source)


def test_events_that_name_no_evse_are_of_the_one_where_their_transaction_runs() -> None:
    controller, where = of_two_evses()
    controller.observe(TransactionStarted(at=START, number=2, transaction=TransactionId("1"), **where))
    later = START + timedelta(seconds=5)
    controller.observe(
        TransactionStarted(at=later, number=None, transaction=TransactionId("1"), id_token="CARD", **where)
    )
    suspended = EvseState.SUSPENDED_BY_VEHICLE
    controller.observe(EvseStatus(at=later, number=0, state=suspended, transaction=TransactionId("1"), **where))
    controller.decide(later)

    first, second = controller.view().evses
    assert (first.session, first.state) == (None, None)
    assert second.session is not None
    assert (second.session.id_token, second.state) == ("CARD", suspended)


def test_a_state_that_an_ended_transaction_told_changes_nothing_any_more() -> None:
    controller, where = of_two_evses()
    transaction = {"number": 2, "transaction": TransactionId("1"), **where}
    controller.observe(TransactionStarted(at=START, **transaction))
    controller.observe(TransactionEnded(at=START, **transaction))
    controller.observe(EvseStatus(at=START, state=EvseState.CHARGING, **transaction))
    controller.decide(START)

    assert controller.view().evses[1].state is not EvseState.CHARGING


def of_two_evses() -> tuple[SiteController, dict[str, StationId]]:
    """Return a controller of a connected station with two EVSEs."""
    site = small_site(evses=2)
    station = site.evses[0].station
    both = (site.evses[0], replace(site.evses[1], station=station, number=2))
    controller = SiteController(replace(site, evses=both, stations=site.stations[:1]), None)
    controller.observe(StationConnected(at=START, station=station, version=OcppVersion.V201))
    return controller, {"station": station}

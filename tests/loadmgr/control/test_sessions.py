"""Sessions from transactions."""

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
from loadmgr.model.ids import EvseId, TransactionId
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

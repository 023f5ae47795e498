"""What trying has shown of a station is learnt: only what worked, and only what nobody knew."""

from datetime import UTC, datetime
from typing import Any

import pytest

from loadmgr.control.controller import SiteController
from loadmgr.control.feedback.learnt import learnt_traits
from loadmgr.control.safety.rung import Escalation, LeaseForm, Rung
from loadmgr.control.state import SiteState
from loadmgr.control.traits import StationTraits
from loadmgr.model.ids import StationId
from loadmgr.model.profile import ProfileKind, ProfilePurpose, RateUnit
from tests.control_world import small_site

AT = datetime(2024, 1, 17, 12, tzinfo=UTC)
HERE = StationId("S1")


def state(form: LeaseForm | None = None, **traits: Any) -> SiteState:
    """Return the state of a site of one EVSE, its limits sent in a form."""
    found = SiteController(small_site(evses=1), None)._state
    [evse] = found.site.evses
    if form is not None:
        found.evses[evse.id].form = form
    if traits:
        found.stations[HERE].traits = StationTraits(at=AT, station=HERE, **traits)
    return found


def known(found: SiteState, station: StationId = HERE) -> dict[str, Any]:
    learnt = learnt_traits(found, station, at=AT)
    values = {name: getattr(learnt, name) for name in learnt.__slots__ if name not in ("at", "station")}
    return {name: value for name, value in values.items() if value is not None}


@pytest.mark.parametrize(
    ("form", "learnt"),
    [
        (LeaseForm(), {}),
        (LeaseForm(purpose=ProfilePurpose.TX_DEFAULT), {"takes_tx": False}),
        (LeaseForm(purpose=ProfilePurpose.CHARGE_POINT_MAX), {"takes_tx": False, "takes_tx_default": False}),
        (LeaseForm(unit=RateUnit.W), {"rate_units": frozenset({RateUnit.W})}),
        (LeaseForm(kind=ProfileKind.RELATIVE), {"kind": ProfileKind.RELATIVE}),
    ],
)
def test_a_form_that_worked_is_learnt(form: LeaseForm, learnt: dict[str, Any]) -> None:
    assert learnt == known(state(form))


def test_a_form_that_is_still_being_tried_is_not_learnt() -> None:
    tried = state(LeaseForm(unit=RateUnit.W))
    record = next(iter(tried.evses.values()))
    record.escalation = Escalation(rung=Rung.OTHER_UNIT, at=AT, since=AT)
    assert {} == known(tried)

    record.escalation, record.obedience.disobeying_since = None, AT
    assert {} == known(tried)


def test_what_is_known_already_is_not_learnt_again() -> None:
    form = LeaseForm(purpose=ProfilePurpose.TX_DEFAULT)

    assert {} == known(state(form, takes_tx=False))


def test_nothing_is_learnt_of_a_station_that_left_the_site() -> None:
    assert {} == known(state(), StationId("gone"))

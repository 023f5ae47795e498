"""Sessions, needs and vehicles."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmgr.model.ids import EvseId, SessionId
from loadmgr.model.session import EnergyNeed, Session, SessionRecord, Taper, VehicleLimits

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


@given(st.floats(0.0, 1.0), st.floats(0.01, 1.0), st.floats(0.0, 1.2), st.floats(0.0, 1.2))
def test_acceptance_never_rises_with_the_state_of_charge(start: float, end: float, a: float, b: float) -> None:
    taper = Taper(start_ratio=start, end_ratio=end)
    low, high = sorted((a, b))
    assert 1.0 >= taper.acceptance_ratio(low) >= taper.acceptance_ratio(high) >= 0.0


def test_acceptance_is_full_up_to_the_start_of_the_taper_and_nothing_when_full() -> None:
    taper = Taper(start_ratio=0.8, end_ratio=0.1)
    assert [taper.acceptance_ratio(s) for s in (0.0, 0.8, 1.0)] == [1.0, 1.0, 0.0]
    assert taper.acceptance_ratio(0.9) == pytest.approx(0.55)


@pytest.mark.parametrize(("start", "end"), [(-0.1, 0.5), (1.1, 0.5), (0.5, 0.0), (0.5, 1.1)])
def test_a_taper_outside_of_its_range_is_refused(start: float, end: float) -> None:
    with pytest.raises(ValueError, match="_ratio must lie"):
        Taper(start_ratio=start, end_ratio=end)


@pytest.mark.parametrize(("must", "wanted", "full"), [(-1.0, 2.0, None), (3.0, 2.0, None), (0.0, 2.0, 1.0)])
def test_energy_tiers_out_of_order_are_refused(must: float, wanted: float, full: float | None) -> None:
    with pytest.raises(ValueError, match="energy tiers"):
        EnergyNeed(must_wh=must, wanted_wh=wanted, full_wh=full)


def test_a_vehicle_has_one_to_three_phases_or_nobody_knows() -> None:
    assert VehicleLimits().phases is None
    with pytest.raises(ValueError, match="phases must be 1, 2 or 3, got 4"):
        VehicleLimits(phases=4)


def test_a_session_keeps_its_times_in_utc_and_may_not_leave_before_it_came() -> None:
    berlin = NOON.astimezone()
    session = Session(id=SessionId("s"), evse=EvseId("e"), arrival=berlin, departure=berlin)
    assert session.arrival.tzinfo is UTC
    with pytest.raises(ValueError, match="departure must not lie before arrival"):
        Session(id=SessionId("s"), evse=EvseId("e"), arrival=NOON, departure=NOON - timedelta(seconds=1))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"departure": NOON}, "departure must lie after arrival"),
        ({"energy_requested_wh": -1.0}, "energy_requested_wh must be 0 or above"),
        ({"arrival": NOON.replace(tzinfo=None)}, "arrival must carry a time zone"),
        ({"estimated_departure": NOON.replace(tzinfo=None)}, "estimated_departure must carry a time zone"),
    ],
)
def test_a_record_that_cannot_be_is_refused(other: dict[str, Any], said: str) -> None:
    cells: dict[str, Any] = {
        "session_id": "s", "arrival": NOON, "departure": NOON + timedelta(hours=1), "energy_requested_wh": 1.0,
    }  # fmt: skip
    with pytest.raises(ValueError, match=said):
        SessionRecord(**{**cells, **other})

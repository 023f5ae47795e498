"""Drawn sessions: the same by the same seed, like what they were fitted to, never more than a vehicle can take."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from loadmgr.errors import InputError
from loadmgr.model.ids import SessionId
from loadmgr.model.session import SessionRecord
from loadmgr.sim.generators import draw_depot, draw_hub, read_timetable, session_model
from loadmgr.sim.session_model import REACH_RATIO, VOLTAGE_V, SessionModel, draw_sessions, fit_sessions

MONDAY = date(2026, 3, 2)
BERLIN = "Europe/Berlin"


def drawn(name: str, *, seed: int = 1, evses: int = 50, days: int = 28) -> tuple[SessionRecord, ...]:
    rng = np.random.default_rng(seed)
    return draw_sessions(session_model(name), evses=evses, first_day=MONDAY, days=days, time_zone=BERLIN, rng=rng)


def test_the_same_seed_draws_the_same_sessions_and_another_seed_others() -> None:
    assert drawn("workplace") == drawn("workplace")
    assert drawn("workplace") != drawn("workplace", seed=2)


def test_people_come_to_work_in_the_morning_and_home_in_the_evening() -> None:
    zone = ZoneInfo(BERLIN)
    for name, low, high in (("workplace", 6.0, 10.0), ("apartment", 15.0, 20.0)):
        hours = [s.arrival.astimezone(zone).hour for s in drawn(name) if s.arrival.astimezone(zone).weekday() < 5]
        assert low <= float(np.median(hours)) <= high


def test_no_session_asks_for_more_than_its_vehicle_takes_during_its_stay() -> None:
    for name in ("workplace", "apartment"):
        for s in drawn(name):
            hours = (s.departure - s.arrival).total_seconds() / 3600.0
            assert (s.energy_delivered_wh or 0.0) <= REACH_RATIO * hours * (s.phases or 0) * (
                s.max_a or 0
            ) * VOLTAGE_V + 10


def test_what_is_fitted_to_drawn_sessions_draws_alike() -> None:
    first = drawn("workplace", days=140)
    again = fit_sessions(first, evses=50, time_zone=BERLIN)
    before = session_model("workplace").weekday
    assert again.weekday.per_evse_day == pytest.approx(before.per_evse_day, rel=0.1)
    assert again.weekday.quantiles["energy_wh"][11] == pytest.approx(before.quantiles["energy_wh"][11], rel=0.1)
    assert again.weekday.correlation[0][1] == pytest.approx(before.correlation[0][1], abs=0.1)
    assert SessionModel.of_plain(again.plain()) == again


def test_a_table_with_too_few_sessions_is_refused() -> None:
    start = datetime(2026, 3, 2, 8, tzinfo=UTC)
    few = [
        SessionRecord(
            session_id=SessionId(str(n)),
            arrival=start,
            departure=start + timedelta(hours=1),
            energy_requested_wh=1000.0,
        )
        for n in range(5)
    ]
    with pytest.raises(ValueError, match="at least twenty of a weekday, got 5"):
        fit_sessions(few, evses=1, time_zone=BERLIN)


def test_nobody_at_a_hub_says_when_they_leave() -> None:
    stops = draw_hub(evses=8, first_day=MONDAY, days=7, time_zone=BERLIN, rng=np.random.default_rng(1))
    assert {stop.estimated_departure for stop in stops} == {None}
    assert len(stops) == pytest.approx(8 * 7 * 12, rel=0.15)


TIMETABLE = """vehicle,evse,days,departs,returns,distance_km
bus1,D1,Mo-Fr,05:10,22:40,180
bus2,D2,Mo-Sa,18:00,01:30,90
"""


def test_a_bus_asks_for_what_its_block_took_until_the_next_begins(tmp_path: Path) -> None:
    path = tmp_path / "buses.csv"
    path.write_text(TIMETABLE)
    stays = draw_depot(read_timetable(path), first_day=MONDAY, days=7, time_zone=BERLIN, rng=np.random.default_rng(3))
    zone = ZoneInfo(BERLIN)
    bus1 = [s for s in stays if s.session_id.startswith("bus1")]
    assert [s.departure.astimezone(zone).strftime("%a %H:%M") for s in bus1][-1] == "Mon 05:10"
    assert all(s.departure == s.estimated_departure and s.evse == "D1" for s in bus1)
    assert float(np.mean([s.energy_requested_wh for s in bus1])) == pytest.approx(180_000 * 1.25, rel=0.15)
    assert all(s.arrival < s.departure for s in stays)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Mo-Fr", "Monday", "row 2, column days: 'Monday' is not one of Mo-Fr"),
        ("05:10", "5 o'clock", 'row 2, column departs: "5 o\'clock" is not a time such as 05:40'),
        ("180", "-3", "row 2, column distance_km: -3 must be 0 or above"),
        ("days", "day", "row 1: column days is missing"),
    ],
)
def test_a_bad_timetable_is_named_with_row_and_column(old: str, new: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "buses.csv"
    path.write_text(TIMETABLE.replace(old, new, 1))
    with pytest.raises(InputError, match=said):
        read_timetable(path)

"""Rules by id token."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmgr.model.drivers import SOONEST_S, DriverRule

BERLIN = ZoneInfo("Europe/Berlin")


def local(day: int, hour: int, minute: int = 0, *, month: int = 6) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("started", "leaves"),
    [
        (local(1, 18), local(2, 7)),
        (local(2, 6, 29), local(2, 7)),
        (local(2, 6, 45), local(3, 7)),  # too late for today's
        (local(28, 18, month=3), local(29, 7, month=3)),  # the night in which summer time begins
        (local(24, 18, month=10), local(25, 7, month=10)),
    ],
)
def test_it_leaves_at_the_next_such_time_of_the_sites_clock(started: datetime, leaves: datetime) -> None:
    assert leaves == DriverRule(id_tokens=("A",), leaves=time(7)).departure(started, BERLIN)


@given(
    st.integers(0, 365 * 86_400).map(lambda s: local(1, 0, month=1) + timedelta(seconds=s)),
    st.times().map(lambda t: t.replace(microsecond=0)),
)
def test_a_departure_is_never_at_once_and_within_a_good_day(started: datetime, leaves: time) -> None:
    departure = DriverRule(id_tokens=("A",), leaves=leaves).departure(started, BERLIN)

    assert departure is not None
    assert timedelta(seconds=SOONEST_S) - timedelta(hours=1) <= departure - started <= timedelta(hours=27)


def test_a_stay_counts_from_the_plugging_in_and_a_rule_may_say_neither() -> None:
    assert local(1, 21) == DriverRule(id_tokens=("A",), stay_s=3 * 3600).departure(local(1, 18), BERLIN)
    assert DriverRule(id_tokens=("A",), priority=1).departure(local(1, 18), BERLIN) is None


def test_tokens_fit_in_either_case_and_by_pattern() -> None:
    rule = DriverRule(id_tokens=("04a2B3", "FLEET-*"))

    assert [rule.holds_for(t) for t in ("04A2B3", "fleet-7", "04A2B3X", "MYFLEET-7")] == [True, True, False, False]


def test_an_hour_that_comes_twice_in_a_night_of_autumn_is_taken_as_an_instant() -> None:
    started = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)  # 02:15 for the second time: 02:50 was there an hour ago
    departure = DriverRule(id_tokens=("A",), leaves=time(2, 50)).departure(started, BERLIN)

    assert departure is not None
    assert departure > started

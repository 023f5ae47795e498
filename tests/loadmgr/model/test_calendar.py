"""Local clock time: windows, pieces of a day, and weekly cycles, on ordinary days and when the clocks change."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmgr.model.calendar import ClockWindow, LocalCycle, local_days, local_pieces, uncovered

BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # half an hour of summer time
KATHMANDU = ZoneInfo("Asia/Kathmandu")  # 5:45 ahead of UTC
ZONES = (BERLIN, LORD_HOWE, KATHMANDU, ZoneInfo("America/New_York"), ZoneInfo("UTC"))

# Around both clock changes of 2024 in the north and the south.
DAYS = (
    date(2024, 3, 30),
    date(2024, 10, 26),
    date(2024, 4, 6),
    date(2024, 10, 5),
    date(2024, 2, 28),
    date(2024, 12, 31),
)


def _local(zone: ZoneInfo, day: date, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)


@st.composite
def windows(draw: st.DrawFn) -> ClockWindow:
    start, end = draw(st.integers(0, 95)) * 900, draw(st.integers(0, 96)) * 900
    return ClockWindow(
        months=draw(st.frozensets(st.integers(1, 12), min_size=1)),
        weekdays=draw(st.frozensets(st.integers(0, 6), min_size=1)),
        start_s=start,
        end_s=end,
    )


@given(windows(), st.sampled_from(ZONES), st.sampled_from(DAYS))
def test_a_window_changes_only_where_a_piece_begins(window: ClockWindow, zone: ZoneInfo, day: date) -> None:
    start = _local(zone, day)
    end = start + timedelta(days=3)
    pieces = list(local_pieces(zone, start, end, marks_s=(window.start_s, window.end_s)))
    at, piece, held = start, 0, window.holds(start.astimezone(zone))
    while at < end:
        if piece < len(pieces) and at >= pieces[piece]:
            held = window.holds(pieces[piece].astimezone(zone))
            piece += 1
        assert window.holds(at.astimezone(zone)) is held
        at += timedelta(minutes=5)


@given(windows(), windows(), st.datetimes(datetime(2023, 1, 1), datetime(2024, 12, 31)))  # noqa: DTZ001 - local clock
def test_windows_that_do_not_overlap_never_hold_together(a: ClockWindow, b: ClockWindow, local: datetime) -> None:
    assert a.overlaps(b) == b.overlaps(a)
    if a.holds(local) and b.holds(local):
        assert a.overlaps(b)


def test_a_window_within_the_hour_that_is_shown_twice_begins_and_ends_twice() -> None:
    start = _local(BERLIN, date(2024, 10, 27))
    pieces = list(local_pieces(BERLIN, start, start + timedelta(hours=6), marks_s=(9000, 9900)))
    assert [int((at - start).total_seconds()) // 60 for at in pieces] == [0, 150, 165, 180, 210, 225]


def test_a_window_across_midnight_belongs_to_the_weekday_of_the_instant() -> None:
    night = ClockWindow(weekdays=frozenset(range(5)), start_s=22 * 3600, end_s=6 * 3600)
    monday = datetime(2024, 7, 1, tzinfo=BERLIN)
    assert night.holds(monday)
    assert not night.holds(monday.replace(hour=6))
    assert night.holds(monday.replace(hour=22))
    assert not night.holds(monday + timedelta(days=5, hours=1))


def test_an_hour_that_is_shown_twice_is_in_its_window_twice() -> None:
    window = ClockWindow(start_s=2 * 3600, end_s=3 * 3600)
    start = _local(BERLIN, date(2024, 10, 27))
    minutes = [window.holds((start + timedelta(minutes=m)).astimezone(BERLIN)) for m in range(25 * 60)]
    assert minutes.count(True) == 120


def test_an_hour_that_is_skipped_is_in_no_window() -> None:
    window = ClockWindow(start_s=2 * 3600, end_s=3 * 3600)
    start = _local(BERLIN, date(2024, 3, 31))
    assert not any(window.holds((start + timedelta(minutes=m)).astimezone(BERLIN)) for m in range(23 * 60))


def test_what_no_window_covers_is_named() -> None:
    day = ClockWindow(start_s=6 * 3600, end_s=22 * 3600)
    assert uncovered([day]) == (1, 1, 0, 0)
    assert uncovered([day, ClockWindow(start_s=22 * 3600, end_s=6 * 3600)]) is None
    workdays = ClockWindow(weekdays=frozenset(range(5)))
    assert uncovered([workdays]) == (1, 1, 5, 0)
    summer = ClockWindow(season=((6, 1), (9, 15)))
    assert uncovered([summer]) == (1, 1, 0, 0)
    assert uncovered([summer, ClockWindow(season=((9, 16), (5, 30)))]) == (5, 31, 0, 0)
    assert uncovered([ClockWindow(months=frozenset({1}))]) == (2, 1, 0, 0)


def test_a_season_holds_from_its_first_day_to_its_last_also_across_new_year() -> None:
    summer, winter = ClockWindow(season=((6, 1), (9, 30))), ClockWindow(season=((10, 1), (5, 31)))
    days = [datetime(2024, *day, 12, tzinfo=BERLIN) for day in ((5, 31), (6, 1), (9, 30), (10, 1), (12, 31), (2, 29))]
    assert [summer.holds(day) for day in days] == [False, True, True, False, False, False]
    assert [winter.holds(day) for day in days] == [True, False, False, True, True, True]
    assert not summer.overlaps(winter)
    assert summer.overlaps(ClockWindow(months=frozenset({9, 10})))


def test_a_holiday_counts_as_a_sunday() -> None:
    whit_monday = date(2019, 6, 10)
    sundays = ClockWindow(weekdays=frozenset({6}), holidays=frozenset({whit_monday}))
    mondays = ClockWindow(weekdays=frozenset({0}), holidays=frozenset({whit_monday}))
    noon = datetime(2019, 6, 10, 12, tzinfo=BERLIN)
    assert (sundays.holds(noon), mondays.holds(noon)) == (True, False)
    assert (sundays.holds(noon + timedelta(days=7)), mondays.holds(noon + timedelta(days=7))) == (False, True)


@given(st.sampled_from(ZONES), st.sampled_from(DAYS), st.integers(0, 86_400), st.integers(1, 5 * 86_400))
def test_local_days_add_up_and_each_whole_day_counts_as_one(
    zone: ZoneInfo, day: date, second: int, length: int
) -> None:
    start = _local(zone, day) + timedelta(seconds=second)
    end = start + timedelta(seconds=length)
    middle = start + timedelta(seconds=length // 2)
    halves = [local_days(zone, start, middle), local_days(zone, middle, end)] if middle > start else [{}, {}]
    whole = local_days(zone, start, end)
    if middle > start:
        for month, days in whole.items():
            assert days == pytest.approx(sum(half.get(month, 0.0) for half in halves), abs=1e-9)
    assert sum(local_days(zone, _local(zone, day), _local(zone, day + timedelta(days=4))).values()) == pytest.approx(
        4.0
    )


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"months": frozenset({13})}, "months"),
        ({"months": frozenset()}, "months"),
        ({"weekdays": frozenset({7})}, "weekdays"),
        ({"start_s": 86_400}, "start_s"),
        ({"end_s": 86_401}, "end_s"),
        ({"season": ((6, 31), (9, 1))}, "season must be of days of the year, got 6-31"),
    ],
)
def test_a_window_outside_of_day_week_or_year_is_refused(keys: dict[str, frozenset[int]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ClockWindow(**keys)  # type: ignore[arg-type]


def _cycle(zone: ZoneInfo, step_s: int = 3600) -> LocalCycle:
    count = 7 * 86_400 // step_s
    return LocalCycle(
        time_zone=zone.key, first_day=date(2018, 1, 1), step_s=step_s, values=tuple(map(float, range(count)))
    )


@given(
    st.sampled_from(ZONES),
    st.sampled_from(DAYS),
    st.integers(0, 3 * 86_400),
    st.sampled_from([900, 1200, 3600, 10_800]),
)
def test_a_cycle_holds_the_value_of_weekday_and_clock(zone: ZoneInfo, day: date, second: int, step_s: int) -> None:
    cycle = _cycle(zone, step_s)
    when = _local(zone, day) + timedelta(seconds=second)
    local = when.astimezone(zone)
    expected = (local.weekday() * 86_400 + local.hour * 3600 + local.minute * 60 + local.second) // step_s
    assert cycle.at(when) == expected
    series = cycle.series(_local(zone, day), _local(zone, day) + timedelta(days=4))
    assert series.at(when) == expected


def test_a_cycle_of_several_weeks_goes_on_before_and_after_itself() -> None:
    values = tuple(float(day // 7) for day in range(28) for _ in range(24))
    cycle = LocalCycle(time_zone="UTC", first_day=date(2018, 1, 1), step_s=3600, values=values)
    weeks = [cycle.at(datetime(2018, 1, 1, tzinfo=UTC) + timedelta(weeks=w)) for w in (-1, 0, 1, 3, 4, 5)]
    assert weeks == [3.0, 0.0, 1.0, 3.0, 0.0, 1.0]


@pytest.mark.parametrize(("step_s", "count"), [(7000, 168), (3600, 167), (3600, 0)])
def test_a_cycle_of_parts_of_weeks_is_refused(step_s: int, count: int) -> None:
    with pytest.raises(ValueError, match=r"step_s|values"):
        LocalCycle(time_zone="UTC", first_day=date(2018, 1, 1), step_s=step_s, values=(0.0,) * count)

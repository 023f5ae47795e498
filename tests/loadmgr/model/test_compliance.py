"""Figures of the law."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from loadmgr.model.compliance import UK_PEAK_HOURS, delay_s, dimmed_power_w, is_peak


@pytest.mark.parametrize(
    ("charge_points", "power_w"),
    [
        (1, 4200.0),
        (2, 7560.0),
        (3, 10_500.0),
        (4, 13_020.0),
        (5, 15_120.0),
        (6, 16_800.0),
        (7, 18_060.0),
        (8, 18_900.0),
        (9, 19_320.0),
        (10, 21_210.0),
        (40, 77_910.0),
    ],
)
def test_dimming_leaves_the_first_charge_point_4200_w_and_the_others_their_share(charge_points, power_w):
    assert pytest.approx(power_w) == dimmed_power_w(charge_points)


def test_no_charge_point_has_no_dimmed_power():
    with pytest.raises(ValueError, match="charge_points must be 1 or above"):
        dimmed_power_w(0)


@pytest.mark.parametrize(
    ("at", "peak"),
    [
        (datetime(2024, 6, 3, 6, 59, tzinfo=UTC), False),  # a Monday in British summer time: 07:59
        (datetime(2024, 6, 3, 7, 0, tzinfo=UTC), True),
        (datetime(2024, 6, 3, 10, 0, tzinfo=UTC), False),
        (datetime(2024, 6, 3, 20, 59, tzinfo=UTC), True),
        (datetime(2024, 12, 2, 22, 0, tzinfo=UTC), False),
        (datetime(2024, 6, 8, 17, 0, tzinfo=UTC), False),  # a Saturday
    ],
)
def test_british_peak_hours_are_of_weekdays_by_the_local_clock(at, peak):
    assert peak is is_peak(UK_PEAK_HOURS, at, ZoneInfo("Europe/London"))


def test_delays_are_spread_and_repeatable():
    delays = [delay_s(600, label=f"session {n}") for n in range(200)]

    assert delays == [delay_s(600, label=f"session {n}") for n in range(200)]
    assert 0 <= min(delays) < 60
    assert 540 < max(delays) <= 600

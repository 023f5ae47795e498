"""By when, and with how much on top, vehicles are planned to have their energy."""

from datetime import UTC, datetime, timedelta

import pytest

from loadmgr.control.planning.deadline import is_urgent, ready_by

NOW = datetime(2026, 3, 2, 18, tzinfo=UTC)


def _ready_by(*, leaves_in_h: float, wanted_wh: float, most_w: float = 10_000.0) -> float:
    ready = ready_by(
        NOW + timedelta(hours=leaves_in_h),
        now=NOW,
        wanted_wh=wanted_wh,
        most_w=most_w,
        margin_s=1200.0,
        margin_ratio=0.25,
        late_s=300.0,
    )
    return (ready - NOW).total_seconds()


@pytest.mark.parametrize(
    ("leaves_in_h", "wanted_wh", "expected_s"),
    [
        (4.0, 0.0, 4 * 3600 - 1200),  # nothing to charge: the plain margin
        (4.0, 10_000.0, 4 * 3600 - 1200 - 900),  # an hour to charge: a quarter of it on top
        (0.1, 10_000.0, 300),  # too late: what can be had at once
        (-2.0, 10_000.0, 300),  # stays beyond what was said
    ],
)
def test_a_vehicle_is_planned_to_be_ready_before_it_leaves(
    leaves_in_h: float, wanted_wh: float, expected_s: float
) -> None:
    """The more it wants the earlier; who is late is not put off."""
    assert expected_s == _ready_by(leaves_in_h=leaves_in_h, wanted_wh=wanted_wh)


@pytest.mark.parametrize(
    ("leaves_in_h", "wanted_wh", "most_w", "expected"),
    [
        (2.0, 10_000.0, 10_000.0, False),  # an hour to spare
        (1.2, 10_000.0, 10_000.0, True),  # twelve minutes
        (0.5, 10_000.0, 10_000.0, True),  # it cannot be done any more: still the first
        (0.5, 0.0, 10_000.0, False),  # has what it asked for
        (-0.5, 10_000.0, 10_000.0, False),  # the promise is judged already
        (0.5, 10_000.0, 0.0, False),  # it may not charge at all
    ],
)
def test_who_has_nothing_to_spare_is_urgent(
    leaves_in_h: float, wanted_wh: float, most_w: float, expected: bool
) -> None:
    """What such a vehicle misses now cannot be made up."""
    leaves = NOW + timedelta(hours=leaves_in_h)

    assert expected == is_urgent(leaves, now=NOW, wanted_wh=wanted_wh, most_w=most_w, urgent_s=900.0)

"""Published tariffs: the same costs as another tool's own functions, and its faulty table refused by name.

The expected sums were recorded from ``acnportal`` 0.3.3 (``TimeOfUseTariff.get_tariffs``) on its schedules of Southern
California Edison; schedules and rates are those of the utility's tariff sheets TOU-EV-4 and TOU-EV-8. On the first day
of a season that package still returns the prices of the season before, so no week here holds such a day.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from loadmgr.model.bill import LineKind, bill
from loadmgr.model.calendar import ClockWindow
from loadmgr.model.series import TimeGrid
from loadmgr.model.tariff import DemandCharge, RatePeriod, Tariff, TimeOfUseRate, prices

LOS_ANGELES = "America/Los_Angeles"
WORKDAYS, WEEKEND, ALL = frozenset(range(5)), frozenset({5, 6}), frozenset(range(7))
Day = tuple[int, int]


@dataclass(frozen=True)
class Row:
    """A row of such a table: a season, its days, and prices from hours on."""

    name: str
    season: tuple[Day, Day]
    days: frozenset[int]
    hours: tuple[float, ...]
    prices: tuple[float, ...]


def _rate(rows: list[Row]) -> TimeOfUseRate:
    """Return a rate with one period for each row and price, so that an overlap is named by its rows."""
    periods = []
    for row in rows:
        for price in dict.fromkeys(row.prices):
            windows = tuple(
                ClockWindow(season=row.season, weekdays=row.days, start_s=int(start * 3600), end_s=int(end * 3600))
                for start, end, at in zip(row.hours, (*row.hours[1:], 24), row.prices, strict=True)
                if at == price
            )
            periods.append(RatePeriod(name=f"{row.name} at {price}", price_per_kwh=price, windows=windows))
    return TimeOfUseRate(periods=tuple(periods))


SUMMER, WINTER = ((6, 1), (9, 30)), ((10, 1), (5, 31))

TOU_EV_4 = _rate(
    [
        Row("Summer-Weekday", SUMMER, WORKDAYS, (0, 8, 12, 18, 23), (0.05623, 0.0925, 0.26668, 0.0925, 0.05623)),
        Row("Summer-Weekend", SUMMER, WEEKEND, (0,), (0.05623,)),
        Row("Winter-Weekday", WINTER, WORKDAYS, (0, 8, 12, 18, 23), (0.06087, 0.07492, 0.0869, 0.07492, 0.06087)),
        Row("Winter-Weekend", WINTER, WEEKEND, (0,), (0.06087,)),
    ]
)
TOU_EV_8 = _rate(
    [
        Row("Summer-Weekday", SUMMER, WORKDAYS, (0, 16, 21), (0.12597, 0.49619, 0.12597)),
        Row("Summer-Weekend", SUMMER, WEEKEND, (0, 16, 21), (0.12597, 0.25563, 0.12597)),
        Row("Winter", WINTER, ALL, (0, 8, 16, 21), (0.13568, 0.07724, 0.297, 0.13568)),
    ]
)


@pytest.mark.parametrize(
    ("rate", "first_day", "recorded"),
    [
        (TOU_EV_4, (2019, 7, 1), 873.83952),
        (TOU_EV_4, (2019, 12, 28), 583.30259),
        (TOU_EV_4, (2020, 2, 27), 583.416665),
        (TOU_EV_8, (2019, 7, 1), 1590.548855),
        (TOU_EV_8, (2019, 12, 28), 1255.74705),
        (TOU_EV_8, (2020, 2, 27), 1255.74705),
    ],
)
def test_a_week_costs_what_the_other_tool_says(
    rate: TimeOfUseRate, first_day: tuple[int, int, int], recorded: float
) -> None:
    start = datetime(*first_day, tzinfo=ZoneInfo(LOS_ANGELES)).astimezone(UTC)
    grid = TimeGrid.uniform(start, step_s=900, steps=7 * 96)
    tariff = Tariff(
        time_zone=LOS_ANGELES,
        currency="USD",
        energy=rate,
        demand=(DemandCharge(name="facilities", price_per_kw=15.51),),
    )
    load_w = [1000.0 * (step * 37 % 101) for step in range(len(grid))]
    made = bill(tariff, grid, load_w)
    assert made.amount(LineKind.ENERGY) == pytest.approx(recorded, abs=1e-6)
    plan = math.fsum(p * w * 0.25 / 1000.0 for p, w in zip(prices(tariff, grid), load_w, strict=True))
    assert plan == pytest.approx(recorded, abs=1e-6)
    months = {line.month for line in made.lines}
    assert made.amount(LineKind.DEMAND) == pytest.approx(15.51 * 100.0 * len(months))


def test_a_published_table_whose_rows_overlap_is_refused_by_their_names() -> None:
    """PG&E A-10 as ``acnportal`` ships it: both winter rows are for all days."""
    summer, winter = ((5, 1), (10, 31)), ((11, 1), (4, 30))
    rows = [
        Row("Summer-Weekday", summer, WORKDAYS, (0, 8.5, 12, 18, 21.5), (0.14903, 0.1771, 0.23223, 0.1771, 0.14903)),
        Row("Summer-Weekend", summer, WEEKEND, (0,), (0.14903,)),
        Row("Winter-Weekday", winter, ALL, (0, 8.5, 21.5), (0.13064, 0.1477, 0.13064)),
        Row("Winter-Weekend", winter, ALL, (0,), (0.13064,)),
    ]  # fmt: skip
    with pytest.raises(
        ValueError, match=r"must not overlap: Winter-Weekday at 0\.13064 and Winter-Weekend at 0\.13064 do"
    ):
        _rate(rows)
    rows[2:] = [
        Row("Winter-Weekday", winter, WORKDAYS, (0, 8.5, 21.5), (0.13064, 0.1477, 0.13064)),
        Row("Winter-Weekend", winter, WEEKEND, (0,), (0.13064,)),
    ]
    assert len(_rate(rows).periods) == 7

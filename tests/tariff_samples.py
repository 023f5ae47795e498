"""Rates that several tests of tariffs and bills share."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from loadmgr.model.calendar import ClockWindow, LocalCycle
from loadmgr.model.tariff import DynamicRate, RatePeriod, TimeOfUseRate

HOUR = 3600
WORKDAYS = frozenset(range(5))
BERLIN = "Europe/Berlin"

EVENING = RatePeriod(
    name="peak", price_per_kwh=0.42, windows=(ClockWindow(weekdays=WORKDAYS, start_s=17 * HOUR, end_s=21 * HOUR),)
)
NIGHT = RatePeriod(name="night", price_per_kwh=0.20, windows=(ClockWindow(start_s=23 * HOUR, end_s=5 * HOUR),))
TIME_OF_USE = TimeOfUseRate(periods=(EVENING, NIGHT), otherwise="day", otherwise_per_kwh=0.30)

DAY_AHEAD = DynamicRate(
    price_per_kwh=LocalCycle(
        time_zone=BERLIN, first_day=date(2018, 1, 1), step_s=HOUR, values=tuple(0.05 + 0.001 * i for i in range(168))
    )
)


def berlin(*parts: int) -> datetime:
    """Return an instant by the clock of Berlin."""
    return datetime(*parts, tzinfo=ZoneInfo(BERLIN)).astimezone(UTC)  # type: ignore[misc,arg-type]

"""Loads and generation where nothing was measured: standard load profiles, and a roof under a drawn sky.

Rules kept here
---------------
1. Standard profiles are those of the BDEW of 2025, scaled to a year's energy: households ``h25``, businesses ``g25``,
   farms ``l25``. A day is a working day, a Saturday, or a Sunday or holiday.
2. The sun's height follows from day, clock and latitude (Cooper 1969, doi:10.1016/0038-092X(69)90047-4, for the
   declination). Clouds are drawn day by day and quarter by quarter from a seed: they are weather, not a forecast.
3. Both are values at every quarter of an hour of the local clock.
"""

import csv
import functools
import math
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from loadmgr.model.series import StepFunction
from loadmgr.site_file import sample_folder

PROFILES = ("h25", "g25", "l25")

STEP = timedelta(minutes=15)

_NORMAL_WH = 1_000_000_000.0  # a year of the tables

CLOUDY_RATIO = 0.25
"""Clearness of a day without sun; a clear one has 1. Days in between are drawn evenly."""

FLICKER_RATIO = 0.15
"""How far a quarter of an hour strays from its day, as a standard deviation."""


@functools.cache
def _tables() -> dict[tuple[int, str], NDArray[np.float64]]:
    """Return ``(n_profile, 96)`` kW of a year of 1 000 000 kWh, by month and kind of day."""
    held: dict[tuple[int, str], NDArray[np.float64]] = {}
    with (sample_folder() / "data" / "standard_loads.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            table = held.setdefault((int(row["month"]), row["day"]), np.zeros((len(PROFILES), 96)))
            table[:, int(row["quarter"])] = [float(row[name]) for name in PROFILES]
    return held


def quarters(first_day: date, days: int, *, time_zone: str) -> tuple[datetime, ...]:
    """Return the start of every quarter of an hour of so many local days, and the end of the last, in UTC."""
    zone = ZoneInfo(time_zone)
    start = datetime.combine(first_day, time(), tzinfo=zone).astimezone(UTC)
    end = datetime.combine(first_day + timedelta(days=days), time(), tzinfo=zone).astimezone(UTC)
    return tuple(start + n * STEP for n in range(round((end - start) / STEP) + 1))


def standard_load_w(
    profile: str,
    *,
    yearly_wh: float,
    first_day: date,
    days: int,
    time_zone: str,
    holidays: Collection[date] = (),
) -> StepFunction:
    """Return a standard load [W].

    Parameters
    ----------
    profile : str
        One of ``PROFILES``.
    yearly_wh : float
        Energy of a year [Wh].
    first_day : date
    days : int
    time_zone : str
    holidays : collection of date
        Days that count as Sundays.

    Raises
    ------
    ValueError
        If there is no such profile.

    Examples
    --------
    >>> load = standard_load_w("h25", yearly_wh=3.5e6, first_day=date(2026, 1, 5), days=1, time_zone="Europe/Berlin")
    >>> len(load.values)
    96
    """
    if profile not in PROFILES:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}, got {profile}")
    zone, row, tables = ZoneInfo(time_zone), PROFILES.index(profile), _tables()
    times = quarters(first_day, days, time_zone=time_zone)
    values = []
    for when in times[:-1]:
        local = when.astimezone(zone)
        sunday = local.weekday() == 6 or local.date() in holidays
        kind = "FT" if sunday else "SA" if local.weekday() == 5 else "WT"
        held = tables[local.month, kind][row, local.hour * 4 + local.minute // 15]
        values.append(float(held) * 1000.0 * yearly_wh / _NORMAL_WH)
    return StepFunction(times[:-1], tuple(values), times[-1])


def solar_ratio(
    *,
    latitude_deg: float,
    longitude_deg: float,
    first_day: date,
    days: int,
    time_zone: str,
    rng: np.random.Generator,
) -> StepFunction:
    """Return the generation of a flat roof as a share of its peak, 0 to 1.

    Parameters
    ----------
    latitude_deg, longitude_deg : float
        Of the place, north and east positive [degrees].
    first_day, days, time_zone
        As for :func:`standard_load_w`.
    rng : numpy.random.Generator
        Draws the clouds.

    Raises
    ------
    ValueError
        If the place is none on Earth.
    """
    if not -90.0 <= latitude_deg <= 90.0 or not -180.0 <= longitude_deg <= 180.0:
        raise ValueError(
            f"latitude_deg and longitude_deg must be a place on Earth, got {latitude_deg}, {longitude_deg}"
        )
    zone = ZoneInfo(time_zone)
    times = quarters(first_day, days, time_zone=time_zone)
    clear: dict[date, float] = {}
    values = []
    for when in times[:-1]:
        day = when.astimezone(zone).date()
        if day not in clear:
            clear[day] = CLOUDY_RATIO + (1.0 - CLOUDY_RATIO) * float(rng.random())
        flicker = float(np.clip(rng.normal(1.0, FLICKER_RATIO * (1.0 - clear[day] ** 3)), 0.3, 1.2))
        height = _sun_height(when + STEP / 2, latitude_deg=latitude_deg, longitude_deg=longitude_deg)
        values.append(round(min(max(height, 0.0) ** 1.15 * clear[day] * flicker, 1.0), 4))
    return StepFunction(times[:-1], tuple(values), times[-1])


def _sun_height(when: datetime, *, latitude_deg: float, longitude_deg: float) -> float:
    """Return the sine of the sun's height above the horizon."""
    day = when.timetuple().tm_yday
    declination = math.radians(23.45) * math.sin(2.0 * math.pi * (284 + day) / 365.0)
    hours = when.hour + when.minute / 60.0 + when.second / 3600.0 + longitude_deg / 15.0
    angle, latitude = math.radians((hours - 12.0) * 15.0), math.radians(latitude_deg)
    return math.sin(latitude) * math.sin(declination) + math.cos(latitude) * math.cos(declination) * math.cos(angle)

"""Standard loads carry a year's energy; the sun stands in the south at noon and not at all at night."""

from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from loadmgr.sim.standard_profiles import PROFILES, solar_ratio, standard_load_w

BERLIN = "Europe/Berlin"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_year_of_a_standard_load_carries_its_energy(profile: str) -> None:
    load = standard_load_w(profile, yearly_wh=40e6, first_day=date(2026, 1, 1), days=365, time_zone=BERLIN)
    assert sum(load.values) / 4.0 == pytest.approx(40e6, rel=0.02)


def test_days_on_which_clocks_change_have_their_own_number_of_quarters() -> None:
    lengths = [
        len(standard_load_w("h25", yearly_wh=1e6, first_day=day, days=1, time_zone=BERLIN).values)
        for day in (date(2026, 3, 29), date(2026, 3, 30), date(2026, 10, 25))
    ]
    assert lengths == [92, 96, 100]


def test_a_holiday_is_a_sunday() -> None:
    monday, sunday = date(2026, 5, 25), date(2026, 5, 24)
    of = {"yearly_wh": 1e6, "days": 1, "time_zone": BERLIN}
    assert (
        standard_load_w("g25", first_day=monday, holidays=[monday], **of).values  # type: ignore[arg-type]
        == standard_load_w("g25", first_day=sunday, **of).values  # type: ignore[arg-type]
    )


def test_a_roof_gives_most_around_noon_and_nothing_at_night() -> None:
    sun = solar_ratio(
        latitude_deg=51.0,
        longitude_deg=10.0,
        first_day=date(2026, 6, 1),
        days=30,
        time_zone=BERLIN,
        rng=np.random.default_rng(1),
    )
    by_hour = np.zeros(24)
    for when, value in zip(sun.times, sun.values, strict=True):
        by_hour[when.astimezone(ZoneInfo(BERLIN)).hour] += value
    assert int(by_hour.argmax()) in (12, 13, 14)
    assert by_hour[[0, 1, 2, 23]].sum() == 0.0
    assert max(sun.values) <= 1.0


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ValueError, match="profile must be one of h25, g25, l25, got h0"):
        standard_load_w("h0", yearly_wh=1.0, first_day=date(2026, 1, 1), days=1, time_zone=BERLIN)

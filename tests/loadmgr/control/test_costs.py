"""What assumptions cost: current on the worst phase, energy of a month, and money by the spread of prices."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from loadmgr.control.safety.costs import MONTH_H, assumption_costs
from loadmgr.model.topology import Trust
from loadmgr.site_file import find_site, load_site

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def costs(site_file, **changes) -> dict:
    site = replace(site_file.site, **changes)
    found = assumption_costs(site, site_file.tariff, now=NOW, side_means_a={"building": (5.0, 5.0, 5.0)})
    return {c.what: c for c in found}


def test_fallbacks_margins_and_worst_cases_are_counted_on_the_worst_phase():
    found = costs(load_site(find_site("workplace")))

    fallback = found["fallback of every EVSE, for vehicles that plug in"]
    assert 240.0 == fallback.current_a
    assert 3 * 240.0 * 230.0 * MONTH_H == pytest.approx(fallback.energy_wh)
    assert fallback.money is not None
    assert fallback.money > 0.0


def test_a_station_that_is_not_known_to_hold_its_fail_safe_costs_what_is_installed():
    site_file = load_site(find_site("garage"))
    stations = (replace(site_file.site.stations[0], keeps_profiles=Trust.UNKNOWN), *site_file.site.stations[1:])
    found = costs(site_file, stations=stations)

    assert 16.0 == found["stations that are not known to hold their fail-safe"].current_a


def test_without_prices_there_is_energy_and_no_money():
    found = assumption_costs(load_site(find_site("workplace")).site, None, now=NOW)

    assert {None} == {c.money for c in found}
    assert all(c.energy_wh > 0.0 for c in found)

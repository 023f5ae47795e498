# ruff: noqa: E501 - messages and hand-made sums are shown whole
"""The tariff section: what its keys give, and rates of the US Utility Rate Database."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from loadmgr.errors import InputError
from loadmgr.model.bill import LineKind, bill
from loadmgr.model.carbon import intensity_g_per_kwh
from loadmgr.model.series import TimeGrid
from loadmgr.model.tariff import FixedFee, FixedRate, Levy, Ratchet, Tariff, Tier, TimeOfUseRate, prices
from loadmgr.site_file import check_site
from loadmgr.site_file.urdb import read_urdb

SITE = """\
schema: loadmgr/v1
site: {name: Test, timezone: America/New_York, currency: USD}
circuits: [{id: main, fuse: 63A, evses: [A]}]
evses: [{id: A, max: 16A}]
"""

FULL = """\
tariff:
  holidays: [2024-07-04, 2024-09-02]
  energy:
    periods:
      - name: summer peak
        price: 0.30/kWh
        when: [{season: 1 Jun - 15 Sep, days: Mon-Fri, hours: 12:00-18:00}]
        tiers: [{above: 300kWh, price: 0.40/kWh}]
    otherwise: 0.12/kWh
  surcharges: [{name: wires, price: 0.02/kWh, tiers: [{above: 1MWh, price: 0.01/kWh}]}]
  fees: [{name: meter, price: 12/month}, {name: service, price: 0.40 USD/day}]
  levies: [{name: town, share: 5%, on: [energy, surcharge]}]
  tax: 10%
  demand:
    - name: peak
      price: 15/kW
      window: 30min
      minimum: 5kW
      tiers: [{above: 100kW, price: 12/kW}]
      ratchet: {share: 80%, months: 6, of: Jun-Sep}
    - {name: system, price: 3/kW, window: 1h, coincident: [2024-07-09 17:00]}
"""

NEW_YORK = ZoneInfo("America/New_York")


def _tariff(folder: Path, section: str) -> Tariff:
    path = folder / "site.yaml"
    path.write_text(SITE + section, encoding="utf-8")
    found = check_site(path)
    assert found.faults == ()
    assert found.site_file is not None
    return found.site_file.tariff


def _faults(folder: Path, section: str) -> list[str]:
    path = folder / "site.yaml"
    path.write_text(SITE + section, encoding="utf-8")
    return [fault.shown("X").removeprefix("X:").replace(str(folder), "FOLDER") for fault in check_site(path).faults]


def _hours(*parts: int, count: int) -> TimeGrid:
    start = datetime(*parts, tzinfo=NEW_YORK).astimezone(UTC)  # type: ignore[misc,arg-type]
    return TimeGrid.uniform(start, step_s=3600, steps=count)


def test_every_key_arrives_in_the_tariff(tmp_path: Path) -> None:
    tariff = _tariff(tmp_path, FULL)
    assert isinstance(tariff.energy, TimeOfUseRate)
    (peak,) = tariff.energy.periods
    assert peak.tiers == (Tier(above=300.0, price=0.40),)
    assert peak.windows[0].season == ((6, 1), (9, 15))
    assert peak.windows[0].holidays == {date(2024, 7, 4), date(2024, 9, 2)}
    assert tariff.surcharges[0].rate == FixedRate(price_per_kwh=0.02, tiers=(Tier(above=1000.0, price=0.01),))
    assert tariff.fees == (FixedFee(name="meter", per_month=12.0), FixedFee(name="service", per_day=0.40))
    assert tariff.levies == (Levy(name="town", ratio=0.05, on=frozenset({LineKind.ENERGY, LineKind.SURCHARGE})),)
    demand, system = tariff.demand
    assert (demand.window_s, demand.minimum_kw, demand.tiers) == (1800, 5.0, (Tier(above=100.0, price=12.0),))
    assert demand.ratchet == Ratchet(ratio=0.8, months=6, of_months=frozenset({6, 7, 8, 9}))
    assert system.coincident == (datetime(2024, 7, 9, 21, tzinfo=UTC),)


def test_holidays_and_seasons_move_the_price(tmp_path: Path) -> None:
    tariff = _tariff(tmp_path, FULL.split("  surcharges")[0])
    noon = [
        prices(tariff, _hours(2024, month, day, 13, count=1))[0] for month, day in ((7, 3), (7, 4), (9, 13), (9, 16))
    ]
    assert noon == [0.30, 0.12, 0.30, 0.12]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (
            "tariff: {tax: 1%}",
            "5:9: tariff has no energy rate; give one of them: `energy: {price: 0.30/kWh}` or `urdb: FILE.json`",
        ),
        (
            "tariff: {energy: {price: 1/kWh, tiers: [{above: 300kWh, price: 2/kWh}, {above: 200kWh, price: 3/kWh}]}}",
            "5:40: tiers of a fixed rate must begin above 0 and rise, got 200 after 300; "
            "let each begin above the one before, such as [{above: 300kWh, price: 0.35/kWh}]",
        ),
        (
            "tariff: {energy: {series: x.csv, tiers: [{above: 1kWh, price: 2/kWh}]}}",
            "5:41: tiers without price; write them beside a `price`, here or in one of `periods`",
        ),
        (
            "tariff: {energy: {price: 1/kWh}, fees: [{name: a, price: 12}]}",
            "5:58: price: 12 is not a fixed fee; write the site's currency per month or day, such as 12/month",
        ),
        (
            "tariff: {energy: {price: 1/kWh}, holidays: [4 July]}",
            "5:45: '4 July' is not a date; write year, month and day, such as 2019-06-10",
        ),
        (
            "tariff: {energy: {price: 1/kWh}, demand: [{name: a, price: 1/kW, ratchet: {share: 0%}}]}",
            "5:75: a ratchet with share 0 remembers nothing; write a share such as 80%, or remove it",
        ),
        (
            "tariff: {energy: {price: 1/kWh}, demand: [{name: a, price: 1/kW, coincident: [noon]}]}",
            "5:79: 'noon' is not a time; write date and clock, such as 2019-07-01 17:00",
        ),
        (
            "tariff: {energy: {price: 1/kWh}, demand: [{name: a, price: 1/kW, when: [{season: summer}]}]}",
            "5:82: 'summer' is not a season; write its first and last day, such as 1 Jun - 15 Sep",
        ),
        (
            "tariff: {energy: {price: 1/kWh}, levies: [{name: a, share: 5%, on: [all]}]}",
            "5:69: member 1 of on: 'all' is not known; write one of 'energy', 'surcharge', 'demand' or 'fee'",
        ),
        (
            "tariff: {energy: {price: 1/kWh}, export: {price: 1/kWh, tiers: [{above: 1kWh, price: 2/kWh}]}}",
            "5:42: export has tiers; what is sold earns one price per hour: remove `tiers`",
        ),
        (
            "tariff: {urdb: none.json}",
            "5:16: FOLDER/none.json: cannot be read: No such file or directory; mend the file, or write the rate out with `energy`",
        ),
    ],
)
def test_a_fault_of_the_tariff_is_said_at_its_place(section: str, said: str, tmp_path: Path) -> None:
    assert _faults(tmp_path, section + "\n") == [said]


# A rate in the shape of the database: summer afternoons, tiers, a demand charge with tiers, a flat charge, fees.
SUMMER = range(5, 9)
WEEKDAY = [
    [2 if month in SUMMER and 12 <= hour < 18 else 1 if month in SUMMER else 0 for hour in range(24)]
    for month in range(12)
]
WEEKEND = [[1 if month in SUMMER else 0] * 24 for month in range(12)]
RATE: dict[str, Any] = {
    "label": "made-up",
    "utility": "Example Electric",
    "energyratestructure": [
        [{"rate": 0.08, "unit": "kWh"}],
        [{"rate": 0.09, "adj": 0.01, "unit": "kWh", "max": 500}, {"rate": 0.12, "unit": "kWh"}],
        [{"rate": 0.25, "unit": "kWh"}],
    ],
    "energyweekdayschedule": WEEKDAY,
    "energyweekendschedule": WEEKEND,
    "demandratestructure": [
        [{"rate": 0, "unit": "kW"}],
        [{"rate": 24.368, "max": 100.0, "unit": "kW"}, {"rate": 17.031, "unit": "kW"}],
    ],
    "demandweekdayschedule": [[1 if 12 <= hour < 18 else 0 for hour in range(24)]] * 12,
    "demandweekendschedule": [[0] * 24] * 12,
    "flatdemandstructure": [[{"rate": 4.0}], [{"rate": 6.0}]],
    "flatdemandmonths": [1 if month in SUMMER else 0 for month in range(12)],
    "fixedchargefirstmeter": 30.0,
    "fixedchargeunits": "$/month",
    "fueladjustmentsmonthly": [0.001] * 6 + [0.002] * 6,
    "demandwindow": 30,
}


def _rate(folder: Path, **changed: Any) -> Path:
    path = folder / "rate.json"
    path.write_text(json.dumps({**RATE, **changed}), encoding="utf-8")
    return path


def test_a_urdb_rate_makes_a_bill_to_the_cent(tmp_path: Path) -> None:
    """July 2024: 31 days, 23 weekdays. 10 kW always, 120 kW on one weekday from 13 to 14.

    Period 2 (weekday afternoons): 23 x 6 h x 10 + 110 = 1490 kWh at 0.25 = 372.50. Period 1, the rest of 744 h: 606 h x 10
    = 6060 kWh, 500 at 0.10 and 5560 at 0.12 = 50 + 667.20. Fuel 7550 x 0.002 = 15.10. Demand by the clock 100 x 24.368 +
    20 x 17.031 = 2436.80 + 340.62. Flat 120 x 6 = 720. Fixed 30.
    """
    tariff = read_urdb(_rate(tmp_path), time_zone="America/New_York", currency="USD")
    load_w = [10_000.0] * 744
    load_w[8 * 24 + 13] = 120_000.0  # Tuesday 9 July
    made = bill(tariff, _hours(2024, 7, 1, count=744), load_w)
    shown = [(line.name, round(line.quantity, 6), round(line.amount, 2)) for line in made.lines]
    assert shown == [
        ("energy period 1", 500.0, 50.0),
        ("energy period 1, above 500 kWh", 5560.0, 667.2),
        ("energy period 2", 1490.0, 372.5),
        ("fuel adjustment at 0.002", 7550.0, 15.1),
        ("demand period 1", 100.0, 2436.8),
        ("demand period 1, above 100 kW", 20.0, 340.62),
        ("flat demand", 120.0, 720.0),
        ("fixed charge", 1.0, 30.0),
    ]
    assert round(made.total, 2) == 4632.22


def test_a_urdb_rate_keeps_the_price_of_every_hour_of_its_schedules(tmp_path: Path) -> None:
    tariff = read_urdb(_rate(tmp_path, fueladjustmentsmonthly=None), time_zone="America/New_York", currency="USD")
    first = [0.08, 0.10, 0.25]
    for month in (1, 3, 6, 9, 11):
        grid = _hours(2024, month, 1, count=24 * 10)
        for when, price in zip(grid.times[:-1], prices(tariff, grid), strict=True):
            local = when.astimezone(NEW_YORK)
            rows = WEEKDAY if local.weekday() < 5 else WEEKEND
            assert price == pytest.approx(first[rows[local.month - 1][local.hour]])


def test_months_and_days_with_the_same_hours_share_a_window(tmp_path: Path) -> None:
    energy = read_urdb(_rate(tmp_path), time_zone="America/New_York", currency="USD").energy
    assert isinstance(energy, TimeOfUseRate)
    assert [(period.name, len(period.windows)) for period in energy.periods] == [
        ("period 0", 1), ("period 1", 3), ("period 2", 1),
    ]  # fmt: skip


def test_look_back_and_ratchet_percentages_become_a_ratchet(tmp_path: Path) -> None:
    path = _rate(tmp_path, lookbackPercent=0.9, lookbackMonths=[0] * 5 + [1] * 4 + [0] * 3, lookbackRange=0)
    charges = read_urdb(path, time_zone="America/New_York", currency="USD").demand
    assert {charge.ratchet for charge in charges} == {Ratchet(ratio=0.9, months=11, of_months=frozenset({6, 7, 8, 9}))}
    path = _rate(tmp_path, demandratchetpercentage=[80] * 12)
    charges = read_urdb(path, time_zone="America/New_York", currency="USD").demand
    assert {charge.ratchet for charge in charges} == {Ratchet(ratio=0.8, months=11)}


def test_flat_demand_with_tiers_is_split_by_its_months(tmp_path: Path) -> None:
    structure = [[{"rate": 4.0, "max": 50}, {"rate": 5.0}], [{"rate": 6.0}]]
    tariff = read_urdb(_rate(tmp_path, flatdemandstructure=structure), time_zone="America/New_York", currency="USD")
    made = bill(tariff, _hours(2024, 1, 1, count=1), [60_000.0])
    assert [(line.name, line.quantity, line.amount) for line in made.lines if line.name.startswith("flat")] == [
        ("flat demand period 0", 50.0, 200.0), ("flat demand period 0, above 50 kW", 10.0, 50.0),
    ]  # fmt: skip


def test_what_is_sold_earns_the_sell_rate(tmp_path: Path) -> None:
    structure = [[{"rate": 0.1, "sell": 0.03}], [{"rate": 0.1, "sell": 0.04}], [{"rate": 0.2}]]
    tariff = read_urdb(_rate(tmp_path, energyratestructure=structure), time_zone="America/New_York", currency="USD")
    made = bill(tariff, _hours(2024, 1, 1, count=1), [-10_000.0])
    assert made.amount(LineKind.EXPORT) == pytest.approx(-0.3)


def test_a_urdb_rate_serves_a_site_with_tax_and_charges_on_top(tmp_path: Path) -> None:
    _rate(tmp_path)
    tariff = _tariff(tmp_path, "tariff: {urdb: rate.json, tax: 5%, fees: [{name: city, price: 1/day}]}\n")
    assert [fee.name for fee in tariff.fees] == ["fixed charge", "city"]
    assert tariff.tax_ratio == 0.05


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"mincharge": 25.0}, "mincharge: 25.0 has no counterpart here"),
        ({"coincidentratestructure": [[{"rate": 3}]]}, "coincidentratestructure: .* has no counterpart here"),
        (
            {"energyratestructure": [[{"rate": 0.1, "unit": "kWh/kW"}]]},
            "energyratestructure: period 0 counts in 'kWh/kW'; only kWh is understood",
        ),
        ({"energyratestructure": [[{"rate": 0.1}]]}, "energyweekdayschedule: period 1 is not in energyratestructure"),
        ({"energyweekdayschedule": [[0] * 23] * 12}, "energyweekdayschedule: must be 12 rows of 24 periods"),
        ({"energyweekendschedule": None}, "energyweekendschedule: must be 12 rows of 24 periods"),
        (
            {"energyratestructure": [[{"rate": 1}, {"rate": 2}], [{"rate": 1}], [{"rate": 1}]]},
            "energyratestructure: a tier without max is followed by another",
        ),
        ({"energyratestructure": [[{"rate": "dear"}]] * 3}, "energyratestructure: 'dear' is not a price"),
        ({"demandwindow": 7}, "demandwindow: 7 minutes do not divide an hour"),
        ({"demandratchetpercentage": [80] * 6 + [0] * 6}, "demandratchetpercentage: percentages that differ by month"),
        ({"fixedchargeunits": "$/year"}, r"fixedchargeunits: '\$/year' is neither \$/month nor \$/day"),
        ({"flatdemandmonths": [2] * 12}, "flatdemandmonths: must be 12 numbers of periods of flatdemandstructure"),
    ],
)
def test_what_would_change_the_bill_and_is_not_understood_is_refused_by_name(
    changed: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=rf"rate\.json: {said}"):
        read_urdb(_rate(tmp_path, **changed), time_zone="America/New_York", currency="USD")


def test_a_file_that_is_not_one_urdb_rate_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rate.json"
    for content, said in (
        ("{", "is not JSON"),
        ("[]", "is not a rate"),
        ('{"items": [{}, {}]}', "holds 2 rates; keep one"),
    ):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match=said):
            read_urdb(path, time_zone="UTC", currency="USD")
    with pytest.raises(InputError, match="are in USD, and the site pays in EUR"):
        read_urdb(_rate(tmp_path), time_zone="UTC", currency="EUR")


def test_the_answer_of_the_service_with_one_rate_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    path.write_text(json.dumps({"items": [RATE]}), encoding="utf-8")
    assert read_urdb(path, time_zone="UTC", currency="USD") == read_urdb(
        _rate(tmp_path), time_zone="UTC", currency="USD"
    )


def test_carbon_counts_in_plans_with_one_intensity_or_a_series(tmp_path: Path) -> None:
    """Grams per kWh come out, whatever they were written in."""
    rows = "".join(f"2024-07-09T{hour:02}:00Z,{100 + hour}\n" for hour in range(24))
    (tmp_path / "co2.csv").write_text("start,kg_per_mwh\n" + rows)
    fixed = _tariff(tmp_path, "tariff: {energy: {price: 0.3/kWh}, carbon: {price: 0.1/kg, intensity: 0.38 kg/kWh}}\n")
    series = _tariff(tmp_path, "tariff: {energy: {price: 0.3/kWh}, carbon: {price: 0.1 USD/kg, series: co2.csv}}\n")
    grid = TimeGrid.uniform(datetime(2024, 7, 9, 2, tzinfo=UTC), step_s=3600, steps=2)
    assert fixed.carbon is not None
    assert series.carbon is not None
    assert ([380.0, 380.0], [102.0, 103.0]) == (
        intensity_g_per_kwh(fixed.carbon, grid),
        intensity_g_per_kwh(series.carbon, grid),
    )
    assert prices(fixed, grid) == [0.3, 0.3]


@pytest.mark.parametrize(
    ("carbon", "said"),
    [
        ("{price: 0.1/kg}", "5:44: carbon has no intensity; give one of them: `intensity: 380 g/kWh` or `series: FILE.csv`"),
        ("{intensity: 380 g/kWh}", "5:44: key price is missing; add price to carbon"),
        ("{price: -1/kg, intensity: 380 g/kWh}", "5:52: price of carbon is -1/kg; write a price of 0 or above"),
        ("{price: 0.1/kWh, intensity: 380 g/kWh}", "5:52: price: '0.1/kWh' is not a price per kg; write the site's currency per kg, such as 0.10/kg"),
        ("{price: 0.1/kg, intensity: 380}", "5:71: intensity: 380 has no unit; write 380g/kWh, 380kg/MWh or 380kg/kWh"),
        ("{price: 0.1/kg, intensity: 380 g/kWh, repeat: weekly}", "5:90: repeat without series; it says how the file of `series` goes on"),
    ],
)  # fmt: skip
def test_a_fault_of_carbon_is_said_at_its_place(carbon: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITE + f"tariff: {{energy: {{price: 0.3/kWh}}, carbon: {carbon}}}\n")
    assert said in [fault.shown(path).removeprefix(f"{path}:") for fault in check_site(path).faults]

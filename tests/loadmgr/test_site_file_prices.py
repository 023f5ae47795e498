"""Prices from outside: from the tariff of a site file, or refused with the place."""

from pathlib import Path

import pytest

from loadmgr.site_file import check_site, check_tariff, json_schema, load_site
from loadmgr.site_file.price_preset import preset_names, shipped_preset

SITE = """\
schema: loadmgr/v1
site: {name: Shed, timezone: Europe/Berlin}
circuits: [{id: main, fuse: 35A, evses: [A]}]
evses: [{id: A, max: 16A}]
"""
OWN = """\
name: Ours
source: our contract
url: http://prices.example/v1?from={from_utc}
rows: [/data]
start: /begin
price: /ct
unit: 0.01 EUR/kWh
published: "13:30"
clock: Europe/Berlin
"""


def written(folder: Path, tariff: str) -> Path:
    (folder / "ours.yaml").write_text(OWN)
    (folder / "slip.yaml").write_text(OWN.replace("rows:", "row:"))
    (folder / "unit.yaml").write_text(OWN.replace("0.01 EUR/kWh", "ct/kWh"))
    (folder / "place.yaml").write_text(OWN.replace("{from_utc}", "{today}"))
    (folder / "clock.yaml").write_text(OWN.replace("13:30", "1 pm"))
    (folder / "both.yaml").write_text(OWN + "columns: true\n")
    (folder / "token.yaml").write_text(OWN.replace("from=", "api_token=hunter2&from="))
    path = folder / "shed.yaml"
    path.write_text(f"{SITE}tariff: {{energy: {{price: 0.30/kWh}}, {tariff}}}\n")
    return path


def test_prices_of_a_preset_for_a_zone(tmp_path: Path) -> None:
    found = load_site(written(tmp_path, "prices: {http: {preset: energy_charts, zone: AT}}")).prices
    assert found is not None
    assert ("energy_charts", "AT", 0.001) == (found.preset.id, found.zone, found.preset.per_kwh)


def test_a_preset_of_ones_own_lies_beside_the_site_file(tmp_path: Path) -> None:
    found = load_site(written(tmp_path, "prices: {http: {preset: ours.yaml, secret: {env: TOKEN}}}")).prices
    assert found is not None
    assert ("ours", 0.01, "EUR", 48_600) == (
        found.preset.id,
        found.preset.per_kwh,
        found.preset.currency,
        found.preset.published_s,
    )


@pytest.mark.parametrize(
    ("tariff", "fault"),
    [
        ("prices: {}", "prices from nowhere"),
        (
            "prices: {http: {preset: awattar_de}, openadr: {url: 'http://h', program: p}}",
            "prices from two places; give one of",
        ),
        ("prices: {openadr: {url: 'http://h/?token=hunter2', program: p}}", "there is a secret in the address: token"),
        ("prices: {http: {preset: energy_chart}}", "did you mean energy_charts?"),
        ("prices: {http: {preset: octopus_agile}}", "preset octopus_agile asks for a zone"),
        ("prices: {http: {preset: octopus_agile, zone: A}}", "are in GBP, and the site pays in EUR"),
        ("prices: {http: {preset: awattar_de, zone: DE}}", "preset awattar_de knows no zones; remove zone"),
        ("prices: {http: {preset: tibber}}, tax: 19%", "hold tax and surcharges already, and the tariff adds some"),
        ("prices: {http: {preset: gone.yaml}}", "gone.yaml: cannot be read"),
        ("prices: {http: {preset: slip.yaml}}", "slip.yaml:4:1: unknown key row; did you mean rows?"),
        ("prices: {http: {preset: unit.yaml}}", "unit.yaml:7:7: unit: 'ct/kWh' is no unit of a price; write EUR/MWh"),
        ("prices: {http: {preset: place.yaml}}", "place.yaml:3:6: url: {today} is not known in an address"),
        ("prices: {http: {preset: clock.yaml}}", "clock.yaml:8:12: published: '1 pm' is no time of day"),
        ("prices: {http: {preset: both.yaml}}", "both.yaml:1:1: prices are either in `rows` or in `columns`"),
        ("prices: {http: {preset: token.yaml}}", "there is a secret in the address: api_token"),
        ("prices: {http: {preset: tibber, secret: {}}}", "a secret is kept in one place"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, tariff: str, fault: str) -> None:
    found = check_site(written(tmp_path, tariff))
    assert any(f.line == 5 and fault in f.shown("") for f in found.faults), [f.shown("") for f in found.faults]


def test_a_tariff_that_is_sent_fetches_nothing() -> None:
    said = {"energy": {"price": "0.30/kWh"}, "prices": {"http": {"preset": "energy_charts"}}}
    _, faults = check_tariff(said, time_zone="Europe/Berlin", currency="EUR")
    assert ["a site that is sent fetches no prices"] == [f.text for f in faults]


def test_editors_know_prices_and_every_preset_says_where_it_is_from() -> None:
    assert "prices" in json_schema()["$defs"]["TariffPart"]["properties"]
    assert all("http" in shipped_preset(name).source for name in preset_names())

# ruff: noqa: E501 - messages are shown whole, as a person reads them
"""Batteries and power cabinets in a site file: what they give, and each fault where it is written."""

from pathlib import Path

import pytest

from loadmgr.model.equipment import Battery, Cabinet
from loadmgr.site_file import check_site, load_site

HUB = """\
schema: loadmgr/v1
site: {name: Hub, timezone: Europe/Berlin}
circuits:
  - {id: main, fuse: 800A}
  - {id: yard, parent: main, fuse: 630A, evses: [D1..D4]}
  - {id: staff, parent: main, fuse: 63A, evses: [S1]}
evse_defaults: {fallback: 6A}
evses:
  - {id: D1, station: HUB-1, number: 1, dc_power: 150kW, efficiency: 95%}
  - {id: D2, station: HUB-1, number: 2, dc_power: 150kW, efficiency: 95%}
  - {id: D3, station: HUB-2, number: 1, dc_power: 150kW, efficiency: 95%}
  - {id: D4, station: HUB-2, number: 2, dc_power: 150kW, efficiency: 95%}
  - {id: S1, station: HUB-3}
station_defaults: {keeps_profiles: yes, zero_ok: yes}
tariff: {energy: {price: 0.30/kWh}}
batteries:
  - {id: store, circuit: main, capacity: 500kWh, charge: 250kW, discharge: 200kW, reserve: 10%, stored: 60%, efficiency: 81%}
cabinets:
  - {id: left, dc_power: 200kW, evses: [D1..D2]}
"""

BROKEN: dict[str, tuple[str, str, str]] = {
    "a battery on no circuit": (
        "circuit: main", "circuit: mian", "17:26: circuit of battery store is not a circuit: mian; did you mean main?",
    ),
    "a battery that holds nothing": (
        "500kWh", "0kWh", "17:42: capacity: '0kWh' is 0; write an energy above 0, such as 12 kWh",
    ),
    "less stored than held in reserve": (
        "stored: 60%", "stored: 5%",
        "17:105: battery store has 5% stored, less than its reserve of 10%; write at least 10%, or a smaller reserve",
    ),
    "an outlet that is not there": ("D1..D2", "D1, D9", "19:45: D9 is not an EVSE; EVSEs: D1, D2, D3, D4, S1"),
    "an AC outlet": ("D1..D2", "D1, S1", "19:45: EVSE S1 is AC, and cabinets feed DC outlets; give S1 its dc_power"),
    "an outlet of two cabinets": (
        "[D1..D2]}", "[D1..D2]}\n  - {id: right, dc_power: 90kW, evses: [D2]}",
        "20:41: EVSE D2 is in cabinet left already; an outlet has one cabinet",
    ),
    "a cabinet twice": (
        "[D1..D2]}", "[D1..D2]}\n  - {id: left, dc_power: 90kW, evses: [D3]}",
        "20:10: cabinet left occurs twice (first in line 19); give each its own id",
    ),
    "outlets on two circuits": (
        "evses: [D1..D4]}\n", "evses: [D1, D3..D4]}\n  - {id: far, parent: main, fuse: 400A, evses: [D2]}\n",
        "20:40: the outlets of cabinet left hang on several circuits: far, yard; a cabinet has one infeed: name its outlets under one circuit",
    ),
    "a misspelt key": ("dc_power: 200kW", "power: 200kW", "19:16: unknown key power; did you mean dc_power?"),
}  # fmt: skip


def test_batteries_and_cabinets_come_out_in_the_units_of_the_model(tmp_path: Path) -> None:
    """Shares of the capacity are energies, ranges are spelt out, losses of a battery are the same both ways."""
    path = tmp_path / "hub.yaml"
    path.write_text(HUB)

    site = load_site(path).site

    assert site.batteries == (
        Battery(
            id="store",
            circuit=site.root.id,
            capacity_wh=500_000.0,
            max_charge_w=250_000.0,
            max_discharge_w=200_000.0,
            reserve_wh=50_000.0,
            stored_wh=300_000.0,
            efficiency_ratio=0.81,
        ),
    )
    assert site.batteries[0].one_way_ratio == pytest.approx(0.9)
    assert site.cabinets == (Cabinet(id="left", evses=(site.evses[0].id, site.evses[1].id), max_w=200_000.0),)


@pytest.mark.parametrize("name", BROKEN)
def test_a_fault_of_equipment_is_said_at_its_place(name: str, tmp_path: Path) -> None:
    """Line, column, what is wrong, what would be right."""
    good, bad, said = BROKEN[name]
    assert good in HUB
    path = tmp_path / "hub.yaml"
    path.write_text(HUB.replace(good, bad))

    assert said in [fault.shown(path).removeprefix(f"{path}:") for fault in check_site(path).faults]


def test_a_dc_output_draws_its_power_and_its_losses_at_the_infeed(tmp_path: Path) -> None:
    """150 kW into the vehicle are 157.9 kW from the grid, 228.8 A on each of three phases of 230 V."""
    path = tmp_path / "hub.yaml"
    path.write_text(HUB)

    evse = load_site(path).site.evses[0]

    assert evse.max_infeed_a(230.0) == pytest.approx(150_000.0 / 0.95 / 690.0)
    assert evse.max_infeed_a(230.0) == pytest.approx(evse.max_a)

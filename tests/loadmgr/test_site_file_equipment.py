# ruff: noqa: E501 - messages are shown whole, as a person reads them
"""Batteries and power cabinets in a site file: what they give, and each fault where it is written."""

from pathlib import Path

import pytest

from loadmgr.model.equipment import Battery, BatteryLink, Cabinet
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
    "a battery that is told too seldom": (
        "efficiency: 81%}", "efficiency: 81%, command: {every: 40s, watchdog: 60s}}",
        "17:136: battery store is told every 40 s and rests after 60 s without a word; write every: 1s or more, and at most half the watchdog",
    ),
    "a battery without a watchdog": (
        "efficiency: 81%}", "efficiency: 81%, command: {every: 10s}}",
        "17:136: key watchdog is missing; add watchdog to command",
    ),
    "feeding back more than is installed": (
        "station: HUB-3}", "station: HUB-3, discharge: 40A}",
        "13:41: EVSE S1 may feed back 40 A, more than its max of 32 A; write no more than what it is installed for",
    ),
    "feeding back said twice": (
        "station: HUB-3}", "station: HUB-3, discharge: 10A, discharge_power: 7kW}",
        "13:63: EVSE S1 has both discharge and discharge_power; write one of them",
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


def test_what_an_evse_may_feed_back_is_a_current_per_phase(tmp_path: Path) -> None:
    """Said as a current, or as the power of a converter; a station that has no word for it is a warning."""
    path = tmp_path / "hub.yaml"
    said = HUB.replace("station: HUB-3}", "station: HUB-3, discharge: 16A}")
    path.write_text(
        said.replace("D1, station: HUB-1, number: 1,", "D1, station: HUB-1, number: 1, discharge_power: 69kW,")
    )

    by_id = load_site(path).site.evse_by_id

    assert [100.0, 0.0, 16.0] == [round(by_id[name].discharge_a, 9) for name in ("D1", "D2", "S1")]
    path.write_text(said.replace("zero_ok: yes}", 'zero_ok: yes, version: "1.6"}'))
    (warning,) = [w.shown(path) for w in check_site(path).warnings if "feed back" in w.shown(path)]
    assert "EVSE S1 may feed back, but station HUB-3 speaks OCPP 1.6, which has no word for it" in warning


def test_a_battery_that_may_be_commanded_says_how(tmp_path: Path) -> None:
    """Told every ten seconds unless said otherwise; without `command` nobody commands it."""
    path = tmp_path / "hub.yaml"
    path.write_text(HUB.replace("efficiency: 81%}", "efficiency: 81%, command: {watchdog: 90s}}"))

    assert load_site(path).site.batteries[0].link == BatteryLink(every_s=10.0, watchdog_s=90.0)


def test_switching_phases_is_for_ac_evses_with_three_that_fall_back_to_nothing(tmp_path: Path) -> None:
    """The default passes over those that cannot; what is written at one that cannot is a fault."""
    path = tmp_path / "hub.yaml"
    able = HUB.replace("evse_defaults: {fallback: 6A}", "evse_defaults: {fallback: 0A, switches_phases: true}")
    path.write_text(able)
    switching = [e.id for e in load_site(path).site.evses if e.switches_phases]
    assert ["S1"] == switching

    path.write_text(able.replace("station: HUB-3}", "station: HUB-3, phases: L1, switches_phases: true}"))
    (fault,) = [f.shown(path).removeprefix(f"{path}:") for f in check_site(path).faults]
    assert "13:59: EVSE S1 cannot switch phases: it has 1 of them; write it where an AC EVSE has three phases" == fault

    path.write_text(HUB.replace("station: HUB-3}", "station: HUB-3, switches_phases: true}"))
    (warning,) = [w.shown(path) for w in check_site(path).warnings if "switched" in w.shown(path)]
    assert "EVSE S1 falls back to 6 A, on nobody knows how many phases: it is never switched" in warning

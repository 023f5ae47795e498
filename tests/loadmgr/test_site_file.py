"""Site files that are good: the samples, what every key gives, and where samples are found."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import jsonschema_rs
import pytest

from loadmgr.errors import InputError
from loadmgr.model.failsafe import FailSafeStrategy
from loadmgr.model.series import TimeGrid
from loadmgr.model.tariff import FixedRate, TimeOfUseRate, export_prices, prices
from loadmgr.model.topology import CurrentType, Phase, Trust
from loadmgr.sim.session_table import read_sessions
from loadmgr.site_file import (
    Rudeness,
    SiteFile,
    check_site,
    find_site,
    json_schema,
    load_site,
    sample_folder,
    site_names,
)
from loadmgr.site_file.document import read_document

EVERY_KEY = """\
schema: loadmgr/v1
site: {name: Every key, timezone: America/New_York, currency: USD, voltage: 120V, standard: nec, continuous: 80%}
circuits:
  - id: main
    fuse: {L1: 200 A, L2: 0.15kA}
    margin: 10%
    max_power: 30kW
    meter: {id: head, interval: 5s, stale_after: 12s}
    side_loads: [{id: house, worst_case: {L1: 12A, L2: 10A}}]
  - {id: left, parent: main, fuse: 40A, phases: L1, evses: ["07", P1..P2]}
  - {id: right, parent: main, fuse: 40A, phases: L2, max_power: 4kW, evses: [DC]}
evse_defaults: {phases: L1, max: 16A, min: 6A, step: 0.1A}
evses:
  - {id: "07", station: TWIN, number: 1, fallback: 0A}
  - {id: P1, station: TWIN, number: 2, max: 24A, min: 8A, step: 2A, fallback: 8A}
  - {id: P2}
  - {id: DC, phases: L2, dc_power: 2.5kW, efficiency: 0.93}
station_defaults: {version: ocpp2.0.1, zero_ok: no}
stations:
  - {id: TWIN, version: 1.6, keeps_profiles: yes, zero_ok: yes}
failsafe: {strategy: static, per_evse: 6A, lease: 20min}
timing: {reaction_time: 40s, settle: 8s, meter_interval: 6s, call_timeout: 15s, clock_skew: 90s}
session_defaults: {energy: 9kWh, stay: 90min}
listen: {host: 0.0.0.0, port: 80}
pv: [{id: roof, circuit: main, peak: 5kW}]
batteries: [{id: cellar, circuit: main, capacity: 10kWh, charge: 5kW, discharge: 4kW, reserve: 0.2, stored: 40%}]
cabinets: [{id: box, dc_power: 2kW, evses: [DC]}]
tariff:
  energy:
    periods:
      - name: peak
        price: 0.40 USD/kWh
        when: [{months: Nov-Feb, days: Mon-Fri, hours: 17:00-21:00}, {days: "Sat,Sun"}]
    otherwise: 0.20/kWh
  surcharges: [{name: wires, price: 0.05/kWh}]
  tax: 10%
  export: {price: 0.03/kWh}
  demand: [{name: peak hour, price: 12/kW, window: 1h, when: [{hours: "08:00-20:00"}]}]
"""


def _load(folder: Path, text: str) -> SiteFile:
    path = folder / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return load_site(path)


def test_every_key_arrives_in_the_site(tmp_path: Path) -> None:
    file = _load(tmp_path, EVERY_KEY)
    site = file.site
    assert (site.name, site.time_zone, site.currency, site.voltage_v) == ("Every key", "America/New_York", "USD", 120.0)
    main, left, right = site.circuits
    assert main.limit_a == (200 * 0.9 * 0.8, 150 * 0.9 * 0.8, 0.0)
    assert main.rated_a == (200.0, 150.0, None)
    assert main.limit_w == 30_000.0
    assert main.side_loads[0].worst_case_a == (12.0, 10.0, 0.0)
    assert main.side_loads[0].meter == "head"
    assert (left.limit_a, right.limit_a, right.limit_w) == ((32.0, 0.0, 0.0), (0.0, 32.0, 0.0), 4000.0)
    assert [(m.id, m.circuit, m.interval_s, m.stale_after_s) for m in site.meters] == [("head", "main", 5.0, 12.0)]
    timing = site.timing
    assert (timing.reaction_time_s, timing.settle_s, timing.meter_interval_s) == (40.0, 8.0, 6.0)
    assert (timing.call_timeout_s, timing.clock_skew_s) == (15.0, 90.0)
    assert (site.failsafe.strategy, site.failsafe.lease_s) == (FailSafeStrategy.STATIC, 1200)
    assert [(p.id, p.circuit, p.peak_w) for p in site.pv] == [("roof", "main", 5000.0)]
    assert (file.session_defaults.energy_wh, file.session_defaults.stay_s) == (9000.0, 5400)
    assert (file.listen.host, file.listen.port) == ("0.0.0.0", 80)
    assert file.demo is None


def test_every_key_arrives_in_evses_and_stations(tmp_path: Path) -> None:
    site = _load(tmp_path, EVERY_KEY).site
    seven, p1, p2, dc = site.evses
    assert (seven.id, seven.station, seven.number, seven.circuit) == ("07", "TWIN", 1, "left")
    assert (seven.max_a, seven.min_a, seven.step_a, seven.fallback_a) == (16.0, 6.0, 0.1, 0.0)
    assert (p1.max_a, p1.min_a, p1.step_a, p1.fallback_a, p1.number) == (24.0, 8.0, 2.0, 8.0, 2)
    assert (p2.station, p2.number, p2.fallback_a, p2.phases) == ("P2", 1, 6.0, (Phase.L1,))
    assert dc.max_a == pytest.approx(2500.0 / 0.93 / 120.0)
    assert (dc.current_type, dc.max_w, dc.efficiency_ratio, dc.phases) == (CurrentType.DC, 2500.0, 0.93, (Phase.L2,))
    twin, other, _ = site.stations
    assert (twin.id, twin.version, twin.keeps_profiles, twin.zero_ok) == ("TWIN", "1.6", Trust.YES, Trust.YES)
    assert (other.id, other.version, other.keeps_profiles, other.zero_ok) == ("P2", "2.0.1", Trust.UNKNOWN, Trust.NO)


def test_every_key_arrives_in_the_tariff(tmp_path: Path) -> None:
    tariff = _load(tmp_path, EVERY_KEY).tariff
    assert isinstance(tariff.energy, TimeOfUseRate)
    assert tariff.energy.otherwise_per_kwh == 0.20
    winter, weekend = tariff.energy.periods[0].windows
    assert winter.months == {11, 12, 1, 2}
    assert winter.weekdays == {0, 1, 2, 3, 4}
    assert (winter.start_s, winter.end_s) == (17 * 3600, 21 * 3600)
    assert weekend.weekdays == {5, 6}
    assert (weekend.start_s, weekend.end_s, len(weekend.months)) == (0, 86_400, 12)
    assert tariff.surcharges[0].rate == FixedRate(price_per_kwh=0.05)
    assert tariff.demand[0].window_s == 3600
    assert tariff.demand[0].price_per_kw == 12.0
    monday = TimeGrid.uniform(datetime(2024, 1, 8, 21, tzinfo=UTC), step_s=3600, steps=3)  # 16:00 in New York
    assert prices(tariff, monday) == pytest.approx([0.25 * 1.1, 0.45 * 1.1, 0.45 * 1.1])
    assert export_prices(tariff, monday) == [0.03] * 3


@pytest.mark.parametrize("name", ["garage", "workplace"])
def test_a_sample_is_good_and_finds_its_data(name: str) -> None:
    found = check_site(name)
    assert found.faults == ()
    assert found.site_file is not None
    assert found.site_file.demo is not None
    sessions = read_sessions(found.site_file.demo.sessions)
    site = found.site_file.site
    assert {s.evse for s in sessions} <= {None, *site.evse_by_id}
    start = found.site_file.demo.start
    within = [s for s in sessions if start <= s.arrival < start.replace(day=start.day + 1)]
    assert len(within) >= 14
    assert {s.phases for s in sessions} == {1, 3}


def test_the_home_is_a_site_file_of_fifteen_lines_at_most() -> None:
    path = find_site("home")
    assert len(path.read_text().splitlines()) <= 15
    file = load_site(path)
    assert [evse.id for evse in file.site.evses] == ["box"]
    assert file.tariff.demand[0].minimum_kw == 2.5


def test_the_depot_and_the_hub_share_their_cabinets_and_only_the_depot_knows_when_vehicles_leave() -> None:
    depot, hub = load_site("depot"), load_site("hub")
    for file in (depot, hub):
        assert file.demo is not None
        assert len(file.site.batteries) == 1
        assert {name for cabinet in file.site.cabinets for name in cabinet.evses} == set(file.site.evse_by_id)
    assert depot.demo is not None
    assert hub.demo is not None
    assert all(s.estimated_departure == s.departure for s in read_sessions(depot.demo.sessions))
    assert {s.estimated_departure for s in read_sessions(hub.demo.sessions)} == {None}


def test_the_garage_is_the_one_that_the_readme_tells_of() -> None:
    site = load_site("garage").site
    assert len(site.evses) == len(site.stations) == 14
    assert [s.id for s in site.stations] == [f"GARAGE-{r}{n}" for r in "AB" for n in range(1, 8)]
    assert {c.id: c.rated_a for c in site.circuits} == {
        "main": (63.0, 63.0, 63.0), "riser_a": (35.0, 35.0, 35.0), "riser_b": (35.0, 35.0, 35.0),
    }  # fmt: skip
    assert sorted(s.version or "" for s in site.stations) == ["1.6"] * 7 + ["2.0.1"] * 7
    assert {len(e.phases) for e in site.evses} == {1, 3}
    assert {e.phases[0] for e in site.evses} == set(Phase)
    assert {e.max_a for e in site.evses} == {16.0}
    assert {e.fallback_a for e in site.evses} == {0.0}
    assert {s.zero_ok for s in site.stations} == {Trust.YES}


def test_rude_stations_of_the_garage_cannot_overload_a_circuit_beyond_what_a_breaker_bears() -> None:
    file = load_site("garage")
    assert file.demo is not None
    assert {r.behaviour for r in file.demo.rude} == set(Rudeness)
    for rude in file.demo.rude:
        for evse in file.site.evses_of(rude.station):
            for circuit in file.site.path(evse.circuit):
                for limit_a, rated_a in zip(circuit.limit_a, circuit.rated_a, strict=True):
                    assert limit_a is not None
                    assert rated_a is not None
                    assert limit_a + evse.max_a <= 1.45 * rated_a


def test_the_building_load_of_a_sample_never_exceeds_its_worst_case() -> None:
    for name in ("garage", "workplace", "home", "depot", "hub"):
        file = load_site(name)
        for load in file.building:
            worst = next(s for s in file.site.circuit_by_id[load.circuit].side_loads if s.id == load.id)
            for cycle, worst_a in zip(load.current_a, worst.worst_case_a, strict=True):
                assert 0.0 < min(cycle.values) <= max(cycle.values) <= worst_a


def test_prices_of_the_samples_meet_any_date_by_weekday_and_clock() -> None:
    tariff = load_site("garage").tariff
    then = TimeGrid.uniform(datetime(2018, 6, 3, 22, tzinfo=UTC), step_s=3600, steps=7 * 24)
    later = TimeGrid.uniform(datetime(2026, 5, 24, 22, tzinfo=UTC), step_s=3600, steps=7 * 24)  # 416 weeks later
    assert prices(tariff, then) == prices(tariff, later)
    assert len(set(prices(tariff, then))) > 100


def test_generation_of_the_workplace_peaks_at_noon_and_stops_at_night() -> None:
    (pv,) = load_site("workplace").pv
    assert pv.power_w.at(datetime(2019, 6, 3, 0, 0, tzinfo=UTC)) == 0.0
    assert 60_000.0 < pv.power_w.at(datetime(2019, 6, 3, 11, 0, tzinfo=UTC)) < 100_000.0


def test_a_sample_is_found_by_name_by_file_name_and_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_site("garage") == find_site("garage.yaml") == sample_folder() / "garage.yaml"
    own = tmp_path / "garage.yaml"
    own.write_text("mine", encoding="utf-8")
    assert find_site("garage.yaml").resolve() == own.resolve()
    assert find_site("garage") == sample_folder() / "garage.yaml"
    assert {"garage", "workplace"} <= set(site_names())


def test_a_misspelt_sample_is_named_with_the_nearest_one() -> None:
    with pytest.raises(
        InputError, match=r"there is no site file garaje, and no sample of that name; did you mean garage\?"
    ):
        find_site("garaje")


def test_samples_are_found_inside_an_installed_package(tmp_path: Path) -> None:
    """The wheel holds sample_sites inside loadmgr; a copy laid out like it must find them without the checkout."""
    import loadmgr

    source = Path(loadmgr.__file__).parent
    shutil.copytree(source, tmp_path / "loadmgr", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(source.parent / "sample_sites", tmp_path / "loadmgr" / "sample_sites")
    code = "from loadmgr.site_file import *; print(find_site('garage')); load_site('garage')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "loadmgr" / "sample_sites" / "garage.yaml")


def test_importing_site_files_loads_neither_pydantic_nor_yaml() -> None:
    code = "import sys, loadmgr.site_file; print([m for m in ('pydantic', 'ruamel.yaml', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_key_of_the_samples_is_in_the_schema() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == {
        "schema", "site", "circuits", "evse_defaults", "evses", "station_defaults", "stations", "failsafe", "timing",
        "session_defaults", "listen", "tariff", "pv", "batteries", "cabinets", "external_limits",
        "compliance", "drivers", "demo",
    }  # fmt: skip
    assert schema["required"] == ["schema", "site", "circuits", "evses", "tariff"]
    assert schema["additionalProperties"] is False
    json.dumps(schema)


def test_an_editor_with_the_schema_agrees_with_the_samples_and_marks_a_slip(tmp_path: Path) -> None:
    editor = jsonschema_rs.validator_for(json_schema())
    (tmp_path / "every.yaml").write_text(EVERY_KEY, encoding="utf-8")
    for path in (find_site("garage"), find_site("workplace"), tmp_path / "every.yaml"):
        content = read_document(path).value
        assert [error.message for error in editor.iter_errors(content)] == []
    content["circuits"][0]["fuse"] = "63"
    content["listn"] = {}
    assert len(list(editor.iter_errors(content))) == 2

"""What a journal costs: its size in a year, and how long a report or a replay takes; for its share of the CPU see
``journal_cpu``.

Run by hand: pytest tests/benchmarks/test_journal.py -n0 -s --timeout 3000 (a day of it takes ten minutes or more)
"""

import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from loadmgr.site_file import SiteFile, load_site, sample_folder
from loadmgr.store.codec import Codec
from loadmgr.store.open import open_tables
from loadmgr.store.recall import read_entry
from loadmgr.store.replay import replay
from tests.benchmarks.journal_days import live_days

EVSES = 25
DAYS = 1.0
YEAR_DAYS = 365


def workplace(folder: Path) -> SiteFile:
    """Return a site of 25 EVSEs with the sessions of the sample of sixty, so that it is always full; a reading of each
    EVSE a minute, one of the site meter every ten seconds."""
    evses = "\n".join(f"  - {{id: P{i:02}, station: PARK-{i:02}}}" for i in range(1, EVSES + 1))
    text = f"""
schema: loadmgr/v1
site: {{name: Car park, timezone: Europe/Berlin}}
circuits:
  - id: main
    fuse: 200A
    meter: {{id: main_meter, interval: 10s}}
    side_loads: [{{id: offices, worst_case: 40A, profile: {sample_folder()}/data/garage_building.csv}}]
    evses: [P01..P{EVSES}]
evse_defaults: {{max: 32A}}
evses:
{evses}
station_defaults: {{version: "2.0.1", keeps_profiles: yes, zero_ok: yes}}
failsafe: {{strategy: zero, lease: 2h}}
tariff: {{energy: {{series: {sample_folder()}/data/day_ahead_de_2018.csv, repeat: weekly}}}}
demo: {{sessions: {sample_folder()}/data/workplace_week.csv, start: 2019-06-04 04:00}}
"""
    path = folder / "park.yaml"
    path.write_text(text)
    site_file = load_site(path)
    timing = replace(site_file.site.timing, meter_interval_s=60.0)
    return replace(site_file, site=replace(site_file.site, timing=timing))


def test_a_year_of_a_car_park(tmp_path: Path) -> None:
    place = tmp_path / "park.sqlite3"
    process = live_days(workplace(tmp_path), str(place), days=DAYS, folder=tmp_path)
    size = place.stat().st_size
    tables = open_tables(str(place))
    kinds = {kind: sum(1 for _ in tables.of_kind(kind)) for kind in tables.kinds()}
    print(f"\n{EVSES} EVSEs, {DAYS:g} days, {process.messages['in']:,} messages: {size / 1e6:.1f} MB")
    print("entries:", ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items(), key=lambda k: -k[1])))
    print(f"a year of such days: {size / DAYS * YEAR_DAYS / 1e9:.2f} GB (goal below 2)")

    begin = time.perf_counter()
    codec = Codec()
    sessions = [read_entry(entry, codec) for entry in tables.of_kind("Session")]
    took_sessions = time.perf_counter() - begin
    begin = time.perf_counter()
    hour = process.since + timedelta(hours=9)
    meter = [
        read_entry(e, codec) for e in tables.of_kind("SiteMeterReading", start=hour, end=hour + timedelta(hours=1))
    ]
    took_hour = time.perf_counter() - begin
    print(f"report: {len(sessions)} sessions {took_sessions:.3f} s, {len(meter)} readings of an hour {took_hour:.3f} s")

    begin = time.perf_counter()
    again = replay(tables)
    print(f"replay: {again.decisions:,} decisions in {time.perf_counter() - begin:.1f} s, identical: {again.identical}")
    tables.close()
    assert again.identical
    assert size / DAYS * YEAR_DAYS < 2e9

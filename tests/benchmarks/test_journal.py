"""What a journal costs: its size in a year, its share of the CPU, and how long a report waits for it.

Figures are shares in one process, or bytes, so that they compare between machines.
Run by hand: pytest tests/benchmarks/test_journal.py -n0 -s
"""

import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from loadmgr.control.controller import SiteController
from loadmgr.site_file import SiteFile, load_site, sample_folder
from loadmgr.store.codec import Codec
from loadmgr.store.entry import Started
from loadmgr.store.journal import Journal
from loadmgr.store.open import open_store, open_tables
from loadmgr.store.recall import Recorded, begun, events, read_entry
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


def played(place: Path, journal: Journal | None) -> float:
    """Play a journal's observations and decisions, keeping another one or none; return the CPU time of it [s]."""
    tables = open_tables(str(place))
    found = list(events(tables.entries(), Codec()))
    tables.close()
    controller: SiteController | None = None
    start_s = time.process_time()
    for _, event in found:
        if isinstance(event, Started):
            controller = begun(event, controller)
            if journal is not None:
                journal.started(event, controller)
        elif controller is not None and isinstance(event, Recorded):
            decision = controller.decide(event.decision.at)
            if journal is not None:
                journal.decided(decision, controller)
        elif controller is not None:
            if journal is not None:
                journal.observed(event)  # type: ignore[arg-type]
            controller.observe(event)  # type: ignore[arg-type]
    return time.process_time() - start_s


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

    store = open_store(str(tmp_path / "second.sqlite3"), site="Car park", state_folder=tmp_path)
    with_journal = played(place, Journal(store))
    store.close()
    without = played(place, None)
    share = (with_journal - without) / with_journal
    print(f"CPU of control {without:.1f} s, with a journal {with_journal:.1f} s: {100 * share:.0f} % of both, no link")
    assert again.identical
    assert size / DAYS * YEAR_DAYS < 2e9

"""The demo: real OCPP connections in simulated time, held under the fuse."""

import asyncio
import io
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from loadmgr.apps.demo.demo import DEAD_S, Demo, DemoOptions
from loadmgr.apps.demo.demo_life import ControllerLives
from loadmgr.apps.demo.report import card, exceeded
from loadmgr.site_file import Demo as DemoSection
from loadmgr.site_file import find_site, load_site

KEYS = [
    "site",
    "stations",
    "versions",
    "simulated_seconds",
    "messages_in",
    "messages_out",
    "profiles_sent",
    "energy_requested_wh",
    "energy_delivered_wh",
    "promises_total",
    "promises_kept",
    "cost",
    "cost_uncontrolled",
    "peak_w",
    "seconds_above_limit",
    "seconds_above_limit_raw",
    "worst_overload_a",
    "worst_overload_ratio",
    "solve_ms_p50",
    "solve_ms_p95",
    "alarms",
    "excursions",
]
MEASURED = ("solve_ms_p50", "solve_ms_p95", "peak_memory_mb")


def garage_with_early_rudeness() -> Any:
    """Return the garage, its rude stations rude soon after the cars came home, so that the run can be short."""
    site_file = load_site(find_site("garage"))
    assert isinstance(site_file.demo, DemoSection)
    ignores, reboots = site_file.demo.rude
    rude = (replace(ignores, at_s=16_200, for_s=300), replace(reboots, at_s=16_500))
    return replace(site_file, demo=replace(site_file.demo, rude=rude))


def run(options: DemoOptions, site_file: Any = None) -> dict[str, Any]:
    demo = Demo(site_file or garage_with_early_rudeness(), options, Console(file=io.StringIO()))
    return asyncio.run(demo.run())


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return run(DemoOptions(headless=True, day_s=17_400.0, seed=3))


def test_no_limit_is_exceeded_although_stations_are_rude(report: dict[str, Any]) -> None:
    assert 0.0 == report["seconds_above_limit"]
    assert not exceeded(report)
    assert {"disobedient", "offline"} <= {alarm["kind"] for alarm in report["alarms"]}


def test_vehicles_charge_in_both_versions_of_ocpp(report: dict[str, Any]) -> None:
    charged = {row["evse"][0] for row in report["session_rows"] if row["energy_delivered_wh"] > 500.0}

    assert {"1.6": 7, "2.0.1": 7} == report["versions"]
    assert {"A", "B"} == charged


def test_stations_of_ocpp_2_1_charge_under_control_too() -> None:
    site_file = garage_with_early_rudeness()
    stations = tuple(replace(s, version="2.1") if "-B" in s.id else s for s in site_file.site.stations)
    newer = replace(site_file, site=replace(site_file.site, stations=stations))

    report = run(DemoOptions(headless=True, day_s=16_000.0), newer)

    charged = {row["evse"][0] for row in report["session_rows"] if row["energy_delivered_wh"] > 500.0}
    assert {"1.6": 7, "2.1": 7} == report["versions"]
    assert ({"A", "B"}, 0.0) == (charged, report["seconds_above_limit"])


def test_a_report_holds_what_was_promised(report: dict[str, Any]) -> None:
    assert [] == [key for key in KEYS if key not in report]
    assert 17_400.0 == report["simulated_seconds"]


def test_the_same_seed_gives_the_same_report(report: dict[str, Any]) -> None:
    again = run(DemoOptions(headless=True, day_s=17_400.0, seed=3))

    assert {k: v for k, v in report.items() if k not in MEASURED} == {
        k: v for k, v in again.items() if k not in MEASURED
    }


def test_a_killed_controller_leaves_vehicles_charging_below_the_limits_and_comes_back_to_their_sessions() -> None:
    site_file = load_site(find_site("garage"))
    calm = replace(site_file, demo=replace(site_file.demo, rude=()))  # type: ignore[type-var]
    demo = Demo(calm, DemoOptions(headless=True, day_s=26_000.0), Console(file=io.StringIO()))
    dead: list[tuple[float, int]] = []
    end = ControllerLives.end

    async def watched_end(lives: ControllerLives, *, killed: bool) -> None:
        await end(lives, killed=killed)
        dead.append((demo._clock.now_s(), sum(e.session is not None for e in lives.process.controller.view().evses)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ControllerLives, "end", watched_end)
        report = asyncio.run(demo.run())

    (outage,) = report["controller_killed"]
    away = datetime.fromisoformat(outage["until"]) - datetime.fromisoformat(outage["from"])
    assert timedelta(seconds=DEAD_S) == away
    assert (13_000.0, True) == (dead[0][0], dead[0][1] > 0)
    assert (0.0, []) == (report["seconds_above_limit_raw"], report["excursions"])
    assert [] == [
        row for row in report["session_rows"] if row["energy_delivered_wh"] == 0.0 and row["promise"] == "broken"
    ]
    assert "back after 45 min" in shown(report)


def shown(report: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(card(report))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_the_closing_card_says_what_it_came_to(report: dict[str, Any]) -> None:
    for wanted in ("Elm Street garage", "kWh asked for", "kept", "uncontrolled", "charging profiles"):
        assert wanted in shown(report)


def test_the_live_table_is_drawn_while_the_world_runs() -> None:
    console = Console(file=io.StringIO(), width=120, height=40, force_terminal=True)
    options = DemoOptions(headless=False, day_s=14_000.0)

    asyncio.run(Demo(garage_with_early_rudeness(), options, console).run())

    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for wanted in ("Elm Street garage", "main: 63 A fuse", "riser_b: 35 A fuse", "14 stations", "why"):
        assert wanted in shown


def test_a_demo_stopped_before_its_first_second_still_reports_one() -> None:
    report = run(DemoOptions(headless=True, wall_s=0.0))

    assert 1.0 <= report["simulated_seconds"] < 3600.0
    assert report["simulated_seconds"] == int(report["simulated_seconds"])


def test_wall_time_can_be_bounded_and_a_folder_for_the_report_must_exist() -> None:
    command = [sys.executable, "-m", "loadmgr", "demo", "--headless", "--for", "1"]

    good = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    bad = subprocess.run([*command, "--report", "no/such/out.json"], capture_output=True, text=True, check=False)

    assert (0, 2) == (good.returncode, bad.returncode)
    assert "no/such is not a folder" in bad.stderr

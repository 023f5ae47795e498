"""A site on a terminal and in Home Assistant: what feeds back, and what batteries are told."""

import io
import json
import re
from types import SimpleNamespace

from rich.console import Console

from loadmgr.apps.mqtt.home_assistant import evse_state
from loadmgr.apps.process.live import LiveTable, Pulse
from loadmgr.apps.process.local_control import explained
from loadmgr.apps.process.status import view_status
from loadmgr.apps.process.status_text import show_explanation, show_status
from loadmgr.control.decision import SiteView
from ocpp_link.profile_book import ProfileBook
from ocpp_link.station_profile import StationProfile
from tests.loadmgr.control import test_battery, test_discharge


def shown(view: SiteView, *, width: int = 220, models: ProfileBook | None = None) -> str:
    """Return the status as a person sees it, with its values as they come over the socket."""
    status = {
        "site": {"name": "yard", "time_zone": "UTC", "currency": "EUR"},
        "controller": {"since": view.at.isoformat(), "remembers_until": None, "connected": 1},
        "messages": {"in": 0, "out": 0},
        "csms": None,
        **view_status(view, models or ProfileBook()),
    }
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        show_status(json.loads(json.dumps(status)), console)
    return captured.get()


def test_a_vehicle_that_feeds_back_is_shown_below_zero() -> None:
    text = shown(test_discharge.a_world().run(900).controller.view())
    assert ", 1 station connected\n" in text
    row = next(line for line in text.splitlines() if "feeds back 12 A" in line)
    assert row.count("-12 A") == 2


def test_what_is_known_of_stations_is_said_once_for_those_that_are_alike_and_breaks_no_word() -> None:
    ways = StationProfile(smart_charging=True, rate_units=("A", "W"), stack_level=0)
    text = shown(
        test_discharge.a_world().run(60).controller.view(),
        width=60,
        models=ProfileBook(overrides={"S1": ways, "S2": ways}),
    )
    assert "known of S1, S2: smart_charging yes, rate_units A + W, stack_level 0\n" in text


def test_a_battery_is_shown_with_what_it_is_told_and_does() -> None:
    world = test_battery.a_world(cheap_first=False).run(600)
    (battery,) = world.controller.view().batteries
    row = next(line for line in shown(world.controller.view()).splitlines() if "discharges by the plan" in line)
    assert f"{battery.setpoint_w} W" in row
    assert "%" in row


def test_the_explanation_of_an_evse_has_its_plan_below_zero_where_it_feeds_back() -> None:
    world = test_discharge.a_world().run(900)
    process = SimpleNamespace(
        site=world.site,
        connected=(),
        messages={"in": 0, "out": 0},
        csms=None,
        decided=True,
        controller=world.controller,
        models=ProfileBook(),
        condition=lambda: {"journal": None},
    )
    console = Console(file=io.StringIO(), width=220)
    with console.capture() as captured:
        show_explanation(json.loads(json.dumps(explained(process, "E1"))), console)
    assert re.search(r"plan: \d\d:\d\d -12 A, \d\d:\d\d", captured.get())


def test_the_live_table_shows_what_a_vehicle_feeds_back_and_is_to_below_zero() -> None:
    world = test_discharge.a_world().run(900)
    table = LiveTable(site=world.site, rows=10)
    pulse = Pulse(now=world.now, speed=None, stations=2, messages_in=0, messages_out=0, profiles_sent=0, solve_ms=None)
    console = Console(file=io.StringIO(), width=140)
    with console.capture() as captured:
        console.print(table.draw(world.controller.view(), pulse))
    assert "-12.0 / -12 A" in captured.get()


def test_home_assistant_is_told_current_and_power_below_zero_of_a_vehicle_that_feeds_back() -> None:
    view = test_discharge.a_world().run(900).controller.view().evses[0]
    state = evse_state(view, max_a=16.0, voltage_v=230.0)
    assert (-12.0, -8280) == (state["current_a"], state["power_w"])

"""What the page is told of a running site."""

import asyncio
import io
import itertools
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from rich.console import Console

from loadmgr.apps.demo.demo import Demo, DemoOptions
from loadmgr.apps.page.page_feed import KEPT_SLOTS, SLOT_S, PageFeed
from loadmgr.control.observation import BatteryReading
from loadmgr.model.ids import CircuitId
from loadmgr.site_file import find_site, load_site
from ocpp_link.profile_book import ProfileBook
from tests.control_world import World, small_site
from tests.loadmgr.control import test_battery, test_discharge


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """Return what the page was told when cars were charging, and the controller's own view then."""
    site_file = load_site(find_site("garage"))
    demo = Demo(site_file, DemoOptions(headless=True, day_s=40_000.0), Console(file=io.StringIO()))
    out: dict[str, Any] = {}
    run = demo._until_done

    async def watched(world: Any, lives: Any) -> None:
        feed = PageFeed(lambda: lives.process, now=demo._clock.now, alive=lambda: lives.alive)
        out["before"] = feed.document()
        lives.process.on_decision.append(feed.take)

        async def look() -> None:
            await demo._clock.party("reader").sleep_until(17_000.0)
            out.update(
                document=feed.document(), history=feed.history(), view=lives.process.controller.view(), world=world
            )
            demo._clock.stop()

        looking = asyncio.create_task(look())
        await run(world, lives)
        await looking

    demo._until_done = watched  # type: ignore[method-assign]
    asyncio.run(demo.run())
    return out


def process_of(world: World) -> Any:
    """Return a process that runs the site of a test's world, as far as a page asks it."""
    return SimpleNamespace(
        controller=world.controller, site=world.site, decided=True, models=ProfileBook(), csms=None,
        site_file=SimpleNamespace(tariff=None), condition=lambda: {"journal": None},
    )  # fmt: skip


def document_of(world: World) -> dict[str, Any]:
    return PageFeed(lambda: process_of(world), now=lambda: world.now).document()


def test_before_the_first_decision_the_page_has_a_name_only(seen: dict[str, Any]) -> None:
    assert {"site", "alive", "decided"} == set(seen["before"])
    assert not seen["before"]["decided"]


def test_the_document_is_json_and_says_what_the_controller_sees(seen: dict[str, Any]) -> None:
    document = orjson.loads(orjson.dumps(seen["document"]))

    assert [e.evse for e in seen["view"].evses] == [e["id"] for e in document["evses"]]
    assert [e.reason for e in seen["view"].evses] == [e["reason"] for e in document["evses"]]
    assert "good" == document["light"]["state"]
    assert document["power_w"] > 0.0


def test_the_plan_of_a_circuit_is_what_its_evses_are_planned_to_draw_and_the_building(seen: dict[str, Any]) -> None:
    document = seen["document"]
    main = next(c for c in document["circuits"] if c["id"] == "main")

    assert 3 == len(main["plan_a"])
    assert {len(document["plan_times"])} == {len(phase) for phase in main["plan_a"]}
    for phase, limit in zip(main["plan_a"], main["limit_a"], strict=True):
        assert max(phase) <= limit + 16.0  # the building's forecast may lie above its present load


def test_the_past_is_kept_in_slots_with_the_reasons_of_the_time(seen: dict[str, Any]) -> None:
    history = seen["history"]

    assert {SLOT_S} == {b["at"] - a["at"] for a, b in itertools.pairwise(history)}
    assert len(history) <= KEPT_SLOTS
    assert {"main", "riser_a", "riser_b"} == set(history[0]["limits"])
    assert {59.2} == {slot["limits"]["main"] for slot in history}
    charging = [slot["evses"] for slot in history if slot["evses"]]
    assert any(current_a > 5.0 and reason for slot in charging for current_a, reason in slot.values())


def test_the_bill_counts_what_was_delivered(seen: dict[str, Any]) -> None:
    bill = seen["document"]["bill"]
    delivered_wh = sum(outlet.vehicle.energy_wh for outlet in seen["world"].outlets.values() if outlet.vehicle)

    assert delivered_wh * 0.8 < bill["energy_wh"] <= delivered_wh * 1.02
    assert 0.1 < bill["cost"] / (bill["energy_wh"] / 1000.0) < 0.5


def test_a_site_file_that_was_changed_is_shown_as_it_is_now() -> None:
    before = World(small_site(evses=2)).run(5)
    renamed = replace(before.site.circuits[0], id=CircuitId("renamed"))
    site = replace(
        before.site,
        circuits=(renamed,),
        evses=tuple(replace(e, circuit=renamed.id) for e in before.site.evses),
        meters=(),
    )
    process = process_of(before)
    feed = PageFeed(lambda: process, now=lambda: before.now)
    assert ["main"] == [c["id"] for c in feed.document()["circuits"]]

    process.site, process.controller = site, World(site).run(5).controller
    assert ["renamed"] == [c["id"] for c in feed.document()["circuits"]]


def test_a_vehicle_that_feeds_back_is_below_zero_now_in_its_plan_and_in_the_past() -> None:
    world = test_discharge.a_world().run(900)
    feed = PageFeed(lambda: process_of(world), now=lambda: world.now)
    feed._note(0, world.controller.view())
    evse = feed.document()["evses"][0]

    assert (-12.0, -12.0) == (evse["setpoint_a"], round(evse["measured_a"]))
    assert -12.0 == min(evse["plan_a"])
    assert -12.0 == round(feed.history()[0]["evses"]["E1"][0])


def test_a_battery_is_shown_with_its_charge_power_command_plan_and_past() -> None:
    world = test_battery.a_world(cheap_first=False).run(600)
    feed = PageFeed(lambda: process_of(world), now=lambda: world.now)
    feed._note(0, world.controller.view())
    document = feed.document()
    (battery,) = document["batteries"]

    assert "discharges by the plan" == battery["reason"]
    assert battery["setpoint_w"] < 0.0
    assert battery["power_w"] < 0.0
    assert 0.4 < battery["state_of_charge_ratio"] < 0.5
    assert len(battery["plan_w"]) == len(document["plan_times"])
    assert min(battery["plan_w"]) < 0 < max(battery["plan_w"])
    assert battery["power_w"] == pytest.approx(feed.history()[0]["batteries"]["store"], abs=1.0)


def test_the_plan_of_a_circuit_has_what_its_batteries_are_to_do() -> None:
    document = document_of(test_battery.a_world(cheap_first=False).run(600))
    (circuit,), (battery,) = document["circuits"], document["batteries"]

    for phase, building_a in zip(circuit["plan_a"], circuit["building_a"], strict=True):
        of_battery = [power_w / 690.0 for power_w in battery["plan_w"]]
        assert phase == pytest.approx([building_a + each for each in of_battery], abs=0.2)


def test_the_load_of_a_circuit_without_a_meter_has_what_its_batteries_do() -> None:
    site = test_battery.a_world().site
    bare = replace(site, meters=(), circuits=(replace(site.circuits[0], side_loads=()),))
    world = World(bare).run(60)
    world.controller.observe(BatteryReading(at=world.now, battery="store", power_w=-3_450.0, state_of_charge_ratio=0.5))

    assert [-5.0] * 3 == document_of(world)["circuits"][0]["measured_a"]

"""The page in a real browser, on a site under control: what it shows, what it lets people do, and whom it shuts out."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from loadmgr.site_file import find_site
from tests.loadmgr.web.worlds_page import a_sunny_world, a_world, page_of

BROWSER = os.environ.get("LOADMGR_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
SIZES = {"phone": (390, 844), "laptop": (1440, 900), "wall": (1920, 1080)}

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium: install it, or set LOADMGR_CHROMIUM")


def test_the_page_is_small_and_takes_nothing_from_elsewhere() -> None:
    shipped = [each for each in files("loadmgr").joinpath("web").iterdir() if each.is_file()]
    own = "".join(
        each.read_text()
        for each in shipped
        if each.name.endswith((".html", ".css", ".js")) and "uplot" not in each.name
    )

    assert sum(len(each.read_bytes()) for each in shipped) < 300_000
    assert [] == re.findall(r"""(?:src|href|url\(|import|from|fetch\()\s*[=(]?\s*["']?(?:https?:)?//""", own)
    assert "uplot.LICENSE" in {each.name for each in shipped}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the page of a garage to which the cars are just coming home."""
    garage = Path(find_site("garage"))
    text = (
        garage.read_text()
        .replace("data/", f"{garage.parent}/data/")
        .replace("start: 2019-06-04 12:00", "start: 2019-06-04 16:00")
    )
    site = tmp_path_factory.mktemp("page") / "evening.yaml"
    site.write_text(re.sub(r"(?m)^  rude:\n(    - .*\n)+", "", text))
    command = [
        sys.executable,
        "-m",
        "loadmgr",
        "demo",
        str(site),
        "--headless",
        "--http",
        "0",
        "--speed",
        "120",
        "--for",
        "200",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        found = re.search(r"http://\S+", demo.stdout.readline())
        assert found is not None
        yield found.group()
        demo.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


def opened(browser: Any, address: str, *, size: str = "laptop", scheme: str = "light") -> tuple[Any, list[str]]:
    width, height = SIZES[size]
    page = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme).new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    page.wait_for_selector("#sessions tbody button", timeout=90_000)
    return page, said


def read_with_arrows(page: Any) -> str:
    """Return what the heat map says of a field once it has one; it is drawn every few seconds, first without a plan."""
    page.locator("#heat").focus()
    for _ in range(60):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
        said = page.text_content("#heat-said") or ""
        if not said.startswith("Point at"):
            break
        page.wait_for_timeout(500)
    return said


@needs_browser
def test_the_page_shows_load_sessions_and_reasons_and_follows_them(browser: Any, address: str) -> None:
    page, said = opened(browser, address)
    clock = page.text_content("#clock")
    page.wait_for_function(
        "(before) => document.querySelector('#clock').textContent !== before", arg=clock, timeout=30_000
    )

    assert "Elm Street garage" == page.text_content("#title")
    assert 9 == page.locator("#circuits [role=meter]").count()
    assert page.text_content("#light") != "waiting for the site …"
    page.locator("#sessions tbody button").first.click()
    assert re.search(r"\d A|paused|waits", page.text_content("#why-body") or "")
    assert "What would help" in (page.text_content("#why-body") or "")
    page.wait_for_selector("#chart canvas")
    assert re.search(r"\w+, \d\d:\d\d: [\d.]+ A", read_with_arrows(page))
    assert [] == said


@needs_browser
def test_an_order_is_confirmed_first_and_then_obeyed(browser: Any, address: str) -> None:
    from playwright.sync_api import expect

    page, _ = opened(browser, address)
    page.locator("#sessions tbody button").first.click()
    page.click("button[data-order=pause]")
    assert page.locator("#ask").is_visible()
    page.click("#ask button[value=no]")
    assert "" == page.text_content("#order-said")

    page.click("button[data-order=limit]")
    page.click("#ask-yes")
    assert page.locator("#ask").is_visible()  # nothing written is not 0 A
    page.click("#ask button[value=no]")
    assert "" == page.text_content("#order-said")

    page.click("button[data-order=pause]")
    page.fill("#hours", "24")
    page.click("#ask-yes")
    expect(page.locator("#order-said")).to_have_text(re.compile("^Done"), timeout=30_000)
    expect(page.locator("#why-body")).to_contain_text("Paused by", timeout=30_000)


@needs_browser
@pytest.mark.parametrize(("size", "scheme"), [("phone", "dark"), ("laptop", "light"), ("wall", "dark")])
def test_everybody_can_use_it_at_every_size(browser: Any, address: str, size: str, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page, said = opened(browser, address, size=size, scheme=scheme)
    found = Axe().run(page).response["violations"]

    assert [] == [(v["id"], [n["target"] for n in v["nodes"]]) for v in found if v["impact"] in ("serious", "critical")]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [] == said


@pytest.fixture(scope="module")
def stored_energy() -> Iterator[str]:
    """Return the page of a site with a battery and a vehicle that feeds back."""
    with page_of(a_world) as address:
        yield address


@pytest.fixture(scope="module")
def sunny() -> Iterator[str]:
    """Return the page of a site that exports on one phase while nothing may be drawn."""
    with page_of(a_sunny_world) as address:
        yield address


def bar_of(page: Any, name: str) -> dict[str, Any]:
    """Return what is drawn and said of one phase of a circuit; in one go, for it is drawn anew each second."""
    found: dict[str, Any] = page.evaluate(
        """(name) => {
            const bar = document.querySelector(`[role=meter][aria-label="${name}"]`);
            const [house, cars] = bar.children, line = bar.parentElement, text = line.lastElementChild;
            const lineHeight = parseFloat(getComputedStyle(text).lineHeight);
            return {
                least: bar.ariaValueMin, most: bar.ariaValueMax, now: bar.ariaValueNow, said: bar.ariaValueText,
                house: house.style.width, cars: [cars.className, cars.style.width], text: text.textContent,
                over: text.className, lines: Math.round(text.offsetHeight / lineHeight),
                fits: line.scrollWidth <= line.clientWidth,
            };
        }""",
        name,
    )
    return found


@needs_browser
@pytest.mark.parametrize("size", ["phone", "laptop"])
def test_a_phase_that_exports_has_a_bar_of_its_own_kind_that_is_never_over_a_limit(
    browser: Any, sunny: str, size: str
) -> None:
    page, said = opened(browser, sunny, size=size)
    exports, draws = bar_of(page, "main L1"), bar_of(page, "main L2")

    assert ("-26", "-25.0", "feeds back 25 A") == (exports["least"], exports["now"], exports["said"])
    assert ("0%", ["back", "96.1538%"]) == (exports["house"], exports["cars"])
    assert ("feeds back 25 A", "") == (exports["text"], exports["over"])
    assert ("over: 4.0 of 0 A", "over: 4.0 / 0.0 A", "over") == (draws["said"], draws["text"], draws["over"])
    assert ("100%", "0%") == (draws["house"], draws["cars"][1])
    assert all(each["fits"] and each["lines"] == 1 for each in (exports, draws))
    assert "limited by operator" in (page.text_content("#circuits h3") or "")
    assert [] == said


@needs_browser
def test_a_battery_is_shown_with_its_charge_what_it_does_is_told_and_will_do(browser: Any, stored_energy: str) -> None:
    page, said = opened(browser, stored_energy)
    full = page.locator("#batteries [role=meter]")

    assert "cellar store state of charge" == full.get_attribute("aria-label")
    assert re.fullmatch(r"\d\d %", full.get_attribute("aria-valuetext") or "")
    text = page.text_content("#batteries-body") or ""
    assert "Discharges with 3.0 kW; told: discharges with 3.0 kW." in text
    assert re.search(r"By the plan it discharges with up to 3\.0 kW now, rests from \d\d:\d\d", text)
    page.wait_for_selector("#batteries .chart canvas")
    assert [] == said


@needs_browser
def test_a_vehicle_that_feeds_back_is_below_zero_in_the_table_the_heat_map_and_its_reason(
    browser: Any, stored_energy: str
) -> None:
    page, _ = opened(browser, stored_energy)
    assert "\u221212 A / \u221212 A" in (page.text_content("#sessions tbody tr:first-child") or "")
    assert "Feeding back1" in (page.text_content("#figures") or "")
    page.locator("#sessions tbody button").first.click()
    assert "feeds back 12 A" in (page.text_content("#why-body") or "")
    assert "makes room" not in (page.text_content("#why-body") or "")
    page.wait_for_selector("#chart canvas")
    page.locator("#heat").focus()
    page.keyboard.press("ArrowLeft")
    assert re.search(r"E1, \d\d:\d\d: feeds back 12 A;", page.text_content("#heat-said") or "")


@needs_browser
@pytest.mark.parametrize(("size", "scheme"), [("phone", "light"), ("laptop", "dark"), ("wall", "light")])
def test_everybody_can_use_the_page_of_stored_energy(browser: Any, stored_energy: str, size: str, scheme: str) -> None:
    test_everybody_can_use_it_at_every_size(browser, stored_energy, size, scheme)

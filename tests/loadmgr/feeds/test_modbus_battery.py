"""Batteries on Modbus TCP: told and heard on a real socket, and what a site file says of them."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadmgr.apps.process.battery_orders import BatteryOrders
from loadmgr.apps.process.outside import Feeds
from loadmgr.apps.process.serving import stop
from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.rules_text import rules_in_words
from loadmgr.control.observation import BatteryReading
from loadmgr.errors import InputError
from loadmgr.feeds.modbus_battery import ModbusBattery
from loadmgr.feeds.polling import Fact
from loadmgr.site_file import SiteFile, check_site, load_site
from ocpp_link.transport import SystemClock
from tests.loadmgr.feeds.modbus_meter_double import BatteryDouble

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MAP = """\
name: Cellar box
source: its manual, table 7
power: {at: 10, type: int32, scale: -1}
state_of_charge: {at: 12, type: uint16, scale: 0.001}
set_power: {at: 20, type: int16, scale: -10}
before: [{at: 22, value: 4}]
"""
SITE = """\
schema: loadmgr/v1
site: {name: Shed, timezone: Europe/Berlin}
evses: [{id: A, max: 16A}]
circuits: [{id: main, fuse: 63A, evses: [A]}]
tariff: {energy: {price: 0.30/kWh}}
"""


def box(power_w: int = 1500, permille: int = 620) -> BatteryDouble:
    high, low = divmod((-power_w) % 2**32, 2**16)
    return BatteryDouble({10: high, 11: low, 12: permille, 20: 0, 22: 0})


def site_of(folder: Path, double: BatteryDouble, *, text: str = MAP, name: str = "box.yaml") -> Path:
    (folder / "box.yaml").write_text(text)
    way = f"{{host: 127.0.0.1, port: {double.port}, map: {name}}}"
    what = "id: box, circuit: main, capacity: 20kWh, charge: 10kW, discharge: 10kW"
    path = folder / "shed.yaml"
    path.write_text(f"{SITE}batteries: [{{{what}, command: {{every: 1s, watchdog: 60s, modbus: {way}}}}}]\n")
    return path


def battery_of(folder: Path, double: BatteryDouble) -> ModbusBattery:
    return ModbusBattery(load_site(site_of(folder, double)).battery_inputs[0])


def test_a_battery_says_what_it_does_and_how_full_it_is(tmp_path: Path) -> None:
    with box().running() as double:
        (said,) = battery_of(tmp_path, double).poll(T0)
    assert ("box", 1500.0, 0.62, T0) == (said.battery, said.power_w, said.state_of_charge_ratio, said.at)


def test_a_power_is_written_after_what_makes_the_battery_take_orders(tmp_path: Path) -> None:
    with box().running() as double:
        battery = battery_of(tmp_path, double)
        battery.tell(2509)
        battery.tell(-2509)
    assert [(22, [4]), (20, [0x10000 - 250]), (22, [4]), (20, [250])] == double.written


def test_a_power_that_does_not_fit_is_not_written_at_all(tmp_path: Path) -> None:
    with box().running() as double, pytest.raises(InputError, match="-40000 does not fit into int16"):
        battery_of(tmp_path, double).tell(400_000)
    assert [] == double.written


def test_an_order_of_which_a_part_is_refused_fails_and_its_power_is_not_written(tmp_path: Path) -> None:
    with box().running() as double:
        double.refused = {22}
        with pytest.raises(InputError, match=r"writing register 22 is refused: .* a value is not taken"):
            battery_of(tmp_path, double).tell(1000)
    assert [] == double.written


@pytest.mark.parametrize(
    ("permille", "said"),
    [(0xFFFF, "state of charge, register 12, is no number"), (1100, "state of charge of 1.1 cannot")],
)
def test_a_state_of_charge_that_cannot_be_is_a_fault(tmp_path: Path, permille: int, said: str) -> None:
    with box(permille=permille).running() as double, pytest.raises(InputError, match=said):
        battery_of(tmp_path, double).poll(T0)


def test_a_running_site_hears_its_battery_and_tells_it(tmp_path: Path) -> None:
    async def play(site_file: SiteFile) -> list[Fact]:
        clock = SystemClock()
        process = SiteProcess(site_file, clock=clock)
        heard: list[Fact] = []

        def observe(fact: Fact, source: str) -> None:
            heard.append(fact)
            process.observe(fact, source=source)

        feeds = Feeds(clock=clock, observe=observe)
        feeds.follow(site_file, remembered=[])
        working = [
            asyncio.create_task(BatteryOrders(process).carry(feeds)),
            asyncio.create_task(process.run()),
        ]
        async with asyncio.timeout(20.0):
            while not double.written or not heard:  # noqa: ASYNC110 - the socket's thread writes it
                await asyncio.sleep(0.02)
        await stop(*working)
        feeds.close()
        return heard

    with box().running() as double:
        site_file = load_site(site_of(tmp_path, double))
        heard = asyncio.run(play(site_file))
    assert isinstance(heard[0], BatteryReading)
    assert (22, [4]) == double.written[0]
    assert 20 == double.written[1][0]


def test_who_tells_a_battery_of_another_way_tells_nothing(tmp_path: Path) -> None:
    async def play() -> None:
        await Feeds(clock=SystemClock(), observe=lambda fact, source: None).set_power_w("box", 1000)

    asyncio.run(play())


def test_check_says_where_a_battery_is_told(tmp_path: Path) -> None:
    double = box()
    (line,) = rules_in_words(load_site(site_of(tmp_path, double)))
    assert f"battery box: told and heard at 127.0.0.1:{double.port} unit 1 as Cellar box" == line


@pytest.mark.parametrize(
    ("text", "name", "fault"),
    [
        (MAP, "gone.yaml", "gone.yaml: cannot be read"),
        (MAP.replace("set_power", "setpower"), "box.yaml", "box.yaml:"),
        (MAP.replace("scale: -10", "scale: 0"), "box.yaml", "box.yaml:5:41: set_power.scale: a scale of 0; write what"),
        (MAP.replace("value: 4", "value: 70000"), "box.yaml", "box.yaml:6:26: before.0.value"),
        (MAP.replace("at: 20", "at: -1"), "box.yaml", "box.yaml:5:17: set_power.at"),
    ],
)
def test_a_map_that_cannot_be_used_is_named_with_its_line(tmp_path: Path, text: str, name: str, fault: str) -> None:
    found = check_site(site_of(tmp_path, box(), text=text, name=name))
    assert any(f.line == 6 and fault in f.shown("") for f in found.faults), [f.shown("") for f in found.faults]

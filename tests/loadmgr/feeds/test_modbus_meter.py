"""Meters on Modbus TCP, read from pymodbus's own server on a real socket."""

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pymodbus.constants import ExcCodes

from loadmgr.errors import InputError
from loadmgr.feeds.modbus_meter import ModbusMeter
from loadmgr.model.ids import CircuitId, MeterId
from loadmgr.model.topology import Phase
from loadmgr.site_file.register_map import map_names, shipped_map
from loadmgr.site_file.sources import MeterInput, ModbusPlace, RegisterMap
from tests.control_world import World, small_site
from tests.loadmgr.feeds.modbus_meter_double import UNIT, MeterDouble

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SDM630 = shipped_map("eastron_sdm630")
PLAIN = [name for name in map_names() if shipped_map(name).sunspec_model is None]


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def how(double: MeterDouble, **more: object) -> MeterInput:
    place = ModbusPlace(host="127.0.0.1", port=double.port, unit=UNIT, map=double.about)
    return replace(MeterInput(meter=MeterId("main"), every_s=1.0, modbus=place), **more)  # type: ignore[arg-type]


def read(double: MeterDouble, **more: object) -> tuple[float, ...]:
    (reading,) = ModbusMeter(how(double, **more)).poll(T0)
    return reading.currents_a


@pytest.mark.parametrize("name", PLAIN)
def test_every_map_reads_only_registers_that_its_meter_has(name: str) -> None:
    about = shipped_map(name)
    double = MeterDouble(about)
    double.tell([8.5, 16.0, 0.25], [1900.0, -3600.0, 50.0], [229.5, 231.0, 230.0])
    with double.running():
        found = read(double)
    expected = [8.5, -16.0, 0.25] if about.current is not None and about.current.at[1] is not None else [8.5, 0.0, 0.0]
    assert expected == [round(a, 3) for a in found]


def sunspec(base: int) -> MeterDouble:
    """A device whose common model is 65 long, with an inverter model before the meter's."""
    meter = base + 2 + 67 + 52
    chain = {base: 0x5375, base + 1: 0x6E53, base + 2: 1, base + 3: 65, base + 69: 103, base + 70: 50}
    chain |= {meter: 203, meter + 1: 105, meter + 107: 0xFFFF, meter + 108: 0}
    about = shipped_map("sunspec_203")
    assert about.current is not None
    double = MeterDouble(about, base=meter, more=chain)
    double.words[meter + 6], double.words[meter + 22], double.words[meter + 15] = 0xFFFE, 1, 0xFFFF
    for quantity, values in ((about.current, [850, 1600, 25]), (about.power, [190, -360, 5])):
        assert quantity is not None
        for address, value in zip(quantity.at, values, strict=True):
            assert address is not None
            double.set(quantity, address, value)
    return double


@pytest.mark.parametrize("base", [40000, 50000])
def test_a_sunspec_model_is_found_wherever_it_is_and_scaled_by_its_own_factors(base: int) -> None:
    with sunspec(base).running() as double:
        assert [8.5, -16.0, 0.25] == [round(a, 3) for a in read(double)]


def test_a_sunspec_device_without_the_model_is_a_fault() -> None:
    double = sunspec(40000)
    double.words[40000 + 121] = 204
    with double.running(), pytest.raises(InputError, match="it has no SunSpec model 203"):
        read(double)


def test_phases_are_those_of_the_grid_and_a_turned_meter_is_turned_back() -> None:
    with MeterDouble(SDM630).running() as double:
        double.tell([1.0, 2.0, 3.0], [-230.0, -460.0, 690.0], [230.0, 230.0, 230.0])
        assert (-3.0, 1.0, 2.0) == read(double, phases=(Phase.L2, Phase.L3, Phase.L1), invert=True)


def test_a_meter_of_one_phase_sits_where_the_site_file_says() -> None:
    with MeterDouble(shipped_map("eastron_sdm230")).running() as double:
        double.tell([7.0, 0.0, 0.0], [1610.0, 0.0, 0.0], [230.0, 0.0, 0.0])
        assert (0.0, 0.0, 7.0) == read(double, phases=(Phase.L3,))


def test_power_alone_counts_as_the_current_at_the_worst_power_factor() -> None:
    about = replace(SDM630, current=None)
    with MeterDouble(about).running() as double:
        double.tell([0.0] * 3, [2070.0, -2300.0, 0.0], [230.0, 230.0, 0.0])
        assert [10.0, -10.0, 0.0] == [round(a, 6) for a in read(double)]


def test_a_current_that_is_mostly_reactive_counts_as_drawn() -> None:
    with MeterDouble(SDM630).running() as double:
        double.tell([10.0, 10.0, 10.0], [-600.0, -800.0, -2300.0], [230.0, 230.0, 230.0])
        assert (10.0, -10.0, -10.0) == read(double)


def test_a_building_above_its_worst_case_is_seen_by_its_meter_and_not_forgotten_when_the_meter_is_gone() -> None:
    world = World(small_site(evses=2, limit_a=60.0, building_worst_a=10.0))
    world.meter_works = False
    double = MeterDouble(SDM630)
    meter = ModbusMeter(replace(how(double), meter=MeterId("meter")))

    def run(seconds: int, *, building_a: float) -> float:
        for second in range(seconds):
            if second % 5 == 0:
                amps = [a + building_a for a in world.draw_a(CircuitId("main"))]
                double.tell(amps, [a * 230.0 for a in amps], [230.0, 230.0, 230.0 + second % 7])
                with suppress(InputError):
                    for fact in meter.poll(world.now):
                        world.tell(fact)
            world.run(1)
        return max(world.draw_a(CircuitId("main")))

    with double.running():
        world.connect()
        run(20, building_a=8.0)
        world.plug("E1")
        world.plug("E2")
        assert 40.0 < run(120, building_a=8.0) <= 50.0
        assert 20.0 < run(int(world.site.timing.reaction_time_s), building_a=30.0) <= 30.0
    assert run(60, building_a=30.0) <= 30.0
    assert "stale meter" in {alarm.kind for alarm in world.controller.view().alarms}


def refused(double: MeterDouble) -> None:
    double.refusal = ExcCodes.GATEWAY_NO_RESPONSE


def no_number(double: MeterDouble) -> None:
    double.words[8], double.words[9] = 0x7FC0, 0


def beyond_measure(double: MeterDouble) -> None:
    double.tell([3e6, 1.0, 1.0], [1.0] * 3, [230.0] * 3)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (refused, r"unit 7: register 6 is refused: it does not answer its gateway \(exception 11\)"),
        (no_number, "the current of L2, register 8, is no number"),
        (beyond_measure, "the current of L1 cannot be: 3000000"),
    ],
)
def test_what_is_no_reading_is_a_fault_in_words_and_the_next_poll_goes_on(
    spoil: Callable[[MeterDouble], None], said: str
) -> None:
    with MeterDouble(SDM630).running() as double:
        double.tell([1.0] * 3, [230.0] * 3, [230.0] * 3)
        meter = ModbusMeter(how(double))
        good = dict(double.words)
        spoil(double)
        with pytest.raises(InputError, match=said):
            meter.poll(T0)
        double.words, double.refusal = good, None
        assert (1.0, 1.0, 1.0) == meter.poll(after(1))[0].currents_a


@pytest.mark.parametrize(("name", "words"), [("carlo_gavazzi_em24_e1", (0x0000, 0x7FFF)), ("sunspec_203", (0x8000,))])
def test_an_integer_that_stands_for_no_number_is_none(name: str, words: tuple[int, ...]) -> None:
    about = shipped_map(name)
    assert about.current is not None
    assert about.current.at[0] is not None
    double = sunspec(40000) if about.sunspec_model else MeterDouble(about)
    for offset, word in enumerate(words):
        double.words[double.base + about.current.at[0] + offset] = word
    with double.running(), pytest.raises(InputError, match=r"the current of L1, register .*, is no number"):
        read(double)


def test_a_meter_that_went_away_is_a_fault_and_is_found_again() -> None:
    double = MeterDouble(SDM630)
    double.tell([1.0] * 3, [230.0] * 3, [230.0] * 3)
    meter = ModbusMeter(how(double))
    with pytest.raises(InputError, match="nobody answers there"):
        meter.poll(T0)
    with double.running():
        assert 1 == len(meter.poll(after(1)))
    with pytest.raises(InputError, match="unit 7: the connection broke off"):
        meter.poll(after(2))
    with double.running():
        assert 1 == len(meter.poll(after(3)))


def test_a_unit_that_nobody_has_is_a_fault_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadmgr.feeds.modbus_link.TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        double = MeterDouble(SDM630)
        double.port = silent.getsockname()[1]
        with pytest.raises(InputError, match=r"no answer within 0\.2 s"):
            read(double)


def test_values_that_do_not_move_at_all_are_those_of_a_dead_bus() -> None:
    with MeterDouble(SDM630).running() as double:
        double.tell([1.0] * 3, [230.0] * 3, [230.1, 229.8, 230.0])
        meter = ModbusMeter(how(double, frozen_s=10.0))
        assert 1 == len(meter.poll(T0))
        assert 1 == len(meter.poll(after(10)))
        with pytest.raises(InputError, match="the same to the last digit for more than 10 s"):
            meter.poll(after(11))
        double.tell([1.0] * 3, [230.0] * 3, [230.1, 229.8, 230.1])
        assert 1 == len(meter.poll(after(12)))


def test_a_meter_without_voltages_may_stand_still() -> None:
    about: RegisterMap = replace(SDM630, voltage=None)
    with MeterDouble(about).running() as double:
        meter = ModbusMeter(how(double, frozen_s=10.0))
        assert [1, 1] == [len(meter.poll(T0)), len(meter.poll(after(3600)))]

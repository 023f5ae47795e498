"""A stationary battery on Modbus TCP: what it does and how full it is, and what it is to do.

Rules
-----
1. A power is written only after everything that makes the battery take orders, in one go; a part that is refused fails
   the whole order, and the battery's own watchdog puts it to rest.
2. What does not fit into the registers is not written at all: a power that wraps around would be one of the other sign.
"""

import threading
from datetime import datetime

from loadmgr.control.observation import BatteryReading
from loadmgr.errors import InputError
from loadmgr.feeds.modbus_link import ModbusLink
from loadmgr.site_file.sources import BatteryInput, Point

FULLEST = 1.05
"""Above this share a state of charge cannot be; up to it a battery is full."""


class ModbusBattery:
    """A battery that is asked and told."""

    def __init__(self, how: BatteryInput) -> None:
        self.id = f"battery {how.battery}"
        self.battery = how.battery
        self._map = about = how.map
        self._link = ModbusLink(how.host, how.port, how.unit, is_input=about.is_input, big_words=about.big_words)
        self._alone = threading.Lock()  # it is asked and told from two threads, over one connection

    def poll(self, now: datetime) -> list[BatteryReading]:
        """Return what it does.

        Raises
        ------
        InputError
            If it does not say.
        """
        with self._alone, self._link.talking():
            power_w = self._value("power", self._map.power)
            full = self._value("state of charge", self._map.state_of_charge)
            if not -0.01 <= full <= FULLEST:
                raise InputError(f"a state of charge of {full:g} cannot be: 1 is full; look at its scale")
        full = min(1.0, max(0.0, full))
        return [BatteryReading(at=now, battery=self.battery, power_w=power_w, state_of_charge_ratio=full)]

    def tell(self, power_w: int) -> None:
        """Tell it what to do [W], above 0 to charge.

        Raises
        ------
        InputError
            If it could not be told.
        """
        point = self._map.set_power
        with self._alone, self._link.talking():
            words = self._link.words_of(power_w / point.scale, point.number)
            for address, value in self._map.before:
                self._link.write(address, [value])
            self._link.write(point.at, words)

    def _value(self, name: str, point: Point) -> float:
        number = self._link.number(self._link.words(point.at, point.number.registers), point.number)
        if number is None:
            raise InputError(f"its {name}, register {point.at}, is no number")
        return number * point.scale

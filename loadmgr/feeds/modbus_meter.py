"""A meter on Modbus TCP, read by a register map (SunSpec information models where the map names one).

Each quantity is read in one request, and no register that the map does not name is asked for: some meters refuse a
request that touches one, and some take few registers at a time.
"""

from datetime import datetime

from loadmgr.control.observation import SiteMeterReading
from loadmgr.errors import InputError
from loadmgr.feeds.meter_values import NONE, PHASES, LifeWatch, MeterValues, PhaseValues, reading_of
from loadmgr.feeds.modbus_link import ModbusLink
from loadmgr.site_file.sources import MeterInput, ModbusPlace, Number, Quantity

SUNSPEC_HEADS = (40000, 0, 50000)
SUNSPEC_MARK = [0x5375, 0x6E53]
SUNSPEC_END = 0xFFFF
MOST_MODELS = 100


class ModbusMeter:
    """A meter that is read at each poll.

    Parameters
    ----------
    how : MeterInput
        With ``modbus`` set.
    """

    def __init__(self, how: MeterInput) -> None:
        assert how.modbus is not None
        self.id = f"meter {how.meter}"
        self._how = how
        self._registers = Registers(how.modbus)
        self._life = LifeWatch(how.frozen_s)

    def poll(self, now: datetime) -> list[SiteMeterReading]:
        """Return a reading.

        Raises
        ------
        InputError
            If there is none; the next poll tries again.
        """
        values = self._registers.values()
        self._life.require_life(values, now)
        return [reading_of(values, self._how, now)]


class Registers:
    """The registers of a meter."""

    def __init__(self, place: ModbusPlace) -> None:
        about = place.map
        self._map = about
        self._link = ModbusLink(place.host, place.port, place.unit, is_input=about.is_input, big_words=about.big_words)
        self._head: int | None = None

    def values(self) -> MeterValues:
        """Return what the meter says.

        Raises
        ------
        InputError
            With the address and the register, if it does not.
        """
        about = self._map
        with self._link.talking():
            if about.sunspec_model is not None and self._head is None:
                self._head = self._find_model(about.sunspec_model)
            return MeterValues(
                current_a=self._quantity("current", about.current),
                power_w=self._quantity("power", about.power),
                voltage_v=self._quantity("voltage", about.voltage),
            )

    def close(self) -> None:
        """Hang up."""
        self._link.close()

    def _quantity(self, name: str, about: Quantity | None) -> PhaseValues:
        if about is None:
            return NONE
        factor = about.scale
        if about.exponent_at is not None:
            exponent = self._link.number(self._words(about.exponent_at, 1), Number.INT16)
            if exponent is None or not -10 <= exponent <= 10:
                raise InputError(f"the scale factor of {name}, register {about.exponent_at}, is {exponent}")
            factor *= 10.0**exponent
        words = self._at_once(about)
        out: list[float | None] = []
        for phase, address in zip(PHASES, about.at, strict=True):
            number = None if address is None else self._link.number(words[address], about.number)
            if address is not None and number is None:
                raise InputError(f"the {name} of {phase}, register {address}, is no number")
            out.append(None if number is None else number * factor)
        return out[0], out[1], out[2]

    def _at_once(self, about: Quantity) -> dict[int, list[int]]:
        """Return the words of each address; addresses that follow each other are asked for together."""
        width, out = about.number.registers, {}
        waiting = sorted(address for address in about.at if address is not None)
        while waiting:
            first, run = waiting[0], 1
            while run < len(waiting) and waiting[run] == first + run * width:
                run += 1
            words = self._words(first, run * width)
            for index in range(run):
                out[first + index * width] = words[index * width : (index + 1) * width]
            waiting = waiting[run:]
        return out

    def _words(self, address: int, count: int) -> list[int]:
        return self._link.words(address + (self._head or 0), count)

    def _find_model(self, wanted: int) -> int:
        """Return where a SunSpec model begins; each tells its number and how many registers follow."""
        for base in SUNSPEC_HEADS:
            try:
                found = self._words(base, 2) == SUNSPEC_MARK
            except InputError:
                continue
            if not found:
                continue
            at = base + 2
            for _ in range(MOST_MODELS):
                model, length = self._words(at, 2)
                if model == wanted:
                    return at
                if model == SUNSPEC_END:
                    break
                at += 2 + length
            raise InputError(f"it has no SunSpec model {wanted}")
        raise InputError("it does not speak SunSpec")

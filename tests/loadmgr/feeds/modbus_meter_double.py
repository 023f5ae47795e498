"""A meter and a battery on a real socket: pymodbus's own server, with just the registers that a map names."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pymodbus.client import ModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from loadmgr.feeds.modbus_link import TYPES
from loadmgr.site_file.sources import Number, Quantity, RegisterMap

UNIT = 7


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class MeterDouble:
    """The registers of a map, held by a server; a test changes ``words`` and ``refusal`` while it runs."""

    def __init__(
        self, about: RegisterMap, *, base: int = 0, more: dict[int, int] | None = None, unit: int = UNIT
    ) -> None:
        self.about, self.base, self.unit = about, base, unit
        self.words: dict[int, int] = dict(more or {})
        self.refusal: ExcCodes | None = None
        self.port = free_port()
        for quantity in (about.current, about.power, about.voltage):
            if quantity is not None:
                for address in quantity.at:
                    if address is not None:
                        self.set(quantity, address, 0.0)
                if quantity.exponent_at is not None:
                    self.words[base + quantity.exponent_at] = 0

    def set(self, quantity: Quantity, address: int, number: float) -> None:
        """Write a number in the meter's own units."""
        raw = number if quantity.number is Number.FLOAT32 else round(number)
        order = "big" if self.about.big_words else "little"
        written = ModbusTcpClient.convert_to_registers(raw, TYPES[quantity.number], word_order=order)
        for offset, word in enumerate(written):
            self.words[self.base + address + offset] = word

    def tell(self, current_a: list[float], power_w: list[float], voltage_v: list[float]) -> None:
        """Write what the meter measures, in A, W and V."""
        about = self.about
        for quantity, values in ((about.current, current_a), (about.power, power_w), (about.voltage, voltage_v)):
            if quantity is not None:
                for address, value in zip(quantity.at, values, strict=True):
                    if address is not None:
                        self.set(quantity, address, value / quantity.scale)

    async def _action(self, code: int, start: int, address: int, count: int, held: list[int], new: object) -> object:
        del code, new
        for at in range(address, address + count):
            held[at - start] = self.words[at]
        return self.refusal

    def _device(self) -> SimDevice:
        block = [SimData(at, values=self.words[at], datatype=DataType.REGISTERS) for at in sorted(self.words)]
        return SimDevice(self.unit, simdata=block, action=self._action)

    @contextmanager
    def running(self) -> Iterator["MeterDouble"]:
        """Serve on a thread of its own."""
        with serving(self._device, self.port):
            yield self


class BatteryDouble:
    """Holding registers that are written too; what was written is kept in order."""

    def __init__(self, words: dict[int, int]) -> None:
        self.words, self.written = words, list[tuple[int, list[int]]]()
        self.refused: set[int] = set()
        self.port = free_port()

    async def _action(self, code: int, start: int, address: int, count: int, held: list[int], new: Any) -> object:
        del code
        if address in self.refused:
            return ExcCodes.ILLEGAL_VALUE
        if new is not None:
            self.written.append((address, list(new)))
            return None
        for at in range(address, address + count):
            held[at - start] = self.words[at]
        return None

    def _device(self) -> SimDevice:
        block = [SimData(at, values=self.words[at], datatype=DataType.REGISTERS) for at in sorted(self.words)]
        return SimDevice(1, simdata=block, action=self._action)

    @contextmanager
    def running(self) -> Iterator["BatteryDouble"]:
        """Serve on a thread of its own."""
        with serving(self._device, self.port):
            yield self


@contextmanager
def serving(device: Callable[[], SimDevice], port: int) -> Iterator[None]:
    """Serve a device on a thread of its own."""
    loop = asyncio.new_event_loop()
    server: list[ModbusTcpServer] = []

    async def serve() -> None:
        server.append(ModbusTcpServer(device(), address=("127.0.0.1", port)))
        await server[0].serve_forever(background=True)

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(serve(), loop).result(10.0)
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(server[0].shutdown(), loop).result(10.0)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10.0)
        loop.close()

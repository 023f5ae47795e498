"""A device on Modbus TCP: words in and out, numbers from words (Modbus application protocol V1.1b3).

Rules
-----
1. What says that there is no number (NaN, 0x8000 and its like, the overflow of Carlo Gavazzi's meters) is no number.
2. After any fault the connection is opened anew: an answer that comes late must not be taken for that of the next.
"""

import logging
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from pymodbus import ModbusException
from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusIOException

from loadmgr.errors import InputError
from loadmgr.site_file.sources import Number

# pymodbus logs every failed request as an error; what is wrong is told once, in words, by who polls.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)

TIMEOUT_S = 3.0

TYPES = {
    Number.INT16: ModbusTcpClient.DATATYPE.INT16,
    Number.UINT16: ModbusTcpClient.DATATYPE.UINT16,
    Number.INT32: ModbusTcpClient.DATATYPE.INT32,
    Number.UINT32: ModbusTcpClient.DATATYPE.UINT32,
    Number.FLOAT32: ModbusTcpClient.DATATYPE.FLOAT32,
}
_ABSENT = {
    Number.INT16: {0x8000},
    Number.UINT16: {0xFFFF},
    Number.INT32: {0x80000000},
    Number.UINT32: {0xFFFFFFFF},
    Number.FLOAT32: set[int](),
}
_OVERFLOW = 0x7FFF
"""The high word of a 32-bit integer that does not fit (Carlo Gavazzi, EM24 communication protocol)."""


class ModbusLink:
    """A connection to one unit.

    Parameters
    ----------
    is_input : bool
        Reading is by function 4 instead of 3.
    big_words : bool
        The high word comes first.
    """

    def __init__(self, host: str, port: int, unit: int, *, is_input: bool, big_words: bool) -> None:
        self._where, self._unit = f"{host}:{port} unit {unit}", unit
        self._is_input, self._big_words = is_input, big_words
        self._client = ModbusTcpClient(host, port=port, timeout=TIMEOUT_S, retries=0)

    @contextmanager
    def talking(self) -> Iterator[None]:
        """Be connected; whatever goes wrong within is a fault with the address, and hangs up.

        Raises
        ------
        InputError
            With what went wrong.
        """
        try:
            self._connect()
            yield
        except (ModbusException, OSError, ValueError) as error:
            self.close()
            raise InputError(f"{self._where}: {_broken(error)}") from error
        except InputError as error:
            self.close()
            raise InputError(f"{self._where}: {error}") from error

    def _connect(self) -> None:
        if not self._client.connected and not self._client.connect():
            raise InputError("nobody answers there")

    def close(self) -> None:
        """Hang up."""
        with suppress(ModbusException, OSError):
            self._client.close()

    def words(self, address: int, count: int) -> list[int]:
        """Return registers.

        Raises
        ------
        InputError
            If they are refused.
        """
        ask = self._client.read_input_registers if self._is_input else self._client.read_holding_registers
        answer = ask(address, count=count, device_id=self._unit)
        if answer.isError():
            raise InputError(f"register {address} is refused: {_refusal(answer.exception_code)}")
        if len(answer.registers) != count:
            raise InputError(f"{count} registers from {address} on were asked for, {len(answer.registers)} came")
        return list(answer.registers)

    def write(self, address: int, words: list[int]) -> None:
        """Write registers: one by function 6, more by 16.

        Raises
        ------
        InputError
            If they are refused.
        """
        if len(words) == 1:
            answer = self._client.write_register(address, words[0], device_id=self._unit)
        else:
            answer = self._client.write_registers(address, words, device_id=self._unit)
        if answer.isError():
            raise InputError(f"writing register {address} is refused: {_refusal(answer.exception_code)}")

    def number(self, words: list[int], kind: Number) -> float | None:
        """Return the number that registers hold; ``None`` where they hold none."""
        ordered = words if self._big_words else words[::-1]
        raw = int("".join(f"{word:04x}" for word in ordered), 16)
        if raw in _ABSENT[kind] or (kind is Number.INT32 and ordered[0] == _OVERFLOW):
            return None
        number = ModbusTcpClient.convert_from_registers(words, TYPES[kind], word_order=self._order)
        if not isinstance(number, int | float) or not math.isfinite(number):
            return None
        return float(number)

    def words_of(self, number: float, kind: Number) -> list[int]:
        """Return a number as registers, integers cut towards 0.

        Raises
        ------
        InputError
            If the registers cannot hold it.
        """
        raw = number if kind is Number.FLOAT32 else int(number)
        try:
            return ModbusTcpClient.convert_to_registers(raw, TYPES[kind], word_order=self._order)
        except (struct.error, ModbusException, ValueError) as error:
            raise InputError(f"{raw} does not fit into {kind}") from error

    @property
    def _order(self) -> Literal["big", "little"]:
        return "big" if self._big_words else "little"


def _broken(error: Exception) -> str:
    if isinstance(error, ConnectionException):
        return "the connection broke off"
    if isinstance(error, ModbusIOException):
        return f"no answer within {TIMEOUT_S:g} s"
    return str(error).removeprefix("Modbus Error: ")


def _refusal(code: int) -> str:
    words = {
        1: "it does not know the function",
        2: "there is no such register",
        3: "so many registers at once are too many, or a value is not taken",
        4: "it has a fault",
        10: "the gateway has no way to it",
        11: "it does not answer its gateway",
    }
    return f"{words.get(code, 'it says no more')} (exception {code})"

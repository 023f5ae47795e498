"""Messages per CPU-second of the server, against a bare echo and the `ocpp` package, in one run.

Run by hand: ``pytest -n0 -s tests/benchmarks/test_link_speed.py``. Figures depend on the machine, and on what else it
does; so the bare echo is measured beside them, and the goals are scaled with it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from ocpp_link import schemas
from ocpp_link.message import Message
from ocpp_link.v16 import MeterValuesRequest
from ocpp_link.v201_parts import TransactionEventRequest
from tests.benchmarks.link_load import Figure, best, meter_values, run_echo, run_ocpp_package, run_ours, run_ours_plain
from tests.ocpp_link.payloads import example

MESSAGES = 20_000
CONNECTIONS = [int(each) for each in os.environ.get("CONNECTIONS", "10 100 1000").split()]
GOAL_US = {100: (25.0, 20.0), 1000: (30.0, 35.0)}
"""What a message may cost, and what the bare echo costs on the machine that this was said of."""


@pytest.mark.timeout(900)
def test_link_speed_against_bare_echo_and_the_ocpp_package() -> None:
    print("\nserver           connections  us/message  x echo  kB/connection")
    for connections in CONNECTIONS:
        echo = best(run_echo, connections=connections, messages=MESSAGES)
        _print("bare echo", echo, echo)
        ours = best(run_ours_plain, connections=connections, messages=MESSAGES)
        _print("ours, def", ours, echo)
        coroutine = best(run_ours, connections=connections, messages=MESSAGES)
        _print("ours, async def", coroutine, echo)
        package = best(run_ocpp_package, connections=connections, messages=MESSAGES // 10, use_uvloop=False, runs=2)
        _print("ocpp package", package, echo)
        print(f"{'':16} {package.us_per_message / ours.us_per_message:.0f} times the ocpp package's messages")
        if connections in GOAL_US:
            goal_us, said_of_us = GOAL_US[connections]
            scaled_us = goal_us * echo.us_per_message / said_of_us
            print(f"{'':16} goal {goal_us:g} us where the echo takes {said_of_us:g}: {scaled_us:.1f} us here")
        assert package.us_per_message > coroutine.us_per_message


def _print(name: str, figure: Figure, echo: Figure) -> None:
    ratio = figure.us_per_message / echo.us_per_message
    print(
        f"{name:15}  {figure.connections:11}  {figure.us_per_message:10.1f}  {ratio:6.2f}"
        f"  {figure.resident_kb_per_connection:13.1f}",
        flush=True,
    )


def test_checking_and_typing_a_message() -> None:
    payload = orjson.loads(meter_values("m" * 36))[3]
    event = example("2.0.1", "TransactionEvent", response=False, full=True)
    print()
    for version, action, typed, payload_ in (
        ("1.6", "MeterValues", MeterValuesRequest, payload),
        ("2.0.1", "TransactionEvent", TransactionEventRequest, event),
    ):
        print(f"{action} {version}: {_cost_us(version, action, typed, payload_):.1f} us to check and type")


def _cost_us(version: Any, action: str, typed: type[Message], payload: dict[str, Any]) -> float:
    check = schemas.request_check(version, action)

    def once() -> None:
        assert check(payload)
        typed.from_wire(payload)

    return _quickest_us(once)


def _quickest_us(work: Callable[[], None], *, rounds: int = 20, each: int = 500) -> float:
    work()
    took_s = []
    for _ in range(rounds):
        began_s = time.process_time()
        for _ in range(each):
            work()
        took_s.append(time.process_time() - began_s)
    return min(took_s) / each * 1e6


def test_importing_the_link() -> None:
    print()
    for name in ("ocpp_link", "ocpp_link.transport", "ocpp_link.v16"):
        code = f"import time; t = time.process_time(); import {name}; print(time.process_time() - t)"
        took_s = min(float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(5))
        print(f"import {name}: {took_s * 1e3:.0f} ms")

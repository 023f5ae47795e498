"""A coverage-blind fuzzer of frames and payloads, run by hand: ``python -m tests.benchmarks.link_fuzz 1000000``.

It mutates valid frames of every action (bytes, structure, values) and feeds them to long-lived machines of the three
versions. Any exception ends it with the text that raised; memory is printed on the way and has to stay flat.
"""

import copy
import json
import random
import sys
import time
from typing import Any

from ocpp_link.dialect import VERSIONS, Role, actions
from ocpp_link.events import CallReceived
from ocpp_link.protocol import Protocol
from tests.ocpp_link.payloads import example

_ODD: list[Any] = [None, True, -1, 0, 2**70, 1e308, 0.1, "", "x" * 300, "\u0000", "\ud7ff", [], {}, [[]], {"a": {}}]


def main(count: int) -> None:
    """Feed ``count`` texts."""
    chance = random.Random(1)
    machines = [Protocol(role=role, version=version) for version in VERSIONS for role in Role]
    seeds = [
        [kind, "id", row.name, example(row.version, row.name, response=False, full=chance.random() < 0.7)]
        for version in VERSIONS
        for row in actions(version).values()
        for kind in (2, 2, 6)
    ] + [[3, "id", {"status": "Accepted"}], [4, "id", "GenericError", "", {}], [5, "id", "GenericError", "", {}]]
    began_s = time.perf_counter()
    for number in range(count):
        text = _text(chance, chance.choice(seeds), number)
        machine = chance.choice(machines)
        try:
            _feed(machine, text, float(number))
        except Exception:
            sys.stderr.write(f"after {number} texts, {machine.version} {machine.role}: {text!r}\n")
            raise
        if number % 100_000 == 0:
            rate = (number + 1) / (time.perf_counter() - began_s)
            print(f"{number:9} texts, {rate:8.0f} a second, {_resident_mb():6.1f} MB resident", flush=True)
    print(f"{count:9} texts, no exception, {_resident_mb():6.1f} MB resident")


def _feed(machine: Protocol, text: bytes, now_s: float) -> None:
    if machine.next_deadline_s() is None:
        machine.call("DataTransfer", {"vendorId": "v"}, now_s=now_s)
    for event in machine.receive(text, now_s):
        if isinstance(event, CallReceived):
            machine.answer(event.message_id, {})
    machine.tick(now_s)
    for answer in machine.texts_to_send():
        json.loads(answer)


def _text(chance: random.Random, seed: list[Any], number: int) -> bytes:
    frame = json.loads(json.dumps(seed))
    frame[1] = f"id{number % 50}"
    for _ in range(chance.randrange(3)):
        _mutate(chance, frame)
    text = bytearray(json.dumps(frame).encode())
    for _ in range(chance.choice((0, 0, 0, 1, 3))):
        place = chance.randrange(len(text) + 1)
        match chance.randrange(3):
            case 0:
                text[place : place + chance.randrange(4)] = b""
            case 1:
                text[place:place] = bytes([chance.randrange(256)])
            case _:
                text[place:place] = chance.choice((b",", b"\\", b"null", b"[", b"}", b'"', b"NaN"))
    return bytes(text)


def _mutate(chance: random.Random, node: Any) -> None:
    """Change one value somewhere below a node."""
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = chance.choice(keys)
        if isinstance(node[key], dict | list) and node[key] and chance.random() < 0.8:
            node = node[key]
            continue
        if chance.random() < 0.3:
            del node[key]
        else:
            node[key] = copy.deepcopy(chance.choice(_ODD))
        return


def _resident_mb() -> float:
    with open("/proc/self/statm") as file:  # noqa: PTH123 - not a file but the kernel
        return int(file.read().split()[1]) * 4 / 1024


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)

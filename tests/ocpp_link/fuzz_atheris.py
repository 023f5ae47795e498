"""A coverage-guided fuzzer of frames, payloads and both protocol machines, run by hand.

``python -m tests.ocpp_link.fuzz_atheris -runs=1000000 -rss_limit_mb=1024 [CORPUS_DIRECTORY]``; needs the ``atheris``
package. Any exception, and memory beyond the limit, ends it with the input that did it. Inputs are seeded with a valid
frame of every action; the first byte chooses version and role.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ocpp_link"]):
    from ocpp_link import frames, schemas
    from ocpp_link.dialect import VERSIONS, Role, actions
    from ocpp_link.events import CallReceived
    from ocpp_link.protocol import Protocol

from tests.ocpp_link.payloads import example

_SHOWN_EVERY = 100_000
_IDS = 997
MACHINES = [Protocol(role=role, version=version) for version in VERSIONS for role in Role]
fed = 0
began_s = time.perf_counter()


def feed(data: bytes) -> None:
    """Feed one input to the machine that its first byte names, and to the schemas as request and response."""
    global fed  # noqa: PLW0603 - libFuzzer calls a plain function
    fed += 1
    if fed % _SHOWN_EVERY == 0:
        rate = fed / (time.perf_counter() - began_s)
        print(f"{fed:9} inputs, {rate:7.0f} a second, {_resident_mb():6.1f} MB resident", flush=True)
    if not data:
        return
    machine, now_s = MACHINES[data[0] % len(MACHINES)], float(fed)
    text = data[1:].replace(b'"id"', b'"%d"' % (fed % _IDS))  # else most inputs were repeats of an answered call
    frame = frames.parse(text)
    if isinstance(frame, frames.Call | frames.Send) and frame.action in actions(machine.version):
        row = actions(machine.version)[frame.action]
        for response in (False, True) if row.has_response else (False,):
            schemas.first_fault(machine.version, frame.action, frame.payload, response=response)
    if machine.next_deadline_s() is None:
        machine.call("DataTransfer", {"vendorId": "v"}, now_s=now_s)
    for event in machine.receive(text, now_s):
        if isinstance(event, CallReceived):
            machine.answer(event.message_id, {})
    machine.tick(now_s)
    for answer in machine.texts_to_send():
        json.loads(answer)


def write_seeds(directory: Path) -> None:
    """Write one valid frame of every action, and the rarer frames."""
    places = [(version, role) for version in VERSIONS for role in Role]
    for place, (version, role) in enumerate(places):
        rows = [row for row in actions(version).values() if row.may_come_from(_other(role))]
        for row in rows:
            kind = 2 if row.has_response else 6
            text = json.dumps([kind, "id", row.name, example(version, row.name, response=False, full=True)])
            (directory / f"{version}-{role.name}-{row.name}").write_bytes(bytes([place]) + text.encode())
        for number, rare in enumerate(([3, "id", {}], [4, "id", "GenericError", "", {}], [5, "id", "x", "", {}])):
            (directory / f"{version}-{role.name}-{number}").write_bytes(bytes([place]) + json.dumps(rare).encode())


def write_words(path: Path) -> None:
    """Write what a station may say where it should not; mutations put it anywhere."""
    words = ["1e21", "-1e300", "1180591620717411303424", "NaN", "null", "true", "{}", "[]", '""', "\\ud800", ",", "1,5"]
    path.write_text("".join(f"{json.dumps(word)}\n" for word in words))


def _other(role: Role) -> Role:
    return Role.STATION if role is Role.CSMS else Role.CSMS


def _resident_mb() -> float:
    with open("/proc/self/statm") as file:  # noqa: PTH123 - not a file but the kernel
        return int(file.read().split()[1]) * 4 / 1024


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as seeds:
        write_seeds(Path(seeds))
        words = Path(tempfile.mkdtemp()) / "words"
        write_words(words)
        named = [each for each in sys.argv[1:] if not each.startswith("-")]
        atheris.Setup([*sys.argv, f"-dict={words}", *([] if named else [tempfile.mkdtemp()]), seeds], feed)
        atheris.Fuzz()

"""Servers in a process of their own, and a closed-loop load of MeterValues on them, for the link's benchmarks."""

import asyncio
import gc
import json
import multiprocessing
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import uvloop
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

MESSAGE_BYTES = 1248
BACKLOG = 4096
"""With the default, the kernel drops some of a thousand connections, and the load waits for ever."""


def meter_values(message_id: str) -> bytes:
    """Return a 1.6 MeterValues call of 1,248 bytes: eleven samples and a padded one."""
    samples = [
        {"value": f"{230.1 + n:.1f}", "context": "Sample.Periodic", "measurand": name, "unit": unit}
        | ({"phase": phase} if phase else {})
        for n, (name, unit, phase) in enumerate(
            [("Energy.Active.Import.Register", "Wh", ""), ("Power.Active.Import", "W", "")]
            + [("Current.Import", "A", phase) for phase in ("L1", "L2", "L3")]
            + [("Voltage", "V", phase) for phase in ("L1-N", "L2-N", "L3-N")]
            + [("SoC", "Percent", "")]
        )
    ]
    meter_value = {"timestamp": "2025-03-20T10:15:00Z", "sampledValue": samples}
    payload = {"connectorId": 1, "transactionId": 42, "meterValue": [meter_value]}
    frame: list[Any] = [2, message_id, "MeterValues", payload]
    missing = MESSAGE_BYTES - len(json.dumps(frame, separators=(",", ":")))
    samples[0]["value"] = "1" * (missing + len(samples[0]["value"]))
    text = json.dumps(frame, separators=(",", ":")).encode()
    if len(text) != MESSAGE_BYTES:
        raise AssertionError(len(text))
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What a server used for a load."""

    connections: int
    messages: int
    cpu_s: float
    wall_s: float
    resident_kb_per_connection: float

    @property
    def us_per_message(self) -> float:
        return self.cpu_s / self.messages * 1e6


# --- servers, each run in a fresh process ---


async def run_ours() -> int:
    """Our server with a handler that is a coroutine."""

    class Handler(_QuietHandler):
        async def on_call(self, station: Any, action: str, payload: dict[str, Any]) -> dict[str, Any]:
            return {}

    return await _run_ours(Handler())


async def run_ours_plain() -> int:
    """Our server with a handler that is a plain function."""

    class Handler(_QuietHandler):
        def on_call(self, station: Any, action: str, payload: dict[str, Any]) -> dict[str, Any]:
            return {}

    return await _run_ours(Handler())


class _QuietHandler:
    async def on_connect(self, station: Any) -> None: ...

    async def on_disconnect(self, station: Any, reason: str) -> None: ...

    def on_event(self, station: Any, event: Any) -> None: ...


async def _run_ours(handler: Any) -> int:
    from ocpp_link.transport import Policy, serve

    # The load's stations never boot: without this they would be asked to, in the middle of the measurement.
    policy = Policy(trigger_boot_after_s=None)
    server = await serve("127.0.0.1", 0, handler=handler, versions=("1.6",), policy=policy)
    KEPT.append(server)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    return server.port


async def run_echo() -> int:
    from websockets.asyncio.server import serve

    async def echo(socket: Any) -> None:
        with suppress(ConnectionClosed):  # the load cuts its connections when it is done
            async for text in socket:
                await socket.send(text)

    ocpp = [Subprotocol("ocpp1.6")]
    server = await serve(echo, "127.0.0.1", 0, subprotocols=ocpp, compression=None, backlog=BACKLOG)
    KEPT.append(server)
    return int(server.sockets[0].getsockname()[1])


async def run_ocpp_package() -> int:
    from ocpp.routing import on
    from ocpp.v16 import ChargePoint, call_result
    from websockets.asyncio.server import serve

    class Point(ChargePoint):  # type: ignore[misc]
        @on("MeterValues")
        async def on_meter_values(self, **_payload: Any) -> Any:
            return call_result.MeterValues()

    async def connected(socket: Any) -> None:
        with suppress(ConnectionClosed):
            await Point("x", socket).start()

    server = await serve(connected, "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp1.6")], backlog=BACKLOG)
    KEPT.append(server)
    return int(server.sockets[0].getsockname()[1])


KEPT: list[Any] = []


def _resident_kb() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123 - not a file but the kernel
        return int(file.read().split()[1]) * 4


def _serve(start: Callable[[], Any], pipe: Connection, use_uvloop: bool) -> None:
    async def main() -> None:
        pipe.send(await start())
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def answer() -> None:
            while pipe.recv() == "usage":
                pipe.send((time.process_time(), _resident_kb()))
            loop.call_soon_threadsafe(done.set)

        threading.Thread(target=answer, daemon=True).start()
        await done.wait()

    if use_uvloop:
        uvloop.run(main())
    else:
        asyncio.run(main())


# --- the load ---


class _Client(asyncio.Protocol):
    """One station in a closed loop: the next call goes out when the answer came."""

    def __init__(self, uri: str, calls: list[bytes], load: "_Load") -> None:
        self.core = ClientProtocol(parse_uri(uri), subprotocols=[Subprotocol("ocpp1.6")])
        self.calls = calls
        self.load = load
        self.next = 0
        self.transport: Any = None
        self.ready = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.core.send_request(self.core.connect())
        transport.writelines(self.core.data_to_send())

    def data_received(self, data: bytes) -> None:
        if not self.ready:
            self.core.receive_data(data)
            if self.core.events_received():
                self.ready = True
                self.load.opened()
            return
        if data[:1] == b"\x81":  # one whole unmasked answer: its content is checked in the tests, not here
            self.load.answered(self)

    def fire(self) -> None:
        self.next = (self.next + 1) % len(self.calls)
        self.transport.write(self.calls[self.next])


class _Load:
    def __init__(self, connections: int, messages: int) -> None:
        self.missing = connections
        self.left_to_send = messages
        self.left_to_answer = messages
        self.all_open = asyncio.Event()
        self.all_answered = asyncio.Event()

    def opened(self) -> None:
        self.missing -= 1
        if self.missing == 0:
            self.all_open.set()

    def answered(self, client: _Client) -> None:
        self.left_to_answer -= 1
        if self.left_to_answer == 0:
            self.all_answered.set()
        elif self.left_to_send > 0:
            self.left_to_send -= 1
            client.fire()


def _masked(text: bytes) -> bytes:
    return Frame(Opcode.TEXT, text).serialize(mask=True)


async def _run_load(port: int, connections: int, messages: int, pipe: Connection) -> Figure:
    loop = asyncio.get_running_loop()
    load = _Load(connections, messages)
    _, before_kb = await _usage(pipe)
    clients = []
    for number in range(connections):
        calls = [_masked(meter_values(f"{number:05d}-{turn:030d}")) for turn in range(80 if connections < 500 else 70)]
        uri = f"ws://127.0.0.1:{port}/ocpp/CS{number}"
        _, client = await loop.create_connection(
            lambda uri=uri, calls=calls: _Client(uri, calls, load),
            "127.0.0.1",
            port,  # type: ignore[misc]
        )
        clients.append(client)
    await load.all_open.wait()
    await asyncio.sleep(0.2)
    cpu_before_s, open_kb = await _usage(pipe)
    wall_before_s = time.perf_counter()
    for client in clients:
        load.left_to_send -= 1
        client.fire()
    await load.all_answered.wait()
    wall_s = time.perf_counter() - wall_before_s
    cpu_after_s, _ = await _usage(pipe)
    for client in clients:
        client.transport.close()
    return Figure(
        connections=connections,
        messages=messages,
        cpu_s=cpu_after_s - cpu_before_s,
        wall_s=wall_s,
        resident_kb_per_connection=(open_kb - before_kb) / connections,
    )


async def _usage(pipe: Connection) -> tuple[float, int]:
    pipe.send("usage")
    return await asyncio.to_thread(pipe.recv)


def best(
    start: Callable[[], Any], *, connections: int, messages: int, use_uvloop: bool = True, runs: int = 3
) -> Figure:
    """Return the quickest of several runs: what else the machine does only ever adds."""
    figures = [measure(start, connections=connections, messages=messages, use_uvloop=use_uvloop) for _ in range(runs)]
    return min(figures, key=lambda figure: figure.cpu_s)


def measure(start: Callable[[], Any], *, connections: int, messages: int, use_uvloop: bool = True) -> Figure:
    """Run one load on one server in a fresh process."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(start, there, use_uvloop))
    process.start()
    try:
        port = here.recv()
        return uvloop.run(_run_load(port, connections, messages, here))
    finally:
        here.send("stop")
        process.join(5)
        process.kill()

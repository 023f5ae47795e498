"""A relay that strangers cannot notice: whole sessions of the `ocpp` package, frame for frame as without it.

What each end sees is compared between a direct connection and one through the relay: every byte of every frame in its
order, the handshake, and how the connection ended. About 4 s.
"""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, make_dataclass
from typing import Any

import pytest
import websockets
from ocpp.charge_point import ChargePoint, camel_to_snake_case, snake_to_camel_case
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v21 import ChargePoint as ChargePoint21
from ocpp.v21 import call as call21
from ocpp.v21 import call_result as result21
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201

from ocpp_link.dialect import VERSIONS, Action, Version, actions
from ocpp_link.proxy.server import ProxySettings, serve_proxy
from tests.ocpp_link.payloads import example
from tests.ocpp_link.proxy.test_relay import Watcher

POINTS: dict[Version, Any] = {"1.6": ChargePoint16, "2.0.1": ChargePoint201, "2.1": ChargePoint21}
CALLS: dict[Version, Any] = {"1.6": call16, "2.0.1": call201, "2.1": call21}
RESULTS: dict[Version, Any] = {"1.6": result16, "2.0.1": result201, "2.1": result21}
IDENTITY = "CS 1|a"
LOGIN = "Basic Q1M6cGFzc3dvcmQ="
REFUSED = "MeterValues"  # the CSMS answers it with a CALLERROR


@dataclass
class Seen:
    """What one end saw."""

    frames: list[str] = field(default_factory=list)
    handshake: tuple[Any, ...] = ()
    end: tuple[int, str] | None = None


@dataclass
class Session:
    """What both ends saw."""

    station: Seen = field(default_factory=Seen)
    csms: Seen = field(default_factory=Seen)


class Recorded:
    """A connection that keeps every frame of both directions in order."""

    def __init__(self, connection: Any, seen: Seen) -> None:
        self._connection = connection
        self._seen = seen

    async def recv(self) -> str:
        text = await self._connection.recv()
        self._seen.frames.append(f"< {text}")
        return str(text)

    async def send(self, text: str) -> None:
        self._seen.frames.append(f"> {text}")
        await self._connection.send(text)


def is_said_by_the_package(row: Action) -> bool:
    """Return whether the package's own conversion of names keeps the example what it is."""
    request = example(row.version, row.name, response=False, full=False)
    return row.has_response and snake_to_camel_case(camel_to_snake_case(request)) == request


def answers(point: ChargePoint, version: Version, *, from_station: bool) -> ChargePoint:
    """Have a point of the package answer every action of its direction."""
    for row in actions(version).values():
        if (row.from_station if from_station else row.from_csms) and row.has_response:
            response = example(version, row.name, response=True, full=False)

            def on_action(_response: dict[str, Any] = response, _name: str = row.name, **_: Any) -> Any:
                if _name == REFUSED:
                    raise RuntimeError("not today")
                return message(RESULTS[version], _name, _response)

            point.route_map[row.name] = {"_on_action": on_action, "_skip_schema_validation": True}
    return point


def message(module: Any, action: str, payload: dict[str, Any]) -> Any:
    """Return a payload as the package's own class of it, or as one like those where it has none that fits."""
    fields = camel_to_snake_case(payload)
    try:
        return getattr(module, action)(**fields)
    except (AttributeError, TypeError):
        return make_dataclass(action, list(fields))(**fields)


async def say_everything(point: ChargePoint, version: Version, *, from_station: bool, first_id: int) -> int:
    """Call every action of a direction in the order of the catalogue; return how many."""
    numbers = itertools.count(first_id)
    point._unique_id_generator = lambda: f"id-{next(numbers)}"
    said = 0
    for row in actions(version).values():
        if not (row.from_station if from_station else row.from_csms) or not is_said_by_the_package(row):
            continue
        request = example(version, row.name, response=False, full=False)
        await point.call(message(CALLS[version], row.name, request), suppress=True, skip_schema_validation=True)
        said += 1
    return said


def session(version: Version, *, relayed: bool) -> tuple[Session, int]:
    """Play a whole session of two strangers; return what they saw, and how many calls were made."""
    seen, said = Session(), []

    async def csms(connection: Any) -> None:
        request = connection.request
        seen.csms.handshake = (request.path.rpartition("/")[2], *offered(request), connection.subprotocol)
        point = answers(POINTS[version](IDENTITY, Recorded(connection, seen.csms)), version, from_station=True)
        listening = asyncio.create_task(point.start())
        async with asyncio.timeout(20):
            await booted.wait()
        said.append(await say_everything(point, version, from_station=False, first_id=1))
        told.set()
        await asyncio.gather(listening, return_exceptions=True)
        seen.csms.end = (connection.close_code, connection.close_reason)

    async def main() -> None:
        async with AsyncExitStack() as closing:
            protocol: Any = [f"ocpp{version}"]
            above = await closing.enter_async_context(websockets.serve(csms, "127.0.0.1", 0, subprotocols=protocol))
            url = f"ws://127.0.0.1:{above.sockets[0].getsockname()[1]}/ocpp"
            if relayed:
                proxy = await serve_proxy(
                    "127.0.0.1", 0, settings=ProxySettings(upstream_url=url), interceptor=Watcher()
                )
                closing.push_async_callback(proxy.close)
                url = f"ws://127.0.0.1:{proxy.port}/ocpp"
            below = await websockets.connect(
                f"{url}/CS%201%7Ca", subprotocols=protocol, additional_headers={"Authorization": LOGIN}
            )
            point = answers(POINTS[version](IDENTITY, Recorded(below, seen.station)), version, from_station=False)
            listening = asyncio.create_task(point.start())
            async with asyncio.timeout(30):
                said.append(await say_everything(point, version, from_station=True, first_id=1001))
                booted.set()
                await told.wait()
            seen.station.handshake = (below.subprotocol,)
            await below.close(1000, "done")
            await asyncio.gather(listening, return_exceptions=True)
            seen.station.end = (below.close_code or 0, below.close_reason or "")

    booted, told = asyncio.Event(), asyncio.Event()
    asyncio.run(main())
    return seen, sum(said)


def offered(request: Any) -> tuple[Any, ...]:
    """Return what a handshake showed beside its path."""
    return request.headers.get("Sec-WebSocket-Protocol"), request.headers.get("Authorization")


@pytest.mark.parametrize("version", VERSIONS)
def test_strangers_see_every_frame_of_a_session_as_without_it(version: Version) -> None:
    direct, said = session(version, relayed=False)
    through, _ = session(version, relayed=True)

    rows = [row for row in actions(version).values() if row.has_response]
    assert said >= 0.9 * sum(row.from_station + row.from_csms for row in rows)
    assert 2 * said == len(direct.station.frames) == len(direct.csms.frames)
    assert any(frame.startswith("< [4,") for frame in direct.station.frames)
    assert direct.station == through.station
    assert direct.csms.frames == through.csms.frames
    assert direct.csms.handshake == through.csms.handshake


# Every frame of the catalogue as it may be written, by peers that know nothing of OCPP.


def odd(frame: list[Any]) -> str:
    """Write a frame as no serialiser of ours would: with space, escapes, and numbers of their own look."""
    text = json.dumps(frame, indent=1, ensure_ascii=True, separators=(" , ", " :  "))
    return text.replace('"x"', '"\\u0078"').replace(" 1.0", " 1.00e0")


def frames_of(row: Action, number: int) -> list[tuple[bool, str]]:
    """Return what is said about an action: whether the caller says it, and the text."""
    said: list[tuple[bool, str]] = []
    for full, kind in itertools.product((False, True), ("result", "error", "bad result")):
        message_id = f"{row.name[:20]}-{number}-{int(full)}-{kind[:3]}"
        request = example(row.version, row.name, response=False, full=full)
        if not row.has_response:
            said.append((True, odd([6, message_id, row.name, request])))
            continue
        said.append((True, odd([2, message_id, row.name, request])))
        if kind == "error":
            said.append((False, odd([4, message_id, "NotSupported", "not \u00fc here", {"at": 1.0}])))
            continue
        said.append((False, odd([3, message_id, example(row.version, row.name, response=True, full=full)])))
        if kind == "bad result" and row.version == "2.1":
            said.append((True, odd([5, message_id, "FormatViolation", "", {}])))
    return said


Ends = tuple[Callable[[str], Awaitable[None]], Callable[[], Awaitable[str]]]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_frame_of_the_catalogue_passes_as_it_is_written(version: Version) -> None:
    arrived: list[tuple[str, str]] = []

    async def main() -> None:
        there: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def csms(connection: Any) -> None:
            there.set_result(connection)
            await connection.wait_closed()

        protocol: Any = [f"ocpp{version}"]
        async with websockets.serve(csms, "127.0.0.1", 0, subprotocols=protocol) as above:
            url = f"ws://127.0.0.1:{above.sockets[0].getsockname()[1]}/ocpp"
            proxy = await serve_proxy("127.0.0.1", 0, settings=ProxySettings(upstream_url=url), interceptor=Watcher())
            async with websockets.connect(f"ws://127.0.0.1:{proxy.port}/ocpp/CS", subprotocols=protocol) as below:
                up = await there
                for number, row in enumerate(actions(version).values()):
                    ways = [(below, up)] * row.from_station + [(up, below)] * row.from_csms
                    for way, (caller, called) in enumerate(ways):
                        for by_caller, text in frames_of(row, 2 * number + way):
                            speaker, hearer = (caller, called) if by_caller else (called, caller)
                            await speaker.send(text)
                            async with asyncio.timeout(30):
                                arrived.append((text, await hearer.recv()))
            await proxy.close()

    asyncio.run(main())

    assert len(arrived) > 8 * len(actions(version))
    assert [text for text, _ in arrived] == [text for _, text in arrived]

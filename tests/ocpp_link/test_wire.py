"""The fast lane past the WebSocket core reads and writes exactly what the core would."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from ocpp_link.wire import MAX_FAST_BYTES, WebSocket


class Recorder:
    """An owner that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def handshake_received(self, message: Request | Response) -> None:
        self.told.append("handshake")

    def text_received(self, text: bytes) -> None:
        self.told.append(bytes(text))

    def closing(self) -> None:
        self.told.append("closing")

    def closed(self, code: int, reason: str) -> None:
        self.told.append(("closed", code, reason))


class Pipe:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.written += b"<EOF>"

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, _name: str) -> None:
        return None


def hear(chunks: list[bytes], *, fast: bool) -> tuple[list[Any], bytes]:
    """Return what an owner is told of the bytes, and what was written in answer."""
    recorder, pipe = Recorder(), Pipe()
    core = ServerProtocol(max_size=1 << 17, state=State.OPEN)
    socket = WebSocket(core, recorder)
    socket._transport = pipe  # type: ignore[assignment]
    socket._start_close_timer = lambda: None  # type: ignore[method-assign]
    socket._fast = fast
    socket._follow_core()
    for chunk in chunks:
        socket.data_received(chunk)
    return recorder.told, pipe.written


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(each % (len(data) + 1) for each in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


TEXTS = st.binary(max_size=300) | st.sampled_from([0, 1, 125, 126, 127, 65535, 65536, 70000, 140000]).map(
    lambda size: b"t" * size
)
FRAMES = st.one_of(
    TEXTS.map(lambda text: [Frame(Opcode.TEXT, text)]),
    TEXTS.map(lambda text: [Frame(Opcode.BINARY, text)]),
    TEXTS.map(lambda text: [Frame(Opcode.TEXT, text[:3], fin=False), Frame(Opcode.CONT, text[3:])]),
    st.just([Frame(Opcode.PING, b"hello")]),
    st.just([Frame(Opcode.PONG, b"hello")]),
    st.just([Frame(Opcode.CLOSE, Close(1000, "bye").serialize())]),
    # against the rules:
    st.just([Frame(Opcode.CONT, b"of nothing")]),
    st.just([Frame(Opcode.TEXT, b"begun", fin=False), Frame(Opcode.TEXT, b"another")]),
)


@given(st.lists(FRAMES, max_size=6), st.lists(st.integers(0, 1 << 20), max_size=8), st.booleans())
def test_the_fast_lane_hears_and_says_what_the_core_does(
    messages: list[list[Frame]], cuts: list[int], masked: bool
) -> None:
    data = b"".join(frame.serialize(mask=masked) for message in messages for frame in message)

    assert hear([data], fast=False) == hear(cut(data, cuts), fast=True)


@given(TEXTS)
def test_a_text_is_framed_as_the_core_does_it(text: bytes) -> None:
    pipe = Pipe()
    socket = WebSocket(ServerProtocol(state=State.OPEN), Recorder())
    socket._transport = pipe  # type: ignore[assignment]

    assert socket.send_text(text)

    assert Frame(Opcode.TEXT, text).serialize(mask=False) == pipe.written


@given(st.binary(max_size=200), st.lists(st.integers(0, 1 << 20), max_size=5))
def test_noise_is_heard_alike(noise: bytes, cuts: list[int]) -> None:
    whole = Frame(Opcode.TEXT, b"whole").serialize(mask=True) + noise

    told, written = hear([whole], fast=False)
    fast_told, fast_written = hear(cut(whole, cuts), fast=True)

    # A frame that is cut short may be refused earlier by the core, which looks into it; never the other way round.
    assert told[: len(fast_told)] == fast_told
    assert written.startswith(fast_written) or written == fast_written


def test_a_frame_beyond_the_fast_lane_is_taken_by_the_core() -> None:
    big = b"x" * (MAX_FAST_BYTES + 1)
    data = Frame(Opcode.TEXT, big).serialize(mask=True)

    told, _ = hear([data], fast=True)

    assert [big] == told


def test_what_the_core_was_told_behind_our_back_is_written_too() -> None:
    """A proxy answers the handshake and sends later, outside of any read."""
    pipe, core = Pipe(), ServerProtocol(state=State.OPEN)
    socket = WebSocket(core, Recorder())
    socket._transport = pipe  # type: ignore[assignment]
    core.send_ping(b"there?")

    socket.flush()

    assert Frame(Opcode.PING, b"there?").serialize(mask=False) == pipe.written


def test_nothing_is_sent_once_either_end_has_begun_to_close() -> None:
    for chunks in ([Frame(Opcode.CLOSE, Close(1000, "bye").serialize()).serialize(mask=True)], []):
        pipe = Pipe()
        socket = WebSocket(ServerProtocol(state=State.OPEN), Recorder())
        socket._transport = pipe  # type: ignore[assignment]
        socket._start_close_timer = lambda: None  # type: ignore[method-assign]
        socket.data_received(Frame(Opcode.TEXT, b"hello").serialize(mask=True))
        assert socket.send_text(b"answer")
        for chunk in chunks:
            socket.data_received(chunk)
        if not chunks:
            socket.close(1000, "bye")
        written = pipe.written

        assert not socket.send_text(b"too late")
        assert written == pipe.written

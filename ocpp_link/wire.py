"""A WebSocket on asyncio: the `websockets` package's sans-I/O core between a transport and whoever reads the texts.

Rule 1: handshake, control frames, fragments, extensions and close are the core's. Only whole, unfragmented,
    uncompressed text frames take a fast lane past it; the core gets everything else in whole frames, so that it stands
    between two frames whenever the fast lane runs. Anything odd gives the connection to the core for good.
Rule 2: texts are delivered synchronously, in order; the reader never waits for anybody.
Rule 3: a peer that does not read costs bounded memory: beyond `MAX_UNSENT_BYTES` its connection is cut.
"""

import asyncio
import logging
import ssl
from typing import Protocol, cast

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the compiled part
    from websockets.utils import apply_mask

logger = logging.getLogger(__name__)

MAX_UNSENT_BYTES = 1 << 20
"""Several hundred of the largest OCPP messages; a peer that far behind is not reading at all."""

_SILENT_PINGS = 2
"""So many pings may stay without any sign of life: with the silence before them, three intervals."""

MAX_FAST_BYTES = 1 << 16
"""A larger frame leaves the fast lane: the core enforces the size limit while the bytes arrive."""

_END_OF_HEADERS = b"\r\n\r\n"
_SHORTEST_HEADER = 2
_LENGTH_IN_2_BYTES = 126
_LENGTH_IN_8_BYTES = 127
_MASKED = 0x80
_WHOLE_TEXT = 0x81  # FIN, no reserved bits, opcode text

CLOSE_TIMEOUT_S = 10.0
"""Wall time [s] for a peer to complete the closing handshake before its connection is cut."""


class Owner(Protocol):
    """Who reads a WebSocket."""

    def handshake_received(self, message: Request | Response) -> None:
        """Take the peer's half of the opening handshake."""

    def text_received(self, text: bytes) -> None:
        """Take one whole text message."""

    def closing(self) -> None:
        """Take note that the connection has begun to end; no text can be sent any more."""

    def closed(self, code: int, reason: str) -> None:
        """Take note that the connection has ended."""


class WebSocket(asyncio.Protocol):
    """One WebSocket connection; its owner may change once, after the handshake.

    Parameters
    ----------
    core
        The sans-I/O half.
    owner
        Who takes what arrives.
    headers
        What a client adds to its request.
    """

    def __init__(self, core: ServerProtocol | ClientProtocol, owner: Owner, *, headers: Headers | None = None) -> None:
        self.core = core
        core.debug = False  # it would log headers, and with them passwords
        self._headers = headers if headers is not None else Headers()
        self._heard = False  # since the last ping
        self._silent_pings = 0
        self._ping_timer: asyncio.TimerHandle | None = None
        self.owner = owner
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []  # of a fragmented message
        self._texts: list[bytes] = []  # framed, not yet written
        self._tail = b""  # the beginning of a frame, in the fast lane
        self._fast = False  # the core's buffer is empty: it stands between two frames
        self._lane = False  # and between two messages of an open connection: the next frame may take the fast lane
        self._open = False  # surely open; while False, the core is asked
        self._plain = False  # texts are framed here and not by the core
        self._core_writes = True  # the core may have something to write
        self._congested = False
        self._fast_bytes = min(MAX_FAST_BYTES, core.max_message_size or MAX_FAST_BYTES)
        self._from_client = isinstance(core, ServerProtocol)  # frames that arrive are masked
        self._reading = False  # inside data_received: writes wait until the read is worked off
        self._dropped = False
        self._ending = False
        self._close_timer: asyncio.TimerHandle | None = None

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start: the client's end sends its request."""
        self._transport = cast("asyncio.Transport", transport)
        if isinstance(self.core, ClientProtocol):
            request = self.core.connect()
            request.headers.update(self._headers)
            self.core.send_request(request)
            self.flush()

    def data_received(self, data: bytes) -> None:
        """Deliver what the bytes hold."""
        self._reading = self._heard = True
        try:
            if self._fast:
                self._split(self._tail + data if self._tail else data)
            else:
                self._feed_core(data)
        finally:
            self._reading = False
        self.flush()

    def pause_writing(self) -> None:
        """Take note that the peer reads more slowly than we write."""
        self._congested = True

    def resume_writing(self) -> None:
        """Take note that it has caught up."""
        self._congested = False

    def eof_received(self) -> None:
        """Take the peer's end of stream; the transport closes itself after what is still to be written."""
        self.core.receive_eof()
        self._follow_core()
        self._note_ending()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner that it is over."""
        if self.core.state is not State.CLOSED:
            self.core.receive_eof()
        self._follow_core()
        if self._close_timer is not None:
            self._close_timer.cancel()
        if self._ping_timer is not None:
            self._ping_timer.cancel()
        self._note_ending()
        self.owner.closed(self.core.close_code or 1006, self.core.close_reason or (str(exc) if exc else ""))

    # Called by the owner.

    @property
    def is_open(self) -> bool:
        """Whether texts can be sent."""
        return self._open or (self.core.state is State.OPEN and not self._dropped)

    @property
    def peer_address(self) -> str:
        """The peer's address as text, empty when unknown."""
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return str(peer[0]) if peer else ""

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS half of the connection; ``None`` for a plain one."""
        found = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        return cast("ssl.SSLObject | None", found)

    def keep_alive(self, interval_s: float) -> None:
        """Ping the peer whenever it was silent for ``interval_s`` [s], and cut it off when it stays silent."""
        if self._ping_timer is not None:
            if self._heard:
                self._silent_pings = 0
            elif self._silent_pings >= _SILENT_PINGS:
                logger.warning("%s answers no ping, cut off", self.peer_address)
                self.abort()
                return
            else:
                self._silent_pings += 1
                if self.is_open:
                    self.core.send_ping(b"")
                    self._core_writes = True
                    self.flush()
        self._heard = False
        self._ping_timer = asyncio.get_running_loop().call_later(interval_s, self.keep_alive, interval_s)

    def stop_pings(self) -> None:
        """Ping the peer no more, and do not cut it off for its silence."""
        if self._ping_timer is not None:
            self._ping_timer.cancel()
            self._ping_timer = None

    def pause_reading(self, seconds_s: float) -> None:
        """Read nothing for a while: the peer's sending slows down to what TCP lets through."""
        transport = self._transport
        if transport is not None and not transport.is_closing() and transport.is_reading():
            transport.pause_reading()
            asyncio.get_running_loop().call_later(seconds_s, _resume_reading, transport)

    def send_text(self, text: bytes) -> bool:
        """Write a text message; False if the connection is ending and nothing was written."""
        if not self._open and not self.is_open:
            return False
        if self._plain:
            self._texts.append(_text_header(len(text)) + text)
        else:
            self.core.send_text(text)
            self._core_writes = True
        if not self._reading:
            self.flush()
        return True

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake."""
        if self.is_open:
            self.core.send_close(code, reason)
            self._follow_core()
            self._note_ending()
            if not self._reading:
                self.flush()

    def drop(self) -> None:
        """Break the connection off without a closing handshake, as a failing link does.

        What was written still arrives, and what the peer wrote is still read and discarded, so that every frame is
        accounted for.
        """
        self._dropped = True
        self._follow_core()
        self._note_ending()
        if self._transport is not None and not self._transport.is_closing():
            self._write_eof()
            self._start_close_timer()

    def abort(self) -> None:
        """Cut the connection at once; what was not yet written is lost."""
        if self._transport is not None:
            self._transport.abort()

    def flush(self) -> None:
        """Write what the core wants to send."""
        transport = self._transport
        if transport is None:
            return
        texts = self._texts
        if texts:
            if not self._dropped and not transport.is_closing():
                transport.write(texts[0] if len(texts) == 1 else b"".join(texts))
            texts.clear()
        if self._open and not self._core_writes:
            if self._congested:
                self._cut_if_deaf(transport)
            return
        self._core_writes = False
        for data in self.core.data_to_send():
            if self._dropped or transport.is_closing():
                continue
            if data == SEND_EOF:
                self._write_eof()
            else:
                transport.write(data)
        self._cut_if_deaf(transport)
        if self.core.close_expected():
            self._note_ending()
            self._start_close_timer()

    # Private methods.

    def _cut_if_deaf(self, transport: asyncio.Transport) -> None:
        if transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            logger.warning("%s does not read: %d bytes unsent, cut off", self.peer_address, MAX_UNSENT_BYTES)
            transport.abort()

    def _feed_core(self, data: bytes) -> None:
        was_connecting = self.core.state is State.CONNECTING
        self.core.receive_data(data)
        self._follow_core()
        for event in self.core.events_received():
            if isinstance(event, Frame):
                self._take_frame(event)
            else:
                self.owner.handshake_received(event)
        if was_connecting and self.core.state is State.OPEN and not self.core.extensions:
            # Only if the read ended with the handshake does the core stand between two frames.
            self._fast = data.find(_END_OF_HEADERS) == len(data) - len(_END_OF_HEADERS)
        self._follow_core()

    def _follow_core(self) -> None:
        """Take note of what the core's state has become: the hot path looks at a few flags of its own only."""
        core = self.core
        self._open = core.state is State.OPEN and not self._dropped
        self._lane = self._fast and self._open and core.current_size is None
        self._plain = self._from_client and not core.extensions
        self._core_writes = True

    def _split(self, data: bytes) -> None:
        """Take whole text frames from ``data`` and hand other whole frames to the core (RFC 6455 section 5.2)."""
        position, end_of_data = 0, len(data)
        while end_of_data - position >= _SHORTEST_HEADER:
            first, second = data[position], data[position + 1]
            start = position + _SHORTEST_HEADER
            length = second & 0x7F
            if length == _LENGTH_IN_2_BYTES and end_of_data - start >= 2:
                length = data[start] << 8 | data[start + 1]
                start += 2
            elif length >= _LENGTH_IN_2_BYTES:
                start += 2 if length == _LENGTH_IN_2_BYTES else 8
                length = int.from_bytes(data[position + 2 : start])
            if end_of_data < start:
                break
            masked = second >= _MASKED
            if masked is not self._from_client or length > self._fast_bytes or not self._fast:
                self._fast = False
                self._tail = b""
                self._feed_core(data[position:])
                return
            if masked:
                start += 4
            end = start + length
            if end > end_of_data:
                break
            if first == _WHOLE_TEXT and self._lane:
                payload = data[start:end]
                self.owner.text_received(apply_mask(payload, data[start - 4 : start]) if masked else payload)
            else:
                self._feed_core(data[position:end])
            position = end
        self._tail = data[position:]

    def _take_frame(self, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT if not frame.fin:
                self._parts.append(bytes(frame.data))
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                # A binary frame that holds JSON is as good as a text: some stations send it so.
                self._parts.append(bytes(frame.data))
                text = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
                self._parts.clear()
                self.owner.text_received(text)
            case Opcode.CLOSE:
                self._note_ending()
            case _:
                return  # a ping, which the core has answered, or a pong

    def _note_ending(self) -> None:
        if not self._ending:
            self._ending = True
            self.owner.closing()

    def _write_eof(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()  # TLS has no half-close

    def _start_close_timer(self) -> None:
        if self._close_timer is None and self._transport is not None:
            loop = asyncio.get_running_loop()
            self._close_timer = loop.call_later(CLOSE_TIMEOUT_S, self._transport.abort)


def _resume_reading(transport: asyncio.Transport) -> None:
    if not transport.is_closing():
        transport.resume_reading()


def _text_header(length: int) -> bytes:
    """Return the header of a whole, unmasked text frame (RFC 6455 section 5.2)."""
    if length < _LENGTH_IN_2_BYTES:
        return bytes((_WHOLE_TEXT, length))
    if length < 1 << 16:
        return bytes((_WHOLE_TEXT, _LENGTH_IN_2_BYTES)) + length.to_bytes(2)
    return bytes((_WHOLE_TEXT, _LENGTH_IN_8_BYTES)) + length.to_bytes(8)

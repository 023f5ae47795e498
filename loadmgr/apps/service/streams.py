"""Server-sent events for many readers."""

import asyncio
from typing import Any

import orjson

MOST_EVENTS = 256
"""A slow reader may be so many behind before the oldest are left out for him."""


class EventStreams:
    """Those who watch a site; each event is written once, however many watch."""

    def __init__(self) -> None:
        self._readers: set[asyncio.Queue[bytes]] = set()

    def __len__(self) -> int:
        return len(self._readers)

    def open(self) -> asyncio.Queue[bytes]:
        """Return the queue of a new reader."""
        queue: asyncio.Queue[bytes] = asyncio.Queue(MOST_EVENTS)
        self._readers.add(queue)
        return queue

    def close(self, queue: asyncio.Queue[bytes]) -> None:
        """Let a reader go."""
        self._readers.discard(queue)

    def tell(self, kind: str, data: Any) -> None:
        """Tell everybody; who does not read loses his oldest event and is never waited for."""
        if not self._readers:
            return
        told = event(kind, data)
        for queue in self._readers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(told)


def event(kind: str, data: Any) -> bytes:
    """Return a server-sent event."""
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"

"""Server-sent events for many readers."""

import asyncio
from typing import Any

import orjson

MOST_EVENTS = 256


class EventStreams:
    """Those who watch a site; each event is written once, however many watch.

    Parameters
    ----------
    most : int
        Events that a slow reader may be behind before the oldest are left out for him.
    """

    def __init__(self, *, most: int = MOST_EVENTS) -> None:
        self._readers: set[asyncio.Queue[bytes]] = set()
        self._most = most

    def __len__(self) -> int:
        return len(self._readers)

    def open(self) -> asyncio.Queue[bytes]:
        """Return the queue of a new reader."""
        queue: asyncio.Queue[bytes] = asyncio.Queue(self._most)
        self._readers.add(queue)
        return queue

    def close(self, queue: asyncio.Queue[bytes]) -> None:
        """Let a reader go."""
        self._readers.discard(queue)

    def tell(self, kind: str, data: Any) -> None:
        """Tell everybody; who does not read loses his oldest event and is never waited for."""
        if not self._readers:
            return
        event = b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"
        for queue in self._readers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)

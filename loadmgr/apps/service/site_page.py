"""What those who look at a site's page are sent: documents made once for everybody, and changes to them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from loadmgr.apps.page.page_changes import changes
from loadmgr.apps.page.page_feed import PageFeed
from loadmgr.apps.service.streams import event

EVERY_S = 1.0
"""What changed is sent at most this often [s]."""

SILENCE_S = 15.0
"""A stream says at least this often that it is still there [s]."""

MOST_BEHIND = 4
"""A reader who is further behind gets the whole document in place of what he missed."""


class SitePage:
    """Sends a site's page to everybody who looks: the whole once, then what changed, each made and written once.

    Parameters
    ----------
    feed : PageFeed
    """

    def __init__(self, feed: PageFeed) -> None:
        self.feed = feed
        self._readers: set[asyncio.Queue[bytes]] = set()
        self._told: dict[str, Any] = {}
        self._whole: bytes | None = None
        self._due: asyncio.TimerHandle | None = None

    @property
    def readers(self) -> int:
        """How many look."""
        return len(self._readers)

    async def follow(self) -> AsyncIterator[bytes]:
        """Yield events until the reader leaves: ``page`` with the whole document, then ``change`` with what differs."""
        queue: asyncio.Queue[bytes] = asyncio.Queue(MOST_BEHIND)
        if self._due is None:
            self._tell_again()
        queue.put_nowait(self._whole_now())
        self._readers.add(queue)
        try:
            while True:
                try:
                    async with asyncio.timeout(SILENCE_S):
                        yield await queue.get()
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self._readers.discard(queue)
            if not self._readers and self._due is not None:
                self._due.cancel()
                self._due = None

    def _tell_again(self) -> None:
        """Tell everybody what changed, and again as long as somebody looks."""
        self._due = asyncio.get_running_loop().call_later(EVERY_S, self._tell_again)
        self.tell()

    def tell(self) -> None:
        """Tell everybody what changed since the last time."""
        document = self.feed.document()
        changed = changes(self._told, document)
        self._told, self._whole = document, None
        if changed is None:
            for queue in self._readers:
                _put_whole(queue, self._whole_now())
        elif changed:
            told = event("change", changed)
            for queue in self._readers:
                if queue.full():
                    _put_whole(queue, self._whole_now())
                else:
                    queue.put_nowait(told)

    def _whole_now(self) -> bytes:
        if self._whole is None:
            self._whole = event("page", self._told)
        return self._whole


def _put_whole(queue: asyncio.Queue[bytes], whole: bytes) -> None:
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(whole)

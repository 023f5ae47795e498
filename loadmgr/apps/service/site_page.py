"""What those who look at a site's page are sent: documents made once for everybody."""

import asyncio
from collections.abc import AsyncIterator

from loadmgr.apps.page_feed import PageFeed
from loadmgr.apps.service.streams import EventStreams

EVERY_S = 1.0
"""A document is sent at most this often [s]."""

SILENCE_S = 15.0
"""A stream says at least this often that it is still there [s]."""


class SitePage:
    """Sends the documents of a site's page, made once for everybody who looks.

    Parameters
    ----------
    feed : PageFeed
    """

    def __init__(self, feed: PageFeed) -> None:
        self.feed = feed
        self.streams = EventStreams(most=1)  # a newer document makes the older one useless
        self._due: asyncio.TimerHandle | None = None

    async def follow(self) -> AsyncIterator[bytes]:
        """Yield documents as server-sent events until the reader leaves."""
        queue = self.streams.open()
        self._tell_again()
        try:
            while True:
                try:
                    async with asyncio.timeout(SILENCE_S):
                        yield await queue.get()
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self.streams.close(queue)

    def _tell_again(self) -> None:
        """Tell everybody now, and again as long as somebody looks."""
        if self._due is not None:
            self._due.cancel()
        self._due = None
        if len(self.streams):
            self.streams.tell("page", self.feed.document())
            self._due = asyncio.get_running_loop().call_later(EVERY_S, self._tell_again)

"""The one door through which time enters the link, so that a simulation can own it.

With a virtual clock that both ends of every socket share, simulated time may advance only while as many frames are
done as were sent and nobody holds a busy token. The link's side of that bargain:

Rule 1: every text frame written to a socket is one `frame_sent`; the receiving end calls `frame_done` once, after the
    frame was handled whole, with the answer (if any) already written.
Rule 2: a busy token is held while a connection opens or closes, while `on_connect` or `on_disconnect` is due or runs,
    and from the arrival of an answer until the coroutine that waits for it has resumed.
Rule 3: connections end by the closing handshake or by a half-close, after which both ends still read what was written;
    so no frame is lost uncounted.

The clock's side: never advance inside `frame_done` or on leaving a token, but some turns of the event loop later,
because the task that was just woken has yet to run.
"""

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Real or simulated time, and the accounting by which simulated time knows when it may advance."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""

    def now_s(self) -> float:
        """Return monotonic seconds [s], on the axis of all deadlines."""

    async def sleep_until(self, when_s: float) -> None:
        """Return at ``when_s`` [s], at once if that is past."""

    def busy(self) -> AbstractContextManager[None]:
        """Return a fresh token; while it is entered, simulated time stands still."""

    def frame_sent(self) -> None:
        """Count a frame that left one end."""

    def frame_done(self) -> None:
        """Count a frame that the other end has handled whole."""

"""A station's own clock: right when it was last set, and off by its offset and drift since."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from loadmgr.sim.clock import PartyClock, Timer


class StationClock:
    """The world's clock as a station shows it; the link's ``Clock`` protocol.

    Parameters
    ----------
    party : PartyClock
    offset_s : float
        How far it is off whenever it has been set [s].
    drift_ratio : float
        Seconds gained per second since it was set.
    """

    def __init__(self, party: PartyClock, *, offset_s: float = 0.0, drift_ratio: float = 0.0) -> None:
        self.party = party
        self.offset_s = offset_s
        self.drift_ratio = drift_ratio
        self._set_at_s = party.now_s()

    def now(self) -> datetime:
        """Return what the station's clock shows."""
        off_s = self.offset_s + self.drift_ratio * (self.party.now_s() - self._set_at_s)
        return self.party.now() + timedelta(seconds=off_s)

    def now_s(self) -> float:
        """Return simulated seconds since the start: deadlines do not drift."""
        return self.party.now_s()

    async def sleep_until(self, when_s: float) -> None:
        """Return when the simulated time is ``when_s``."""
        await self.party.sleep_until(when_s)

    def call_at(self, when_s: float, call: Callable[[], None]) -> Timer:
        """Call a function when the simulated time is ``when_s``."""
        return self.party.call_at(when_s, call)

    def synchronise(self) -> None:
        """Set the clock: drift starts anew, the offset stays."""
        self._set_at_s = self.party.now_s()

    def busy(self) -> AbstractContextManager[None]:
        """Return a token that holds time while it is held."""
        return self.party.busy()

    def frame_sent(self) -> None:
        """Count a frame that the station has put on the wire."""
        self.party.frame_sent()

    def frame_done(self) -> None:
        """Count a frame that the station has dealt with."""
        self.party.frame_done()

"""What is known of a battery that is commanded: what it said, and what it was told."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from loadmgr.control.battery_facts import BatteryReading


@dataclass(slots=True, kw_only=True)
class BatteryRecord:
    """A battery that is commanded.

    Parameters
    ----------
    reading : BatteryReading, optional
        What it said last.
    told : tuple of (datetime, int)
        What it was told of late [W], by time.
    """

    reading: BatteryReading | None = None
    told: tuple[tuple[datetime, int], ...] = ()

    @property
    def changed_at(self) -> datetime | None:
        """When it was last told something else than before."""
        steps = zip(self.told, self.told[1:], strict=False)
        return max((after[0] for before, after in steps if before[1] != after[1]), default=None)

    def tell(self, power_w: int, *, now: datetime, keep_s: float) -> None:
        """Note that it is told a power; what is older than ``keep_s`` is forgotten, but for what held then."""
        since = now - timedelta(seconds=keep_s)
        older = [each for each in self.told if each[0] <= since][-1:]
        self.told = (*older, *(each for each in self.told if each[0] > since), (now, power_w))

"""What a station's clock shows, estimated from the times that it writes on live readings.

Rules
-----
1. A reading is written before it arrives, so time written less time of arrival is the clock's offset less the delay of
   the way. The highest difference of a while is the one with the least delay, and nearest to the offset.
2. Stations write whole seconds, so an estimate is good to about a second, never to less.
3. Drift is the slope of the offsets over hours; over less it is not known.
4. What was written while a link was down says nothing: it comes late.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

BUCKET_S = 900
"""Over so long the highest difference is looked for [s]."""

BUCKETS = 48
TELLING = 5
"""So many readings of a while tell the offset."""

DRIFT_AFTER_S = 2 * 3600
RESOLUTION_S = 2.0
"""How far an estimate may be off: whole seconds, and the delay of the fastest message [s]."""


@dataclass(slots=True, kw_only=True)
class ClockBucket:
    """The readings of a while: from when, how many, and the highest difference [s]."""

    since: datetime
    readings: int
    offset_s: float


@dataclass(slots=True, kw_only=True)
class ClockEstimate:
    """The clock of one station."""

    buckets: deque[ClockBucket] = field(default_factory=deque)

    def wrote(self, stamp: datetime, *, at: datetime) -> None:
        """Take in what a station wrote on a live reading, and when that arrived."""
        difference_s = (stamp - at).total_seconds()
        last = self.buckets[-1] if self.buckets else None
        if last is None or not timedelta(0) <= at - last.since < timedelta(seconds=BUCKET_S):
            self.buckets.append(ClockBucket(since=at, readings=1, offset_s=difference_s))
            while len(self.buckets) > BUCKETS:
                self.buckets.popleft()
            return
        last.readings += 1
        last.offset_s = max(last.offset_s, difference_s)

    @property
    def offset_s(self) -> float | None:
        """How far the clock is ahead [s], behind where below 0; ``None`` where too little was written."""
        told = self._told()
        return told[-1].offset_s if told else None

    @property
    def drift_s_per_day(self) -> float | None:
        """How much it gains [s per day]; ``None`` where it was not watched for hours, or was set meanwhile."""
        told = self._told()
        if len(told) < 3:
            return None
        times = [(b.since - told[0].since).total_seconds() for b in told]
        if times[-1] < DRIFT_AFTER_S:
            return None
        mean_s, mean_off_s = sum(times) / len(times), sum(b.offset_s for b in told) / len(told)
        slope = sum((t - mean_s) * (b.offset_s - mean_off_s) for t, b in zip(times, told, strict=True))
        slope /= sum((t - mean_s) ** 2 for t in times)
        rest = max(abs(b.offset_s - mean_off_s - slope * (t - mean_s)) for t, b in zip(times, told, strict=True))
        return None if rest > RESOLUTION_S else slope * 86_400.0

    def _told(self) -> list[ClockBucket]:
        return [b for b in self.buckets if b.readings >= TELLING]

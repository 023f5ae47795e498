"""Step functions of the highest current that an EVSE may have, and the arithmetic of not knowing better.

Rules
-----
1. Times are POSIX seconds; a value holds from its start to the next one, the first also before, the last for ever.
2. Whatever is uncertain only widens: of two possible worlds the higher value counts, and a change that a clock off by
   its skew may bring early or late counts on the side where more current flows.
"""

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Envelope:
    """The highest current per phase [A] from each instant [POSIX s] on."""

    starts_s: tuple[float, ...]
    limits_a: tuple[float, ...]

    def at(self, when_s: float) -> float:
        """Return the value at an instant [A]."""
        return self.limits_a[max(0, bisect.bisect_right(self.starts_s, when_s) - 1)]

    def over(self, start_s: float, end_s: float) -> float:
        """Return the highest value on ``[start_s, end_s]`` [A]."""
        first = max(0, bisect.bisect_right(self.starts_s, start_s) - 1)
        last = max(first, bisect.bisect_right(self.starts_s, end_s) - 1)
        return max(self.limits_a[first : last + 1])

    def least_over(self, start_s: float, end_s: float) -> float:
        """Return the lowest value on ``[start_s, end_s]`` [A]."""
        first = max(0, bisect.bisect_right(self.starts_s, start_s) - 1)
        last = max(first, bisect.bisect_right(self.starts_s, end_s) - 1)
        return min(self.limits_a[first : last + 1])


def constant(limit_a: float) -> Envelope:
    """Return an envelope that never changes."""
    return Envelope((0.0,), (limit_a,))


def from_points(points: Sequence[tuple[float, float]]) -> Envelope:
    """Return the envelope through ``(start, value)`` points in order of time, equal neighbours merged."""
    starts: list[float] = []
    limits: list[float] = []
    for start_s, limit_a in points:
        if limits and limits[-1] == limit_a:
            continue
        if starts and starts[-1] == start_s:
            starts.pop()
            limits.pop()
            if limits and limits[-1] == limit_a:
                continue
        starts.append(start_s)
        limits.append(limit_a)
    return Envelope(tuple(starts), tuple(limits))


def highest(envelopes: Iterable[Envelope]) -> Envelope:
    """Return the pointwise maximum."""
    listed = tuple(envelopes)
    if len(listed) == 1:
        return listed[0]
    starts = sorted({s for e in listed for s in e.starts_s})
    return from_points([(s, max(e.at(s) for e in listed)) for s in starts])


def widened(envelope: Envelope, *, early_s: float, late_s: float) -> Envelope:
    """Return the envelope when every rise may come ``early_s`` sooner and every fall ``late_s`` later."""
    if len(envelope.starts_s) == 1:
        return envelope
    edges = sorted({edge for s in envelope.starts_s[1:] for edge in (s - early_s, s + late_s)})
    points = [(min(envelope.starts_s[0], edges[0] - 1.0), envelope.limits_a[0])]
    points += [(edge, _highest_around(envelope, edge, early_s=early_s, late_s=late_s)) for edge in edges]
    return from_points(points)


def _highest_around(envelope: Envelope, when_s: float, *, early_s: float, late_s: float) -> float:
    # At an edge s + late_s the old value has just ended: the window is open on its far side.
    first = max(0, bisect.bisect_right(envelope.starts_s, when_s - late_s) - 1)
    last = max(first, bisect.bisect_right(envelope.starts_s, when_s + early_s) - 1)
    return max(envelope.limits_a[first : last + 1])


def at_least(envelope: Envelope, limit_a: float, *, until_s: float | None) -> Envelope:
    """Return the envelope with no less than ``limit_a`` before ``until_s``, or for ever."""
    if until_s is None:
        return highest((envelope, constant(limit_a)))
    floor = Envelope((min(envelope.starts_s[0], until_s - 1.0), until_s), (limit_a, 0.0))
    return highest((envelope, floor))

"""How often one may ask: a bucket of requests that fills again, for each token and for each address that guesses."""

from collections import OrderedDict
from dataclasses import dataclass

MOST_BUCKETS = 10_000
"""Beyond so many the one that was longest not used is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many requests in a second on average, and so many at once."""

    per_s: float
    burst: int


class Buckets:
    """Buckets by key; time is given."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._level: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, key: str, *, now_s: float) -> float:
        """Take one request from a bucket; return 0, or how long to wait where it is empty [s]."""
        level, since_s = self._level.pop(key, (float(self._rate.burst), now_s))
        level = min(float(self._rate.burst), level + max(0.0, now_s - since_s) * self._rate.per_s)
        enough = level >= 1.0
        self._level[key] = (level - 1.0 if enough else level, now_s)
        while len(self._level) > MOST_BUCKETS:
            self._level.popitem(last=False)
        return 0.0 if enough else (1.0 - level) / self._rate.per_s

    def is_empty(self, key: str, *, now_s: float) -> bool:
        """Return whether a bucket is empty, and take nothing."""
        level, since_s = self._level.get(key, (float(self._rate.burst), now_s))
        return level + max(0.0, now_s - since_s) * self._rate.per_s < 1.0

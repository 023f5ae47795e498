"""Rates: a token bucket that is told the time."""

from dataclasses import dataclass


@dataclass(slots=True)
class TokenBucket:
    """Allows ``rate_per_s`` events a second on average and ``burst`` at once."""

    rate_per_s: float
    burst: float
    _level: float | None = None
    _at_s: float = 0.0

    def wait_s(self, now_s: float) -> float:
        """Take one token and return how long to wait for it [s]; 0.0 if it was there.

        Examples
        --------
        >>> bucket = TokenBucket(rate_per_s=2.0, burst=1.0)
        >>> bucket.wait_s(0.0), bucket.wait_s(0.0), bucket.wait_s(1.0)
        (0.0, 0.5, 0.0)
        """
        level = (
            self.burst if self._level is None else min(self.burst, self._level + (now_s - self._at_s) * self.rate_per_s)
        )
        self._at_s = now_s
        self._level = level - 1.0
        return max(0.0, -self._level / self.rate_per_s)

    def try_take(self, now_s: float) -> bool:
        """Take one token if there is one."""
        if self.wait_s(now_s) == 0.0:
            return True
        self._level = (self._level or 0.0) + 1.0
        return False

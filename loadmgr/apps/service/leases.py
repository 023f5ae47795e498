"""Who controls a site: one worker at a time, by a lease in the database, with a number that rises at each takeover.

Rules
-----
1. Time is the database's: workers whose clocks differ agree on who holds what.
2. A holder counts its lease from before it asked, and stops sending well before it ends: so two never send at once,
   however long an answer was on its way.
3. The fence goes with every command: whoever carries commands to stations refuses one with a lower number.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from loadmgr.apps.service.tables import Tables
from loadmgr.store.database import is_url

LEASE_S = 10.0
"""How long a lease holds without renewal; a site whose worker died is taken over within this and a retry [s]."""

RENEW_S = 3.0
MARGIN_S = 2.0
"""Before the end of its lease a worker stops sending by so much [s]."""

_NOW_US = {
    True: "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
    False: "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
}
"""The database's time [us]: PostgreSQL, SQLite."""


@dataclass(slots=True, kw_only=True)
class Lease:
    """A lease that this worker holds, until ``ends_s`` by its own steady clock [s]."""

    site: str
    fence: int
    ends_s: float


class LeaseBook:
    """The leases of a database, as one worker sees them.

    Parameters
    ----------
    tables : Tables
    holder : str
        Who this worker is; no two share it.
    steady_s : callable
        A clock that never goes back [s].
    """

    def __init__(
        self, tables: Tables, *, holder: str, lease_s: float = LEASE_S, steady_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._tables = tables
        self._now_us = _NOW_US[is_url(tables.place)]
        self._length_us = int(lease_s * 1_000_000)
        self._lease_s = lease_s
        self._steady_s = steady_s
        self.holder = holder

    def acquire(self, site: str) -> Lease | None:
        """Take a site that nobody holds; ``None`` where somebody does.

        Raises
        ------
        DatabaseLost
        """
        asked_s = self._steady_s()
        found = self._tables.rows(
            f"INSERT INTO service_lease VALUES (?, ?, 1, {self._now_us} + ?) ON CONFLICT (site) DO UPDATE SET"
            " holder = excluded.holder, fence = service_lease.fence + 1, until_us = excluded.until_us"
            f" WHERE service_lease.until_us < {self._now_us} RETURNING fence",
            (site, self.holder, self._length_us),
        )
        if not found:
            return None
        return Lease(site=site, fence=int(found[0][0]), ends_s=asked_s + self._lease_s)

    def renew(self, lease: Lease) -> bool:
        """Hold a lease on; return whether it is still this worker's.

        Raises
        ------
        DatabaseLost
        """
        asked_s = self._steady_s()
        found = self._tables.rows(
            f"UPDATE service_lease SET until_us = {self._now_us} + ?"
            f" WHERE site = ? AND holder = ? AND fence = ? AND until_us >= {self._now_us} RETURNING fence",
            (self._length_us, lease.site, self.holder, lease.fence),
        )
        if found:
            lease.ends_s = asked_s + self._lease_s
        return bool(found)

    def release(self, lease: Lease) -> None:
        """Give a site back, so that the next one need not wait.

        Raises
        ------
        DatabaseLost
        """
        self._tables.rows(
            "UPDATE service_lease SET until_us = 0 WHERE site = ? AND holder = ? AND fence = ?",
            (lease.site, self.holder, lease.fence),
        )

    def may_send(self, lease: Lease | None) -> bool:
        """Return whether commands may go out under a lease now."""
        return lease is not None and self._steady_s() < lease.ends_s - MARGIN_S * min(1.0, self._lease_s / LEASE_S)

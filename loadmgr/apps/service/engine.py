"""Computing within a budget: worker threads for the linear program, and one kept free for the safe answer.

Rules
-----
1. The event loop computes nothing that takes longer than reading a request.
2. A computation that is late is not waited for; it ends by its own limit of iterations, and its place is taken until
   then. Whoever finds every place taken too long gets the water-filled answer, and beyond a queue a 503.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar

from loadmgr.apps.service.facts import facts_of
from loadmgr.apps.service.problems import Refused
from loadmgr.apps.service.schedule import Json, document, run_schedule, settings_of
from loadmgr.apps.service.sites import SiteShelf
from loadmgr.apps.service.snapshot import ScheduleRequest

T = TypeVar("T")

LONGEST_QUEUE = 64
"""Requests that wait for a thread; more would wait longer than anybody does."""

LEAST_FOR_SAFE_S = 10.0
"""The safe answer gets at least so long [s]: it takes milliseconds, and more only where the machine is drowning."""


class Engine:
    """Threads that compute.

    Parameters
    ----------
    sites : SiteShelf
    workers : int, optional
        Threads for the linear program; ``None`` is one for each core.
    """

    def __init__(self, sites: SiteShelf, *, workers: int | None = None) -> None:
        self.sites = sites
        self._threads = ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="schedule")
        self._safe = ThreadPoolExecutor(2, thread_name_prefix="safe-schedule")
        self.waiting = 0
        self.late = 0

    @property
    def is_full(self) -> bool:
        """Whether the next request would be turned away."""
        return self.waiting >= LONGEST_QUEUE

    def close(self) -> None:
        """Take no more work; what runs is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._safe.shutdown(wait=False, cancel_futures=True)

    async def run(self, work: Callable[[], T], *, within_s: float) -> T:
        """Return what some work gives.

        Raises
        ------
        TimeoutError
            If it is not ready in time.
        Refused
            503 if too many wait already.
        """
        return await self._in(self._threads, work, within_s)

    async def schedule(self, request: ScheduleRequest, *, at: datetime, may_see: frozenset[str] | None) -> Json:
        """Return the answer to a snapshot, within its budget.

        Raises
        ------
        Refused
            422 with the fields at fault; 503 where not even the safe answer was ready.
        """
        budget_s = request.budget_ms / 1000.0
        try:
            return await self.run(lambda: self._answer(request, at, may_see, filled=False), within_s=budget_s)
        except TimeoutError:
            self.late += 1
        try:
            return await self._in(
                self._safe,
                lambda: self._answer(request, at, may_see, filled=True),
                max(budget_s, LEAST_FOR_SAFE_S),
            )
        except TimeoutError:
            raise Refused(503, "too-busy", "no answer was ready in time", headers={"Retry-After": "5"}) from None

    def _answer(
        self, request: ScheduleRequest, at: datetime, may_see: frozenset[str] | None, *, filled: bool
    ) -> dict[str, Any]:
        site_file = self.sites.find(request.site, may_see=may_see, tariff=request.tariff)
        facts = facts_of(request, site_file.site, at=at)
        schedule = run_schedule(site_file, facts, settings=settings_of(site_file, request, filled=filled))
        return document(schedule, facts, late=filled, dry_run=request.dry_run)

    async def _in(self, threads: ThreadPoolExecutor, work: Callable[[], T], within_s: float) -> T:
        if self.is_full:
            raise Refused(503, "too-busy", "too many requests wait already", headers={"Retry-After": "1"})
        self.waiting += 1
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.get_running_loop().run_in_executor(threads, work)
        finally:
            self.waiting -= 1

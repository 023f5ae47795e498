"""Asking feeds at a steady pace, beside the controller.

Rules
-----
1. A fault of a feed is a fact too: it is told when it begins, now and then while it lasts, and when it is over.
2. A feed that fails in a way that nobody thought of is logged with its trace, and asked again: what it fails to say has
   its own consequences (a dead man, a stale meter), and the other feeds go on.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from datetime import datetime, timedelta
from typing import Protocol

from loadmgr.control.observation import BatteryReading, LimitChanged, PriceUpdated, SiteMeterReading, SourceTrouble
from loadmgr.errors import InputError

log = logging.getLogger(__name__)

Fact = LimitChanged | SiteMeterReading | BatteryReading | PriceUpdated | SourceTrouble


class Feed(Protocol):
    """Something to be asked."""

    @property
    def id(self) -> str:
        """Its name."""

    def poll(self, now: datetime) -> Sequence[Fact]:
        """Return what is new."""


class Clock(Protocol):
    """What feeds need of a clock."""

    def now(self) -> datetime:
        """Return the time."""

    def now_s(self) -> float:
        """Return seconds that only go forward."""

    async def sleep_until(self, when_s: float) -> None:
        """Wait until an instant of ``now_s``."""


REPEATED = timedelta(minutes=5)
"""What is still wrong is told again after so long: a controller that began anew has forgotten it."""


class Troubles:
    """What is wrong with sources, told when it begins, changes and ends, and now and then while it lasts.

    Parameters
    ----------
    observe : callable
        Takes what is told.
    """

    def __init__(self, observe: Callable[[Fact], None]) -> None:
        self._observe = observe
        self._faults: dict[str, tuple[str, datetime]] = {}

    def begin(self, source: str, cause: str, now: datetime) -> None:
        """Take note that a source cannot be used."""
        known, told_at = self._faults.get(source, (None, now))
        if known != cause or now - told_at >= REPEATED:
            self._faults[source] = (cause, now)
            self._observe(SourceTrouble(at=now, source=source, cause=f"{source} cannot be used: {cause}"))

    def end(self, source: str, now: datetime) -> None:
        """Take note that a source can be used."""
        if self._faults.pop(source, None) is not None:
            log.info("%s: can be read again", source)
            self._observe(SourceTrouble(at=now, source=source))


async def poll_feeds(
    feeds: Iterable[Feed],
    *,
    clock: Clock,
    observe: Callable[[Fact], None],
    every_s: float,
    executor: Executor | None = None,
) -> None:
    """Ask every feed every ``every_s`` seconds until cancelled, on the threads of an executor."""
    listed = tuple(feeds)
    troubles = Troubles(observe)
    loop = asyncio.get_running_loop()
    due_s = clock.now_s()
    while True:
        for feed in listed:
            try:
                news = await loop.run_in_executor(executor, feed.poll, clock.now())
            except InputError as fault:
                troubles.begin(feed.id, str(fault), clock.now())
                continue
            except Exception as error:
                log.exception("%s failed", feed.id)
                troubles.begin(feed.id, f"failed: {type(error).__name__}", clock.now())
                continue
            troubles.end(feed.id, clock.now())
            for fact in news:
                observe(fact)
        due_s = max(due_s + every_s, clock.now_s())
        await clock.sleep_until(due_s)

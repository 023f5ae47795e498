"""Asking feeds at a steady pace, beside the controller."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from loadmgr.control.outside import LimitChanged
from loadmgr.errors import InputError

log = logging.getLogger(__name__)


class Feed(Protocol):
    """Something to be asked."""

    @property
    def id(self) -> str:
        """Its name."""

    def poll(self, now: datetime) -> list[LimitChanged]:
        """Return what is new."""


class Clock(Protocol):
    """What feeds need of a clock."""

    def now(self) -> datetime:
        """Return the time."""

    def now_s(self) -> float:
        """Return seconds that only go forward."""

    async def sleep_until(self, when_s: float) -> None:
        """Wait until an instant of ``now_s``."""


async def poll_feeds(
    feeds: Iterable[Feed], *, clock: Clock, observe: Callable[[LimitChanged], None], every_s: float
) -> None:
    """Ask every feed every ``every_s`` seconds until cancelled; a fault is logged once, and the others go on."""
    listed = tuple(feeds)
    faults: dict[str, str] = {}
    due_s = clock.now_s()
    while True:
        for feed in listed:
            try:
                news = await asyncio.to_thread(feed.poll, clock.now())
            except InputError as fault:
                if faults.get(feed.id) != str(fault):
                    log.warning("%s: %s", feed.id, fault)
                faults[feed.id] = str(fault)
                continue
            if faults.pop(feed.id, None) is not None:
                log.info("%s: can be read again", feed.id)
            for fact in news:
                observe(fact)
        due_s = max(due_s + every_s, clock.now_s())
        await clock.sleep_until(due_s)

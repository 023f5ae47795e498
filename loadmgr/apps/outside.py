"""Limits from outside at work: the feeds that a site file names, and the evidence that their limits were obeyed."""

import asyncio
import logging
from collections.abc import Callable, Collection
from pathlib import Path

from loadmgr.control.decision import Decision
from loadmgr.control.outside import LimitChanged
from loadmgr.feeds.dead_man import DeadMan
from loadmgr.feeds.evidence_log import EvidenceLog
from loadmgr.feeds.limit_file import LimitFile
from loadmgr.feeds.polling import Clock, poll_feeds
from loadmgr.feeds.relay import Relay, command, value_file
from loadmgr.model.ids import CircuitId
from loadmgr.site_file import SiteFile
from loadmgr.site_file.values import OutsideSource

log = logging.getLogger(__name__)


def feed_of(source: OutsideSource, *, remembered: bool) -> LimitFile | Relay:
    """Return the feed of a source.

    Parameters
    ----------
    remembered : bool
        What it last said is known from before a restart, so that it need not begin with a word of its own.
    """
    silent = source.silent
    dead_man = DeadMan(
        source=source.id,
        circuit=source.circuit,
        heartbeat_s=source.heartbeat_s,
        silent_limit_a=None if silent is None else silent.current_a,
        silent_limit_w=None if silent is None else silent.power_w,
        vehicles_only=source.vehicles_only,
    )
    relay = source.relay
    if relay is None:
        return LimitFile(source.file or Path(), dead_man, remembered=remembered)
    read = command(relay.command) if relay.command is not None else value_file(relay.value_file or Path())
    return Relay(
        read,
        dead_man,
        active=relay.active,
        idle=relay.idle,
        limit_a=relay.limit.current_a,
        limit_w=relay.limit.power_w,
        remembered=remembered,
    )


class Feeds:
    """The feeds of a site, each asked at its own pace.

    Parameters
    ----------
    clock : Clock
    observe : callable
        Takes what they say.
    """

    def __init__(self, *, clock: Clock, observe: Callable[[LimitChanged], None]) -> None:
        self._clock, self._observe = clock, observe
        self._sources: tuple[OutsideSource, ...] = ()
        self._tasks: list[asyncio.Task[None]] = []

    def follow(self, site_file: SiteFile, *, remembered: Collection[tuple[str, str]]) -> None:
        """Ask the sources of a site file from now on, and those of the one before no longer.

        Parameters
        ----------
        remembered : collection of (circuit, source)
            Limits that are known; those of sources that were asked before and are gone are taken away.
        """
        before, self._sources = self._sources, site_file.external_limits
        if self._sources == before:
            return
        self.close()
        self._tasks = [asyncio.create_task(self._ask(each, remembered)) for each in self._sources]
        gone = {each.id for each in before} - {each.id for each in self._sources}
        for circuit, source in sorted(remembered):
            if source in gone:
                self._observe(LimitChanged(at=self._clock.now(), circuit=CircuitId(circuit), source=source))

    async def _ask(self, source: OutsideSource, remembered: Collection[tuple[str, str]]) -> None:
        feed = feed_of(source, remembered=(source.circuit, source.id) in remembered)
        await poll_feeds([feed], clock=self._clock, observe=self._observe, every_s=source.every_s)

    def close(self) -> None:
        """Ask nobody any more."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []


class EvidenceKeeper:
    """Writes the evidence of decisions; a disk that does not take it never stops control.

    Parameters
    ----------
    path : Path
        Chained lines, made with the first entry.

    Raises
    ------
    InputError
        If the file exists and its end cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._log = EvidenceLog(path)
        self.trouble: str | None = None

    def take(self, decision: Decision) -> None:
        """Append the evidence of a decision."""
        for entry in decision.evidence:
            try:
                self._log.write(entry)
            except OSError as error:
                self.trouble = str(error)
                log.warning("%s: the evidence cannot be written: %s: %s", self._log.path, error, entry)
            else:
                self.trouble = None

"""The controller of the demo: one process after another over one journal, at one address.

A killed process says nothing to anybody: no closing handshake, no last command. Stations dial again until the next
one listens, and the next one knows from the journal what the last one knew.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from loadmgr.apps.process.serving import serve_site, stop
from loadmgr.apps.process.site import SiteProcess
from loadmgr.control.decision import Decision
from loadmgr.control.observation import Observation, SiteMeterReading
from loadmgr.sim.clock import PartyClock
from loadmgr.site_file import SiteFile
from loadmgr.store.open import open_store
from loadmgr.store.writer import Writer
from ocpp_link.transport import Server


class ControllerLives:
    """The processes, alive one at a time.

    Parameters
    ----------
    site_file : SiteFile
    clock : PartyClock
    on_decision : callable
    folder : Path
        Where the journal is kept.
    """

    def __init__(
        self, site_file: SiteFile, *, clock: PartyClock, on_decision: Callable[[Decision], None], folder: Path
    ) -> None:
        self._site_file = site_file
        self._clock = clock
        self._on_decision = on_decision
        self._folder = folder
        self._store: Writer | None = None
        self._server: Server | None = None
        self._running: asyncio.Task[None] | None = None
        self._said_meanwhile: list[Observation] = []
        self._port = 0
        self.on_change: list[Callable[[], None]] = []
        self.lives: list[SiteProcess] = []
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def process(self) -> SiteProcess:
        """The process that lives, or the one that was killed last."""
        return self.lives[-1]

    @property
    def alive(self) -> bool:
        """Whether a process lives."""
        return self._running is not None

    @property
    def url(self) -> str:
        """Where stations dial, without their ids."""
        return f"ws://127.0.0.1:{self._port}/ocpp"

    @property
    def messages(self) -> Counter[str]:
        """Messages of all lives, by direction."""
        return sum((life.messages for life in self.lives), Counter())

    @property
    def profiles_sent(self) -> int:
        """Charging profiles that were sent in all lives."""
        return sum(life.profiles_sent for life in self.lives)

    @property
    def solve_s(self) -> list[float]:
        """How long every plan took [s]."""
        return [s for life in self.lives for s in life.solve_s]

    def observe(self, observation: Observation) -> None:
        """Hand on what meters and drivers say; a driver's app says it again to a controller that comes back."""
        if self.alive:
            self.process.observe(observation)
        elif not isinstance(observation, SiteMeterReading):
            self._said_meanwhile.append(observation)

    async def begin(self) -> None:
        """Start a process on the journal and listen where the last one did."""
        with self._clock.busy():
            self._store = open_store(
                str(self._folder / "journal.db"), site=self._site_file.site.name, state_folder=self._folder
            )
            process = SiteProcess(self._site_file, clock=self._clock, on_decision=self._on_decision, store=self._store)
            self.lives.append(process)
            self._server = await serve_site(process, host="127.0.0.1", port=self._port, clock=self._clock)
            self._port = self._server.port
            self._running = asyncio.create_task(process.run())
            self._running.add_done_callback(self._ended)
        self._say_change()
        said, self._said_meanwhile = self._said_meanwhile, []
        for observation in said:
            process.observe(replace(observation, at=self._clock.now()))

    async def end(self, *, killed: bool) -> None:
        """End the process: in good order, or as ``kill -9`` does."""
        if self._running is None or self._server is None or self._store is None:
            return
        running, self._running = self._running, None
        with self._clock.busy():
            await stop(running)
            await self._server.close(drop=killed)
            self._store.close()
        self._say_change()

    def _say_change(self) -> None:
        for say in self.on_change:
            say()

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)

"""The service in a process that has a loop and signals of its own: beside a controller, and in tests."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.service.app import create_app
from loadmgr.apps.service.hosted import HostedSite
from loadmgr.apps.service.running import Listening, check_listening, server_config
from loadmgr.apps.service.service import Service, build_service
from loadmgr.apps.service.tables import IN_MEMORY
from loadmgr.apps.service.tokens import Role
from ocpp_link.clock import Clock


class QuietServer(uvicorn.Server):
    """A server that leaves signals to the process that it is in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.servers[0].sockets[0].getsockname()[1])


@asynccontextmanager
async def serving(service: Service, listening: Listening) -> AsyncIterator[QuietServer]:
    """Serve as long as the context lasts.

    Raises
    ------
    InputError
        If tokens would travel in the clear, or anybody could ask.
    OSError
        If the port cannot be opened.
    """
    check_listening(listening)
    server = QuietServer(server_config(create_app(service), listening))
    task = asyncio.create_task(_served(server))
    while not server.started:
        if task.done():
            await task
            raise OSError(f"port {listening.port} of {listening.host} cannot be opened")
        await asyncio.sleep(0.01)
    try:
        yield server
    finally:
        server.should_exit = True
        await task
        service.close()


async def _served(server: QuietServer) -> None:
    try:
        await server.serve()
    except SystemExit as error:  # so uvicorn says that it could not listen
        raise OSError("the HTTP port cannot be opened: is it taken?") from error


@asynccontextmanager
async def beside(
    process: SiteProcess,
    *,
    name: str,
    clock: Clock,
    listening: Listening,
    database: str | None = None,
    journal: str | None = None,
) -> AsyncIterator[tuple[QuietServer, str | None]]:
    """Serve a running site; yields the server, and a token where none is kept and one is needed.

    Parameters
    ----------
    name : str
        By which requests name the site.
    journal : str, optional
        Where its journal is, for queries.
    """
    service = build_service(
        {name: process.site_file}, now=clock.now, database=database or IN_MEMORY, is_open=listening.is_open
    )
    service.hosted[name] = HostedSite(name, process.site_file, clock=clock, process=process)
    if journal is not None:
        service.journals[name] = journal
    token = None
    if not listening.is_open and database is None:
        token = service.tokens.issue(name="first", role=Role.ADMIN, now=clock.now())
    async with serving(service, listening) as server:
        yield server, token

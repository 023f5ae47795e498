"""The page of a demo: the same that `loadmgr run --http` serves, open to this machine alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loadmgr.apps.demo.demo_life import ControllerLives
from loadmgr.apps.service.beside import serving
from loadmgr.apps.service.hosted import HostedSite
from loadmgr.apps.service.running import Listening
from loadmgr.apps.service.service import build_service
from loadmgr.apps.service.tables import IN_MEMORY
from loadmgr.site_file import SiteFile
from ocpp_link.clock import Clock

NAME = "demo"


@asynccontextmanager
async def demo_page(lives: ControllerLives, site_file: SiteFile, *, clock: Clock, port: int) -> AsyncIterator[str]:
    """Serve the page of whichever process lives; yields its address.

    Raises
    ------
    OSError
        If the port cannot be opened.
    """
    service = build_service({NAME: site_file}, now=clock.now, database=IN_MEMORY, is_open=True)
    hosted = service.hosted[NAME] = HostedSite(NAME, site_file, clock=clock, process=lives.process)

    def changed() -> None:
        if lives.alive:
            hosted.succeeded(lives.process)
        else:
            hosted.alive = False

    lives.on_change.append(changed)
    async with serving(service, Listening(host="127.0.0.1", port=port, is_open=True)) as server:
        yield f"http://127.0.0.1:{server.port}/"

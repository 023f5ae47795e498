"""Opening the endpoint of a site's stations, and ending the tasks that serve it."""

import asyncio
from contextlib import suppress
from typing import Any

from loadmgr.apps.process.site import SiteProcess
from ocpp_link.clock import Clock
from ocpp_link.transport import Policy, Server, serve
from ocpp_link.wirelog import Tap


async def serve_site(
    process: SiteProcess, *, host: str, port: int, clock: Clock, tap: Tap | None = None, policy: Policy | None = None
) -> Server:
    """Open the endpoint ``ws://host:port/ocpp/<station id>`` for a site's stations.

    Parameters
    ----------
    tap : callable, optional
        Gets every message.
    policy : Policy, optional
        Whom to admit and how; without one everybody, and ``tap`` counts.
    """
    return await serve(
        host,
        port,
        handler=process,
        clock=clock,
        call_timeout_s=process.site.timing.call_timeout_s,
        policy=Policy(tap=tap) if policy is None else policy,
    )


async def stop(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they are gone; a failure of one of them is raised."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task

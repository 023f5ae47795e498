"""A caller that waits for its answer."""

import asyncio
from contextlib import AbstractContextManager
from typing import Any

from ocpp_link.clock import Clock
from ocpp_link.errors import OcppError


class Waiter:
    """A caller that waits for its answer, and the busy token that bridges answer and resumption."""

    __slots__ = ("future", "token")

    def __init__(self, future: asyncio.Future[dict[str, Any]]) -> None:
        self.future = future
        self.token: AbstractContextManager[None] | None = None

    def wake(self, clock: Clock, result: dict[str, Any] | OcppError) -> None:
        """Hand over the outcome and hold simulated time until the caller has resumed."""
        if self.future.done():
            return
        self.token = clock.busy()
        self.token.__enter__()
        if isinstance(result, OcppError):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)

    def resumed(self) -> None:
        """Let simulated time go on."""
        if self.token is not None:
            self.token.__exit__(None, None, None)
            self.token = None

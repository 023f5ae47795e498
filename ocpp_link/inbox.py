"""Work for one connection's handler: one piece at a time, in order of arrival, in a task of its own."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any

from ocpp_link.begun import begin

Work = Callable[[], Coroutine[Any, Any, None]]


class Inbox:
    """A queue that one task works off; the task is made with the first piece and rests while there is nothing to do."""

    def __init__(self) -> None:
        self._waiting: deque[Work] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # the worker's
        self._context = copy_context()
        self._interrupted = False
        self._rest: asyncio.Future[None] | None = None
        self._closed = False
        self.idle = True
        """Whether nothing waits and nothing is being worked on."""

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, work: Work) -> None:
        """Queue a piece of work, which must not raise."""
        self._waiting.append(work)
        self.idle = False
        if self._worker is None:
            self._loop = asyncio.get_running_loop()
            self._worker = self._loop.create_task(self._work(), context=self._context)
        elif self._rest is not None:
            if not self._rest.done():  # else the task was cancelled with the loop, and nobody works any more
                self._rest.set_result(None)
            self._rest = None

    def begin(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Begin a coroutine now, if the task rests; return its result, or what is to be awaited by a piece of work.

        What is returned to be awaited must be pushed at once, before anything else.
        """
        worker, loop = self._worker, self._loop
        if worker is None or loop is None or self._rest is None or asyncio.current_task(loop) is not None:
            return work
        return begin(work, task=worker, loop=loop, context=self._context, interrupted=self._take_interruption)

    def close(self) -> None:
        """End with what is queued now."""
        self._closed = True

    async def _work(self) -> None:
        while True:
            while self._waiting:
                await self._waiting.popleft()()
            self.idle = True
            if self._closed:
                return
            self._rest = asyncio.get_running_loop().create_future()
            try:
                await self._rest
            except asyncio.CancelledError:
                if not self._waiting:
                    raise
                self._interrupted = True  # who waits was begun in our name, and it is what was cancelled

    def _take_interruption(self) -> bool:
        interrupted, self._interrupted = self._interrupted, False
        return interrupted

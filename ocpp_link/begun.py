"""Coroutines that begin at once, in the reader: most handlers that are written ``async`` have nothing to wait for.

A coroutine is begun in the name and in the context of the task that will end it, if it has to wait after all. To enter
a task from outside is what asyncio documents for those who bring tasks of their own ("Extending asyncio").
"""

import asyncio
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any


class Begun:
    """A coroutine that was begun and waits for something; to be awaited once, by its task.

    Parameters
    ----------
    work
        The coroutine.
    waits_for
        What its first step yielded: a future, or ``None`` for a bare yield.
    interrupted
        Tells whether its task was cancelled before it could go on: that was meant for the coroutine, for example by a
        time-out that was over at once.
    """

    __slots__ = ("_interrupted", "_waits_for", "_work")

    def __init__(self, work: Coroutine[Any, Any, Any], waits_for: Any, interrupted: Callable[[], bool]) -> None:
        self._work = work
        self._waits_for = waits_for
        self._interrupted = interrupted

    def __await__(self) -> Generator[Any, Any, Any]:
        """Go on where the first step ended, as ``yield from`` would (PEP 380)."""
        work, waits_for = self._work, self._waits_for
        try:
            if self._interrupted():
                waits_for = work.throw(asyncio.CancelledError())
            while True:
                try:
                    sent = yield waits_for
                except GeneratorExit:
                    work.close()
                    raise
                except BaseException as error:
                    waits_for = work.throw(error)
                else:
                    waits_for = work.send(sent)
        except StopIteration as ended:
            return ended.value


def begin(
    work: Coroutine[Any, Any, Any],
    *,
    task: asyncio.Task[None],
    loop: asyncio.AbstractEventLoop,
    context: Context,
    interrupted: Callable[[], bool],
) -> Any:
    """Take the first step of a coroutine; return its result, or a `Begun` if it has to wait.

    The caller must not be a task itself, and ``task`` must be resting. ``loop`` is the running one: to ask for it costs
    a call of the system on Python 3.11.
    """
    _enter_task(loop, task)
    try:
        return Begun(work, context.run(work.send, None), interrupted)
    except StopIteration as ended:
        return ended.value
    finally:
        _leave_task(loop, task)

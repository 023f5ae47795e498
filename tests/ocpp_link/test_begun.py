"""A coroutine that is begun in the reader goes on in the inbox's task as if it had begun there."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest

from ocpp_link.begun import Begun
from ocpp_link.inbox import Inbox

PLACE: ContextVar[str] = ContextVar("PLACE", default="nowhere")

Work = Callable[[], Any]


def outcome(work: Work) -> tuple[Any, bool]:
    """Return what a coroutine returns or raises, begun from a callback as a reader does, and whether it had to wait."""

    async def main() -> tuple[Any, bool]:
        inbox = Inbox()
        ended: asyncio.Future[tuple[Any, bool]] = asyncio.get_running_loop().create_future()

        async def nothing() -> None: ...

        def read() -> None:
            try:
                begun = inbox.begin(work())
            except Exception as error:
                ended.set_result((repr(error), False))
                return
            if not isinstance(begun, Begun):
                ended.set_result((begun, False))
                return
            inbox.push(lambda: finish(begun))

        async def finish(begun: Awaitable[Any]) -> None:
            try:
                ended.set_result((await begun, True))
            except Exception as error:
                ended.set_result((repr(error), True))

        inbox.push(nothing)
        await asyncio.sleep(0.001)  # now its task rests
        asyncio.get_running_loop().call_soon(read)
        async with asyncio.timeout(30):
            found = await ended
        again = asyncio.Event()

        async def set_again() -> None:
            again.set()

        inbox.push(set_again)
        async with asyncio.timeout(30):
            await again.wait()  # the task has outlived it
        return found

    return asyncio.run(main())


async def at_once() -> str:
    return "done"


async def fails() -> str:
    raise ValueError("no")


async def turns() -> str:
    await asyncio.sleep(0)
    await asyncio.sleep(0.001)
    return "done"


async def fails_late() -> str:
    await asyncio.sleep(0)
    raise ValueError("late")


async def in_time() -> str:
    async with asyncio.timeout(5):
        await asyncio.sleep(0.001)
    return "in time"


async def too_late() -> str:
    try:
        async with asyncio.timeout(0.001):
            await asyncio.sleep(5)
    except TimeoutError:
        return "too late"
    return "never"


async def too_late_at_once() -> str:
    """The time-out strikes before the task has taken over."""
    try:
        async with asyncio.timeout(0):
            await asyncio.sleep(5)
    except TimeoutError:
        await asyncio.sleep(0.001)
        return "too late"
    return "never"


async def in_its_own_context() -> str:
    PLACE.set("here")
    await asyncio.sleep(0)
    return PLACE.get()


async def one_task() -> bool:
    before = asyncio.current_task()
    await asyncio.sleep(0)
    return before is not None and before is asyncio.current_task()


async def gathers() -> list[str]:
    return list(await asyncio.gather(turns(), turns()))


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (at_once, ("done", False)),
        (fails, ("ValueError('no')", False)),
        (turns, ("done", True)),
        (fails_late, ("ValueError('late')", True)),
        (in_time, ("in time", True)),
        (too_late, ("too late", True)),
        (too_late_at_once, ("too late", True)),
        (in_its_own_context, ("here", True)),
        (one_task, (True, True)),
        (gathers, (["done", "done"], True)),
    ],
)
def test_a_coroutine_ends_as_it_would_in_a_task(work: Work, expected: tuple[Any, bool]) -> None:
    assert expected == outcome(work)


def test_nothing_that_a_coroutine_sets_leaks_into_the_reader() -> None:
    assert ("here", True) == outcome(in_its_own_context)
    assert "nowhere" == PLACE.get()


def test_within_a_task_a_coroutine_is_left_to_the_inbox() -> None:
    async def main() -> bool:
        inbox = Inbox()
        inbox.push(at_once)  # type: ignore[arg-type]
        await asyncio.sleep(0.001)
        work = at_once()
        same = inbox.begin(work) is work
        await work
        return same

    assert asyncio.run(main())

"""JSON over HTTP with the standard library: one request, one answer, off the event loop."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

LONGEST_ANSWER = 1_000_000


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back: a status, and the parsed body where it is JSON."""

    status: int
    body: Any


Sender = Callable[[str, str, Mapping[str, str], Any], Awaitable[HttpAnswer]]
"""Sends a method to a URL with headers and a body (``None`` is none) and returns the answer; raises OSError."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        del args, kwargs


_OPENER = urllib.request.build_opener(_NoRedirect)


async def send_json(
    method: str, url: str, headers: Mapping[str, str], body: Any, *, timeout_s: float = 15.0
) -> HttpAnswer:
    """Send a request and return the answer, whatever its status.

    Raises
    ------
    OSError
        If nobody answers.
    """
    return await asyncio.to_thread(_send, method, url, headers, body, timeout_s=timeout_s)


def _send(method: str, url: str, headers: Mapping[str, str], body: Any, *, timeout_s: float) -> HttpAnswer:
    if not url.startswith(("http://", "https://")):
        raise OSError(f"{url!r} is no http address")
    data = None if body is None else json.dumps(body, allow_nan=False).encode()
    request = urllib.request.Request(
        url, data=data, method=method, headers={"Content-Type": "application/json", **headers}
    )
    try:
        with _OPENER.open(request, timeout=timeout_s) as answer:
            return HttpAnswer(answer.status, _parsed(answer.read(LONGEST_ANSWER)))
    except urllib.error.HTTPError as error:
        with error:
            return HttpAnswer(error.code, _parsed(error.read(LONGEST_ANSWER)))


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None

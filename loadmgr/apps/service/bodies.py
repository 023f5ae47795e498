"""Bodies of requests: how much of them is read, for how long, and what of JSON is taken.

Rules
-----
1. What is too large is refused before it is read to its end, and a sender that dawdles is not waited for.
2. JSON is read strictly: no NaN, no nesting beyond what any document here needs, and no field that is not known.
"""

import asyncio
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import ClientDisconnect, Request

from loadmgr.apps.service.problems import FieldFault, Refused, field_path, invalid

Model = TypeVar("Model", bound=BaseModel)

MOST_BYTES = 4_000_000
"""A site of a thousand EVSEs with all that is known of it takes less than half."""

DEEPEST = 24
"""Nesting of the deepest document: a charging profile in a station in a request takes half."""

SLOWEST_S = 15.0
"""How long a body may take to arrive [s]."""


async def read_json(request: Request, *, most_bytes: int = MOST_BYTES, slowest_s: float = SLOWEST_S) -> Any:
    """Return the parsed body of a request.

    Raises
    ------
    Refused
        413, 408, 415 or 400.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, "not-json", f"the body must be application/json, got {kind[:80] or 'no content type'}")
    raw = await _read(request, most_bytes, slowest_s)
    request.state.body_bytes = raw
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refused(400, "not-json", f"the body is not JSON: {error}") from None
    if _depth_beyond(data, DEEPEST):
        raise Refused(400, "too-deep", f"the body nests deeper than {DEEPEST} levels")
    return data


async def read_model(request: Request, model: type[Model]) -> Model:
    """Return the body of a request as a model.

    Raises
    ------
    Refused
        As `read_json`, and 422 with every field at fault.
    """
    return checked(model, await read_json(request))


def checked(model: type[Model], data: Any) -> Model:
    """Return plain values as a model.

    Raises
    ------
    Refused
        422 with every field at fault.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise invalid([_fault(d) for d in error.errors(include_url=False)]) from None


async def _read(request: Request, most_bytes: int, slowest_s: float) -> bytes:
    closing = {"Connection": "close"}
    too_large = Refused(413, "too-large", f"the body is larger than {most_bytes} bytes", headers=closing)
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said[:18]) > most_bytes:
        raise too_large
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(slowest_s):
            async for chunk in request.stream():
                size += len(chunk)
                if size > most_bytes:
                    raise too_large
                chunks.append(chunk)
    except TimeoutError:
        raise Refused(408, "too-slow", f"the body took more than {slowest_s:g} s", headers=closing) from None
    except ClientDisconnect:
        raise Refused(400, "cut-short", "the body ended before it was whole") from None
    return b"".join(chunks)


def _depth_beyond(data: Any, most: int) -> bool:
    level = [data]
    for _ in range(most):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
        level = [v for v in below if isinstance(v, dict | list)]
        if not level:
            return False
    return True


def _fault(detail: ErrorDetails) -> FieldFault:
    where = field_path([p for p in detail["loc"] if not (isinstance(p, str) and p in _BRANCHES)]) or "the body"
    if detail["type"] == "extra_forbidden":
        return FieldFault(where, "this field is not known", "remove it, or see /openapi.json for its right name")
    if detail["type"] == "missing":
        return FieldFault(where, "this field is missing", "add it")
    text = detail["msg"].removeprefix("Value error, ")
    shown = detail.get("input")
    scalar = shown if isinstance(shown, str | int | float | bool) or shown is None else type(shown).__name__
    return FieldFault(where, f"{text}, got {str(scalar)[:80]!r}" if not isinstance(shown, dict) else text)


_BRANCHES = frozenset({"str", "float", "tuple[float,float,float]", "dict[str,any]", "constrained-str"})
"""Names that pydantic puts into the path of a value that may be of several types."""

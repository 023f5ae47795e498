"""Refusals as ``application/problem+json`` (RFC 9457): each names the field and says what would be right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"

MOST_ERRORS = 50
"""More faults than that help nobody."""


class FieldError(BaseModel):
    """What is wrong with one field."""

    model_config = ConfigDict(extra="forbid")

    field: str = Field(description="Where it stands in what was sent, such as `site.circuits[0].fuse`.")
    problem: str
    advice: str | None = None


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(description="A word for programs, such as `invalid-body`.")
    title: str
    status: int
    detail: str
    errors: list[FieldError] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FieldFault:
    """A fault of one field: where, what is wrong, what would be right."""

    field: str
    problem: str
    advice: str | None = None


class Refused(Exception):  # noqa: N818 - it says what happened
    """A request that is refused: a status, a word for programs, a sentence for people, and the fields at fault."""

    def __init__(
        self,
        status: int,
        word: str,
        detail: str,
        *,
        faults: Sequence[FieldFault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.word = word
        self.detail = detail
        self.faults = tuple(faults)
        self.headers = dict(headers or {})


def invalid(faults: Sequence[FieldFault], *, what: str = "the request") -> Refused:
    """Return the refusal of a request whose fields have faults."""
    first = faults[0]
    more = "" if len(faults) == 1 else f" ({len(faults) - 1} more in errors)"
    return Refused(422, "invalid-body", f"{what} has a fault: {first.field}: {first.problem}{more}", faults=faults)


def problem_response(refused: Refused) -> Response:
    """Return the answer that says a refusal."""
    body: dict[str, Any] = {
        "type": refused.word,
        "title": HTTPStatus(refused.status).phrase,
        "status": refused.status,
        "detail": refused.detail,
        "errors": [{"field": f.field, "problem": f.problem, "advice": f.advice} for f in refused.faults[:MOST_ERRORS]],
    }
    return Response(orjson.dumps(body), refused.status, headers=refused.headers, media_type=MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the entries of an OpenAPI document for refusals with these statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def field_path(path: Sequence[str | int]) -> str:
    """Return a path as people write it.

    Examples
    --------
    >>> field_path(("site", "circuits", 0, "fuse"))
    'site.circuits[0].fuse'
    """
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else str(part)
    return out

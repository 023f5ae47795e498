"""Routes that compute and keep nothing: schedules and composite schedules."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Request, Response

from loadmgr.apps.composite.composite_document import CompositeOperation, Document, read_document
from loadmgr.apps.composite.composite_run import run_document
from loadmgr.apps.service.answers import CompositeAnswer, ScheduleAnswer
from loadmgr.apps.service.bodies import checked, read_json
from loadmgr.apps.service.facts import moment
from loadmgr.apps.service.openapi import json_body
from loadmgr.apps.service.problems import FieldFault, Refused, documented, invalid
from loadmgr.apps.service.service import Service
from loadmgr.apps.service.snapshot import ScheduleRequest
from loadmgr.apps.service.tokens import Caller, Role
from loadmgr.errors import InputError

COMPOSITE_BUDGET_S = 20.0
LONGEST_COMPOSITE_S = 366 * 86_400
MOST_OPERATIONS = 1000

Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", description="A retry with the same key and body is answered as the first was."),
]
REFUSALS = (400, 401, 403, 408, 409, 413, 415, 422, 429, 503)


def compute_routes(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1", tags=["compute"])

    @router.post(
        "/schedule",
        responses={200: {"model": ScheduleAnswer}, **documented(*REFUSALS)},
        response_model=None,
        openapi_extra=json_body("ScheduleRequest"),
    )
    async def schedule(request: Request, key: Key = None) -> Response:
        """Return charging profiles, setpoints, expected energy, reasons and alarms for a site as it stands."""
        caller = await service.gate.admit(request, Role.READ)
        data = await read_json(request)
        asked = checked(ScheduleRequest, data)
        at = moment(asked, service.now())

        async def answer() -> bytes:
            found = await service.engine.schedule(asked, at=at, may_see=caller.sites)
            return orjson.dumps(found)

        return await once(service, caller, answer, key=None if asked.dry_run else key, body=request.state.body_bytes)

    @router.post(
        "/composite",
        responses={200: {"model": CompositeAnswer}, **documented(*REFUSALS)},
        response_model=None,
        openapi_extra=json_body("CompositeDocument"),
    )
    async def composite(request: Request, key: Key = None) -> Response:
        """Return what operations on a station's charging profiles give, as `loadmgr composite` does."""
        caller = await service.gate.admit(request, Role.READ)
        data = await read_json(request)

        async def answer() -> bytes:
            try:
                return await service.engine.run(lambda: _composite(data), within_s=COMPOSITE_BUDGET_S)
            except TimeoutError:
                headers = {"Retry-After": "5"}
                raise Refused(503, "too-busy", "no answer was ready in time", headers=headers) from None

        return await once(service, caller, answer, key=key, body=request.state.body_bytes)

    return router


async def once(
    service: Service, caller: Caller, answer: Callable[[], Awaitable[bytes]], *, key: str | None, body: bytes
) -> Response:
    """Return an answer; with a key the one that was given to it before, if there was one.

    Raises
    ------
    Refused
        As `answer` does, and for a key that cannot be used.
    """
    if key is None:
        return Response(await answer(), media_type="application/json")
    kept = await asyncio.to_thread(service.answers.begin, caller.token, key, body, now=service.now())
    if kept is not None:
        headers = {"Idempotency-Replayed": "true"}
        return Response(kept.body, kept.status, headers=headers, media_type="application/json")
    try:
        content = await answer()
    except BaseException:
        await asyncio.to_thread(service.answers.forget, caller.token, key)
        raise
    await asyncio.to_thread(service.answers.end, caller.token, key, status=200, body=content)
    return Response(content, media_type="application/json")


def _composite(data: Any) -> bytes:
    try:
        document = read_document(data, place="document")
        _check_size(document)
        outcome = run_document(document)
    except InputError as error:
        place, _, problem = str(error).partition(": ")
        raise invalid([FieldFault(place, problem or str(error))], what="the document") from None
    return orjson.dumps({"results": outcome.results}, option=orjson.OPT_NON_STR_KEYS)


def _check_size(document: Document) -> None:
    if len(document.operations) > MOST_OPERATIONS:
        raise invalid([FieldFault("operations", f"more than {MOST_OPERATIONS}", "send several documents")])
    for number, operation in enumerate(document.operations, start=1):
        if isinstance(operation, CompositeOperation) and operation.duration_s > LONGEST_COMPOSITE_S:
            field = f"document, operation {number} (composite).duration_s"
            raise invalid([FieldFault(field, f"more than {LONGEST_COMPOSITE_S} s", "ask for a part of it")])

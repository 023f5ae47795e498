"""Routes for people and their programs: the state of a site, wishes, limits, orders, the journal, events."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from starlette.responses import StreamingResponse

from loadmgr.apps.process.local_control import explained, order_from
from loadmgr.apps.process.status import site_status
from loadmgr.apps.service.answers import json_answer
from loadmgr.apps.service.bodies import read_model
from loadmgr.apps.service.facts import facts_of, in_bounds
from loadmgr.apps.service.hosted import MOST_STREAMS, HostedSite
from loadmgr.apps.service.observed import (
    JournalListed,
    LimitRequest,
    OrderRequest,
    OverrideRequest,
    PricesRequest,
    Taken,
    WishRequest,
)
from loadmgr.apps.service.openapi import json_body
from loadmgr.apps.service.plan_json import plan_json
from loadmgr.apps.service.problems import FieldFault, Refused, documented, invalid
from loadmgr.apps.service.service import Service
from loadmgr.apps.service.site_routes import READS, WRITES, site_of, tell
from loadmgr.apps.service.snapshot import ScheduleRequest
from loadmgr.apps.service.tokens import Role
from loadmgr.control.observation import LimitChanged, Observation, SessionDeclared
from loadmgr.errors import InputError, JournalError
from loadmgr.model.ids import CircuitId, EvseId
from loadmgr.model.session import EnergyNeed, VehicleLimits
from loadmgr.model.topology import PhaseLimits
from loadmgr.store.open import open_tables

SILENCE_S = 15.0
"""A stream says at least this often that it is still there [s]."""

ANY_JSON: dict[str, Any] = {"content": {"application/json": {"schema": {"type": "object"}}}}

EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"enum": ["hello", "status", "decision", "alarm", "session ended"]},
        "data": {"type": "string", "description": "JSON."},
    },
}


def people_routes(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1", tags=["people"])
    _add_views(router, service)
    _add_past(router, service)
    _add_wishes(router, service)
    _add_limits(router, service)
    _add_orders(router, service)
    return router


def _add_views(router: APIRouter, service: Service) -> None:
    @router.get("/sites/{site}", responses={200: ANY_JSON, **documented(*READS)}, response_model=None)
    @router.get("/sites/{site}/status", responses={200: ANY_JSON, **documented(*READS)}, response_model=None)
    async def status(request: Request, site: str) -> Response:
        """Return everything that is known of a site: EVSEs with their reasons, circuits, stations, limits, alarms."""
        hosted = await site_of(service, request, site, Role.READ)
        return json_answer(site_status(hosted.process))

    @router.get("/sites/{site}/plan", responses={200: ANY_JSON, **documented(*READS)}, response_model=None)
    async def plan(request: Request, site: str) -> Response:
        """Return the plan in force: currents of EVSEs, loads of circuits and the price, step by step."""
        hosted = await site_of(service, request, site, Role.READ)
        return json_answer(plan_json(hosted.process))

    @router.get("/sites/{site}/evses/{evse}", responses={200: ANY_JSON, **documented(*READS)}, response_model=None)
    async def why(request: Request, site: str, evse: str) -> Response:
        """Return all that is known of one EVSE, and why it gets what it gets."""
        hosted = await site_of(service, request, site, Role.READ)
        _evse(hosted, evse)
        try:
            found = explained(hosted.process, evse)
        except InputError as error:
            raise Refused(503, "nothing-decided", str(error), headers={"Retry-After": "1"}) from None
        return json_answer(found)

    @router.get(
        "/sites/{site}/events",
        responses={
            200: {"content": {"text/event-stream": {"schema": EVENT}}},
            **documented(*READS),
        },
        response_model=None,
    )
    async def events(
        request: Request,
        site: str,
        most: Annotated[int, Query(ge=0, le=1_000_000, description="End after so many events; 0 for never.")] = 0,
        within_s: Annotated[float, Query(ge=0.0, le=86_400.0, description="End after so long; 0 for never.")] = 0.0,
    ) -> Response:
        """Stream the state when it changed, decisions, alarms and sessions that ended (server-sent events)."""
        hosted = await site_of(service, request, site, Role.READ)
        if sum(len(s.streams) for s in service.hosted.values()) >= MOST_STREAMS:
            raise Refused(503, "too-many-streams", "too many streams are open", headers={"Retry-After": "30"})
        stream = _events(hosted, most=most, within_s=within_s)
        return StreamingResponse(stream, media_type="text/event-stream")


def _add_past(router: APIRouter, service: Service) -> None:
    @router.get("/sites/{site}/journal", responses={200: {"model": list[JournalListed]}, **documented(*READS)})
    async def journal(
        request: Request,
        site: str,
        *,
        kind: Annotated[str, Query(pattern="^[A-Za-z]{1,60}$", description="Such as Command, Alarm or Session.")],
        since: datetime | None = None,
        until: datetime | None = None,
        most: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    ) -> list[JournalListed]:
        """Return entries of a site's journal of one kind, the oldest first."""
        hosted = await site_of(service, request, site, Role.READ)
        place = service.journal_of(hosted.name)
        if place is None:
            raise Refused(404, "no-journal", f"the site {site} keeps no journal here")
        start, end = _instant(since, "since"), _instant(until, "until")
        return await asyncio.to_thread(_entries, hosted, place, kind, start=start, end=end, most=most)


async def _events(hosted: HostedSite, *, most: int, within_s: float) -> AsyncIterator[bytes]:
    queue, told = hosted.streams.open(), 0
    ends_s = hosted.clock.now_s() + within_s if within_s else None
    try:
        yield b"event: hello\ndata: " + orjson.dumps({"site": hosted.process.site.name}) + b"\n\n"
        while not most or told < most:
            left_s = SILENCE_S if ends_s is None else min(SILENCE_S, ends_s - hosted.clock.now_s())
            if left_s <= 0.0:
                return
            try:
                async with asyncio.timeout(left_s):
                    event = await queue.get()
            except TimeoutError:
                yield b": still here\n\n"
                continue
            told += 1
            yield event
    finally:
        hosted.streams.close(queue)


def _entries(
    hosted: HostedSite, place: str, kind: str, *, start: datetime | None, end: datetime | None, most: int
) -> list[JournalListed]:
    try:
        tables = open_tables(place, site=hosted.process.site.name)
    except JournalError as error:
        raise Refused(503, "no-journal", str(error), headers={"Retry-After": "5"}) from None
    try:
        out = []
        for entry in tables.of_kind(kind, start=start, end=end):
            body = json.loads(entry.body)
            out.append(JournalListed(number=entry.number, at=entry.at.isoformat(), kind=entry.kind, body=body))
            if len(out) >= most:
                break
        return out
    finally:
        tables.close()


def _add_wishes(router: APIRouter, service: Service) -> None:
    @router.put(
        "/sites/{site}/evses/{evse}/wish",
        responses={200: {"model": Taken}, **documented(*WRITES)},
        response_model=None,
        openapi_extra=json_body("WishRequest"),
    )
    async def wish(request: Request, site: str, evse: str) -> Response:
        """Take a driver's wish: when he leaves, and what he wants."""
        hosted = await site_of(service, request, site, Role.OPERATE)
        asked = await read_model(request, WishRequest)
        need = None
        if asked.wanted_wh is not None:
            try:
                need = EnergyNeed(
                    must_wh=asked.must_wh,
                    wanted_wh=asked.wanted_wh,
                    full_wh=asked.full_wh,
                    must_by=_instant(asked.must_by, "must_by"),
                )
            except ValueError as error:
                raise invalid([FieldFault("wanted_wh", str(error))]) from None
        elif asked.must_wh or asked.full_wh is not None or asked.must_by is not None:
            raise invalid([FieldFault("wanted_wh", "is missing beside must_wh, full_wh or must_by", "add it")])
        said = SessionDeclared(
            at=hosted.now(),
            evse=_evse(hosted, evse),
            departure=_instant(asked.departure, "departure"),
            need=need,
            priority=asked.priority,
            vehicle=None if asked.vehicle is None else VehicleLimits(**asked.vehicle.model_dump()),
            discharge=None if asked.discharge is None else asked.discharge.terms(),
            source="driver",
        )
        return tell(hosted, [said], dry_run=asked.dry_run)

    @router.put(
        "/sites/{site}/prices",
        responses={200: {"model": Taken}, **documented(*WRITES)},
        response_model=None,
        openapi_extra=json_body("PricesRequest"),
    )
    async def prices(request: Request, site: str) -> Response:
        """Take prices of import."""
        hosted = await site_of(service, request, site, Role.OPERATE)
        asked = await read_model(request, PricesRequest)
        found = ScheduleRequest(site=site, stations=[], prices=asked.prices)
        facts = facts_of(found, hosted.process.site, at=hosted.now())
        return tell(hosted, facts.after, dry_run=asked.dry_run)


def _add_limits(router: APIRouter, service: Service) -> None:
    @router.put(
        "/sites/{site}/limits/{circuit}/{source}",
        responses={200: {"model": Taken}, **documented(*WRITES)},
        response_model=None,
        openapi_extra=json_body("LimitRequest"),
    )
    async def limit(request: Request, site: str, circuit: str, source: str) -> Response:
        """Take a source's limit on a circuit; it replaces what the same source said before."""
        hosted = await site_of(service, request, site, Role.OPERATE)
        asked = await read_model(request, LimitRequest)
        if asked.limit_a is None and asked.limit_w is None:
            raise invalid([FieldFault("limit_a", "limits nothing", "give limit_a or limit_w, or DELETE the limit")])
        if asked.heartbeat_s is not None and asked.silent_limit_a is None and asked.silent_limit_w is None:
            advice = "add silent_limit_a or silent_limit_w: what holds when nothing is heard"
            raise invalid([FieldFault("heartbeat_s", "without a silent limit it does nothing", advice)])
        value = asked.limit_a
        limit_a: PhaseLimits | None = None if value is None else value if isinstance(value, tuple) else (value,) * 3
        silent = asked.silent_limit_a
        said = LimitChanged(
            at=hosted.now(),
            circuit=_circuit(hosted, circuit),
            source=_source(source),
            limit_a=limit_a,
            limit_w=asked.limit_w,
            until=_instant(asked.until, "until"),
            heartbeat_s=asked.heartbeat_s,
            silent_limit_a=None if silent is None else (silent,) * 3,
            silent_limit_w=asked.silent_limit_w,
            vehicles_only=asked.vehicles_only,
        )
        answer = tell(hosted, [said], dry_run=asked.dry_run)
        await service.audit.note(request, "limit", status=200, site=site, detail=f"{circuit} {source}")
        return answer

    @router.delete(
        "/sites/{site}/limits/{circuit}/{source}",
        responses={200: {"model": Taken}, **documented(*READS)},
        response_model=None,
    )
    async def no_limit(request: Request, site: str, circuit: str, source: str) -> Response:
        """Take a source's limit away."""
        hosted = await site_of(service, request, site, Role.OPERATE)
        said = LimitChanged(at=hosted.now(), circuit=_circuit(hosted, circuit), source=_source(source))
        await service.audit.note(request, "limit taken away", status=200, site=site, detail=f"{circuit} {source}")
        return tell(hosted, [said], dry_run=False)


def _add_orders(router: APIRouter, service: Service) -> None:
    @router.put(
        "/sites/{site}/evses/{evse}/order",
        responses={200: {"model": Taken}, **documented(*WRITES)},
        response_model=None,
        openapi_extra=json_body("OrderRequest"),
    )
    async def order(request: Request, site: str, evse: str) -> Response:
        """Limit, pause or boost an EVSE, within the limits of its circuits."""
        hosted = await site_of(service, request, site, Role.OPERATE)
        asked = await read_model(request, OrderRequest)
        said = asked.model_dump(exclude={"dry_run"})
        return await _order(service, request, hosted, {**said, "evse": evse}, dry_run=asked.dry_run)

    @router.post(
        "/sites/{site}/overrides",
        responses={200: {"model": Taken}, **documented(*WRITES)},
        response_model=None,
        openapi_extra=json_body("OverrideRequest"),
    )
    async def override(request: Request, site: str) -> Response:
        """Limit, pause or boost an EVSE, or take that back: the order with the EVSE in its body, for a page."""
        hosted = await site_of(service, request, site, Role.OPERATE)
        asked = await read_model(request, OverrideRequest)
        said = asked.model_dump(exclude={"dry_run"})
        return await _order(service, request, hosted, said, dry_run=asked.dry_run)

    @router.delete(
        "/sites/{site}/evses/{evse}/order",
        responses={200: {"model": Taken}, **documented(*READS)},
        response_model=None,
    )
    async def no_order(request: Request, site: str, evse: str) -> Response:
        """Take the order about an EVSE back."""
        hosted = await site_of(service, request, site, Role.OPERATE)
        return await _order(service, request, hosted, {"evse": evse, "clear": True}, dry_run=False)


async def _order(
    service: Service, request: Request, hosted: HostedSite, said: dict[str, Any], *, dry_run: bool
) -> Response:
    _evse(hosted, said["evse"])
    by = request.state.caller.name
    try:
        order: Observation = order_from(hosted.process, said, by=by, now=hosted.now())
    except InputError as error:
        raise invalid([FieldFault("limit_a, pause, boost", str(error))], what="the order") from None
    answer = tell(hosted, [order], dry_run=dry_run)
    if not dry_run:
        words = ", ".join(f"{k} {v}" for k, v in said.items() if v not in (None, False))
        await service.audit.note(request, "order", status=200, site=hosted.name, detail=words)
    return answer


def _evse(hosted: HostedSite, name: str) -> EvseId:
    if EvseId(name) not in hosted.process.site.evse_by_id:
        raise Refused(404, "no-such-evse", f"the site has no EVSE {name[:80]!r}")
    return EvseId(name)


def _circuit(hosted: HostedSite, name: str) -> CircuitId:
    if CircuitId(name) not in hosted.process.site.circuit_by_id:
        raise Refused(404, "no-such-circuit", f"the site has no circuit {name[:80]!r}")
    return CircuitId(name)


def _source(name: str) -> str:
    if not name.isprintable() or len(name) > 120:
        raise invalid([FieldFault("source", "must be up to 120 printable characters")])
    return name


def _instant(when: datetime | None, field: str) -> datetime | None:
    if when is None:
        return None
    if when.tzinfo is None:
        raise invalid([FieldFault(field, "has no zone", f"write {when.isoformat()}Z for UTC")])
    found = in_bounds(when)
    if found is None:
        raise invalid([FieldFault(field, f"year {when.year} is out of range", "write one from 1970 to 2200")])
    return found

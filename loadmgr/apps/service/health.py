"""Routes for those who look after the service: is it alive, is it ready and why not, and its metrics."""

import asyncio
from collections.abc import Iterator

from fastapi import APIRouter, Request, Response

from loadmgr.apps.service.answers import HealthAnswer, json_answer
from loadmgr.apps.service.problems import documented
from loadmgr.apps.service.service import Service
from loadmgr.apps.service.site_metrics import hosted_lines, site_lines
from loadmgr.apps.service.tokens import Role
from loadmgr.store.database import DatabaseLost
from ocpp_link.metrics import family

DATABASE_S = 3.0
"""A database that does not answer within this time is away [s]."""

OPEN: dict[str, object] = {"security": []}


def health_routes(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", responses={200: {"model": HealthAnswer}}, response_model=None, openapi_extra=OPEN)
    async def healthz() -> Response:
        """Return 200 as long as the process answers: what is wrong with it is in `readyz`."""
        return _health({"process": "ok: it answers"})

    @router.get(
        "/readyz",
        responses={200: {"model": HealthAnswer}, 503: {"model": HealthAnswer}},
        response_model=None,
        openapi_extra=OPEN,
    )
    async def readyz() -> Response:
        """Return 200 where requests can be served, and 503 with what is missing where not."""
        return _health(await checks(service))

    @router.get(
        "/metrics",
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **documented(401, 403, 429)},
        response_model=None,
    )
    async def metrics(request: Request) -> Response:
        """Return counters and durations in Prometheus' text format."""
        caller = await service.gate.admit(request, Role.READ)
        seen = [site for site in service.hosted.values() if caller.may_see(site.name)]
        body = "\n".join([*metric_lines(service), *hosted_lines(seen), *site_lines(seen), ""])
        return Response(body, media_type="text/plain; version=0.0.4")

    return router


async def checks(service: Service) -> dict[str, str]:
    """Return what was looked at: each ``ok`` or ``failed``, and why."""
    found = {"process": "ok: it answers"}
    try:
        async with asyncio.timeout(DATABASE_S):
            await service.tables.ask("SELECT 1")
        found["database"] = "ok: it answers"
    except (DatabaseLost, TimeoutError) as error:
        found["database"] = f"failed: {type(error).__name__}: tokens cannot be looked up"
    busy = service.engine.is_full
    found["engine"] = "failed: every thread is taken and the queue is full" if busy else "ok: there is room"
    if service.hosted or service.to_control:
        found["sites"] = _sites(service)
    return found


def _sites(service: Service) -> str:
    """Return how the sites under control are; by numbers, because anybody may ask."""
    here = list(service.hosted.values())
    stopped = sum(not site.running for site in here)
    if stopped:
        return f"failed: {stopped} of {len(here)} controllers here have stopped: the log says why"
    troubled = sum((site.process.condition()["journal"] or {}).get("trouble") is not None for site in here)
    if troubled:
        return f"failed: {troubled} of {len(here)} journals cannot be written: the log says why"
    elsewhere = len(service.to_control - service.hosted.keys())
    return f"ok: {len(here)} controlled here, {elsewhere} elsewhere or not yet"


def metric_lines(service: Service) -> Iterator[str]:
    """Yield the service's metrics."""
    yield from service.counts.lines()
    engine = service.engine
    yield from family("loadmgr_schedule_waiting", "gauge", "Schedules under way or waiting.", [({}, engine.waiting)])
    yield from family("loadmgr_schedule_late_total", "counter", "Schedules beyond their budget.", [({}, engine.late)])


def _health(found: dict[str, str]) -> Response:
    good = all(text.startswith("ok") for text in found.values())
    body = {"status": "ok" if good else "failed", "checks": found}
    return json_answer(body, status=200 if good else 503)

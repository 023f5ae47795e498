"""The HTTP application: routes, refusals, and what watches them. No page asks it from elsewhere: CORS stays closed."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from loadmgr.apps.service.admin import TokenRequest, admin_routes
from loadmgr.apps.service.citrineos import citrineos_routes
from loadmgr.apps.service.compute import compute_routes
from loadmgr.apps.service.health import health_routes
from loadmgr.apps.service.observed import (
    ConnectionsRequest,
    LimitRequest,
    MessagesRequest,
    OrderRequest,
    OverrideRequest,
    PricesRequest,
    ReadingsRequest,
    RepliesRequest,
    TransactionsRequest,
    WishRequest,
)
from loadmgr.apps.service.openapi import document_of
from loadmgr.apps.service.page_routes import page_routes
from loadmgr.apps.service.people_routes import people_routes
from loadmgr.apps.service.problems import FieldFault, Refused, field_path, problem_response
from loadmgr.apps.service.service import Service
from loadmgr.apps.service.site_routes import site_routes
from loadmgr.apps.service.snapshot import ScheduleRequest
from loadmgr.apps.service.watching import Watched
from loadmgr.apps.service.webhooks import WebhookRequest, webhook_routes
from loadmgr.store.database import DatabaseLost

log = logging.getLogger(__name__)

BODIES = (
    ScheduleRequest,
    TokenRequest,
    MessagesRequest,
    ConnectionsRequest,
    ReadingsRequest,
    TransactionsRequest,
    WishRequest,
    LimitRequest,
    OrderRequest,
    OverrideRequest,
    PricesRequest,
    RepliesRequest,
    WebhookRequest,
)


def create_app(service: Service) -> FastAPI:
    """Return the application of a service."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url="/openapi.json")
    app.include_router(compute_routes(service))
    app.include_router(site_routes(service))
    app.include_router(people_routes(service))
    app.include_router(webhook_routes(service))
    app.include_router(admin_routes(service))
    app.include_router(health_routes(service))
    app.include_router(page_routes(service))
    if service.citrineos is not None:
        app.include_router(citrineos_routes(service.citrineos))
    app.add_middleware(Watched, counts=service.counts)
    _add_refusals(app)
    app.state.service = service
    made: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(document_of(app, BODIES))
        return made

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def _add_refusals(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return problem_response(error)

    @app.exception_handler(RequestValidationError)
    async def misread(_: Request, error: RequestValidationError) -> Response:
        faults = [FieldFault(field_path(e["loc"]), str(e["msg"])) for e in error.errors()]
        return problem_response(
            Refused(422, "invalid-parameter", f"{faults[0].field}: {faults[0].problem}", faults=faults)
        )

    @app.exception_handler(HTTPException)
    async def not_here(_: Request, error: HTTPException) -> Response:
        word = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "refused")
        detail = {404: "there is nothing at this path: see /openapi.json", 405: "this path takes other methods"}
        text = detail.get(error.status_code, HTTPStatus(error.status_code).phrase)
        return problem_response(Refused(error.status_code, word, text, headers=dict(error.headers or {})))

    @app.exception_handler(DatabaseLost)
    async def no_database(_: Request, error: DatabaseLost) -> Response:
        log.error("database: %s", error)
        headers = {"Retry-After": "2"}
        return problem_response(Refused(503, "no-database", "the service's database is away", headers=headers))

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        request_id = getattr(request.state, "request_id", "")
        log.error("request %s failed", request_id, exc_info=error)
        return problem_response(Refused(500, "fault", f"a fault of ours; the log has it under {request_id}"))

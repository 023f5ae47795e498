"""Routes of the page: its files, the past of a site, and the documents that those who look at it are sent."""

from collections.abc import Mapping
from importlib.resources import files

from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from loadmgr.apps.service.answers import json_answer
from loadmgr.apps.service.hosted import MOST_STREAMS
from loadmgr.apps.service.problems import Refused
from loadmgr.apps.service.service import Service
from loadmgr.apps.service.site_routes import site_of
from loadmgr.apps.service.tokens import Role

TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "LICENSE": "text/plain; charset=utf-8",
}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing comes from elsewhere and nothing is sent elsewhere."""


def page_routes(service: Service) -> APIRouter:
    """Return the routes of the page; they are its own affair and no part of the documented interface."""
    router = APIRouter(include_in_schema=False)
    shipped = _shipped()

    @router.get("/")
    async def index() -> Response:
        return _file(shipped, "index.html")

    @router.get("/web/{name}")
    async def file(name: str) -> Response:
        if name not in shipped:
            raise Refused(404, "not-found", f"the page has no file {name[:80]!r}")
        return _file(shipped, name)

    @router.get("/v1/sites/{site}/page")
    async def past(request: Request, site: str) -> Response:
        hosted = await site_of(service, request, site, Role.READ)
        return json_answer({"history": hosted.page.feed.history()})

    @router.get("/v1/sites/{site}/page/events")
    async def events(request: Request, site: str) -> Response:
        hosted = await site_of(service, request, site, Role.READ)
        if sum(s.page.readers for s in service.hosted.values()) >= MOST_STREAMS:
            raise Refused(503, "too-many-streams", "too many pages are open", headers={"Retry-After": "30"})
        return StreamingResponse(hosted.page.follow(), media_type="text/event-stream")

    return router


def _shipped() -> Mapping[str, bytes]:
    folder = files("loadmgr").joinpath("web")
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.name.rpartition(".")[2] in TYPES}


def _file(shipped: Mapping[str, bytes], name: str) -> Response:
    kind = TYPES[name.rpartition(".")[2]]
    return Response(shipped[name], media_type=kind, headers={"Content-Security-Policy": POLICY})

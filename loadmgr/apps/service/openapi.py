"""The OpenAPI 3.1 document: what FastAPI finds in the routes, and the bodies that are read by hand."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from loadmgr import __version__
from loadmgr.apps.service.problems import Problem

COMPOSITE_DOCUMENT: dict[str, Any] = {
    "type": "object",
    "description": "What `loadmgr composite` reads: a station's state and operations on its profiles, in order.",
    "required": ["ocpp_version", "now", "operations"],
    "properties": {
        "ocpp_version": {"enum": ["1.6", "2.0.1", "2.1"]},
        "now": {"type": "string", "format": "date-time"},
        "station": {"type": "object"},
        "defaults": {"type": "object"},
        "transactions": {"type": "array", "items": {"type": "object"}},
        "operations": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["op"],
                "properties": {"op": {"enum": ["set", "start", "load", "clear", "list", "composite"]}},
            },
        },
    },
}


def json_body(name: str) -> dict[str, Any]:
    """Return the entry of a route whose body has the schema ``name``."""
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def document_of(app: FastAPI, models: tuple[type[BaseModel], ...]) -> dict[str, Any]:
    """Return the OpenAPI document of an application, with the schemas of ``models``."""
    document = get_openapi(
        title="loadmgr",
        version=__version__,
        openapi_version="3.1.0",
        summary="Smart-charging load management as a service.",
        description="Times are ISO 8601 with zone; currents are A per phase, powers W, energies Wh.",
        routes=app.routes,
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    every: tuple[type[BaseModel], ...] = (*models, Problem)
    _, found = models_json_schema([(m, "validation") for m in every], ref_template="#/components/schemas/{model}")
    schemas |= found.get("$defs", {})
    schemas["CompositeDocument"] = COMPOSITE_DOCUMENT
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    return document

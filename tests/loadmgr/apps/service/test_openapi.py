"""Whatever the OpenAPI document lets pass, and what it does not: no fault of ours, and no answer that is not in it."""

import asyncio
import os
import threading

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from loadmgr.apps.service.app import create_app
from loadmgr.apps.service.hosted import HostedSite
from loadmgr.site_file import check_values
from ocpp_link.transport import SystemClock
from tests.loadmgr.apps.service.asking import SMALL, a_service, token

EXAMPLES = int(os.environ.get("LOADMGR_API_EXAMPLES", "1"))
"""Of each operation; a few hundred find more, by hand."""

SERVICE = a_service()
APP = create_app(SERVICE)
HEADERS = token(SERVICE)
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
THERE = {"site": "small", "evse": "E1", "circuit": "main"}
"""What the paths of the site that is there name; made-up names would find nothing but 404."""

schema = schemathesis.openapi.from_dict(APP.openapi())


@pytest.fixture(scope="module")
def address():
    """Run the service in a thread of its own, with a site under control."""
    server = uvicorn.Server(uvicorn.Config(APP, port=0, log_config=None))
    started = threading.Event()

    async def serve():
        hosted = HostedSite("small", check_values(SMALL, name="small").site_file, clock=SystemClock())
        SERVICE.hosted["small"] = hosted
        hosted.start()
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        started.set()
        await serving
        await hosted.stop()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(30)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()
    SERVICE.close()


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_nothing_is_answered_that_is_not_documented(case, address):
    names = case.path_parameters or {}
    case.path_parameters = {k: THERE.get(k, v) for k, v in names.items()}
    query = case.query or {}
    if case.path.endswith("/events"):
        case.query = {**query, "within_s": 0.05}
    elif "wait_s" in query:
        case.query = {**query, "wait_s": 0}
    response = case.call(base_url=address, headers=HEADERS)
    case.validate_response(response, checks=CHECKS)
    assert 500 != response.status_code


def test_the_document_is_openapi_3_1_and_names_every_body():
    document = APP.openapi()
    assert document["openapi"].startswith("3.1")
    bodies = [o["requestBody"] for path in document["paths"].values() for o in path.values() if "requestBody" in o]
    assert {"ScheduleRequest", "CompositeDocument", "TokenRequest", "MessagesRequest"} <= {
        b["content"]["application/json"]["schema"]["$ref"].rsplit("/")[-1] for b in bodies
    }
    assert [{"token": []}] == document["security"]

"""Whatever the OpenAPI document lets pass, and what it does not: no fault of ours, and no answer that is not in it."""

import os

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from loadmgr.apps.service.app import create_app
from tests.loadmgr.apps.service.asking import a_service, token

EXAMPLES = int(os.environ.get("LOADMGR_API_EXAMPLES", "3"))
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

schema = schemathesis.openapi.from_dict(APP.openapi())
schema.app = APP


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_nothing_is_answered_that_is_not_documented(case):
    response = case.call(headers=HEADERS)
    case.validate_response(response, checks=CHECKS)
    assert 500 != response.status_code


def test_the_document_is_openapi_3_1_and_names_every_body():
    document = APP.openapi()
    assert document["openapi"].startswith("3.1")
    bodies = [o["requestBody"] for path in document["paths"].values() for o in path.values() if "requestBody" in o]
    assert {"ScheduleRequest", "CompositeDocument", "TokenRequest"} <= {
        b["content"]["application/json"]["schema"]["$ref"].rsplit("/")[-1] for b in bodies
    }
    assert [{"token": []}] == document["security"]

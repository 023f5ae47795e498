"""Who is let in, how often, and what becomes of those who try other things."""

import logging

import pytest

from loadmgr.apps.service.rates import Rate
from loadmgr.apps.service.tokens import Role
from tests.loadmgr.apps.service.asking import NOW, a_service, client_of, token, two_cars


@pytest.fixture
def service():
    made = a_service()
    yield made
    made.close()


def post(client, body=None, **more):
    return client.post("/v1/schedule", json=two_cars() if body is None else body, **more)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer x",
        "Basic YTpi",
        "Bearer lm_abc_def",
        "Bearer lm__",
        "Bearer " + "lm_a_" + "f" * 5000,
        "Bearer ü",
    ],
)
def test_without_a_good_token_nothing_is_answered(service, header):
    found = post(client_of(service, {"Authorization": header.encode()} if header else {}))
    assert 401 == found.status_code
    assert found.headers["www-authenticate"].startswith("Bearer")
    assert "no-token" == found.json()["type"]


def test_a_token_with_another_secret_opens_nothing(service):
    headers = token(service)
    good = headers["Authorization"]
    wrong = good[:-1] + ("0" if good[-1] != "0" else "1")
    assert 401 == post(client_of(service, {"Authorization": wrong})).status_code
    assert 200 == post(client_of(service, headers)).status_code


def test_a_token_that_is_revoked_or_over_opens_nothing(service):
    text = service.tokens.issue(name="a", role=Role.READ, now=NOW, expires=NOW)
    assert None is service.tokens.find(text, now=NOW)
    text = service.tokens.issue(name="b", role=Role.READ, now=NOW)
    assert Role.READ is service.tokens.find(text, now=NOW).role
    assert service.tokens.revoke(text.split("_")[1], now=NOW)
    assert None is service.tokens.find(text, now=NOW)


def test_what_is_kept_of_a_token_does_not_open_anything(service):
    text = service.tokens.issue(name="a", role=Role.ADMIN, now=NOW)
    secret = text.split("_")[2]
    kept = repr(service.tables.rows("SELECT * FROM service_token"))
    assert secret not in kept
    assert secret[:16] not in kept


def test_roles_hold_the_ones_below_them(service):
    for role, status in ((Role.READ, 403), (Role.OPERATE, 403), (Role.ADMIN, 200)):
        assert status == client_of(service, token(service, role)).get("/v1/tokens").status_code


def test_a_site_of_others_is_not_there(service):
    body = {"site": "garage", "sessions": []}
    mine, theirs = (client_of(service, token(service, sites=s)) for s in (["garage"], ["elsewhere"]))
    assert 200 == post(mine, body).status_code
    refused, unknown = post(theirs, body), post(theirs, {"site": "nowhere"})
    assert 422 == refused.status_code
    assert refused.json()["errors"][0]["advice"] == unknown.json()["errors"][0]["advice"]
    assert "garage" not in unknown.text


def test_an_admin_of_some_sites_makes_tokens_of_no_others(service):
    client = client_of(service, token(service, sites=["garage"]))
    for sites in (None, ["garage", "elsewhere"]):
        assert 403 == client.post("/v1/tokens", json={"name": "x", "role": "read", "sites": sites}).status_code
    assert 201 == client.post("/v1/tokens", json={"name": "x", "role": "read", "sites": ["garage"]}).status_code
    assert 403 == client.get("/v1/tokens").status_code


def test_tokens_are_made_listed_and_ended_and_the_audit_knows(service):
    client = client_of(service)
    made = client.post("/v1/tokens", json={"name": "csms", "role": "operate", "expires": "2027-01-01T00:00:00Z"})
    fresh = made.json()["token"]
    assert 200 == post(client_of(service, {"Authorization": f"Bearer {fresh}"})).status_code
    listed = client.get("/v1/tokens")
    assert "csms" in [t["name"] for t in listed.json()]
    assert fresh.split("_")[2] not in listed.text
    assert 204 == client.delete(f"/v1/tokens/{fresh.split('_')[1]}").status_code
    assert 404 == client.delete(f"/v1/tokens/{fresh.split('_')[1]}").status_code
    audit = client.get("/v1/audit").json()
    assert {"token issued", "token revoked"} == {a["action"] for a in audit}
    assert all(a["token"] and a["request"] for a in audit)


def test_who_asks_too_often_is_told_to_wait():
    service = a_service(rate=Rate(per_s=0.01, burst=2))
    client = client_of(service)
    statuses = [client.get("/metrics").status_code for _ in range(3)]
    assert [200, 200, 429] == statuses
    assert 1 <= int(client.get("/metrics").headers["retry-after"])
    assert 200 == client.get("/healthz").status_code
    service.close()


def test_who_guesses_tokens_is_slowed_down(service):
    client = client_of(service, {"Authorization": "Bearer lm_abc_def"})
    statuses = [client.get("/v1/tokens").status_code for _ in range(25)]
    assert {401, 429} == set(statuses)
    assert 429 == statuses[-1]


@pytest.mark.parametrize(
    ("body", "headers", "status", "word"),
    [
        (b"x" * 4_000_001, {"Content-Type": "application/json"}, 413, "too-large"),
        (b"[" * 5000 + b"]" * 5000, {"Content-Type": "application/json"}, 400, None),
        (b'{"site":' + b'{"a":' * 200 + b"1" + b"}" * 201, {"Content-Type": "application/json"}, 400, "too-deep"),
        (b'{"site": NaN}', {"Content-Type": "application/json"}, 400, "not-json"),
        (b'{"site": "gar', {"Content-Type": "application/json"}, 400, "not-json"),
        (b"\xff\xfe", {"Content-Type": "application/json"}, 400, "not-json"),
        (b"[]", {"Content-Type": "application/json"}, 422, "invalid-body"),
        (b"site=garage", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "not-json"),
        (b"{}", {"Content-Type": "application/json", "Idempotency-Key": "k" * 300}, 422, None),
        (b"{}", {"Content-Type": "application/json", "Content-Length": "99999999999999999999"}, 413, "too-large"),
    ],
)
def test_bodies_that_are_no_request_are_refused(service, body, headers, status, word):
    found = client_of(service).post("/v1/schedule", content=body, headers=headers)
    assert status == found.status_code, found.text
    assert "application/problem+json" == found.headers["content-type"]
    assert word in (None, found.json()["type"])


@pytest.mark.parametrize("key", ["k" * 300, "ü".encode("latin-1"), "a\tb"])
def test_keys_that_are_no_keys_are_refused(service, key):
    found = post(client_of(service), headers={"Idempotency-Key": key})
    assert (400, "bad-key") == (found.status_code, found.json()["type"])


@pytest.mark.parametrize("path", ["/v1/../etc/passwd", "/v1/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/docs", "/v1"])
def test_paths_that_lead_elsewhere_lead_nowhere(service, path):
    found = client_of(service).get(path)
    assert 404 == found.status_code
    assert "application/problem+json" == found.headers["content-type"]


def test_pages_of_others_are_told_nothing(service):
    client = client_of(service)
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for found in (
        client.options("/v1/schedule", headers=asked),
        post(client, headers={"Origin": "https://evil.example"}),
    ):
        assert not [h for h in found.headers if h.startswith("access-control-")]


def test_secrets_and_paths_as_sent_are_not_in_the_log(service, caplog):
    headers = token(service)
    with caplog.at_level(logging.DEBUG):
        client_of(service, headers).get("/v1/tokens/../../secret-path?token=hush")
        post(client_of(service, headers))
        client_of(service, {"Authorization": "Bearer lm_guess_hush"}).get("/v1/tokens")
    ours = "\n".join(f"{r.getMessage()} {vars(r)}" for r in caplog.records if r.name.startswith("loadmgr"))
    assert "/v1/schedule" in ours
    for secret in (headers["Authorization"].split("_")[2], "hush", "secret-path"):
        assert secret not in ours


def test_readiness_says_why_it_is_not_ready(service):
    client = client_of(service, {})
    assert 200 == client.get("/readyz").status_code
    service.tables.place = "/nowhere/at/all.db"
    service.tables.close()
    found = client.get("/readyz")
    assert 503 == found.status_code
    assert found.json()["checks"]["database"].startswith("failed")
    assert 200 == client.get("/healthz").status_code


def test_metrics_count_by_route_and_never_by_path(service):
    client = client_of(service)
    client.get("/made-up/path")
    post(client)
    page = client.get("/metrics").text
    assert 'loadmgr_http_requests_total{route="/v1/schedule",method="POST",status="200"} 1' in page
    assert 'route="none"' in page
    assert "made-up" not in page
    assert "loadmgr_schedule_late_total 0" in page

"""What the tests of the service share: a service of the garage, a client of it, and snapshots to post."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from fastapi.testclient import TestClient

from loadmgr.apps.service.app import create_app
from loadmgr.apps.service.rates import Rate
from loadmgr.apps.service.service import Service, build_service
from loadmgr.apps.service.tokens import Role
from loadmgr.site_file import SiteFile, load_site

NOW = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
FAST = Rate(per_s=10_000.0, burst=10_000)

SMALL: dict[str, Any] = {
    "schema": "loadmgr/v1",
    "site": {"name": "Small", "timezone": "Europe/Berlin"},
    "circuits": [{"id": "main", "fuse": "25A", "evses": ["E1", "E2"]}],
    "evses": [{"id": "E1", "max": "16A"}, {"id": "E2", "max": "16A"}],
    "station_defaults": {"keeps_profiles": "yes", "zero_ok": "yes"},
    "failsafe": {"strategy": "zero"},
    "tariff": {"energy": {"price": "0.30/kWh"}},
}
"""A site of two EVSEs behind 25 A, as it is sent along."""


@cache
def garage() -> SiteFile:
    return load_site("garage")


def a_service(**options: Any) -> Service:
    return build_service({"garage": garage()}, now=lambda: NOW, workers=2, **{"rate": FAST, **options})


def token(service: Service, role: Role = Role.ADMIN, sites: list[str] | None = None) -> dict[str, str]:
    """Return the headers of a caller."""
    return {"Authorization": f"Bearer {service.tokens.issue(name='test', role=role, now=NOW, sites=sites)}"}


def client_of(service: Service, headers: dict[str, str] | None = None) -> TestClient:
    found = token(service) if headers is None else headers
    return TestClient(create_app(service), headers=found, raise_server_exceptions=False)


def two_cars(**more: Any) -> dict[str, Any]:
    """Return a snapshot of the small site with a car at each EVSE."""
    sessions = [
        {"evse": "E1", "transaction_id": 1, "departure": "2026-03-02T06:00:00Z", "wanted_wh": 20_000},
        {"evse": "E2", "transaction_id": 2, "departure": "2026-03-02T06:00:00Z", "wanted_wh": 20_000},
    ]
    return {"site": SMALL, "assume_failsafe": True, "sessions": sessions, **more}

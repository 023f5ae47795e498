"""Where journals are kept in tests: an SQLite file, and a PostgreSQL server if there is one."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadmgr.store.database import DatabaseLost, Postgres
from loadmgr.store.mark import Mark
from loadmgr.store.open import connection_to
from loadmgr.store.writer import Writer

POSTGRES = os.environ.get("LOADMGR_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test")


def postgres_schema() -> Iterator[str]:
    """Yield the URL of a schema of its own on a PostgreSQL server; skip the test where there is none."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    try:
        server = Postgres(POSTGRES, connect_s=2)
    except DatabaseLost as error:
        pytest.skip(f"no PostgreSQL server at {POSTGRES}: {error}; name one in LOADMGR_TEST_POSTGRES")
    name = f"loadmgr_test_{uuid.uuid4().hex}"
    server.rows(f"CREATE SCHEMA {name}")
    try:
        yield f"{POSTGRES}?options=-csearch_path%3D{name}"
    finally:
        server.rows(f"DROP SCHEMA {name} CASCADE")
        server.close()


def writer(place: str, folder: Path, *, site: str = "small", queue_entries: int = 20_000) -> Writer:
    return Writer(connection_to(place), site=site, mark=Mark(folder / "mark"), queue_entries=queue_entries)

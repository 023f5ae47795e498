"""A journal's place: every test that asks for it runs on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loadmgr.store.places import postgres_schema


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "journal.sqlite3")
    else:
        yield from postgres_schema()

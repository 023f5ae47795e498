"""A PostgreSQL server that ends the journal's connections: nothing waits for it, and nothing is missing afterwards."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadmgr.store.database import Postgres
from tests.loadmgr.store.places import POSTGRES, postgres_schema, writer
from tests.loadmgr.store.test_writer import CODEC, reading, until

NAME = f"cut_{uuid.uuid4().hex[:12]}"
ENTRIES = 400


@pytest.fixture
def journal() -> Iterator[str]:
    for url in postgres_schema():
        yield f"{url}&application_name={NAME}"


def cut(server: Postgres) -> int:
    """End the journal's connections; return how many there were."""
    ended = server.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ?", (NAME,))
    return len(ended)


def test_connections_that_are_cut_while_it_writes_lose_nothing_and_hold_nothing_up(
    journal: str, tmp_path: Path
) -> None:
    server, store, cuts, busy_s = Postgres(POSTGRES, connect_s=2), writer(journal, tmp_path), 0, 0.0
    for number in range(1, ENTRIES + 1):
        began = time.thread_time()
        store.put([reading(number)], None)
        busy_s += time.thread_time() - began
        if number % 80 == 0:
            cuts += cut(server)
        time.sleep(0.002)
    until(lambda: store.trouble is None)
    store.close(patience_s=30.0)
    again = writer(journal, tmp_path)

    assert [reading(n).entry(CODEC) for n in range(1, ENTRIES + 1)] == list(again.entries())
    assert again.knows_all
    assert cuts >= 2
    assert busy_s < 1.0
    again.close()
    server.close()

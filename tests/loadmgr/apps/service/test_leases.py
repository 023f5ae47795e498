"""A site runs in one worker at a time; one that dies is followed by another, and cannot send from its grave."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from loadmgr.apps.service.leases import LeaseBook
from loadmgr.apps.service.tables import Tables
from loadmgr.apps.service.tokens import Role, TokenBook
from tests.loadmgr.apps.service.asking import NOW
from tests.loadmgr.store.places import postgres_schema


@pytest.fixture
def postgres():
    yield from postgres_schema()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """Return a fresh database of each kind."""
    return str(tmp_path / "service.db") if request.param == "sqlite" else request.getfixturevalue("postgres")


def test_one_worker_holds_a_site_and_the_fence_rises_with_each_takeover(place):
    now = [100.0]
    one = LeaseBook(Tables(place), holder="one", lease_s=0.5, steady_s=lambda: now[0])
    two = LeaseBook(Tables(place), holder="two", lease_s=60.0, steady_s=lambda: now[0])

    first = one.acquire("garage")
    assert (1, None) == (first.fence, two.acquire("garage"))
    assert one.renew(first)
    assert one.may_send(first)
    now[0] += 0.45
    assert not one.may_send(first)  # before it ends, whatever the database says

    time.sleep(0.6)
    second = two.acquire("garage")
    assert 2 == second.fence
    assert not one.renew(first)
    one.release(first)  # it has nothing to give back any more
    assert two.renew(second)
    assert None is one.acquire("garage")
    two.release(second)
    assert 3 == one.acquire("garage").fence


def free_port():
    with contextlib.closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Worker:
    """A service in a process of its own."""

    def __init__(self, url, token, folder: Path):
        self.port = free_port()
        self.headers = {"Authorization": f"Bearer {token}"}
        arguments = ["serve", "garage", "--control", "--database", url, "--port", str(self.port)]
        environment = {**os.environ, "XDG_STATE_HOME": str(folder), "HOME": str(folder)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "loadmgr", *arguments], env=environment, stdout=subprocess.DEVNULL,
            stderr=(folder / f"{self.port}.log").open("w"),
        )  # fmt: skip

    def ask(self, method, path, **more):
        url = f"http://127.0.0.1:{self.port}/v1/sites/garage/{path}"
        with contextlib.suppress(httpx2.TransportError):
            return httpx2.request(method, url, headers=self.headers, timeout=5.0, **more)
        return None

    def controls(self):
        found = self.ask("GET", "commands")
        return found is not None and found.status_code == 200


def until(what, within_s):
    """Return how long it took until something held [s]."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() < began + within_s, "it never came"
        time.sleep(0.1)
    return time.monotonic() - began


@pytest.mark.skipif(os.name != "posix", reason="kills a process by signal")
def test_a_killed_worker_is_followed_by_another_and_remembers_the_limits(postgres, tmp_path):
    url = postgres
    token = TokenBook(Tables(url)).issue(name="csms", role=Role.OPERATE, now=NOW)
    workers = [Worker(url, token, tmp_path) for _ in range(2)]
    try:
        until(lambda: any(w.controls() for w in workers), 60)
        until(lambda: all(w.ask("GET", "commands") is not None for w in workers), 60)
        first, second = sorted(workers, key=lambda w: not w.controls())
        assert not second.controls()
        assert "controlled-elsewhere" == second.ask("GET", "commands").json()["type"]
        before = first.ask("GET", "commands").json()["fence"]
        assert 200 == first.ask("PUT", "limits/main/dso", json={"limit_a": 20.0}).status_code
        until(lambda: limit_of(first) == 20.0, 10)

        first.process.send_signal(signal.SIGKILL)
        took_s = until(second.controls, 40)

        assert before + 1 == second.ask("GET", "commands").json()["fence"]
        until(lambda: limit_of(second) == 20.0, 20)
        print(f"taken over after {took_s:.1f} s")
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.wait()


def limit_of(worker):
    state = worker.ask("GET", "status").json()
    return next((c["limit_a"][0] for c in state.get("circuits", []) if c["circuit"] == "main"), None)

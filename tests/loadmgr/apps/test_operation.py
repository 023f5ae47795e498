"""A real ``loadmgr run`` with simulated stations on real sockets: killed, starved of its disk, told to change."""

import asyncio
import contextlib
import json
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from operator import sub
from pathlib import Path
from typing import Any

import pytest

from loadmgr.apps.field.station_run import run_stations
from loadmgr.feeds.evidence_log import verify
from tests.emulated_stations import stations_plan
from tests.loadmgr.apps.running import Running

SITE = """
schema: loadmgr/v1
site: {{name: Yard, timezone: UTC, currency: EUR, voltage: 230V}}
circuits:
  - {{id: main, fuse: 40A, evses: [one, two]}}
evse_defaults: {{max: 16A, min: 6A, step: 1A}}
evses:
  - {{id: one, station: CS1}}
  - {{id: two, station: CS2}}
station_defaults: {{keeps_profiles: yes, zero_ok: yes}}
failsafe: {{strategy: zero, lease: 10min}}
timing: {{reaction_time: 30s, settle: 5s, meter_interval: 1s, call_timeout: 5s, clock_skew: 2s}}
session_defaults: {{energy: 30kWh, stay: 2h}}
listen: {{host: 127.0.0.1, port: {port}}}
tariff: {{energy: {{price: 0.30/kWh}}}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = tmp_path / "yard.yaml"
    path.write_text(SITE.format(port=port))
    return path


def port_of(site: Path) -> int:
    return int(site.read_text().partition("port: ")[2].partition("}")[0])


@contextlib.contextmanager
def stations(site: Path) -> Iterator[list[str]]:
    """Run two stations with a vehicle each beside the test; yield what they say of their currents."""
    said: list[str] = []
    url = f"ws://127.0.0.1:{port_of(site)}/ocpp"
    plan = stations_plan(url, "CS1", "CS2", version="1.6", tell=said.append)
    loop = asyncio.new_event_loop()
    task = loop.create_task(run_stations(plan))

    def live() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield said
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(30)


def drawn(said: list[str]) -> list[str]:
    return [line for line in said if " draws " in line]


def both_charge(status: dict[str, Any]) -> bool:
    return all(
        e["session"] is not None and e["session"]["delivered_wh"] > 0.0 and min(e["measured_a"] or [0.0]) > 5.0
        for e in status["evses"]
    )


def delivered(status: dict[str, Any]) -> list[float]:
    return [e["session"]["delivered_wh"] for e in status["evses"]]


def test_a_killed_controller_remembers_and_its_stations_see_no_gap(site: Path) -> None:
    first = Running(site)
    with stations(site) as said:
        try:
            before = first.status_with(both_charge, "two vehicles that charge")
            first.ask("override", evse="two", limit_a=9.0, for_s=600.0)
            before = first.status_with(
                lambda s: both_charge(s) and [16.0, 9.0] == [round(e["measured_a"][0]) for e in s["evses"]],
                "an order that is followed",
            )
        finally:
            first.kill()
        currents = drawn(said)
        second = Running(site)
        try:
            second.said("goes on from")
            after = second.status_with(
                lambda s: (
                    min(map(sub, delivered(s), delivered(before))) > 0.0
                    and all(e["standing"] == "obeying" for e in s["evses"])
                ),
                "two stations that came back and count on",
            )
        finally:
            ended = second.stop()
        since = drawn(said)[len(currents) :]

    def known(status: dict[str, Any]) -> list[Any]:
        return [(e["session"]["transaction"], e["session"]["id_token"]) for e in status["evses"]]

    assert known(before) == known(after)
    assert 9.0 == after["evses"][1]["override"]["limit_a"]
    written = [[w["written"] for s in each["stations"] for w in s["writes"]] for each in (before, after)]
    assert all(then <= now for then, now in zip(*written, strict=True))
    assert all(s["vendor"] for s in after["stations"])
    assert not [line for line in since if line.endswith(" draws 0.0 A")]
    assert 0 == ended
    kept = site.with_name("yard.journal.sqlite3").read_bytes()
    assert b"TransactionStarted" in kept
    assert b"-visit" not in kept  # the token of a simulated vehicle


def test_a_full_disk_does_not_stop_control_and_is_told(site: Path) -> None:
    site.write_text(site.read_text().replace("keeps_profiles: yes", "keeps_profiles: unknown"))
    running = Running(site, "--without-certificate")
    try:
        running.said("stations connect")
        size = site.with_name("yard.journal.sqlite3-wal").stat().st_size
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        with stations(site):
            status = running.status_with(
                lambda s: both_charge(s) and any(a["kind"] == "journal" for a in s["alarms"]), "charging without a disk"
            )
            assert "control goes on without it" in status["alarms"][-1]["cause"]
            resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            running.status_with(
                lambda s: s["controller"]["journal"]["trouble"] is None, "a journal that is written again"
            )
    finally:
        ended = running.stop()
    assert 0 == ended


def test_a_site_file_is_read_again_only_if_it_checks_and_a_second_controller_is_turned_away(site: Path) -> None:
    running = Running(site)
    try:
        running.said("stations connect")
        good = site.read_text()
        site.write_text(good.replace("fuse: 40A", "fuze: 30A"))
        running.process.send_signal(signal.SIGHUP)
        assert "unknown key fuze" in running.said("the site file stays as it was")
        site.write_text(good.replace("fuse: 40A", "fuse: 30A"))
        running.process.send_signal(signal.SIGHUP)
        assert "circuit main changed" in running.said("read again")
        running.status_with(lambda s: s["circuits"][0]["limit_a"] == [30.0] * 3, "the new fuse")
        assert [] == running.ask("reload")
        second = Running(site, "--port", "0")
        assert 2 == second.process.wait(30)
        second.stop()
        assert any("only one may control a site" in line for line in second.lines)
    finally:
        ended = running.stop()
    assert 0 == ended


def test_a_signal_dims_the_site_over_a_restart_and_leaves_evidence(site: Path) -> None:
    contact = site.with_name("contact")
    contact.write_text("0\n")
    site.write_text(
        site.read_text()
        + "external_limits: [{id: dimmer, relay: {value_file: contact}, every: 0.2s, heartbeat: 10min}]\n"
        + "compliance: {pack: de_14a, signal: dimmer}\n"
    )

    def dims(status: dict[str, Any]) -> bool:
        return [limit["limit_w"] for limit in status["limits"]] == [7560.0]

    first = Running(site)
    try:
        first.status_with(lambda s: s["limits"] == [] or s["limits"][0]["limit_w"] is None, "no limit yet")
        contact.write_text("1\n")
        first.status_with(dims, "two charge points that are dimmed")
        kept = site.with_name("yard.journal.sqlite3-wal")
        first.until(lambda: b'"limit_w":7560.0,"heartbeat_s"' in kept.read_bytes(), "a journal that has it")
    finally:
        first.kill()
    contact.write_text("unreadable\n")
    second = Running(site)
    try:
        (limit,) = second.status_with(dims, "the limit that is remembered")["limits"]
        contact.write_text("0\n")
        second.status_with(lambda s: not dims(s), "the end of the limit")
    finally:
        ended = second.stop()
    assert (True, False) == (limit["vehicles_only"], limit["silent"])
    assert 0 == ended
    evidence = site.with_name("yard.journal.sqlite3.evidence.jsonl")
    assert verify(evidence) >= 3
    lines = [json.loads(line) for line in evidence.read_text().splitlines()]
    assert [7560.0, None] == list(dict.fromkeys(line.get("limit_w") for line in lines))
    assert any("obeyed_at" in line for line in lines)

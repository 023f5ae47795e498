"""Limits from files and relays, and the file of evidence."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loadmgr.control.outside.outside import LimitChanged, SourceTrouble
from loadmgr.control.outside.told import Evidence
from loadmgr.errors import InputError
from loadmgr.feeds.dead_man import DeadMan
from loadmgr.feeds.evidence_log import EvidenceLog, verify
from loadmgr.feeds.limit_file import LimitFile, read_limits
from loadmgr.feeds.polling import Fact, Troubles, poll_feeds
from loadmgr.feeds.relay import Relay, command, value_file
from loadmgr.model.ids import CircuitId
from tests.control_world import World, small_site

T0 = datetime(2024, 6, 3, 20, 0, tzinfo=UTC)
MAIN = CircuitId("main")
PLAIN = DeadMan(source="dso", circuit=MAIN)
GUARDED = DeadMan(source="dso", circuit=MAIN, heartbeat_s=60.0, silent_limit_a=(10.0, 10.0, 10.0))


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def replaced(path: Path, text: str) -> None:
    """Write as a careful writer does: beside, then rename."""
    beside = path.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.rename(path)


def told(news: list[LimitChanged]) -> list[tuple[str, object, object]]:
    return [(n.circuit, n.limit_a, n.limit_w) for n in news]


def test_a_json_file_is_told_once_for_each_change(tmp_path):
    path = tmp_path / "limits.json"
    feed = LimitFile(path, PLAIN)
    replaced(path, '[{"limit_a": 20}, {"circuit": "riser", "limit_w": 4200, "until": "2024-06-03T21:00:00Z"}]')

    assert [("main", (20.0, 20.0, 20.0), None), ("riser", None, 4200.0)] == told(feed.poll(after(1)))
    assert [] == feed.poll(after(2))
    os.utime(path, ns=(10**18, 10**18))
    assert 2 == len(feed.poll(after(3)))


def test_what_a_file_no_longer_names_is_taken_away(tmp_path):
    path = tmp_path / "limits.json"
    feed = LimitFile(path, PLAIN)
    replaced(path, '[{"limit_a": 20}, {"circuit": "riser", "limit_w": 4200}]')
    feed.poll(T0)
    replaced(path, "[]")

    assert [("main", None, None), ("riser", None, None)] == told(feed.poll(after(1)))


def test_a_csv_file_says_the_same(tmp_path):
    path = tmp_path / "limits.csv"
    path.write_text("circuit,limit_a,limit_w,until,vehicles_only\nmain,,4200,2024-06-03T21:00:00+00:00,yes\n")
    one = read_limits(path, default_circuit=MAIN)[0]

    assert (MAIN, None, 4200.0, after(3600), True) == (
        one.circuit,
        one.limit_a,
        one.limit_w,
        one.until,
        one.vehicles_only,
    )


@pytest.mark.parametrize("text", ["\ufefflimit_a,until\r\n16,\r\n", "limit_a,until\n16", "limit_a\r16\r"])
def test_a_csv_file_is_read_whatever_its_ends_of_lines_and_mark_of_order(tmp_path, text):
    path = tmp_path / "limits.csv"
    path.write_bytes(text.encode())

    assert [(16.0, 16.0, 16.0)] == [one.limit_a for one in read_limits(path, default_circuit=MAIN)]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "{", "is not JSON"),
        ("a.json", "[3]", "limit 1: must be an object"),
        ("a.json", '{"limit": 3}', "limit 1: field limit is not known"),
        ("a.json", '{"limit_a": -3}', "limit 1: field limit_a: must be a number of 0 or above"),
        ("a.json", '{"limit_a": true}', "limit 1: field limit_a: must be a number of 0 or above"),
        ("a.json", '{"limit_w": 1' + 400 * "0" + "}", "limit 1: field limit_w"),
        ("a.json", '{"limit_w": 3, "until": "0001-01-01T00:00:00+14:00"}', "limit 1: field until"),
        ("a.json", '{"limit_w": Infinity}', "limit 1: field limit_w: must be a number of 0 or above"),
        ("a.json", "", "is not JSON"),
        ("a.json", '{"limit_a": 16', "is not JSON"),
        ("a.csv", "", "line 1: the header needs limit_a or limit_w"),
        ("a.csv", "limit_a\nnan\n", "line 2: field limit_a: must be a number of 0 or above"),
        ("a.csv", "limit_a\n-6\n", "line 2: field limit_a: must be a number of 0 or above"),
        ("a.json", '{"limit_w": NaN}', "limit 1: field limit_w: must be a number of 0 or above"),
        ("a.json", '{"limit_a": {"L4": 3}}', "limit 1: field limit_a: names phases L1, L2, L3, got L4"),
        ("a.json", '{"limit_w": 3, "until": "2024-06-03T21:00:00"}', "limit 1: field until: needs a zone"),
        ("a.json", '[{"limit_w": 3}, {"limit_w": 4}]', "circuit main is limited twice"),
        ("a.csv", "circuit,amps\nmain,3\n", "line 1: the header needs limit_a or limit_w"),
        ("a.csv", "circuit,limit_a\nmain,x\n", "line 2: field limit_a"),
        ("a.csv", "circuit,limit_a\nmain,3,4\n", "line 2: more values than columns"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_fault_with_its_place(tmp_path, name, text, said):
    path = tmp_path / name
    path.write_text(text)

    with pytest.raises(InputError, match=said) as raised:
        read_limits(path, default_circuit=MAIN)
    assert str(raised.value).startswith(str(path))


def test_a_file_that_cannot_be_used_is_a_fault_until_it_can_and_no_word_of_life(tmp_path):
    path = tmp_path / "limits.json"
    feed = LimitFile(path, GUARDED)
    replaced(path, '{"limit_a": 20}')
    feed.poll(T0)
    replaced(path, "{")
    for second in (1, 2, 3):
        with pytest.raises(InputError, match="is not JSON"):
            feed.poll(after(second))
    path.unlink()
    with pytest.raises(InputError, match="cannot be read: No such file"):
        feed.poll(after(4))
    replaced(path, '{"limit_a": 20}')

    assert 1 == len(feed.poll(after(5)))


@pytest.mark.parametrize("text", [None, "{", '{"limit_a": -1}'])
def test_a_file_that_cannot_be_used_from_the_start_has_its_dead_man_all_the_same(tmp_path, text):
    path = tmp_path / "limits.json"
    if text is not None:
        path.write_text(text)
    feed = LimitFile(path, GUARDED)
    (begun,) = feed.poll(T0)

    assert (60.0, (10.0, 10.0, 10.0), None) == (begun.heartbeat_s, begun.silent_limit_a, begun.limit_a)
    with pytest.raises(InputError):
        feed.poll(after(1))


@pytest.mark.parametrize(
    ("age_s", "remembered", "expected"),
    [
        (50.0, True, [(40.0, 40.0, 40.0)]),
        (70.0, True, []),
        (70.0, False, [None, (10.0, 10.0, 10.0)]),
        (50.0, False, [None, (40.0, 40.0, 40.0)]),
    ],
)
def test_a_file_that_stood_still_over_a_restart_lifts_no_silence(tmp_path, age_s, remembered, expected):
    path = tmp_path / "limits.json"
    path.write_text('[{"limit_a": 40}, {"circuit": "riser", "limit_a": 5}]')
    os.utime(path, (T0.timestamp() - age_s,) * 2)
    feed = LimitFile(path, GUARDED, remembered=remembered)
    news = feed.poll(T0)

    assert expected == [word.limit_a for word in news if word.circuit == MAIN]
    assert [(5.0, 5.0, 5.0)] == [word.limit_a for word in news if word.circuit == "riser"]
    os.utime(path, (T0.timestamp(),) * 2)
    assert (40.0, 40.0, 40.0) == feed.poll(after(1))[0].limit_a


def test_the_trouble_of_a_file_stands_until_the_file_is_mended(tmp_path):
    path = tmp_path / "limits.json"
    path.write_text("{")
    seen: list[Fact] = []

    async def run() -> None:
        clock, polls = StepClock(), asyncio.Event()

        def observe(fact: Fact) -> None:
            seen.append(fact)
            if isinstance(fact, LimitChanged) and fact.limit_a is not None:
                polls.set()

        task = asyncio.create_task(poll_feeds([LimitFile(path, PLAIN)], clock=clock, observe=observe, every_s=1.0))
        await asyncio.wait_for(clock.reached(20.0), 30.0)
        replaced(path, '{"limit_a": 20}')
        await asyncio.wait_for(polls.wait(), 30.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    said = [fact.cause is None for fact in seen if isinstance(fact, SourceTrouble)]
    assert [False, True] == said


def test_a_relay_is_told_when_it_changes_and_within_half_of_the_heartbeat(tmp_path):
    pin = tmp_path / "value"
    pin.write_text("0\n")
    feed = Relay(value_file(pin), GUARDED, limit_w=4200.0)
    assert [("main", None, None)] * 2 == told(feed.poll(T0))
    assert [] == feed.poll(after(10))
    pin.write_text("1\n")
    assert [("main", None, 4200.0)] == told(feed.poll(after(11)))
    assert [] == feed.poll(after(20))
    assert [("main", None, 4200.0)] == told(feed.poll(after(41)))
    pin.write_text("?\n")
    with pytest.raises(InputError, match="neither '1' nor '0'"):
        feed.poll(after(42))
    pin.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        feed.poll(after(43))


def test_a_relay_that_is_active_when_low():
    feed = Relay(lambda: "0", PLAIN, active="0", idle="1", limit_a=(6.0, 6.0, 6.0))

    assert [("main", (6.0, 6.0, 6.0), None)] == told(feed.poll(T0))


def test_a_command_is_a_relay_too():
    feed = Relay(command(f"{sys.executable} -c 'print(1)'"), PLAIN, limit_w=4200.0)
    assert [("main", None, 4200.0)] == told(feed.poll(T0))

    with pytest.raises(InputError, match="command"):
        command(f"{sys.executable} -c 'raise SystemExit(3)'")()


class StepClock:
    """A clock that a test moves by sleeping on it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._moved = asyncio.Event()

    async def reached(self, seconds: float) -> None:
        """Wait until a test slept so far."""
        while self.seconds < seconds:
            self._moved.clear()
            await self._moved.wait()

    def now(self) -> datetime:
        return after(self.seconds)

    def now_s(self) -> float:
        return self.seconds

    async def sleep_until(self, when_s: float) -> None:
        self.seconds = when_s
        self._moved.set()
        await asyncio.sleep(0)


def test_feeds_are_asked_on_and_on_although_one_of_them_fails():
    class Broken:
        id = "broken"

        def poll(self, now: datetime) -> list[LimitChanged]:
            raise InputError("no such pin")

    async def run() -> list[Fact]:
        seen: list[Fact] = []
        enough = asyncio.Event()

        def observe(fact: Fact) -> None:
            seen.append(fact)
            if len(seen) >= 5:
                enough.set()

        feeds = (Broken(), Relay(lambda: "1", GUARDED, limit_w=4200.0))
        task = asyncio.create_task(poll_feeds(feeds, clock=StepClock(), observe=observe, every_s=1.0))
        await enough.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return seen

    seen = asyncio.run(run())
    limits = [fact for fact in seen if isinstance(fact, LimitChanged)]
    assert [0.0, 0.0, 30.0, 60.0] == [(s.at - T0).total_seconds() for s in limits]
    assert ["broken cannot be used: no such pin"] == [fact.cause for fact in seen if isinstance(fact, SourceTrouble)]


def test_a_feed_that_breaks_in_an_unknown_way_is_told_asked_again_and_over_when_it_works():
    class Fragile:
        id = "fragile"
        polls = 0

        def poll(self, now: datetime) -> list[LimitChanged]:
            self.polls += 1
            if self.polls < 3:
                raise ZeroDivisionError
            return []

    async def run() -> list[Fact]:
        seen: list[Fact] = []
        over = asyncio.Event()

        def observe(fact: Fact) -> None:
            seen.append(fact)
            if isinstance(fact, SourceTrouble) and fact.cause is None:
                over.set()

        task = asyncio.create_task(poll_feeds([Fragile()], clock=StepClock(), observe=observe, every_s=1.0))
        await over.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return seen

    said = [fact.cause for fact in asyncio.run(run()) if isinstance(fact, SourceTrouble)]
    assert ["fragile cannot be used: failed: ZeroDivisionError", None] == said


def test_what_stays_wrong_is_told_again_now_and_then():
    said: list[Fact] = []
    troubles = Troubles(said.append)
    for minute in range(11):
        troubles.begin("meter m", "nobody answers", after(60.0 * minute))
    assert [0.0, 300.0, 600.0] == [(fact.at - T0).total_seconds() for fact in said]


def test_a_site_is_dimmed_by_a_relay_and_by_its_silence(tmp_path):
    pin = tmp_path / "value"
    pin.write_text("0")
    world = World(small_site(evses=2, limit_a=100.0))
    world.connect()
    world.run(20)
    world.plug("E1")
    world.plug("E2")
    feed = Relay(
        value_file(pin),
        DeadMan(source="14a", circuit=MAIN, heartbeat_s=60.0, silent_limit_w=5000.0, vehicles_only=True),
        limit_w=7560.0,
    )

    def run(seconds: int) -> float:
        for _ in range(seconds):
            try:
                for fact in feed.poll(world.now):
                    world.tell(fact)
            except InputError:
                pass
            world.run(1)
        return sum(world.draw_a(MAIN)) * 230.0

    assert run(200) > 20_000.0
    pin.write_text("1")
    assert run(45) <= 7560.0
    pin.unlink()
    assert run(60 + 45) <= 5000.0
    pin.write_text("0")
    assert run(600) > 20_000.0


def entry(seconds: float, **values: object) -> Evidence:
    return Evidence(circuit=MAIN, source="dso", at=after(seconds), why="told", limit_w=4200.0, **values)


def test_evidence_is_a_chain_that_goes_on_after_a_restart(tmp_path):
    path = tmp_path / "evidence.jsonl"
    EvidenceLog(path).write(entry(0))
    EvidenceLog(path).write(entry(0, obeyed_at=after(20), measured_a=(5.0, 5.0, 5.0)))

    assert 2 == verify(path)
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert (first["hash"], after(20).isoformat()) == (second["before"], second["obeyed_at"])


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_evidence_goes_on_behind_a_line_that_a_power_cut_left_half_written(tmp_path, kept):
    path = tmp_path / "evidence.jsonl"
    log = EvidenceLog(path)
    for second in range(3):
        log.write(entry(second))
    *whole, last = path.read_text().splitlines(keepends=True)
    path.write_text("".join(whole) + last[:kept])
    known = 3 if kept == -1 else 2
    EvidenceLog(path).write(entry(10))

    assert known + 1 == verify(path)
    assert after(10).isoformat() == json.loads(path.read_text().splitlines()[-1])["at"]


@pytest.mark.parametrize("tampered", ["changed", "left out", "spoilt"])
def test_tampering_with_evidence_is_found(tmp_path, tampered):
    path = tmp_path / "evidence.jsonl"
    log = EvidenceLog(path)
    for second in range(3):
        log.write(entry(second))
    lines = path.read_text().splitlines()
    lines[1] = lines[1].replace("4200", "9200")
    if tampered == "left out":
        del lines[1]
    elif tampered == "spoilt":
        lines[1] = lines[1][:30]
    path.write_text("\n".join(lines) + "\n")

    with pytest.raises(InputError, match=f"line {3 if tampered == 'spoilt' else 2}: the chain is broken"):
        verify(path)

"""Every frame is written down, no secret is, and the counters count."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ocpp_link import frames
from ocpp_link.metrics import Metrics
from ocpp_link.security import AccessList, PasswordHash, StationAccess, basic_header
from ocpp_link.testing import ChargingStation, PlainBody
from ocpp_link.transport import ClientPolicy, Policy, SystemClock, serve
from ocpp_link.wirelog import JsonLines, WireLog, WireRecord, files_of, masked, read_line
from tests.ocpp_link.csms import RecordingCsms

SECRET = "0123456789abcdef"
FRAMES = [
    f'[2,"1","ChangeConfiguration",{{"key":"AuthorizationKey","value":"{SECRET}"}}]',
    f'[2,"1","ChangeConfiguration",{{"key":"authorizationkey","value":"{SECRET}"}}]',
    f'[2,"1","SetVariables",{{"setVariableData":[{{"attributeValue":"{SECRET}","component":{{"name":"SecurityCtrlr"}},'
    '"variable":{"name":"BasicAuthPassword"}}]}]',
    f'[2,"1","SetNetworkProfile",{{"connectionData":{{"basicAuthPassword":"{SECRET}"}}}}]',
    f'[2,"1","SetNetworkProfile",{{"connectionData":{{"apn":{{"apnPassword":"{SECRET}"}}}}}}]',
    f'[2,"1","ChangeConfiguration",{{"key":"AuthorizationKey","value":"{SECRET}"',
    f'[2,"1","SetNetworkProfile",{{"connectionData":{{"basicAuthPassword":"{SECRET}',
]


@pytest.mark.parametrize("text", FRAMES)
def test_secrets_are_masked_in_every_shape(text: str) -> None:
    assert SECRET not in masked(frames.parse(text), text.encode())


def test_a_plain_frame_is_written_as_it_came() -> None:
    text = '[2, "1", "ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}]'

    assert '"value":"60"' in masked(frames.parse(text), text.encode())


def test_a_session_is_logged_with_outcomes_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "wire.jsonl"
    metrics = Metrics()
    seen: list[WireRecord] = []

    async def main() -> None:
        clock = SystemClock()
        lines = JsonLines(path)
        tap = WireLog(clock, (lines, metrics, seen.append))
        server = await serve("127.0.0.1", 0, handler=RecordingCsms(), policy=Policy(tap=tap))
        url = f"ws://127.0.0.1:{server.port}/ocpp"
        station = ChargingStation(identity="CS", version="1.6", url=url, clock=clock, body=PlainBody())
        await station.connect()
        await station.boot()
        assert station.link is not None
        station.link.write_raw(b"garbage")
        await server.stations["CS"].call("Reset", {"type": "Soft"})
        await station.disconnect()
        await server.close()
        lines.close()

    asyncio.run(main())

    told = {(each.direction, each.kind, each.action, each.outcome) for each in seen}
    assert {
        ("in", "CALL", "BootNotification", ""),
        ("out", "CALLRESULT", "BootNotification", "Accepted"),
        ("out", "CALL", "Reset", ""),
        ("in", "GARBAGE", "", ""),
        ("in", "CALLRESULT", "Reset", "Accepted"),
    } == told
    assert seen == [read_line(line) for line in path.read_text().splitlines()]
    text = metrics.render(connections=1, mends={"null_dropped": 2})
    assert 'ocpp_frames_total{direction="in",type="CALL",action="BootNotification"} 1' in text
    assert 'ocpp_answer_seconds_count{caller="ours",action="Reset"} 1' in text
    assert 'ocpp_repairs_total{repair="null_dropped"} 2' in text
    assert "ocpp_connections 1" in text


def test_debug_logs_hold_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        access = AccessList({"CS": StationAccess(profile=1, passwords=(PasswordHash.of(SECRET),))})
        server = await serve("127.0.0.1", 0, handler=RecordingCsms(), policy=Policy(access=access))
        station = ChargingStation(
            identity="CS",
            version="1.6",
            url=f"ws://127.0.0.1:{server.port}/ocpp",
            clock=SystemClock(),
            body=PlainBody(),
            policy=ClientPolicy(password=SECRET),
        )
        await station.connect()
        await station.boot()
        payload = {"key": "AuthorizationKey", "value": SECRET}
        await server.stations["CS"].call("ChangeConfiguration", payload)
        await station.disconnect()
        await server.close()

    asyncio.run(main())

    assert "BootNotification" in caplog.text
    assert SECRET not in caplog.text
    assert basic_header("CS", SECRET.encode()) not in caplog.text


def record(number: int, *, station: str = "CS") -> WireRecord:
    at = datetime(2024, 1, 17, tzinfo=UTC) + timedelta(seconds=number)
    return WireRecord(at, station, "in", "CALL", "Heartbeat", str(number), "", None, "x" * 50)


def test_a_full_file_is_put_aside_and_the_oldest_deleted(tmp_path: Path) -> None:
    path = tmp_path / "wire.jsonl"
    lines = JsonLines(path, max_bytes=1000, keep=2)

    for number in range(60):
        lines(record(number))
    lines.close()

    assert ["wire.jsonl.2", "wire.jsonl.1", "wire.jsonl"] == [each.name for each in files_of(path)]
    assert 3 == len(list(tmp_path.iterdir()))
    assert all(each.stat().st_size <= 1000 for each in files_of(path))
    numbers = [int(read_line(line).message_id) for each in files_of(path) for line in each.read_text().splitlines()]
    assert list(range(numbers[0], 60)) == numbers
    assert len(numbers) > 10


def test_a_log_that_was_full_before_the_start_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "wire.jsonl"
    for number in (1, 2):
        lines = JsonLines(path, max_bytes=250)
        lines(record(number))
        lines.close()

    assert [1, 1] == [len(each.read_text().splitlines()) for each in files_of(path)]


def test_what_cannot_be_written_is_said_once_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    lines = JsonLines(Path("/dev/full"))

    for number in range(3):
        lines(record(number))
    lines.close()

    assert 1 == caplog.text.count("messages are not logged any more")


def test_open_calls_that_nobody_answers_are_bounded() -> None:
    log = WireLog(SystemClock(), ())

    for number in range(20_100):
        log(f"CS{number}", "in", b'[2,"1","Heartbeat",{}]')

    assert 20_000 == len(log._calls)


def test_a_tap_that_fails_costs_the_tap_alone(caplog: pytest.LogCaptureFixture) -> None:
    def tap(_station: str, _direction: str, _text: bytes) -> None:
        raise RuntimeError("nobody listens")

    async def main() -> str:
        server = await serve("127.0.0.1", 0, handler=RecordingCsms(), policy=Policy(tap=tap))
        url = f"ws://127.0.0.1:{server.port}/ocpp"
        station = ChargingStation(identity="CS", version="1.6", url=url, clock=SystemClock(), body=PlainBody())
        await station.connect()
        status = (await station.boot()).status
        await station.disconnect()
        await server.close()
        return status

    assert "Accepted" == asyncio.run(main())
    assert "the tap failed" in caplog.text

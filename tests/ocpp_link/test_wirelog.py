"""Every frame is written down, no secret is, and the counters count."""

import asyncio
import logging
from pathlib import Path

import pytest

from ocpp_link import frames
from ocpp_link.metrics import Metrics
from ocpp_link.security import AccessList, PasswordHash, StationAccess, basic_header
from ocpp_link.testing import ChargingStation, PlainBody
from ocpp_link.transport import ClientPolicy, Policy, SystemClock, serve
from ocpp_link.wirelog import JsonLines, WireLog, WireRecord, masked, read_line
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

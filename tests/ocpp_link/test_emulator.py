"""``loadmgr station`` and ``loadmgr messages`` from the command line."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from loadmgr.apps.commands import messages_cli, station_cli
from loadmgr.apps.commands.given import command_of
from loadmgr.apps.field.station_run import run_stations
from ocpp_link.events import CallRefusedByRules, Garbage
from ocpp_link.security import AccessList, StationAccess, server_context, station_context
from ocpp_link.station import Station
from ocpp_link.testing import ChargingStation, PlainBody
from ocpp_link.transport import Policy, SystemClock, serve
from ocpp_link.wirelog import JsonLines, WireLog, WireRecord
from tests.emulated_stations import stations_plan
from tests.ocpp_link.csms import RecordingCsms
from tests.ocpp_link.test_security import AUTHORITY, CERTIFICATES

RUNNER = CliRunner()
APP = typer.Typer()
APP.command("messages")(messages_cli.messages)
APP.command("station")(command_of(station_cli.StationGiven, station_cli.station))


SECRET = {"key": "AuthorizationKey", "value": "0123456789abcdef"}


def emulate(
    version: str,
    *,
    identities: tuple[str, ...] = ("CS1", "CS2"),
    csms: RecordingCsms | None = None,
    policy: Policy | None = None,
    **changes: Any,
) -> tuple[RecordingCsms, list[str]]:
    csms = csms or RecordingCsms()
    told: list[str] = []

    async def main() -> None:
        server = await serve("127.0.0.1", 0, handler=csms, policy=policy)
        scheme = "ws" if policy is None or policy.tls is None else "wss"
        url = f"{scheme}://localhost:{server.port}/ocpp"
        quiet = {"energy_wh": 5000.0, "meter_interval_s": 60.0, "lasting_s": 1.0, "tell": told.append}
        await run_stations(stations_plan(url, *identities, version=version, **(quiet | changes)))
        await server.close()

    asyncio.run(main())
    return csms, told


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_emulated_stations_boot_and_take_their_vehicles(version: str) -> None:
    csms, told = emulate(version)

    booted = {identity for identity, action, _ in csms.calls if action == "BootNotification"}
    assert {"CS1", "CS2"} == booted
    assert any("vehicle at EVSE 1, wants 5.0 kWh" in text for text in told)
    assert any(text.startswith("CS1 > [2,") for text in told)


def test_a_malformed_text_is_sent_on_demand() -> None:
    csms, _ = emulate("1.6", faults=(("malformed", 0.5, 0.0),), identities=("CS1",))

    assert 2 == sum(isinstance(event, Garbage) for event in csms.events)


def test_without_frames_only_what_happens_is_told() -> None:
    _, told = emulate("1.6", identities=("CS1",), frames=False, messages=(("Heartbeat", {}),), lasting_s=2.6)

    assert not any(" > [" in text or " < [" in text for text in told)
    assert any("CS1: vehicle at EVSE 1" in text for text in told)
    assert any("CS1: Heartbeat answered: {'currentTime'" in text for text in told)


def test_a_link_drops_for_as_long_as_was_said_and_comes_back() -> None:
    csms, told = emulate(
        "1.6", identities=("CS1",), faults=(("drop", 0.5, 0.4), ("duplicate", 0.7, 0.0)), lasting_s=1.8
    )

    assert ["connect", "disconnect", "connect"] == [each for each in csms.order if "connect" in each][:3]
    assert "CS1: fault drop for 0.4 s" in told
    assert "CS1: fault duplicate: not connected, nothing was sent" in told


def test_any_message_with_any_payload_is_sent() -> None:
    messages = (("Heartbeat", {}), ("MakeCoffee", {"cups": 2}), ("StatusNotification", {"connectorId": "one"}))
    csms, told = emulate("1.6", messages=messages, identities=("CS1",), lasting_s=2.6)

    assert "Heartbeat" in [action for _, action, _ in csms.calls]
    refused = [(event.action, event.fault.value) for event in csms.events if isinstance(event, CallRefusedByRules)]
    assert ["MakeCoffee", "StatusNotification"] == [action for action, _ in refused]
    assert any("CS1: OCPP 1.6 has no action 'MakeCoffee'; sent all the same" in text for text in told)


def test_a_secret_that_a_station_is_told_is_not_printed() -> None:
    csms, told = RecordingCsms(), []

    async def tell_secret(there: Station, action: str, _payload: dict[str, Any]) -> None:
        if action == "BootNotification":
            asyncio.get_running_loop().call_soon(asyncio.ensure_future, there.call("ChangeConfiguration", SECRET))

    csms.reaction = tell_secret
    _, told = emulate("1.6", csms=csms, identities=("CS1",))

    assert any("AuthorizationKey" in text for text in told)
    assert not any("0123456789abcdef" in text for text in told)


def test_an_emulated_station_shows_its_certificate() -> None:
    own = station_context(AUTHORITY, certificate=CERTIFICATES / "station.pem", key=CERTIFICATES / "station.key")
    tls = server_context(CERTIFICATES / "server.pem", CERTIFICATES / "server.key", client_authority=AUTHORITY)
    access = AccessList({"CS-3": StationAccess(profile=3)})
    csms, _ = emulate("2.0.1", identities=("CS-3",), tls=own, policy=Policy(access=access, tls=tls))

    assert "BootNotification" in [action for _, action, _ in csms.calls]


def test_the_catalogue_names_direction_block_and_fields() -> None:
    result = RUNNER.invoke(APP, ["messages", "SetChargingProfile", "--catalogue", "--ocpp", "1.6"])

    assert 0 == result.exit_code
    assert "CSMS -> station" in result.output
    assert "SmartCharging" in result.output
    assert "csChargingProfiles.chargingSchedule.chargingSchedulePeriod[].limit" in result.output
    assert "multipleOf 0.1" in result.output


def test_the_whole_catalogue_has_every_action() -> None:
    result = RUNNER.invoke(APP, ["messages", "--catalogue"])

    assert 39 + 64 + 91 == len(result.output.splitlines())


def test_the_log_is_read_by_station_and_action(tmp_path: Path) -> None:
    path = tmp_path / "wire.jsonl"

    async def main() -> None:
        clock = SystemClock()
        lines = JsonLines(path)
        server = await serve("127.0.0.1", 0, handler=RecordingCsms(), policy=Policy(tap=WireLog(clock, (lines,))))
        url = f"ws://127.0.0.1:{server.port}/ocpp"
        for identity in ("A", "B"):
            station = ChargingStation(identity=identity, version="1.6", url=url, clock=clock, body=PlainBody())
            await station.connect()
            await station.boot()
            await station.disconnect()
        await server.close()
        lines.close()

    asyncio.run(main())

    whole = RUNNER.invoke(APP, ["messages", "--log", str(path)]).output.splitlines()
    of_b = RUNNER.invoke(APP, ["messages", "BootNotification", "--log", str(path), "--station", "B", "--json"]).output
    assert 4 == len(whole)
    assert ["B", "B"] == [json.loads(line)["station"] for line in of_b.splitlines()]


def test_a_log_is_followed_from_file_to_file(tmp_path: Path) -> None:
    path = tmp_path / "wire.jsonl"
    lines = JsonLines(path, max_bytes=300)

    def write(number: int) -> None:
        at = datetime(2024, 1, 17, tzinfo=UTC)
        lines(WireRecord(at, "CS", "in", "CALL", "Heartbeat", str(number), "", None, "x" * 50))

    write(0)
    write(1)  # puts the first aside
    followed = messages_cli._records(path, follow=True)
    assert ["0", "1"] == [next(followed).message_id for _ in range(2)]
    for number in (2, 3, 4):
        write(number)
        assert str(number) == next(followed).message_id
    with path.open("a") as file:
        file.write('{"at": "2024-01-17T')  # still being written
    assert ["0", "1", "2", "3", "4"][-5:] == [each.message_id for each in messages_cli._records(path, follow=False)]
    lines.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ["messages", "--log", "/nowhere/messages.jsonl"],
        ["messages", "--catalogue", "MakeCoffee"],
        ["messages", "--catalogue", "--ocpp", "3.0"],
        ["station", "ws://x", "--ocpp", "3.0"],
        ["station", "ws://x", "--fault", "explode@3"],
        ["station", "ws://x", "--fault", "drop@3+long"],
        ["station", "http://x"],
        ["station", "127.0.0.1:9000"],
        ["station", "ws://x", "--tls-key", "a.pem"],
        ["station", "ws://x", "--tls-ca", "/nowhere/a.pem"],
        ["station", "ws://x", "--send", "Heartbeat={"],
    ],
)
def test_bad_arguments_are_named(arguments: list[str]) -> None:
    result = RUNNER.invoke(APP, arguments)

    assert isinstance(result.exception, Exception)
    assert "InputError" == type(result.exception).__name__

"""Who may connect stands in a file: no password in it, and what a login settled is kept."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ocpp_link.access_file import change_password, load_access
from ocpp_link.errors import CallTimeout, ConnectFailed, NotSupportedError
from ocpp_link.security import PasswordHash
from ocpp_link.testing import ChargingStation, PlainBody
from ocpp_link.transport import ClientPolicy, Policy, SystemClock, serve
from tests.ocpp_link.csms import RecordingCsms

OLD, NEW = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"


def write(tmp_path: Path, profile: str = "profile: 1") -> Path:
    path = tmp_path / "access.yaml"
    path.write_text(
        f"# of the garage\nstations:\n  CS: {{{profile}, password_hashes: [{PasswordHash.of(OLD).text()}]}}  # left\n"
        "  Other: {profile: 0}\n"
    )
    return path


def test_a_hash_is_read_as_it_was_written() -> None:
    known = PasswordHash.of(OLD)

    assert known == PasswordHash.parse(known.text())
    assert OLD not in known.text()


def test_a_hash_is_made_on_the_command_line() -> None:
    command = [sys.executable, "-m", "ocpp_link.access_file"]
    made = subprocess.run(command, input=OLD + "\n", capture_output=True, text=True, check=True).stdout

    assert PasswordHash.parse(made.strip()).matches(bytes.fromhex(OLD))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("CS: 1", "must have `stations:`"),
        ("stations: {CS: {profile: 4}}", "access.yaml: station CS: profile must be a security profile, 0 to 3, got 4"),
        ("stations: {CS: {profile: 1}}", "station CS: password_hashes must hold one for security profile 1"),
        ("stations: {CS: {profile: 0, offered_profile: 1}}", "password_hashes must hold one for security profile 1"),
        ("stations: {CS: {profile: 2, offered_profile: 1}}", "offered_profile must be above 2"),
        ("stations: {CS: {profile: 1, password: x}}", "must be a mapping of offered_profile, password_hashes"),
        ("stations: {}\nstation: {}", "station: there are organisation and stations"),
        ("stations: {", "line"),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "access.yaml"
    path.write_text(text)

    with pytest.raises(ValueError, match=fault):
        load_access(path)


def test_a_password_by_mistake_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "access.yaml"
    path.write_text("stations: {CS: {profile: 1, password_hashes: [geheim]}}")

    with pytest.raises(ValueError, match="a password hash must be") as found:
        load_access(path)
    assert "geheim" not in str(found.value)


def station(port: int, password: str, body: PlainBody) -> ChargingStation:
    url = f"ws://127.0.0.1:{port}/ocpp"
    policy = ClientPolicy(password=password)
    return ChargingStation(identity="CS", version="1.6", url=url, clock=SystemClock(), body=body, policy=policy)


async def comes_in(port: int, password: str) -> bool:
    each = station(port, password, PlainBody())
    try:
        await each.connect()
    except ConnectFailed:
        return False
    await each.disconnect()
    return True


@pytest.mark.parametrize(
    ("answer", "taken", "then"),
    [
        ({"status": "Accepted"}, "Accepted", [False, True]),
        ({"status": "RebootRequired"}, "RebootRequired", [True, False]),  # whichever it uses first
        ({"status": "Rejected"}, "Rejected", [True, False]),
        ({"status": "NotSupported"}, "NotSupported", [True, False]),
        (NotSupportedError(), "NotSupported", [True, False]),
    ],
)
def test_a_key_changes_when_the_station_takes_it_and_stays_changed(
    tmp_path: Path, answer: Any, taken: str, then: list[bool]
) -> None:
    path = write(tmp_path)

    async def main() -> None:
        access = load_access(path)
        server = await serve("127.0.0.1", 0, handler=RecordingCsms(), policy=Policy(access=access))
        each = station(server.port, OLD, PlainBody({"ChangeConfiguration": answer}))
        await each.connect()
        assert taken == await change_password(server.stations["CS"], access, NEW)
        await each.disconnect()
        await server.close()
        again = await serve("127.0.0.1", 0, handler=RecordingCsms(), policy=Policy(access=load_access(path)))
        assert then == [await comes_in(again.port, password) for password in (OLD, NEW)]
        await again.close()

    asyncio.run(main())

    assert "# of the garage" in path.read_text()
    assert NEW not in path.read_text()


def test_without_an_answer_both_keys_are_good_until_one_is_used(tmp_path: Path) -> None:
    path = write(tmp_path)

    async def main() -> None:
        access = load_access(path)
        server = await serve("127.0.0.1", 0, handler=RecordingCsms(), call_timeout_s=0.05, policy=Policy(access=access))
        each = station(server.port, OLD, PlainBody())
        await each.connect()
        assert each.link is not None
        each.link._socket._transport.pause_reading()  # type: ignore[union-attr]
        with pytest.raises(CallTimeout):
            await change_password(server.stations["CS"], access, NEW)
        assert 2 == len(load_access(path)["CS"].passwords)
        assert await comes_in(server.port, NEW)
        assert not await comes_in(server.port, OLD)
        each.link._socket.abort()
        await server.close()

    asyncio.run(main())

    assert load_access(path)["CS"].passwords[0].matches(NEW.encode())


def test_a_higher_profile_stays_after_a_restart(tmp_path: Path) -> None:
    path = write(tmp_path, profile="profile: 0, offered_profile: 1")

    async def main() -> None:
        server = await serve("127.0.0.1", 0, handler=RecordingCsms(), policy=Policy(access=load_access(path)))
        assert await comes_in(server.port, OLD)
        await server.close()

    asyncio.run(main())

    assert (1, None) == (load_access(path)["CS"].profile, load_access(path)["CS"].offered_profile)


def test_a_file_that_cannot_be_written_costs_the_memory_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path)
    access = load_access(path)
    path.unlink()

    access.offer_password("CS", NEW)

    assert 2 == len(access["CS"].passwords)
    assert "the change of CS is not kept" in caplog.text

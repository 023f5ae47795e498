"""Security profiles 0 to 3, at the door and over real sockets.

The certificates beside this file belong to nobody and nothing: they exist for these tests.
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from ocpp_link.errors import ConnectFailed
from ocpp_link.limits import TokenBucket
from ocpp_link.link import Link
from ocpp_link.security import (
    AccessList,
    Knock,
    PasswordHash,
    StationAccess,
    basic_header,
    basic_password,
    server_context,
    station_context,
)
from ocpp_link.transport import ClientPolicy, Policy, Server, connect, serve
from tests.ocpp_link.csms import RecordingCsms
from tests.ocpp_link.waiting import until

KEY = "0123456789abcdef0123456789abcdef"
CERTIFICATES = Path(__file__).parent / "certificates"
AUTHORITY = CERTIFICATES / "authority.pem"


def knock(identity: str = "CS", password: bytes | None = None, **shown: Any) -> Knock:
    header = basic_header(identity, password) if password is not None else None
    return Knock(identity=identity, authorization=header, **{"secure": False, **shown})


def certificate(name: str, organisation: str = "Operator") -> dict[str, Any]:
    return {"subject": ((("organizationName", organisation),), (("commonName", name),))}


def status(access: AccessList, shown: Knock) -> int:
    refusal = access.judge(shown)
    return 101 if refusal is None else int(refusal.status)


ROWS: list[tuple[int, dict[str, Any], int]] = [
    # expected profile, what is shown, answer
    (0, {}, 101),
    (0, {"password": b"x"}, 401),
    (1, {}, 401),
    (1, {"password": KEY.encode()}, 101),
    (1, {"password": KEY.upper().encode()}, 101),
    (1, {"password": bytes.fromhex(KEY)}, 101),
    (1, {"password": b"wrong"}, 401),
    (1, {"password": b""}, 401),
    (1, {"password": KEY.encode(), "secure": True}, 401),
    (2, {"password": KEY.encode()}, 401),
    (2, {"password": KEY.encode(), "secure": True}, 101),
    (2, {"password": b"wrong", "secure": True}, 401),
    (2, {"secure": True}, 401),
    (3, {"password": KEY.encode(), "secure": True}, 401),
    (3, {"secure": True, "certificate": certificate("CS")}, 101),
    (3, {"secure": True, "certificate": certificate("CS-2")}, 401),
    (3, {"secure": True, "certificate": certificate("CS", "Elsewhere")}, 401),
]


@pytest.mark.parametrize(("profile", "shown", "expected"), ROWS)
def test_a_station_comes_in_by_its_own_profile_and_no_other(profile: Any, shown: dict[str, Any], expected: int) -> None:
    station = StationAccess(profile=profile, passwords=(PasswordHash.of(KEY),))
    access = AccessList({"CS": station}, organisation="Operator")

    assert expected == status(access, knock(**shown))
    assert 404 == status(access, knock("Stranger", **{key: shown[key] for key in shown if key != "certificate"}))


def test_a_password_may_hold_colons_and_bytes_that_are_no_text() -> None:
    password = b"a:b\xff\x00c"

    assert password == basic_password(basic_header("CS:1", password), identity="CS:1")
    assert basic_password("Basic ???", identity="CS") is None
    assert basic_password("Bearer abc", identity="CS") is None
    assert basic_password(None, identity="CS") is None


def test_hashes_tell_nothing_and_differ_for_the_same_password() -> None:
    first, second = PasswordHash.of(KEY), PasswordHash.of(KEY)

    assert first != second
    assert KEY not in repr(first)
    assert KEY not in repr(ClientPolicy(password=KEY))
    assert KEY not in repr(knock(password=KEY.encode()))


def test_both_keys_are_good_until_the_station_has_used_one() -> None:
    new = "f" * 32
    access = AccessList({"CS": StationAccess(profile=1, passwords=(PasswordHash.of(KEY),))})
    access.offer_password("CS", new)

    assert 101 == status(access, knock(password=new.encode()))
    assert 401 == status(access, knock(password=KEY.encode()))


def test_a_refused_key_is_withdrawn_and_an_accepted_one_counts_at_once() -> None:
    new = "f" * 32
    access = AccessList({"CS": StationAccess(profile=1, passwords=(PasswordHash.of(KEY),))})
    access.offer_password("CS", new)
    access.withdraw_password("CS")
    assert 401 == status(access, knock(password=new.encode()))
    access.offer_password("CS", new)
    access.confirm_password("CS")

    assert 401 == status(access, knock(password=KEY.encode()))
    assert 101 == status(access, knock(password=new.encode()))


def test_a_profile_only_ever_rises() -> None:
    access = AccessList({"CS": StationAccess(profile=1, passwords=(PasswordHash.of(KEY),))})
    with pytest.raises(ValueError, match="above 1"):
        access.offer_profile("CS", 1)
    access.offer_profile("CS", 2)

    assert 101 == status(access, knock(password=KEY.encode()))
    assert 101 == status(access, knock(password=KEY.encode(), secure=True))
    assert 401 == status(access, knock(password=KEY.encode()))
    assert 2 == access["CS"].profile


def test_a_bucket_lets_bursts_through_and_then_its_rate() -> None:
    bucket = TokenBucket(rate_per_s=2.0, burst=3.0)

    assert [True, True, True, False] == [bucket.try_take(0.0) for _ in range(4)]
    assert [True, False] == [bucket.try_take(0.5) for _ in range(2)]


# --- over real sockets ---


def play(policy: Policy, scene: Callable[[Server, str], Awaitable[None]]) -> None:
    async def main() -> None:
        server = await serve("127.0.0.1", 0, handler=RecordingCsms(), policy=policy)
        scheme = "ws" if policy.tls is None else "wss"
        async with asyncio.timeout(20):
            await scene(server, f"{scheme}://localhost:{server.port}/ocpp")
            await server.close()

    asyncio.run(main())


async def refused(url: str, identity: str, policy: ClientPolicy | None = None) -> int | None:
    try:
        link = await connect(url, identity=identity, handler=RecordingCsms(), policy=policy)  # type: ignore[arg-type]
    except ConnectFailed as error:
        return error.status
    await link.close()
    return 101


async def come_in(url: str, identity: str, policy: ClientPolicy) -> Link:
    return await connect(url, identity=identity, handler=RecordingCsms(), policy=policy)  # type: ignore[arg-type]


ACCESS = {
    "CS-0": StationAccess(profile=0),
    "CS-1": StationAccess(profile=1, passwords=(PasswordHash.of(KEY),)),
    "CS-2": StationAccess(profile=2, passwords=(PasswordHash.of(KEY),)),
    "CS-3": StationAccess(profile=3),
}


def test_the_plain_door_knows_404_and_401() -> None:
    async def scene(_server: Server, url: str) -> None:
        assert 101 == await refused(url, "CS-0")
        assert 404 == await refused(url, "CS-9")
        assert 401 == await refused(url, "CS-1")
        assert 401 == await refused(url, "CS-1", ClientPolicy(password="wrong"))
        assert 101 == await refused(url, "CS-1", ClientPolicy(password=bytes.fromhex(KEY)))
        assert 401 == await refused(url, "CS-2", ClientPolicy(password=KEY))

    play(Policy(access=AccessList(ACCESS)), scene)


def test_tls_with_a_password_and_with_a_certificate() -> None:
    async def scene(_server: Server, url: str) -> None:
        plain = ClientPolicy(password=KEY, tls=station_context(AUTHORITY))
        own = station_context(AUTHORITY, certificate=CERTIFICATES / "station.pem", key=CERTIFICATES / "station.key")
        assert 101 == await refused(url, "CS-2", plain)
        assert 401 == await refused(url, "CS-3", plain)
        assert 101 == await refused(url, "CS-3", ClientPolicy(tls=own))
        assert 401 == await refused(url, "CS-2", ClientPolicy(tls=own, password=KEY))
        assert None is await refused(url, "CS-2", ClientPolicy(password=KEY, tls=ssl.create_default_context()))

    tls = server_context(CERTIFICATES / "server.pem", CERTIFICATES / "server.key", client_authority=AUTHORITY)
    play(Policy(access=AccessList(ACCESS, organisation="Operator"), tls=tls), scene)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls_is_spoken_on_a_port_of_its_own_and_nowhere_else(newest: ssl.TLSVersion) -> None:
    old = station_context(AUTHORITY)
    old.set_ciphers("AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, newest
    files = CERTIFICATES / "server.pem", CERTIFICATES / "server.key"

    async def scene(server: Server, url: str) -> None:
        port = await server.also_listen("127.0.0.1", 0, tls=server_context(*files, legacy=True))
        beside = url.replace(str(server.port), str(port))
        assert None is await refused(url, "CS-2", ClientPolicy(password=KEY, tls=old))
        assert 401 == await refused(beside, "CS-2", ClientPolicy(password="wrong", tls=old))
        earlier = await come_in(beside, "CS-2", ClientPolicy(password=KEY, tls=old))
        modern = await come_in(url, "CS-2", ClientPolicy(password=KEY, tls=station_context(AUTHORITY)))
        await until(lambda: not earlier.connected)  # the newest wins, whichever port it comes by
        assert modern.connected

    play(Policy(access=AccessList(ACCESS), tls=server_context(*files)), scene)


def test_a_renewed_certificate_drops_nobody() -> None:
    async def scene(server: Server, url: str) -> None:
        policy = ClientPolicy(password=KEY, tls=station_context(AUTHORITY))
        before = await come_in(url, "CS-2", policy)
        server.renew_certificate(CERTIFICATES / "renewed.pem", CERTIFICATES / "renewed.key")
        after = await come_in(url, "CS-20", policy)
        units = [
            dict(pair for group in link._socket.tls.getpeercert()["subject"] for pair in group)  # type: ignore[union-attr]
            for link in (before, after)
        ]
        assert [None, "renewed"] == [unit.get("organizationalUnitName") for unit in units]
        assert before.connected

    access = AccessList(dict.fromkeys(("CS-2", "CS-20"), ACCESS["CS-2"]))
    tls = server_context(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    play(Policy(access=access, tls=tls), scene)


def test_a_draining_server_sends_newcomers_away_and_keeps_the_others() -> None:
    async def scene(server: Server, url: str) -> None:
        inside = await come_in(url, "CS-0", ClientPolicy())
        server.drain()
        assert 503 == await refused(url, "CS-1")
        assert inside.connected

    play(Policy(), scene)


def test_too_many_handshakes_are_told_to_come_back() -> None:
    async def scene(_server: Server, url: str) -> None:
        answers = [await refused(url, f"CS-{number}") for number in range(14)]
        assert [101] * 10 + [503] * 4 == answers

    play(Policy(connections_per_s=0.01), scene)


def test_a_message_beyond_the_size_limit_ends_the_connection() -> None:
    async def scene(server: Server, url: str) -> None:
        there = RecordingCsms()
        link = await connect(url, identity="CS", handler=there)  # type: ignore[arg-type]
        link.write_raw(b'[2,"a","DataTransfer",{"vendorId":"' + b"x" * 5000 + b'"}]')
        await link.wait_finished()
        assert "1009" in there.ended[0][1]

    play(Policy(max_message_bytes=4096), scene)


@pytest.mark.parametrize("path", ["/ocpp", "/ocpp/", "/other/CS", "/ocpp/%00", "/ocpp/" + "x" * 256])
def test_a_path_without_a_usable_station_id_is_not_found(path: str) -> None:
    async def scene(server: Server, _url: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert str(HTTPStatus.NOT_FOUND.value).encode() in await reader.readline()
        writer.close()

    play(Policy(), scene)


def test_a_station_that_names_no_id_is_known_by_its_address() -> None:
    async def scene(server: Server, url: str) -> None:
        link = await connect(url.replace("/ocpp", ""), identity="ocpp", handler=RecordingCsms())  # type: ignore[arg-type]
        await until(lambda: "GARAGE" in server.stations)
        await link.close()

    play(Policy(identity_by_address={"127.0.0.1": "GARAGE", "::1": "GARAGE"}), scene)


@pytest.mark.parametrize(("ignore_case", "answer"), [(True, 101), (False, 404)])
def test_case_may_be_ignored(ignore_case: bool, answer: int) -> None:
    async def scene(_server: Server, url: str) -> None:
        assert answer == await refused(url, "cs-0")

    play(Policy(access=AccessList(ACCESS), ignore_case=ignore_case), scene)


def test_two_ids_that_differ_in_case_only_are_two_stations() -> None:
    access = AccessList(dict.fromkeys(("CS", "cs"), StationAccess(profile=0)))

    assert ["CS", "cs", "Cs"] == [access.spelled(each) for each in ("CS", "cs", "Cs")]


def test_a_station_beyond_its_message_rate_is_read_more_slowly_and_loses_nothing() -> None:
    async def scene(server: Server, url: str) -> None:
        link = await connect(url, identity="CS", handler=RecordingCsms())  # type: ignore[arg-type]
        began_s = time.monotonic()
        for number in range(80):
            link.write_raw(b'[2,"%d","Heartbeat",{}]' % number)
        for _ in range(3):
            await link.call("Heartbeat", {})  # what was read already is answered; after that nothing is for a while
        assert 30 / 100 <= time.monotonic() - began_s  # thirty beyond the fifty that no limit minds
        await link.close()

    play(Policy(messages_per_s=100.0), scene)

"""The `test-ocpp` package's connection tester against the server: subprotocols, logins and TLS."""

import asyncio
import logging
from typing import Any

import pytest

from ocpp_link.security import AccessList, PasswordHash, StationAccess, server_context
from ocpp_link.transport import Policy, serve
from tests.ocpp_link.csms import RecordingCsms
from tests.ocpp_link.test_security import AUTHORITY, CERTIFICATES

test_ocpp = pytest.importorskip("test_ocpp", reason="the test-ocpp package is not installed")

STATION = "CS-3"  # as its certificate has it
KEY = "0123456789abcdef0123456789abcdef"
OURS = {"cert": str(CERTIFICATES / "station.pem"), "key": str(CERTIFICATES / "station.key")}
TRUSTED = {"ca": str(AUTHORITY)}

ROWS: list[tuple[int, dict[str, Any], bool]] = [
    # security profile that is expected, what the tester shows, whether it succeeds
    (0, {}, True),
    (0, {"trailing_slash": True}, True),
    (0, {"tls": True, "insecure": True}, False),
    (1, {"password": KEY}, True),
    (1, {"password": "wrong"}, False),
    (1, {"username": STATION, "password": KEY}, True),
    (1, {"username": "Other", "password": KEY}, False),
    (1, {}, False),
    (2, {"password": KEY, **TRUSTED}, True),
    (2, {"password": KEY, "insecure": True}, True),
    (2, {"password": KEY}, False),  # an authority that the tester does not know
    (2, {"password": "wrong", **TRUSTED}, False),
    (2, {"password": KEY, "tls": False}, False),
    (3, {**OURS, **TRUSTED}, True),
    (3, {"password": KEY, **TRUSTED}, False),
]


async def check(profile: Any, shown: dict[str, Any], ocpp: str) -> Any:
    """Let the tester at a server that expects a security profile; return what it found, or what stopped it."""
    access = AccessList({STATION: StationAccess(profile=profile, passwords=(PasswordHash.of(KEY),))})
    tls = None
    if profile >= 2:
        authority = AUTHORITY if profile == 3 else None
        tls = server_context(CERTIFICATES / "server.pem", CERTIFICATES / "server.key", client_authority=authority)
    server = await serve("127.0.0.1", 0, handler=RecordingCsms(), policy=Policy(access=access, tls=tls))
    scheme = "wss" if profile >= 2 else "ws"
    url = f"{scheme}://localhost:{server.port}/ocpp"
    try:
        return await test_ocpp.check_connection(url, STATION, ocpp=ocpp, timeout=5, **shown)
    except Exception as error:
        return error
    finally:
        await server.close()


@pytest.mark.parametrize("ocpp", ["1.6", "2.0.1"])
@pytest.mark.parametrize(("profile", "shown", "succeeds"), ROWS)
def test_the_tester_comes_in_exactly_where_it_should(
    ocpp: str, profile: int, shown: dict[str, Any], succeeds: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)

    found = asyncio.run(check(profile, shown, ocpp))

    assert succeeds == (not isinstance(found, Exception)), found
    if succeeds:
        assert f"ocpp{ocpp}" == found.subprotocol
        assert (profile >= 2) == (found.tls_version in ("TLSv1.2", "TLSv1.3"))
        assert "Accepted" == found.boot_notification["status"]
        assert "currentTime" in found.heartbeat

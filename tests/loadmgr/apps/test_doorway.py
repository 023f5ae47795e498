"""``loadmgr run`` lets stations in as its files say: TLS, logins, unknown ones, what the operator knows of them."""

import asyncio
import shutil
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loadmgr.apps.process.doorway import Doorway, overrides_of
from loadmgr.apps.process.site import SiteProcess
from loadmgr.errors import InputError
from loadmgr.site_file import load_site
from ocpp_link.errors import ConnectFailed
from ocpp_link.security import PasswordHash, station_context
from ocpp_link.testing import ChargingStation, PlainBody
from ocpp_link.transport import ClientPolicy, SystemClock
from tests.loadmgr.apps.running import Running
from tests.loadmgr.apps.test_acquaintance import SITE
from tests.ocpp_link.test_security import AUTHORITY, CERTIFICATES
from tests.ocpp_link.waiting import until

KEY = "0123456789abcdef0123456789abcdef"
NEW_KEY = KEY[::-1]


def station(port: int, identity: str, password: str | None) -> ChargingStation:
    policy = ClientPolicy(password=password, tls=station_context(AUTHORITY))
    url = f"wss://localhost:{port}/ocpp"
    return ChargingStation(
        identity=identity, version="1.6", url=url, clock=SystemClock(), body=PlainBody(), policy=policy
    )


async def status(port: int, identity: str, password: str | None) -> int | None:
    try:
        await station(port, identity, password).connect()
    except ConnectFailed as error:
        return error.status
    return 101


def unit(each: ChargingStation) -> Any:
    assert each.link is not None
    tls = each.link._socket.tls
    assert tls is not None
    shown: Any = tls.getpeercert()
    return dict(pair for group in shown["subject"] for pair in group).get("organizationalUnitName")


def test_a_site_with_tls_and_logins_and_a_certificate_that_is_renewed(tmp_path: Path) -> None:
    for kind in ("pem", "key"):
        shutil.copy(CERTIFICATES / f"server.{kind}", tmp_path / f"shown.{kind}")
    site, access, quirks = tmp_path / "one.yaml", tmp_path / "access.yaml", tmp_path / "quirks.yaml"
    site.write_text(SITE)
    access.write_text(f"stations: {{S1: {{profile: 2, password_hashes: [{PasswordHash.of(KEY).text()}]}}}}")
    quirks.write_text("S1: {stack_level: 4}")
    files = ["--access", str(access), "--tls-certificate", str(tmp_path / "shown.pem"), "--quirks", str(quirks)]
    running = Running(
        site, "--port", "0", "--no-journal", "--without-certificate", "--tls-key", str(tmp_path / "shown.key"), *files
    )

    async def talk(port: int) -> None:
        assert [401, 401, 404] == [await status(port, *who) for who in (("S1", None), ("S1", "wrong"), ("S2", KEY))]
        first = station(port, "S1", KEY)
        await first.connect()
        await first.boot()
        assert isinstance(first.body, PlainBody)
        received = first.body.received
        async with asyncio.timeout(30):
            await until(lambda: "SetChargingProfile" in dict(received))
        assert 4 == dict(received)["SetChargingProfile"]["csChargingProfiles"]["stackLevel"]
        assert unit(first) is None
        for kind in ("pem", "key"):
            shutil.copy(CERTIFICATES / f"renewed.{kind}", tmp_path / f"shown.{kind}")
        running.process.send_signal(signal.SIGHUP)
        await asyncio.to_thread(running.said, "certificate read again")
        await first.heartbeat()
        second = station(port, "S1", KEY)
        await second.connect()
        assert "renewed" == unit(second)
        command = [
            sys.executable,
            "-m",
            "loadmgr",
            "station",
            "password",
            "S1",
            "--socket",
            str(running.socket),
            "--ask",
        ]
        done = await asyncio.to_thread(
            subprocess.run, command, input=f"{NEW_KEY}\n", text=True, capture_output=True, check=False
        )
        assert ("S1: has a new password\n", "") == (done.stdout, done.stderr)
        await second.disconnect()
        assert [401, 101] == [await status(port, "S1", key) for key in (KEY, NEW_KEY)]

    try:
        line = running.said("stations connect to wss://")
        asyncio.run(talk(int(line.partition("wss://127.0.0.1:")[2].partition("/")[0])))
    finally:
        running.stop()

    said = "\n".join(running.lines)
    assert "S1: new password by order of" in said
    assert not any(key in said for key in (KEY, NEW_KEY))


def test_all_stations_of_a_site_may_come_at_once(tmp_path: Path) -> None:
    site = tmp_path / "one.yaml"
    site.write_text(SITE)
    process = SiteProcess(load_site(site), clock=SystemClock())

    policy = Doorway().policy(process, tap=None, access=None)

    assert policy.connections_at_once >= 2 * len(process.site.station_by_id)
    assert policy.knows is not None
    assert [True, False] == [policy.knows(identity) for identity in ("S1", "S2")]
    assert policy.profiles is process.models


def test_a_key_that_does_not_fit_leaves_the_old_certificate(tmp_path: Path) -> None:
    for kind in ("pem", "key"):
        shutil.copy(CERTIFICATES / f"server.{kind}", tmp_path / f"shown.{kind}")
    doorway = Doorway(certificate=tmp_path / "shown.pem", key=tmp_path / "shown.key")
    tls = doorway.tls()
    shutil.copy(CERTIFICATES / "renewed.pem", tmp_path / "shown.pem")

    with pytest.raises(InputError, match=r"shown\.pem, .*shown\.key: no usable certificate and key"):
        doorway.renew(tls)
    assert isinstance(tls, ssl.SSLContext)


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"certificate": "a.pem"}, "--tls-certificate and --tls-key need each other"),
        ({"client_authority": "a.pem"}, "--tls-client-ca needs --tls-certificate"),
    ],
)
def test_files_that_need_each_other_are_named(files: dict[str, str], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        Doorway(**{name: Path(file) for name, file in files.items()})


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: No such file"):
        Doorway(access=tmp_path / "none.yaml").access_list()
    with pytest.raises(InputError, match=r"none\.yaml: No such file"):
        overrides_of(tmp_path / "none.yaml", frozenset({"S1"}))


def test_a_station_that_the_site_does_not_have_is_named(tmp_path: Path) -> None:
    path = tmp_path / "quirks.yaml"
    path.write_text("S9: {zero_ok: true}")

    with pytest.raises(InputError, match=r"quirks\.yaml: station S9 is not in the site file; there are S1"):
        overrides_of(path, frozenset({"S1"}))

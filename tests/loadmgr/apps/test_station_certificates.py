"""``loadmgr station renew-certificate``: stations of a running site get new client certificates."""

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from loadmgr.apps.cli import app
from loadmgr.apps.field.station_run import run_stations
from loadmgr.apps.process.doorway import Doorway
from loadmgr.errors import InputError
from ocpp_link.security import PasswordHash, StationAccess, station_context
from ocpp_link.testing import ChargingStation, PlainBody
from ocpp_link.testing_certificate import ClientCertificate
from ocpp_link.transport import ClientPolicy, SystemClock
from tests.emulated_stations import stations_plan
from tests.loadmgr.apps.running import Running
from tests.loadmgr.apps.test_acquaintance import SITE
from tests.ocpp_link.test_authority import ROOT_KEY, certified, pem_of
from tests.ocpp_link.test_renewal import World, play
from tests.ocpp_link.test_security import AUTHORITY, CERTIFICATES
from tests.ocpp_link.waiting import until

KEY = "0123456789abcdef0123456789abcdef"


def renew(identity: str, socket: Path) -> Any:
    command = [sys.executable, "-m", "loadmgr", "station", "renew-certificate", identity, "--socket", str(socket)]
    return asyncio.to_thread(subprocess.run, command, text=True, capture_output=True, check=False)


def test_a_station_of_a_running_site_gets_a_certificate_renews_it_and_keeps_its_limits(tmp_path: Path) -> None:
    site, access, root, key = (tmp_path / name for name in ("one.yaml", "access.yaml", "root.pem", "root.key"))
    site.write_text(SITE)
    access.write_text(
        f"organisation: Operator\nstations: {{S1: {{profile: 2, password_hashes: [{PasswordHash.of(KEY).text()}]}}}}"
    )
    root.write_bytes(certified("Root", ROOT_KEY, ("Root", ROOT_KEY), now=datetime.now(UTC)))
    key.write_bytes(pem_of(ROOT_KEY))
    files: dict[str, Path] = {
        "--access": access,
        "--tls-certificate": CERTIFICATES / "server.pem",
        "--tls-key": CERTIFICATES / "server.key",
        "--tls-client-ca": root,
        "--tls-sign-ca": root,
        "--tls-sign-key": key,
    }
    named = [str(word) for pair in files.items() for word in pair]
    running = Running(site, "--port", "0", "--no-journal", "--without-certificate", *named)

    async def talk(port: int) -> None:
        context = station_context(AUTHORITY)
        station = ChargingStation(
            identity="S1",
            version="1.6",
            url=f"wss://localhost:{port}/ocpp",
            clock=SystemClock(),
            body=PlainBody(),
            policy=ClientPolicy(password=KEY, tls=context),
        )
        certificate, own = tmp_path / "s1.pem", tmp_path / "s1.key"
        station.certificate = ClientCertificate(certificate, own, context=context, organisation="Operator")
        seen = set()
        for _ in range(2):
            await station.connect()
            await station.boot()
            done = await renew("S1", running.socket)
            assert ("S1: has a new certificate\n", "") == (done.stdout, done.stderr)
            await until(lambda: not station.connected)
            seen.add(certificate.read_text())
        assert 2 == len(seen)
        station.policy = ClientPolicy(tls=context)  # no password any more
        await station.connect()
        body = station.body
        assert isinstance(body, PlainBody)
        async with asyncio.timeout(30):
            await until(lambda: "SetChargingProfile" in dict(body.received))
        station.certificate = None
        body.answers["ExtendedTriggerMessage"] = {"status": "NotImplemented"}
        done = await renew("S1", running.socket)
        assert "S1 has no new certificate: it says NotImplemented; what it had stays" in done.stderr
        assert 2 == done.returncode

    try:
        line = running.said("stations connect to wss://")
        asyncio.run(talk(int(line.partition("wss://127.0.0.1:")[2].partition("/")[0])))
    finally:
        running.stop()

    entries = [json.loads(line) for line in (tmp_path / "access.yaml.audit.jsonl").read_text().splitlines()]
    assert ["Accepted", "Accepted", "it says NotImplemented"] == [each["outcome"] for each in entries]
    assert {("certificate", "S1")} == {(each["do"], each["station"]) for each in entries}
    assert "profile: 3" in access.read_text()


def test_an_emulated_station_replaces_its_files_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadmgr.sim.station.REDIAL_S", 0.2)

    async def scene(world: World) -> None:
        world.own("CS-3")
        files = tmp_path / "CS-3.pem", tmp_path / "CS-3.key"
        before = files[0].read_text()
        plan = stations_plan(
            f"wss://localhost:{world.server.port}/ocpp",
            "CS-3",
            version="2.0.1",
            plug_after_s=60.0,
            tls=station_context(AUTHORITY, certificate=files[0], key=files[1]),
            own_certificate=files,
        )
        running = asyncio.create_task(run_stations(plan))
        await until(lambda: "CS-3" in world.server.registrations)
        first = world.server.stations["CS-3"]
        assert "Accepted" == await world.renewals.renew(first)
        await until(lambda: world.server.stations.get("CS-3") not in (None, first))
        assert before != files[0].read_text()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    play(tmp_path, {"CS-3": StationAccess(profile=3)}, scene)


def test_files_of_an_authority_need_each_other_and_a_login() -> None:
    ca = Path("ca.pem")
    with pytest.raises(InputError, match="--tls-sign-ca and --tls-sign-key need each other"):
        Doorway(sign_certificate=ca)
    with pytest.raises(InputError, match="--tls-sign-key needs --access"):
        Doorway(certificate=ca, key=ca, client_authority=ca, sign_certificate=ca, sign_key=ca)


def test_an_authority_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    access, ca = tmp_path / "access.yaml", tmp_path / "ca.pem"
    access.write_text("stations: {S1: {profile: 3}}")
    ca.write_text("none")
    door = Doorway(
        access=access, certificate=ca, key=ca, client_authority=ca, sign_certificate=ca, sign_key=tmp_path / "none.key"
    )

    with pytest.raises(InputError, match=r"ca\.pem, .*none\.key: .*No such file"):
        door.renewals(door.access_list(), now=lambda: datetime.now(UTC))
    (tmp_path / "none.key").write_text("none")
    with pytest.raises(InputError, match="no usable certificate and key in PEM"):
        door.renewals(door.access_list(), now=lambda: datetime.now(UTC))


def test_below_a_csms_the_csms_signs() -> None:
    done = CliRunner().invoke(app, ["run", "home", "--upstream", "ws://x/ocpp", "--tls-sign-key", "key.pem"])

    assert 0 != done.exit_code
    assert "the CSMS signs" in str(done.exception)

"""Stations renew their certificates over OCPP, on real TLS sockets, and come back with the new ones."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ocpp_link.authority import LIFETIME, Authority
from ocpp_link.dialect import Version
from ocpp_link.errors import CallRejected, CallTimeout, ConnectFailed
from ocpp_link.renewal import RENEW_BEFORE, Renewals
from ocpp_link.security import AccessList, PasswordHash, StationAccess, server_context, station_context
from ocpp_link.testing import ChargingStation, PlainBody
from ocpp_link.testing_certificate import ClientCertificate, new_request
from ocpp_link.transport import ClientPolicy, Policy, Server, SystemClock, serve
from tests.ocpp_link.csms import RecordingCsms
from tests.ocpp_link.test_authority import BELOW_KEY, ROOT_KEY, certified, pem_of
from tests.ocpp_link.test_security import AUTHORITY, CERTIFICATES, KEY
from tests.ocpp_link.waiting import until

PASSWORD = (PasswordHash.of(KEY),)
TODAY = datetime.now(UTC).replace(microsecond=0)
ROOT = certified("Root", ROOT_KEY, ("Root", ROOT_KEY), now=TODAY)
BELOW = certified("Below", BELOW_KEY, ("Root", ROOT_KEY), now=TODAY)
SIGNER = Authority(BELOW + ROOT, pem_of(BELOW_KEY))
VERSIONS: tuple[Version, ...] = ("1.6", "2.0.1", "2.1")


class World:
    """A server with an authority of its own, and stations that come to it."""

    def __init__(self, folder: Path, access: dict[str, StationAccess]) -> None:
        self.folder = folder
        self.access = AccessList(access, organisation="Operator")
        self.now = TODAY
        self.server: Server
        self.renewals = Renewals(
            SIGNER,
            self.access,
            now=lambda: self.now,
        )

    def station(
        self, identity: str, version: Version, *, password: str | None = None, organisation: str = "Operator"
    ) -> ChargingStation:
        context = station_context(AUTHORITY)
        station = ChargingStation(
            identity=identity,
            version=version,
            url=f"wss://localhost:{self.server.port}/ocpp",
            clock=SystemClock(),
            body=PlainBody(),
            policy=ClientPolicy(password=password, tls=context),
        )
        files = self.folder / f"{identity}.pem", self.folder / f"{identity}.key"
        if files[0].exists():
            context.load_cert_chain(*files)
        station.certificate = ClientCertificate(*files, context=context, organisation=organisation)
        return station

    def own(self, identity: str) -> None:
        """Give a station a certificate before it comes."""
        key, csr = new_request(identity, organisation="Operator")
        chain = SIGNER.sign(csr, identity=identity, organisation="Operator", now=self.now)
        (self.folder / f"{identity}.pem").write_text(chain)
        (self.folder / f"{identity}.key").write_bytes(pem_of(key))


def play(
    folder: Path,
    access: dict[str, StationAccess],
    scene: Callable[[World], Awaitable[None]],
    *,
    renews: bool = True,
) -> World:
    world = World(folder, access)
    (folder / "root.pem").write_bytes(ROOT)

    async def main() -> None:
        tls = server_context(
            CERTIFICATES / "server.pem", CERTIFICATES / "server.key", client_authority=folder / "root.pem"
        )
        policy = Policy(access=world.access, tls=tls, renewals=world.renewals if renews else None)
        world.server = await serve("127.0.0.1", 0, handler=RecordingCsms(), policy=policy)
        async with asyncio.timeout(30):
            await scene(world)
        await world.renewals.close()
        await world.server.close()

    asyncio.run(main())
    return world


def serial(station: ChargingStation, world: World) -> Any:
    """Return the serial number of the certificate that a station shows the server."""
    shown = world.server.stations[station.identity]._link._socket.tls
    assert shown is not None
    return (shown.getpeercert() or {}).get("serialNumber")


async def joined(world: World, identity: str, version: Version, **how: Any) -> ChargingStation:
    station = world.station(identity, version, **how)
    await station.connect()
    await station.boot()
    return station


@pytest.mark.parametrize("version", VERSIONS)
def test_a_station_renews_its_certificate_and_comes_back_with_it(tmp_path: Path, version: Version) -> None:
    async def scene(world: World) -> None:
        world.own("CS-3")
        other = await joined(world, "CS-1", version, password=KEY)
        station = await joined(world, "CS-3", version)
        old = serial(station, world)

        assert "Accepted" == await world.renewals.renew(world.server.stations["CS-3"])

        await until(lambda: not station.connected)
        await station.connect()
        await until(lambda: "CS-3" in world.server.stations)
        assert serial(station, world) not in (None, old)
        assert world.now + LIFETIME == world.server.stations["CS-3"].certificate_ends
        assert other.connected
        await station.heartbeat()

    access = {"CS-1": StationAccess(profile=2, passwords=PASSWORD), "CS-3": StationAccess(profile=3)}
    play(tmp_path, access, scene)


def test_a_station_with_a_password_gets_its_first_certificate_and_needs_the_password_no_more(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        station = await joined(world, "CS-2", "2.0.1", password=KEY)
        assert None is serial(station, world)
        assert "Accepted" == await world.renewals.renew(world.server.stations["CS-2"])
        await until(lambda: not station.connected)

        await (await joined(world, "CS-2", "2.0.1")).disconnect()

        assert 3 == world.access["CS-2"].profile
        with pytest.raises(ConnectFailed):
            await ChargingStation(
                identity="CS-2",
                version="2.0.1",
                url=f"wss://localhost:{world.server.port}/ocpp",
                clock=SystemClock(),
                body=PlainBody(),
                policy=ClientPolicy(password=KEY, tls=station_context(AUTHORITY)),
            ).connect()

    play(tmp_path, {"CS-2": StationAccess(profile=2, passwords=PASSWORD)}, scene)


def test_a_request_for_somebody_elses_certificate_is_refused_and_said(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        station = await joined(world, "CS-2", "2.1", password=KEY, organisation="Somebody")
        assert "not signed: its subject is not of Operator: O has to say so" == await world.renewals.renew(
            world.server.stations["CS-2"]
        )
        assert station.connected
        _, csr = new_request("CS-9", organisation="Operator")
        answer = await station.call("SignCertificate", {"csr": csr})
        assert ("Rejected", "InvalidCSR") == (answer["status"], answer["statusInfo"]["reasonCode"])
        _, csr = new_request("CS-2", organisation="Operator")
        other = {"csr": csr, "certificateType": "V2GCertificate"}
        assert "Rejected" == (await station.call("SignCertificate", other))["status"]

    world = play(tmp_path, {"CS-2": StationAccess(profile=2, passwords=PASSWORD)}, scene)
    assert 2 == world.access["CS-2"].profile


def test_a_password_alone_makes_no_certificate_that_nobody_ordered(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        world.own("CS-3")
        ours, theirs = await joined(world, "CS-3", "1.6"), await joined(world, "CS-2", "1.6", password=KEY)
        assert ours.certificate is not None
        assert theirs.certificate is not None
        assert "Accepted" == await ours.certificate.ask(ours)
        assert "Rejected" == await theirs.certificate.ask(theirs)

    play(tmp_path, {"CS-3": StationAccess(profile=3), "CS-2": StationAccess(profile=2, passwords=PASSWORD)}, scene)


@pytest.mark.parametrize("profile", [0, 1])
def test_who_has_not_proved_over_tls_who_it_is_gets_no_certificate(profile: Any) -> None:
    access = AccessList({"CS": StationAccess(profile=profile, passwords=PASSWORD)})
    renewals = Renewals(SIGNER, access, now=lambda: TODAY)
    _, csr = new_request("CS")

    for identity in ("CS", "Stranger"):
        assert {"status": "Rejected"} == renewals.answer(Deaf(identity), {"csr": csr})


class Deaf:
    """A station that answers what it is told to."""

    version = "1.6"

    def __init__(self, identity: str, answer: Any = None) -> None:
        self.id = identity
        self.given = answer or {"status": "Rejected"}

    async def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        given: dict[str, Any] = self.given
        return given


def test_a_station_that_knows_no_certificates_says_so(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        station = await joined(world, "CS-2", "1.6", password=KEY)
        station.certificate = None
        body = station.body
        assert isinstance(body, PlainBody)
        body.answers["ExtendedTriggerMessage"] = {"status": "NotImplemented"}
        assert "it says NotImplemented" == await world.renewals.renew(world.server.stations["CS-2"])

    play(tmp_path, {"CS-2": StationAccess(profile=2, passwords=PASSWORD)}, scene)


def test_a_station_that_asks_for_nothing_is_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocpp_link.renewal.PATIENCE_S", 0.05)
    access = AccessList({"CS": StationAccess(profile=2, passwords=PASSWORD)})
    renewals = Renewals(SIGNER, access, now=lambda: TODAY)

    with pytest.raises(CallTimeout, match="it has taken no certificate within"):
        asyncio.run(renewals.renew(Deaf("CS", {"status": "Accepted"})))


def test_a_certificate_that_ends_soon_is_renewed_without_being_asked_for(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        world.own("CS-3")
        station = await joined(world, "CS-3", "2.1")
        seen = world.server.stations["CS-3"]
        await world.renewals.renew_what_ends(seen)
        assert station.connected
        ends = seen.certificate_ends
        assert ends is not None
        world.now = ends - RENEW_BEFORE + timedelta(hours=1)
        await world.renewals.renew_what_ends(seen)
        await until(lambda: not station.connected)

    play(tmp_path, {"CS-3": StationAccess(profile=3)}, scene)


def test_without_an_authority_the_handler_answers(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        station = await joined(world, "CS-2", "1.6", password=KEY)
        assert station.certificate is not None
        with pytest.raises(CallRejected, match="NotSupported"):  # as this handler answers
            await station.certificate.ask(station)

    play(tmp_path, {"CS-2": StationAccess(profile=2, passwords=PASSWORD)}, scene, renews=False)

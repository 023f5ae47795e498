"""What may be said before a boot is accepted."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ocpp_link.boot import Registration
from ocpp_link.errors import CallRejected, NotAllowedYetError
from ocpp_link.profile_book import ProfileBook
from ocpp_link.station import Station
from ocpp_link.station_profile import StationProfile
from ocpp_link.testing import ChargingStation, PlainBody
from ocpp_link.transport import Policy, Server, serve
from tests.ocpp_link.csms import TIME, RecordingCsms
from tests.ocpp_link.lockstep import LockstepClock


@pytest.mark.parametrize(
    ("status", "receives", "sends"),
    [
        (None, "BootNotification StartTransaction Heartbeat", "GetConfiguration RemoteStartTransaction"),
        ("Accepted", "BootNotification StartTransaction Heartbeat", "GetConfiguration RemoteStartTransaction"),
        ("Pending", "BootNotification", "GetConfiguration TriggerMessage SetVariables GetBaseReport"),
        ("Rejected", "BootNotification", ""),
    ],
)
def test_registration_decides_what_goes_through(status: str | None, receives: str, sends: str) -> None:
    registration = Registration(status=status)

    for action in ("BootNotification", "StartTransaction", "Heartbeat"):
        assert (action in receives.split()) == registration.may_receive(action)
    for action in ("GetConfiguration", "TriggerMessage", "SetVariables", "GetBaseReport"):
        assert (action in sends.split() or status in (None, "Accepted")) == registration.may_send(action)
    assert ("RemoteStartTransaction" in sends) == registration.may_send("RemoteStartTransaction")


def test_a_pending_station_may_send_what_it_was_told_to() -> None:
    pending = Registration().booted("Pending")

    asked = pending.asked("TriggerMessage", {"requestedMessage": "StatusNotification"})

    assert not pending.may_receive("StatusNotification")
    assert asked.may_receive("StatusNotification")
    assert not asked.may_receive("StartTransaction")
    assert pending.asked("GetBaseReport", {}).may_receive("NotifyReport")


def play(
    status: list[str],
    scene: Callable[[Server, ChargingStation, LockstepClock], Awaitable[None]],
    policy: Policy | None = None,
) -> RecordingCsms:
    csms = RecordingCsms()

    async def boot(station: Station, action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        if action == "BootNotification":
            return {"status": status.pop(0), "currentTime": TIME, "interval": 60}
        return None

    async def main() -> None:
        csms.reaction = boot
        clock = LockstepClock()
        ticking = asyncio.create_task(clock.run())
        server = await serve("127.0.0.1", 0, handler=csms, clock=clock, policy=policy)
        url = f"ws://127.0.0.1:{server.port}/ocpp"
        station = ChargingStation(identity="CS", version="1.6", url=url, clock=clock, body=PlainBody())
        async with asyncio.timeout(20):
            await station.connect()
            await scene(server, station, clock)
            await station.disconnect()
            await server.close()
        ticking.cancel()

    asyncio.run(main())
    return csms


def test_a_pending_station_is_configured_but_not_charged_until_its_next_boot() -> None:
    async def scene(server: Server, station: ChargingStation, clock: LockstepClock) -> None:
        await station.boot()
        there = server.stations["CS"]
        assert "Pending" == there.registration
        assert {} == await there.call("GetConfiguration", {})
        with pytest.raises(NotAllowedYetError):
            await there.call("RemoteStartTransaction", {"idTag": "T"})
        with pytest.raises(CallRejected) as rejected:
            await station.authorize("T")
        assert "SecurityError" == rejected.value.code
        await station.boot()
        assert "Accepted" == await station.authorize("T")
        assert {"CS": "Accepted"} == server.registrations

    play(["Pending", "Accepted"], scene)


def test_a_station_that_never_booted_is_asked_to_after_a_while() -> None:
    told: list[str] = []

    async def scene(server: Server, station: ChargingStation, clock: LockstepClock) -> None:
        await clock.sleep_until(10.0)
        assert isinstance(station.body, PlainBody)
        told.extend(payload["requestedMessage"] for _, payload in station.body.received)

    play([], scene)

    assert ["BootNotification"] == told


def test_a_station_that_would_boot_for_ever_is_not_asked_to() -> None:
    async def scene(_server: Server, station: ChargingStation, clock: LockstepClock) -> None:
        await clock.sleep_until(10.0)
        assert isinstance(station.body, PlainBody)
        assert [] == station.body.received

    profiles = ProfileBook(overrides={"CS": StationProfile(wait_for_boot=True)})
    play([], scene, Policy(profiles=profiles))


def test_a_station_known_as_accepted_reconnects_without_booting() -> None:
    async def scene(server: Server, station: ChargingStation, clock: LockstepClock) -> None:
        await station.boot()
        await station.disconnect()
        await station.connect()
        await clock.sleep_until(20.0)
        assert isinstance(station.body, PlainBody)
        assert [] == station.body.received
        assert "Accepted" == server.stations["CS"].registration
        assert "Accepted" == await station.authorize("T")

    play(["Accepted"], scene)

"""What control needs of a relay: what was answered, when a station may be asked, and who is let in."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ocpp_link.errors import AnswerLater, CallTimeout, ConnectFailed, NotAllowedYetError
from ocpp_link.proxy.interceptor import Later, Verdict
from ocpp_link.proxy.relay import RelayedStation
from ocpp_link.proxy.server import ProxyServer, ProxySettings, serve_proxy
from ocpp_link.proxy.sticky import Sticky
from ocpp_link.security import AccessList, PasswordHash, StationAccess
from ocpp_link.station import Station
from ocpp_link.testing import ChargingStation, PlainBody, Sample
from ocpp_link.transport import ClientPolicy, Policy, Server, SystemClock, serve
from tests.ocpp_link.csms import RecordingCsms
from tests.ocpp_link.proxy.test_relay import Watcher, play
from tests.ocpp_link.waiting import until


def test_what_was_answered_is_told() -> None:
    watcher = Watcher()

    async def scene(above: Server, proxy: ProxyServer, station: ChargingStation, body: PlainBody) -> None:
        await station.connect()
        await station.start_transaction(1, "T", meter_wh=0)
        assert {"status": "Accepted"} == await above.stations["CS 1|a"].call("ClearCache", {})

    play(scene, watcher=watcher)

    assert [
        ("csms", "StartTransaction", {"transactionId": 7, "idTagInfo": {"status": "Accepted"}}),
        ("station", "ClearCache", {"status": "Accepted"}),
    ] == watcher.replies


def test_a_station_is_not_asked_before_its_boot_is_accepted() -> None:
    status = ["Pending"]

    async def react(_station: Station, action: str, _payload: dict[str, Any]) -> dict[str, Any] | None:
        if action != "BootNotification":
            return None
        return {"status": status[0], "currentTime": "2024-01-17T12:00:00Z", "interval": 300}

    async def main() -> None:
        csms = RecordingCsms()
        csms.reaction = react
        above = await serve("127.0.0.1", 0, handler=csms)
        settings = ProxySettings(upstream_url=f"ws://127.0.0.1:{above.port}/ocpp")
        proxy = await serve_proxy("127.0.0.1", 0, settings=settings, interceptor=Watcher())
        url = f"ws://127.0.0.1:{proxy.port}/ocpp"
        station = ChargingStation(identity="CS", version="1.6", url=url, clock=SystemClock(), body=PlainBody())
        await station.connect()
        relayed = proxy.stations["CS"]
        assert relayed.may_be_asked
        await station.boot()
        assert not relayed.may_be_asked
        with pytest.raises(NotAllowedYetError):
            await relayed.call("ClearCache", {})
        status[0] = "Accepted"
        await station.boot()
        assert {"status": "Accepted"} == await relayed.call("ClearCache", {})
        await station.disconnect()
        await proxy.close()
        await above.close()

    asyncio.run(main())


def test_a_call_of_ours_has_its_own_patience() -> None:
    class Deaf(PlainBody):
        async def on_call(self, *_: Any) -> dict[str, Any]:
            await asyncio.Event().wait()
            return {}

    async def scene(above: Server, proxy: ProxyServer, station: ChargingStation, body: PlainBody) -> None:
        await station.connect()
        with pytest.raises(CallTimeout):
            await proxy.stations["CS 1|a"].call("ClearCache", {}, timeout_s=0.05)
        await station.disconnect(drop=True)

    play(scene, body=Deaf())


def test_an_answer_may_take_its_time() -> None:
    class Slow(Watcher):
        def on_csms_call(self, station: RelayedStation, action: str, payload: dict[str, Any]) -> Verdict:
            return Later(station.call("ClearCache", {}))

    async def scene(above: Server, proxy: ProxyServer, station: ChargingStation, body: PlainBody) -> None:
        await station.connect()
        assert {"status": "Accepted"} == await above.stations["CS 1|a"].call("Reset", {"type": "Soft"})
        assert ["ClearCache"] == [action for action, _ in body.received]

    play(scene, watcher=Slow())


async def proxied(csms: RecordingCsms, *, policy: Policy | None = None, **settings: Any) -> tuple[Server, ProxyServer]:
    above = await serve("127.0.0.1", 0, handler=csms, policy=policy)
    made = ProxySettings(upstream_url=f"ws://127.0.0.1:{above.port}/ocpp", **settings)
    return above, await serve_proxy("127.0.0.1", 0, settings=made, interceptor=Watcher())


def test_a_station_that_nobody_named_is_turned_away_and_the_csms_does_not_hear_of_it() -> None:
    csms = RecordingCsms()

    async def main() -> None:
        above, proxy = await proxied(csms, identities={"CS"})
        station = ChargingStation(
            identity="Other",
            version="1.6",
            url=f"ws://127.0.0.1:{proxy.port}/ocpp",
            clock=SystemClock(),
            body=PlainBody(),
        )
        with pytest.raises(ConnectFailed) as failed:
            await station.connect()
        assert 404 == failed.value.status
        await proxy.close()
        await above.close()

    asyncio.run(main())

    assert [] == csms.connected


def test_a_station_without_credentials_is_logged_in_with_those_given_here() -> None:
    csms = RecordingCsms()
    access = AccessList({"CS": StationAccess(profile=1, passwords=(PasswordHash.of("secret"),))})

    async def main() -> None:
        above, proxy = await proxied(csms, policy=Policy(access=access), upstream_passwords={"CS": "secret"})
        url = f"ws://127.0.0.1:{proxy.port}/ocpp"
        station = ChargingStation(identity="CS", version="1.6", url=url, clock=SystemClock(), body=PlainBody())
        await station.connect()
        await station.disconnect()
        await proxy.close()
        await above.close()

    asyncio.run(main())

    assert ["CS"] == [each.id for each in csms.connected]


@pytest.mark.parametrize(("password", "status"), [("here", None), ("there", 401), (None, 401)])
def test_a_station_shows_its_login_here_before_it_is_logged_in_above(password: str | None, status: int | None) -> None:
    csms = RecordingCsms()
    above_access = AccessList({"CS": StationAccess(profile=1, passwords=(PasswordHash.of("there"),))})
    access = AccessList({"CS": StationAccess(profile=1, passwords=(PasswordHash.of("here"),))})

    async def main() -> int | None:
        above, proxy = await proxied(
            csms, policy=Policy(access=above_access), access=access, upstream_passwords={"CS": "there"}
        )
        station = ChargingStation(
            identity="CS",
            version="1.6",
            url=f"ws://127.0.0.1:{proxy.port}/ocpp",
            clock=SystemClock(),
            body=PlainBody(),
            policy=ClientPolicy(password=password),
        )
        found = None
        try:
            await station.connect()
            await station.disconnect()
        except ConnectFailed as failed:
            found = failed.status
        await proxy.close()
        await above.close()
        return found

    assert status == asyncio.run(main())
    assert (status is None) == bool(csms.connected)


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_a_csms_that_answers_nothing_is_as_good_as_lost_and_what_it_missed_is_marked(
    tmp_path: Path, version: Any
) -> None:
    csms = RecordingCsms()
    deaf = [True]

    async def react(_station: Station, action: str, _payload: dict[str, Any]) -> dict[str, Any] | None:
        if deaf[0]:
            raise AnswerLater  # never
        return None

    async def main() -> None:
        csms.reaction = react
        sticky = Sticky(queue=tmp_path / "queue.sqlite", first_retry_s=0.02, start_offline=True)
        above, proxy = await proxied(csms, sticky=sticky, call_timeout_s=0.5)
        url = f"ws://127.0.0.1:{proxy.port}/ocpp"
        station = ChargingStation(identity="CS", version=version, url=url, clock=SystemClock(), body=PlainBody())
        await station.connect()
        assert "Accepted" == (await station.start_transaction(1, "T", meter_wh=0)).status
        await station.meter_values(1, [Sample(5.0)])
        await station.status(1, "Charging")
        deaf[0] = False
        csms.calls.clear()
        await until(lambda: "StatusNotification" in [action for _, action, _ in csms.calls])
        await station.disconnect()
        await proxy.close()
        await above.close()

    asyncio.run(main())

    told = [payload for _, action, payload in csms.calls if action in ("TransactionEvent", "StatusNotification")]
    if version == "1.6":
        assert {True} == {"timestamp" in each for each in told}
    else:
        assert {True} == {each["offline"] for each in told if "eventType" in each}

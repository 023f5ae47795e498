"""``loadmgr run --upstream``: a site between its stations and a CSMS that must not notice."""

import asyncio
import json
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadmgr.apps.process.settings import control_settings
from loadmgr.control.sending.profiles import LONG_AGO
from loadmgr.model.ids import EvseId, ProfileId
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    SchedulePeriod,
)
from loadmgr.site_file import load_site
from ocpp_link.errors import ConnectFailed
from ocpp_link.metrics import Metrics
from ocpp_link.security import server_context
from ocpp_link.transport import SystemClock
from ocpp_link.wirelog import WireLog, WireRecord
from tests.loadmgr.apps.upstream_world import VERSIONS, World, ask, play, set_profile

CERTIFICATES = Path(__file__).parents[2] / "ocpp_link" / "certificates"


@pytest.fixture(autouse=True)
def quick_stations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stations start and dial again without the pauses of people and networks."""
    monkeypatch.setattr("loadmgr.sim.station.READER_S", 0.2)
    monkeypatch.setattr("loadmgr.sim.station.REDIAL_S", 0.3)
    monkeypatch.setattr(
        "loadmgr.apps.process.site.control_settings",
        lambda site_file, **more: replace(control_settings(site_file, **more), tx_writes_per_day=100_000),
    )


async def all_charge(made: World, **changes: Any) -> None:
    for identity in VERSIONS:
        made.start_station(identity, **changes)
    await made.until(lambda: all(made.draw_a(each) >= 6.0 for each in VERSIONS))


def test_stations_of_three_versions_share_a_fuse_and_the_csms_gets_every_byte(tmp_path: Path) -> None:
    told: dict[str, list[str]] = {each: [] for each in VERSIONS}

    def keep(line: str) -> None:
        identity, _, rest = line.partition(" ")
        if rest.startswith("> "):
            told[identity].append(rest.removeprefix("> "))

    async def scene(made: World) -> None:
        await all_charge(made, tell=keep)
        await asyncio.sleep(1.2)
        assert sum(made.draw_a(each) for each in VERSIONS) <= 40.0
        for identity in VERSIONS:
            above = made.csms.points[identity].texts
            assert [text for text in told[identity] if text.startswith("[2,")] == above

    play(scene, tmp_path, fuse="40A")


@pytest.mark.parametrize("identity", VERSIONS)
def test_the_lower_of_the_csms_s_limit_and_ours_holds(tmp_path: Path, identity: str) -> None:
    async def scene(made: World) -> None:
        assert "Accepted" == (await set_profile_when_connected(made, identity, 9.0)).status
        await made.until(lambda: made.draw_a(identity) == 9.0)
        assert "Accepted" == (await set_profile(made, identity, 32.0)).status
        await made.until(lambda: made.draw_a(identity) == 16.0)
        assert "Accepted" == (await set_profile(made, identity, 0.0)).status
        await made.until(lambda: made.draw_a(identity) == 0.0)
        held = made.stations[identity].store.profiles
        assert 77 not in {each.profile.profile_id for each in held}
        assert 0.0 == await composite_a(made, identity)
        await clear_everything(made, identity)
        await made.until(lambda: made.draw_a(identity) == 16.0)
        assert 16.0 == await composite_a(made, identity)

    play(scene, tmp_path)


async def set_profile_when_connected(made: World, identity: str, limit: float) -> Any:
    made.start_station(identity)
    await made.until(lambda: made.csms.points.get(identity) and made.csms.points[identity].texts)
    return await set_profile(made, identity, limit)


async def composite_a(made: World, identity: str) -> float:
    where = {"connector_id": 1} if identity == "S16" else {"evse_id": 1}
    answer = await ask(made, identity, "GetCompositeSchedule", duration=60, charging_rate_unit="A", **where)
    schedule = answer.charging_schedule if identity == "S16" else answer.schedule
    return float(schedule["charging_schedule_period"][0]["limit"])


async def clear_everything(made: World, identity: str) -> None:
    criteria = {} if identity == "S16" else {"charging_profile_criteria": {"evse_id": 1}}
    assert "Accepted" == (await ask(made, identity, "ClearChargingProfile", **criteria)).status
    assert "Unknown" == (await ask(made, identity, "ClearChargingProfile", **criteria)).status


@pytest.mark.parametrize("identity", ["S201", "S21"])
def test_the_csms_is_told_of_its_own_profiles_and_not_of_ours(tmp_path: Path, identity: str) -> None:
    async def scene(made: World) -> None:
        await set_profile_when_connected(made, identity, 9.0)
        await made.until(lambda: made.draw_a(identity) == 9.0)
        asked = {"charging_profile_purpose": "TxDefaultProfile"}
        answer = await ask(made, identity, "GetChargingProfiles", request_id=5, charging_profile=asked)
        assert "Accepted" == answer.status
        reports = made.csms.points[identity].reports
        await made.until(lambda: reports)
        assert [[77]] == [[each["id"] for each in report["charging_profile"]] for report in reports]

    play(scene, tmp_path)


def test_what_a_station_is_asked_here_it_reports_here_and_not_to_the_csms(tmp_path: Path) -> None:
    period = SchedulePeriod(start_s=0, limit=9.0)
    constraint = ChargingProfile(
        profile_id=ProfileId(0),
        stack_level=0,
        purpose=ProfilePurpose.EXTERNAL_CONSTRAINTS,
        kind=ProfileKind.ABSOLUTE,
        schedules=(ChargingSchedule(unit=RateUnit.A, periods=(period,), schedule_id=1, start=LONG_AGO),),
    )

    async def scene(made: World) -> None:
        station = made.start_station("S201")
        station.store.put(1, constraint, now=LONG_AGO)
        station.profiles._sources[constraint.profile_id] = "EMS"
        await made.until(lambda: made.setpoint_a("S201") == 9.0)
        assert [] == made.csms.points["S201"].reports
        assert not any("ReportChargingProfiles" in text for text in made.csms.points["S201"].texts)

    play(scene, tmp_path)


@pytest.mark.parametrize("identity", VERSIONS)
def test_the_profile_of_a_remote_start_holds_for_its_transaction(
    tmp_path: Path, identity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadmgr.sim.station.READER_S", 60.0)  # nobody shows a card

    async def scene(made: World) -> None:
        station = made.start_station(identity)
        await made.until(lambda: station.bays[1].visit is not None and made.csms.points.get(identity))
        assert "Accepted" == (await remote_start(made, identity, 7.0)).status
        await made.until(lambda: made.draw_a(identity) == 7.0)
        assert all(each.profile.profile_id != 78 for each in station.store.profiles)

    play(scene, tmp_path)


async def remote_start(made: World, identity: str, limit: float) -> Any:
    from tests.loadmgr.apps.upstream_world import profile

    written = profile(identity, limit, purpose="TxProfile", number=78)
    if identity == "S16":
        return await ask(
            made, identity, "RemoteStartTransaction", id_tag="CARD", connector_id=1, charging_profile=written
        )
    token = {"id_token": "CARD", "type": "Central"}
    return await ask(
        made,
        identity,
        "RequestStartTransaction",
        id_token=token,
        remote_start_id=1,
        evse_id=1,
        charging_profile=written,
    )


@pytest.mark.parametrize("identity", VERSIONS)
def test_what_a_csms_does_besides_goes_through(tmp_path: Path, identity: str) -> None:
    async def scene(made: World) -> None:
        made.start_station(identity)
        await made.until(lambda: made.draw_a(identity) > 0.0)
        heard = len(made.csms.points[identity].texts)
        triggered = await ask(made, identity, "TriggerMessage", requested_message="MeterValues")
        assert "Accepted" == triggered.status
        await made.until(lambda: len(made.csms.points[identity].texts) > heard)
        kind = "Soft" if identity == "S16" else "OnIdle"
        assert (await ask(made, identity, "Reset", type=kind)).status in ("Accepted", "Scheduled")

    play(scene, tmp_path)


def test_what_could_lift_a_limit_is_kept_from_the_station(tmp_path: Path) -> None:
    async def scene(made: World) -> None:
        station = made.start_station("S16")
        await made.until(lambda: made.draw_a("S16") > 0.0)
        before = station.store.profiles
        key = await ask(made, "S16", "ChangeConfiguration", key="ChargeProfileMaxStackLevel", value="0")
        vendor = await ask(made, "S16", "DataTransfer", vendor_id="Acme", data="limit=32")
        cleared = await ask(made, "S16", "ClearChargingProfile", id=2001)
        assert ("Rejected", "UnknownVendorId", "Unknown") == (key.status, vendor.status, cleared.status)
        assert before == station.store.profiles

    play(scene, tmp_path)


@pytest.mark.parametrize("identity", ["S16", "S201"])
def test_strictly_a_station_is_closed_with_its_csms_and_comes_back_with_it(tmp_path: Path, identity: str) -> None:
    async def scene(made: World) -> None:
        made.start_station(identity)
        await made.until(lambda: made.draw_a(identity) == 16.0)
        await made.csms.close()
        await made.until(lambda: not made.relay.controller._links)
        assert 16.0 == made.draw_a(identity)  # by the lease that it holds
        await made.csms.open()
        await made.until(lambda: made.relay.controller._links)
        await set_profile(made, identity, 8.0)
        await made.until(lambda: made.draw_a(identity) == 8.0)

    play(scene, tmp_path)


@pytest.mark.parametrize("identity", ["S16", "S21"])
def test_sticky_a_station_charges_on_by_our_limits_and_the_csms_hears_of_it_later(
    tmp_path: Path, identity: str
) -> None:
    async def scene(made: World) -> None:
        made.start_station(identity)
        await made.until(lambda: made.draw_a(identity) == 16.0)
        await set_profile(made, identity, 9.0)
        await made.until(lambda: made.draw_a(identity) == 9.0)
        await made.csms.close()
        await made.until(made.csms_lost)
        made.csms.points.clear()
        await asyncio.sleep(1.5)
        assert 9.0 == made.draw_a(identity)
        await made.csms.open()
        await made.until(lambda: identity in made.csms.points and len(made.csms.points[identity].texts) > 3)
        texts = made.csms.points[identity].texts
        assert "BootNotification" in texts[0]
        await made.until(lambda: not made.csms_lost())
        await set_profile(made, identity, 7.0)
        await made.until(lambda: made.draw_a(identity) == 7.0)

    play(scene, tmp_path, loss="sticky")


@pytest.mark.parametrize("identity", ["S16", "S21"])
def test_a_restart_of_the_controller_forgets_no_profile_of_the_csms(tmp_path: Path, identity: str) -> None:
    async def scene(made: World) -> None:
        made.start_station(identity)
        await made.until(lambda: made.draw_a(identity) == 16.0)
        await set_profile(made, identity, 9.0)
        await made.until(lambda: made.draw_a(identity) == 9.0)
        port = made.relay.port
        await made.stop_controller()
        await made.start_controller(port=port)
        await made.until(lambda: made.setpoint_a(identity) == 9.0)
        await made.until(lambda: made.draw_a(identity) == 9.0)

    play(scene, tmp_path)


def test_what_is_said_above_and_below_is_logged_and_counted_apart_and_secrets_are_masked(tmp_path: Path) -> None:
    records: list[WireRecord] = []
    metrics = Metrics()
    tap = WireLog(SystemClock(), [records.append, metrics])

    async def scene(made: World) -> None:
        assert "Accepted" == (await set_profile_when_connected(made, "S16", 9.0)).status
        await made.until(lambda: made.draw_a("S16") == 9.0)
        await ask(made, "S16", "ChangeConfiguration", key="AuthorizationKey", value="0123456789abcdef0123")

    play(scene, tmp_path, tap=tap)

    told = [(r.peer, r.direction, r.kind, r.action, r.outcome) for r in records if '"chargingProfileId":77' in r.text]
    assert [("csms", "in", "CALL", "SetChargingProfile", "")] == told
    keys = [(r.peer, r.direction) for r in records if r.kind == "CALL" and r.action == "ChangeConfiguration"]
    assert [("csms", "in"), ("station", "out")] == keys
    assert not any("0123456789abcdef0123" in r.text for r in records)
    page = metrics.render(connections=1, mends={})
    assert 'ocpp_csms_frames_total{direction="in",type="CALL",action="SetChargingProfile"} 1' in page
    assert 'ocpp_frames_total{direction="in",type="CALL",action="StartTransaction"} 1' in page


def test_limits_are_told_anew_when_the_site_file_was_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadmgr.apps.upstream.local_controller.LOOK_S", 0.1)

    async def scene(made: World) -> None:
        await set_profile_when_connected(made, "S16", 9.0)
        await made.until(lambda: made.draw_a("S16") == 9.0)
        process = made.process
        assert process is not None
        await asyncio.sleep(0.2)
        process.change_site(load_site(tmp_path / "site.yaml"))
        evse = process.controller._state.evses[EvseId("a")]
        evse.foreign.clear()  # as of an EVSE that the file did not have before
        await made.until(lambda: any(evse.foreign.values()))

    play(scene, tmp_path)


def test_stations_log_in_with_the_passwords_of_the_file(tmp_path: Path) -> None:
    async def scene(made: World) -> None:
        made.start_station("S16")
        await made.until(lambda: "S16" in made.csms.points)

    logins: dict[str, str | None] = {}

    async def both(made: World) -> None:
        await scene(made)
        logins.update(made.csms.logins)
        await made.until(lambda: made.draw_a("S16") > 0.0)
        changed = await ask(made, "S16", "ChangeConfiguration", key="AuthorizationKey", value="00" * 16)
        assert "Rejected" == changed.status

    play(both, tmp_path, passwords={"S16": "se:cret"})

    assert b"S16:se:cret" == b64decode((logins["S16"] or "").removeprefix("Basic "))


@pytest.mark.parametrize("trusted", [True, False])
def test_a_csms_is_believed_if_an_authority_vouches_for_it(tmp_path: Path, trusted: bool) -> None:
    tls = server_context(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")

    async def scene(made: World) -> None:
        made.start_station("S16")
        if trusted:
            await made.until(lambda: made.draw_a("S16") == 16.0)
        else:
            await asyncio.sleep(0.5)
            assert not made.csms.points

    play(scene, tmp_path, tls=tls, **({"authority": CERTIFICATES / "authority.pem"} if trusted else {}))


def test_a_station_that_the_site_does_not_name_is_turned_away(tmp_path: Path) -> None:
    async def scene(made: World) -> None:
        made.start_station("S16")
        other = made.stations["S16"].wire
        other.identity = "UNKNOWN"
        with pytest.raises(ConnectFailed):
            await other.connect()

    play(scene, tmp_path)


def test_in_shadow_mode_nothing_is_sent_and_both_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadmgr.apps.upstream.shadow.LOOK_S", 0.2)

    async def scene(made: World) -> None:
        for identity in VERSIONS:
            made.start_station(identity)
        await made.until(lambda: all(made.draw_a(each) == 16.0 for each in VERSIONS))  # 48 A through a fuse of 40 A
        await made.until(lambda: made.relay.controller.over_s["main"] > 0)
        assert [()] * 3 == [station.store.profiles for station in made.stations.values()]
        assert "Accepted" == (await set_profile(made, "S201", 7.0)).status
        await made.until(lambda: made.draw_a("S201") == 7.0)
        await made.until(lambda: any(line["csms_a"] == 7.0 == line["drawn_a"] for line in compared(tmp_path)))

    play(scene, tmp_path, fuse="40A", shadow=True)

    ours = {line["evse"]: line["ours_a"] for line in compared(tmp_path)}
    assert {"a", "b", "c"} == set(ours)
    assert sum(ours.values()) <= 40.0


def compared(folder: Path) -> list[dict[str, Any]]:
    path = folder / "site.upstream" / "shadow.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

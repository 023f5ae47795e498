"""The CSMS's profiles where our limit is a station maximum: on the station as they came, and never above ours."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadmgr.apps.process.settings import control_settings
from loadmgr.apps.upstream.passed_profiles import PassedProfiles
from loadmgr.control.sending.profiles import MAXIMUM_ID
from loadmgr.errors import InputError
from loadmgr.model.ids import EvseId
from loadmgr.model.profile import ProfilePurpose
from loadmgr.site_file import load_site
from tests.loadmgr.apps.upstream_world import VERSIONS, World, ask, play, profile, set_profile

EACH = pytest.mark.parametrize("identity", VERSIONS)
THEIRS = 77


@pytest.fixture(autouse=True)
def quick_stations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stations start and dial again without the pauses of people and networks."""
    monkeypatch.setattr("loadmgr.sim.station.READER_S", 0.2)
    monkeypatch.setattr("loadmgr.sim.station.REDIAL_S", 0.3)
    monkeypatch.setattr(
        "loadmgr.apps.process.site.control_settings",
        lambda site_file, **more: replace(control_settings(site_file, **more), tx_writes_per_day=100_000),
    )


def shared(scene: Callable[[World], Awaitable[None]], folder: Path, **options: Any) -> None:
    play(scene, folder, limit_by="station_maximum", **options)


def ids(made: World, identity: str) -> set[int]:
    return {int(each.profile.profile_id) for each in made.stations[identity].store.profiles}


def is_open(made: World, identity: str) -> bool:
    return bool(made.relay.controller._passed.is_open(identity))


async def charging(made: World, identity: str, **changes: Any) -> None:
    made.start_station(identity, **changes)
    await made.until(lambda: made.draw_a(identity) == 16.0 and is_open(made, identity))


async def composite_a(made: World, identity: str) -> float:
    where = {"connector_id": 1} if identity == "S16" else {"evse_id": 1}
    answer = await ask(made, identity, "GetCompositeSchedule", duration=60, charging_rate_unit="A", **where)
    schedule = answer.charging_schedule if identity == "S16" else answer.schedule
    return float(schedule["charging_schedule_period"][0]["limit"])


async def clear(made: World, identity: str, number: int | None = None) -> str:
    if number is not None:
        criteria = {"id": number} if identity == "S16" else {"charging_profile_id": number}
    else:
        criteria = {} if identity == "S16" else {"charging_profile_criteria": {}}
    return str((await ask(made, identity, "ClearChargingProfile", **criteria)).status)


@EACH
def test_a_profile_goes_on_as_it_came_and_a_clear_of_everything_clears_none_of_ours(
    tmp_path: Path, identity: str
) -> None:
    below: list[str] = []

    async def scene(made: World) -> None:
        await charging(made, identity, tell=below.append)
        assert "Accepted" == (await set_profile(made, identity, 9.0)).status
        assert THEIRS in ids(made, identity)
        await made.until(lambda: made.draw_a(identity) == 9.0)
        sent = made.csms.points[identity].sent[-1]
        assert f"{identity} < {sent}" in below
        assert "Accepted" == (await set_profile(made, identity, 32.0)).status
        await made.until(lambda: made.draw_a(identity) == 16.0)
        assert 16.0 == await composite_a(made, identity)
        assert "Accepted" == await clear(made, identity)
        assert "Unknown" == await clear(made, identity)
        assert {MAXIMUM_ID, MAXIMUM_ID + 1} == ids(made, identity)

    shared(scene, tmp_path)


@EACH
def test_whatever_the_csms_sets_our_limit_holds(tmp_path: Path, identity: str) -> None:
    async def scene(made: World) -> None:
        made.start_station(identity)
        await made.until(lambda: made.draw_a(identity) == 8.0 and is_open(made, identity))
        for number, purpose in ((THEIRS, "TxDefaultProfile"), (78, "TxProfile")):
            await set_profile(made, identity, 32.0, purpose=purpose, number=number)
        await asyncio.sleep(1.0)
        assert 8.0 == made.draw_a(identity)
        assert 8.0 == await composite_a(made, identity)

    shared(scene, tmp_path, fuse="40A")  # of which the stations that are away may take 32


@EACH
def test_what_could_touch_our_maximum_is_held_and_limits_all_the_same(tmp_path: Path, identity: str) -> None:
    async def scene(made: World) -> None:
        await charging(made, identity)
        ours = made.stations[identity].store.profiles
        assert "Unknown" == await clear(made, identity, MAXIMUM_ID)
        assert "Unknown" == await clear(made, identity, MAXIMUM_ID + 1)
        for number in (MAXIMUM_ID, MAXIMUM_ID + 1):
            assert "Accepted" == (await set_profile(made, identity, 32.0, number=number)).status
            assert "Accepted" == await clear(made, identity, number)
        assert {MAXIMUM_ID, MAXIMUM_ID + 1} == ids(made, identity)
        assert ours == made.stations[identity].store.profiles
        assert "Accepted" == (await set_maximum(made, identity, 7.0)).status
        await made.until(lambda: made.draw_a(identity) == 7.0)
        assert 90 not in ids(made, identity)

    shared(scene, tmp_path)


async def set_maximum(made: World, identity: str, limit: float) -> Any:
    if identity == "S16":
        written = profile(identity, limit, purpose="ChargePointMaxProfile", number=90)
        return await ask(made, identity, "SetChargingProfile", connector_id=0, cs_charging_profiles=written)
    written = profile(identity, limit, purpose="ChargingStationMaxProfile", number=90)
    return await ask(made, identity, "SetChargingProfile", evse_id=0, charging_profile=written)


@EACH
def test_nothing_goes_on_before_our_maximum_is_proven_and_what_waited_goes_then(tmp_path: Path, identity: str) -> None:
    below: list[str] = []

    async def scene(made: World) -> None:
        made.start_station(identity, tell=below.append)
        await made.until(lambda: made.csms.points.get(identity) and made.csms.points[identity].texts)
        assert "Accepted" == (await set_profile(made, identity, 9.0)).status
        await made.until(lambda: is_open(made, identity))
        assert THEIRS in ids(made, identity)
        told = [line.removeprefix(f"{identity} < ") for line in below if line.startswith(f"{identity} < [2,")]
        kinds = [(call[2], str(call[3])) for call in map(json.loads, told)]
        first = next(i for i, (_, said) in enumerate(kinds) if f": {THEIRS}" in said)
        proof = next(i for i, (action, _) in enumerate(kinds) if action == "GetCompositeSchedule")
        assert any(str(MAXIMUM_ID) in said for _, said in kinds[:proof])
        assert proof < first
        await made.until(lambda: made.draw_a(identity) == 9.0)

    shared(scene, tmp_path)


@EACH
def test_a_station_that_restarts_gets_our_maximum_before_the_csms_s_profiles(tmp_path: Path, identity: str) -> None:
    async def scene(made: World) -> None:
        await charging(made, identity)
        await set_profile(made, identity, 9.0)
        await made.until(lambda: made.draw_a(identity) == 9.0)
        held: list[set[int]] = []
        restart = asyncio.create_task(made.stations[identity].reboot(down_s=0.1, forget=True))
        await made.until(lambda: held.append(ids(made, identity)) or set() in held)
        await restart
        await made.until(lambda: held.append(ids(made, identity)) or is_open(made, identity))
        assert THEIRS in ids(made, identity)
        assert all(MAXIMUM_ID in each for each in held if THEIRS in each)

    shared(scene, tmp_path)


def test_when_the_site_file_changes_the_way_the_csms_s_profiles_move_in_a_safe_order(tmp_path: Path) -> None:
    async def scene(made: World) -> None:
        await charging(made, "S16")
        await set_profile(made, "S16", 9.0)
        await made.until(lambda: made.draw_a("S16") == 9.0)
        assert made.process is not None
        made.limit_by = "transaction"
        made.write_site()
        made.process.change_site(load_site(tmp_path / "site.yaml"))
        await made.until(lambda: ids(made, "S16") >= {2001} and MAXIMUM_ID + 1 not in ids(made, "S16"))
        assert THEIRS not in ids(made, "S16")
        assert any(made.process.controller._state.evses[EvseId("a")].foreign.values())
        made.limit_by = "station_maximum"
        made.write_site()
        made.process.change_site(load_site(tmp_path / "site.yaml"))
        await made.until(lambda: is_open(made, "S16"))
        assert {MAXIMUM_ID, THEIRS} <= ids(made, "S16")
        purposes = {each.profile.purpose for each in made.stations["S16"].store.profiles}
        assert {ProfilePurpose.CHARGE_POINT_MAX, ProfilePurpose.TX_DEFAULT} == purposes

    shared(scene, tmp_path)


@pytest.mark.parametrize("identity", ["S201", "S21"])
def test_the_station_says_what_it_holds_of_the_csms_and_nothing_of_ours(tmp_path: Path, identity: str) -> None:
    async def scene(made: World) -> None:
        await charging(made, identity)
        await set_profile(made, identity, 9.0)
        await set_maximum(made, identity, 12.0)
        for purpose, number in (("TxDefaultProfile", THEIRS), ("ChargingStationMaxProfile", 90)):
            asked = {"charging_profile_purpose": purpose}
            reports = made.csms.points[identity].reports
            reports.clear()
            answer = await ask(made, identity, "GetChargingProfiles", request_id=5, charging_profile=asked)
            assert "Accepted" == answer.status
            await made.until(lambda told=reports: told)
            assert [[number]] == [[each["id"] for each in report["charging_profile"]] for report in reports]

    shared(scene, tmp_path)


def test_a_restart_of_the_controller_knows_what_is_on_the_station(tmp_path: Path) -> None:
    async def scene(made: World) -> None:
        await charging(made, "S16")
        await set_profile(made, "S16", 9.0)
        port = made.relay.port
        await made.stop_controller()
        assert {"S16": [THEIRS]} == json.loads((tmp_path / "site.upstream" / "passed.json").read_text())
        await made.start_controller(port=port)
        await made.until(lambda: is_open(made, "S16"))
        assert "Accepted" == await clear(made, "S16", THEIRS)
        assert THEIRS not in ids(made, "S16")

    shared(scene, tmp_path)


@pytest.mark.parametrize(
    ("change", "goes"),
    [
        ({}, True),
        ({"chargingProfilePurpose": "LocalGeneration"}, False),
        ({"chargingProfilePurpose": "ChargingStationMaxProfile"}, False),
        ({"id": 2001}, False),
        ({"chargingSchedule": [{"chargingSchedulePeriod": [{"startPeriod": 0, "dischargeLimit": -9.0}]}]}, False),
        ({"chargingSchedule": [{"chargingSchedulePeriod": [{"startPeriod": 0, "operationMode": "Idle"}]}]}, True),
        ({"chargingSchedule": [{"chargingSchedulePeriod": [{"startPeriod": 0, "setpoint": 3.0}]}]}, False),
    ],
)
def test_only_what_a_maximum_bounds_may_go_on(change: dict[str, Any], goes: bool, tmp_path: Path) -> None:
    site = load_site(Path("sample_sites/garage.yaml")).site
    passed = PassedProfiles(tmp_path / "passed.json", site=lambda: site, bounded=lambda _: True)
    written = {
        "id": 5,
        "chargingProfilePurpose": "TxProfile",
        "chargingSchedule": [{"chargingSchedulePeriod": [{"startPeriod": 0, "limit": 9.0}]}],
    }

    assert goes is passed.may_go(str(site.stations[0].id), written | change)


def test_a_broken_file_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "passed.json").write_text('{"S1": 5}')

    with pytest.raises(InputError, match=r"passed\.json: must hold station ids with profile ids"):
        PassedProfiles(tmp_path / "passed.json", site=lambda: None, bounded=bool)  # type: ignore[arg-type, return-value]

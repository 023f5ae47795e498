"""A station as its CSMS sees it from above a Local Controller."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.bridge.held_station import HeldStation
from loadmgr.bridge.profile_messages import CallFault
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.store import ProfileStore
from loadmgr.errors import InputError
from loadmgr.model.ids import EvseId, StationId, TransactionId
from loadmgr.model.profile import OcppVersion
from loadmgr.model.topology import Site
from tests.control_world import small_site

NOW = datetime(2024, 1, 17, 12, tzinfo=UTC)
STATION = StationId("S1")


def site_of(evses: int) -> Site:
    site = small_site(evses=1)
    first = site.evses[0]
    return replace(site, evses=tuple(replace(first, id=EvseId(f"E{n}"), number=n) for n in range(1, evses + 1)))


def held(version: OcppVersion = OcppVersion.V21, *, evses: int = 1, kept: str | None = None) -> HeldStation:
    return HeldStation(STATION, site_of(evses), version=version, now=NOW, kept=kept)


def profile(number: int, limit: float, *, purpose: str = "TxDefaultProfile", **more: Any) -> dict[str, Any]:
    period = {"startPeriod": 0, "limit": limit, **more.pop("period", {})}
    return {
        "id": number,
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": [{"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [period]}],
        **more,
    }


def install(station: HeldStation, evse: int, written: dict[str, Any]) -> str:
    answer = station.set_profile({"evseId": evse, "chargingProfile": written}, NOW)
    assert not isinstance(answer, CallFault)
    return str(answer["status"])


def allowed_a(station: HeldStation, evse: int = 1, *, after_s: int = 0) -> float | None:
    """Return what the controller reads from what it is told."""
    told = next(each for each in station.limits(NOW) if each.number == evse)
    store = ProfileStore(StationSettings(version=station.version, evses=evse))
    for each in told.profiles:
        store.load(evse, each, now=NOW)
    return store.limit_at(evse, NOW + timedelta(seconds=after_s)).limit_a


def test_nothing_held_is_no_limit() -> None:
    assert allowed_a(held()) is None


def test_a_transaction_s_own_profile_leads_while_it_runs() -> None:
    station = held()
    install(station, 0, profile(1, 10.0))
    station.started(1, TransactionId("T"), token=None, at=NOW)
    install(station, 1, profile(2, 20.0, purpose="TxProfile", transactionId="T"))
    during = allowed_a(station)
    station.ended(TransactionId("T"))

    assert (20.0, 10.0) == (during, allowed_a(station))


def test_priority_charging_leads_while_it_is_in_force() -> None:
    station = held()
    station.started(1, TransactionId("T"), token=None, at=NOW)
    install(station, 1, profile(1, 10.0))
    install(station, 1, profile(2, 20.0, purpose="PriorityCharging"))
    before = allowed_a(station)
    assert {"status": "Accepted"} == station.use_priority({"transactionId": "T", "activate": True})

    assert (10.0, 20.0) == (before, allowed_a(station))


def test_a_profile_for_a_transaction_that_does_not_run_is_refused() -> None:
    assert "Rejected" == install(held(), 1, profile(2, 20.0, purpose="TxProfile", transactionId="T"))


def test_a_station_maximum_is_shared_by_the_evses() -> None:
    station = held(evses=2)
    install(station, 0, profile(1, 30.0, purpose="ChargingStationMaxProfile", chargingProfileKind="Absolute") | START)
    install(station, 2, profile(2, 10.0))

    assert (15.0, 10.0) == (allowed_a(station, 1), allowed_a(station, 2))


START: dict[str, Any] = {
    "chargingSchedule": [
        {
            "id": 1,
            "startSchedule": "2024-01-01T00:00:00Z",
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 30.0}],
        }
    ]
}


def test_a_setpoint_is_a_limit_and_discharging_is_none() -> None:
    setpoint, discharge = held(), held()
    install(setpoint, 1, profile(1, 32.0, period={"setpoint": 8.0, "operationMode": "CentralSetpoint"}))
    install(discharge, 1, profile(1, 32.0, period={"setpoint": -8.0, "operationMode": "CentralSetpoint"}))

    assert (8.0, 0.0) == (allowed_a(setpoint), allowed_a(discharge))


@pytest.mark.parametrize(("token", "limit"), [("CARD", 7.0), ("OTHER", None), (None, 7.0)])
def test_the_profile_of_a_remote_start_belongs_to_its_token(token: str | None, limit: float | None) -> None:
    station = held(evses=2)
    start = {
        "idToken": {"idToken": "CARD"},
        "remoteStartId": 1,
        "chargingProfile": profile(3, 7.0, purpose="TxProfile"),
    }
    assert station.take_start(start, NOW) is None
    station.started(2, TransactionId("T"), token=token, at=NOW)
    station.started(1, TransactionId("U"), token="CARD", at=NOW)

    assert limit == allowed_a(station, 2)
    assert (7.0 if token == "OTHER" else None) == allowed_a(station, 1)


def test_a_remote_start_that_the_station_refuses_leaves_nothing() -> None:
    station = held()
    start = {"evseId": 1, "idToken": {"idToken": "CARD"}, "chargingProfile": profile(3, 7.0, purpose="TxProfile")}
    station.take_start(start, NOW)
    station.start_refused()
    station.started(1, TransactionId("T"), token="CARD", at=NOW)

    assert allowed_a(station) is None


def test_the_profile_of_a_remote_start_does_not_wait_for_ever() -> None:
    station = held()
    start = {"evseId": 1, "idToken": {"idToken": "CARD"}, "chargingProfile": profile(3, 7.0, purpose="TxProfile")}
    station.take_start(start, NOW)
    station.started(1, TransactionId("T"), token="CARD", at=NOW + timedelta(hours=1))

    assert allowed_a(station) is None


def test_a_start_with_a_profile_of_another_purpose_is_refused() -> None:
    start = {"evseId": 1, "idToken": {"idToken": "CARD"}, "chargingProfile": profile(3, 7.0)}

    assert {"status": "Rejected"} == held().take_start(start, NOW)


def test_what_is_kept_outlives_a_restart() -> None:
    station = held()
    install(station, 1, profile(1, 10.0))
    station.started(1, TransactionId("T"), token=None, at=NOW)
    install(station, 1, profile(2, 9.0, purpose="TxProfile", transactionId="T"))
    again = held(kept=station.text)

    assert (9.0, station.profiles) == (allowed_a(again), again.profiles)


def test_what_cannot_be_read_is_named() -> None:
    with pytest.raises(InputError, match="ocpp_version"):
        held(kept="{}")


@settings(max_examples=25)
@given(limits=st.lists(st.tuples(st.integers(0, 3), st.floats(0.0, 40.0).map(lambda a: round(a, 1))), min_size=1))
def test_the_controller_is_never_told_more_than_the_lowest_purpose_allows(limits: list[tuple[int, float]]) -> None:
    station, lowest = held(), {}
    for level, limit in limits:
        written = profile(level + 1, limit) | {"stackLevel": level}
        install(station, 1, written)
        lowest[level] = limit

    assert lowest[max(lowest)] == allowed_a(station)

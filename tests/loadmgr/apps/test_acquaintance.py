"""Stations' own ways reach the controller and the wire: asked, known by model, learnt, overruled by the operator."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from loadmgr.apps.process.acquaintance import Acquaintance
from loadmgr.apps.process.serving import serve_site, stop
from loadmgr.apps.process.site import SiteProcess
from loadmgr.control.command import SetProfile
from loadmgr.model.ids import ProfileId, StationId, TransactionId
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    OcppVersion,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    SchedulePeriod,
)
from loadmgr.site_file import load_site
from ocpp_link.dialect import Version
from ocpp_link.errors import CallRejected
from ocpp_link.profile_book import ProfileBook, ProfileFile
from ocpp_link.station_profile import StationProfile
from ocpp_link.testing import ChargingStation, PlainBody, Sample
from ocpp_link.transport import SystemClock
from tests.ocpp_link.waiting import until

SITE = """
schema: loadmgr/v1
site: {name: One, timezone: UTC, currency: EUR, voltage: 230V}
circuits: [{id: main, fuse: 32A, evses: [one]}]
evse_defaults: {max: 16A, min: 6A, step: 1A}
evses: [{id: one, station: S1}]
station_defaults: {keeps_profiles: yes, zero_ok: yes}
stations: [{id: S1, version: "1.6"}]
failsafe: {strategy: zero, lease: 15min}
timing: {reaction_time: 40s, settle: 1s, meter_interval: 10s, call_timeout: 5s, clock_skew: 2s}
session_defaults: {energy: 30kWh, stay: 2h}
tariff: {energy: {price: 0.30/kWh}}
"""


class Body(PlainBody):
    """A station that takes profiles up to a stack level, and configuration."""

    def __init__(self, *, highest: int = 99, **values: str) -> None:
        super().__init__()
        self.highest = highest
        self.values = values

    @property
    def profiles(self) -> list[dict[str, Any]]:
        """The profiles that it was sent, in order."""
        return [
            payload.get("csChargingProfiles", payload.get("chargingProfile"))
            for action, payload in self.received
            if action == "SetChargingProfile"
        ]

    async def on_call(self, action: str, payload: dict[str, Any], now: datetime) -> dict[str, Any]:
        answer = await super().on_call(action, payload, now)
        match action:
            case "SetChargingProfile":
                taken = self.profiles[-1]["stackLevel"] <= self.highest
                return {"status": "Accepted" if taken else "Rejected"}
            case "GetConfiguration":
                rows = [
                    {"key": k, "readonly": False, "value": v} for k, v in self.values.items() if k in payload["key"]
                ]
                return {"configurationKey": rows}
            case "GetVariables":
                rows = [
                    each | {"attributeStatus": "Accepted", "attributeValue": self.values[each["variable"]["name"]]}
                    for each in payload["getVariableData"]
                    if each["variable"]["name"] in self.values
                ]
                return {"getVariableResult": rows or [payload["getVariableData"][0] | {"attributeStatus": "Rejected"}]}
            case "ChangeConfiguration":
                self.values[payload["key"]] = payload["value"]
                return {"status": "Accepted"}
            case "SetVariables":
                [each] = payload["setVariableData"]
                self.values[each["variable"]["name"]] = each.pop("attributeValue")
                return {"setVariableResult": [each | {"attributeStatus": "Accepted"}]}
        return answer


async def meet(
    site: Path,
    body: Body,
    models: ProfileBook,
    *,
    enough: Callable[[], bool],
    version: Version = "1.6",
    vendor: str = "V",
    charges: bool = False,
) -> None:
    """Let a station connect, boot and charge under control until that is enough."""
    clock = SystemClock()
    process = SiteProcess(load_site(site), clock=clock, models=models)
    server = await serve_site(process, host="127.0.0.1", port=0, clock=clock)
    controller = asyncio.create_task(process.run())
    url = f"ws://127.0.0.1:{server.port}/ocpp"
    station = ChargingStation(identity="S1", version=version, url=url, clock=clock, body=body, vendor=vendor)
    try:
        async with asyncio.timeout(20):
            await station.connect()
            await station.boot()
            if charges:
                await station.start_transaction(1, "TAG", meter_wh=0.0)
                await station.meter_values(1, [Sample(6.0, "Current.Import", phase="L1")])
            await until(enough)
            await station.disconnect()
    finally:
        await stop(controller)
        await server.close()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "one.yaml"
    path.write_text(SITE)
    return path


@pytest.mark.parametrize(
    ("version", "interval", "measurands"),
    [
        ("1.6", "MeterValueSampleInterval", "MeterValuesSampledData"),
        ("2.0.1", "TxUpdatedInterval", "TxUpdatedMeasurands"),
    ],
)
def test_a_station_is_asked_what_it_can_do_and_its_meter_is_set_up(
    site: Path, version: Version, interval: str, measurands: str
) -> None:
    body, models = Body(**{interval: "900", measurands: "Voltage"}), ProfileBook()

    asyncio.run(meet(site, body, models, version=version, enough=lambda: "," in body.values[measurands]))

    assert "10" == body.values[interval]
    assert {"Current.Import", "Energy.Active.Import.Register"} <= set(body.values[measurands].split(","))
    assert (10.0, "station") == models.report("S1")["meter_interval_s"]


def test_a_station_that_measures_enough_is_not_written_to(site: Path) -> None:
    measurands = "Current.Import,Energy.Active.Import.Register"
    body = Body(MeterValueSampleInterval="5", MeterValuesSampledData=measurands)

    asyncio.run(meet(site, body, ProfileBook(), enough=lambda: len(body.profiles) > 1))

    assert {"MeterValueSampleInterval": "5", "MeterValuesSampledData": measurands} == body.values


def test_what_was_learnt_counts_from_the_first_message_after_a_restart(site: Path, tmp_path: Path) -> None:
    def memory() -> ProfileBook:
        return ProfileBook(memory=ProfileFile(tmp_path / "stations.jsonl"))

    body, models = Body(highest=2), memory()
    asyncio.run(meet(site, body, models, enough=lambda: models.profile("S1").stack_level is not None))
    assert [9, 9, 5, 5, 2] == [each["stackLevel"] for each in body.profiles][:5]

    again = Body(highest=2)
    asyncio.run(meet(site, again, memory(), enough=lambda: len(again.profiles) > 1))

    assert {2} == {each["stackLevel"] for each in again.profiles}


def test_what_a_station_refuses_now_is_unlearnt(site: Path) -> None:
    models = ProfileBook()
    models.learn("S1", StationProfile(stack_level=2))
    body = Body(highest=1)

    asyncio.run(
        meet(site, body, models, enough=lambda: body.profiles[-1:] != [] and body.profiles[-1]["stackLevel"] < 2)
    )

    assert 2 == body.profiles[0]["stackLevel"]


def test_the_operators_word_wins_over_what_a_station_says(site: Path) -> None:
    models = ProfileBook(overrides={"S1": StationProfile(stack_level=4, rate_units=("W",))})
    body = Body(ChargeProfileMaxStackLevel="8", ChargingScheduleAllowedChargingRateUnit="Current")

    asyncio.run(meet(site, body, models, enough=lambda: len(body.profiles) > 1))

    assert {(4, "W")} == {(each["stackLevel"], each["chargingSchedule"]["chargingRateUnit"]) for each in body.profiles}


def test_a_model_that_takes_no_station_maximum_is_sent_none(site: Path) -> None:
    body = Body()

    asyncio.run(
        meet(
            site, body, ProfileBook(), vendor="ChargeAmps", enough=lambda: "GetCompositeSchedule" in dict(body.received)
        )
    )

    assert {"TxDefaultProfile"} == {each["chargingProfilePurpose"] for each in body.profiles}


def test_a_station_that_ends_no_profile_gets_no_lease(site: Path) -> None:
    body, models = Body(), ProfileBook(overrides={"S1": StationProfile(keeps_durations=False)})

    asyncio.run(meet(site, body, models, charges=True, enough=lambda: len(body.profiles) > 2))

    assert "TxProfile" not in {each["chargingProfilePurpose"] for each in body.profiles}


def limit(command_id: int, limit_a: float) -> SetProfile:
    schedule = ChargingSchedule(unit=RateUnit.A, periods=(SchedulePeriod(start_s=0, limit=limit_a),))
    profile = ChargingProfile(
        profile_id=ProfileId(1),
        stack_level=0,
        purpose=ProfilePurpose.TX_DEFAULT,
        kind=ProfileKind.RELATIVE,
        schedules=(schedule,),
    )
    return SetProfile(id=command_id, station=StationId("S1"), number=1, profile=profile)


@pytest.mark.parametrize(("vendor", "sent"), [("go-eCharger", 5), ("V", 4)])
def test_the_first_limit_after_a_pause_is_said_twice_where_a_model_needs_it(vendor: str, sent: int) -> None:
    said: list[Any] = []

    async def call(action: str, payload: dict[str, Any]) -> dict[str, Any]:
        said.append(payload["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"])
        return {"status": "Accepted"}

    async def main() -> None:
        known = Acquaintance(
            ProfileBook(), clock=SystemClock(), meter_interval_s=10.0, observe=lambda _fact, _station: None
        )
        known.booted("S1", {"chargePointVendor": vendor, "chargePointModel": "M"})
        for number, limit_a in enumerate((6.0, 0.0, 6.0, 8.0)):
            await known.ask(limit(number, limit_a), version=OcppVersion.V16, call=call)

    asyncio.run(main())

    assert sent == len(said)
    assert 8.0 == said[-1]


def lease(command_id: int) -> SetProfile:
    meant = limit(command_id, 6.0)
    profile = replace(meant.profile, purpose=ProfilePurpose.TX, transaction_id=TransactionId("7"))
    return replace(meant, profile=profile)


@pytest.mark.parametrize(
    ("takes", "sent", "outcome"),
    [
        ("named", "named named", "Accepted"),
        ("bare", "named bare bare", "Accepted"),  # learnt: the second limit is sent bare at once
        ("neither", "named bare named", "Rejected"),  # both were refused: the other form is not tried each time
        ("bare or error", "named bare bare", "Accepted"),
        ("error", "named bare named", "PropertyConstraintViolation"),
    ],
)
def test_a_limit_that_is_refused_for_its_transaction_id_is_sent_without(takes: str, sent: str, outcome: str) -> None:
    said: list[str] = []

    async def call(_action: str, payload: dict[str, Any]) -> dict[str, Any]:
        said.append("named" if "transactionId" in payload["csChargingProfiles"] else "bare")
        if "error" in takes and said[-1] not in takes:
            raise CallRejected("PropertyConstraintViolation")
        return {"status": "Accepted" if said[-1] in takes else "Rejected"}

    async def main() -> str:
        known = Acquaintance(
            ProfileBook(), clock=SystemClock(), meter_interval_s=10.0, observe=lambda _fact, _station: None
        )
        last = ""
        for number in range(2):
            try:
                answer = await known.ask(lease(number), version=OcppVersion.V16, call=call)
                last = answer["status"]
            except CallRejected as error:
                last = error.code
        return last

    assert outcome == asyncio.run(main())
    assert sent.split() == said


def test_what_is_known_is_told_once_and_again_when_it_changes() -> None:
    told: list[Any] = []
    known = Acquaintance(
        ProfileBook(),
        clock=SystemClock(),
        meter_interval_s=10.0,
        observe=lambda fact, _station: told.append(fact),
    )

    known.connected("S1")
    for _ in range(2):
        known.booted("S1", {"chargePointVendor": "Huawei", "chargePointModel": "SCharger"})
    known.connected("S1")

    assert [frozenset({RateUnit.W})] * 2 == [each.rate_units for each in told]
    assert all(each.at <= datetime.now(UTC) for each in told)


def test_energies_in_the_wrong_unit_are_put_right_where_the_operator_says_so() -> None:
    known = Acquaintance(
        ProfileBook(overrides={"S1": StationProfile(energy_scale=1000.0)}),
        clock=SystemClock(),
        meter_interval_s=10.0,
        observe=lambda _fact, _station: None,
    )
    said = {"meterValue": [{"sampledValue": [{"value": "1.5", "unit": "Wh"}]}]}

    assert "1500" == known.meant("S1", said)["meterValue"][0]["sampledValue"][0]["value"]
    assert said is known.meant("S2", said)

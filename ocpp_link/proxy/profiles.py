"""The CSMS's charging profiles, held by a Local Controller instead of passed on.

Beside profiles of ours, the CSMS's would not give the minimum of both: inside a purpose the highest stack level wins,
and a TxProfile overrules a TxDefaultProfile. So they are held here, whoever controls combines them with its own limits
and pushes the result, and the CSMS is answered truthfully for what it installed.

Rule 1: what could get a profile past us is caught: SetChargingProfile, the profile inside a remote start, dynamic
    updates, priority charging, changes of the settings of `settings`, a new network profile, and the messages of
    vendors that nobody vouched for. ClearChargingProfile touches only what is held, never ours.
Rule 2: GetCompositeSchedule goes through: the station holds the combined result, so its own answer is the true one.
Rule 3: GetChargingProfiles is answered with what is held and with what others put on the station (2.x K09), ours left
    out.
Rule 4: where the keeper says that a limit of ours cannot be lifted, a profile goes on to the station as it came.
Rule 5: nothing here knows how limits are combined, and by which rules profiles are taken: a `ProfileKeeper` does.
"""

import asyncio
import logging
from collections.abc import Awaitable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ocpp_link.errors import CallRefused, OcppError
from ocpp_link.proxy.interceptor import Answer, Change, Later, Pass, Refuse, Verdict
from ocpp_link.proxy.relay import RelayedStation
from ocpp_link.proxy.settings import is_our_variable, is_ours

logger = logging.getLogger(__name__)

_Payload = dict[str, Any]

HELD_ACTIONS = frozenset(
    {
        "ChangeConfiguration",
        "ClearChargingProfile",
        "DataTransfer",
        "GetChargingProfiles",
        "RemoteStartTransaction",
        "RequestStartTransaction",
        "SetChargingProfile",
        "SetNetworkProfile",
        "SetVariables",
        "UpdateDynamicSchedule",
        "UsePriorityCharging",
    }
)
"""Calls of a CSMS that could get a limit past us."""

STARTS = frozenset({"RemoteStartTransaction", "RequestStartTransaction"})
"""Calls of a CSMS that start a transaction, and may bring a profile for it."""

OF_A_CSMS = "CSO"
"""ChargingLimitSource of profiles that a CSMS, or we in its place, installed."""

REPORTS_S = 20.0
"""How long a station may take to report its profiles [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldProfile:
    """One profile of the CSMS."""

    evse_id: int
    """Connector in 1.6; 0 is the station."""
    profile: Mapping[str, Any]
    """As on the wire."""

    @property
    def id(self) -> int:
        """The profile's id."""
        found: int = self.profile["chargingProfileId" if "chargingProfileId" in self.profile else "id"]
        return found

    @property
    def place(self) -> tuple[int, str, int]:
        """EVSE, purpose and stack level: one profile at a time stands there."""
        return self.evse_id, self.profile["chargingProfilePurpose"], self.profile["stackLevel"]


class ProfileKeeper(Protocol):
    """Who keeps the CSMS's profiles, by the rules of the version; each answer is a response's payload.

    Any method may raise `CallRefused`, which the CSMS gets as a CALLERROR. Those that answer may take their time.
    """

    def of(self, station_id: str) -> tuple[HeldProfile, ...]:
        """Return the profiles of a station."""

    def lets_through(self, station: RelayedStation, action: str, payload: _Payload) -> bool:
        """Return whether a call with a profile, or about one, goes on to the station, which holds it itself then."""

    def went_through(self, station: RelayedStation, action: str, payload: _Payload, reply: _Payload | None) -> None:
        """Take note of what the station answered to a call that went on; ``None``: refused, or not at all."""

    def at_station(self, station_id: str) -> Collection[int]:
        """Return the ids of the CSMS's profiles that the station holds itself."""

    def set_profile(self, station: RelayedStation, payload: _Payload) -> _Payload | Awaitable[_Payload]:
        """Answer SetChargingProfile."""

    def clear_profile(self, station: RelayedStation, payload: _Payload) -> _Payload | Awaitable[_Payload]:
        """Answer ClearChargingProfile."""

    def update_dynamic(self, station: RelayedStation, payload: _Payload) -> _Payload:
        """Answer UpdateDynamicSchedule."""

    def use_priority(self, station: RelayedStation, payload: _Payload) -> _Payload:
        """Answer UsePriorityCharging."""

    def take_start(self, station: RelayedStation, payload: _Payload) -> _Payload | None:
        """Take the profile of a remote start; return the answer that refuses the start, ``None`` to let it go on."""


@dataclass(slots=True)
class _Collection:
    """What a station reports for one GetChargingProfiles."""

    reports: list[_Payload] = field(default_factory=list)
    complete: asyncio.Event = field(default_factory=asyncio.Event)


class ProfileGuard:
    """Decides about everything by which a CSMS could get a limit past us.

    Parameters
    ----------
    keeper
        Who keeps the CSMS's profiles.
    vendors
        Vendor ids whose DataTransfer goes on to stations: those known to set no limit.
    """

    def __init__(self, keeper: ProfileKeeper, *, vendors: Collection[str] = ()) -> None:
        self._keeper = keeper
        self._vendors = frozenset(vendors)
        self._collections: dict[tuple[str, int], _Collection] = {}
        self._reports: set[asyncio.Task[None]] = set()

    @property
    def reporting(self) -> bool:
        """Whether reports are still on their way to a CSMS."""
        return bool(self._reports)

    def holds(self, action: str) -> bool:
        """Tell whether an action of the CSMS is decided about here: what an `Interceptor` returns from ``holds``."""
        return action in HELD_ACTIONS

    def judge(self, station: RelayedStation, action: str, payload: _Payload) -> Verdict:
        """Decide about a call of the CSMS: what an `Interceptor` returns from ``on_csms_call``."""
        try:
            return self._judged(station, action, payload)
        except CallRefused as refused:
            return Refuse(refused.fault, refused.description, refused.details)

    def judge_station(self, station: RelayedStation, action: str, payload: _Payload) -> Verdict:
        """Decide about a call of the station: what an `Interceptor` returns from ``on_station_call``."""
        if action == "PullDynamicScheduleUpdate":  # no profile of ours is dynamic
            theirs = payload["chargingProfileId"] in self._keeper.at_station(station.id)
            return Pass() if theirs else Answer({"status": "Rejected"})
        collection = None
        if action == "ReportChargingProfiles":
            collection = self._collections.get((station.id, payload["requestId"]))
        if collection is None:
            return Pass()
        collection.reports += _not_ours(payload, self._keeper.at_station(station.id))
        if not payload.get("tbc", False):
            collection.complete.set()
        return Answer({})

    def note_reply(self, station: RelayedStation, action: str, payload: _Payload, reply: _Payload | None) -> None:
        """Take note of a station's answer to the CSMS: what an `Interceptor` does in ``on_station_reply``."""
        if _sets_profile(action, payload):
            self._keeper.went_through(station, action, payload, reply)

    def _judged(self, station: RelayedStation, action: str, payload: _Payload) -> Verdict:
        keeper = self._keeper
        if _sets_profile(action, payload) and keeper.lets_through(station, action, payload):
            return Pass()
        match action:
            case "SetChargingProfile":
                return _answered(keeper.set_profile(station, payload))
            case "ClearChargingProfile":
                return _answered(keeper.clear_profile(station, payload))
            case "UpdateDynamicSchedule":
                return Answer(keeper.update_dynamic(station, payload))
            case "UsePriorityCharging":
                return Answer(keeper.use_priority(station, payload))
            case "GetChargingProfiles":
                return Later(self._report(station, payload))
            case _ if action in STARTS and "chargingProfile" in payload:
                refused = keeper.take_start(station, payload)
                if refused is not None:
                    return Answer(refused)
                return Change({key: value for key, value in payload.items() if key != "chargingProfile"})
            case _:
                return self._setting(station, action, payload)

    def _setting(self, station: RelayedStation, action: str, payload: _Payload) -> Verdict:
        answer: _Payload | None = None
        match action:
            case "ChangeConfiguration" if is_ours(payload["key"]):
                answer = {"status": "Rejected"}
            case "SetVariables" if any(is_our_variable(each) for each in payload["setVariableData"]):
                answer = refused_variables(payload)
            case "SetNetworkProfile":
                answer = {"status": "Rejected"}
            case "DataTransfer" if payload["vendorId"] not in self._vendors:
                answer = {"status": "UnknownVendorId"}
        if answer is None:
            return Pass()
        logger.warning("%s: %s of the CSMS is kept from the station", station.id, action)
        return Answer(answer)

    # GetChargingProfiles

    async def _report(self, station: RelayedStation, payload: _Payload) -> _Payload:
        criteria = payload["chargingProfile"]
        told = await self._of_others(station, payload)
        elsewhere = self._keeper.at_station(station.id) if told is not None else ()
        found = [
            each
            for each in self._keeper.of(station.id)
            if payload.get("evseId") in (None, each.evse_id) and _asked_for(each, criteria) and each.id not in elsewhere
        ]
        request_id = payload["requestId"]
        reports: list[_Payload] = [
            {
                "requestId": request_id,
                "chargingLimitSource": OF_A_CSMS,
                "evseId": evse_id,
                "chargingProfile": [dict(each.profile) for each in found if each.evse_id == evse_id],
            }
            for evse_id in sorted({each.evse_id for each in found})
        ]
        reports += told or []
        if not reports:
            return {"status": "NoProfiles"}
        task = asyncio.create_task(self._tell(station, reports))  # runs after the answer is written
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)
        return {"status": "Accepted"}

    async def _of_others(self, station: RelayedStation, payload: _Payload) -> list[_Payload] | None:
        """Ask the station for what others installed, and for what the CSMS did; ``None`` if it does not say."""
        key = (station.id, payload["requestId"])
        collection = self._collections[key] = _Collection()
        try:
            answer = await station.call("GetChargingProfiles", payload)
            if answer["status"] != "Accepted":
                return []  # it holds nothing of the kind
            waits = [
                asyncio.create_task(collection.complete.wait()),
                asyncio.create_task(station.clock.sleep_until(station.clock.now_s() + REPORTS_S)),
            ]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for each in waits:
                each.cancel()
        except OcppError as error:
            logger.info("%s: does not say what others installed: %s", station.id, error)
            return None
        finally:
            if self._collections.get(key) is collection:
                del self._collections[key]
        return collection.reports

    async def _tell(self, station: RelayedStation, reports: list[_Payload]) -> None:
        for report in reports:
            try:
                await station.call_csms(
                    "ReportChargingProfiles", {**report, "tbc": report is not reports[-1]}, check=False
                )
            except OcppError as error:
                logger.warning("%s: held profiles not reported: %s", station.id, error)


def _sets_profile(action: str, payload: _Payload) -> bool:
    named = ("SetChargingProfile", "UpdateDynamicSchedule", "UsePriorityCharging")
    return action in named or (action in STARTS and "chargingProfile" in payload)


def _answered(answer: _Payload | Awaitable[_Payload]) -> Verdict:
    return Answer(answer) if isinstance(answer, dict) else Later(answer)


def _not_ours(report: _Payload, theirs: Collection[int]) -> list[_Payload]:
    """Return a station's report without the profiles that we installed; nothing where none are left."""
    if report.get("chargingLimitSource") != OF_A_CSMS:
        return [report]
    kept = [each for each in report["chargingProfile"] if each["id"] in theirs]
    return [{**report, "chargingProfile": kept}] if kept else []


def _asked_for(each: HeldProfile, criteria: Mapping[str, Any]) -> bool:
    """Tell whether GetChargingProfiles asks for a profile."""
    ids = criteria.get("chargingProfileId")
    if ids is not None:
        return each.id in ids
    _, purpose, level = each.place
    source = criteria.get("chargingLimitSource")
    return (
        criteria.get("chargingProfilePurpose") in (None, purpose)
        and criteria.get("stackLevel") in (None, level)
        and (source is None or OF_A_CSMS in source)
    )


def refused_variables(payload: _Payload) -> _Payload:
    """Refuse a request whole in which one variable is ours, so that nobody guesses which were set."""
    items = payload["setVariableData"]
    result = [
        {"attributeStatus": "Rejected", "component": each["component"], "variable": each["variable"]} for each in items
    ]
    return {"setVariableResult": result}

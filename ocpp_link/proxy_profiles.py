"""The CSMS's charging profiles, held by a Local Controller instead of passed on.

Beside profiles of ours, the CSMS's would not give the minimum of both: inside a purpose the highest stack level wins,
and a TxProfile overrules a TxDefaultProfile. So they are held here, whoever controls combines them with its own limits
and pushes the result, and the CSMS is answered truthfully for what it installed.

Rule 1: what could get a profile past us is caught: SetChargingProfile, the profile inside a remote start, dynamic
    updates (applied to what is held), priority charging (remembered, see `HeldProfiles.priority_of`), and changes of
    the station's smart-charging settings. ClearChargingProfile touches only what is held, never ours.
Rule 2: GetCompositeSchedule goes through: the station holds the combined result, so its own answer is the true one.
Rule 3: nothing here knows how limits are combined.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ocpp_link.errors import OcppError
from ocpp_link.interceptor import Answer, Change, Pass, Verdict
from ocpp_link.proxy import RelayedStation
from ocpp_link.timestamps import to_wire

logger = logging.getLogger(__name__)

_SMART_CHARGING_KEYS = frozenset(
    {
        "chargeprofilemaxstacklevel",
        "chargingscheduleallowedchargingrateunit",
        "chargingschedulemaxperiods",
        "connectorswitch3to1phasesupported",
        "maxchargingprofilesinstalled",
    }
)


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


class HeldProfiles:
    """What the CSMS installed at each station, as far as the CSMS can tell.

    Parameters
    ----------
    changed
        Told whenever the profiles of a station changed: combine and push.
    """

    def __init__(self, changed: Callable[[RelayedStation], None]) -> None:
        self._changed = changed
        self._held: dict[str, list[HeldProfile]] = {}
        self._priority: dict[str, set[str]] = {}
        self._reports: set[asyncio.Task[None]] = set()

    def of(self, station_id: str) -> tuple[HeldProfile, ...]:
        """Return the profiles of a station."""
        return tuple(self._held.get(station_id, ()))

    def judge(self, station: RelayedStation, action: str, payload: dict[str, Any]) -> Verdict:
        """Decide about a call of the CSMS: what an `Interceptor` returns from ``on_csms_call``."""
        match action:
            case "SetChargingProfile":
                return self._set(station, payload)
            case "ClearChargingProfile":
                return self._clear(station, payload)
            case "GetChargingProfiles":
                return self._report(station, payload)
            case "RemoteStartTransaction" | "RequestStartTransaction" if "chargingProfile" in payload:
                evse_id = payload.get("connectorId", payload.get("evseId", 0))
                self._hold(station, HeldProfile(evse_id=evse_id, profile=payload["chargingProfile"]))
                return Change({key: value for key, value in payload.items() if key != "chargingProfile"})
            case "UpdateDynamicSchedule":
                return self._update_dynamic(station, payload)
            case "UsePriorityCharging":
                return self._use_priority(station, payload["transactionId"], activate=payload["activate"])
            case "ChangeConfiguration" if payload["key"].casefold() in _SMART_CHARGING_KEYS:
                return Answer({"status": "Rejected"})
            case "SetVariables":
                return _settings(payload)
            case _:
                return Pass()

    def priority_of(self, station_id: str) -> frozenset[str]:
        """Return the transactions for which the CSMS has put PriorityCharging profiles in force (2.1, K21)."""
        return frozenset(self._priority.get(station_id, ()))

    def transaction_ended(self, station: RelayedStation, evse_id: int, *, transaction_id: str | None = None) -> None:
        """Forget the TxProfiles and the priority of an EVSE: they end with their transaction."""
        if transaction_id is not None:
            self._priority.get(station.id, set()).discard(transaction_id)
        kept = [
            each
            for each in self._held.get(station.id, ())
            if each.evse_id != evse_id or each.profile["chargingProfilePurpose"] != "TxProfile"
        ]
        self._replace(station, kept)

    def _set(self, station: RelayedStation, payload: dict[str, Any]) -> Verdict:
        if station.version == "1.6":
            held = HeldProfile(evse_id=payload["connectorId"], profile=payload["csChargingProfiles"])
        else:
            held = HeldProfile(evse_id=payload["evseId"], profile=payload["chargingProfile"])
        self._hold(station, held)
        return Answer({"status": "Accepted"})

    def _hold(self, station: RelayedStation, new: HeldProfile) -> None:
        kept = [each for each in self._held.get(station.id, ()) if new.id != each.id and new.place != each.place]
        self._held[station.id] = [*kept, new]
        self._changed(station)

    def _update_dynamic(self, station: RelayedStation, payload: dict[str, Any]) -> Verdict:
        """Give a held dynamic profile new values (2.1, K28): those that are named, the rest stays."""
        held = self._held.get(station.id, [])
        for place, each in enumerate(held):
            if each.id != payload["chargingProfileId"] or each.profile["chargingProfileKind"] != "Dynamic":
                continue
            schedule = each.profile["chargingSchedule"][0]
            period = {**schedule["chargingSchedulePeriod"][0], **payload["scheduleUpdate"]}
            changed = {
                **each.profile,
                "chargingSchedule": [{**schedule, "chargingSchedulePeriod": [period]}],
                "dynUpdateTime": to_wire(station.clock.now()),
            }
            held[place] = HeldProfile(evse_id=each.evse_id, profile=changed)
            self._changed(station)
            return Answer({"status": "Accepted"})
        return Answer({"status": "Rejected"})

    def _use_priority(self, station: RelayedStation, transaction_id: str, *, activate: bool) -> Verdict:
        """Put held PriorityCharging profiles in force for a transaction, or out of force (2.1, K21)."""
        if not any(each.profile["chargingProfilePurpose"] == "PriorityCharging" for each in self.of(station.id)):
            return Answer({"status": "NoProfile"})
        favoured = self._priority.setdefault(station.id, set())
        if activate != (transaction_id in favoured):
            (favoured.add if activate else favoured.discard)(transaction_id)
            self._changed(station)
        return Answer({"status": "Accepted"})

    def _clear(self, station: RelayedStation, payload: dict[str, Any]) -> Verdict:
        criteria = payload.get("chargingProfileCriteria", payload)
        wanted_id = payload.get("id", payload.get("chargingProfileId"))
        wanted = {
            "evse_id": criteria.get("connectorId", criteria.get("evseId")),
            "purpose": criteria.get("chargingProfilePurpose"),
            "level": criteria.get("stackLevel"),
        }
        held = self._held.get(station.id, [])
        kept = [each for each in held if not _meant(each, wanted_id, wanted)]
        self._replace(station, kept)
        return Answer({"status": "Accepted" if len(kept) < len(held) else "Unknown"})

    def _replace(self, station: RelayedStation, kept: list[HeldProfile]) -> None:
        if len(kept) != len(self._held.get(station.id, ())):
            self._held[station.id] = kept
            self._changed(station)

    def _report(self, station: RelayedStation, payload: dict[str, Any]) -> Verdict:
        criteria = payload["chargingProfile"]
        found = [
            each
            for each in self._held.get(station.id, ())
            if payload.get("evseId") in (None, each.evse_id) and _asked_for(each, criteria)
        ]
        if not found:
            return Answer({"status": "NoProfiles"})
        task = asyncio.create_task(self._tell(station, payload["requestId"], found))
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)
        return Answer({"status": "Accepted"})

    async def _tell(self, station: RelayedStation, request_id: int, found: list[HeldProfile]) -> None:
        evses = sorted({each.evse_id for each in found})
        for evse_id in evses:
            report = {
                "requestId": request_id,
                "chargingLimitSource": "CSO",
                "evseId": evse_id,
                "chargingProfile": [dict(each.profile) for each in found if each.evse_id == evse_id],
                "tbc": evse_id != evses[-1],
            }
            try:
                await station.call_csms("ReportChargingProfiles", report)
            except OcppError as error:
                logger.warning("%s: held profiles not reported: %s", station.id, error)


def _meant(each: HeldProfile, wanted_id: int | None, wanted: Mapping[str, Any]) -> bool:
    """Tell whether ClearChargingProfile means a profile: by id alone, else by everything that is named."""
    if wanted_id is not None:
        return each.id == wanted_id
    is_at = dict(zip(("evse_id", "purpose", "level"), each.place, strict=True))
    return all(value in (None, is_at[name]) for name, value in wanted.items())


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
        and (source is None or "CSO" in source)
    )


def _settings(payload: dict[str, Any]) -> Verdict:
    """Refuse changes of the smart-charging settings; a mixed request is refused whole, so that nobody guesses."""
    items = payload["setVariableData"]
    if not any(each["component"]["name"] == "SmartChargingCtrlr" for each in items):
        return Pass()
    result = [
        {"attributeStatus": "Rejected", "component": each["component"], "variable": each["variable"]} for each in items
    ]
    return Answer({"setVariableResult": result})

"""Limits that others put on a station, as the station tells of them (OCPP 2.x, K12 to K14, K09)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from loadmgr.bridge.fields import time_text
from loadmgr.bridge.profile_json import profile_from_json
from loadmgr.control.observation import ForeignProfiles
from loadmgr.errors import InputError
from loadmgr.model.ids import StationId
from loadmgr.model.profile import ChargingProfile, OcppVersion

OURS = "CSO"
"""ChargingLimitSource of profiles that the backend, so this controller, has set."""


def foreign_profiles(
    action: str, payload: Mapping[str, Any], *, version: OcppVersion, station: StationId, at: datetime
) -> tuple[ForeignProfiles, ...]:
    """Return what a NotifyChargingLimit, ClearedChargingLimit or ReportChargingProfiles says of others' profiles.

    A limit that comes without a schedule, or with one that cannot be read, is there but unknown: it can be asked for.
    What the station reports as the backend's own is none of others.
    """
    limit = payload.get("chargingLimit", {})
    source = payload.get("chargingLimitSource", limit.get("chargingLimitSource", ""))
    written: list[Mapping[str, Any]] = []
    request, last = None, False
    match action:
        case "ReportChargingProfiles":
            request, last = payload.get("requestId"), not payload.get("tbc", False)
            written = [] if source == OURS else list(payload.get("chargingProfile", ()))
        case "NotifyChargingLimit":
            generated = bool(limit.get("isLocalGeneration", False)) and version is OcppVersion.V21
            schedules = payload.get("chargingSchedule", ())
            written = [_as_profile(s, number, at, generated=generated) for number, s in enumerate(schedules)]
    read = [_read(w, version) for w in written]
    profiles = tuple(p for p in read if p is not None)
    last = last and len(profiles) == len(read)  # what cannot be read is there all the same
    if not last and (source == OURS or (request is not None and not profiles)):
        return ()
    unknown = action == "NotifyChargingLimit" and not profiles
    return (
        ForeignProfiles(
            at=at,
            station=station,
            number=payload.get("evseId", 0),
            source="" if source == OURS else source,
            profiles=None if unknown else profiles,
            by_station=True,
            request=request,
            last=last,
        ),
    )


def _as_profile(schedule: Mapping[str, Any], number: int, at: datetime, *, generated: bool) -> dict[str, Any]:
    """Return a schedule of an external system as the profile that it amounts to (K12.FR.04, K11.FR.06)."""
    return {
        "id": -1 - number,
        "stackLevel": 0,
        "chargingProfilePurpose": "LocalGeneration" if generated else "ChargingStationExternalConstraints",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [{"startSchedule": time_text(at), **schedule}],
    }


def _read(written: Mapping[str, Any], version: OcppVersion) -> ChargingProfile | None:
    try:
        return profile_from_json(written, version)
    except (InputError, ValueError):
        return None  # rule 1 of from_ocpp: what cannot be understood is left out

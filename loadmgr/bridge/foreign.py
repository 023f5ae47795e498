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

    A limit that comes without a schedule says nothing that could be planned with, and is left out; so is a profile
    that cannot be read. What the station reports as the backend's own is none of others.
    """
    limit = payload.get("chargingLimit", {})
    source = payload.get("chargingLimitSource", limit.get("chargingLimitSource", ""))
    if source == OURS:
        return ()
    written = []
    if action == "ReportChargingProfiles":
        written = list(payload.get("chargingProfile", ()))
    elif action == "NotifyChargingLimit":
        written = [_as_profile(s, number, at) for number, s in enumerate(payload.get("chargingSchedule", ()))]
    profiles = tuple(p for p in (_read(w, version) for w in written) if p is not None)
    if not profiles and action != "ClearedChargingLimit":
        return ()
    return (ForeignProfiles(at=at, station=station, number=payload.get("evseId", 0), source=source, profiles=profiles),)


def _as_profile(schedule: Mapping[str, Any], number: int, at: datetime) -> dict[str, Any]:
    """Return a schedule of an external system as the profile that it amounts to (K12.FR.04, K11.FR.06)."""
    return {
        "id": -1 - number,
        "stackLevel": 0,
        "chargingProfilePurpose": "ChargingStationExternalConstraints",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [{"startSchedule": time_text(at), **schedule}],
    }


def _read(written: Mapping[str, Any], version: OcppVersion) -> ChargingProfile | None:
    try:
        return profile_from_json(written, version)
    except (InputError, ValueError):
        return None  # rule 1 of from_ocpp: what cannot be understood is left out

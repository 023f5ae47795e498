"""Have a station measure what is needed, as often as is needed, with as few writes as possible.

Rule 1: only what the station said of itself is judged, and only what falls short is written.
Rule 2: a list of measurands is tried once as wished and once without what is fragile in the field; never one by one,
    because some stations restart over each write. One that is known to is written to once, without the fragile.
Rule 3: a station is not asked to measure more often than its model can.
"""

import logging
from collections.abc import Sequence
from typing import Any

from ocpp_link.capabilities import Call
from ocpp_link.dialect import Version
from ocpp_link.errors import CallRejected, InvalidResponse
from ocpp_link.station_profile import StationProfile

logger = logging.getLogger(__name__)

NEEDED = ("Energy.Active.Import.Register", "Current.Import")
WISHED = ("Power.Active.Import", "Voltage", "SoC")
FRAGILE = ("Temperature", "Power.Offered", "SoC")
"""Measurands for which stations refuse the whole list or restart."""

_INTERVAL = ("MeterValueSampleInterval", "TxUpdatedInterval")
_MEASURANDS = ("MeterValuesSampledData", "TxUpdatedMeasurands")
_TAKEN = frozenset({"Accepted", "RebootRequired"})


async def set_up_meter(
    version: Version,
    call: Call,
    profile: StationProfile,
    *,
    interval_s: float,
    needed: Sequence[str] = NEEDED,
    wished: Sequence[str] = WISHED,
) -> StationProfile:
    """Write what falls short; return what the station took, in the fields of a profile.

    Parameters
    ----------
    call
        Asks the station.
    profile
        What is known of it: `StationProfile.measurands` and `meter_interval_s` are what it does now.
    interval_s
        How often meter values have to come during a transaction at least [s].
    needed
        Measurands without which the list is written anew.
    wished
        Measurands to ask for on that occasion.

    Raises
    ------
    CallTimeout, CallExpired, ConnectionLost
        The station is gone, or as good as.
    """
    taken: dict[str, Any] = {}
    wanted_s = max(interval_s, profile.min_meter_interval_s or 0.0)
    now_s = profile.meter_interval_s
    if now_s is not None and not 0.0 < now_s <= wanted_s and await _write(version, call, _INTERVAL, f"{wanted_s:.0f}"):
        taken["meter_interval_s"] = wanted_s
    for measurands in _lists(profile, needed, wished):
        if await _write(version, call, _MEASURANDS, ",".join(measurands)):
            taken["measurands"] = measurands
            break
    return StationProfile(**taken)


def _lists(profile: StationProfile, needed: Sequence[str], wished: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the lists to try in turn; none if the present one will do."""
    present = profile.measurands
    if present is None or set(needed) <= set(present):
        return []
    fragile = {*FRAGILE, *(profile.fragile_measurands or ())} - set(needed)
    full = tuple(dict.fromkeys((*needed, *present, *wished)))
    safe = tuple(each for each in full if each not in fragile)
    if profile.probe_measurands is False or safe == full:
        return [safe]
    return [full, safe]


async def _write(version: Version, call: Call, names: tuple[str, str], value: str) -> bool:
    try:
        if version == "1.6":
            answer = await call("ChangeConfiguration", {"key": names[0], "value": value})
            status = answer["status"]
        else:
            place = {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": names[1]}}
            answer = await call("SetVariables", {"setVariableData": [place | {"attributeValue": value}]})
            status = answer["setVariableResult"][0]["attributeStatus"]
    except (CallRejected, InvalidResponse) as error:
        status = str(error)
    if status not in _TAKEN:
        logger.info("station does not take %s = %s: %s", names[version != "1.6"], value, status)
    return status in _TAKEN
